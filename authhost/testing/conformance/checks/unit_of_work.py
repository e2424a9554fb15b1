"""Checks of transactions: a plugin's changes are stored if and only if the flow's changes are."""

from __future__ import annotations

import ast
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

from sqlalchemy.exc import OperationalError

from authhost.errors import PLUGIN_FAILURES, AuthError
from authhost.host import AuthHost
from authhost.pluginhost.hooks import NOTIFICATIONS
from authhost.request import Request
from authhost.testing.browser import Browser
from authhost.testing.conformance.checked_plugin import CheckedPlugin
from authhost.testing.conformance.checks.failures import error_text
from authhost.testing.conformance.context import CheckContext
from authhost.testing.conformance.memory import kept_in_memory
from authhost.testing.conformance.output import silenced
from authhost.testing.conformance.plugin_tables import Rows, plugin_rows
from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.source import PluginSource, Reached, dotted, own_nodes
from authhost.testing.host import OTHER_PASSWORD, PASSWORD
from authhost.testing.mailbox import Mailbox

EVE = "eve@example.org"
OWN_CONNECTION = "the plugin writes through its own connection: use request.insert or request.db"
ALLOWED = frozenset({("check_password", "uses the network")})
"""The effects of a hook that is called before the transaction, in order to ask somebody."""
THREAD_TIMEOUT = 1.0
"""Seconds in which a thread that a hook has started must end."""


class _RolledBack(Exception):
    """Ends a unit of work, like an error of an application."""


def rollback(context: CheckContext) -> Iterator[Fault]:
    """Nothing that it writes or counts survives the rollback of a unit of work."""
    expected, _, _ = _rows_after(context, rolled_back=False)
    left, called, counted = _rows_after(context, rolled_back=True)
    flows = f"(of {', '.join(sorted(called))})"
    for table, rows in left.items():
        if len(rows) != len(expected.get(table, ())):
            yield Fault(f"rows of {table} survive a rollback {flows}; {OWN_CONNECTION}")
    changed = _changed_columns(expected, left)
    if changed:  # leave out columns that differ in each run, such as random values
        again, _, _ = _rows_after(context, rolled_back=False)
        changed -= _changed_columns(expected, again)
        if changed:  # leave out columns that differed by chance, such as at the turn of an hour
            changed &= _changed_columns(again, _rows_after(context, rolled_back=True)[0])
    for column in sorted(changed):
        yield Fault(f"values written to {column} survive a rollback {flows}; {OWN_CONNECTION}")
    for name in counted:
        places = _counting_at(context.checked, name)
        text = f"counts in memory what was rolled back ({name}); count after the commit (request.on_commit)"
        if places:
            yield Fault(text, *places[0])
        else:
            yield Fault(text, note=True)


def _counting_at(checked: CheckedPlugin, name: str) -> list[tuple[str, str]]:
    """Hook, file and line of each place that adds to this number while a notification runs.

    A veto may count what is refused, such as attempts.
    """
    last = name.replace("[…]", "").rpartition(".")[2]
    return [
        (reached.hook, reached.at(node))
        for reached in PluginSource(checked).reached
        if reached.at_once and reached.hook in NOTIFICATIONS - {"flow_refused"}
        for node in own_nodes(reached.node)
        if isinstance(node, ast.AugAssign) and _adds_to(reached, node.target, last)
    ]


def _adds_to(reached: Reached, target: ast.expr, name: str) -> bool:
    """Whether a target is the attribute or global ``name``, an entry of it, or of a local name for it."""
    holder = target.value if isinstance(target, ast.Subscript) else target
    while isinstance(holder, ast.Subscript):
        holder = holder.value
    if isinstance(holder, ast.Attribute):
        return holder.attr == name
    if not isinstance(holder, ast.Name):
        return False
    made = [
        dotted(item.context_expr)
        for node in own_nodes(reached.node)
        if isinstance(node, ast.With)
        for item in node.items
        if item.optional_vars is not None and dotted(item.optional_vars) == holder.id
    ]
    # A context manager that yields a counter is named like what it yields.
    return holder.id == name or any(name.strip("_") in text for text in made)


def _changed_columns(one: Rows, other: Rows) -> set[str]:
    """Columns whose values differ, in any order. Only tables with the same number of rows are compared."""

    def values(rows: list[dict[str, Any]], column: str) -> Counter[str]:
        return Counter(repr(row[column]) for row in rows)

    return {
        f"{table}.{column}"
        for table, rows in one.items()
        if rows and len(rows) == len(other.get(table, ()))
        for column in rows[0]
        if values(rows, column) != values(other[table], column)
    }


def _rows_after(context: CheckContext, *, rolled_back: bool) -> tuple[Rows, set[str], list[str]]:
    """Run two flows, then five more that are rolled back if ``rolled_back``.

    Returns the rows at the end, the hooks that the five flows called, and the
    names of the plugin's attributes whose number or size these hooks changed.
    """
    with silenced(), context.recorded_host(email_verification="optional") as (host, mailbox, recorder):
        browser = Browser(host)
        browser("signup", email=EVE, password=PASSWORD)
        browser("confirm_email", key=mailbox.key())
        browser.complete_steps()
        before, running = _numbers_and_sizes(context.checked), set(threading.enumerate())
        recorder.calls.clear()
        for flow in _flows(host) if rolled_back else ():
            with (
                suppress(_RolledBack, AuthError, OperationalError),
                host.request(session_token=browser.token) as request,
            ):
                flow(request)
                raise _RolledBack
        called = {call.hook for call in recorder.calls}
        after = _numbers_and_sizes(context.checked)
        for thread in set(threading.enumerate()) - running:
            thread.join(THREAD_TIMEOUT)
        host.close()  # a plugin that queues rows in memory writes them now
        return plugin_rows(host), called, [name for name in before if after.get(name) != before[name]]


def _flows(host: AuthHost) -> Iterator[Callable[[Request], Any]]:
    account = host.account
    yield lambda request: account.signup(request, email="mallory@example.org", password=PASSWORD)
    yield lambda request: account.login(request, identifier=EVE, password=PASSWORD)
    yield lambda request: account.add_email(request, email="eve@work.example.org")
    yield lambda request: account.change_password(
        request, current_password=PASSWORD, new_password=OTHER_PASSWORD
    )
    yield account.logout


def _numbers_and_sizes(checked: CheckedPlugin) -> dict[str, Any]:
    """The numbers among a plugin's attributes, and the sizes of its collections."""
    found: dict[str, Any] = {}
    for name, value in checked.attributes().items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            found[name] = value
    for name, value in kept_in_memory(checked):
        if isinstance(value, Counter):
            found[name] = found.get(name, 0) + sum(value.values())
        elif isinstance(value, list | dict | set):
            found[name] = found.get(name, 0) + len(value)
    return found


def outside(context: CheckContext) -> Iterator[Fault]:
    """Nothing leaves the process before the commit: a hook uses no network, no file and no other process."""
    seen = set()
    for call in context.with_plugin.calls:
        if call.hook.startswith(("register_", "host_")):
            continue
        for effect, location in call.side_effects.items():
            if (call.hook, effect) not in seen:
                seen.add((call.hook, effect))
                if (call.hook, effect) in ALLOWED:
                    yield Fault(
                        f"{effect} while the user waits; limit the time of the whole request",
                        call.hook,
                        location,
                        note=True,
                    )
                    continue
                yield Fault(
                    f"{effect} before the commit; do it after the commit (request.on_commit), "
                    "or store a row for a worker",
                    call.hook,
                    location,
                )


def hosts(context: CheckContext) -> Iterator[Fault]:
    """Two hosts in one process do not affect each other, and a host can start again on its database."""
    with (
        silenced(),
        context.recorded_host() as (first, first_mailbox, first_recorder),
        ExitStack() as stack,
    ):
        before = _objects(context.checked)
        second, second_mailbox, second_recorder = stack.enter_context(context.recorded_host())
        replaced = _replaced(before, _objects(context.checked))
        tables = _changed_tables_of_others(context, first, first_mailbox)
        tables |= _changed_tables_of_others(context, second, second_mailbox)
    for name in replaced if "host_started" in context.checked.implementations else ():
        yield Fault(
            f"replaces {name} of another host in the same process; keep it by host, in a dict or a "
            "WeakKeyDictionary with the host as the key",
            "host_started",
        )
    yield from _restart(context)
    calls = (*first_recorder.calls, *second_recorder.calls)
    for hook, location in dict.fromkeys((call.hook, call.other_host) for call in calls):
        if location is not None:
            yield Fault(
                "uses the database of another host; keep state by host (host_started)", hook, location
            )
    for table in sorted(tables):
        yield Fault(
            f"a signup at one host changes rows of {table} of another host; keep state by host (host_started)"
        )


def _restart(context: CheckContext) -> Iterator[Fault]:
    """A host that starts a second time on the same database."""
    if "host_started" not in context.checked.implementations:
        return
    for number in (1, 2):
        with silenced(), context.recorded_host(database="restarted.sqlite3") as (_, _, recorder):
            errors = [call.error for call in recorder.calls if call.hook == "host_started" and call.error]
        for error in errors if number == 2 else ():
            yield Fault(
                f"fails when the host starts again on the same database: {error_text(error)}; create "
                "tables in migrations, and insert only rows that are missing",
                "host_started",
                context.checked.location(error.__traceback__),
            )


def _objects(checked: CheckedPlugin) -> dict[str, Any]:
    """The attributes of the plugin that may belong to one host. Plain values are left out."""
    return {
        name: value
        for name, value in checked.attributes().items()
        if not isinstance(value, int | float | str | bytes | type(None)) and not name.startswith("__")
    }


def _replaced(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The attributes that another object has replaced, other than a copy with more entries."""

    def is_same(old: Any, new: Any) -> bool:
        if old is new or (isinstance(old, dict) and isinstance(new, dict) and old.keys() <= new.keys()):
            return True
        if isinstance(old, frozenset | tuple | list) and type(old) is type(new):
            return all(each in new for each in old)
        try:
            return bool(old == new)
        except PLUGIN_FAILURES:
            return False

    return sorted(name for name, old in before.items() if name in after and not is_same(old, after[name]))


def _changed_tables_of_others(context: CheckContext, host: AuthHost, mailbox: Mailbox) -> set[str]:
    """The tables of all other hosts, closed ones too, whose number of rows a signup at ``host`` changes."""
    others = [each for each in context.hosts if each is not host]
    before = [plugin_rows(other) for other in others]
    with host.request() as request:
        waiting = host.account.signup(request, email=EVE, password=PASSWORD).session_token
    with host.request(session_token=waiting) as request:
        host.account.confirm_email(request, key=mailbox.key())
    host.close()
    return {
        table
        for other, old in zip(others, before, strict=True)
        for table, rows in plugin_rows(other).items()
        if len(rows) != len(old[table])
    }
