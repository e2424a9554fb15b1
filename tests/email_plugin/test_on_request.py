"""Messages that anybody may cause: the newest arrives, whatever a stranger does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from authhost_email.on_request import SHARES, network, next_turn
from authhost_email.rendering import ON_REQUEST
from conftest import PASSWORD
from hypothesis import given
from hypothesis import strategies as st

from email_plugin.post import ANN, BOB, link_of, mails, outbox, queue, rows

START = datetime(2026, 1, 1, tzinfo=UTC)
ONE, OTHER = UUID(int=1), UUID(int=2)


def test_shares_are_of_all_kinds():
    assert set(SHARES) == set(ON_REQUEST)


def test_of_one_kind_the_newest_goes_and_the_others_do_not(make, fake):
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


def test_two_accounts_with_one_address_are_each_told(make, fake):
    """A stranger who signs up with somebody's address does not take the owner's confirmation away."""
    host = make(email={"transport": "fake"})
    for user_id in (ONE, OTHER, ONE):
        queue(host, ANN, "email_confirmation", link="http://localhost:8000/x", user_id=user_id)
    for _ in range(2):  # of whom, nobody says
        queue(host, ANN, "email_confirmation", link="http://localhost:8000/x")
    assert outbox(host).deliver_pending() == 4
    assert [status for (status,) in rows(host, "status")] == ["superseded", *["sent"] * 4]


@pytest.mark.parametrize("addresses", ["2001:db8:0:7::{:x}", "2001:db8:0:{:x}::1"])
def test_a_network_that_asks_for_many_accounts_waits_behind_one_that_asks_for_one(
    make, fake, clock, addresses
):
    """A stranger signs up 100 times with somebody's address; the owner's confirmation is the next to go."""
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
def test_the_network_of_an_address(address, found):
    assert network(address) == found


def test_the_newer_one_is_not_held_up_by_a_failed_one(make, fake, clock):
    """After an outage, what was asked for last goes at once, and no link goes that was asked for before."""
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


def test_a_stranger_cannot_use_up_the_owners_messages(make, run, clock, tmp_path):
    """Through the flows: 200 minutes of requests, and then the owner's, whose link arrives and works."""
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


def test_other_kinds_have_turns_of_their_own(make, fake, clock):
    host = make(email={"transport": "fake", "max_per_hour": 30})
    for _ in range(60):
        queue(host, ANN, "password_reset", link="http://localhost:8000/x", user_id=ONE)
        outbox(host).deliver_pending()
    queue(host, ANN, "email_confirmation", link="http://localhost:8000/x", user_id=OTHER)
    queue(host, ANN, "signup_existing_account", link="http://localhost:8000/x")
    assert outbox(host).deliver_pending() == 2


@given(
    per_hour=st.integers(1, 40),
    steps=st.lists(st.tuples(st.sampled_from(ON_REQUEST), st.integers(0, 900)), max_size=120),
)
def test_turns(per_hour, steps):
    """No hour has more than ``per_hour``, and nothing waits for longer than an hour."""
    sent: list[tuple[str, datetime]] = []
    now = START
    for kind, seconds in steps:
        now += timedelta(seconds=seconds)
        recent = [each for each in sent if each[1] > now - timedelta(hours=1)][:per_hour]
        turn = next_turn(now, kind, recent, per_hour)
        assert now <= turn <= now + timedelta(hours=1)
        assert (
            next_turn(turn, kind, [each for each in recent if each[1] > turn - timedelta(hours=1)], per_hour)
            <= turn
        )
        if turn == now:
            sent.insert(0, (kind, now))
    for _, start in sent:
        assert sum(start <= time < start + timedelta(hours=1) for _, time in sent) <= per_hour


@pytest.mark.parametrize("kind", ON_REQUEST)
def test_a_flood_of_one_kind_costs_another_at_most_some_minutes(kind):
    """By default a link comes within ten minutes while somebody floods the address with another kind."""
    sent: list[tuple[str, datetime]] = []
    waits = []
    for minute in range(600):
        now = START + timedelta(minutes=minute)
        for each in (flood for flood in ON_REQUEST if flood != kind):
            recent = [one for one in sent if one[1] > now - timedelta(hours=1)][:30]
            if next_turn(now, each, recent, 30) == now:
                sent.insert(0, (each, now))
        recent = [one for one in sent if one[1] > now - timedelta(hours=1)][:30]
        waits.append(next_turn(now, kind, recent, 30) - now)
    assert max(waits) <= timedelta(minutes=10)
