"""Abuse of messages by strangers, and mistakes of operators."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default as default_policy
from uuid import UUID

import pytest
from authhost_email.details import describe_user_agent, remove_link_syntax
from authhost_email.languages import LANGUAGES
from authhost_email.rendering import KINDS, UNAUTHENTICATED_KINDS, compose, render
from authhost_email.samples import RECIPIENT, sample
from authhost_email.settings import EmailSettings
from authhost_email.tables import outbox_table, suppression_table
from authhost_hookspecs import Message
from conftest import PASSWORD
from hypothesis import given, strategies as st
from sqlalchemy import delete, insert, update

from authhost.errors import AuthError, DeliveryFailed
from authhost.store.models import User
from email_plugin.helpers import ANN, BOB, deliver_repeatedly, link_of, mails, outbox, queue, rows


def test_links_to_other_hosts_are_refused(make, run):
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
                named.services.hooks.deliver_message(request, Message("password_reset", ANN, link=link))
            except DeliveryFailed:
                assert not taken
            else:
                assert taken


@pytest.mark.parametrize(
    "value", ["a\nBcc: all@example.org", "a\r\nX: y", "<script>", "{{ 7 * 7 }}", "%(x)s"]
)
def test_values_cannot_inject_headers_or_markup(value):
    context = {**sample("social_account_added"), "provider": value, "name": value, "site_name": value}
    rendered = render(
        EmailSettings(from_name="Über, <uns>"), "social_account_added", RECIPIENT, "de", context
    )
    message = compose(EmailSettings(), rendered, UUID(int=7), RECIPIENT, datetime.now(UTC))
    parsed = message_from_bytes(message.as_bytes(), policy=default_policy)
    assert sorted(parsed.keys()) == sorted(
        ["Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]
    )
    assert "<script>" not in rendered.html
    assert "49" not in rendered.subject
    with pytest.raises(ValueError, match="one line"):
        EmailSettings(from_name="a\nb")


@pytest.mark.parametrize(
    "value", ["=?utf-8?q?=0D=0ABcc=3Aall=40evil.example?= y", "=?utf-8?q?=0D=0A=0D=0Aphish?= y"]
)
def test_an_encoded_word_in_a_subject(tmp_path, value):
    """The library decodes encoded words in headers, and they can contain line breaks.

    The template is the one in docs/email.md. The attacker chooses the name.
    """
    (tmp_path / "messages").mkdir()
    (tmp_path / "messages" / "email_confirmation.j2").write_text(
        '{% set subject = "Ahoy, " ~ (name or "sailor") %}{% set paragraphs = ["x"] %}'
    )
    settings = EmailSettings(templates=str(tmp_path), from_name=value)
    context = {**sample("email_confirmation"), "name": value}
    rendered = render(settings, "email_confirmation", RECIPIENT, "en", context)
    message = compose(settings, rendered, UUID(int=7), RECIPIENT, datetime.now(UTC))
    parsed = message_from_bytes(message.as_bytes(), policy=default_policy)
    assert sorted(parsed.keys()) == sorted(
        ["Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]
    )


def signup_as(host, run, name):
    """Send a confirmation to a user with an old username, which a signup does not accept any more."""
    token = run(host, "signup", email="old@example.org", password=PASSWORD).session_token
    with host.engine.begin() as connection:
        connection.execute(update(User).values(username=name))
    run(host, "add_email", token, email=ANN)


def test_an_encoded_word_in_a_username(make, run, tmp_path):
    """The attacker chooses the username and signs up with another person's address."""
    (tmp_path / "messages").mkdir()
    (tmp_path / "messages" / "email_confirmation.j2").write_text(
        '{% set subject = "Ahoy, " ~ (name or "sailor") %}{% set paragraphs = ["x"] %}'
    )
    host = make(email={"templates": str(tmp_path)})
    name = "=?utf-8?q?=0D=0AReply-To=3A_me=40evil.example=0D=0A=0D=0Aphish?= y"
    signup_as(host, run, name)
    try:
        outbox(host).deliver_pending()
    except Exception as error:  # newer Python versions raise HeaderWriteError
        pytest.fail(repr(error))
    for each in mails(tmp_path):
        assert each["Reply-To"] is None
        assert each["Message-ID"] is not None


def test_an_encoded_word_in_an_address(host, run, tmp_path):
    """The address is valid (RFC 5322). The header To must not contain what mail programs would decode."""
    address = "=?utf-8?q?victim=40bank.example=2c_x?=@example.org"
    run(host, "request_password_reset", email=address)
    outbox(host).deliver_pending()
    assert rows(host, "status") == [("sent",)]
    raw = next((tmp_path / "mail").glob("*.eml")).read_bytes()
    assert b"victim@bank.example" not in raw.split(b"\n\n")[0]


def test_a_username_cannot_contain_a_link(host, run, tmp_path):
    """The attacker signs up with another person's address and a username that looks like a link."""
    signup_as(host, run, "you won! https://evil.example/win")
    outbox(host).deliver_pending()
    for each in mails(tmp_path):
        assert "https://evil.example" not in each.get_body(("plain",)).get_content(), each["Subject"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"lease": 0.0},
        {"lease": -1.0},
        {"lease": 5.0, "timeout": 10.0},
        {"max_per_hour": 0},
        {"max_attempts": 0},
        {"timeout": 0.0},
        {"from_address": "noreply"},
        {"from_address": "Site <noreply@example.org>"},
        {"from_address": "a@example.org\nBcc: x@example.org"},
        {"from_address": "-oQ/tmp"},
    ],
)
def test_invalid_settings(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        EmailSettings(**wrong)


def test_requested_messages_are_limited_per_hour(make, fake, clock):
    host = make(email={"transport": "fake", "max_per_hour": 2})
    for _ in range(3):
        queue(host, ANN, "password_reset_unknown_account")
        outbox(host).deliver_pending()
    queue(host, ANN, "password_changed", verified=True, count=3)
    queue(host, BOB, "password_reset_unknown_account")
    assert outbox(host).deliver_pending() == 4
    assert [status for (status,) in rows(host, "status")][:3] == ["sent", "superseded", "pending"]
    assert rows(host, "attempts")[2] == (0,)
    clock.forward(minutes=61)
    assert outbox(host).deliver_pending() == 1
    assert rows(host, "status")[2] == ("sent",)


def test_notices_to_an_unconfirmed_address_are_limited(make, fake, clock):
    """The address may belong to a stranger, whose mailbox must not be filled."""
    host = make(email={"transport": "fake", "max_per_hour": 2})
    queue(host, ANN, "password_changed", count=3)
    queue(host, ANN, "password_reset_unknown_account")
    assert outbox(host).deliver_pending() == 3
    assert rows(host, "status", "context")[2] == ("limited", None)


def test_logs_contain_no_key(make, fake, run, clock, caplog):
    caplog.set_level("DEBUG", logger="authhost")
    host = make(email={"transport": "fake", "max_attempts": 3})
    run(host, "signup", email=ANN, password=PASSWORD)
    with host.engine.begin() as connection:
        connection.execute(delete(outbox_table).where(outbox_table.c.kind != "email_confirmation"))
    link = link_of(host)
    fake.script[ANN] = [OSError(f"quota for {link}"), RuntimeError(link), ValueError(link)]
    found = []
    for _ in range(4):
        deliver_repeatedly(host, clock, 1)
        found += rows(host, "last_error")
    assert rows(host, "kind", "status")[0] == ("email_confirmation", "dead")
    assert "is given up: fake: failed with ValueError" in caplog.text
    assert "quota for [link]" in str(found)
    for part in (link, link[-43:]):
        assert part not in caplog.text + str(found)


def test_many_resets_do_not_delay_a_notice(make, fake, clock):
    """The core allows five resets a minute for an address. At most thirty are sent in an hour."""
    host = make(email={"transport": "fake"})
    for _ in range(60):  # twelve minutes of an attack by a person who knows the address
        with host.request() as request:
            host.services.hooks.deliver_message(
                request,
                Message(
                    "password_reset",
                    ANN,
                    link="http://localhost:8000/x",
                    expires=clock.now + timedelta(hours=1),
                ),
            )
    queue(host, ANN, "password_changed")
    outbox(host).deliver_pending()
    assert rows(host, "kind", "status")[-1] == ("password_changed", "sent")


def test_suppressed_addresses_get_no_messages(make, fake, clock):
    host = make(email={"transport": "fake"})
    with host.engine.begin() as connection:
        row = {"recipient": ANN, "reason": "bounced", "created_at": clock.now}
        connection.execute(insert(suppression_table).values(row))
    queue(host, ANN)
    queue(host, BOB)
    assert outbox(host).deliver_pending() == 1
    assert rows(host, "status", "context")[0] == ("suppressed", None)


def test_suppression_ignores_the_notation_of_an_address(make, fake, clock):
    host = make(email={"transport": "fake"})
    with host.engine.begin() as connection:
        row = {"recipient": ANN, "reason": "bounced", "created_at": clock.now}
        connection.execute(insert(suppression_table).values(row))
    with host.request() as request:
        host.services.hooks.deliver_message(
            request, Message("password_reset_unknown_account", "Ann@Example.ORG")
        )
    assert outbox(host).deliver_pending() == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("go to evil.example", "go to evil example"),
        ("https://192.0.2.1/x", "https 192 0 2 1/x"),
        ("x2。example", "x2 example"),
        ("J. R. R. Tolkien", "J. R. R. Tolkien"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0)", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0)"),
        ("Chrome/140.0.0.0 Safari/537.36", "Chrome/140 0 0 0 Safari/537.36"),
        ("1.2.3.4/x", "1 2 3 4/x"),
        ("😀.la", "😀 la"),
        ("q\u0301.com", "q\u0301 com"),
        ("localhost:8000/x", "localhost 8000/x"),
        ("a@b", "a b"),
        ("mailto:a", "mailto a"),
        ("[::1]/x", "[  1]/x"),
        ("x．com x｡com x․com x﹒com x⒈com", "x com x com x com x com x com"),
        ("x.\u200bcom", "x \u200bcom"),
        ("x:80.example", "x 80 example"),
    ],
)
def test_remove_link_syntax(given, said):
    assert remove_link_syntax(given) == said


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
DOTS = ".。．｡․﹒:/@"


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox, Linux"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) … Version/18.1 Safari/605.1.15", "Safari, macOS"),
        ("… (Windows NT 10.0; Win64; x64) … Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0", "Edge, Windows"),
        ("… (iPhone; CPU iPhone OS 18_1 like Mac OS X) … CriOS/140.0 Mobile Safari/604.1", "Chrome, iPhone"),
        (
            "… (Linux; Android 15) … SamsungBrowser/28.0 Chrome/130.0 Safari/537.36",
            "Samsung Internet, Android",
        ),
        ("you have won, visit evil.example", ""),
        ("", ""),
    ],
)
def test_describe_user_agent(agent, said):
    assert describe_user_agent(agent) == said


@given(st.lists(st.one_of(WORDS, st.sampled_from(["evil", "com", "la", "1.2.3.4", "localhost", *DOTS]))))
def test_remove_link_syntax_leaves_no_joined_words(pieces):
    """The rest of a domain name, IP address, port or e-mail address is none of them."""
    said = remove_link_syntax("".join(pieces))
    assert "@" not in said
    assert "://" not in said
    for joint in (*".:", *DOTS):
        for place, each in enumerate(said):
            after = said[place + 1 : place + 2]
            if each == joint and each not in "/" and after.strip():
                version = each == "." and said[place - 1].isdecimal() and after.isdecimal()
                assert version or (each == ":" and said[max(0, place - 2) : place] == "rv"), (said, place)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("verified", [True, False])
def test_messages_to_strangers_contain_no_user_text(kind, verified):
    """This holds for requested messages, and for all messages to an unconfirmed address."""
    chosen = {"name": "You have won", "user_agent": "call 0900 Chrome", "address": "call.0900@evil.example"}
    context = {**sample(kind), **chosen, "verified": verified}
    for language in LANGUAGES:
        rendered = render(EmailSettings(), kind, RECIPIENT, language, context)
        for part in (rendered.subject, rendered.text, rendered.html):
            if kind in UNAUTHENTICATED_KINDS or not verified:
                assert "won" not in part
                assert "0900" not in part


def test_a_signup_with_another_persons_address_contains_no_user_text(make, tmp_path):
    """Also without e-mail verification, when messages are sent to the address at once."""
    for number, mode in enumerate(("none", "optional", "mandatory")):
        host = make(email_verification=mode)
        address = f"victim{number}@example.org"
        with host.request(user_agent="visit evil") as request:
            host.account.signup(request, email=address, password=PASSWORD, username=f"won.{number}")
        with suppress(AuthError), host.request(user_agent="visit evil") as request:
            token = host.account.login(request, identifier=address, password=PASSWORD).session_token
        with suppress(AuthError), host.request(session_token=token, user_agent="visit evil") as request:
            host.account.add_email(request, email="call.0900@evil.example")
        outbox(host).deliver_pending()
        said = [each for each in mails(tmp_path) if each["To"] == address]
        assert said
        for each in said:
            text = each.get_body(("plain",)).get_content() + each["Subject"]
            assert not {"won", "evil", "0900"} & set(text.replace(".", " ").split()), text
