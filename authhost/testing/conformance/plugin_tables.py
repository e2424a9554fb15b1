"""The tables of a host that belong to plugins, and the host's own tables that a plugin must not write to."""

from __future__ import annotations

import re
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import MetaData, Table, inspect, select

from authhost.host import AuthHost
from authhost.store.tables import metadata as host_metadata

HOST_TABLES = frozenset(host_metadata.tables)
WRITE_STATEMENT = re.compile(r"\s*(?:insert\s+into|update|delete\s+from)\s+[\"`]?(\w+)", re.IGNORECASE)
DELETE_STATEMENT = re.compile(r"\s*delete\s+from\s+[\"`]?(\w+)[\"`]?\s*;?\s*", re.IGNORECASE)

Rows = dict[str, list[dict[str, Any]]]
"""Rows by the name of their table."""


def written_host_table(statement: str) -> str | None:
    """The host's own table that an SQL statement writes to, or None."""
    match = WRITE_STATEMENT.match(statement)
    return match[1] if match and match[1] in HOST_TABLES else None


def emptied_table(statement: str) -> str | None:
    """The table from which an SQL statement without a condition deletes all rows, or None."""
    match = DELETE_STATEMENT.fullmatch(statement)
    return match[1] if match else None


def plugin_rows(host: AuthHost) -> Rows:
    """All rows of all tables that are not the host's own."""
    tables = plugin_tables(host)
    with host.engine.connect() as connection:
        return {
            table.name: [dict(row) for row in connection.execute(select(table)).mappings()]
            for table in tables
        }


_reflected: WeakKeyDictionary[AuthHost, MetaData] = WeakKeyDictionary()


def plugin_tables(host: AuthHost) -> list[Table]:
    """The tables that are not the host's own, as the migrations have made them."""
    names = {
        each
        for each in inspect(host.engine).get_table_names()
        if each not in HOST_TABLES and not each.endswith("_version")
    }
    metadata = _reflected.get(host)
    if metadata is None or not names <= metadata.tables.keys():  # a plugin may create one at any time
        _reflected[host] = metadata = MetaData()
        metadata.reflect(host.engine, only=sorted(names))
    return [table for table in metadata.sorted_tables if table.name in names]
