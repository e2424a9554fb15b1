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
"""If the clock goes back by more milliseconds than this, identifiers go back, too."""


class Identifiers:
    """Creates identifiers that increase within this process (RFC 9562, section 6.2, method 2).

    The exception is a clock that is set back by more than half an hour: otherwise a
    process whose clock was a day ahead would continue with identifiers of the next day.

    A library would use the machine's time. If a test changes the host's clock,
    identifiers and times of its records would not match.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last = 0

    def new(self) -> UUID:
        """Return the next identifier."""
        now = int(self._clock().timestamp() * 1000) << COUNTER_BITS
        with self._lock:
            if now > self._last or now < self._last - (SET_BACK_MS << COUNTER_BITS):
                # The first bit is 0, so that counting up does not change the time.
                value = now | randbits(COUNTER_BITS - 1)
            else:
                value = self._last + 1 + randbits(STEP_BITS)
            self._last = value
        time_and_a, b = value >> 62, value & ((1 << 62) - 1)
        time, a = time_and_a >> 12, time_and_a & 0xFFF
        return UUID(int=time << 80 | 7 << 76 | a << 64 | 2 << 62 | b)
