"""What a page says of the pending login of this browser: that it waits, its step, how to start over."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from authhost_hookspecs import FlowError, Link, Page, PageMessage, Section

from authhost.account.pending import waiting_steps
from authhost.records import PendingStep
from authhost.web.visit import Visit


def with_waiting_login(visit: Visit, page: Page) -> Page:
    """Return the page with a message and a section about the pending login of this browser, if it has one.

    It does not name the account: the next person at this machine may not know who began the login.
    """
    steps: tuple[PendingStep, ...] = ()
    with suppress(FlowError):  # a plugin fails or is missing: the login can only be begun again
        steps = waiting_steps(visit.request)
    if not steps:
        return page
    _ = visit.gettext
    section = Section(
        _("Continue your login"),
        forms=(visit.button("/login/cancel", _("Start over")),),
        links=(Link(_("Continue your login"), visit.with_next(steps[0].path)),),
    )
    message = PageMessage("info", _("Your login is not complete yet."), "login_pending")
    return replace(page, messages=(*page.messages, message), sections=(section, *page.sections))
