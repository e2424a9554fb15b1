"""Check of how long hooks take, and the measured times."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from authhost.pluginhost.hooks import NOTIFICATIONS, VETOES
from authhost.testing.conformance.context import CheckContext, ScenarioRun
from authhost.testing.conformance.hook_call import HookCall
from authhost.testing.conformance.report import Fault, HookTime

LIMIT = 50_000_000
"""Nanoseconds. The fastest of several calls counts, since the machine may be busy."""


def times(context: CheckContext) -> Iterator[Fault]:
    """No hook takes long, since the user waits for all of them."""
    for hook, calls in _calls_by_hook(context.with_plugin).items():
        fastest = min(call.nanoseconds for call in calls)
        if fastest > LIMIT and hook in NOTIFICATIONS | VETOES | {"deliver_message"}:
            yield Fault(
                f"takes at least {fastest / 1e6:.0f} ms; do the work after the commit (request.on_commit), "
                "or store a row for a worker",
                hook,
            )
        fastest = min(call.callback_nanoseconds for call in calls)
        if fastest > LIMIT:
            yield Fault(
                f"a callback of request.on_commit takes at least {fastest / 1e6:.0f} ms, and the response "
                "waits for it; do the work in a thread, or store a row for a worker",
                hook,
            )


def hook_times(run: ScenarioRun) -> tuple[HookTime, ...]:
    """How long each hook took in a run of the scenario, the slowest first."""
    found = []
    for hook, calls in _calls_by_hook(run).items():
        took = [call.nanoseconds / 1000 for call in calls]
        found.append(HookTime(hook, len(took), round(sum(took) / len(took), 1), round(max(took), 1)))
    return tuple(sorted(found, key=lambda time: -time.mean))


def _calls_by_hook(run: ScenarioRun) -> dict[str, list[HookCall]]:
    found: defaultdict[str, list[HookCall]] = defaultdict(list)
    for call in run.calls:
        if not call.hook.startswith("register_"):
            found[call.hook].append(call)
    return found
