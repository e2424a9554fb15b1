"""The database of a server for tests. It is emptied before each test."""

from __future__ import annotations

import os

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

WORKER_VARIABLE = "PYTEST_XDIST_WORKER"


def empty_database(url: str) -> str:
    """Drop all tables of the database that `own_database` returns for ``url``, and return its URL.

    ``open_host(own_database(url), …, empty=True)`` is faster where the next thing is a host.
    """
    url = own_database(url)
    drop_all_tables(url)
    return url


def own_database(url: str) -> str:
    """Return the URL of the database to use instead of the one at ``url``.

    Each worker of pytest-xdist has its own database: the name ends with that
    of the worker, and the database is created if it does not exist.
    """
    worker = os.environ.get(WORKER_VARIABLE)
    if worker is None:
        return url
    own = make_url(url).set(database=f"{make_url(url).database}_{worker}")
    _create_database(url, str(own.database))
    return own.render_as_string(hide_password=False)


def _create_database(url: str, name: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    quoted = engine.dialect.identifier_preparer.quote_identifier(name)
    exists = "SELECT 1 FROM pg_database WHERE datname = :name"
    if engine.dialect.name != "postgresql":
        exists = "SELECT 1 FROM information_schema.schemata WHERE schema_name = :name"
    with engine.connect() as connection:
        if connection.execute(text(exists), {"name": name}).first() is None:
            connection.execute(text(f"CREATE DATABASE {quoted}"))
    engine.dispose()


def drop_all_tables(url: str) -> None:
    """Drop all tables of a database on PostgreSQL or MariaDB."""
    engine = create_engine(url)
    quote = engine.dialect.identifier_preparer.quote_identifier
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
        else:
            names = connection.execute(text("SHOW TABLES")).scalars().all()
            connection.execute(text("SET FOREIGN_KEY_CHECKS = 0"))
            for name in names:
                connection.execute(text(f"DROP TABLE {quote(name)}"))
    engine.dispose()
