"""An SMTP server on loopback for the tour."""

from __future__ import annotations

import email
import email.policy
import queue
import re
import socket
from typing import Any

from authhost.errors import ConfigurationError

TIMEOUT = 20
"""Seconds to wait for a mail."""


class SMTPServer:
    """A real SMTP server that keeps all mails. Raises `ConfigurationError` if aiosmtpd is not installed."""

    def __init__(self) -> None:
        try:
            from aiosmtpd.controller import Controller
        except ImportError as error:
            raise ConfigurationError(
                "a local SMTP server needs aiosmtpd; run `pip install aiosmtpd`"
            ) from error
        self._unread: queue.Queue[Any] = queue.Queue()
        self.mails: list[Any] = []
        """All mails, in the order in which they arrived."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self._controller.start()

    async def handle_DATA(self, server: object, session: object, envelope: Any) -> str:
        """Called by aiosmtpd for each mail."""
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.mails.append(message)
        self._unread.put(message)
        return "250 OK"

    def key(self, to: str, page: str) -> str:
        """Wait for the mail to ``to`` that links to ``page``; return the key of its link.

        Raises ``queue.Empty`` if no mail arrives within `TIMEOUT`.
        """
        while True:
            message = self._unread.get(timeout=TIMEOUT)
            body = message.get_body(("plain",)).get_content()
            found = re.search(rf"/{page}/([\w-]+)", body)
            if found and message["To"] == to:
                return found[1]

    def stop(self) -> None:
        """Stop the server."""
        self._controller.stop()
