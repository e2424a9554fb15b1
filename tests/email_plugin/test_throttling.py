"""Throttling of messages that unauthenticated requests cause."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from authhost_email.rendering import UNAUTHENTICATED_KINDS
from authhost_email.throttling import SHARES, client_network, next_send_time
from conftest import PASSWORD
from hypothesis import given, strategies as st

from email_plugin.helpers import ANN, BOB, link_of, mails, outbox, queue, rows

START = datetime(2026, 1, 1, tzinfo=UTC)
ONE, OTHER = UUID(int=1), UUID(int=2)


def test_each_unauthenticated_kind_has_a_share():
    assert set(SHARES) == set(UNAUTHENTICATED_KINDS)


def test_only_the_newest_message_of_a_kind_is_sent(make, fake):
    host = make(email={"transport": "fake"})
    queue(host, ANN, "password_reset", count=3, link="http://localhost:8000/x", user_id=ONE)
    queue(host, ANN, "password_reset_unknown_account", count=2)
    queue(host, BOB, "password_reset", link="http://localhost:8000/x", user_id=OTHER)
    assert outbox(host).deliver_pending() == 3
    statuses = [status for (status,) in rows(host, "status")]
    assert statuses == ["superseded", "superseded", "sent", "superseded", "sent", "sent"]
    assert {(c, s, e) for c, s, e in rows(host, "context", "sealed_link", "expires_at")} == {
        (None, None, None)
    }


def test_two_accounts_with_one_address_each_get_a_confirmation(make, fake):
    """A stranger who signs up with another person's address does not stop the owner's confirmation."""
    host = make(email={"transport": "fake"})
    for user_id in (ONE, OTHER, ONE):
        queue(host, ANN, "email_confirmation", link="http://localhost:8000/x", user_id=user_id)
    for _ in range(2):  # without a user
        queue(host, ANN, "email_confirmation", link="http://localhost:8000/x")
    assert outbox(host).deliver_pending() == 4
    assert [status for (status,) in rows(host, "status")] == ["superseded", *["sent"] * 4]


@pytest.mark.parametrize("addresses", ["2001:db8:0:7::{:x}", "2001:db8:0:{:x}::1"])
def test_a_network_with_many_requests_waits_behind_one_with_few(make, fake, clock, addresses):
    """A stranger signs up 100 times with another person's address. The owner's confirmation is sent next."""
    host = make(email={"transport": "fake"})
    plugin = next(each for each in host.registry.loaded() if each.name == "email").plugin

    def ask(number, ip_address):
        with host.request(ip_address=ip_address) as request:
            link = "http://localhost:8000/x"
            plugin._queue(request, "email_confirmation", ANN, link=link, user_id=UUID(int=number))

    for number in range(100):
        ask(number, addresses.format(number))
        outbox(host).deliver_pending()
    assert [status for (status,) in rows(host, "status")].count("sent") == 10
    ask(100, "192.0.2.7")
    for number in range(101, 130):
        ask(number, addresses.format(number))
    waited = 0
    while rows(host, "status")[100] != ("sent",):
        outbox(host).deliver_pending()
        clock.forward(minutes=1)
        waited += 1
    assert waited <= 10


@pytest.mark.parametrize(
    ("address", "found"),
    [
        (None, None),
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:0:7::1", "2001:db8:0:7::/64"),
    ],
)
def test_client_network(address, found):
    assert client_network(address) == found


def test_a_newer_message_does_not_wait_for_a_failed_one(make, fake, clock):
    """After an outage the newest message is sent at once, and no older link."""
    host = make(email={"transport": "fake"})
    fake.script[ANN] = [ConnectionError("down")] * 100
    queue(host, ANN, "password_reset", link="http://localhost:8000/x", user_id=ONE)
    queue(host, ANN, "password_changed")
    for _ in range(12):
        outbox(host).deliver_pending()
        clock.forward(minutes=70)
    outbox(host).deliver_pending()
    fake.script[ANN] = []
    queue(host, ANN, "password_reset", link="http://localhost:8000/x", user_id=ONE)
    queue(host, ANN, "email_removed", address=ANN)
    outbox(host).deliver_pending()
    clock.forward(hours=2)
    outbox(host).deliver_pending()
    assert [status for (status,) in rows(host, "status")] == ["superseded", "sent", "sent", "sent"]
    assert rows(host, "sent_at")[2] < rows(host, "sent_at")[1]


def test_a_stranger_cannot_stop_the_owners_messages(make, run, clock, tmp_path):
    """A stranger requests resets for 200 minutes. Then the owner's link arrives and works."""
    host = make()
    run(host, "signup", email=ANN, password=PASSWORD)
    outbox(host).deliver_pending()
    for _ in range(200):
        run(host, "request_password_reset", email=ANN)
        outbox(host).deliver_pending()
        clock.forward(minutes=1)
    run(host, "request_password_reset", email=ANN)
    newest = len(rows(host, "id")) - 1
    outbox(host).deliver_pending()
    if rows(host, "status")[newest] != ("sent",):
        link = link_of(host, newest)
        assert rows(host, "status", "attempts")[newest] == ("pending", 0)
        assert "max_per_hour" in rows(host, "last_error")[newest][0]
        clock.forward(minutes=10)
        outbox(host).deliver_pending()
        assert link in mails(tmp_path)[-1].get_body(("plain",)).get_content()
    assert rows(host, "status")[newest] == ("sent",)
    assert not {"limited", "dead"} & {status for (status,) in rows(host, "status")}
    per_hour = [time for (time,) in rows(host, "sent_at") if time is not None]
    assert max(sum(a <= b < a + timedelta(hours=1) for b in per_hour) for a in per_hour) <= 30


def test_each_kind_has_its_own_turns(make, fake, clock):
    host = make(email={"transport": "fake", "max_per_hour": 30})
    for _ in range(60):
        queue(host, ANN, "password_reset", link="http://localhost:8000/x", user_id=ONE)
        outbox(host).deliver_pending()
    queue(host, ANN, "email_confirmation", link="http://localhost:8000/x", user_id=OTHER)
    queue(host, ANN, "signup_existing_account", link="http://localhost:8000/x")
    assert outbox(host).deliver_pending() == 2


@given(
    per_hour=st.integers(1, 40),
    steps=st.lists(st.tuples(st.sampled_from(UNAUTHENTICATED_KINDS), st.integers(0, 900)), max_size=120),
)
def test_next_send_time(per_hour, steps):
    """No hour has more than ``per_hour`` messages, and no message waits for longer than an hour."""
    sent: list[tuple[str, datetime]] = []
    now = START
    for kind, seconds in steps:
        now += timedelta(seconds=seconds)
        recent = [each for each in sent if each[1] > now - timedelta(hours=1)][:per_hour]
        turn = next_send_time(now, kind, recent, per_hour)
        assert now <= turn <= now + timedelta(hours=1)
        assert (
            next_send_time(
                turn, kind, [each for each in recent if each[1] > turn - timedelta(hours=1)], per_hour
            )
            <= turn
        )
        if turn == now:
            sent.insert(0, (kind, now))
    for _, start in sent:
        assert sum(start <= time < start + timedelta(hours=1) for _, time in sent) <= per_hour


@pytest.mark.parametrize("kind", UNAUTHENTICATED_KINDS)
def test_many_requests_of_other_kinds_delay_a_message_by_ten_minutes_at_most(kind):
    """By default a link arrives within ten minutes, even if other kinds are requested all the time."""
    sent: list[tuple[str, datetime]] = []
    waits = []
    for minute in range(600):
        now = START + timedelta(minutes=minute)
        for each in (flood for flood in UNAUTHENTICATED_KINDS if flood != kind):
            recent = [one for one in sent if one[1] > now - timedelta(hours=1)][:30]
            if next_send_time(now, each, recent, 30) == now:
                sent.insert(0, (each, now))
        recent = [one for one in sent if one[1] > now - timedelta(hours=1)][:30]
        waits.append(next_send_time(now, kind, recent, 30) - now)
    assert max(waits) <= timedelta(minutes=10)
