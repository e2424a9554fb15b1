"""Run the checks of one plugin, one after the other."""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from authhost.testing.conformance.checked_plugin import CheckedPlugin
from authhost.testing.conformance.checks import (
    called,
    code,
    declarations,
    edges,
    failures,
    outcomes,
    packaging,
    pages,
    personal,
    process,
    secrets,
    state,
    threads,
    times,
    unit_of_work,
)
from authhost.testing.conformance.context import CheckContext
from authhost.testing.conformance.output import output_restored
from authhost.testing.conformance.process_state import exit_prevented
from authhost.testing.conformance.report import Fault, Report, Verdict, merged
from authhost.testing.conformance.source import PluginSource
from authhost.testing.openid import LocalProvider

Check = Callable[[CheckContext], Iterator[Fault]]
CHECKS: Mapping[str, Check] = {
    "accepted": packaging.accepted,
    "independent": packaging.independent,
    "declarations": declarations.declarations,
    "outcomes": outcomes.outcomes,
    "failures": failures.failures,
    "arguments": outcomes.arguments,
    "edges": edges.edges,
    "rollback": unit_of_work.rollback,
    "outside": unit_of_work.outside,
    "hosts": unit_of_work.hosts,
    "process": process.process,
    "threads": threads.threads,
    "secrets": secrets.secrets,
    "personal": personal.personal,
    "pages": pages.pages,
    "called": called.called,
    "code": code.code,
    "state": state.state,
    "times": times.times,
}
"""All checks by name, in the order in which they run. The others need a plugin that is accepted."""
WITHOUT_HOST = frozenset({"accepted", "independent"})
"""The checks that also run for a plugin that is not accepted."""

DEADLINE = 120.0
"""Seconds for one check."""
MAX_REMOVALS = 1000
"""How often the suite tries to remove a folder into which a thread still writes."""


def check(plugin: CheckedPlugin, *, on_verdict: Callable[[Verdict], None] = lambda verdict: None) -> Report:
    """Run all checks. ``on_verdict`` is called with the result of each check when it ends."""
    verdicts = []
    with new_context(plugin) as context:
        for name in CHECKS:
            verdict = run_check(name, context)
            verdicts.append(verdict)
            on_verdict(verdict)
        run = context.finished_repetition
        hook_times = times.hook_times(run) if run is not None else ()
    return Report(plugin.name, plugin.distribution, plugin.version, tuple(verdicts), hook_times)


@contextmanager
def new_context(plugin: CheckedPlugin) -> Iterator[CheckContext]:
    """A context with a temporary folder and a local OpenID provider. Both are removed at the end."""
    with _temporary_folder() as folder, LocalProvider() as provider:
        yield CheckContext(plugin, folder, provider)


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """A temporary folder. It is removed even if a check still writes, such as after Ctrl-C."""
    folder = Path(tempfile.mkdtemp(prefix="authhost-conformance-"))
    try:
        yield folder
    finally:
        for _ in range(MAX_REMOVALS):
            shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():
                break


def run_check(name: str, context: CheckContext) -> Verdict:
    """Run one check."""
    function = CHECKS[name]
    asks = (function.__doc__ or "").strip()
    if context.hangs:
        reason = Fault("not run, since an earlier check did not return", note=True)
        return Verdict(name, asks, "skipped", (reason,))
    if name not in WITHOUT_HOST and any(not fault.note for fault in _acceptance_faults(context)):
        reason = Fault("not run, since the host does not accept the plugin", note=True)
        return Verdict(name, asks, "skipped", (reason,))
    faults = _acceptance_faults(context) if name == "accepted" else _faults(function, context)
    faults = merged(with_location(fault, context.checked) for fault in faults)
    if context.finished_run is not None:
        known = context.finished_run.secrets
        faults = tuple(secrets.redacted(fault, known) for fault in faults)
    failed = any(not fault.note for fault in faults)
    return Verdict(name, asks, "failed" if failed else "passed", faults)


def with_location(fault: Fault, plugin: CheckedPlugin) -> Fault:
    """A fault of a hook without a location gets that of the hook's definition, and the reverse."""
    if fault.where is None and fault.hook is not None:
        return replace(fault, where=plugin.definition(fault.hook))
    if fault.hook is None and fault.where is not None:
        return replace(fault, hook=PluginSource(plugin).hook_at(fault.where))
    return fault


def _acceptance_faults(context: CheckContext) -> tuple[Fault, ...]:
    """Why the host does not accept the plugin. Empty if it does."""
    if "accepted" not in context.known_faults:
        context.known_faults["accepted"] = _faults(packaging.accepted, context)
    return context.known_faults["accepted"]


def _faults(function: Check, context: CheckContext) -> tuple[Fault, ...]:
    """The faults that a check found. It is also a fault if the check hangs or raises."""
    faults: list[Fault] = []

    def run() -> None:
        try:
            faults.extend(function(context))
        except BaseException as error:  # otherwise the thread would end as if nothing was found
            location = context.checked.location(error.__traceback__)
            text = f"the check ended with {type(error).__name__}: {str(error)[:300]}"
            faults.append(Fault(text, where=location))

    with output_restored(), exit_prevented():
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(DEADLINE)
        if thread.is_alive():
            context.hangs = True
            location = context.checked.location(sys._current_frames().get(thread.ident or 0))
            faults.append(Fault(f"does not return within {DEADLINE:.0f} seconds", where=location))
    return tuple(faults)
