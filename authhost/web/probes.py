"""What load balancers and Kubernetes ask: whether the process lives, and whether it can answer requests.

The answers are for everybody, so they have names and statuses only. They need no
session, set no cookies and are not limited.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from threading import Lock
from time import monotonic

from authhost.host import AuthHost
from authhost.operations import core_health
from authhost.operations.health_checks import Check, PartHealth, run_checks
from authhost.settings import Settings
from authhost.web.http import WebRequest, WebResponse

log = logging.getLogger("authhost.web")

LIVE, READY = "/healthz", "/readyz"
"""The paths below ``web_prefix``."""
READY_TIMEOUT = 2.0
"""Seconds after which a check has failed."""
READY_SECONDS = 1.0
"""How long an answer is used: otherwise anybody could make the database work."""
METHODS = ("GET", "HEAD")


def asks_for_life(settings: Settings, method: str, path: str) -> bool:
    """Return whether `live` answers a request: it needs no open host and no thread."""
    return method == "GET" and path == settings.web_prefix + LIVE


def live() -> WebResponse:
    """Return the answer of a process that lives."""
    return _answer({"status": "ok"})


class Readiness:
    """Answers whether a process has what it needs: `core_health.REQUIRED`.

    ``clock`` returns seconds, like `time.monotonic`.
    """

    def __init__(
        self,
        host: AuthHost,
        *,
        timeout: float = READY_TIMEOUT,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._host, self._timeout, self._clock = host, timeout, clock
        # Numbers of their own: a check of `authhost status` may run at the same time, with more to do.
        self._checks = [Check(None, -1 - number, each) for number, each in enumerate(core_health.REQUIRED)]
        self._lock = Lock()
        self._found: list[PartHealth] = []
        self._until = 0.0
        self._is_ready = True

    def response(self) -> WebResponse:
        """Return 200, or 503 if something has failed. Its details are logged when this changes."""
        found = self._states()
        ready = all(each.status != "failed" for each in found)
        document = {
            "status": "ok" if ready else "failed",
            "checks": {each.name: each.status for each in found},
        }
        return _answer(document, 200 if ready else 503)

    def _states(self) -> list[PartHealth]:
        with self._lock:
            if not self._found or self._clock() >= self._until:
                self._found = run_checks(self._host, self._checks, self._timeout)
                self._until = self._clock() + READY_SECONDS
                self._log_change()
            return self._found

    def _log_change(self) -> None:
        failed = [f"{each.name} ({each.detail})" for each in self._found if each.status == "failed"]
        if failed and self._is_ready:
            log.error("not ready: %s", ", ".join(failed))
        elif not failed and not self._is_ready:
            log.info("ready again")
        self._is_ready = not failed


def refuse_method(http: WebRequest) -> WebResponse | None:
    """Return the refusal of a method other than GET and HEAD, or None."""
    if http.method in METHODS:
        return None
    refusal = _answer({"status": "failed"}, 405)
    refusal.headers["Allow"] = ", ".join(METHODS)
    return refusal


def _answer(document: Mapping[str, object], status: int = 200) -> WebResponse:
    return WebResponse.json(document, status, **{"Cache-Control": "no-store"})
