"""Runs health checks, so that one that fails or hangs breaks no other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from time import monotonic
from typing import NamedTuple
from weakref import WeakKeyDictionary

from authhost_hookspecs import Health, HealthStatus

from authhost.errors import PLUGIN_FAILURES
from authhost.host import AuthHost
from authhost.pluginhost.results import UnusableResult, function_name, usable

THREAD = "authhost-health"


class PartHealth(NamedTuple):
    """The state of one part of a host."""

    plugin: str | None
    """None for a part of authhost itself."""
    name: str
    status: HealthStatus
    detail: str


class Check(NamedTuple):
    """A health check of a plugin, or of authhost itself if ``plugin`` is None."""

    plugin: str | None
    number: int
    """The place among the checks of the plugin, which may return new functions each time."""
    function: Callable[[AuthHost], Iterable[Health]]

    def state(self, status: HealthStatus, detail: str) -> PartHealth:
        """Return the state of the check itself."""
        return PartHealth(self.plugin, function_name(self.function), status, detail)


class CheckRun:
    """One run of a check, on a daemon thread of its own."""

    def __init__(self, host: AuthHost, check: Check) -> None:
        self._check = check
        self._found: list[PartHealth] = []
        self._thread = threading.Thread(target=self._run, args=(host,), name=THREAD, daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._thread.is_alive()

    def result(self, deadline: float, timeout: float) -> list[PartHealth]:
        """Wait for the end of the run, until ``deadline``; return what was found until then."""
        self._thread.join(max(0.0, deadline - monotonic()))
        if self.is_running:
            return [*self._found, self._check.state("failed", f"the check has not ended after {timeout:g} s")]
        return self._found

    def _run(self, host: AuthHost) -> None:
        check, found = self._check, self._found
        try:
            for each in usable("register_health", check.function(host), Health):
                found.append(PartHealth(check.plugin, each.name, each.status, each.detail))
        except UnusableResult as error:
            found.append(check.state("failed", f"{error}; correct the plugin"))
        except PLUGIN_FAILURES as error:
            # Without the text of the error, which may contain a secret.
            found.append(check.state("failed", f"the check failed: {type(error).__name__}"))


_running: WeakKeyDictionary[AuthHost, dict[tuple[str | None, int], CheckRun]] = WeakKeyDictionary()
_lock = threading.Lock()


def run_checks(host: AuthHost, checks: Sequence[Check], timeout: float) -> list[PartHealth]:
    """Run all checks at the same time, for at most ``timeout`` seconds; return their states in order.

    A check that still runs from an earlier call is not started again, so that one that
    hangs has one thread, however often the health is asked for.
    """
    deadline = monotonic() + timeout
    with _lock:
        running = {key: run for key, run in _running.get(host, {}).items() if run.is_running}
        for check in checks:
            key = (check.plugin, check.number)
            if key not in running:
                running[key] = CheckRun(host, check)
        _running[host] = running
        runs = [running[check.plugin, check.number] for check in checks]
    found = [state for run in runs for state in run.result(deadline, timeout)]
    with _lock:
        _running[host] = {key: run for key, run in _running.get(host, {}).items() if run.is_running}
    return found
