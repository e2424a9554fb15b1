"""Helpers of the tests: mail servers that fail, and access to the outbox."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default as default_policy
from typing import ClassVar
from uuid import UUID

from aiosmtpd.controller import Controller
from authhost_email import transports
from authhost_email.outbox import Outbox
from authhost_email.rendering import compose, render
from authhost_email.samples import RECIPIENT, sample
from authhost_email.settings import EmailSettings
from authhost_email.tables import link_purpose, outbox_table
from sqlalchemy import select

ANN, BOB = "ann@example.org", "bob@example.org"


def outbox(host, **email):
    settings = host.plugin_settings("email")
    return Outbox(host, EmailSettings(**{**{n: getattr(settings, n) for n in settings.__slots__}, **email}))


def mails(tmp_path):
    """Return the messages in the folder in the order of their creation."""
    return [
        message_from_bytes(file.read_bytes(), policy=default_policy)
        for file in sorted((tmp_path / "mail").glob("*.eml"))
    ]


def rows(host, *columns):
    with host.engine.connect() as connection:
        chosen = [outbox_table.c[name] for name in columns]
        return connection.execute(select(*chosen).order_by(outbox_table.c.id)).all()


def kinds(host):
    return [kind for (kind,) in rows(host, "kind")]


def link_of(host, number=0):
    """Return the decrypted link of a waiting message."""
    identifier, recipient, sealed = rows(host, "id", "recipient", "sealed_link")[number]
    return host.open(sealed, link_purpose(identifier, recipient))


def key_in(message):
    return re.search(r"/([\w-]{43})", message.get_body(("plain",)).get_content())[1]


def queue(host, recipient, kind="welcome", count=1, **context):
    for _ in range(count):
        with host.request() as request:
            plugin = next(each for each in host.registry.loaded() if each.name == "email").plugin
            plugin._queue(request, kind, recipient, **context)


class Fake(transports.Folder):
    """A fake transport. It raises the errors in ``script``, by recipient, and then accepts."""

    script: ClassVar[dict[str, list[Exception]]] = {}
    sent: ClassVar[list[tuple[str, str]]] = []

    def send(self, identifier, recipient, message):
        errors = self.script.get(recipient)
        if errors:
            raise errors.pop(0)
        self.sent.append((recipient, str(message["Message-ID"])))


class Mailbox:
    """A real SMTP server that fails as ``script`` says, one item for each message."""

    def __init__(self, script=(), **options):
        self.script, self.taken, self.connections = list(script), [], 0
        self.unheard, self.refused = Counter(), set()  # by Message-ID
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, **options)

    @contextmanager
    def running(self):
        self._controller.start()
        try:
            self.connections = 0  # without the connection by which the controller has tested the server
            yield self
        finally:
            self._controller.stop()

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        self.connections += 1
        session.host_name = hostname
        return responses

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 no such mailbox"
        if self.script[:1] == ["drop"]:
            self.script.pop(0)
            server.transport.abort()
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        step = self.script.pop(0) if self.script else "take"
        message = message_from_bytes(envelope.content, policy=default_policy)
        if step == "die":
            server.transport.abort()
            return "250 never heard"
        if step == "busy":
            return "451 later"
        if step == "refuse":
            self.refused.add(message["Message-ID"])
            return "554 spam"
        self.taken.append(message)
        if step in ("take and die", "take and hang"):
            self.unheard[message["Message-ID"]] += 1
        if step == "take and die":
            server.transport.abort()
        if step == "take and hang":
            await asyncio.Event().wait()  # cancelled when the client closes the connection
        return "250 OK"


class Lines:
    """A server for one connection. ``answer`` returns the reply to a command, given its first word."""

    def __init__(self, answer, greeting=b"220 here\r\n"):
        self._answer, self._greeting = answer, greeting
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.written = 0

    def __enter__(self):
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._listener.close()
        self._thread.join(timeout=30)

    def _run(self):
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        with connection, connection.makefile("rb") as lines:
            try:
                connection.sendall(self._greeting)
                for line in lines:
                    for piece in self._answer((line.split() or [b""])[0].upper()):
                        connection.sendall(piece)
                        self.written += len(piece)
            except OSError:
                return


def smtp_settings(mailbox, **more):
    return EmailSettings(transport="smtp", smtp_host="127.0.0.1", smtp_port=mailbox.port, **more)


def build_message(settings, number=1, to=RECIPIENT):
    rendered = render(settings, "welcome", to, "en", sample("welcome"))
    identifier = UUID(int=number)
    return identifier, to, compose(settings, rendered, identifier, to, datetime.now(UTC))


def deliver_repeatedly(host, clock, count=12, **by):
    """Deliver ``count`` times, and continue after errors as a worker does. Returns the errors."""
    errors = []
    for _ in range(count):
        try:
            outbox(host).deliver_pending()
        except Exception as error:
            errors.append(error)
        clock.forward(**(by or {"hours": 2}))
    return errors
