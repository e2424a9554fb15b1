"""The page of the sessions of a user."""

from __future__ import annotations

import re

from authhost_hookspecs import Form, Link, Page, Row, Section

from authhost.web.visit import Visit

BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("Firefox", "Firefox"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)
"""Parts of user agents, the most specific first."""


def sessions(visit: Visit) -> Page:
    _ = visit.gettext
    current = visit.request.session
    found = visit.web.host.account.list_sessions(visit.request)
    rows = []
    for each in found:
        is_current = current is not None and each.id == current.id
        details = [
            _("Logged in: %(time)s", time=visit.language.format_time(each.created_at)),
            _("Last used: %(time)s", time=visit.language.format_time(each.last_seen_at)),
        ]
        if each.ip_address:
            details.append(_("IP address: %(address)s", address=each.ip_address))
        end = visit.button(
            "/sessions/end", _("Log out") if is_current else _("End session"), {"id": str(each.id)}
        )
        labels = (_("This browser"),) if is_current else ()
        rows.append(Row(describe(each.user_agent) or _("Unknown browser"), tuple(details), labels, (end,)))
    forms: tuple[Form, ...] = ()
    if len(found) > 1:
        forms = (visit.form("/sessions/end-others", _("End all other sessions"), danger=True),)
    return Page(
        "sessions",
        _("Sessions"),
        (_("These browsers and apps are logged in to your account."),),
        sections=(Section(_("Your sessions"), rows=tuple(rows)),),
        forms=forms,
        links=(Link(_("Back to the account"), "/"),),
    )


def describe(user_agent: str) -> str:
    """Return the names of a known browser and system, such as ``Firefox, Linux``, or an empty text."""
    browser = next((name for part, name in BROWSERS if re.search(rf"{part}[A-Za-z]*/", user_agent)), "")
    system = next((name for part, name in SYSTEMS if part in user_agent), "")
    return ", ".join(filter(None, (browser, system)))
