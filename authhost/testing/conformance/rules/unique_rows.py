"""A rule about rows that two requests at the same time may both insert."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Table, UniqueConstraint

from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.rules.reach import in_flows
from authhost.testing.conformance.source import PluginSource, Reached, dotted, own_nodes

OF_ONE_USER = frozenset({"user_id", "account_id", "session_id", "id"})
"""Columns by which only one request at a time inserts a row."""


def checked_before_insert(source: PluginSource) -> Iterator[Fault]:
    """A query whether a unique value is free, and then `Request.insert`."""
    compared: dict[str, set[tuple[str, str]]] = {}
    for reached in in_flows(source):
        compared.setdefault(reached.hook, set()).update(_compared_columns(reached))
    for reached in in_flows(source):
        for node in own_nodes(reached.node):
            if not isinstance(node, ast.Call) or dotted(node.func) != "request.insert" or not node.args:
                continue
            table: Any = reached.value(node.args[0])
            if not isinstance(table, Table):
                continue
            for column in sorted(_unique_columns(table)):
                if (table.name, column) in compared[reached.hook]:
                    yield Fault(
                        f"looks for {column} in {table.name} and then inserts it with request.insert: two "
                        "requests at once both find it free, and all rows of the second are dropped; use "
                        "request.db with begin_nested(), and catch IntegrityError",
                        reached.hook,
                        reached.at(node),
                    )


def _compared_columns(reached: Reached) -> Iterator[tuple[str, str]]:
    """The tables and columns of conditions such as ``table.c.column == value``."""
    for node in own_nodes(reached.node):
        left = node.left if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq) else None
        if isinstance(left, ast.Attribute) and isinstance(left.value, ast.Attribute):
            table: Any = reached.value(left.value.value)
            if left.value.attr in ("c", "columns") and isinstance(table, Table):
                yield table.name, left.attr


def _unique_columns(table: Table) -> set[str]:
    groups = [[each.name] for each in table.columns if each.unique]
    unique: list[Any] = [each for each in table.constraints if isinstance(each, UniqueConstraint)]
    unique += [each for each in table.indexes if each.unique]
    groups += [[str(each.name) for each in group.columns] for group in unique]
    return {name for group in groups if not OF_ONE_USER & set(group) for name in group}
