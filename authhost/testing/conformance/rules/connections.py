"""Rules about connections: to servers without a time limit, and to the database without a commit."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from typing import Any

from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.source import UNKNOWN, PluginSource, Reached, dotted, own_nodes

POSITION_OF_TIMEOUT = {
    "urllib.request.urlopen": 2,
    "socket.create_connection": 1,
    "http.client.HTTPConnection": 2,
    "http.client.HTTPSConnection": None,
    "smtplib.SMTP": 3,
    "smtplib.SMTP_SSL": None,
    "ftplib.FTP": 4,
    "imaplib.IMAP4": 2,
    "imaplib.IMAP4_SSL": None,
    "requests.api.get": None,
    "requests.api.post": None,
    "requests.api.put": None,
    "requests.api.patch": None,
    "requests.api.delete": None,
    "requests.api.head": None,
    "requests.api.options": None,
    "requests.api.request": None,
    "requests.sessions.Session.get": None,
    "requests.sessions.Session.post": None,
    "requests.sessions.Session.put": None,
    "requests.sessions.Session.patch": None,
    "requests.sessions.Session.delete": None,
    "requests.sessions.Session.request": None,
    "subprocess.run": None,
    "subprocess.call": None,
    "subprocess.check_call": None,
    "subprocess.check_output": None,
}
"""Functions that wait for ever without a timeout, and the place of its argument if it has one."""
WRITES = frozenset({"delete", "update", "insert"})
WRITING_TEXT = re.compile(r"\s*(DELETE|UPDATE|INSERT|REPLACE)\b", re.IGNORECASE)


def no_timeout(source: PluginSource) -> Iterator[Fault]:
    """A call that waits for a server or a process without a time limit."""
    for reached in source.reached:
        for node in own_nodes(reached.node):
            if not isinstance(node, ast.Call):
                continue
            name = _full_name(reached.value(node.func))
            if name not in POSITION_OF_TIMEOUT or _has_timeout(node, POSITION_OF_TIMEOUT[name]):
                continue
            of_command = reached.hook == "register_commands"
            waits = "the command waits for ever" if of_command else "it holds a thread of the host for ever"
            yield Fault(
                f"calls {dotted(node.func)} without a timeout, so if it does not answer, {waits}; "
                "pass timeout=…",
                reached.hook,
                reached.at(node),
                note=of_command,
            )


def _full_name(value: Any) -> str:
    if value is UNKNOWN:
        return ""
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', '')}"


def _has_timeout(node: ast.Call, position: int | None) -> bool:
    for keyword in node.keywords:
        if keyword.arg is None:  # **options
            return True
        if keyword.arg == "timeout":
            return not (isinstance(keyword.value, ast.Constant) and keyword.value.value is None)
    if any(isinstance(each, ast.Starred) for each in node.args):
        return True
    return position is not None and len(node.args) > position


def uncommitted(source: PluginSource) -> Iterator[Fault]:
    """A change in a connection of the plugin's own that nothing commits, so that it is rolled back."""
    for reached in source.reached:
        nodes = own_nodes(reached.node)
        calls = [each for each in nodes if isinstance(each, ast.Call)]
        called = {dotted(each.func) for each in calls}
        for name in _connections(nodes):
            if any(f"{name}.{method}" in called for method in ("commit", "begin", "execution_options")):
                continue
            for node in calls:
                executes = dotted(node.func) == f"{name}.execute" and bool(node.args)
                if executes and _writes(reached, node.args[0]):
                    yield Fault(
                        f"changes the database with {name}.execute and never commits, so the change is "
                        "undone; use `with host.engine.begin() as connection:`",
                        reached.hook,
                        reached.at(node),
                    )


def _connections(nodes: Iterable[ast.AST]) -> set[str]:
    """The names that a function gives to connections of ``engine.connect()``."""
    found: set[str] = set()
    for node in nodes:
        pairs: list[tuple[ast.expr, ast.expr | None]] = []
        if isinstance(node, ast.With):
            pairs = [(item.context_expr, item.optional_vars) for item in node.items]
        elif isinstance(node, ast.Assign):
            pairs = [(node.value, target) for target in node.targets]
        for value, target in pairs:
            if isinstance(value, ast.Call) and dotted(value.func).endswith("engine.connect"):
                found.add(dotted(target))
    return found


def _writes(reached: Reached, node: ast.expr, seen: frozenset[str] = frozenset()) -> bool:
    """Whether a statement changes rows: built with SQLAlchemy, or as a text."""
    if isinstance(node, ast.Name):
        return node.id not in seen and any(
            _writes(reached, each.value, seen | {node.id})
            for each in own_nodes(reached.node)
            if isinstance(each, ast.Assign) and [dotted(target) for target in each.targets] == [node.id]
        )
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and node.func.attr not in WRITES:
            return any(_writes(reached, each, seen) for each in (node.func.value, *node.args))
        name = dotted(node.func).rpartition(".")[2]
        return name in WRITES or (name == "text" and any(_writes(reached, each, seen) for each in node.args))
    return isinstance(node, ast.Constant) and bool(WRITING_TEXT.match(str(node.value)))
