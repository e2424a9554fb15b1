"""Where a login leads, in whichever flow it ends."""

from __future__ import annotations

from authhost_hookspecs import ApiRoute, PageRoute

from authhost.account.pending import waiting_steps
from authhost.records import PendingStep
from authhost.web.endpoint import Outcome
from authhost.web.schemas import login_state
from authhost.web.visit import Visit


def after_login(visit: Visit, steps: tuple[PendingStep, ...], next_path: str = "") -> Outcome:
    """Return the outcome of a login: the page of the first of its ``steps``, or the one that was wanted."""
    if steps:
        return Outcome(login_state(visit, steps), status=202, to=visit.with_next(steps[0].path, next_path))
    location = next_path or visit.next or visit.web.host.settings.after_login
    return Outcome(login_state(visit), location=location)


def after_action(visit: Visit, route: PageRoute | ApiRoute) -> Outcome | None:
    """Return the outcome of a login or reauthentication by a plugin's route, or None if there was none."""
    request = visit.request
    if route.step:
        return after_login(visit, waiting_steps(request))
    return after_login(visit, request.plugin_login.steps) if request.plugin_login is not None else None
