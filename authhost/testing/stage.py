"""A host to try a plugin on: a clock that is moved by hand, a cheap hash, no rate limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from authhost.host import AuthHost
from authhost.settings import Settings

PASSWORD = "green teapots sing at dawn"
OTHER_PASSWORD = "seven quiet harbours in may"
CHEAP_HASH: Mapping[str, Any] = {
    "argon2__time_cost": 1,
    "argon2__memory_cost": 8,
    "argon2__parallelism": 1,
}
"""passlib's options: argon2id as fast as it goes. For tests alone."""


class Clock:
    """The host's clock. It stands still until it is told otherwise.

    It starts now by default, since a provider's tokens bear the time of its own clock.
    """

    def __init__(self, start: datetime | None = None) -> None:
        self.now = start or datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        """Go forward, such as by ``minutes=5`` (the arguments of `datetime.timedelta`)."""
        self.now += timedelta(**by)


def open_host(
    database_url: str,
    plugins: Mapping[str, object],
    /,
    *,
    clock: Callable[[], datetime],
    discover: bool = False,
    **settings: Any,
) -> AuthHost:
    """A host over ``database_url`` with its migrations applied. ``settings`` are those of `Settings`.

    ``plugins`` are plugin objects by name; ``discover`` adds those that are installed.
    """
    given = {
        "secret_key": "of-the-tests-" * 4,
        "database_url": database_url,
        "rate_limits": False,
        "password_hash_options": CHEAP_HASH,
        **settings,
    }
    return AuthHost(Settings(**given), plugins=plugins, discover=discover, clock=clock, upgrade_database=True)
