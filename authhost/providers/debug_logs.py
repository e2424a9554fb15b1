"""Suppress the debug logs of the HTTP and OAuth libraries, which contain secrets."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

LOGGERS = (
    "oauthlib.oauth1.rfc5849",
    "oauthlib.oauth1.rfc5849.signature",
    "requests_oauthlib.oauth1_auth",
    "requests_oauthlib.oauth1_session",
    "requests_oauthlib.oauth2_session",
    "urllib3.connectionpool",
)
"""Loggers that write tokens, codes and whole responses at level DEBUG."""

_thread = threading.local()


class _DebugFilter(logging.Filter):
    """Drops debug records that this thread writes inside `suppress_debug_logs`."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno > logging.DEBUG or not getattr(_thread, "suppressed", False)


_debug_filter = _DebugFilter()


@contextmanager
def suppress_debug_logs() -> Iterator[None]:
    """Drop the debug records of `LOGGERS` on this thread; other threads still write theirs."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_debug_filter)
    before, _thread.suppressed = getattr(_thread, "suppressed", False), True
    try:
        yield
    finally:
        _thread.suppressed = before
