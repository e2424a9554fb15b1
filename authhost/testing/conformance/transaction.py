"""Checks of the unit of work: what a plugin does is stored if and only if the flow is."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from sqlalchemy.exc import OperationalError

from authhost.errors import AuthError
from authhost.host import AuthHost
from authhost.request import Request
from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.subject import Subject
from authhost.testing.conformance.trial import Rows, Trial, quiet, rows_of
from authhost.testing.recording import Mailbox
from authhost.testing.stage import OTHER_PASSWORD, PASSWORD

EVE = "eve@example.org"
OWN_CONNECTION = "it is written through a connection of its own: use request.insert or request.db"
LATE = 1.0
"""Seconds that a thread has which a hook has started."""


class _Undone(Exception):
    """Ends a unit of work as an application's own error does."""


def rollback(trial: Trial) -> Iterator[Fault]:
    """Nothing that it writes or counts survives a unit of work that is rolled back."""
    expected, _, _ = _left(trial, undone=False)
    left, called, counted = _left(trial, undone=True)
    flows = f"(of {', '.join(sorted(called))})"
    for table, rows in left.items():
        if len(rows) != len(expected.get(table, ())):
            yield Fault(f"rows of {table} survive a rollback {flows}; {OWN_CONNECTION}")
    changed = _changed(expected, left)
    if changed:  # most of it is another in each life, such as what is random
        again, _, _ = _left(trial, undone=False)
        changed -= _changed(expected, again)
        if changed:  # not by chance, such as at the turn of an hour
            changed &= _changed(again, _left(trial, undone=True)[0])
    for column in sorted(changed):
        yield Fault(f"what is written to {column} survives a rollback {flows}; {OWN_CONNECTION}")
    for name in counted:
        yield Fault(
            f"counts in memory what was rolled back ({name}); wait for the commit (request.on_commit)",
            note=True,
        )


def _changed(one: Rows, other: Rows) -> set[str]:
    """Columns of tables with as many rows whose values are not the same, in whatever order."""

    def values(rows: list[dict[str, Any]], column: str) -> Counter[str]:
        return Counter(repr(row[column]) for row in rows)

    return {
        f"{table}.{column}"
        for table, rows in one.items()
        if rows and len(rows) == len(other.get(table, ()))
        for column in rows[0]
        if values(rows, column) != values(other[table], column)
    }


def _left(trial: Trial, *, undone: bool) -> tuple[Rows, set[str], list[str]]:
    """The rows after a life of two flows, the hooks of five more that were undone, what those counted."""
    with quiet(), trial.watched(email_verification="optional") as (host, mailbox, watched):
        with host.request() as request:
            token = host.account.signup(request, email=EVE, password=PASSWORD).session_token
            host.account.confirm_email(request, key=mailbox.key())
        before, running = _sizes(trial.subject), set(threading.enumerate())
        watched.calls.clear()
        for flow in _flows(host) if undone else ():
            with suppress(_Undone, AuthError, OperationalError), host.request(session_token=token) as request:
                flow(request)
                raise _Undone
        called = {call.hook for call in watched.calls}
        after = _sizes(trial.subject)
        for thread in set(threading.enumerate()) - running:
            thread.join(LATE)
        host.close()  # what waits in memory is written now, if ever
        return rows_of(host), called, [name for name in before if after.get(name) != before[name]]


def _flows(host: AuthHost) -> Iterator[Callable[[Request], Any]]:
    account = host.account
    yield lambda request: account.signup(request, email="mallory@example.org", password=PASSWORD)
    yield lambda request: account.login(request, identifier=EVE, password=PASSWORD)
    yield lambda request: account.add_email(request, email="eve@work.example.org")
    yield lambda request: account.change_password(
        request, current_password=PASSWORD, new_password=OTHER_PASSWORD
    )
    yield account.logout


def _sizes(subject: Subject) -> dict[str, Any]:
    """Numbers and sizes that a plugin keeps in memory."""
    found: dict[str, Any] = {}
    for name, value in subject.memory().items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            found[name] = value
        elif isinstance(value, list | dict | set):
            found[name] = len(value)
    return found


def outside(trial: Trial) -> Iterator[Fault]:
    """Nothing leaves the process before the commit: no network, file or process within a hook."""
    seen = set()
    for call in trial.within.calls:
        if call.hook.startswith(("register_", "host_")):
            continue
        for what, place in (call.outside or {}).items():
            if (call.hook, what) not in seen:
                seen.add((call.hook, what))
                yield Fault(
                    f"{what} before the flow is stored; do it after the commit (request.on_commit), "
                    "or leave a row for a worker",
                    call.hook,
                    place,
                )


def hosts(trial: Trial) -> Iterator[Fault]:
    """Two hosts in one process do not mix."""
    with quiet(), trial.watched() as (first, one, here), trial.watched() as (second, two, there):
        strayed = _strayed(trial, first, one) | _strayed(trial, second, two)
    for hook, place in dict.fromkeys((call.hook, call.other_host) for call in (*here.calls, *there.calls)):
        if place is not None:
            yield Fault("uses the database of another host; keep state by host (host_started)", hook, place)
    for table in sorted(strayed):
        yield Fault(f"what happened at one host is in {table} of another; keep state by host (host_started)")


def _strayed(trial: Trial, host: AuthHost, mailbox: Mailbox) -> set[str]:
    """The tables of all other hosts, closed ones too, that have other rows after a signup at this one."""
    others = [each for each in trial.hosts if each is not host]
    before = [rows_of(other) for other in others]
    with host.request() as request:
        waiting = host.account.signup(request, email=EVE, password=PASSWORD).session_token
    with host.request(session_token=waiting) as request:
        host.account.confirm_email(request, key=mailbox.key())
    host.close()
    return {
        table
        for other, old in zip(others, before, strict=True)
        for table, rows in rows_of(other).items()
        if len(rows) != len(old[table])
    }
