"""Order, tries and leases."""

from __future__ import annotations

import threading
from datetime import timedelta

from authhost_email.leases import Leases
from authhost_email.outbox import backoff, change_status, clean
from authhost_email.transports import Permanent
from authhost_hookspecs import Message
from conftest import PASSWORD
from hypothesis import given
from hypothesis import strategies as st

from email_plugin.post import ANN, BOB, mails, outbox, queue, rows


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


def test_an_outage_of_an_hour_kills_nothing(make, fake, clock):
    host = make(email={"transport": "fake"})
    queue(host, ANN)
    fake.script[ANN] = [ConnectionError("down")] * 10_000
    for _ in range(120):
        outbox(host).deliver_pending()
        clock.forward(seconds=30)
    fake.script[ANN] = []
    clock.forward(hours=2)
    outbox(host).deliver_pending()
    assert rows(host, "status") == [("sent",)]


def test_a_dead_workers_message_is_taken_over(make, fake, clock):
    host = make(email={"transport": "fake"})
    queue(host, ANN)
    leases = Leases(host, 300.0)
    [lease] = leases.claim()  # and dies
    assert outbox(host).deliver_pending() == 0
    clock.forward(seconds=301)
    assert outbox(host).deliver_pending() == 1
    leases.end(lease, status="dead", last_error="the first one wakes up")
    assert rows(host, "status") == [("sent",)]


def test_a_lease_is_nobody_elses_after_a_retry_by_hand(make, fake, clock):
    host = make(email={"transport": "fake"})
    queue(host, ANN)
    leases = Leases(host, 300.0)
    [first] = leases.claim()  # stalls
    clock.forward(seconds=301)
    fake.script[ANN] = [ConnectionError("busy")]
    outbox(host).deliver_pending()
    [(identifier,)] = rows(host, "id")
    assert change_status(host, identifier, "pending", of=("dead", "pending"))
    [second] = leases.claim()  # is sending now
    leases.end(first, status="dead", last_error="the first one wakes up")
    assert leases.begin(first) is None
    assert rows(host, "status", "claim") == [("sending", second.claim)]


def test_the_lease_lasts_as_long_as_the_sending(make, fake, clock, monkeypatch):
    """A slow server: the last of a batch is begun just before its lease ends. Nobody died."""
    host = make(email={"transport": "fake", "lease": 300.0})
    queue(host, ANN)
    queue(host, BOB)
    others = []

    def slow(self, identifier, recipient, message):
        if not others:
            clock.forward(seconds=295)  # the first takes its time
            others.append(None)
        elif len(others) == 1:
            others.append(None)
            clock.forward(seconds=10)  # the second is within the time-out of each step
            outbox(host).deliver_pending()  # the other worker
        fake.sent.append((recipient, str(message["Message-ID"])))

    monkeypatch.setattr(fake, "send", slow)
    outbox(host).deliver_pending()
    assert len(fake.sent) == len(set(fake.sent)) == 2


def test_a_try_is_counted_when_it_is_made(make, fake, clock, monkeypatch):
    """A server that does not answer costs 10 seconds a message: a batch outlasts its lease."""
    host = make(email={"transport": "fake", "max_attempts": 5})
    tries = {}
    for number in range(50):
        queue(host, f"u{number}@example.org")

    def gone(self, identifier, recipient, message):
        clock.forward(seconds=10)
        tries[recipient] = tries.get(recipient, 0) + 1
        raise ConnectionError("time-out")

    monkeypatch.setattr(fake, "send", gone)
    for _ in range(40):
        outbox(host).deliver_pending()
        clock.forward(seconds=60)
    found = {to: tries.get(to, 0) for to, status in rows(host, "recipient", "status") if status == "dead"}
    assert set(found.values()) == {5}


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


def test_a_link_that_has_expired_is_not_sent(make, fake, clock):
    host = make(email={"transport": "fake"})
    with host.request() as request:
        host.services.hooks.deliver_message(
            request,
            Message(
                "password_reset", ANN, link="http://localhost:8000/x", expires=clock.now + timedelta(hours=1)
            ),
        )
    clock.forward(hours=3)
    assert outbox(host).deliver_pending() == 0
    assert rows(host, "status", "context") == [("expired", None)]


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
