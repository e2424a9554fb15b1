"""Transactions: isolation, statements that fail after they were sent, and lost connections."""

from __future__ import annotations

import pytest
from authhost_hookspecs import Actor, Refused, hookimpl
from conftest import PASSWORD
from sqlalchemy import (
    Column,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    func,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import OperationalError

from authhost.errors import Conflict, RequiredPluginFailed
from authhost.store import statements
from authhost.store.database import Database
from authhost.store.tables import addresses, sessions, users

notes = Table(
    "transaction_note",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("text", String(20), nullable=False),
)
LEVEL = {
    "postgresql": "SELECT upper(current_setting('transaction_isolation'))",
    "mysql": "SELECT replace(@@session.tx_isolation, '-', ' ')",
    "mariadb": "SELECT replace(@@session.tx_isolation, '-', ' ')",
}


@pytest.fixture
def host(make_host):
    host = make_host(email_verification="none")
    notes.create(host.engine)
    return host


def texts(host):
    with host.reader.connect() as connection:
        return sorted(connection.execute(select(notes.c.text)).scalars())


def level(connection):
    return connection.execute(text(LEVEL[connection.dialect.name])).scalar_one()


def test_a_connection_at_a_level_of_its_own_has_it_and_later_ones_do_not(host):
    if host.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no levels of isolation")
    with host.engine.connect() as connection:
        assert level(connection.execution_options(isolation_level="REPEATABLE READ")) == "REPEATABLE READ"
    with host.engine.execution_options(isolation_level="SERIALIZABLE").connect() as connection:
        assert level(connection) == "SERIALIZABLE"
    for _ in range(2):
        with host.request() as request:
            assert level(request.connection) == "READ COMMITTED"
        with host.engine.begin() as connection:
            assert level(connection) == "READ COMMITTED"


def test_a_connection_that_is_to_commit_by_itself_does(host):
    if host.engine.dialect.name == "sqlite":
        pytest.skip("transactions on SQLite are begun by authhost, whatever the level")
    with host.engine.connect() as connection:
        connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(notes.insert().values(text="kept"))
    assert texts(host) == ["kept"]


def test_transactions_of_plugins_are_stored_or_undone_as_a_whole(host):
    with host.engine.begin() as connection:
        connection.execute(notes.insert().values(text="kept"))
    with pytest.raises(KeyError), host.engine.begin() as connection:
        connection.execute(notes.insert().values(text="gone"))
        raise KeyError
    with host.engine.connect() as connection:
        connection.execute(notes.insert().values(text="gone, too"))
    assert texts(host) == ["kept"]


@pytest.mark.parametrize("driver", ["psycopg2", "pg8000"])
def test_another_driver_of_postgresql_stores_and_undoes_the_same(make_host, run, database_url, driver):
    if make_url(database_url).get_backend_name() != "postgresql":
        pytest.skip("PostgreSQL alone has a choice of drivers")
    pytest.importorskip(driver)
    url = make_url(database_url).set(drivername=f"postgresql+{driver}").render_as_string(hide_password=False)
    host, other = make_host(database_url=url, email_verification="none"), make_host(email_verification="none")
    notes.create(other.engine)
    run(host, "signup", email="ann@example.org", password=PASSWORD)
    with other.reader.connect() as connection:
        assert connection.execute(select(func.count()).select_from(users)).scalar_one() == 1
    test_transactions_of_plugins_are_stored_or_undone_as_a_whole(host)
    assert texts(other) == ["kept"]


class Hooked:
    """One implementation of one hook."""

    def __init__(self, hook, function):
        setattr(self, hook, hookimpl(specname=hook)(function))


def test_a_row_that_the_driver_cannot_send_fails_nothing_but_itself(make_host, run, caplog):
    def writes(request, user):
        request.insert(notes, {"text": "\ud800"})

    host = make_host({"writer": Hooked("user_logged_in", writes)}, email_verification="none")
    notes.create(host.engine)
    assert run(host, "signup", email="ann@example.org", password=PASSWORD).user.email == "ann@example.org"
    assert "rows of plugin writer were not stored: UnicodeEncodeError" in caplog.text
    assert texts(host) == []
    assert host.engine.pool.checkedout() == 0


def test_a_cursor_of_the_server_reads_in_a_transaction(host):
    with host.request() as request:
        options = {"stream_results": True}
        assert request.connection.execute(select(notes), execution_options=options).all() == []


def test_a_login_into_an_account_that_is_deleted_meanwhile_is_a_conflict(make_host, run):
    def delete_account(request, user):
        if armed:
            with other.begin() as connection:
                for table in (sessions, addresses, users):
                    connection.execute(table.delete())

    armed = []
    host = make_host({"gate": Hooked("before_login", delete_account)}, email_verification="none")
    run(host, "signup", email="ann@example.org", password=PASSWORD)
    armed.append(True)
    other = create_engine(host.engine.url)
    try:
        with pytest.raises(Conflict):
            run(host, "login", identifier="ann@example.org", password=PASSWORD)
    finally:
        other.dispose()


def test_a_read_that_failed_when_it_was_to_be_prepared_works_later(make_host, run, database_url):
    url = make_url(database_url)
    if url.drivername != "postgresql+psycopg":
        pytest.skip("psycopg alone prepares statements")
    url = url.update_query_dict({"options": "-c lock_timeout=50"})
    host = make_host(database_url=url.render_as_string(hide_password=False), email_verification="none")
    token = run(host, "signup", email="ann@example.org", password=PASSWORD).session_token
    other = create_engine(host.engine.url)
    for _ in range(10):
        with other.begin() as connection:
            connection.execute(text(f"LOCK TABLE {sessions.name} IN ACCESS EXCLUSIVE MODE"))
            with host.request(session_token=token) as request, pytest.raises(OperationalError, match="lock"):
                assert request.user
        with host.request(session_token=token) as request:
            assert request.user.email == "ann@example.org"
    other.dispose()


def test_a_server_that_is_not_there_is_an_error_of_sqlalchemy(database_url):
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        pytest.skip("SQLite has no server")
    database = Database(url.set(host="127.0.0.1", port=1).render_as_string(hide_password=False))
    with pytest.raises(OperationalError):
        database.read(statements.USER_BY_NAME, {"of_key": "ann"})


def end_connections(url):
    """Let the server end all connections but this one, and wait until they are gone."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    others = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    end = "SELECT pg_terminate_backend({})"
    if engine.dialect.name != "postgresql":
        others = (
            "SELECT id FROM information_schema.processlist WHERE db = database() AND id <> connection_id()"
        )
        end = "KILL {}"
    with engine.connect() as connection:
        for each in connection.execute(text(others)).scalars().all():
            connection.execute(text(end.format(each)))
        while connection.execute(text(others)).first() is not None:
            pass
    engine.dispose()


def test_connections_that_the_server_has_ended_are_replaced(host, run):
    if host.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no server")
    with host.request() as first, host.request() as second:
        assert first.connection is not second.connection  # so the pool has two
    end_connections(host.engine.url)
    with host.request() as request:
        request.insert(notes, {"text": "first"})
    end_connections(host.engine.url)
    with host.engine.begin() as connection:
        connection.execute(notes.insert().values(text="second"))
    end_connections(host.engine.url)
    assert run(host, "signup", email="ann@example.org", password=PASSWORD).user
    assert texts(host) == ["first", "second"]
    assert host.engine.pool.checkedout() == 0


class Writes:
    """A plugin that writes in `email_removed`, and records refusals."""

    def write(self, request):
        request.db.execute(notes.insert().values(text="gone"))

    @hookimpl
    def email_removed(self, request, user, email_address):
        self.write(request)

    @hookimpl
    def flow_refused(self, request, flow, error, user):
        request.insert(notes, {"text": f"refused: {error.code}"})


class WritesAround(Writes):
    """The same, as a wrapper."""

    @hookimpl(wrapper=True)
    def email_removed(self, request, user, email_address):
        self.write(request)
        return (yield)


@pytest.mark.parametrize("writer", [Writes, WritesAround])
@pytest.mark.parametrize("required", [(), ("first",)])
def test_a_statement_that_fails_after_it_was_sent_is_no_failure_of_a_plugin(make_host, run, writer, required):
    host = make_host(
        {"first": writer(), "second": writer()}, email_verification="none", required_plugins=required
    )
    if host.engine.dialect.name != "postgresql":
        pytest.skip("elsewhere each statement is waited for")
    notes.create(host.engine)
    token = run(host, "signup", email="ann@example.org", password=PASSWORD).session_token
    run(host, "add_email", token, email="ann@example.com")
    with host.engine.begin() as connection:
        connection.execute(
            text(
                "CREATE FUNCTION deadlock() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION 'as if' USING ERRCODE = '40P01'; END $$"
            )
        )
        connection.execute(
            text(
                f"CREATE TRIGGER deadlock BEFORE DELETE ON {addresses.name} "
                "FOR EACH ROW EXECUTE FUNCTION deadlock()"
            )
        )
    with pytest.raises(Conflict):
        run(host, "remove_email", token, email="ann@example.com")
    assert not any(each.failures for each in host.plugin_stats().values())
    assert set(texts(host)) == {"refused: conflict"}
    assert host.engine.pool.checkedout() == 0


class WritesBadRow:
    """A required plugin that queues a row which no database stores."""

    @hookimpl
    def user_logged_in(self, request, user):
        request.insert(notes, {"text": None})

    @hookimpl
    def before_login(self, request, user):
        if self.refuses:
            raise Refused("no", "No.")

    @hookimpl
    def flow_refused(self, request, flow, error, user):
        request.insert(notes, {"text": None})

    refuses = False


@pytest.fixture
def bad_rows(make_host):
    plugin = WritesBadRow()
    host = make_host({"writer": plugin}, email_verification="none", required_plugins=["writer"])
    notes.create(host.engine)
    return host, plugin


def test_nothing_is_stored_after_a_commit_that_has_failed(bad_rows):
    host, _ = bad_rows
    called = []
    with host.request() as request:
        host.account.signup(request, email="ann@example.org", password=PASSWORD)
        request.on_commit(lambda: called.append(True))
        with pytest.raises(RequiredPluginFailed):
            request.commit()
        assert (request.user, request.session_token) == (None, None)
        request.insert(notes, {"text": "after"})
    assert texts(host) == ["after"]
    with host.reader.connect() as connection:
        assert connection.execute(select(func.count()).select_from(users)).scalar_one() == 0
    assert called == []
    assert host.engine.pool.checkedout() == 0


def test_the_failed_commit_of_a_refusal_undoes_it(bad_rows):
    host, plugin = bad_rows
    plugin.refuses = True
    with host.request() as request:
        with pytest.raises(RequiredPluginFailed):
            host.account.signup(request, email="ann@example.org", password=PASSWORD)
        request.insert(notes, {"text": "after"})
    assert texts(host) == ["after"]
    assert host.engine.pool.checkedout() == 0


DEADLOCK = {
    "postgresql": [
        "CREATE FUNCTION deadlock() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'as if' USING ERRCODE = '40P01'; END $$",
        f"CREATE TRIGGER deadlock BEFORE DELETE ON {sessions.name} FOR EACH ROW EXECUTE FUNCTION deadlock()",
    ],
    "mysql": [
        f"CREATE TRIGGER deadlock BEFORE DELETE ON {sessions.name} FOR EACH ROW "
        "SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'as if'"
    ],
}
DEADLOCK["mariadb"] = DEADLOCK["mysql"]


def test_a_deadlock_of_a_change_is_a_conflict_if_it_is_the_whole_unit(host, run):
    if host.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no deadlocks: it has one writer at a time")
    user = run(host, "signup", email="ann@example.org", password=PASSWORD).user
    with host.engine.begin() as connection:
        for statement in DEADLOCK[host.engine.dialect.name]:
            connection.execute(text(statement))
    with host.request() as request:
        with pytest.raises(Conflict):
            request.accounts.deactivate(user.id)
        request.insert(notes, {"text": "after"})
    assert texts(host) == ["after"]
    assert host.account(user.id).user.is_active
    with pytest.raises(OperationalError), host.request() as request:
        request.accounts.add_email(user.id, "ann@example.com")
        request.accounts.deactivate(user.id)
    assert len(host.account(user.id).email_addresses) == 1


def test_ctrl_c_during_a_statement_undoes_everything_and_is_raised(host):
    actor = Actor("operator", name="root")
    user = host.users.create("ann@example.org", invite=False, actor=actor)

    @event.listens_for(host.engine, "before_cursor_execute")
    def interrupt(connection, cursor, statement, *_):
        if statement.startswith("UPDATE"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        host.users.deactivate(user.id, actor=actor)
    event.remove(host.engine, "before_cursor_execute", interrupt)
    assert host.users.get(str(user.id)).is_active
    host.users.deactivate(user.id, actor=actor)
    assert not host.users.get(str(user.id)).is_active
