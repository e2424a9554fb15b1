"""Repeats an action until Ctrl-C."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from authhost_hookspecs import Console

NEVER_SET = threading.Event()
"""Waiting for it pauses the process; Ctrl-C ends the wait."""


def repeat(console: Console, every: float, action: Callable[[], object]) -> None:
    """Run ``action`` every so many seconds until Ctrl-C. A database error is reported, and tried again."""
    from sqlalchemy.exc import OperationalError

    with suppress(KeyboardInterrupt):
        while True:
            try:
                action()
            except OperationalError as error:
                console.error(f"database error, trying again in {every:g} seconds: {error.orig}")
            NEVER_SET.wait(every)
