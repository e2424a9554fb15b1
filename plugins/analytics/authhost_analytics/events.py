"""The row that is stored for an event. It contains no address, name, IP address or account id.

It contains no text that a visitor or another plugin can choose either: such values are
stored only if they have the form of a contract code, otherwise as ``other``.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from uuid import UUID

from authhost_analytics.periods import HOUR, HOURS_A_DAY, day_of, month_of, week_of
from authhost_analytics.pseudonyms import KeyedHashes, pseudonym_pair
from authhost_analytics.tables import NAME_LENGTH

EXACT_SECOND_EVENTS = frozenset({"user_signed_up", "email_confirmed"})
"""Events stored with their second, to measure the time to confirm. Others are stored with the hour only."""
PROCESSES = frozenset({"login", "connect", "redirect"})
CODE = re.compile(r"[a-z][a-z_]{0,39}")
"""The form of a refusal's code and of a flow's name."""


def process_or_other(name: str) -> str:
    """Return the process of a social login (``login``, ``connect``, ``redirect``), else ``other``."""
    return name if name in PROCESSES else "other"


def code_or_other(value: object) -> str:
    """Return the name of a flow or the code of a refusal, or ``other`` for anything else."""
    return value if isinstance(value, str) and CODE.fullmatch(value) else "other"


def event_row(
    keyed_hashes: KeyedHashes,
    now: datetime,
    event: str,
    user_id: UUID | None = None,
    *,
    joined: datetime | None = None,
    flow: str = "",
    outcome: str = "success",
    provider: str | None = None,
    method: str = "",
    repeated: int = 1,
) -> dict[str, Any]:
    """Return the row of ``event_table`` for ``repeated`` equal events.

    ``joined`` is the time of the user's signup. ``provider`` is the name of a
    provider from the settings, never a visitor's input.
    """
    hour, second = divmod(int(now.timestamp()), HOUR)
    person = before = None
    if user_id is not None:
        person, before = pseudonym_pair(keyed_hashes, month_of(hour // HOURS_A_DAY), user_id)
    return {
        "hour": hour,
        "second": second if event in EXACT_SECOND_EVENTS else 0,
        "event": event,
        "flow": flow,
        "outcome": outcome,
        "provider": (provider or "")[:NAME_LENGTH],
        "method": method,
        "person": person,
        "person_before": before,
        "cohort": week_of(day_of(joined)) if joined is not None else None,
        "repeated": repeated,
    }
