"""What a misspelt name may have meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def suggestion(name: str, names: Iterable[str]) -> str:
    """Return a sentence with the name that is most like ``name``, after a space; otherwise an empty text."""
    near = get_close_matches(name[:100], list(names), 1)
    return f" Did you mean {near[0]!r}?" if near else ""
