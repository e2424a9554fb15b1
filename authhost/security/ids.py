"""Identifiers: UUIDs of version 7 (RFC 9562, section 5.7), by the host's clock."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from secrets import randbits
from uuid import UUID

COUNTER_BITS = 74
STEP_BITS = 32
SET_BACK_MS = 30 * 60 * 1000
"""A clock that goes back by more milliseconds than this was wrong before, and is followed."""


class Identifiers:
    """Each is later than the one before, within this process (section 6.2, method 2).

    A clock that is set back by more than half an hour is the exception: else a
    process that was a day ahead would go on making identifiers of tomorrow.

    A library would take the time from the machine, and a test that moves the
    host's clock would have records whose identifiers and times disagree.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last = 0

    def new(self) -> UUID:
        """The next one."""
        now = int(self._clock().timestamp() * 1000) << COUNTER_BITS
        with self._lock:
            if now > self._last or now < self._last - (SET_BACK_MS << COUNTER_BITS):
                # The first bit is left free, so that counting does not run into the time.
                value = now | randbits(COUNTER_BITS - 1)
            else:
                value = self._last + 1 + randbits(STEP_BITS)
            self._last = value
        time_and_a, b = value >> 62, value & ((1 << 62) - 1)
        time, a = time_and_a >> 12, time_and_a & 0xFFF
        return UUID(int=time << 80 | 7 << 76 | a << 64 | 2 << 62 | b)
