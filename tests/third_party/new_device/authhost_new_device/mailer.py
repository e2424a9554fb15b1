"""A thread that sends mails, so that a login does not wait for an SMTP server."""

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
    """Sends the mails of a queue, one after the other."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._queue: Queue[EmailMessage | None] = Queue(LONGEST_QUEUE)
        self._thread = threading.Thread(target=self._run, name="authhost-newdevice", daemon=True)
        self._thread.start()

    def put(self, message: EmailMessage) -> None:
        """Queue ``message``. Raises ``queue.Full`` if the server has not accepted mails for a long time."""
        self._queue.put_nowait(message)

    def stop(self) -> None:
        """Send the queued mails, then end the thread."""
        self._queue.put(None)
        self._thread.join(timeout=30)

    def _run(self) -> None:
        while (message := self._queue.get()) is not None:
            try:
                with smtplib.SMTP(self._host, self._port, timeout=TIMEOUT) as server:
                    server.send_message(message)
            except Exception as error:  # one mail must not end the thread
                # The text of the error may contain the address.
                log.error("a notice was not sent: %s", type(error).__name__)
