"""The newest revision of a history, read from the source of its migrations.

Importing Alembic and building its environment takes longer than all else that
opening a host does. Where the revisions are a line of literals, which is what
Alembic's template writes, the source says as much. Anything else is left to Alembic.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.resources import files
from typing import Any, NamedTuple

IDENTIFIERS = ("revision", "down_revision", "branch_labels", "depends_on")
"""What Alembic reads from the module of a migration."""


class Revision(NamedTuple):
    """The identifiers of one migration."""

    revision: str
    down_revision: str | None


def newest_revision(package: str) -> str | None:
    """Return the newest revision in a package of migrations; None where Alembic has to say, or refuse, it.

    That is where the revisions are no line: with branches, labels or
    dependencies, where one is missing or is there twice, where the package is
    empty, and where an identifier is no literal. Raises what importing the package
    raises.
    """
    found: list[Revision] = []
    for path in files(package).iterdir():
        if not path.name.endswith(".py") or path.name.startswith((".#", "__init__")):
            continue  # as Alembic does
        try:
            read = _read(path.read_text(encoding="utf-8"))
        except (SyntaxError, ValueError):
            return None
        if read is None:
            return None
        found.append(read)
    return _end_of_line(found)


def _end_of_line(found: list[Revision]) -> str | None:
    follows = {each.down_revision: each.revision for each in found}
    newest, length = None, 0
    while newest in follows and length < len(found):
        newest, length = follows[newest], length + 1
    all_once = length == len(found) == len(follows) == len({each.revision for each in found})
    return newest if all_once and newest not in follows else None


def _read(source: str) -> Revision | None:
    """Return a migration's identifiers; None unless each is assigned once, in the body of the module.

    Raises ``SyntaxError`` and ``ValueError`` for what is no source or no literal.
    """
    tree = ast.parse(source)
    values: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            values |= _literals(node.targets[0], node.value)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            values |= _literals(node.target, node.value)
    if sum(name in IDENTIFIERS for node in ast.walk(tree) for name in _bound(node)) != len(values):
        return None
    if (
        values.get("branch_labels")
        or values.get("depends_on")
        or not {"revision", "down_revision"} <= set(values)
    ):
        return None
    revision, down = values["revision"], values["down_revision"]
    if not isinstance(revision, str) or not isinstance(down, str | None):
        return None
    return Revision(revision, down)


def _literals(target: ast.expr, value: ast.expr) -> dict[str, Any]:
    """The identifiers that an assignment sets, such as ``revision = "2"``, with their values."""
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        pairs = list(zip(target.elts, value.elts, strict=True))
    else:
        pairs = [(target, value)]
    return {
        name.id: ast.literal_eval(given)
        for name, given in pairs
        if isinstance(name, ast.Name) and name.id in IDENTIFIERS
    }


def _bound(node: ast.AST) -> Iterator[str]:
    """The names that a node binds. ``import *`` may bind any, and so counts as an identifier."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.alias):
        yield IDENTIFIERS[0] if node.name == "*" else node.asname or node.name
