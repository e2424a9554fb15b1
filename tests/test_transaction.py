"""What transactions guarantee: levels of isolation, failures of statements that were sent, and dead connections."""

from __future__ import annotations

import pytest
from conftest import PASSWORD
from sqlalchemy import Column, Integer, MetaData, String, Table, func, make_url, select, text

from authhost.store.tables import users

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
