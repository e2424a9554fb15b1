"""What a stranger may not do by mail, nor an operator by mistake."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default as default_policy
from uuid import UUID

import pytest
from authhost_email.details import described, unlinked
from authhost_email.languages import SHIPPED
from authhost_email.rendering import KINDS, ON_REQUEST, compose, render
from authhost_email.samples import RECIPIENT, sample
from authhost_email.settings import EmailSettings
from authhost_email.tables import outbox_table, suppression_table
from authhost_hookspecs import Message
from conftest import PASSWORD
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, insert, update

from authhost.errors import AuthError, DeliveryFailed
from authhost.store.models import User
from email_plugin.post import ANN, BOB, link_of, mails, outbox, passes, queue, rows


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
    "value", ["a\nBcc: all@example.org", "a\r\nX: y", "<script>", "{{ 7 * 7 }}", "%(x)s"]
)
def test_nothing_gets_into_headers_or_markup(value):
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
    """The library decodes encoded words in what it is given; line breaks may hide in them.

    The template is the one of docs/email.md; a name may be what the attacker likes.
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
    """Send a confirmation to a user of before, whose name a signup does not take any more."""
    token = run(host, "signup", email="old@example.org", password=PASSWORD).session_token
    with host.engine.begin() as connection:
        connection.execute(update(User).values(username=name))
    run(host, "add_email", token, email=ANN)


def test_an_encoded_word_by_signup(make, run, tmp_path):
    """From the form to the wire: a name that anybody may choose, and somebody else's address."""
    (tmp_path / "messages").mkdir()
    (tmp_path / "messages" / "email_confirmation.j2").write_text(
        '{% set subject = "Ahoy, " ~ (name or "sailor") %}{% set paragraphs = ["x"] %}'
    )
    host = make(email={"templates": str(tmp_path)})
    name = "=?utf-8?q?=0D=0AReply-To=3A_me=40evil.example=0D=0A=0D=0Aphish?= y"
    signup_as(host, run, name)
    try:
        outbox(host).deliver_pending()
    except Exception as error:  # a later Python refuses to write it: HeaderWriteError, which nobody catches
        pytest.fail(repr(error))
    for each in mails(tmp_path):
        assert each["Reply-To"] is None
        assert each["Message-ID"] is not None


def test_an_encoded_word_in_an_address(host, run, tmp_path):
    """The address is valid (RFC 5322), and To must not say what it would be decoded."""
    address = "=?utf-8?q?victim=40bank.example=2c_x?=@example.org"
    run(host, "request_password_reset", email=address)
    outbox(host).deliver_pending()
    assert rows(host, "status") == [("sent",)]
    raw = next((tmp_path / "mail").glob("*.eml")).read_bytes()
    assert b"victim@bank.example" not in raw.split(b"\n\n")[0]


def test_a_stranger_cannot_put_a_link_into_a_message(host, run, tmp_path):
    """By signing up with somebody else's address, and a name that mail programs make a link of."""
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
def test_settings_that_cannot_serve(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        EmailSettings(**wrong)


def test_so_much_for_one_recipient_on_request_and_no_more(make, fake, clock):
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


def test_so_many_notices_to_an_address_that_nobody_has_confirmed(make, fake, clock):
    """It may be a stranger's, whose mailbox somebody would fill."""
    host = make(email={"transport": "fake", "max_per_hour": 2})
    queue(host, ANN, "password_changed", count=3)
    queue(host, ANN, "password_reset_unknown_account")
    assert outbox(host).deliver_pending() == 3
    assert rows(host, "status", "context")[2] == ("limited", None)


def test_a_key_is_in_no_log(make, fake, run, clock, caplog):
    caplog.set_level("DEBUG", logger="authhost")
    host = make(email={"transport": "fake", "max_attempts": 3})
    run(host, "signup", email=ANN, password=PASSWORD)
    with host.engine.begin() as connection:
        connection.execute(delete(outbox_table).where(outbox_table.c.kind != "email_confirmation"))
    link = link_of(host)
    fake.script[ANN] = [OSError(f"quota for {link}"), RuntimeError(link), ValueError(link)]
    found = []
    for _ in range(4):
        passes(host, clock, 1)
        found += rows(host, "last_error")
    assert rows(host, "kind", "status")[0] == ("email_confirmation", "dead")
    assert "is given up: ValueError" in caplog.text
    assert "quota for [link]" in str(found)
    for part in (link, link[-43:]):
        assert part not in caplog.text + str(found)


def test_a_flood_of_resets_does_not_hold_up_a_notice(make, fake, clock):
    """The core allows five resets a minute for an address; of those go thirty an hour, and no more."""
    host = make(email={"transport": "fake"})
    for _ in range(60):  # twelve minutes of an attack, by whoever knows the address
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


def test_suppressed_addresses_get_nothing(make, fake, clock):
    host = make(email={"transport": "fake"})
    with host.engine.begin() as connection:
        row = {"recipient": ANN, "reason": "bounced", "created_at": clock.now}
        connection.execute(insert(suppression_table).values(row))
    queue(host, ANN)
    queue(host, BOB)
    assert outbox(host).deliver_pending() == 1
    assert rows(host, "status", "context")[0] == ("suppressed", None)


def test_a_suppressed_address_however_it_is_written(make, fake, clock):
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
def test_what_mail_programs_make_a_link_of(given, said):
    assert unlinked(given) == said


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
def test_what_is_said_of_a_user_agent(agent, said):
    assert described(agent) == said


@given(st.lists(st.one_of(WORDS, st.sampled_from(["evil", "com", "la", "1.2.3.4", "localhost", *DOTS]))))
def test_no_dot_colon_or_at_joins_two_words(pieces):
    """What is left of a domain name, an IP address, a port or an address cannot be one."""
    said = unlinked("".join(pieces))
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
def test_strangers_choose_no_word_of_a_message(kind, verified):
    """In a message that anybody may cause, and in any that goes to an address that nobody has confirmed."""
    chosen = {"name": "You have won", "user_agent": "call 0900 Chrome", "address": "call.0900@evil.example"}
    context = {**sample(kind), **chosen, "verified": verified}
    for language in SHIPPED:
        rendered = render(EmailSettings(), kind, RECIPIENT, language, context)
        for part in (rendered.subject, rendered.text, rendered.html):
            if kind in ON_REQUEST or not verified:
                assert "won" not in part
                assert "0900" not in part


def test_a_signup_with_somebody_elses_address_says_nothing_of_ones_own(make, tmp_path):
    """Also where nobody confirms an address, and every message goes to it at once."""
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
