"""The health of the trail."""

from __future__ import annotations

from authhost_audit.monitoring import seal_health
from conftest import PASSWORD

from audit.trail import ANN, BOB, seal_all


def states(host):
    return {each.name: each.status for each in seal_health(host)}


def test_unsealed_records_are_reported_after_an_hour(host, run, clock):
    run(host, "signup", email=ANN, password=PASSWORD)
    assert states(host) == {"seal": "ok"}
    clock.forward(hours=2)
    assert states(host) == {"seal": "degraded"}
    seal_all(host)
    assert states(host) == {"seal": "ok"}
    clock.forward(hours=2)
    assert states(host) == {"seal": "ok"}
    run(host, "signup", email=BOB, password=PASSWORD)
    assert states(host) == {"seal": "ok"}
    clock.forward(hours=2)
    assert states(host) == {"seal": "degraded"}


def test_trail_without_recording_or_key(make):
    assert states(make(audit={"recording": False}))["recording"] == "degraded"
    assert states(make(audit={"signing_key": ""})) == {}
