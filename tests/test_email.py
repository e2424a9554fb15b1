"""The e-mail plugin: what people are told, in which language, and that it arrives."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import ssl
import stat
import subprocess
import sys
import threading
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default as default_policy
from ipaddress import ip_address
from pathlib import Path
from typing import ClassVar
from urllib.request import urlopen

import pytest

pytest.importorskip("authhost_email")

import html5lib
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from authhost_email import rendering, transports
from authhost_email.languages import SHIPPED, choose, direction
from authhost_email.outbox import Outbox, backoff, clean
from authhost_email.plugin import EmailPlugin
from authhost_email.preview import server as preview_server
from authhost_email.rendering import KINDS, compose, render
from authhost_email.samples import RECIPIENT, WITH_LINK, sample
from authhost_email.settings import EmailSettings
from authhost_email.tables import device_table, outbox_table, suppression_table
from authhost_email.transports import Permanent, transport_of
from authhost_hookspecs import Message
from babel.messages.checkers import checkers
from babel.messages.pofile import read_po
from conftest import CHEAP, OTHER_PASSWORD, PASSWORD
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import delete, func, insert, select, update

from authhost import AuthHost, Settings
from authhost.errors import DeliveryFailed

ANN, BOB = "ann@example.org", "bob@example.org"
LOCALE = Path(rendering.__file__).parent / "locale"


@pytest.fixture
def make(make_host, tmp_path):
    """A host with the plugin, which delivers into a folder when it is told to."""

    def make(email=None, **settings):
        given = {"delivery": "manual", "directory": str(tmp_path / "mail"), **(email or {})}
        # By name it comes before the recorder, so that it takes the messages.
        return make_host({"email": EmailPlugin()}, plugin_settings={"email": given}, **settings)

    return make


@pytest.fixture
def host(make):
    return make()


def outbox(host, **email):
    settings = host.plugin_settings("email")
    return Outbox(host, EmailSettings(**{**{n: getattr(settings, n) for n in settings.__slots__}, **email}))


def mails(tmp_path):
    """What lies in the folder, in the order in which it was written down."""
    found = [
        message_from_bytes(file.read_bytes(), policy=default_policy)
        for file in sorted((tmp_path / "mail").glob("*.eml"))
    ]
    return found


def rows(host, *columns):
    with host.engine.connect() as connection:
        chosen = [outbox_table.c[name] for name in columns]
        return connection.execute(select(*chosen).order_by(outbox_table.c.id)).all()


def kinds(host):
    return [kind for (kind,) in rows(host, "kind")]


def key_in(message):
    return re.search(r"/([\w-]{43})", message.get_body(("plain",)).get_content())[1]


# What people are told.


def test_a_life(host, run, tmp_path):
    """Every event that a person should hear of."""
    token = run(host, "signup", email=ANN, password=PASSWORD, username="ann").session_token
    outbox(host).deliver_pending()
    run(host, "confirm_email", token, key=key_in(mails(tmp_path)[0]))
    token = run(
        host, "change_password", token, current_password=PASSWORD, new_password=OTHER_PASSWORD
    ).session_token
    run(host, "add_email", token, email="second@example.org")
    outbox(host).deliver_pending()
    key = next(key_in(each) for each in mails(tmp_path) if each["To"] == "second@example.org")
    run(host, "confirm_email", token, key=key)
    run(host, "make_primary", token, email="second@example.org")
    run(host, "remove_email", token, email=ANN)
    run(host, "request_password_reset", email="second@example.org")
    run(host, "request_password_reset", email="nobody@example.org")
    outbox(host).deliver_pending()
    told = Counter((each["To"], each["Subject"]) for each in mails(tmp_path))
    assert told == Counter(
        {
            (ANN, "Confirm your e-mail address"): 1,
            (ANN, "Welcome to authhost"): 1,
            (ANN, "Your password was changed"): 1,
            (ANN, "An e-mail address was added"): 1,
            ("second@example.org", "Confirm your e-mail address"): 1,
            (ANN, "Your primary e-mail address changed"): 1,
            ("second@example.org", "Your primary e-mail address changed"): 1,
            ("second@example.org", "An e-mail address was removed"): 1,
            ("second@example.org", "Reset your password"): 1,
            ("nobody@example.org", "No account with this address"): 1,
        }
    )
    assert {status for (status,) in rows(host, "status")} == {"sent"}
    assert {context for (context,) in rows(host, "context")} == {None}


def test_a_login_from_a_new_device(host, run, tmp_path):
    run(host, "signup", email=ANN, password=PASSWORD)

    def login(agent):
        with host.request(user_agent=agent, ip_address="192.0.2.7") as request:
            host.account.login(request, identifier=ANN, password=PASSWORD)

    outbox(host).deliver_pending()  # the first login of all is nobody's news
    for agent in ("Firefox", "Firefox", "Chrome"):
        login(agent)
        outbox(host).deliver_pending()
    notices = [each for each in mails(tmp_path) if each["Subject"] == "A login from a new device"]
    assert ["Firefox" in str(each) for each in notices] == [True, False]
    assert "192.0.2.7" in notices[1].get_body(("plain",)).get_content()
    with host.engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(device_table)).scalar_one() == 3
    assert "new_device_login" not in kinds(make_quiet(host))


def make_quiet(host):
    with host.engine.begin() as connection:
        connection.execute(delete(outbox_table))
    return host


def test_no_phantom_mail(host, run):
    with pytest.raises(ZeroDivisionError), host.request() as request:
        host.account.signup(request, email=ANN, password=PASSWORD)
        raise ZeroDivisionError
    assert rows(host, "id") == []


def test_links_lead_home_alone(make, run):
    astray = make(urls={"confirm_email": "@evil.example/{key}"})
    with pytest.raises(DeliveryFailed):
        run(astray, "signup", email=ANN, password=PASSWORD)
    named = make(email={"link_hosts": "app.example.org"})
    with named.request() as request:
        for link, taken in (
            ("https://app.example.org/x", True),
            ("https://evil.example/x", False),
            ("javascript:alert(1)", False),
        ):
            try:
                named.hooks.deliver_message(request, Message("password_reset", ANN, link=link))
            except DeliveryFailed:
                assert not taken
            else:
                assert taken


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        (None, "en"),
        ("de", "de"),
        ("de-AT,en;q=0.8", "de"),
        ("pt-BR", "pt"),
        ("zh-Hant-TW", "zh"),
        ("xx, fr;q=0.5", "fr"),
        ("de;q=0, es", "es"),
        ("PT", "pt"),
        ("DE-at", "de"),
        ("en;q=0.1, fr; Q=0.5, de;q=0.9", "de"),
        ("de;q=much, es;q=0.1", "es"),
        ("*", "en"),
        (";;;,,,\x00", "en"),
        ("a" * 5000, "en"),
    ],
)
def test_the_language_of_the_request(host, wanted, chosen):
    with host.request(language=wanted) as request:
        host.account.signup(request, email=ANN, password=PASSWORD)
    assert rows(host, "language")[0] == (chosen,)


@given(st.text(max_size=60))
@example("PT")
def test_whatever_a_browser_accepts(wanted):
    assert choose(wanted, "de") in SHIPPED


# What it looks like.


@pytest.mark.parametrize("language", SHIPPED)
@pytest.mark.parametrize("kind", KINDS)
def test_each_message_in_each_language(kind, language):
    rendered = render(EmailSettings(), kind, RECIPIENT, language, sample(kind))
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    document = parser.parse(rendered.html)
    assert document.get("lang") == language
    assert document.get("dir") == ("rtl" if language == "ar" else "ltr") == direction(language)
    assert not document.findall(".//img")
    assert not document.findall(".//script")
    links = {each.get("href") for each in document.findall(".//a")}
    assert links == ({sample(kind)["link"]} if kind in WITH_LINK else set())
    # What one part says, the other says, too.
    shown = " ".join("".join(document.find("body").itertext()).split())
    for line in rendered.text.split("\n"):
        words = " ".join(line.split())
        said = words.removesuffix(f": {sample(kind)['link']}") if kind in WITH_LINK else words
        assert said in ("", "--") or said in shown, line
    assert rendered.subject in shown
    assert "%(" not in rendered.text + rendered.html
    if language != "en":
        english = render(EmailSettings(), kind, RECIPIENT, "en", sample(kind))
        assert rendered.subject != english.subject
        assert set(english.text.splitlines()) & set(rendered.text.splitlines()) <= {"", "-- "}


def catalogue(path):
    with path.open("rb") as file:
        return read_po(file)


@pytest.mark.parametrize("language", [each for each in SHIPPED if each != "en"])
def test_translations_are_whole(language):
    template = catalogue(LOCALE / "authhost_email.pot")
    translated = catalogue(LOCALE / language / "LC_MESSAGES" / "authhost_email.po")
    assert {each.id for each in translated if each.id} == {each.id for each in template if each.id}
    for message in translated:
        if message.id:
            assert message.string, message.id
            assert not message.fuzzy, message.id
            assert set(re.findall(r"%\(\w+\)s", message.string)) == set(re.findall(r"%\(\w+\)s", message.id))
            for check in checkers:
                check(translated, message)


def test_the_template_of_translations_is_current(tmp_path):
    folder = LOCALE.parent
    written = tmp_path / "written.pot"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "babel.messages.frontend",
            "-q",
            "extract",
            "-F",
            "babel.cfg",
            "--no-location",
            "--sort-output",
            "-o",
            str(written),
            ".",
        ],
        cwd=folder,
        check=True,
    )
    assert {each.id for each in catalogue(written)} == {
        each.id for each in catalogue(LOCALE / "authhost_email.pot")
    }


def test_messages_of_the_application_come_first(tmp_path, monkeypatch):
    own = tmp_path / "messages"
    own.mkdir()
    (own / "welcome.j2").write_text('{% set subject = "Ahoy, " ~ name %}\n{% set paragraphs = ["<b>"] %}')
    settings = EmailSettings(templates=str(tmp_path))
    rendered = render(settings, "welcome", RECIPIENT, "en", sample("welcome"))
    assert rendered.subject == "Ahoy, ann"
    assert "&lt;b&gt;" in rendered.html
    assert render(settings, "password_set", RECIPIENT, "en", sample("password_set")).subject
    package = tmp_path / "brings_mails"
    (package / "templates" / "messages").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "templates" / "messages" / "welcome.j2").write_text(
        '{% set subject = "By a package" %}{% set paragraphs = [] %}'
    )
    monkeypatch.syspath_prepend(tmp_path)
    entry = type("Entry", (), {"name": "brings", "value": "brings_mails"})
    monkeypatch.setattr(rendering, "entry_points", lambda group: [entry])
    rendering._environment.cache_clear()
    assert render(EmailSettings(), "welcome", RECIPIENT, "en", sample("welcome")).subject == "By a package"
    rendering._environment.cache_clear()


@pytest.mark.parametrize(
    "value", ["a\nBcc: all@example.org", "a\r\nX: y", "<script>", "{{ 7 * 7 }}", "%(x)s"]
)
def test_nothing_gets_into_headers_or_markup(value):
    context = {**sample("social_account_added"), "provider": value, "name": value, "site_name": value}
    rendered = render(
        EmailSettings(from_name="Über, <uns>"), "social_account_added", RECIPIENT, "de", context
    )
    message = compose(EmailSettings(), rendered, uuid(), RECIPIENT, datetime.now(UTC))
    parsed = message_from_bytes(message.as_bytes(), policy=default_policy)
    assert sorted(parsed.keys()) == sorted(
        ["Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]
    )
    assert "<script>" not in rendered.html
    assert "49" not in rendered.subject
    with pytest.raises(ValueError, match="one line"):
        EmailSettings(from_name="a\nb")


def uuid():
    from uuid import UUID

    return UUID(int=7)


def test_headers():
    settings = EmailSettings(from_address="accounts@example.org", from_name="Exämple")
    rendered = render(settings, "welcome", RECIPIENT, "ja", sample("welcome"))
    message = compose(settings, rendered, uuid(), "ann@exämple.org", datetime(2026, 1, 1, tzinfo=UTC))
    assert message["Message-ID"] == f"<{uuid()}@example.org>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"] == "Thu, 01 Jan 2026 00:00:00 +0000"
    parsed = message_from_bytes(message.as_bytes(), policy=default_policy)
    assert parsed["From"].addresses[0].display_name == "Exämple"
    assert parsed["Subject"] == rendered.subject


# The outbox.


def queue(host, recipient, kind="welcome", count=1, **context):
    for _ in range(count):
        with host.request() as request:
            plugin = next(each for each in host.registry.loaded() if each.name == "email").plugin
            plugin._queue(request, kind, recipient, **context)


class Fake(transports.Folder):
    """A transport that does as a test says; a fake, since no real server fails to order."""

    script: ClassVar[dict[str, list[Exception]]] = {}
    sent: ClassVar[list[tuple[str, str]]] = []

    def send(self, identifier, recipient, message):
        errors = self.script.get(recipient)
        if errors:
            raise errors.pop(0)
        self.sent.append((recipient, str(message["Message-ID"])))


@pytest.fixture
def fake(monkeypatch):
    Fake.script, Fake.sent = {}, []
    monkeypatch.setitem(transports.BUILT_IN, "fake", Fake)
    return Fake


def test_order_of_one_recipient_and_nobody_held_up(make, fake, clock):
    host = make(email={"transport": "fake"})
    queue(host, ANN, count=3)
    queue(host, BOB, count=2)
    fake.script[ANN] = [ConnectionError("busy")]
    assert outbox(host).deliver_pending() == 2
    assert [to for to, _ in fake.sent] == [BOB, BOB]
    clock.forward(seconds=10)
    outbox(host).deliver_pending()
    order = [f"<{identifier}@localhost>" for identifier, to in rows(host, "id", "recipient") if to == ANN]
    assert [message for to, message in fake.sent if to == ANN] == order


def test_what_can_never_be_sent_is_set_aside_at_once(make, fake):
    host = make(email={"transport": "fake"})
    queue(host, ANN, count=2)
    fake.script[ANN] = [Permanent("no such mailbox")]
    assert outbox(host).deliver_pending() == 1
    assert list(rows(host, "status", "last_error")) == [
        ("dead", "no such mailbox"),
        ("sent", None),
    ]


def test_a_dead_letter_after_so_many_tries(make, fake, clock):
    host = make(email={"transport": "fake", "max_attempts": 3})
    queue(host, ANN)
    fake.script[ANN] = [ConnectionError("busy")] * 9
    for _ in range(5):
        outbox(host).deliver_pending()
        clock.forward(hours=2)
    assert rows(host, "status", "attempts") == [("dead", 3)]
    assert rows(host, "context")[0][0] is not None


@given(st.integers(1, 60))
def test_waits_grow_with_jitter_up_to_an_hour(attempts):
    usual = min(3600.0, 2.0**attempts)
    assert 0.75 * usual <= backoff(attempts) <= 1.25 * usual


def test_a_dead_workers_message_is_taken_over(make, fake, clock):
    host = make(email={"transport": "fake"})
    queue(host, ANN)
    [row] = outbox(host)._claim()  # and dies
    assert outbox(host).deliver_pending() == 0
    clock.forward(seconds=301)
    assert outbox(host).deliver_pending() == 1
    outbox(host)._done(row, "dead", "the first one wakes up")
    assert rows(host, "status") == [("sent",)]


def test_a_template_that_fails_is_a_dead_letter(make, fake, tmp_path):
    (tmp_path / "messages").mkdir()
    (tmp_path / "messages" / "welcome.j2").write_text("{% set subject = nobody.here %}")
    host = make(email={"transport": "fake", "templates": str(tmp_path)})
    queue(host, ANN)
    queue(host, ANN, "password_set")
    assert outbox(host).deliver_pending() == 1
    assert rows(host, "status", "last_error")[0] == ("dead", "UndefinedError")


def test_too_many_for_one_recipient_wait(make, fake, clock):
    host = make(email={"transport": "fake", "max_per_hour": 2})
    queue(host, ANN, count=3)
    queue(host, BOB)
    assert outbox(host).deliver_pending() == 3
    clock.forward(minutes=61)
    assert outbox(host).deliver_pending() == 1
    assert {status for (status,) in rows(host, "status")} == {"sent"}


def test_suppressed_addresses_get_nothing(make, fake, clock):
    host = make(email={"transport": "fake"})
    with host.engine.begin() as connection:
        row = {"recipient": ANN, "reason": "bounced", "created_at": clock.now}
        connection.execute(insert(suppression_table).values(row))
    queue(host, ANN)
    queue(host, BOB)
    assert outbox(host).deliver_pending() == 1
    assert rows(host, "status", "context")[0] == ("suppressed", None)


def test_workers_at_once_send_each_message_once(make, fake):
    host = make(email={"transport": "fake"})
    for number in range(60):
        queue(host, f"u{number % 20}@example.org")
    threads = [threading.Thread(target=lambda: outbox(host).deliver_pending()) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    outbox(host).deliver_pending()
    assert len(fake.sent) == len(set(fake.sent)) == 60
    for number in range(20):
        to = f"u{number}@example.org"
        mine = [
            f"<{identifier}@localhost>" for identifier, each in rows(host, "id", "recipient") if each == to
        ]
        assert [message for each, message in fake.sent if each == to] == mine


def test_old_messages_are_cleaned_away(make, fake, clock):
    host = make(email={"transport": "fake"})
    queue(host, ANN)
    outbox(host).deliver_pending()
    queue(host, BOB)
    clock.forward(days=31)
    assert clean(host, host.plugin_settings("email")) == 1
    assert rows(host, "recipient") == [(BOB,)]


def test_delivery_by_the_request_itself(make, run, tmp_path):
    host = make(email={"delivery": "inline"})
    run(host, "signup", email=ANN, password=PASSWORD)
    assert mails(tmp_path)[0]["Subject"] == "Confirm your e-mail address"


def test_delivery_in_the_background(make, run, tmp_path):
    host = make(email={"delivery": "background"})
    run(host, "signup", email=ANN, password=PASSWORD)
    host.close()  # delivers what is due
    assert "Confirm your e-mail address" in [each["Subject"] for each in mails(tmp_path)]


# Transports.


class Mailbox:
    """A real SMTP server, told to fail now and then."""

    def __init__(self, script=(), **options):
        self.script, self.taken, self.connections = list(script), [], 0
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, **options)

    @contextmanager
    def running(self):
        self._controller.start()
        try:
            self.connections = 0  # the controller has looked whether it answers
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
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        step = self.script.pop(0) if self.script else "take"
        if step == "die":
            server.transport.abort()
            return "250 never heard"
        if step == "busy":
            return "451 later"
        if step == "refuse":
            return "554 spam"
        self.taken.append(message_from_bytes(envelope.content, policy=default_policy))
        if step == "take and die":
            server.transport.abort()
        return "250 OK"


def smtp_settings(mailbox, **more):
    return EmailSettings(transport="smtp", smtp_host="127.0.0.1", smtp_port=mailbox.port, **more)


def one(settings, number=1, to=RECIPIENT):
    rendered = render(settings, "welcome", to, "en", sample("welcome"))
    from uuid import UUID

    identifier = UUID(int=number)
    return identifier, to, compose(settings, rendered, identifier, to, datetime.now(UTC))


def test_smtp_over_one_connection():
    with Mailbox().running() as mailbox:
        settings = smtp_settings(mailbox)
        transport = transport_of(settings)
        for number in range(5):
            transport.send(*one(settings, number))
        transport.close()
        assert (len(mailbox.taken), mailbox.connections) == (5, 1)
        assert mailbox.taken[0]["To"] == RECIPIENT


@pytest.mark.parametrize(
    ("step", "kind"),
    [("busy", OSError), ("die", OSError), ("refuse", Permanent), ("take and die", OSError)],
)
def test_smtp_that_fails_and_then_does_not(step, kind):
    with Mailbox([step]).running() as mailbox:
        settings = smtp_settings(mailbox)
        transport = transport_of(settings)
        with pytest.raises(kind):
            transport.send(*one(settings))
        transport.send(*one(settings, 2))
        transport.close()
        assert len(mailbox.taken) == (2 if step == "take and die" else 1)


def test_smtp_refuses_a_recipient():
    with Mailbox().running() as mailbox:
        settings = smtp_settings(mailbox)
        transport = transport_of(settings)
        with pytest.raises(Permanent, match="550"):
            transport.send(*one(settings, to="nobody@example.org"))
        transport.send(*one(settings))
        transport.close()
        assert mailbox.connections == 1


def test_smtp_with_addresses_beyond_ascii():
    with Mailbox(enable_SMTPUTF8=True).running() as mailbox:
        settings = smtp_settings(mailbox)
        transport = transport_of(settings)
        transport.send(*one(settings, to="änn@example.org"))
        transport.close()
        assert mailbox.taken[0]["To"] == "änn@example.org"
    with Mailbox(enable_SMTPUTF8=False).running() as mailbox:
        settings = smtp_settings(mailbox)
        with pytest.raises(Permanent, match="SMTPUTF8"):
            transport_of(settings).send(*one(settings, to="änn@example.org"))


def test_smtp_with_nobody_there():
    with pytest.raises(OSError, match="Refused"):
        transport_of(EmailSettings(transport="smtp", smtp_host="127.0.0.1", smtp_port=9)).send(
            *one(EmailSettings())
        )


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for this machine, which a test makes itself trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    here = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder()
        .issuer_name(name)
        .subject_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(here, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(private + signed.public_bytes(pem))
    return file


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
        with pytest.raises(OSError, match="SSL"):  # nobody trusts that certificate
            transport_of(settings).send(*one(settings))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        transport = transport_of(settings)
        transport.send(*one(settings))
        transport.close()
        assert len(mailbox.taken) == 1
        wrong = smtp_settings(mailbox, smtp_tls=tls, smtp_username="ann", smtp_password="wrong")
        with pytest.raises(OSError, match="not authenticated"):
            transport_of(wrong).send(*one(wrong))
        assert "secret" not in repr(settings)


def test_sendmail(tmp_path):
    """A script in the place of the mail system's program."""
    program = tmp_path / "sendmail"
    program.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\ncat > {tmp_path}/stdin\nexit ${{CODE:-0}}\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    settings = EmailSettings(transport="sendmail", sendmail=str(program), from_address="a@example.org")
    transport_of(settings).send(*one(settings, to="-oQ/tmp@example.org"))
    assert (tmp_path / "arguments").read_text() == "-i -f a@example.org -- -oQ/tmp@example.org\n"
    assert b"Message-ID" in (tmp_path / "stdin").read_bytes()
    for code, kind in (("67", Permanent), ("75", OSError)):
        os.environ["CODE"] = code
        try:
            with pytest.raises(kind, match=code):
                transport_of(settings).send(*one(settings))
        finally:
            del os.environ["CODE"]


def test_console_and_other_transports(capsys, monkeypatch):
    transport_of(EmailSettings(transport="console")).send(*one(EmailSettings()))
    assert "Subject: Welcome to Example" in capsys.readouterr().err
    entry = type("Entry", (), {"load": lambda self: Fake})()
    monkeypatch.setattr(transports, "entry_points", lambda group, name: [entry] if name == "brought" else [])
    assert isinstance(transport_of(EmailSettings(transport="brought")), Fake)
    with pytest.raises(ValueError, match=r"there are smtp, file, console, sendmail"):
        transport_of(EmailSettings(transport="pigeon"))


# Everything at once.

WORKER = [sys.executable, "-m", "authhost.cli", "email", "worker", "--every", "0.1"]


def test_each_committed_flow_is_told_of_whatever_dies(make_host, database_url, clock):
    """Random faults of the server, and workers that are killed: at least once each, none that was undone."""
    clock.now = datetime.now(UTC)
    chance = random.Random(20260101)
    steps = ["take"] * 60 + ["busy"] * 15 + ["die"] * 10 + ["take and die"] * 5
    with Mailbox([chance.choice(steps) for _ in range(2000)]).running() as mailbox:
        email = {
            "transport": "smtp",
            "smtp_host": "127.0.0.1",
            "smtp_port": mailbox.port,
            "delivery": "manual",
        }
        email |= {"lease": 2.0, "max_attempts": 100, "new_device_notices": False}
        host = make_host(
            {"email": EmailPlugin()}, plugin_settings={"email": email}, email_verification="none"
        )
        environment = {
            **os.environ,
            "AUTHHOST_SECRET_KEY": "k" * 48,
            "AUTHHOST_DATABASE_URL": database_url,
            "AUTHHOST_BLOCKED_PLUGINS": "audit,analytics",
            "AUTHHOST_EMAIL_VERIFICATION": "none",
            **{f"AUTHHOST_PLUGINS__EMAIL__{name.upper()}": str(value) for name, value in email.items()},
        }

        def start():
            return subprocess.Popen(
                WORKER, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )

        committed, undone = [], []
        workers = [start(), start()]
        try:
            for number in range(1000):
                address = f"u{number}@example.org"
                try:
                    with host.request() as request:
                        plugin = host.registry.records[0].plugin
                        plugin._queue(request, "welcome", address)
                        if chance.random() < 0.1:
                            raise ZeroDivisionError
                    committed.append(address)
                except ZeroDivisionError:
                    undone.append(address)
                if number % 150 == 149:
                    workers[number % 2].send_signal(signal.SIGKILL)
                    workers[number % 2].wait()
                    workers[number % 2] = start()
            waiting = select(func.count()).select_from(outbox_table).where(outbox_table.c.status != "sent")
            done = threading.Event()
            for _ in range(3000):
                with host.engine.begin() as connection:
                    left = connection.execute(waiting).scalar_one()
                    soon = outbox_table.c.next_attempt_at > datetime.now(UTC) + timedelta(seconds=1)
                    connection.execute(  # nobody waits for an hour here
                        update(outbox_table)
                        .where(outbox_table.c.status == "pending", soon)
                        .values(next_attempt_at=datetime.now(UTC))
                    )
                if left == 0:
                    break
                done.wait(0.1)
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()
        got = Counter(str(message["To"]) for message in mailbox.taken)
        assert left == 0
        assert set(got) == set(committed)
        assert not set(got) & set(undone)
        # Twice only where the answer was lost after DATA, or a worker was killed in between.
        lost = 2000 - len(mailbox.script)
        assert sum(got.values()) - len(got) <= lost


# The command line.


def email(file, *arguments, code=0):
    done = subprocess.run(
        [sys.executable, "-m", "authhost.cli", "--config", str(file), "email", *arguments],
        env={**os.environ, "AUTHHOST_SECRET_KEY": "k1" * 24, "AUTHHOST_BLOCKED_PLUGINS": "audit,analytics"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_command_line(tmp_path):
    file = tmp_path / "site.toml"
    file.write_text(
        f'database_url = "sqlite:///{tmp_path / "site.sqlite3"}"\n'
        f'[plugins.email]\ndelivery = "manual"\ndirectory = "{tmp_path / "mail"}"\n'
    )
    settings = Settings.load(
        file, secret_key="k" * 48, blocked_plugins=("audit", "analytics"), password_hash_options=CHEAP
    )
    with AuthHost(settings, upgrade_database=True) as host, host.request(language="de") as request:
        host.account.signup(request, email=ANN, password=PASSWORD)
    listed = [json.loads(line) for line in email(file, "outbox", "--json").splitlines()]
    assert [(each["kind"], each["language"]) for each in listed][:1] == [("email_confirmation", "de")]
    assert "key" not in email(file, "outbox")
    assert "it will not be sent" in email(file, "cancel", listed[0]["id"])
    assert "no such message" in email(file, "retry", listed[0]["id"], code=1)
    assert "nothing will be sent" in email(file, "suppress", "Bounced@example.org")
    assert "suppressed already" in email(file, "suppress", "bounced@example.org", code=1)
    assert "bounced@example.org" in email(file, "suppressed", "--json")
    assert "gets mail again" in email(file, "allow", "bounced@example.org")
    assert "1 sent" in email(file, "deliver")  # the welcome
    assert "0 messages were deleted" in email(file, "clean")
    assert "file took it" in email(file, "send-test", "me@example.org", "--language", "ja")
    assert "Réinitialise" in email(file, "preview", "password_reset", "--language", "fr")
    assert "name a message" in email(file, "preview", code=2)
    assert len(list((tmp_path / "mail").glob("*.eml"))) == 2


def test_the_preview_shows_all():
    with preview_server(EmailSettings(), 0) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        address = f"http://127.0.0.1:{running.server_port}"
        index = urlopen(f"{address}/").read().decode()
        assert index.count("/html?") == len(KINDS) * len(SHIPPED)
        shown = urlopen(f"{address}/html?kind=welcome&language=ar").read().decode()
        assert 'dir="rtl"' in shown
        text = urlopen(f"{address}/text?kind=welcome&language=de").read().decode()
        assert text.splitlines()[0] != "Welcome to Example"
        with pytest.raises(OSError, match="404"):
            urlopen(f"{address}/html?kind=nothing")
        running.shutdown()
        thread.join()
