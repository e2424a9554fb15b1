"""Removes secrets from answers of servers and transports, so that they can be shown and stored."""

from __future__ import annotations

import re

LINK = re.compile(r"\S*://\S*")
LONG_TOKEN = re.compile(r"(?=[\w+=-]*[A-Z])[\w+=-]{32,}|[0-9a-f]{32,}", re.ASCII)
"""A text that looks random. The key of a link has 43 characters, and a server may quote the message."""


def redact(answer: str | bytes, *secrets: str, longest: int = 160) -> str:
    """Return a text as one printable line, without links, text that looks like a key, and ``secrets``.

    ``longest`` is the maximum length in characters.
    """
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    for secret in secrets:
        text = text.replace(secret, "[hidden]") if secret else text
    text = LONG_TOKEN.sub("[hidden]", LINK.sub("[link]", text))
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
