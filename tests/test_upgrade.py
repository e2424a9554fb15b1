"""Several processes upgrade one database at once: one works, the others wait for it."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading

import pytest
from authhost_hookspecs import PluginTables, hookimpl
from sqlalchemy import MetaData, inspect

from authhost import AuthHost, Settings
from authhost.errors import ConfigurationError
from authhost.store import migrate
from authhost.store.engine import make_engine
from authhost.store.locking import locked
from authhost.store.revisions import newest_revision

SECRET = "9rZkQ2vX7mLwT4pYc8sBnH1jUeGdFa6oViKx0tRqW3yEzNhP"
AT_ONCE = 4
OPEN = """
import sys
from authhost import AuthHost, Settings
settings = Settings.load(secret_key="k" * 48, email_verification="none")
with AuthHost(settings, upgrade_database=True) as host:
    host.delete_expired()
"""
COMMANDS = {
    "command": [sys.executable, "-m", "authhost.cli", "db", "upgrade"],
    "application": [sys.executable, "-c", OPEN],
}


@pytest.mark.parametrize("kind", COMMANDS)
def test_four_at_once_on_a_fresh_database(database_url, kind):
    environment = {**os.environ, "AUTHHOST_SECRET_KEY": SECRET, "AUTHHOST_DATABASE_URL": database_url}
    running = [
        subprocess.Popen(
            COMMANDS[kind], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(AT_ONCE)
    ]
    ended = [(*each.communicate(timeout=120), each.returncode) for each in running]
    assert [code for _, _, code in ended] == [0] * AT_ONCE, ended
    assert not [stderr for _, stderr, _ in ended if "Traceback" in stderr]
    if kind == "command":
        assert sum("core 0001: " in stdout for stdout, _, _ in ended) == 1
        assert sum("nothing to apply" in stdout for stdout, _, _ in ended) == AT_ONCE - 1
    with AuthHost(Settings(secret_key=SECRET, database_url=database_url)) as host:
        assert all(state.current for state in migrate.current(host.reader, host.migrations).values())


def test_the_one_that_waits_says_so_and_finds_nothing_left(database_url):
    """The lock is held here until the other one has said that it waits."""
    settings = Settings(secret_key=SECRET, database_url=database_url, email_verification="none")
    with AuthHost(settings, discover=False, check_database=False) as host:
        migrate.upgrade(host.engine, {})
        waits, applied = threading.Event(), []

        def upgrade():
            with AuthHost(settings, discover=False, check_database=False) as other:
                applied.append(migrate.upgrade(other.engine, other.migrations, waiting=waits.set))

        with locked(host.engine, lambda: pytest.fail("nobody else is there")):
            thread = threading.Thread(target=upgrade)
            thread.start()
            assert waits.wait(60)
        thread.join(60)
        assert [each.name for each in applied[0]] == ["core"] * len(applied[0])
        assert host.upgrade_database() == []


def test_waiting_is_logged_in_an_application(database_url, caplog):
    engine = make_engine(database_url)
    migrate.upgrade(engine, {})
    migrate._log_waiting()
    assert "waiting until it has finished" in caplog.text
    engine.dispose()


def history(tmp_path, monkeypatch, name, *bodies):
    package = tmp_path / f"{name}_migrations"
    package.mkdir()
    (package / "__init__.py").touch()
    down = None
    for number, body in enumerate(bodies, 1):
        (package / f"r{number}.py").write_text(
            f'"""Step {number}."""\nfrom alembic import op\nimport sqlalchemy as sa\n'
            f"revision, down_revision = {str(number)!r}, {down!r}\ndef upgrade():\n    {body}\n"
        )
        down = str(number)
    monkeypatch.delitem(sys.modules, package.name, raising=False)  # of another test
    monkeypatch.syspath_prepend(tmp_path)

    class Bell:
        @hookimpl
        def register_tables(self):
            return PluginTables(MetaData(), package.name)

    return Bell()


TABLE = "op.create_table('authhost_{}_t', sa.Column('id', sa.Integer, primary_key=True))"
FAILS = "raise RuntimeError('a broken migration')"


def test_a_migration_that_fails_can_be_repeated(database_url, tmp_path, monkeypatch):
    """All or nothing on SQLite and PostgreSQL; on MariaDB what was applied is known to be applied."""
    plugins = {
        "bell": history(tmp_path, monkeypatch, "bell", TABLE.format("bell")),
        "whistle": history(tmp_path, monkeypatch, "whistle", TABLE.format("whistle"), FAILS),
    }
    settings = Settings(secret_key=SECRET, database_url=database_url, email_verification="none")
    with AuthHost(settings, plugins=plugins, discover=False, check_database=False) as host:
        with pytest.raises(RuntimeError, match="a broken migration"):
            host.upgrade_database()
        with host.reader.connect() as connection:
            tables = set(inspect(connection).get_table_names())
        states = migrate.current(host.reader, host.migrations)
        if host.engine.dialect.name in ("mysql", "mariadb"):
            assert {"authhost_bell_t", "authhost_whistle_t"} <= tables
            assert states["core"].current
            assert states["bell"].current
            assert states["whistle"].revision == "1"
        else:
            assert tables == set()
        repaired = tmp_path / "whistle_migrations" / "r2.py"
        repaired.write_text(repaired.read_text().replace(FAILS, "pass"))
        assert host.upgrade_database()[-1] == ("whistle", "2", "Step 2.", None)
        assert host.upgrade_database() == []


def test_nothing_of_alembic_is_in_the_log(database_url, caplog, tmp_path):
    caplog.set_level(logging.INFO)
    logging.getLogger("alembic").setLevel(logging.INFO)
    settings = Settings(secret_key=SECRET, database_url=database_url, email_verification="none")
    with AuthHost(settings, discover=False, upgrade_database=True):
        pass
    with AuthHost(settings, discover=False):
        pass
    assert not [each for each in caplog.records if each.name.startswith("alembic")]
    logging.getLogger("alembic.runtime.migration").info("the application's own")
    assert "the application's own" in caplog.text


# What opening a host costs.

OPEN_AND_COUNT = """
import json, sys
from sqlalchemy import Engine, event
from authhost import AuthHost, Settings
statements = []
event.listen(Engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
with AuthHost(Settings.load(email_verification="none"), background=False):
    pass
print(json.dumps([statements, [name for name in sys.modules if name.partition(".")[0] == "alembic"]]))
"""


def test_a_current_database_is_known_by_one_statement_and_without_alembic(database_url):
    settings = Settings(secret_key=SECRET, database_url=database_url, email_verification="none")
    with AuthHost(settings, upgrade_database=True, background=False) as host:
        histories = len(host.migrations)
    done = subprocess.run(
        [sys.executable, "-c", OPEN_AND_COUNT],
        env={**os.environ, "AUTHHOST_SECRET_KEY": SECRET, "AUTHHOST_DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        check=True,
    )
    (statement, blocked), alembic = json.loads(done.stdout)
    assert statement.count("_version") >= histories
    assert "authhost_blocked_plugin" in blocked
    assert alembic == []


@pytest.mark.parametrize(
    "change",
    ["DROP TABLE {}", "DELETE FROM {}", "UPDATE {} SET version_num = '1'", "INSERT INTO {} VALUES ('1')"],
)
def test_what_is_not_current_is_told_as_ever(database_url, tmp_path, monkeypatch, change):
    """What Alembic finds in the database, whatever the one statement has found before."""
    plugins = {"bell": history(tmp_path, monkeypatch, "bell", TABLE.format("bell"), "pass")}
    settings = Settings(secret_key=SECRET, database_url=database_url, email_verification="none")
    with AuthHost(settings, plugins=plugins, discover=False, upgrade_database=True) as host:
        assert migrate.current(host.reader, host.migrations)["bell"] == ("2", "2", False)
        with host.engine.begin() as connection:
            connection.exec_driver_sql(change.format("authhost_bell_version"))
        if change.startswith("INSERT"):
            with pytest.raises(Exception, match="more than one head"):
                migrate.current(host.reader, host.migrations)
            return
        expected = "1" if change.startswith("UPDATE") else None
        assert migrate.current(host.reader, host.migrations)["bell"] == (expected, "2", False)
        assert migrate.current(host.engine, host.migrations)["core"].current


def write_package(tmp_path, monkeypatch, name, *sources):
    package = tmp_path / name
    package.mkdir()
    (package / "__init__.py").write_text("revision = 'none'\n")
    (package / "README").write_text("revision = 'none'\n")
    for number, source in enumerate(sources):
        (package / f"{chr(ord('z') - number)}.py").write_text(source)
    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    return name


BASE = "revision, down_revision = 'a1', None\n"


@pytest.mark.parametrize(
    ("sources", "newest"),
    [
        ((BASE,), "a1"),
        ((BASE, "revision: str = 'b2'\ndown_revision: str | None = 'a1'\nbranch_labels = None"), "b2"),
        ((BASE, "depends_on = ()\nrevision = 'b2'\ndown_revision = 'a1'\ndef upgrade():\n    x = 3"), "b2"),
        ((BASE, "revision = 'c3'\ndown_revision = 'b2'", "revision = 'b2'\ndown_revision = 'a1'"), "c3"),
        # What is left to Alembic.
        ((), None),
        ((BASE, "revision, down_revision = 'b2', 'a1'", "revision, down_revision = 'c3', 'a1'"), None),
        ((BASE, "revision, down_revision = 'b2', 'zz'"), None),
        ((BASE, "revision, down_revision = 'b2', None"), None),
        ((BASE, "revision, down_revision = 'a1', 'a1'"), None),
        ((BASE, "revision, down_revision = 'b2', ('a1',)"), None),
        ((BASE, "revision = 'b' + str(2)\ndown_revision = 'a1'"), None),
        ((BASE, "revision = 'b2'\ndown_revision = 'a1'\ndepends_on = 'a1'"), None),
        ((BASE, "revision = 'b2'\ndown_revision = 'a1'\nbranch_labels = ('bell',)"), None),
        ((BASE, "revision = 'b2'\ndown_revision = 'a1'\nif True:\n    revision = 'c3'"), None),
        ((BASE, "revision = 'b2'\ndown_revision = 'a1'\nfrom os import *"), None),
        ((BASE, "revision = 'b2'\ndown_revision = 'a1'\nfrom os import path as revision"), None),
        ((BASE, "revision = 'b2'"), None),
        ((BASE, "down_revision = 'a1'"), None),
        ((BASE, "revision ="), None),
        ((BASE, "revision, down_revision = 2, 'a1'"), None),
    ],
)
def test_the_newest_revision_is_read_from_the_source(tmp_path, monkeypatch, sources, newest):
    package = write_package(tmp_path, monkeypatch, "bell_history", *sources)
    assert newest_revision(package) == newest
    if newest is not None:
        with migrate.open_history("bell", package) as (_, script):
            assert script.get_current_head() == newest


def test_the_histories_that_ship_are_read_from_the_source(database_url):
    settings = Settings(secret_key=SECRET, database_url=database_url, email_verification="none")
    with AuthHost(settings, check_database=False) as host:
        assert set(host.migrations) >= {"core"}
        for name, package in host.migrations.items():
            with migrate.open_history(name, package) as (_, script):
                assert newest_revision(package) == script.get_current_head()


# Files.


def test_only_an_upgrade_creates_a_file(tmp_path):
    file = tmp_path / "site.sqlite3"
    settings = Settings(secret_key=SECRET, database_url=f"sqlite:///{file}", email_verification="none")
    with pytest.raises(ConfigurationError, match=f"there is no database file {file}; run `authhost db up"):
        AuthHost(settings, discover=False)
    assert list(tmp_path.iterdir()) == []
    AuthHost(settings, discover=False, upgrade_database=True).close()
    assert [each.name for each in tmp_path.iterdir()] == ["site.sqlite3"]
    AuthHost(settings, discover=False).close()


@pytest.mark.parametrize("uri", ["sqlite:///file:{}?uri=true", "sqlite:///file:{}?mode=rwc&uri=true"])
def test_a_file_may_be_named_by_a_uri(tmp_path, uri):
    file = tmp_path / "site.sqlite3"
    url = uri.format(file)
    settings = Settings(secret_key=SECRET, database_url=url, email_verification="none")
    with pytest.raises(ConfigurationError, match=f"there is no database file {file}"):
        AuthHost(settings, discover=False)
    AuthHost(settings, discover=False, upgrade_database=True).close()
    assert [each.name for each in tmp_path.iterdir()] == [file.name]


def test_looking_at_an_empty_file_writes_nothing_to_it(tmp_path):
    file = tmp_path / "site.sqlite3"
    file.touch()
    settings = Settings(secret_key=SECRET, database_url=f"sqlite:///{file}", email_verification="none")
    with AuthHost(settings, discover=False, check_database=False) as host:
        assert not migrate.current(host.reader, host.migrations)["core"].current
    assert file.stat().st_size == 0


def test_a_folder_that_is_missing_is_named(tmp_path):
    settings = Settings(secret_key=SECRET, database_url=f"sqlite:///{tmp_path / 'no' / 'site.sqlite3'}")
    with pytest.raises(ConfigurationError, match=f"there is no folder {tmp_path / 'no'} for the database"):
        AuthHost(settings, discover=False, upgrade_database=True)


def test_a_file_that_is_no_database_is_named(tmp_path):
    file = tmp_path / "site.sqlite3"
    file.write_text("a letter to nobody, of more than a hundred characters " * 9)
    settings = Settings(secret_key=SECRET, database_url=f"sqlite:///{file}", email_verification="none")
    for how in ({}, {"upgrade_database": True}):
        with pytest.raises(ConfigurationError, match=f"{file} is no SQLite database"):
            AuthHost(settings, discover=False, **how)
    assert file.read_text().startswith("a letter")
