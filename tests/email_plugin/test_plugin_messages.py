"""Messages that other plugins send by `request.send`."""

from __future__ import annotations

from datetime import timedelta

import pytest
from authhost_email.commands import email
from authhost_email.tables import outbox_table, suppression_table
from authhost_email.transports import Permanent
from authhost_hookspecs import Message, hookimpl
from click.testing import CliRunner
from conftest import PASSWORD
from sqlalchemy import insert

from authhost.errors import DeliveryFailed
from authhost.testing import CommandContext
from email_plugin.helpers import ANN, BOB, kinds, mails, outbox, rows

TEXT = "Somebody has signed up: https://example.org/users/1"


def message(**values):
    return Message(**{"kind": "plugin", "recipient": BOB, "subject": "Grüße", "text": TEXT, **values})


def send(host, *messages):
    with host.request() as request:
        for each in messages:
            request.send(each)


def test_text_is_sent_as_it_is_from_the_site(make, tmp_path):
    host = make(email={"from_address": "site@example.org", "from_name": "Teapots"})
    send(host, message(), message(html="<p>Hello</p>"))
    assert outbox(host).deliver_pending() == 2
    plain, both = mails(tmp_path)
    assert (plain["Subject"], plain["To"]) == ("Grüße", BOB)
    assert plain["From"] == "Teapots <site@example.org>"
    assert plain["Auto-Submitted"] == "auto-generated"
    assert plain.get_content().splitlines() == [TEXT]
    assert both.get_body(("html",)).get_content().splitlines() == ["<p>Hello</p>"]
    assert both.get_body(("plain",)).get_content().splitlines() == [TEXT]


def test_outbox_has_the_content_only_encrypted_and_deletes_it(make, tmp_path):
    host = make()
    send(host, message(html="<p>secret-of-the-html"))
    everything = repr(rows(host, *outbox_table.c.keys()))
    for part in (TEXT, "secret-of-the-html", "Grüße"):
        assert part not in everything
    assert outbox(host).deliver_pending() == 1
    assert rows(host, "status", "context", "sealed_link") == [("sent", None, None)]


def test_largest_message_fits_the_table(make, tmp_path):
    host = make()
    send(host, message(subject="é" * 200, text="x" * 10_000, html="é" * 15_000))
    assert outbox(host).deliver_pending() == 1
    [mail] = mails(tmp_path)
    assert mail.get_body(("html",)).get_content().strip() == "é" * 15_000


def test_message_that_does_not_fit_the_table_is_refused_at_once(make):
    host = make()
    with host.request() as request, pytest.raises(DeliveryFailed):
        request.send(message(text='"' * 40_000))
    assert rows(host, "id") == []


def test_command_shows_the_kind_and_no_content(make, fake):
    host = make(email={"transport": "fake"})
    send(host, message())
    assert kinds(host) == ["plugin"]
    shown = CliRunner().invoke(email, ["outbox", "--json"], obj=CommandContext(host))
    assert '"kind": "plugin"' in shown.output
    assert TEXT not in shown.output


def test_plugin_is_named(make_host, tmp_path):
    from authhost_email.plugin import EmailPlugin

    class Sends:
        @hookimpl
        def user_signed_up(self, request, user):
            request.send(message(recipient=user.email, user_id=user.id))

    given = {"delivery": "manual", "directory": str(tmp_path / "mail")}
    host = make_host({"email": EmailPlugin(), "sends": Sends()}, plugin_settings={"email": given})
    with host.request() as request:
        host.account.signup(request, email=ANN, password=PASSWORD)
    assert "plugin:sends" in kinds(host)
    shown = CliRunner().invoke(email, ["outbox"], obj=CommandContext(host))
    assert "plugin:sends" in shown.output
    outbox(host).deliver_pending()
    assert "Grüße" in [each["Subject"] for each in mails(tmp_path)]


def test_failed_attempt_is_repeated_and_a_permanent_failure_is_not(make, fake, clock):
    host = make(email={"transport": "fake"})
    fake.script[BOB] = [ConnectionError("busy"), Permanent("no such mailbox")]
    send(host, message())
    for _ in range(3):
        outbox(host).deliver_pending()
        clock.forward(hours=2)
    assert rows(host, "status", "attempts") == [("dead", 2)]


def test_newer_message_does_not_replace_an_older_one(make, fake):
    host = make(email={"transport": "fake"})
    send(host, message(subject="one"), message(subject="two"))
    assert outbox(host).deliver_pending() == 2


def test_suppressed_address_gets_none(make, fake):
    host = make(email={"transport": "fake"})
    with host.engine.begin() as connection:
        row = {"recipient": BOB, "reason": "bounced", "created_at": host.now}
        connection.execute(insert(suppression_table).values(row))
    send(host, message())
    assert outbox(host).deliver_pending() == 0
    assert rows(host, "status") == [("suppressed",)]


def test_expired_message_is_not_sent(make, fake, clock):
    host = make(email={"transport": "fake"})
    send(host, message(expires=clock.now + timedelta(hours=1)))
    clock.forward(hours=1)
    assert outbox(host).deliver_pending() == 0
    assert rows(host, "status", "sealed_link") == [("expired", None)]


@pytest.mark.parametrize("confirmed", [True, False])
def test_user_with_an_unconfirmed_address_gets_few(make, fake, recorder, confirmed):
    host = make(email={"transport": "fake", "max_per_hour": 2})
    with host.request() as request:
        user = host.account.signup(request, email=ANN, password=PASSWORD).user
    if confirmed:
        with host.request() as request:
            host.account.confirm_email(request, key=recorder.key(), password=PASSWORD)
    send(host, *[message(recipient=ANN, user_id=user.id)] * 4)
    outbox(host).deliver_pending()
    found = [status for kind, status in rows(host, "kind", "status") if kind == "plugin"]
    assert found.count("sent") == (4 if confirmed else 2) - (0 if confirmed else kinds(host).count("welcome"))


def test_somebody_who_is_no_user_gets_all(make, fake):
    host = make(email={"transport": "fake", "max_per_hour": 2})
    send(host, *[message()] * 4)
    assert outbox(host).deliver_pending() == 4


def test_content_that_no_key_decrypts_is_given_up_with_a_remedy(make, fake):
    send(make(encryption_keys=("o" * 32,)), message())
    host = make(email={"transport": "fake"}, encryption_keys=("n" * 32,))
    assert outbox(host).deliver_pending() == 0
    [(status, error)] = rows(host, "status", "last_error")
    assert status == "dead"
    assert "encryption_keys" in error
