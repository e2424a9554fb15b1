"""SMTP (RFC 5321), over one connection for many messages."""

from __future__ import annotations

import io
import smtplib
import socket
import ssl
from base64 import b64encode
from email.message import EmailMessage
from time import monotonic
from uuid import UUID

from authhost_email.addresses import on_the_wire
from authhost_email.errors import Permanent
from authhost_email.settings import EmailSettings
from authhost_email.words import shown

LONGEST_REPLY = 65_536


class Smtp:
    """Only what a server says of a message or its recipient is held against the message."""

    def __init__(self, settings: EmailSettings) -> None:
        self._settings = settings
        self._server: smtplib.SMTP | None = None

    def send(self, identifier: UUID, recipient: str, message: EmailMessage) -> None:
        """A connection that the server has closed meanwhile is opened again, before anything is sent."""
        server = self._connected()
        sender = on_the_wire(self._settings.from_address)
        try:
            server.send_message(message, sender, [on_the_wire(recipient)])
        except smtplib.SMTPRecipientsRefused as error:
            code, said = next(iter(error.recipients.values()))
            self._ended(code)
            raise self._kind(code)(self._told(f"recipient refused, {code}", said)) from None
        except smtplib.SMTPNotSupportedError as error:
            raise Permanent(self._told("the server takes no such address (SMTPUTF8)")) from error
        except smtplib.SMTPSenderRefused as error:
            self._ended(error.smtp_code)
            what = f"sender refused, {error.smtp_code}"
            raise ConnectionError(self._told(what, error.smtp_error)) from None
        except smtplib.SMTPResponseException as error:
            self._ended(error.smtp_code)
            what = f"refused, {error.smtp_code}"
            raise self._kind(error.smtp_code)(self._told(what, error.smtp_error)) from None
        except (OSError, smtplib.SMTPException) as error:
            self._ended(421)
            raise ConnectionError(self._broken(error)) from None

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
        try:
            return self._connect()
        except smtplib.SMTPAuthenticationError as error:
            self._ended(421)
            said = f"not authenticated, {error.smtp_code}"
            raise ConnectionError(self._told(said, error.smtp_error)) from None
        except UnicodeError:
            self._ended(421)
            said = "smtp_username and smtp_password must be ASCII, and the host a valid name (UnicodeError)"
            raise ConnectionError(self._told(said)) from None
        except (OSError, smtplib.SMTPException, ValueError) as error:
            self._ended(421)
            raise ConnectionError(self._broken(error)) from None

    def _told(self, what: str, said: str | bytes = "") -> str:
        """What happened, with the server's name and its own words."""
        settings = self._settings
        name, password = settings.smtp_username or "", settings.smtp_password or ""
        secrets = [
            password,
            *(b64encode(each.encode()).decode() for each in (password, f"\0{name}\0{password}")),
        ]
        words = shown(said, *(secrets if password else ()))
        return f"{settings.smtp_host}:{settings.smtp_port}: {what}{': ' if words else ''}{words}"

    def _broken(self, error: Exception) -> str:
        """What kept the connection from working, with the error's kind, by which it can be searched."""
        settings, kind = self._settings, type(error).__name__
        what: str
        said: str | bytes
        match error:
            case socket.gaierror():
                what, said = "the host name cannot be resolved", error.strerror or ""
            case TimeoutError():
                what, said = f"no answer within {settings.timeout:g} seconds", ""
            case ssl.SSLCertVerificationError():
                what, said = "TLS failed, certificate not accepted", error.verify_message
            case ssl.SSLError():
                what, said = (
                    f"TLS failed with smtp_tls {settings.smtp_tls!r}",
                    getattr(error, "reason", None) or str(error),
                )
            case smtplib.SMTPNotSupportedError():
                what, said = "the server does not offer what the settings ask for", str(error)
            case smtplib.SMTPResponseException():
                what, said = f"refused, {error.smtp_code}", error.smtp_error
            case OSError():
                what, said = "no connection", error.strerror or str(error)
            case _:
                what, said = "the server does not speak SMTP as expected", str(error)
        return f"{self._told(what, said)} ({kind})"

    def _connect(self) -> smtplib.SMTP:
        settings, tls = self._settings, ssl.create_default_context()
        where, timeout = (settings.smtp_host, settings.smtp_port), settings.timeout
        if settings.smtp_tls == "tls":
            server: smtplib.SMTP = _OverTls(*where, timeout=timeout, context=tls)
        else:
            server = _Patient(*where, timeout=timeout)
        self._server = server
        if settings.smtp_tls == "starttls":
            server.starttls(context=tls)
        if settings.smtp_username is not None:
            server.login(settings.smtp_username, settings.smtp_password or "")
        server.ehlo_or_helo_if_needed()
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


class _Patient(smtplib.SMTP):
    """Waits for a whole reply as long as the time-out says; the library does so for each piece of it."""

    _replies: _Replies

    def getreply(self) -> tuple[int, bytes]:
        """The next reply; the connection ends where there is no end to it."""
        if self.file is None and self.sock is not None:
            self._replies = _Replies(self.sock)
            self.file = io.BufferedReader(self._replies)
        self._replies.begin()
        return super().getreply()


class _OverTls(_Patient, smtplib.SMTP_SSL):
    """With TLS from the first byte."""


class _Replies(io.RawIOBase):
    """What the server says, of which a reply takes so much and so long, and no more."""

    def __init__(self, connection: socket.socket) -> None:
        self._raw = connection.makefile("rb", buffering=0)
        self._timeout = connection.gettimeout() or 0.0

    def begin(self) -> None:
        """From here on it is another reply."""
        self._left, self._end = LONGEST_REPLY, monotonic() + self._timeout

    def readable(self) -> bool:
        """It is for reading."""
        return True

    def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override]
        """One piece. Raises `TimeoutError` after too many, or too late."""
        if self._left <= 0 or monotonic() > self._end:
            raise TimeoutError("there is no end to the reply")
        count = self._raw.readinto(buffer)
        self._left -= count or 0
        return count

    def close(self) -> None:
        """Let go of the connection."""
        self._raw.close()
        super().close()
