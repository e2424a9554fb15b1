"""The row of an event. No address, name, IP address or uid is in it.

Nor is anything that a caller chose: what may come from outside, or from another
plugin, is stored as a word of the contract, or as ``other``.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from uuid import UUID

from authhost_analytics.periods import HOUR, HOURS_A_DAY, day_of, month_of, week_of
from authhost_analytics.persons import KeyedHash, pseudonyms
from authhost_analytics.tables import NAME_LENGTH

TIMED = frozenset({"user_signed_up", "email_confirmed"})
"""Of these the second is stored: the time to confirm lies between them. Of others the hour is enough."""
PROCESSES = frozenset({"login", "connect", "redirect"})
CODE = re.compile(r"[a-z][a-z_]{0,39}")
"""The form of a refusal's code and of a flow's name."""


def known_process(name: str) -> str:
    """What a person goes to a provider for."""
    return name if name in PROCESSES else "other"


def word(value: object) -> str:
    """The name of a flow, or the code of a refusal."""
    return value if isinstance(value, str) and CODE.fullmatch(value) else "other"


def event_row(
    keyed_hash: KeyedHash,
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
    """What is stored of ``repeated`` events; ``provider`` is one that the operator has set up."""
    hour, second = divmod(int(now.timestamp()), HOUR)
    person = before = None
    if user_id is not None:
        person, before = pseudonyms(keyed_hash, month_of(hour // HOURS_A_DAY), user_id)
    return {
        "hour": hour,
        "second": second if event in TIMED else 0,
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
