"""The SMTP transport (RFC 5321). It sends many messages over one connection."""

from __future__ import annotations

import io
import smtplib
import socket
import ssl
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from time import monotonic
from uuid import UUID

from authhost_email.addresses import to_wire_format
from authhost_email.errors import Permanent
from authhost_email.redaction import redact
from authhost_email.settings import EmailSettings

MAX_REPLY_LENGTH = 65_536
ACCEPTED = 250
"""The reply code of a command that has succeeded (RFC 5321, section 4.2.3)."""


class Smtp:
    """Sends messages over SMTP.

    Only an answer about a message or its recipient is a permanent failure of the
    message. After all other errors the message is tried again.
    """

    def __init__(self, settings: EmailSettings) -> None:
        self._settings = settings
        self._server: smtplib.SMTP | None = None

    def send(self, identifier: UUID, recipient: str, message: EmailMessage) -> None:
        """Send a message. If the server has closed the connection, a new one is opened first."""
        server = self._open_connection()
        sender = to_wire_format(self._settings.from_address)
        try:
            server.send_message(message, sender, [to_wire_format(recipient)])
        except smtplib.SMTPRecipientsRefused as error:
            code, answer = next(iter(error.recipients.values()))
            self._close_if_unusable(code)
            raise self._error_class(code)(self._describe(f"recipient refused, {code}", answer)) from None
        except smtplib.SMTPNotSupportedError as error:
            raise Permanent(self._describe("the server does not support this address (SMTPUTF8)")) from error
        except smtplib.SMTPSenderRefused as error:
            self._close_if_unusable(error.smtp_code)
            what = f"sender refused, {error.smtp_code}"
            raise ConnectionError(self._describe(what, error.smtp_error)) from None
        except smtplib.SMTPResponseException as error:
            self._close_if_unusable(error.smtp_code)
            what = f"refused, {error.smtp_code}"
            raise self._error_class(error.smtp_code)(self._describe(what, error.smtp_error)) from None
        except (OSError, smtplib.SMTPException) as error:
            self._close_if_unusable(421)
            raise ConnectionError(self.describe_error(error)) from None

    @staticmethod
    def _error_class(code: int) -> type[Exception]:
        return Permanent if code >= 500 else ConnectionError

    def _open_connection(self) -> smtplib.SMTP:
        if self._server is not None:
            try:
                if self._server.noop()[0] == ACCEPTED:
                    return self._server
            except (OSError, smtplib.SMTPException):
                pass
            self.close()
        self.connect()
        self.start_tls()
        self.log_in()
        return self._connection

    # The steps of a connection. Each raises `ConnectionError` with a sentence.

    def connect(self) -> None:
        """Open a connection, with TLS from the start if ``smtp_tls`` is ``tls``."""
        settings = self._settings
        where, timeout = (settings.smtp_host, settings.smtp_port), settings.timeout
        with self._errors_described():
            if settings.smtp_tls == "tls":
                context = ssl.create_default_context()
                self._server = _LimitedSmtpOverTls(*where, timeout=timeout, context=context)
            else:
                self._server = _LimitedSmtp(*where, timeout=timeout)

    def start_tls(self) -> None:
        """Begin TLS (RFC 3207) if ``smtp_tls`` is ``starttls``."""
        if self._settings.smtp_tls == "starttls":
            with self._errors_described():
                self._connection.starttls(context=ssl.create_default_context())

    def log_in(self) -> None:
        """Log in (RFC 4954) if there is a ``smtp_username``."""
        with self._errors_described():
            if self._settings.smtp_username is not None:
                self._connection.login(self._settings.smtp_username, self._settings.smtp_password or "")
            self._connection.ehlo_or_helo_if_needed()

    def check_sender(self) -> None:
        """Ask the server whether it accepts the sender, without sending a message."""
        sender = to_wire_format(self._settings.from_address)
        options = () if sender.isascii() else ("SMTPUTF8", "BODY=8BITMIME")
        with self._errors_described():
            code, answer = self._connection.mail(sender, options)
            if code != ACCEPTED:
                raise smtplib.SMTPSenderRefused(code, answer, sender)
            self._connection.rset()

    @property
    def encryption(self) -> ssl.SSLSocket | None:
        """The TLS connection, or None if the connection has no TLS."""
        connection = self._connection.sock
        return connection if isinstance(connection, ssl.SSLSocket) else None

    @property
    def _connection(self) -> smtplib.SMTP:
        if self._server is None:
            raise ConnectionError(self._describe("there is no connection"))
        return self._server

    @contextmanager
    def _errors_described(self) -> Iterator[None]:
        try:
            yield
        except smtplib.SMTPAuthenticationError as error:
            self._close_if_unusable(421)
            what = f"not authenticated, {error.smtp_code}"
            raise ConnectionError(self._describe(what, error.smtp_error)) from None
        except smtplib.SMTPSenderRefused as error:
            self._close_if_unusable(error.smtp_code)
            what = f"sender refused, {error.smtp_code}"
            raise ConnectionError(self._describe(what, error.smtp_error)) from None
        except UnicodeError:
            self._close_if_unusable(421)
            what = "smtp_username and smtp_password must be ASCII, and smtp_host a valid name (UnicodeError)"
            raise ConnectionError(self._describe(what)) from None
        except (OSError, smtplib.SMTPException, ValueError) as error:
            self._close_if_unusable(421)
            raise ConnectionError(self.describe_error(error)) from None

    def _describe(self, what: str, detail: str | bytes = "") -> str:
        """Return one line: the server, what happened, and the server's own words (``detail``), redacted."""
        settings = self._settings
        name, password = settings.smtp_username or "", settings.smtp_password or ""
        secrets = [
            password,
            *(b64encode(each.encode()).decode() for each in (password, f"\0{name}\0{password}")),
        ]
        words = redact(detail, *(secrets if password else ()))
        return f"{settings.smtp_host}:{settings.smtp_port}: {what}{': ' if words else ''}{words}"

    def describe_error(self, error: Exception) -> str:
        """Return why the connection does not work, with the type of the error, which users can search for."""
        settings, kind = self._settings, type(error).__name__
        what: str
        detail: str | bytes
        match error:
            case socket.gaierror():
                what, detail = "the host name cannot be resolved", error.strerror or ""
            case UnicodeError():
                what, detail = "the host name is not valid", ""
            case TimeoutError():
                what, detail = f"no answer within {settings.timeout:g} seconds", ""
            case ssl.SSLCertVerificationError():
                what, detail = "TLS failed, certificate not accepted", error.verify_message
            case ssl.SSLError():
                what, detail = (
                    f"TLS failed with smtp_tls {settings.smtp_tls!r}",
                    getattr(error, "reason", None) or str(error),
                )
            case smtplib.SMTPNotSupportedError():
                what, detail = "the server does not support what the settings require", str(error)
            case smtplib.SMTPResponseException():
                what, detail = f"refused, {error.smtp_code}", error.smtp_error
            case OSError():
                what, detail = "no connection", error.strerror or str(error)
            case _:
                what, detail = "the server does not speak SMTP as expected", str(error)
        return f"{self._describe(what, detail)} ({kind})"

    def _close_if_unusable(self, code: int) -> None:
        """Close the connection if it cannot be used after this reply code (421, or no reply)."""
        if code == 421 or code < 0:
            self.close()

    def close(self) -> None:
        """Close the connection, if there is one."""
        server, self._server = self._server, None
        if server is not None:
            try:
                server.quit()
            except (OSError, smtplib.SMTPException):
                server.close()


class _LimitedSmtp(smtplib.SMTP):
    """Limits the time of a whole reply. The library's time-out starts again with each received part."""

    _reply_reader: _ReplyReader

    def getreply(self) -> tuple[int, bytes]:
        """Return the next reply. Raises `TimeoutError` if it takes too long or is too long."""
        if self.file is None and self.sock is not None:
            self._reply_reader = _ReplyReader(self.sock)
            self.file = io.BufferedReader(self._reply_reader)
        self._reply_reader.begin()
        return super().getreply()


class _LimitedSmtpOverTls(_LimitedSmtp, smtplib.SMTP_SSL):
    """The same with TLS from the start of the connection."""


class _ReplyReader(io.RawIOBase):
    """Reads the replies of a server. A reply has a maximum length and a maximum time."""

    def __init__(self, connection: socket.socket) -> None:
        self._raw = connection.makefile("rb", buffering=0)
        self._timeout = connection.gettimeout() or 0.0

    def begin(self) -> None:
        """Start the limits of the next reply."""
        self._left, self._end = MAX_REPLY_LENGTH, monotonic() + self._timeout

    def readable(self) -> bool:
        """Return True: the stream is for reading."""
        return True

    def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override]
        """Read some bytes. Raises `TimeoutError` if the reply takes too long or is too long."""
        if self._left <= 0 or monotonic() > self._end:
            raise TimeoutError("the reply takes too long or is too long")
        count = self._raw.readinto(buffer)
        self._left -= count or 0
        return count

    def close(self) -> None:
        """Close the stream."""
        self._raw.close()
        super().close()
