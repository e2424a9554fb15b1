"""A server that fails at random, and workers that are killed."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from authhost_email.plugin import EmailPlugin
from authhost_email.tables import outbox_table
from conftest import PASSWORD
from sqlalchemy import select, update

from email_plugin.helpers import Mailbox, rows

WORKER = [sys.executable, "-m", "authhost.cli", "email", "worker", "--every", "0.1"]
FAULTS = {
    "take": 120,
    "drop": 10,
    "busy": 20,
    "refuse": 5,
    "die": 15,
    "take and die": 10,
    "take and hang": 1,
}
EMAIL = {
    "transport": "smtp",
    "smtp_host": "127.0.0.1",
    "delivery": "manual",
    "timeout": 2.0,
    "lease": 20.0,
    "max_attempts": 100,
    "new_device_notices": False,
}


class Workers:
    """Two worker processes, and the messages that were claimed each time one was killed."""

    def __init__(self, host, environment):
        self._host, self._environment = host, environment
        self._running = [self._start(), self._start()]
        self.killed, self.interrupted = 0, set()

    def _start(self):
        return subprocess.Popen(
            WORKER, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def kill(self, number):
        """Kill a worker and start a new one."""
        self._running[number].kill()
        self._running[number].wait()
        self.killed += 1
        claimed = [
            identifier for identifier, status in rows(self._host, "id", "status") if status == "sending"
        ]
        self.interrupted |= {f"<{identifier}@localhost>" for identifier in claimed}
        self._running[number] = self._start()

    def stop(self):
        for worker in self._running:
            worker.kill()
            worker.wait()


def make_due(host):
    """Make all waiting messages due now. Returns the number of open messages."""
    table, now = outbox_table.c, datetime.now(UTC)
    soon = table.next_attempt_at > now + timedelta(seconds=1)
    waiting = update(outbox_table).where(table.status == "pending", soon)
    with host.engine.begin() as connection:
        connection.execute(waiting.values(next_attempt_at=now))
        open_ = select(table.id).where(table.status.in_(("pending", "sending")))
        return len(connection.execute(open_).all())


@pytest.mark.long
def test_each_committed_flow_sends_its_message_despite_failures(make_host, database_url, clock):
    """Each message arrives, none of a rolled back flow does, and duplicates are unavoidable ones only."""
    clock.now = datetime.now(UTC)
    chance = random.Random(20260101)
    script = chance.choices(list(FAULTS), list(FAULTS.values()), k=1000)
    with Mailbox(script).running() as mailbox:
        email = {**EMAIL, "smtp_port": mailbox.port}
        host = make_host(
            {"email": EmailPlugin()}, plugin_settings={"email": email}, email_verification="none"
        )
        environment = {
            **os.environ,
            "AUTHHOST_SECRET_KEY": "k" * 48,
            "AUTHHOST_DATABASE_URL": database_url,
            "AUTHHOST_BLOCKED_PLUGINS": "audit,analytics,mfa",
            "AUTHHOST_EMAIL_VERIFICATION": "none",
            **{f"AUTHHOST_PLUGINS__EMAIL__{name.upper()}": str(value) for name, value in email.items()},
        }
        committed, undone = set(), set()
        workers = Workers(host, environment)
        try:
            for number in range(500):
                address = f"u{number}@example.org"
                try:
                    with host.request() as request:
                        host.account.signup(request, email=address, password=PASSWORD)
                        if chance.random() < 0.1:
                            raise ZeroDivisionError
                    committed.add(address)
                except ZeroDivisionError:
                    undone.add(address)
                if number % 75 == 74:
                    workers.kill(number % 2)
            tick = threading.Event()
            for _ in range(3000):
                if not make_due(host):
                    break
                tick.wait(0.1)
        finally:
            workers.stop()
        notified = {str(message["To"]) for message in mailbox.taken}
        found = rows(host, "id", "recipient", "status")
        dead = {f"<{identifier}@localhost>": to for identifier, to, status in found if status == "dead"}
        assert {to for _, to, _ in found} == committed
        assert {status for _, _, status in found} == {"sent", "dead"}
        assert set(dead) == mailbox.refused
        assert notified | set(dead.values()) == committed
        assert not notified & undone
        # Duplicates only if the server's answer to DATA was lost, or the worker was killed before storing it.
        copies = Counter(message["Message-ID"] for message in mailbox.taken)
        helpless = copies - Counter(set(copies)) - mailbox.unheard
        assert mailbox.unheard
        assert set(helpless) <= workers.interrupted
        assert sum(helpless.values()) <= workers.killed
