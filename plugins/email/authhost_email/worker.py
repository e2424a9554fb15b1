"""A thread that delivers."""

from __future__ import annotations

import logging
import threading

from sqlalchemy.exc import OperationalError, ProgrammingError

from authhost_email.errors import NoSuchTransport
from authhost_email.outbox import Outbox
from authhost_email.words import shown

log = logging.getLogger("authhost.email")

IDLE = 5.0


def deliver(outbox: Outbox) -> int:
    """Deliver what is due; return how many were sent. An error is logged: there is a next time."""
    try:
        return outbox.deliver_pending()
    except NoSuchTransport as error:
        log.error("the outbox could not be delivered: %s", error)
        return 0
    except (OperationalError, ProgrammingError) as error:
        said, *_ = str(error.orig).splitlines() or [""]
        log.error("the outbox could not be delivered: %s: %s", type(error).__name__, shown(said))
        return 0
    except Exception as error:  # its words may quote a message
        log.error("the outbox could not be delivered: %s", type(error).__name__)
        return 0


class Worker:
    """Woken by each commit that put a message into the outbox."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._wake = threading.Event()
        self._stop = False
        self._thread = threading.Thread(target=self._run, name="authhost-email", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """There may be something to do."""
        self._wake.set()

    def stop(self) -> None:
        """Deliver what is due, then end."""
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
            self._wake.wait(IDLE)
