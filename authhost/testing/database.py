"""A server's database for tests: emptied before each."""

from __future__ import annotations

import os

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

WORKER = "PYTEST_XDIST_WORKER"


def emptied(url: str) -> str:
    """Empty the database that ``url`` names, and return its URL.

    Each worker of pytest-xdist has one of its own, with its name behind that
    one's; it is made where it is missing.
    """
    worker = os.environ.get(WORKER)
    if worker is not None:
        own = make_url(url).set(database=f"{make_url(url).database}_{worker}")
        _make(url, str(own.database))
        url = own.render_as_string(hide_password=False)
    empty(url)
    return url


def _make(url: str, name: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    quoted = engine.dialect.identifier_preparer.quote_identifier(name)
    there = "SELECT 1 FROM pg_database WHERE datname = :name"
    if engine.dialect.name != "postgresql":
        there = "SELECT 1 FROM information_schema.schemata WHERE schema_name = :name"
    with engine.connect() as connection:
        if connection.execute(text(there), {"name": name}).first() is None:
            connection.execute(text(f"CREATE DATABASE {quoted}"))
    engine.dispose()


def empty(url: str) -> None:
    """Drop all tables of a server's database."""
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
