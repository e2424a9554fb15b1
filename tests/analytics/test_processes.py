"""Several processes at once, and a process that is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress

import pytest
from authhost_analytics.rollup import LEASE, Busy
from conftest import CHEAP, PASSWORD

from analytics.support import aggregates, at, events, people, run_roll_up, signup, store, stored

HOST = """
import sys
from datetime import UTC, datetime, timedelta
from authhost import AuthHost, Settings
from authhost_analytics.plugin import AnalyticsPlugin
from authhost_analytics.rollup import Busy, roll_up
settings = Settings(secret_key="k" * 48, database_url=sys.argv[1], rate_limits=False,
                    email_verification="none", password_hash_options={options!r})
host = AuthHost(settings, plugins={{"analytics": AnalyticsPlugin()}}, discover=False,
                clock=lambda: datetime(2026, 1, 30, 12, tzinfo=UTC))
"""
SIGNUPS = """
import os
host.engine.dispose()
children = []
for number in range(16):
    children.append(os.fork())
    if children[-1]:
        continue
    for turn in range(10):
        with host.request() as request:
            host.account.signup(request, email=f"w{{number}}-{{turn}}@example.org", password={password!r})
    host.close()
    sys.exit()
sys.exit(sum(os.waitpid(child, 0)[1] != 0 for child in children))
"""
"""One process that becomes sixteen, which share no connection."""
ROLL_UP = """
import time
while True:
    try:
        list(roll_up(host, host.plugin_settings("analytics")))
        break
    except Busy:
        time.sleep(0.01)
"""
DIES = """
import os, signal
for _ in roll_up(host, host.plugin_settings("analytics")):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def started(code, database_url):
    code = (HOST + code).format(options=CHEAP, password=PASSWORD)
    return subprocess.Popen([sys.executable, "-c", code, database_url], stderr=subprocess.PIPE)


def failures(processes):
    return [each.communicate()[1].decode() for each in processes if each.wait()]


@pytest.mark.long
def test_sixteen_processes_lose_nothing(host, database_url, clock):
    clock.now = at("2026-01-30 13:00")
    workers = started(SIGNUPS, database_url)
    while workers.poll() is None:
        with suppress(Busy):
            run_roll_up(host)
    assert failures([workers]) == []
    run_roll_up(host)
    expected = {"user_signed_up": 160, "account_ready": 160, "user_logged_in": 160}
    assert Counter(each.event for each in stored(host)) == expected
    assert events(host) == expected
    assert people(host, "day") == {"2026-01-30": 160}


def test_two_processes_count_each_event_once(host, database_url, clock):
    clock.now = at("2026-01-30 12:00")
    for day in range(1, 30):
        store(host, *(signup(host, f"2026-01-{day:02} 10:00", day * 100 + who) for who in range(20)))
    processes = [started(ROLL_UP, database_url) for _ in range(2)]
    assert failures(processes) == []
    assert events(host) == {"user_signed_up": 580}
    before = aggregates(host)
    assert run_roll_up(host, everything=True) == []
    assert aggregates(host) == before


def test_the_roll_up_of_a_killed_process_is_taken_over(host, database_url, clock):
    clock.now = at("2026-01-30 12:00")
    store(host, *(signup(host, f"2026-01-{day:02} 10:00", day) for day in range(5, 15)))
    assert failures([killed := started(DIES, database_url)]) == [""]
    assert killed.returncode == -signal.SIGKILL
    assert events(host) == {"user_signed_up": 1}
    clock.forward(seconds=LEASE + 1)
    run_roll_up(host)
    assert events(host) == {"user_signed_up": 10}
    assert people(host, "month") == {"2026-01-01": 10}
