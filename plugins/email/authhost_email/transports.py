"""How a message leaves."""

from __future__ import annotations

import os
import smtplib
import ssl
import subprocess
import sys
from collections.abc import Callable
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol
from uuid import UUID

from authhost_email.settings import EmailSettings

TRANSPORTS = "authhost_email.transports"
"""The group of entry points by which a package brings a transport: a class, called with the settings."""


class Permanent(Exception):
    """The message will never be taken: trying again is of no use."""


class Transport(Protocol):
    """Sends messages one after the other; may keep a connection until it is closed."""

    def send(self, identifier: UUID, recipient: str, message: EmailMessage) -> None:
        """Hand one over. Raises `Permanent`, or `OSError` where it may be tried again."""

    def close(self) -> None:
        """No more for now."""


class Smtp:
    """RFC 5321, over one connection for many messages."""

    def __init__(self, settings: EmailSettings) -> None:
        self._settings = settings
        self._server: smtplib.SMTP | None = None

    def send(self, identifier: UUID, recipient: str, message: EmailMessage) -> None:
        """A connection that the server has closed meanwhile is opened again, before anything is sent."""
        try:
            server = self._connected()
            server.send_message(message, self._settings.from_address, [recipient])
        except smtplib.SMTPRecipientsRefused as error:
            code = next(iter(error.recipients.values()))[0]
            self._ended(code)
            raise self._kind(code)(f"recipient refused, {code}") from None
        except smtplib.SMTPNotSupportedError as error:
            raise Permanent("the server takes no such address (SMTPUTF8)") from error
        except smtplib.SMTPAuthenticationError as error:
            self._ended(421)
            raise ConnectionError(f"not authenticated, {error.smtp_code}") from None
        except smtplib.SMTPResponseException as error:
            self._ended(error.smtp_code)
            raise self._kind(error.smtp_code)(f"refused, {error.smtp_code}") from None
        except (OSError, smtplib.SMTPException) as error:
            self._ended(421)
            raise ConnectionError(type(error).__name__) from None

    @staticmethod
    def _kind(code: int) -> type[Exception]:
        return Permanent if code >= 500 else ConnectionError

    def _connected(self) -> smtplib.SMTP:
        if self._server is not None:
            try:
                if self._server.noop()[0] == 250:
                    return self._server
            except (OSError, smtplib.SMTPException):
                pass
            self.close()
        settings, tls = self._settings, ssl.create_default_context()
        where, timeout = (settings.smtp_host, settings.smtp_port), settings.timeout
        if settings.smtp_tls == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(*where, timeout=timeout, context=tls)
        else:
            server = smtplib.SMTP(*where, timeout=timeout)
        if settings.smtp_tls == "starttls":
            server.starttls(context=tls)
        if settings.smtp_username is not None:
            server.login(settings.smtp_username, settings.smtp_password or "")
        self._server = server
        return server

    def _ended(self, code: int) -> None:
        """After 421, or where nothing came back, the connection is of no use any more."""
        if code == 421 or code < 0:
            self.close()

    def close(self) -> None:
        """Say good-bye, if there is somebody to say it to."""
        server, self._server = self._server, None
        if server is not None:
            try:
                server.quit()
            except (OSError, smtplib.SMTPException):
                server.close()


class Folder:
    """A folder of .eml files, each of which appears whole."""

    def __init__(self, settings: EmailSettings) -> None:
        self._folder = Path(settings.directory)

    def send(self, identifier: UUID, recipient: str, message: EmailMessage) -> None:
        """One file a message; a message that is sent again takes its own place."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        whole, part = self._folder / f"{identifier}.eml", self._folder / f".{identifier}.part"
        part.write_bytes(message.as_bytes(policy=SMTPUTF8))
        os.replace(part, whole)

    def close(self) -> None:
        """There is nothing to close."""


class Console:
    """Standard error, for development."""

    def __init__(self, settings: EmailSettings) -> None:
        pass

    def send(self, identifier: UUID, recipient: str, message: EmailMessage) -> None:
        """The text part, with the headers that matter."""
        body = message.get_body(("plain",))
        content = body.get_content() if body is not None else ""
        print(f"To: {recipient}\nSubject: {message['Subject']}\n\n{content}", file=sys.stderr)

    def close(self) -> None:
        """There is nothing to close."""


class Sendmail:
    """The local mail system's program."""

    def __init__(self, settings: EmailSettings) -> None:
        self._settings = settings

    def send(self, identifier: UUID, recipient: str, message: EmailMessage) -> None:
        """By its standard input; the recipient is an argument of its own, never part of a command line."""
        command = [self._settings.sendmail, "-i", "-f", self._settings.from_address, "--", recipient]
        try:
            done = subprocess.run(  # noqa: S603
                command,
                input=message.as_bytes(policy=SMTP),
                capture_output=True,
                timeout=self._settings.timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ConnectionError("sendmail took too long") from None
        if done.returncode in PERMANENT_EXITS:
            raise Permanent(f"sendmail: exit {done.returncode}")
        if done.returncode:
            raise ConnectionError(f"sendmail: exit {done.returncode}")

    def close(self) -> None:
        """There is nothing to close."""


PERMANENT_EXITS = (64, 65, 67, 68)
"""sysexits.h: usage, data, no such user, no such host."""
BUILT_IN: dict[str, Callable[[EmailSettings], Transport]] = {
    "smtp": Smtp,
    "file": Folder,
    "console": Console,
    "sendmail": Sendmail,
}


def transport_of(settings: EmailSettings) -> Transport:
    """The transport that is set; raises ``ValueError`` for one that there is not."""
    built_in = BUILT_IN.get(settings.transport)
    if built_in is not None:
        return built_in(settings)
    for entry in entry_points(group=TRANSPORTS, name=settings.transport):
        brought: Transport = entry.load()(settings)
        return brought
    raise ValueError(
        f"there is no transport {settings.transport!r}; there are {', '.join(BUILT_IN)}, "
        f"and those of entry points in group {TRANSPORTS}"
    )
