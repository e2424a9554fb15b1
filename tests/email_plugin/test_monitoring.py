"""The health and the metrics of the outbox and of the worker."""

from __future__ import annotations

import threading

from authhost_email.monitoring import outbox_health, outbox_metrics

from authhost.operations.monitoring import health
from email_plugin.helpers import ANN, BOB, outbox, queue


def states(host):
    return {each.name: each.status for each in outbox_health(host)}


def numbers(host):
    return {each.name.removeprefix("authhost_email_"): each.value for each in outbox_metrics(host)}


def test_overdue_messages(make, fake, clock):
    host = make(email={"transport": "fake"})
    assert states(host) == {"outbox": "ok", "delivery": "ok"}
    queue(host, ANN)
    assert states(host)["outbox"] == "ok"
    clock.forward(minutes=11)
    assert states(host)["outbox"] == "degraded"
    assert numbers(host) == {"queued": 1, "failed": 0, "oldest_seconds": 660}
    clock.forward(hours=1)
    assert states(host)["outbox"] == "failed"
    outbox(host).deliver_pending()
    assert states(host)["outbox"] == "ok"
    assert numbers(host) == {"queued": 0, "failed": 0, "oldest_seconds": 0}


def test_messages_that_were_given_up(make, fake, clock):
    host = make(email={"transport": "fake"})
    queue(host, ANN, "of_a_later_version")
    queue(host, BOB)
    outbox(host).deliver_pending()
    assert states(host)["delivery"] == "degraded"
    assert numbers(host)["failed"] == 1
    clock.forward(days=2)
    assert states(host)["delivery"] == "ok"


def test_worker_thread(make, fake):
    host = make(email={"transport": "fake", "delivery": "background"})
    assert [each.status for each in health(host) if each.name == "worker"] == ["ok"]
    (record,) = (each for each in host.registry.loaded() if each.name == "email")
    (worker,) = record.plugin._workers.values()
    worker.stop()
    assert not any(each is worker._thread for each in threading.enumerate())
    assert [each.status for each in health(host) if each.name == "worker"] == ["failed"]
