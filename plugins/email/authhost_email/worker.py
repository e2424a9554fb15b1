"""A thread that delivers messages in the background."""

from __future__ import annotations

import logging
import threading

from sqlalchemy.exc import OperationalError, ProgrammingError

from authhost_email.errors import UnknownTransport
from authhost_email.outbox import DeliveryResult, Outbox
from authhost_email.redaction import redact

log = logging.getLogger("authhost.email")

POLL_INTERVAL = 5.0
"""Seconds."""


def deliver(outbox: Outbox) -> DeliveryResult:
    """Deliver all messages that are due. Returns the numbers of messages.

    An error is logged and not raised, because delivery is tried again later.
    """
    try:
        return outbox.deliver()
    except UnknownTransport as error:
        log.error("the outbox could not be delivered: %s", error)
    except (OperationalError, ProgrammingError) as error:
        detail, *_ = str(error.orig).splitlines() or [""]
        log.error("the outbox could not be delivered: %s: %s", type(error).__name__, redact(detail))
    except Exception as error:  # its text may quote a message
        log.error("the outbox could not be delivered: %s", type(error).__name__)
    return DeliveryResult()


class Worker:
    """Delivers when it is woken after a commit, and every `POLL_INTERVAL` seconds."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._wake = threading.Event()
        self._stop = False
        self._thread = threading.Thread(target=self._run, name="authhost-email", daemon=True)
        self._thread.start()

    def is_alive(self) -> bool:
        """Return whether the thread runs."""
        return self._thread.is_alive()

    def wake(self) -> None:
        """Wake the thread: there may be messages."""
        self._wake.set()

    def stop(self) -> None:
        """Deliver all messages that are due, then end the thread."""
        self._stop = True
        self._wake.set()
        self._thread.join(timeout=30)

    def _run(self) -> None:
        while True:
            last = self._stop
            self._wake.clear()
            deliver(self._outbox)
            if last:
                return
            self._wake.wait(POLL_INTERVAL)
