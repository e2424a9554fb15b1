"""Where the source of a plugin writes to its tables."""

from __future__ import annotations

import ast

from authhost.testing.conformance.source import PluginSource, dotted, own_nodes

WRITING = frozenset({"insert", "update"})
SECRET_NAMES = frozenset({"password", "token", "reveal", "link", "session_token", "confirmation", "given"})
"""Names of arguments and attributes that contain or reveal secrets."""


def stored_at(source: PluginSource, table: str) -> tuple[str | None, str | None]:
    """The hook, the file and the line that write to a table. Those that handle secrets come first."""
    found: list[tuple[bool, str, str]] = []
    for reached in source.reached:
        nodes = own_nodes(reached.node)
        for node in nodes:
            if not isinstance(node, ast.Call) or dotted(node.func).rpartition(".")[2] not in WRITING:
                continue
            tables = [getattr(reached.value(each), "name", None) for each in node.args]
            if table in tables:
                names = {each.id for each in nodes if isinstance(each, ast.Name)}
                names |= {each.attr for each in nodes if isinstance(each, ast.Attribute)}
                found.append((not names & SECRET_NAMES, reached.hook, reached.at(node)))
    found.sort(key=lambda each: each[0])
    return found[0][1:] if found else (None, None)
