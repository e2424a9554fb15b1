"""Delivery from the outbox: order, attempts and leases."""

from __future__ import annotations

import threading
from datetime import timedelta

from authhost_email.leases import Leases
from authhost_email.outbox import change_status, clean, retry_delay
from authhost_email.transports import Permanent
from authhost_hookspecs import Message
from conftest import PASSWORD
from hypothesis import given, strategies as st

from email_plugin.helpers import ANN, BOB, mails, outbox, queue, rows


def test_messages_to_a_recipient_keep_their_order_and_delay_nobody_else(make, fake, clock):
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


def test_a_permanent_failure_is_given_up_at_once(make, fake):
    host = make(email={"transport": "fake"})
    queue(host, ANN, count=2)
    fake.script[ANN] = [Permanent("no such mailbox")]
    assert outbox(host).deliver_pending() == 1
    assert list(rows(host, "status", "last_error")) == [
        ("dead", "fake: no such mailbox"),
        ("sent", None),
    ]


def test_a_message_is_given_up_after_max_attempts(make, fake, clock):
    host = make(email={"transport": "fake", "max_attempts": 3})
    queue(host, ANN)
    fake.script[ANN] = [ConnectionError("busy")] * 9
    for _ in range(5):
        outbox(host).deliver_pending()
        clock.forward(hours=2)
    assert rows(host, "status", "attempts") == [("dead", 3)]
    assert rows(host, "context")[0][0] is not None


@given(st.integers(1, 60))
def test_retry_delays_grow_with_jitter_up_to_an_hour(attempts):
    usual = min(3600.0, 2.0**attempts)
    assert 0.75 * usual <= retry_delay(attempts) <= 1.25 * usual


def test_an_outage_of_an_hour_gives_up_no_message(make, fake, clock):
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


def test_the_message_of_a_dead_worker_is_taken_over(make, fake, clock):
    host = make(email={"transport": "fake"})
    queue(host, ANN)
    leases = Leases(host, 300.0)
    [lease] = leases.claim()  # and dies
    assert outbox(host).deliver_pending() == 0
    clock.forward(seconds=301)
    assert outbox(host).deliver_pending() == 1
    leases.end(lease, status="dead", last_error="the first one wakes up")
    assert rows(host, "status") == [("sent",)]


def test_an_old_lease_is_invalid_after_a_manual_retry(make, fake, clock):
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


def test_each_message_of_a_batch_has_a_full_lease(make, fake, clock, monkeypatch):
    """With a slow server, the last message of a batch is started shortly before its lease ends."""
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


def test_only_real_attempts_are_counted(make, fake, clock, monkeypatch):
    """If a server does not answer, each message takes 10 seconds, and a batch takes longer than its lease."""
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


def test_concurrent_workers_send_each_message_once(make, fake):
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


def test_an_expired_link_is_not_sent(make, fake, clock):
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


def test_clean_deletes_old_messages(make, fake, clock):
    host = make(email={"transport": "fake"})
    queue(host, ANN)
    outbox(host).deliver_pending()
    queue(host, BOB)
    clock.forward(days=31)
    assert clean(host, host.plugin_settings("email")) == 1
    assert rows(host, "recipient") == [(BOB,)]


def test_inline_delivery(make, run, tmp_path):
    host = make(email={"delivery": "inline"})
    run(host, "signup", email=ANN, password=PASSWORD)
    assert mails(tmp_path)[0]["Subject"] == "Confirm your e-mail address"


def test_background_delivery(make, run, tmp_path):
    host = make(email={"delivery": "background"})
    run(host, "signup", email=ANN, password=PASSWORD)
    host.close()  # delivers what is due
    assert "Confirm your e-mail address" in [each["Subject"] for each in mails(tmp_path)]
