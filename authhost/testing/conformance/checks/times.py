"""Check of how long hooks take, and the measured times."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from authhost.pluginhost.hooks import NOTIFICATIONS, VETOES
from authhost.testing.conformance.context import CheckContext
from authhost.testing.conformance.hook_call import HookCall
from authhost.testing.conformance.report import Fault, HookTime
from authhost.testing.conformance.runs import RepeatedRun

LIMIT = 50_000_000
"""Nanoseconds."""
TIMES_HOST = 10
"""On a slow machine, the limit is this many times what the host itself needs for a flow there."""
PASSES = 3
"""How often a step is measured before its calls count as slow, since the machine may be busy."""


def times(context: CheckContext) -> Iterator[Fault]:
    """No hook takes long, since the user waits for all of them."""
    # The first run loads modules, for the host and for the plugin, so it is not measured.
    _ = context.with_plugin
    run = context.repeated
    fastest = _fastest(run.calls)
    limit = max(LIMIT, TIMES_HOST * run.host_nanoseconds)
    for _ in range(PASSES - 1):
        if not any(max(both) > limit for both in fastest.values()):
            return
        for key, both in _fastest(context.run_again().calls).items():
            old = fastest.get(key, both)
            fastest[key] = min(old[0], both[0]), min(old[1], both[1])
    slowest: dict[str, tuple[int, int]] = {}
    for (hook, _), (call, callback) in fastest.items():
        old = slowest.get(hook, (0, 0))
        slowest[hook] = max(old[0], call), max(old[1], callback)
    for hook, (call, callback) in slowest.items():
        if call > limit and hook in NOTIFICATIONS | VETOES | {"deliver_message"}:
            yield Fault(
                f"takes at least {call / 1e6:.0f} ms; do the work after the commit (request.on_commit), "
                "or store a row for a worker",
                hook,
            )
        if callback > limit:
            yield Fault(
                f"a callback of request.on_commit takes at least {callback / 1e6:.0f} ms, and the response "
                "waits for it; do the work in a thread, or store a row for a worker",
                hook,
            )


def _fastest(calls: Iterable[tuple[str, HookCall]]) -> dict[tuple[str, str], tuple[int, int]]:
    """The fastest call and the fastest callbacks of each hook in each step."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for step, call in calls:
        if call.hook.startswith(("register_", "host_")):
            continue
        old = found.get((call.hook, step), (call.nanoseconds, call.callback_nanoseconds))
        found[call.hook, step] = min(old[0], call.nanoseconds), min(old[1], call.callback_nanoseconds)
    return found


def hook_times(run: RepeatedRun) -> tuple[HookTime, ...]:
    """How long each hook took when the scenario ran again, the slowest first."""
    found = []
    for hook, calls in _calls_by_hook(run).items():
        took = [call.nanoseconds / 1000 for call in calls]
        found.append(HookTime(hook, len(took), round(sum(took) / len(took), 1), round(max(took), 1)))
    return tuple(sorted(found, key=lambda time: -time.mean))


def _calls_by_hook(run: RepeatedRun) -> dict[str, list[HookCall]]:
    found: defaultdict[str, list[HookCall]] = defaultdict(list)
    for _, call in run.calls:
        if not call.hook.startswith("register_"):
            found[call.hook].append(call)
    return found
