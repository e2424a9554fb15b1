"""What an upgrade would do and has done, and which programs work with a database that it has changed."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from authhost_hookspecs import PluginTables, hookimpl
from click.testing import CliRunner
from sqlalchemy import MetaData, inspect, text

from authhost import AuthHost, Settings
from authhost.cli.main import cli
from authhost.errors import ConfigurationError
from authhost.store import migrate, upgrade_plan
from authhost.store.applied_migrations import applied
from authhost.testing.database import drop_all_tables

SECRET = "9rZkQ2vX7mLwT4pYc8sBnH1jUeGdFa6oViKx0tRqW3yEzNhP"
PLUGINS = ("audit", "email", "analytics", "mfa")
PACKAGES = {"core": migrate.CORE_MIGRATIONS, **{each: f"authhost_{each}.migrations" for each in PLUGINS}}
BEFORE_LIST = "0008"
"""The newest revision of authhost whose programs do not store what they apply."""
FORMER = "41831dd"
HERE = Path(__file__).parents[1]


@pytest.fixture
def open_host(database_url):
    hosts = []

    def open_host(plugins=None, *, url=database_url, discover=False, **options):
        settings = Settings(secret_key=SECRET, database_url=url, email_verification="none")
        hosts.append(AuthHost(settings, plugins=plugins, discover=discover, **options))
        return hosts[-1]

    yield open_host
    for host in hosts:
        host.close()


def migrations(name):
    with migrate.quiet(), migrate.open_history(name, PACKAGES[name]) as (_, directory):
        return [migrate.describe(name, each) for each in reversed(list(directory.walk_revisions()))]


def package_or_skip(name):
    if name != "core":
        pytest.importorskip(f"authhost_{name}")


@pytest.mark.parametrize("name", PACKAGES)
def test_every_migration_states_which_programs_work_with_it(name):
    package_or_skip(name)
    known = []
    for each in migrations(name):
        known.append(each.revision)
        assert each.compatible_from in known, f"{name} {each.revision} has no or a wrong compatible_from"


def test_no_folder_of_migrations_is_forgotten():
    """Also not those of a plugin that is new or not installed."""
    folders = [HERE / "authhost/store/migrations/versions", *(HERE / "plugins").glob("*/*/migrations")]
    assert len(folders) >= len(PACKAGES)
    for folder in folders:
        for file in folder.glob("[0-9]*.py"):
            source = file.read_text()
            said = re.search(r'^compatible_from = "(\w+)"(  # .+)?$', source, re.MULTILINE)
            assert said, f"{file} has no compatible_from"
            first = re.search(r"^down_revision = None$", source, re.MULTILINE)
            excludes_all = f'\nrevision = "{said[1]}"\n' in source and not first
            assert not excludes_all or said[2], f"{file}: say why no earlier program works with it"


def step(engine, name, revision):
    """Apply the migrations of one history up to a revision."""
    from alembic import command

    with (
        engine.connect() as connection,
        migrate.quiet(),
        migrate.open_history(name, PACKAGES[name]) as (config, _),
    ):
        config.attributes.update(
            connection=connection, version_table=migrate.version_table(name), applied=lambda step: []
        )
        command.upgrade(config, revision)
        connection.commit()


def columns(engine):
    with engine.connect() as connection:
        found = inspect(connection)
        return {
            (table, column["name"]): column
            for table in found.get_table_names()
            if not table.endswith("_version")
            for column in found.get_columns(table)
        }


@pytest.mark.parametrize("name", PACKAGES)
def test_rows_of_compatible_programs_can_still_be_written_and_read(open_host, name):
    """Nothing that they know is gone, and what they do not know needs no value."""
    package_or_skip(name)
    engine = open_host(check_database=False).engine
    before = {}
    migrate.upgrade(engine, {})
    for each in migrations(name):
        step(engine, name, each.revision)
        after = columns(engine)
        if each.compatible_from != each.revision:
            known_tables = {table for table, _ in before}
            for place, column in before.items():
                assert place in after, f"{each.revision} removes {place}"
                assert after[place]["nullable"] == column["nullable"], f"{each.revision} changes {place}"
            for place in after.keys() - before.keys():
                optional = after[place]["nullable"] or after[place]["default"] is not None
                assert place[0] not in known_tables or optional, f"{each.revision} adds {place}"
        before = after


def run(host, *arguments):
    environment = {
        "AUTHHOST_SECRET_KEY": SECRET,
        "AUTHHOST_DATABASE_URL": host.settings.database_url,
        "AUTHHOST_EMAIL_VERIFICATION": "none",
        "COLUMNS": "200",
    }
    return CliRunner().invoke(cli, arguments, env=environment)


def test_a_dry_run_lists_everything_and_changes_nothing(open_host):
    host = open_host(check_database=False)
    result = run(host, "db", "upgrade", "--dry-run", "--json")
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["revision"] for row in rows if row["name"] == "core"] == [
        each.revision for each in migrations("core")
    ]
    if host.engine.dialect.name == "sqlite":
        assert not Path(host.engine.url.database).exists()
    else:
        assert columns(host.engine) == {}
    run(host, "db", "upgrade")
    assert "there is nothing to apply" in run(host, "db", "upgrade", "--dry-run").stdout


def test_the_history_tells_what_was_applied_and_when(open_host):
    host = open_host(check_database=False)
    migrate.upgrade(host.engine, {})
    step(host.engine, "core", BEFORE_LIST)
    rows = upgrade_plan.history(host.reader, host.migrations)
    assert [(each.migration.revision, each.is_applied, each.applied_at) for each in rows][:2] == [
        ("0001", True, None),
        ("0002", True, None),
    ]
    assert not rows[-1].is_applied
    assert "before 0.2" in run(host, "db", "history").stdout
    assert "not yet" in run(host, "db", "history").stdout
    newest = host.upgrade_database()[-1]
    last = upgrade_plan.history(host.reader, host.migrations)[-1]
    assert (last.migration, last.is_applied, last.applied_at.tzinfo is not None) == (newest, True, True)


def test_a_script_does_what_an_upgrade_does(open_host):
    """Run by the driver alone, as a client of the database does it."""
    host = open_host(check_database=False)
    kind = host.engine.dialect.name
    if kind == "sqlite":
        migrate.upgrade(host.engine, {})
        step(host.engine, "core", "0003")  # a script cannot copy a table on SQLite
    script = upgrade_plan.script(host.reader, host.migrations)
    execute_script(host.engine, script)
    assert all(state.current for state in migrate.current(host.reader, host.migrations).values())
    by_script = describe_schema(host.engine)
    with host.reader.connect() as connection:
        assert applied(connection, ["core"])[-1].applied_at is not None
    assert upgrade_plan.script(host.reader, host.migrations) == ""
    drop_everything(host.engine)
    host.upgrade_database()
    assert describe_schema(host.engine) == by_script


def test_a_script_upgrades_every_plugin_too(open_host):
    """From the first revisions, those of the oldest databases."""
    host = open_host(discover=True, check_database=False)
    migrate.upgrade(host.engine, {})
    step(host.engine, "core", "0003")  # a script cannot copy a table on SQLite
    for name in PACKAGES.keys() & host.migrations.keys() - {"core"}:
        step(host.engine, name, "0001")
    execute_script(host.engine, upgrade_plan.script(host.reader, host.migrations))
    assert all(state.current for state in migrate.current(host.reader, host.migrations).values())
    by_script = describe_schema(host.engine)
    drop_everything(host.engine)
    host.upgrade_database()
    assert describe_schema(host.engine) == by_script


def test_a_script_stores_the_same_text_as_an_upgrade(open_host, tmp_path, monkeypatch):
    host = open_host(bell_with_history(tmp_path, monkeypatch, "1"), check_database=False)
    migration = tmp_path / "bell_migrations" / "r1.py"
    statement = "DELETE FROM authhost_bell_version WHERE version_num = '50%'"
    body = f'from alembic import op\n    op.execute("{statement}")'
    source = migration.read_text().replace("Step 1.", "It's 100% \\\\ :done.")
    migration.write_text(source.replace("pass", body))
    migrate.upgrade(host.engine, {"core": migrate.CORE_MIGRATIONS})
    script = upgrade_plan.script(host.reader, host.migrations)
    assert "= '50%'" in script
    execute_script(host.engine, script)
    with host.reader.connect() as connection:
        assert [row.what for row in applied(connection, ["bell"])] == ["It's 100% \\ :done."]


@pytest.mark.parametrize("by_script", [False, True])
def test_a_plugin_can_be_installed_again_after_its_tables_were_dropped(
    open_host, tmp_path, monkeypatch, by_script
):
    host = open_host(bell_with_history(tmp_path, monkeypatch, "1", "1"), upgrade_database=True)
    with host.engine.begin() as connection:
        connection.execute(text("DROP TABLE authhost_bell_version"))
        before = [row.applied_at for row in applied(connection, ["bell"])]
    if by_script:
        execute_script(host.engine, upgrade_plan.script(host.reader, host.migrations))
    else:
        host.upgrade_database()
    with host.reader.connect() as connection:
        rows = applied(connection, ["bell"])
    assert [row.revision for row in rows] == ["1", "2"]
    assert not {row.applied_at for row in rows} & {*before}


def test_a_uri_names_a_file_that_exists(open_host, tmp_path):
    host = open_host(url=f"sqlite:///file:{tmp_path / 'site.sqlite3'}?uri=true", upgrade_database=True)
    assert upgrade_plan.pending(host.reader, host.migrations) == []
    assert upgrade_plan.script(host.reader, host.migrations) == ""


def test_the_list_of_an_upgrade_has_the_time_that_each_took(open_host):
    host = open_host(check_database=False)
    rows = [json.loads(line) for line in run(host, "db", "upgrade", "--json").stdout.splitlines()]
    assert rows
    assert all(row["seconds"] >= 0 for row in rows)


def execute_script(engine, script):
    url = engine.url
    if engine.dialect.name == "sqlite":
        import sqlite3

        with sqlite3.connect(url.database) as connection:
            connection.executescript(script)
        connection.close()
    elif engine.dialect.name == "postgresql":
        import psycopg

        with psycopg.connect(
            host=url.host, port=url.port, user=url.username, dbname=url.database
        ) as connection:
            connection.execute(script)
    else:
        import pymysql
        from pymysql.constants.CLIENT import MULTI_STATEMENTS

        connection = pymysql.connect(
            host=url.host,
            port=url.port,
            user=url.username,
            database=url.database,
            client_flag=MULTI_STATEMENTS,
        )
        with connection, connection.cursor() as cursor:
            cursor.execute(script)
            while cursor.nextset():
                pass


def describe_schema(engine):
    with engine.connect() as connection:
        found = inspect(connection)
        return {
            table: (
                [(each["name"], str(each["type"]), each["nullable"]) for each in found.get_columns(table)],
                sorted(str(each["name"]) for each in found.get_indexes(table)),
                found.get_pk_constraint(table)["constrained_columns"],
                sorted(str(each["name"]) for each in found.get_foreign_keys(table)),
            )
            for table in found.get_table_names()
        }


def drop_everything(engine):
    if engine.dialect.name == "sqlite":
        engine.dispose()
        Path(engine.url.database).unlink()
        return
    url = engine.url.render_as_string(hide_password=False)
    engine.dispose()
    drop_all_tables(url)


# Programs that are older than the database.


def bell_with_history(tmp_path, monkeypatch, *compatible):
    """Return a plugin with one migration for each statement of `compatible_from`."""
    package = tmp_path / "bell_migrations"
    package.mkdir()
    (package / "__init__.py").touch()
    down = None
    for number, oldest in enumerate(compatible, 1):
        said = f"compatible_from = {oldest!r}\n" if oldest else ""
        (package / f"r{number}.py").write_text(
            f'"""Step {number}."""\nrevision, down_revision = {str(number)!r}, {down!r}\n{said}'
            "def upgrade():\n    pass\n"
        )
        down = str(number)
    monkeypatch.delitem(sys.modules, package.name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    return bell()


def bell():
    class Bell:
        @hookimpl
        def register_tables(self):
            return PluginTables(MetaData(), "bell_migrations")

    return {"bell": Bell()}


@pytest.mark.parametrize(
    ("compatible", "works"),
    [
        (("1", "1", "1"), True),
        (("1", "1", "2"), True),
        (("1", "1", "3"), False),
        (("1", "1", None), False),
        # What a later migration states does not undo an earlier one.
        (("1", "1", "1", "1"), True),
        (("1", "1", "3", "1"), False),
        (("1", "1", None, "2"), False),
    ],
)
def test_an_older_program_starts_if_every_newer_migration_allows_it(
    open_host, tmp_path, monkeypatch, compatible, works
):
    open_host(bell_with_history(tmp_path, monkeypatch, *compatible), upgrade_database=True).close()
    newest = str(len(compatible))
    for number in range(3, len(compatible) + 1):
        (tmp_path / "bell_migrations" / f"r{number}.py").unlink()
    older = bell()
    if works:
        host = open_host(older)
        assert migrate.current(host.reader, host.migrations)["bell"] == (newest, "2", True)
        assert host.upgrade_database() == []
        assert upgrade_plan.history(host.reader, host.migrations)[-1].migration.revision == newest
    else:
        with pytest.raises(ConfigurationError, match=f"newer than what .*: bell is at revision {newest}"):
            open_host(older)


FLOWS = """
import sys
from authhost import AuthHost, Settings

settings = Settings.load(secret_key="k" * 48, email_verification="none", rate_limits=False)
FIRST, SECOND = "a long passphrase of ann", "another long passphrase of ann"


def run(flow, token=None, **values):
    with host.request(session_token=token, ip_address="127.0.0.1") as request:
        return getattr(host.account, flow)(request, **values)


with AuthHost(settings, discover=False, upgrade_database=True) as host:
    before = run("signup", email="before@example.org", password=FIRST)
    print("ready", flush=True)
    sys.stdin.readline()  # until the database has the new schema
    run("signup", email="ann@example.org", password=FIRST)
    token = run("login", identifier="ann@example.org", password=FIRST).session_token
    run("change_password", token, current_password=FIRST, new_password=SECOND)
    token = run("login", identifier="ann@example.org", password=SECOND).session_token
    assert len(run("list_sessions", token)) == 2
    run("end_other_sessions", token)
    run("logout", token)
    with host.request(session_token=before.session_token) as request:
        assert request.user.email == "before@example.org"
        host.account.logout(request)
    host.delete_expired()
print("done", flush=True)
"""


def former_version(folder):
    """Unpack the last version of authhost before migration 0006 from the history of this repository."""
    try:
        archive = subprocess.run(
            ["git", "archive", FORMER, "authhost", "hookspecs"], cwd=HERE, capture_output=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"SKIPPED: the former version {FORMER} is not in the history of this checkout")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(folder, filter="data")
    return os.pathsep.join([str(folder), str(folder / "hookspecs")])


def test_the_former_version_goes_on_after_the_upgrade(open_host, tmp_path):
    environment = {
        **os.environ,
        "AUTHHOST_DATABASE_URL": open_host(check_database=False).settings.database_url,
        "PYTHONPATH": former_version(tmp_path / "former"),
    }
    former = subprocess.Popen(
        [sys.executable, "-c", FLOWS],
        env=environment,
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert former.stdout.readline() == "ready\n", former.communicate()[1]
    host = open_host(upgrade_database=True)
    out, err = former.communicate("go\n", timeout=120)
    assert out == "done\n", err
    assert host.users.get("ann@example.org").has_usable_password
