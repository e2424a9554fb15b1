"""Rate limits by the library ``limits``; the numbers are django-allauth's defaults."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING

from authhost.errors import ConfigurationError, RateLimited

if TYPE_CHECKING:
    from limits import RateLimitItem

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
    "social": "30/minute/ip",
}
"""Per action: amount / period / what it is counted by (``ip``, ``user`` or ``key``, the value submitted)."""

KINDS = frozenset({"ip", "user", "key"})


class RateLimits:
    """Counts actions, in memory or in Redis. What is submitted is kept as a digest only."""

    def __init__(self, settings: Settings) -> None:
        self._rates: dict[str, list[tuple[RateLimitItem, str]]] = {}
        if settings.rate_limits is False:
            return
        from limits import parse
        from limits.errors import ConfigurationError as LimitsConfigurationError
        from limits.storage import storage_from_string
        from limits.strategies import MovingWindowRateLimiter

        try:
            self._storage = storage_from_string(settings.redis_url or "memory://")
        except LimitsConfigurationError as error:
            raise ConfigurationError(
                "redis_url does not serve; it looks like redis://host:6379/0, "
                "and needs `pip install authhost[redis]`"
            ) from error
        self._limiter = MovingWindowRateLimiter(self._storage)
        overrides = settings.rate_limits if isinstance(settings.rate_limits, Mapping) else {}
        for action, rates in {**DEFAULTS, **overrides}.items():
            if action not in DEFAULTS:
                near = get_close_matches(action, DEFAULTS, 1)
                hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(DEFAULTS)}"
                raise ConfigurationError(f"rate_limits: there is no action {action!r}{hint}")
            parts = [each.strip().rpartition("/") for each in rates.split(",") if each.strip()]
            try:
                self._rates[action] = [(parse(rate), per) for rate, _, per in parts]
            except ValueError as error:
                raise ConfigurationError(f"rate_limits: {action} = {rates!r}: {error}") from error
            if any(per not in KINDS for _, _, per in parts):
                raise ConfigurationError(
                    f"rate_limits: {action} = {rates!r} must end in /ip, /user or /key; "
                    'an example is "10/minute/ip"'
                )

    def reachable(self) -> bool:
        """Whether the place where it counts answers."""
        return bool(self._storage.check())

    def test(self, request: Request, action: str, key: str = "") -> None:
        """Count nothing; raises `RateLimited` where one more ``action`` would be too many."""
        self._test(request, action, key)

    def hit(self, request: Request, action: str, key: str = "") -> None:
        """Count one ``action``; raises `RateLimited` with ``retry_after`` in seconds."""
        self._test(request, action, key)
        self._count(request, action, key, KINDS)

    def allows(self, request: Request, action: str, key: str = "") -> bool:
        """Count one ``action``; False where that is too many."""
        try:
            self.hit(request, action, key)
        except RateLimited:
            return False
        return True

    def attempt(self, request: Request, action: str, key: str) -> None:
        """Count a try that may fail, for its key alone; raises `RateLimited`.

        It is counted before it is judged, so that a thousand tries at once are
        no more than a thousand in a row. `failed` or `clear` follows.
        """
        self._test(request, action, key)
        self._count(request, action, key, {"key"})

    def failed(self, request: Request, action: str) -> None:
        """The try has failed: count it for where it came from, too."""
        self._count(request, action, "", {"ip", "user"})

    def clear(self, action: str, key: str) -> None:
        """Forget what was counted for ``key``."""
        for rate, per in self._rates.get(action, ()):
            if per == "key":
                self._limiter.clear(rate, action, per, _digest(key))

    def _test(self, request: Request, action: str, key: str) -> None:
        for rate, per, who in self._counters(request, action, key):
            if not self._limiter.test(rate, action, per, who):
                raise self._limited(rate, action, per, who)

    def _count(self, request: Request, action: str, key: str, kinds: Collection[str]) -> None:
        for rate, per, who in self._counters(request, action, key):
            if per in kinds and not self._limiter.hit(rate, action, per, who):
                raise self._limited(rate, action, per, who)

    def _counters(self, request: Request, action: str, key: str) -> Iterator[tuple[RateLimitItem, str, str]]:
        for rate, per in self._rates.get(action, ()):
            who: str | None = key
            if per == "ip":
                who = request.ip_address
            elif per == "user":
                who = str(request.user.id) if request.user else request.ip_address
            if who:
                yield rate, per, _digest(who)

    def _limited(self, rate: RateLimitItem, action: str, per: str, who: str) -> RateLimited:
        reset = self._limiter.get_window_stats(rate, action, per, who).reset_time
        return RateLimited(retry_after=max(1, round(reset - time.time())), action=action)


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
