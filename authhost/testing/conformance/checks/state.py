"""Check of what a plugin keeps in memory from one hook, and from one flow, to the next."""

from __future__ import annotations

from collections.abc import Iterator

from authhost.testing.conformance.checks.threads import acquired_at
from authhost.testing.conformance.context import CheckContext
from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.rules.growth import growing, unlimited_caches
from authhost.testing.conformance.rules.shared_state import kept_settings, passed_on, values_of_one_host
from authhost.testing.conformance.source import (
    PluginSource,
)


def state(context: CheckContext) -> Iterator[Fault]:
    """It keeps nothing of one request for another one, and what it keeps in memory has a limit."""
    source = PluginSource(context.checked)
    yield from dict.fromkeys(passed_on(context, source))
    yield from dict.fromkeys(values_of_one_host(source))
    yield from dict.fromkeys(kept_settings(source))
    yield from growing(context, source)
    yield from dict.fromkeys(unlimited_caches(source))
    for name in context.repeated.held_locks:
        yield Fault(
            f"{name} is still locked after a login that another plugin has refused; lock and unlock it in "
            f"the same hook: `with {name}:`",
            where=acquired_at(context.checked, name),
        )
