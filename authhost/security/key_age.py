"""Orders keys by the time at which they were made, and gives them short names for commands.

A key that authhost makes begins with its time, and is random after that. So a list of keys shows
which ones are former keys, and which one is waiting to become active.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from authhost.security.keys import derive

TIMED = re.compile(r"(\d{8}T\d{12})Z-[A-Za-z0-9_-]{43}")
TIME_FORMAT = "%Y%m%dT%H%M%S%f"


def new_timed_key(now: datetime, others: Iterable[str]) -> str:
    """Return a random key of 256 bits that begins with the time ``now`` and is newer than all ``others``.

    It has no character that has a meaning in TOML, in a shell or in a list of the environment.
    """
    times = [time + timedelta(microseconds=1) for each in others if (time := created(each)) is not None]
    return f"{max([now, *times]).astimezone(UTC):{TIME_FORMAT}}Z-{secrets.token_urlsafe(32)}"


def created(key: str) -> datetime | None:
    """Return when `new_timed_key` made the key; None for any other key."""
    found = TIMED.fullmatch(key)
    try:
        return datetime.strptime(found[1], TIME_FORMAT).replace(tzinfo=UTC) if found else None
    except ValueError:
        return None


def fingerprint(key: str) -> str:
    """Return 8 hexadecimal digits that distinguish keys, and from which no key can be computed."""
    return derive(key, "fingerprint")[:4].hex()


@dataclass(frozen=True, slots=True)
class KeyList:
    """The keys of one setting by their status. The repr contains none of them."""

    active: str = field(repr=False)
    """The first one, which encrypts and signs."""
    upcoming: tuple[str, ...] = field(repr=False)
    """Those that were made after the active one, the newest first. They are accepted, and not used yet."""
    former: tuple[str, ...] = field(repr=False)
    """All others, in the order of the setting. They are only accepted."""

    @classmethod
    def of(cls, keys: Sequence[str]) -> KeyList:
        """Sort the keys of a setting. A key without a time is older than one with a time."""
        active = keys[0]
        upcoming = sorted((each for each in keys if _is_newer(each, active)), key=_time, reverse=True)
        former = tuple(each for each in keys[1:] if each not in upcoming)
        return cls(active, tuple(upcoming), former)

    @property
    def newest_first(self) -> tuple[str, ...]:
        """All keys. The last one stays the last one until it is removed."""
        return (*self.upcoming, self.active, *self.former)


def _time(key: str) -> datetime:
    return created(key) or datetime.min.replace(tzinfo=UTC)


def _is_newer(key: str, other: str) -> bool:
    return _time(key) > _time(other)
