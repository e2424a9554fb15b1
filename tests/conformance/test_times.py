"""The suite reports hooks and callbacks that take long."""

from __future__ import annotations

import time

import pytest
from authhost_hookspecs import hookimpl

from authhost.testing.conformance.checks import times
from conformance.plugins import ids_of


class SlowHook:
    @hookimpl
    def user_logged_in(self, user):
        until = time.perf_counter() + 0.015
        while time.perf_counter() < until:
            pass


class SlowCallback:
    @hookimpl
    def user_logged_in(self, request):
        request.on_commit(lambda: time.sleep(0.015))


FAULTS = [
    (SlowHook, "times", "user_logged_in: takes at least "),
    (SlowCallback, "times", "user_logged_in: a callback of request.on_commit takes at least "),
]


@pytest.mark.parametrize(("plugin", "check", "message"), FAULTS, ids=ids_of(FAULTS))
def test_fault_is_reported(assert_fault, plugin, check, message, monkeypatch):
    monkeypatch.setattr(times, "PASSES", 2)
    monkeypatch.setattr(times, "LIMIT", 5_000_000)
    monkeypatch.setattr(times, "TIMES_HOST", 0)  # otherwise the limit is higher while the machine is busy
    assert_fault(plugin(), check, message)
