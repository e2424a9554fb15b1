"""A rule about comparisons of values whose types never match, such as of a UUID with a text."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.rules.inferred_types import items_of, names_of, type_of
from authhost.testing.conformance.rules.reach import in_flows
from authhost.testing.conformance.source import UNKNOWN, PluginSource, Reached, dotted, own_nodes


def never_equal(source: PluginSource) -> Iterator[Fault]:
    """Comparisons that have the same result for all values."""
    for reached in in_flows(source):
        for node in own_nodes(reached.node):
            if not isinstance(node, ast.Compare):
                continue
            operands = [node.left, *node.comparators]
            for left, operator, right in zip(operands, node.ops, operands[1:], strict=False):
                shown = _mismatch(reached, left, operator, right)
                if shown:
                    yield Fault(
                        f"compares {shown}, which are never equal, so the code behind this condition does "
                        "not do what it says; convert one of them, such as with str()",
                        reached.hook,
                        reached.at(node),
                    )


def _mismatch(reached: Reached, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> str | None:
    if not isinstance(operator, ast.Eq | ast.NotEq | ast.In | ast.NotIn):
        return None
    first, second = type_of(reached, left), type_of(reached, right)
    if isinstance(operator, ast.In | ast.NotIn):
        second = items_of(second)
    if first is UNKNOWN or second is UNKNOWN:
        return None
    one, two = names_of(first), names_of(second)
    if one is None or two is None or one & two:
        return None
    what = "items of " if isinstance(operator, ast.In | ast.NotIn) else ""
    kinds = ["|".join(sorted(each)) for each in (one, two)]
    return f"{dotted(left)[:40]} ({kinds[0]}) with {what}{dotted(right)[:40]} ({kinds[1]})"
