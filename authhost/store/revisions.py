"""The newest revision of a history, read from the source of its migrations.

Importing Alembic and building its environment takes longer than everything else in
the start of a host. If all identifiers are literals, as in Alembic's template, and the
history is linear, the source is enough. Otherwise Alembic reads the history.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any, NamedTuple

IDENTIFIERS = ("revision", "down_revision", "branch_labels", "depends_on")
"""What Alembic reads from the module of a migration."""
MENTIONS = re.compile(rf"\b(?:{'|'.join(IDENTIFIERS)})\b|import[\s\\]*\*")
"""Where a source may bind one of them."""


class Revision(NamedTuple):
    """The identifiers of one migration."""

    revision: str
    down_revision: str | None


def newest_revision(package: str) -> str | None:
    """Return the newest revision in a package of migrations, or None if Alembic has to find it.

    Alembic has to find it if there are branches, labels or dependencies, if a revision
    is missing or exists twice, if the package is empty, or if an identifier is not a
    literal. Raises the errors of importing the package.
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
    """Return a migration's identifiers, or None if one is not assigned exactly once at module level.

    Raises ``SyntaxError`` for invalid source and ``ValueError`` if a value is not a literal.
    """
    tree = ast.parse(source)
    values: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            values |= _literals(node.targets[0], node.value)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            values |= _literals(node.target, node.value)
    # If every mention is one of these assignments, nothing else binds a name: the tree need not be walked.
    # Python normalises names that are not ASCII.
    if not source.isascii() or len(MENTIONS.findall(source)) != len(values):
        bound = sum(name in IDENTIFIERS for node in ast.walk(tree) for name in _bound(node))
        if bound != len(values):
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
    """Return the identifiers that an assignment sets, such as ``revision = "2"``, with their values."""
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
    """Yield the names that a node binds. ``import *`` may bind any name, so it counts as an identifier."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.alias):
        yield IDENTIFIERS[0] if node.name == "*" else node.asname or node.name
