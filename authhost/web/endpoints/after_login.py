"""Where a login leads, in whichever flow it ends."""

from __future__ import annotations

from authhost.records import LoginResult
from authhost.web.endpoint import Outcome
from authhost.web.schemas import login_state
from authhost.web.visit import Visit


def after_login(visit: Visit, result: LoginResult, next_path: str = "") -> Outcome:
    """Return the outcome of a login: the page that the person wanted, or what the login waits for."""
    if not result.authenticated:
        return Outcome(login_state(visit), status=202, to="/confirm-email")
    location = next_path or visit.next or visit.web.host.settings.after_login
    return Outcome(login_state(visit), location=location)
