"""Checks the mail server of the transport ``smtp``: its name, connection, TLS, login, and the sender."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

from authhost_email.doctor.results import Result
from authhost_email.settings import EmailSettings
from authhost_email.smtp import Smtp

EXPIRES_SOON = timedelta(days=14)
CHECKS = ("name", "connection", "tls", "login", "sender")
REMEDIES = {
    "name": "correct smtp_host under [plugins.email], or the name servers of this machine",
    "connection": "check smtp_host and smtp_port under [plugins.email] (587 for starttls, 465 for tls), "
    "and whether a firewall or the hosting provider blocks the port",
    "tls": "use the name in the certificate as smtp_host, renew the certificate, or let this machine trust "
    "its issuer; smtp_tls is usually starttls with port 587 and tls with port 465",
    "login": "correct smtp_username and smtp_password (AUTHHOST_PLUGINS__EMAIL__SMTP_PASSWORD)",
    "sender": "set from_address under [plugins.email] to an address for which the server may send, "
    "or set smtp_username and smtp_password",
}


def examine_server(settings: EmailSettings, now: datetime | None = None) -> Iterator[Result]:
    """Yield a result for each of `CHECKS`. After the first error, the others are skipped.

    No message is sent. ``now`` is compared with the end of the certificate.
    """
    transport, now = Smtp(settings), now or datetime.now(UTC)
    steps: dict[str, Callable[[], Result]] = {
        "name": lambda: _resolve(transport, settings),
        "connection": lambda: _connect(transport, settings),
        "tls": lambda: _encrypt(transport, settings, now),
        "login": lambda: _log_in(transport, settings),
        "sender": lambda: _check_sender(transport, settings),
    }
    failed = ""
    with closing(transport):
        for check, step in steps.items():
            if failed:
                yield Result("skipped", check, f"not checked, because the check of {failed} has failed")
                continue
            try:
                yield step()
            except OSError as error:
                failed = check
                yield Result("error", check, str(error), REMEDIES[check])


def _server(settings: EmailSettings) -> str:
    return f"{settings.smtp_host}:{settings.smtp_port}"


def _resolve(transport: Smtp, settings: EmailSettings) -> Result:
    try:
        found = socket.getaddrinfo(settings.smtp_host, settings.smtp_port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ConnectionError(transport.describe_error(error)) from None
    addresses = dict.fromkeys(str(each[4][0]) for each in found)
    return Result("ok", "name", f"{settings.smtp_host} has the address {', '.join(addresses)}")


def _connect(transport: Smtp, settings: EmailSettings) -> Result:
    """Connect without TLS first, to tell a port that is closed from one with other TLS."""
    try:
        where = (settings.smtp_host, settings.smtp_port)
        socket.create_connection(where, settings.timeout).close()
    except OSError as error:
        raise ConnectionError(transport.describe_error(error)) from None
    return Result("ok", "connection", f"{_server(settings)} accepts connections")


def _encrypt(transport: Smtp, settings: EmailSettings, now: datetime) -> Result:
    transport.connect()
    transport.start_tls()
    connection = transport.encryption
    if connection is None:
        return Result("skipped", "tls", "smtp_tls is none, so the connection is not encrypted")
    certificate: dict[str, Any] = dict(connection.getpeercert() or {})
    names = ", ".join(str(value) for _, value in certificate.get("subjectAltName", ()))
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
    found = f"{connection.version()}, certificate for {names}, valid until {ends:%Y-%m-%dT%H:%M:%SZ}"
    if ends - now < EXPIRES_SOON:
        days = (ends - now).days
        return Result("warning", "tls", f"{found}, which is in {days} days", "renew the certificate")
    return Result("ok", "tls", found)


def _log_in(transport: Smtp, settings: EmailSettings) -> Result:
    transport.log_in()
    if settings.smtp_username is None:
        return Result("skipped", "login", "there is no smtp_username, so messages are sent without a login")
    return Result("ok", "login", f"{_server(settings)} accepts the login of {settings.smtp_username}")


def _check_sender(transport: Smtp, settings: EmailSettings) -> Result:
    transport.check_sender()
    return Result("ok", "sender", f"{_server(settings)} accepts the sender {settings.from_address}")
