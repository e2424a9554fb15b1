"""A thread that sends mail, so that no login waits for an SMTP server."""

from __future__ import annotations

import logging
import smtplib
import threading
from email.message import EmailMessage
from queue import Queue

log = logging.getLogger("authhost.newdevice")

TIMEOUT = 10.0
LONGEST_QUEUE = 1000


class Mailer:
    """Sends what is put into its queue, one after another."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._queue: Queue[EmailMessage | None] = Queue(LONGEST_QUEUE)
        self._thread = threading.Thread(target=self._run, name="authhost-newdevice", daemon=True)
        self._thread.start()

    def put(self, message: EmailMessage) -> None:
        """Send ``message`` soon. Raises ``queue.Full`` rather than wait, if the server is away for long."""
        self._queue.put_nowait(message)

    def stop(self) -> None:
        """Send what is in the queue, then end."""
        self._queue.put(None)
        self._thread.join(timeout=30)

    def _run(self) -> None:
        while (message := self._queue.get()) is not None:
            try:
                with smtplib.SMTP(self._host, self._port, timeout=TIMEOUT) as server:
                    server.send_message(message)
            except Exception as error:  # the thread goes on, whatever this message was
                # The error's text may carry the address.
                log.error("a notice was not sent: %s", type(error).__name__)
