"""Rate limits by the library ``limits``; the numbers are django-allauth's defaults."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from authhost.errors import RateLimited

if TYPE_CHECKING:
    from authhost.request import Request
    from authhost.settings import Settings

DEFAULTS: Mapping[str, str] = {
    "signup": "20/minute/ip",
    "login": "30/minute/ip",
    "login_failed": "10/minute/ip, 5/5 minute/key",
    "reset_password": "20/minute/ip, 5/minute/key",
    "reset_password_from_key": "20/minute/ip",
    "confirm_email": "1/3 minute/key",
    "change_password": "5/minute/user",
    "manage_email": "10/minute/user",
    "reauthenticate": "10/minute/user",
}
"""Per action: amount / period / what it is counted by (``ip``, ``user`` or ``key``, the value submitted)."""


class RateLimits:
    """Counts actions, in memory or in Redis. What is submitted is kept as a digest only."""

    def __init__(self, settings: Settings) -> None:
        self._rates: dict[str, list[tuple[object, str]]] = {}
        if settings.rate_limits is False:
            return
        from limits import parse
        from limits.storage import storage_from_string
        from limits.strategies import MovingWindowRateLimiter

        self._limiter = MovingWindowRateLimiter(storage_from_string(settings.redis_url or "memory://"))
        overrides = settings.rate_limits if isinstance(settings.rate_limits, Mapping) else {}
        for action, rates in {**DEFAULTS, **overrides}.items():
            parts = [each.strip().rpartition("/") for each in rates.split(",") if each.strip()]
            self._rates[action] = [(parse(rate), per) for rate, _, per in parts]

    def hit(self, request: Request, action: str, key: str = "") -> None:
        """Count one ``action``; raises `RateLimited` with ``retry_after`` in seconds."""
        self._apply(request, action, key, count=True)

    def test(self, request: Request, action: str, key: str = "") -> None:
        """Raise `RateLimited` where `hit` would, without counting."""
        self._apply(request, action, key, count=False)

    def allows(self, request: Request, action: str, key: str = "") -> bool:
        """Count one ``action``; False where that is too many."""
        try:
            self.hit(request, action, key)
        except RateLimited:
            return False
        return True

    def clear(self, action: str, key: str) -> None:
        """Forget what was counted for ``key``."""
        for rate, per in self._rates.get(action, ()):
            if per == "key":
                self._limiter.clear(rate, action, per, _digest(key))  # type: ignore[arg-type]

    def _apply(self, request: Request, action: str, key: str, *, count: bool) -> None:
        for rate, per in self._rates.get(action, ()):
            if per == "ip":
                who = request.ip_address
            elif per == "user":
                who = str(request.user.id) if request.user else request.ip_address
            else:
                who = key
            if not who:
                continue
            apply = self._limiter.hit if count else self._limiter.test
            if not apply(rate, action, per, _digest(who)):  # type: ignore[arg-type]
                reset = self._limiter.get_window_stats(rate, action, per, _digest(who))[0]  # type: ignore[arg-type]
                raise RateLimited(retry_after=max(1, round(reset - time.time())), action=action)


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
