"""What a server or a transport said, so that it can be shown and stored."""

from __future__ import annotations

import re

LINK = re.compile(r"\S*://\S*")
LONG_TOKEN = re.compile(r"(?=[\w+=-]*[A-Z])[\w+=-]{32,}|[0-9a-f]{32,}", re.ASCII)
"""Looks random: a key of a link has 43 characters, and a server may quote a line of the message."""


def shown(said: str | bytes, *secrets: str, longest: int = 160) -> str:
    """Return what was said as one printable line, without links, what looks like a key, and ``secrets``."""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    for secret in secrets:
        text = text.replace(secret, "[hidden]") if secret else text
    text = LONG_TOKEN.sub("[hidden]", LINK.sub("[link]", text))
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
