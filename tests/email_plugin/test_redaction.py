"""Answers of servers are shown without secrets."""

from __future__ import annotations

import secrets
import smtplib
import socket
import ssl

import pytest
from authhost_email.failures import describe_failure
from authhost_email.redaction import redact
from authhost_email.settings import EmailSettings
from authhost_email.smtp import Smtp
from authhost_email.transports import Permanent, create_transport
from hypothesis import given, strategies as st

from email_plugin.helpers import Lines, build_message


@given(st.one_of(st.text(), st.binary()), st.integers(1, 300))
def test_redact_returns_one_printable_line_of_bounded_length(said, longest):
    line = redact(said, longest=longest)
    assert len(line) <= longest
    assert line == "" or line.isprintable()


@given(st.text(max_size=80), st.text(max_size=80))
def test_redact_removes_keys_and_links(before, after):
    key = secrets.token_urlsafe(32)
    for quoted in (key, f"http://localhost:8000/account/reset-password/{key}", f"/reset/{key}?x=1"):
        assert key not in redact(f"{before} {quoted} {after}", longest=1000)


def test_redact_keeps_other_text():
    said = b"550-5.7.1 blocked, see RFC 5321\r\n550 5.7.1 Ann <ann@example.org>, id 4Xyz12"
    assert redact(said) == "550-5.7.1 blocked, see RFC 5321 550 5.7.1 Ann <ann@example.org>, id 4Xyz12"
    path = "cannot write to the folder /srv/01a2b3c4-1111-7222-8333-444455556666/mail: No space"
    assert describe_failure("file", OSError(path)) == f"file: {path}"


def test_a_failure_is_one_printable_line_of_limited_length():
    line = describe_failure("smtp", OSError("mail:25: refused\x1b[2J\r\n" + "no " * 200))
    assert line.startswith("smtp: mail:25: refused [2J no no")
    assert line.isprintable()
    assert len(line) == 255


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (socket.gaierror(-2, "Name or service not known"), "the host name cannot be resolved: Name or"),
        (ConnectionRefusedError(111, "Connection refused"), "no connection: Connection refused"),
        (TimeoutError(), "no answer within 10 seconds (TimeoutError)"),
        (
            ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"),
            "TLS failed with smtp_tls 'tls'",
        ),
        (smtplib.SMTPConnectError(554, b"no service"), "refused, 554: no service"),
        (smtplib.SMTPServerDisconnected("please run connect() first"), "no connection: please run"),
        (
            smtplib.SMTPNotSupportedError("STARTTLS extension not supported"),
            "does not support what the settings",
        ),
    ],
)
def test_connection_errors_name_the_server(error, said):
    transport = Smtp(
        EmailSettings(transport="smtp", smtp_host="mail.example.org", smtp_port=465, smtp_tls="tls")
    )
    line = transport.describe_error(error)
    assert line.startswith("mail.example.org:465: ")
    assert said in line
    assert type(error).__name__ in line


def test_an_error_does_not_contain_the_password():
    """The error is stored in the outbox and logged."""

    def answer(word):
        if word == b"EHLO":
            yield b"250-here\r\n250 AUTH PLAIN LOGIN\r\n"
        elif word == b"AUTH":
            yield b"535 5.7.8 geheim AGFubgBnZWhlaW0= Z2VoZWlt is wrong for ann\r\n"
        else:
            yield b"250 OK\r\n"

    with Lines(answer) as server:
        settings = EmailSettings(
            transport="smtp",
            smtp_host="127.0.0.1",
            smtp_port=server.port,
            smtp_username="ann",
            smtp_password="geheim",
        )
        with pytest.raises(ConnectionError, match=r"not authenticated, 535: 5\.7\.8") as raised:
            create_transport(settings).send(*build_message(settings))
    for secret in ("geheim", "AGFubgBnZWhlaW0=", "Z2VoZWlt"):
        assert secret not in str(raised.value)


def test_an_error_does_not_contain_a_link():
    key = secrets.token_urlsafe(32)

    def answer(word):
        if word == b"DATA":
            yield b"354 go on\r\n"
        elif word == b".":
            yield f"554 5.7.1 spam: http://localhost:8000/reset/{key} is listed\r\n".encode()
        elif word in (b"EHLO", b"MAIL", b"RCPT", b"RSET", b"QUIT"):
            yield b"250 OK\r\n"

    with Lines(answer) as server:
        settings = EmailSettings(transport="smtp", smtp_host="127.0.0.1", smtp_port=server.port)
        with pytest.raises(Permanent, match=r"127.0.0.1:\d+: refused, 554: 5.7.1 spam: \[link\] is listed"):
            create_transport(settings).send(*build_message(settings))
