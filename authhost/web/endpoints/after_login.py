"""Where a login leads, in whichever flow it ends."""

from __future__ import annotations

from authhost.records import PendingStep
from authhost.web.endpoint import Outcome
from authhost.web.schemas import login_state
from authhost.web.visit import Visit


def after_login(visit: Visit, steps: tuple[PendingStep, ...], next_path: str = "") -> Outcome:
    """Return the outcome of a login: the page of the first of its ``steps``, or the one that was wanted."""
    if steps:
        return Outcome(login_state(visit), status=202, to=visit.with_next(steps[0].path))
    location = next_path or visit.next or visit.web.host.settings.after_login
    return Outcome(login_state(visit), location=location)
