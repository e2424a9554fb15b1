"""On a server the tables stay from one host to the next, but nothing that a test has done to them."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from authhost_hookspecs import PluginTables, hookimpl
from sqlalchemy import Engine, MetaData, NullPool, create_engine, event, inspect, text

from authhost.testing import PASSWORD, open_host
from authhost.testing.database import drop_all_tables
from authhost.testing.kept_tables import delete_rows, remember_tables

MIGRATION = '''
"""A table with an identity, a trigger, and rows that the migration inserts."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade():
    for name in ("authhost_diary_day", "authhost_diary_page"):
        op.create_table(name, sa.Column("id", sa.Integer, primary_key=True), sa.Column("text", sa.String(50)))
    op.create_index("authhost_diary_page_text", "authhost_diary_page", ["text"])
    op.execute("INSERT INTO authhost_diary_day (text) VALUES ('Monday'), ('Tuesday')")
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION authhost_diary_keep() RETURNS trigger LANGUAGE plpgsql "
            "AS $$ BEGIN RAISE EXCEPTION 'pages stay'; END $$"
        )
        action = "EXECUTE FUNCTION authhost_diary_keep()"
    else:
        action = "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'pages stay'"
    op.execute(
        "CREATE TRIGGER authhost_diary_keep BEFORE DELETE ON authhost_diary_page FOR EACH ROW " + action
    )
'''


class Diary:
    @hookimpl
    def register_tables(self) -> PluginTables:
        return PluginTables(MetaData(), "diary_migrations")


@pytest.fixture(autouse=True)
def statements() -> Iterator[list[str]]:
    """The statements that create tables."""
    found: list[str] = []

    def note(connection, cursor, statement, *rest):
        if statement.lstrip().startswith("CREATE TABLE"):
            found.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield found
    event.remove(Engine, "before_cursor_execute", note)


@pytest.fixture
def server(database_url) -> str:
    if database_url.startswith("sqlite"):
        pytest.skip("SQLite has no tables to keep: each test has a file of its own")
    return database_url


@pytest.fixture
def open_empty(server, clock, recorder, tmp_path, monkeypatch):
    folder = tmp_path / "diary_migrations"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "0001_diary.py").write_text(MIGRATION)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "diary_migrations", raising=False)

    def open_empty(plugins=None):
        plugins = {"recorder": recorder, "diary": Diary()} if plugins is None else plugins
        return open_host(server, plugins, clock=clock, empty=True, email_verification="none")

    return open_empty


def execute(host, *statements):
    with host.engine.begin() as connection:
        for each in statements:
            connection.execute(text(each))


def rows(host, table):
    with host.engine.connect() as connection:
        return connection.execute(text(f"SELECT id, text FROM {table} ORDER BY id")).all()


def write(host):
    execute(host, "INSERT INTO authhost_diary_page (text) VALUES ('rain')")


DAYS = [(1, "Monday"), (2, "Tuesday")]


def test_the_rows_go_and_the_tables_stay(open_empty, run, statements):
    with open_empty() as host:
        run(host, "signup", email="ann@example.org", password=PASSWORD)
        write(host)
        assert rows(host, "authhost_diary_day") == DAYS
    assert statements
    for _ in range(2):
        statements.clear()
        with open_empty() as host:
            assert statements == []
            assert rows(host, "authhost_diary_page") == []
            assert rows(host, "authhost_diary_day") == DAYS
            write(host)
            assert rows(host, "authhost_diary_page") == [(1, "rain")], "an identity has gone on"
            run(host, "signup", email="ann@example.org", password=PASSWORD)


def test_an_identity_starts_again_though_the_table_is_empty(open_empty, statements):
    with open_empty() as host, host.engine.connect() as connection:
        connection.execute(text("INSERT INTO authhost_diary_page (text) VALUES ('never stored')"))
        connection.rollback()
    statements.clear()
    with open_empty() as host:
        assert statements == []
        write(host)
        assert rows(host, "authhost_diary_page") == [(1, "rain")]


CHANGES = {
    "a table": "CREATE TABLE extra (id INTEGER)",
    "a column": "ALTER TABLE authhost_diary_page ADD COLUMN extra INTEGER",
    "a type": {
        "postgresql": "ALTER TABLE authhost_diary_page ALTER COLUMN text TYPE VARCHAR(60)",
        "mariadb": "ALTER TABLE authhost_diary_page MODIFY text VARCHAR(60)",
    },
    "a default": "ALTER TABLE authhost_diary_page ALTER COLUMN text SET DEFAULT 'sun'",
    "an index": "CREATE INDEX extra ON authhost_diary_page (id, text)",
    "no index": {
        "postgresql": "DROP INDEX authhost_diary_page_text",
        "mariadb": "DROP INDEX authhost_diary_page_text ON authhost_diary_page",
    },
    "a constraint": "ALTER TABLE authhost_diary_page ADD CONSTRAINT extra UNIQUE (text)",
    "no table": "DROP TABLE authhost_diary_page",
    "no trigger": {
        "postgresql": "DROP TRIGGER authhost_diary_keep ON authhost_diary_page",
        "mariadb": "DROP TRIGGER authhost_diary_keep",
    },
    "a trigger": {
        "postgresql": "CREATE TRIGGER extra BEFORE DELETE ON authhost_diary_day "
        "FOR EACH ROW EXECUTE FUNCTION authhost_diary_keep()",
        "mariadb": "CREATE TRIGGER extra BEFORE DELETE ON authhost_diary_day FOR EACH ROW SET @extra = 1",
    },
    "a row of a migration": "UPDATE authhost_diary_day SET text = 'Sunday' WHERE id = 1",
    "no row of a migration": "DELETE FROM authhost_diary_day",
    "one more row": "INSERT INTO authhost_diary_day (text) VALUES ('Sunday')",
    "a revision": "UPDATE authhost_diary_version SET version_num = '0'",
    "no revision": "DELETE FROM authhost_diary_version",
}


@pytest.fixture
def diary(server) -> Engine:
    """The tables of the migration, which no host has made: it takes a tenth of the time."""
    engine = create_engine(server, poolclass=NullPool)
    script = {}
    exec(MIGRATION, script)
    with engine.begin() as connection, Operations.context(MigrationContext.configure(connection)):
        script["upgrade"]()
        connection.execute(text("CREATE TABLE authhost_diary_version (version_num VARCHAR(32))"))
        connection.execute(text("INSERT INTO authhost_diary_version VALUES ('0001')"))
    remember_tables(server, "0001")
    return engine


def test_without_a_change_the_tables_are_kept(diary, server):
    assert delete_rows(server, "0001")
    assert not delete_rows(server, "of something else")
    assert not delete_rows(server, "0001"), "the answer before said that all tables are dropped"


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_of_anything_else_is_found(diary, server, what):
    change = CHANGES[what]
    if isinstance(change, dict):
        change = change["postgresql" if diary.dialect.name == "postgresql" else "mariadb"]
    with diary.begin() as connection:
        connection.execute(text(change))
    assert not delete_rows(server, "0001")


def test_after_a_change_the_tables_are_made_again(open_empty, statements):
    with open_empty() as host:
        execute(host, "CREATE TABLE extra (id INTEGER)", "DROP TABLE authhost_diary_page")
    statements.clear()
    with open_empty() as host:
        assert statements
        assert not inspect(host.engine).has_table("extra")
        assert rows(host, "authhost_diary_page") == []


def test_other_migrations_drop_the_tables(open_empty, recorder, statements):
    open_empty().close()
    with open_empty({"recorder": recorder}) as host:
        assert not inspect(host.engine).has_table("authhost_diary_page")
    statements.clear()
    with open_empty() as host:
        assert any("authhost_diary_page" in each for each in statements)


def test_an_edited_migration_is_applied(open_empty, tmp_path):
    open_empty().close()
    script = tmp_path / "diary_migrations" / "0001_diary.py"
    script.write_text(script.read_text().replace("Monday", "Lundi"))
    with open_empty() as host:
        assert rows(host, "authhost_diary_day")[0].text == "Lundi"


def test_dropped_tables_are_found(diary, server):
    drop_all_tables(server)
    assert not delete_rows(server, "0001")


def test_tables_that_this_process_has_not_made_are_dropped(diary, server, clock):
    """They are what a crash has left."""
    remember_tables(server, "of something else")
    with open_host(server, {}, clock=clock, empty=True, email_verification="none") as host:
        assert not inspect(host.engine).has_table("authhost_diary_page")


def test_the_first_host_of_a_test_empties_the_database(make_host, run, recorder):
    """Runs twice, by the order of the file: an address can be signed up once in a database."""
    _first_and_second_host(make_host, run)


def test_the_first_host_of_the_next_test_empties_it_again(make_host, run, recorder):
    _first_and_second_host(make_host, run)


def _first_and_second_host(make_host, run):
    run(make_host(email_verification="none"), "signup", email="bob@example.org", password=PASSWORD)
    run(make_host(email_verification="none"), "login", identifier="bob@example.org", password=PASSWORD)


def test_empty_is_refused_for_sqlite(clock, tmp_path):
    with pytest.raises(ValueError, match="for SQLite name a new file"):
        open_host(f"sqlite:///{tmp_path / 'a.sqlite3'}", {}, clock=clock, empty=True)
