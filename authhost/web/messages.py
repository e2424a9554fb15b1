"""The cookie with messages for the next page."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import get_args

from authhost_hookspecs import MessageLevel, PageMessage

from authhost.web.inputs import UNUSABLE

MESSAGE_BYTES = 3000
"""The longest value of the cookie: browsers refuse a cookie above 4096 bytes."""


def pack(messages: Iterable[PageMessage]) -> str:
    """Return the value of the cookie; empty without messages. Those that do not fit are dropped."""
    kept: list[list[str]] = []
    packed = ""
    for each in messages:
        kept.append([each.level, each.text, each.code])
        text = base64.urlsafe_b64encode(json.dumps(kept).encode()).decode()
        if len(text) > MESSAGE_BYTES:
            break
        packed = text
    return packed


def unpack(packed: str) -> tuple[PageMessage, ...]:
    """Return the messages of a cookie. One that authhost did not write may have none."""
    try:
        found = json.loads(base64.urlsafe_b64decode(packed)) if packed else ()
        return tuple(
            PageMessage(level, text, code)
            for level, text, code in found
            if level in get_args(MessageLevel)
            and isinstance(text, str)
            and isinstance(code, str)
            and not UNUSABLE.search(text + code)
        )
    except (ValueError, TypeError, RecursionError):
        return ()
