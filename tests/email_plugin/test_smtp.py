"""The SMTP transport with a real server."""

from __future__ import annotations

import itertools
import socket
import ssl

import pytest
from aiosmtpd.smtp import AuthResult
from authhost_email import smtp
from authhost_email.samples import RECIPIENT
from authhost_email.settings import EmailSettings
from authhost_email.transports import Permanent, create_transport

from email_plugin.helpers import ANN, Lines, Mailbox, build_message, outbox, queue, rows, smtp_settings


def test_smtp_over_one_connection():
    with Mailbox().running() as mailbox:
        settings = smtp_settings(mailbox)
        transport = create_transport(settings)
        for number in range(5):
            transport.send(*build_message(settings, number))
        transport.close()
        assert (len(mailbox.taken), mailbox.connections) == (5, 1)
        assert mailbox.taken[0]["To"] == RECIPIENT


@pytest.mark.parametrize(
    ("step", "kind"),
    [("busy", OSError), ("die", OSError), ("refuse", Permanent), ("take and die", OSError)],
)
def test_smtp_recovers_after_a_failure(step, kind):
    with Mailbox([step]).running() as mailbox:
        settings = smtp_settings(mailbox)
        transport = create_transport(settings)
        with pytest.raises(kind):
            transport.send(*build_message(settings))
        transport.send(*build_message(settings, 2))
        transport.close()
        assert len(mailbox.taken) == (2 if step == "take and die" else 1)


def test_smtp_refuses_a_recipient():
    with Mailbox().running() as mailbox:
        settings = smtp_settings(mailbox)
        transport = create_transport(settings)
        with pytest.raises(Permanent, match="550"):
            transport.send(*build_message(settings, to="nobody@example.org"))
        transport.send(*build_message(settings))
        transport.close()
        assert mailbox.connections == 1


def test_smtp_with_addresses_beyond_ascii():
    with Mailbox(enable_SMTPUTF8=True).running() as mailbox:
        settings = smtp_settings(mailbox)
        transport = create_transport(settings)
        transport.send(*build_message(settings, to="änn@example.org"))
        transport.close()
        assert mailbox.taken[0]["To"] == "änn@example.org"
    with Mailbox(enable_SMTPUTF8=False).running() as mailbox:
        settings = smtp_settings(mailbox)
        with pytest.raises(Permanent, match="SMTPUTF8"):
            create_transport(settings).send(*build_message(settings, to="änn@example.org"))


def test_a_reply_that_arrives_too_slowly(monkeypatch):
    """Each byte arrives within the time-out, but the whole reply does not."""
    seconds = itertools.count(step=4)
    monkeypatch.setattr(smtp, "monotonic", lambda: next(seconds))
    here, there = socket.socketpair()
    with here, there:
        here.settimeout(10)
        there.sendall(b"250-X\r\n")
        replies = smtp._ReplyReader(here)
        replies.begin()
        assert [replies.read(1), replies.read(1)] == [b"2", b"5"]
        with pytest.raises(TimeoutError):
            replies.read(1)
        replies.begin()
        assert replies.read(1) == b"0"


def test_a_domain_beyond_ascii_needs_no_smtputf8():
    """The local part is ASCII, and the domain has an ASCII form (RFC 5891) that every server accepts."""
    with Mailbox(enable_SMTPUTF8=False).running() as mailbox:
        settings = smtp_settings(mailbox)
        create_transport(settings).send(*build_message(settings, to="ann@exämple.org"))
        assert len(mailbox.taken) == 1


def test_smtp_without_a_server():
    with pytest.raises(OSError, match="Refused"):
        create_transport(EmailSettings(transport="smtp", smtp_host="127.0.0.1", smtp_port=9)).send(
            *build_message(EmailSettings())
        )


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_smtp_over_tls_with_a_password(certificate, monkeypatch, tls):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    options = {"ssl_context": context} if tls == "tls" else {"tls_context": context}

    def authenticate(server, session, envelope, mechanism, data):
        return AuthResult(success=(data.login, data.password) == (b"ann", b"secret"), handled=False)

    mailbox = Mailbox(
        authenticator=authenticate, auth_required=True, auth_require_tls=tls == "starttls", **options
    )
    with mailbox.running():
        settings = smtp_settings(mailbox, smtp_tls=tls, smtp_username="ann", smtp_password="secret")
        with pytest.raises(OSError, match="SSL"):  # the certificate is not trusted
            create_transport(settings).send(*build_message(settings))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        transport = create_transport(settings)
        transport.send(*build_message(settings))
        transport.close()
        assert len(mailbox.taken) == 1
        wrong = smtp_settings(mailbox, smtp_tls=tls, smtp_username="ann", smtp_password="wrong")
        with pytest.raises(OSError, match="not authenticated"):
            create_transport(wrong).send(*build_message(wrong))
        assert "secret" not in repr(settings)


def test_missing_starttls_is_a_temporary_failure():
    """A missing STARTTLS is no failure of the message."""
    with Mailbox().running() as mailbox:
        settings = smtp_settings(mailbox, smtp_tls="starttls")
        with pytest.raises(ConnectionError, match="NotSupported"):
            create_transport(settings).send(*build_message(settings))
        assert mailbox.taken == []


def test_missing_starttls_gives_up_no_message(make, clock):
    with Mailbox().running() as mailbox:
        host = make(
            email={
                "transport": "smtp",
                "smtp_host": "127.0.0.1",
                "smtp_port": mailbox.port,
                "smtp_tls": "starttls",
            }
        )
        for number in range(3):
            queue(host, f"u{number}@example.org")
        outbox(host).deliver_pending()
    assert rows(host, "status") == [("pending",)] * 3


def test_missing_auth_is_a_temporary_failure():
    with Mailbox().running() as mailbox:
        settings = smtp_settings(mailbox, smtp_username="ann", smtp_password="secret")
        with pytest.raises(ConnectionError, match="NotSupported"):
            create_transport(settings).send(*build_message(settings))


@pytest.mark.parametrize("greeting", [b"554 no service here, come back later\r\n", b"2" * 9000 + b"\r\n"])
def test_a_refusing_greeting_is_a_temporary_failure(greeting):
    with Lines(lambda word: [b"500 no\r\n"], greeting) as server:
        settings = EmailSettings(transport="smtp", smtp_host="127.0.0.1", smtp_port=server.port)
        with pytest.raises(ConnectionError, match="SMTP"):
            create_transport(settings).send(*build_message(settings))


def test_a_refused_sender_is_a_temporary_failure():
    """Such as 530, authentication required. After the operator has fixed it, the messages are sent."""

    def answer(word):
        yield b"530 log in first\r\n" if word == b"MAIL" else b"250 OK\r\n"

    with Lines(answer) as server:
        settings = EmailSettings(transport="smtp", smtp_host="127.0.0.1", smtp_port=server.port)
        with pytest.raises(ConnectionError, match="sender refused, 530"):
            create_transport(settings).send(*build_message(settings))


def test_an_endless_reply():
    """Each line arrives within the time-out, but the reply never ends, so the whole step needs a limit."""
    end = 20_000_000

    def answer(word):
        if word in (b"EHLO", b"HELO"):
            piece = b"250-X\r\n" * 1000
            yield from (piece for _ in range(end // len(piece)))
            yield b"250 X\r\n"
        else:
            yield b"421 enough\r\n"

    with Lines(answer) as server:
        settings = EmailSettings(transport="smtp", smtp_host="127.0.0.1", smtp_port=server.port)
        with pytest.raises((OSError, Permanent)):
            create_transport(settings).send(*build_message(settings))
    assert server.written < end // 2


@pytest.fixture
def server_refusing_auth():
    def answer(word):
        if word == b"EHLO":
            yield b"250-here\r\n250 AUTH PLAIN LOGIN\r\n"
        elif word == b"AUTH":
            yield b"535 wrong\r\n"
        else:
            yield b"250 OK\r\n"

    with Lines(answer) as server:
        yield {
            "transport": "smtp",
            "smtp_host": "127.0.0.1",
            "smtp_port": server.port,
            "smtp_username": "ann",
            "smtp_password": "geheimnüs",
        }


def test_a_password_beyond_ascii_gives_up_no_message(server_refusing_auth, make):
    host = make(email=server_refusing_auth)
    queue(host, ANN)
    outbox(host).deliver_pending()
    assert rows(host, "status")[0][0] in ("pending", "sent")
