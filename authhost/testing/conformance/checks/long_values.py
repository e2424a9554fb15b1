"""Flows with the longest and most unusual values that a client may send."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from sqlalchemy import Column, select

from authhost.errors import AuthError
from authhost.host import AuthHost
from authhost.testing.browser import Browser
from authhost.testing.conformance.checks.failures import callback_faults, error_text, unstored_row_faults
from authhost.testing.conformance.context import CheckContext
from authhost.testing.conformance.output import captured_logs, captured_print
from authhost.testing.conformance.plugin_tables import plugin_tables
from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.source import PluginSource
from authhost.testing.conformance.writes import stored_at
from authhost.testing.host import OTHER_PASSWORD, PASSWORD
from authhost.testing.mailbox import Mailbox

EMAIL = f"{'a' * 64}@{'b' * 63}.{'c' * 63}.{'d' * 49}.example.org"
USERNAME = "josé"
IP_ADDRESS = "fd12:3456:789a:bcde:f012:3456:789a:bcde"
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) «é» " + "x" * 600
LANGUAGE = ("de-AT,de;q=0.9,en-US;q=0.7," * 40)[:512]
UNUSUAL = "for an IPv6 address, a header Accept-Language, a long user agent and address, and the name josé"


def long_value_faults(context: CheckContext) -> Iterator[Fault]:
    """What a plugin raises for such values, and what does not fit its columns on a server."""
    with (
        captured_logs() as logged,
        captured_print(),
        context.recorded_host(email_verification="mandatory") as (host, mailbox, recorder),
    ):
        _run_flows(host, mailbox)
        for call in recorder.calls:
            for fault in callback_faults(call, context):
                yield Fault(f"{fault.message}, {UNUSUAL}", call.hook, fault.where)
            if call.error is not None and not isinstance(call.error, AuthError):
                location, error = context.checked.location(call.error.__traceback__), error_text(call.error)
                cause = error if location else ""  # other values may cause the same
                yield Fault(f"raised {error} {UNUSUAL}", call.hook, location, cause=cause)
        yield from dict.fromkeys(_misfits(host, context))
    for fault in unstored_row_faults(logged, context.checked.name):
        yield Fault(f"{fault.message}, {UNUSUAL}")


def _run_flows(host: AuthHost, mailbox: Mailbox) -> None:
    browser = Browser(host)
    browser.ip_address, browser.user_agent, browser.language = IP_ADDRESS, USER_AGENT, LANGUAGE
    with suppress(AuthError, LookupError):  # the plugin may refuse such a person
        browser("signup", email=EMAIL, username=USERNAME, password=PASSWORD)
        browser("confirm_email", key=mailbox.key())
        with suppress(AuthError):
            browser("login", identifier=EMAIL, password="wrong")
        browser("login", identifier=EMAIL, password=PASSWORD)
        browser("change_password", current_password=PASSWORD, new_password=OTHER_PASSWORD)
        browser("add_email", email="second@example.org")
        browser("request_password_reset", email=EMAIL)


def _misfits(host: AuthHost, context: CheckContext) -> Iterator[Fault]:
    """Stored values that PostgreSQL and MariaDB refuse, unlike SQLite."""
    source = PluginSource(context.checked)
    with host.engine.connect() as connection:
        for table in plugin_tables(host):
            rows = connection.execute(select(table)).mappings().all()
            for column in table.columns:
                found = (_misfit(column, row[column.name]) for row in rows)
                for what in sorted({each for each in found if each is not None}):
                    problem, remedy = what
                    yield Fault(
                        f"{problem} is in {table.name}.{column.name}, which {remedy}",
                        *stored_at(source, table.name),
                    )


def _misfit(column: Column[Any], value: object) -> tuple[str, str] | None:
    """What is wrong with a stored value, and the remedy, or None."""
    length = getattr(column.type, "length", None)
    if isinstance(value, str) and length is not None and len(value) > length:
        problem = f"a text of {len(value)} characters (of at most {length})"
        return problem, "PostgreSQL and MariaDB refuse; make the column longer, or cut the value"
    if isinstance(value, str) and "\0" in value:
        return "a text with the character NUL", "PostgreSQL refuses; remove the character"
    return None
