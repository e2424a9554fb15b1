"""The page of the sessions of a user."""

from __future__ import annotations

from authhost_hookspecs import Form, Link, Page, Row, Section

from authhost.web.user_agents import title_of
from authhost.web.visit import Visit


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
        rows.append(Row(title_of(each, _), tuple(details), labels, (end,)))
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
