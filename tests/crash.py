"""Kill a process between any two statements of its flows, and look at what is stored.

Run as a script, in a process without threads, since it forks: ``python crash.py URL POINTS SEED``.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from authhost_hookspecs import hookimpl
from sqlalchemy import create_engine, event, text

from authhost import AuthHost, Settings

PASSWORD, OTHER_PASSWORD = "green teapots sing at dawn", "seven quiet harbours in may"


class Keys:
    """Sees the keys of the messages, and leaves them to the e-mail plugin."""

    key = ""

    @hookimpl(tryfirst=True)
    def deliver_message(self, message: Any) -> None:
        self.key = message.key or self.key


def make_host(url: str, keys: Keys, *, upgrade: bool = False) -> AuthHost:
    settings = Settings(
        database_url=url,
        secret_key="k" * 48,
        rate_limits=False,
        email_verification="mandatory",
        password_schemes=("ldap_salted_sha1",),
        password_hash_options={},
        plugin_settings={"email": {"delivery": "manual"}},
    )
    return AuthHost(settings, plugins={"keys": keys}, upgrade_database=upgrade)


def live(host: AuthHost, keys: Keys, name: str, journal: Any) -> None:
    """One account's life. After each flow that returned, its name goes into the journal."""
    first, second = f"{name}@example.org", f"{name}@work.example.org"
    token: str | None = None

    def flow(flow_name: str, **values: Any) -> Any:
        nonlocal token
        with host.request(session_token=token, ip_address="127.0.0.1") as request:
            result = getattr(host.account, flow_name)(request, **values)
        token = getattr(result, "session_token", token)
        os.write(journal, f"{flow_name}\n".encode())

    flow("signup", email=first, password=PASSWORD)
    flow("confirm_email", key=keys.key)
    flow("login", identifier=first, password=PASSWORD)
    flow("add_email", email=second)
    flow("confirm_email", key=keys.key)
    flow("make_primary", email=second)
    flow("change_password", current_password=PASSWORD, new_password=OTHER_PASSWORD)
    flow("request_password_reset", email=second)
    flow("reset_password", key=keys.key, password=PASSWORD)


def count_down(host: AuthHost, points: int | None) -> Counter[str]:
    """Kill this process before its statement number ``points``; without it, count them."""
    seen: Counter[str] = Counter()

    def point(*_: object) -> None:
        seen["points"] += 1
        if seen["points"] == points:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(host.engine, "before_cursor_execute", point)
    event.listen(host.engine, "after_cursor_execute", point)
    event.listen(host.engine, "commit", point)
    event.listen(host.engine, "checkin", point)
    return seen


def check(url: str, name: str, finished: Counter[str]) -> None:
    """What the account's rows say was committed, the plugins' rows say too; all that returned is there."""
    engine = create_engine(url)
    first, second = f"{name}@example.org", f"{name}@work.example.org"
    with engine.connect() as connection:

        def rows(statement: str, **values: Any) -> list[Any]:
            return list(connection.execute(text(statement), values).all())

        emails = {
            row.email: row
            for row in rows("SELECT * FROM authhost_email_address WHERE email IN (:a, :b)", a=first, b=second)
        }
        outbox = Counter(
            tuple(row)
            for row in rows(
                "SELECT kind, recipient FROM authhost_email_outbox "
                "WHERE recipient IN (:a, :b) AND kind <> 'new_device_login'",
                a=first,
                b=second,
            )
        )
        user = emails[first].user_id if emails else None
        audit = Counter(
            row.event
            for row in rows(
                "SELECT event FROM authhost_audit_event WHERE user_id = :u",
                u=user,
            )
        )
        sessions = rows("SELECT id FROM authhost_session WHERE user_id = :u", u=user)
        resets = rows("SELECT id FROM authhost_password_reset WHERE user_id = :u", u=user)
        users = rows("SELECT * FROM authhost_user WHERE id = :u", u=user)
        orphans = rows(
            "SELECT id FROM authhost_user WHERE id NOT IN "
            "(SELECT primary_of FROM authhost_email_address WHERE primary_of IS NOT NULL)"
        )
    engine.dispose()

    assert not orphans, "an account without its primary address"
    if not emails:
        assert not finished, f"{finished} returned, but nothing is stored"
        assert not outbox
        assert not audit
        return
    assert len(users) == 1
    assert len([row for row in emails.values() if row.primary_of == user]) == 1
    confirmed = sum(bool(row.verified) for row in emails.values())
    added = len(emails) == 2
    changed_primary = added and emails[second].primary_of == user
    expected = Counter(
        {
            "user_signed_up": 1,
            "email_confirmation_sent": len(emails),
            "email_confirmed": confirmed,
            "email_added": added,
            "email_changed": changed_primary,
        }
    )
    # These leave no trace in the account's own rows that a later flow keeps: at least what returned.
    for flow, signal_name in (
        ("login", "user_logged_in"),
        ("change_password", "password_changed"),
        ("request_password_reset", "password_reset_requested"),
        ("reset_password", "password_reset"),
    ):
        assert finished[flow] <= audit[signal_name] <= 1, signal_name
        expected[signal_name] = audit[signal_name]
    expected["account_ready"] = audit["account_ready"]
    expected["session_ended"] = audit["password_reset"]
    assert audit == +expected, (audit, expected)
    assert bool(sessions) == bool(audit["user_logged_in"] and not audit["password_reset"])
    asked = bool(resets) or bool(audit["password_reset"])
    mails = Counter(
        {
            ("email_confirmation", first): 1,
            ("email_confirmation", second): added,
            ("welcome", first): audit["account_ready"],
            ("email_added", first): added,
            ("email_changed", first): changed_primary,
            ("email_changed", second): changed_primary,
            ("password_changed", second): audit["password_changed"],
            ("password_reset", second): asked,
            ("password_was_reset", second): audit["password_reset"],
        }
    )
    assert outbox == +mails, (outbox, mails)
    returned = {
        "signup": 1,
        "confirm_email": confirmed,
        "add_email": added,
        "make_primary": changed_primary,
        "request_password_reset": asked,
    }
    for flow, stored in returned.items():
        assert finished[flow] <= stored, f"{flow} returned, but is not stored"


def main(url: str, points: int, seed: int, folder: Path) -> None:
    keys = Keys()
    host = make_host(url, keys, upgrade=True)
    seen = count_down(host, None)
    live(host, keys, "whole", os.open(folder / "journal", os.O_CREAT | os.O_WRONLY))
    total = seen["points"]
    host.engine.dispose()  # so that no two children share a connection
    choose = random.Random(seed)
    reached: Counter[str] = Counter()
    for number in range(points):
        path, point = folder / f"journal{number}", choose.randint(1, total)
        name = f"user{number}"
        child = os.fork()
        if child == 0:
            count_down(host, point)
            live(host, keys, name, os.open(path, os.O_CREAT | os.O_WRONLY))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), f"point {point} of {total} was not reached"
        finished = Counter(path.read_text().split() if path.exists() else [])
        reached.update(finished.keys() or ["nothing"])
        check(url, name, finished)
    print(f"killed at {points} points of {total}; flows that had returned by then: {dict(reached)}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
