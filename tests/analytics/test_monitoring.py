"""The health of the statistics."""

from __future__ import annotations

from authhost_analytics.monitoring import roll_up_health
from conftest import PASSWORD

from analytics.support import run_roll_up


def state(host):
    (found,) = roll_up_health(host)
    return found.status, found.detail


def test_events_that_wait_for_two_days_are_degraded(host, run, clock):
    assert state(host) == ("ok", "there was no roll-up; no event has waited for more than two days")
    run(host, "signup", email="ann@example.org", password=PASSWORD)
    clock.forward(hours=48)
    assert state(host)[0] == "ok"
    clock.forward(hours=1)
    status, detail = state(host)
    assert status == "degraded"
    assert detail == (
        "there was no roll-up; events wait for 49 hours; run `authhost analytics roll-up` daily"
    )


def test_the_last_roll_up_is_named(host, run, clock):
    run(host, "signup", email="ann@example.org", password=PASSWORD)
    clock.forward(hours=49)
    run_roll_up(host, everything=True)
    status, detail = state(host)
    assert status == "ok"
    assert detail.startswith("the last roll-up included 2026-01-0")
    assert detail.endswith("Z; no event has waited for more than two days")
