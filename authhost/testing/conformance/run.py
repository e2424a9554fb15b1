"""Runs the checks, one after the other."""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from authhost.testing.conformance import behaviour, concurrency, packaging, secrecy, transaction
from authhost.testing.conformance.process import process, survived
from authhost.testing.conformance.report import Fault, Report, Verdict
from authhost.testing.conformance.subject import Subject
from authhost.testing.conformance.trial import Trial, undisturbed
from authhost.testing.openid import LocalProvider

Check = Callable[[Trial], Iterator[Fault]]
CHECKS: Mapping[str, Check] = {
    "accepted": packaging.accepted,
    "independent": packaging.independent,
    "declarations": packaging.declarations,
    "outcomes": behaviour.outcomes,
    "failures": behaviour.failures,
    "arguments": behaviour.arguments,
    "edges": behaviour.edges,
    "rollback": transaction.rollback,
    "outside": transaction.outside,
    "hosts": transaction.hosts,
    "process": process,
    "threads": concurrency.threads,
    "secrets": secrecy.secrets,
    "times": behaviour.times,
}
"""All checks, by name. Without the first no other can run."""
NEEDS_NO_HOST = frozenset({"accepted", "independent"})

DEADLINE = 120.0
"""Seconds for one check."""
REMOVALS = 1000
"""How often it is tried to remove a folder into which something is still written."""


def run(name: str, trial: Trial) -> Verdict:
    """Run one check."""
    check = CHECKS[name]
    asks = (check.__doc__ or "").strip()
    if trial.hangs:
        return Verdict(name, asks, "skipped", (Fault("it hangs in an earlier check", note=True),))
    if name not in NEEDS_NO_HOST and any(not fault.note for fault in accepted(trial)):
        return Verdict(name, asks, "skipped", (Fault("it is not accepted", note=True),))
    faults = accepted(trial) if check is packaging.accepted else _ended(check, trial)
    faults = tuple(_placed(fault, trial.subject) for fault in faults)
    if trial.lived is not None:
        faults = tuple(secrecy.redacted(fault, trial.lived.secrets) for fault in faults)
    failed = any(not fault.note for fault in faults)
    return Verdict(name, asks, "failed" if failed else "passed", faults)


def _placed(fault: Fault, subject: Subject) -> Fault:
    """A fault of a hook is where the hook begins, unless it is known better."""
    if fault.where is None and fault.hook is not None:
        return replace(fault, where=subject.begins(fault.hook))
    return fault


def _ended(check: Check, trial: Trial) -> tuple[Fault, ...]:
    """What a check found; a plugin that hangs, or that the check breaks at, is a fault as well."""
    faults: list[Fault] = []

    def examine() -> None:
        try:
            faults.extend(check(trial))
        except BaseException as error:  # else the thread ends, and the check has found nothing
            place = trial.subject.place(error.__traceback__)
            faults.append(Fault(f"ended with {type(error).__name__}: {str(error)[:300]}", where=place))

    with undisturbed(), survived():
        thread = threading.Thread(target=examine, daemon=True)
        thread.start()
        thread.join(DEADLINE)
        if thread.is_alive():
            trial.hangs = True
            place = trial.subject.place(sys._current_frames().get(thread.ident or 0))
            faults.append(Fault(f"does not come back within {DEADLINE:.0f} seconds", where=place))
    return tuple(faults)


def accepted(trial: Trial) -> tuple[Fault, ...]:
    """Why the host does not take the plugin; empty where it does."""
    if "accepted" not in trial.known:
        trial.known["accepted"] = _ended(packaging.accepted, trial)
    return trial.known["accepted"]


@contextmanager
def trial_of(subject: Subject) -> Iterator[Trial]:
    """A trial with a folder and a provider, for as long as it lasts."""
    with _folder() as folder, LocalProvider() as provider:
        yield Trial(subject, folder, provider)


@contextmanager
def _folder() -> Iterator[Path]:
    """A temporary folder that is removed, whatever the thread of a check that Ctrl-C ended still writes."""
    folder = Path(tempfile.mkdtemp(prefix="authhost-conformance-"))
    try:
        yield folder
    finally:
        for _ in range(REMOVALS):
            shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():
                break


def check(subject: Subject, *, told: Callable[[Verdict], None] = lambda verdict: None) -> Report:
    """Run all checks; ``told`` hears of each as it ends."""
    verdicts = []
    with trial_of(subject) as trial:
        for name in CHECKS:
            verdict = run(name, trial)
            verdicts.append(verdict)
            told(verdict)
        times = behaviour.measured(trial.lived) if trial.lived is not None else ()
    return Report(subject.name, subject.distribution, subject.version, tuple(verdicts), times)
