"""The tables of a server's database, kept from one test to the next.

Migrations take most of the time that opening a host on a server takes. If a test leaves
the tables as the migrations have made them, it is enough for the next test with the same
migrations to delete the rows. Everything is compared with what the migrations have made;
if anything differs, the caller drops all tables. Only this process remembers what they made,
so after a crash the tables are dropped, too.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from sqlalchemy import (
    Connection,
    NullPool,
    Select,
    create_engine,
    delete,
    literal_column,
    select,
    table,
    text,
    union_all,
)
from sqlalchemy.exc import SQLAlchemyError

OF_SCHEMA = "= 'public'::regnamespace"
OF_RELATION = "IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)"
OF_TYPE = "IN (SELECT oid FROM pg_type WHERE typnamespace = 'public'::regnamespace)"
POSTGRESQL_OBJECTS = {
    "pg_class": f"relnamespace {OF_SCHEMA}",
    "pg_type": f"typnamespace {OF_SCHEMA}",
    "pg_proc": f"pronamespace {OF_SCHEMA}",
    "pg_constraint": f"connamespace {OF_SCHEMA}",
    "pg_attribute": f"attrelid {OF_RELATION}",
    "pg_attrdef": f"adrelid {OF_RELATION}",
    "pg_index": f"indrelid {OF_RELATION}",
    "pg_inherits": f"inhparent {OF_RELATION}",
    "pg_sequence": f"seqrelid {OF_RELATION}",
    "pg_trigger": f"tgrelid {OF_RELATION}",
    "pg_rewrite": f"ev_class {OF_RELATION}",
    "pg_policy": f"polrelid {OF_RELATION}",
    "pg_enum": f"enumtypid {OF_TYPE}",
}
"""The catalogues that describe a schema, and which of their rows belong to the one for tests."""
RESET_SEQUENCE = text(
    "SELECT setval(seqrelid::regclass, coalesce(CAST(:value AS bigint), seqstart), "
    "CAST(:value AS bigint) IS NOT NULL) "
    "FROM pg_sequence JOIN pg_class ON pg_class.oid = seqrelid "
    "WHERE relname = :name AND relnamespace = 'public'::regnamespace"
)


class _Made(NamedTuple):
    """What migrations have made in a database."""

    objects: Hashable
    """The definitions of tables, indexes, triggers and so on."""
    rows: dict[str, list[str]]
    """The rows of each table that is not empty: the revisions, and what a migration has inserted."""
    sequences: dict[str, int | None]
    """PostgreSQL: the last value of each sequence; None if it was not used."""


_made: dict[str, tuple[Hashable, _Made]] = {}
"""For each URL the migrations that were applied to an empty database, and what they have made."""


def remember_tables(url: str, migrations: Hashable) -> None:
    """Remember what ``migrations`` have made in the database at ``url``, which was empty before."""
    with suppress(SQLAlchemyError), _connect(url) as connection:
        _made[url] = migrations, _read(connection)


def delete_rows(url: str, migrations: Hashable) -> bool:
    """Delete what was inserted since `remember_tables`, and reset the counters of identities.

    Returns whether the database is now as ``migrations`` have made it. Otherwise it may
    contain anything, and nothing is remembered.
    """
    found = _made.pop(url, None)
    if found is None or found[0] != migrations:
        return False
    made = found[1]
    try:
        with _connect(url) as connection:
            if connection.dialect.name == "postgresql":
                _delete_on_postgresql(connection, made)
            else:
                _delete_on_mariadb(connection, made)
            if _read(connection) != made:
                return False
    except SQLAlchemyError:  # for instance a role that may not switch off triggers
        return False
    _made[url] = found
    return True


@contextmanager
def _connect(url: str) -> Iterator[Connection]:
    """Open a transaction on a connection of its own, whose settings no host sees."""
    with create_engine(url, poolclass=NullPool).begin() as connection:
        yield connection


def _read(connection: Connection) -> _Made:
    rows = {}
    for name in _filled(connection):
        all_rows: Select[Any] = select(literal_column("*")).select_from(table(name))
        rows[name] = sorted(map(repr, connection.execute(all_rows)))
    if connection.dialect.name == "postgresql":
        return _Made(_postgresql_objects(connection), rows, _sequences(connection))
    return _Made(_mariadb_objects(connection), rows, {})


def _filled(connection: Connection) -> list[str]:
    """Return the tables that have rows."""
    if connection.dialect.name == "postgresql":
        tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    else:
        tables = "SHOW TABLES"
    names = connection.execute(text(tables)).scalars().all()
    if not names:
        return []
    each: list[Select[Any]] = []
    for number, name in enumerate(names):
        first: Select[Any] = select(literal_column("1")).select_from(table(name)).limit(1)
        each.append(select(literal_column(str(number))).select_from(first.subquery(f"table_{number}")))
    return [names[number] for number in connection.execute(union_all(*each)).scalars()]


def _delete_on_postgresql(connection: Connection, made: _Made) -> None:
    connection.execute(text("SET LOCAL session_replication_role = replica"))  # no trigger, no foreign key
    for name in set(_filled(connection)).difference(made.rows):
        connection.execute(delete(table(name)))
    now = _sequences(connection)
    for name in now.keys() & made.sequences.keys():
        if now[name] != made.sequences[name]:
            connection.execute(RESET_SEQUENCE, {"name": name, "value": made.sequences[name]})


def _delete_on_mariadb(connection: Connection, made: _Made) -> None:
    connection.execute(text("SET FOREIGN_KEY_CHECKS = 0"))
    counted = (
        "SELECT table_name FROM information_schema.tables "
        "WHERE table_schema = DATABASE() AND auto_increment > 1"
    )
    with_triggers = (
        "SELECT event_object_table FROM information_schema.triggers WHERE trigger_schema = DATABASE()"
    )
    truncated = set(connection.execute(text(f"{counted} UNION {with_triggers}")).scalars())
    filled = set(_filled(connection))
    for name in filled - truncated - made.rows.keys():
        connection.execute(delete(table(name)))
    quote = connection.dialect.identifier_preparer.quote_identifier
    # It is slower than DELETE, but calls no trigger, and resets AUTO_INCREMENT.
    for name in truncated - made.rows.keys():
        connection.execute(text(f"TRUNCATE TABLE {quote(name)}"))


def _postgresql_objects(connection: Connection) -> Hashable:
    """Return each row that describes the schema, with the transaction that has written it."""
    each: list[Select[Any]] = [
        select(literal_column(f"'{catalogue}', ctid::text, xmin::text"))
        .select_from(table(catalogue, schema="pg_catalog"))
        .where(text(of_schema))
        for catalogue, of_schema in POSTGRESQL_OBJECTS.items()
    ]
    return frozenset(map(tuple, connection.execute(union_all(*each))))


def _sequences(connection: Connection) -> dict[str, int | None]:
    last = "SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'public'"
    return {row.sequencename: row.last_value for row in connection.execute(text(last))}


def _mariadb_objects(connection: Connection) -> Hashable:
    """Return the definitions of all tables, views and triggers. They contain AUTO_INCREMENT, too."""
    names = connection.execute(text("SHOW TABLES")).scalars().all()
    quote = connection.dialect.identifier_preparer.quote_identifier
    shown = [text(f"SHOW CREATE TABLE {quote(name)}") for name in names]
    definitions = tuple(tuple(connection.execute(each).one())[:2] for each in shown)
    return definitions, tuple(map(tuple, connection.execute(text("SHOW TRIGGERS"))))
