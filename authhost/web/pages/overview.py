"""The account page: the user, links to the other pages, and the sections of plugins."""

from __future__ import annotations

from authhost_hookspecs import Link, Page, Section

from authhost.web.admin.access import may_administer
from authhost.web.admin.user_list import LIST
from authhost.web.pages.waiting_login import with_waiting_login
from authhost.web.visit import Visit


def overview(visit: Visit) -> Page:
    _ = visit.gettext
    user = visit.user
    lines = [_("Logged in as %(name)s.", name=user.username or user.email or str(user.id))]
    if user.email and not user.email_verified:
        lines.append(_("Your address %(email)s is not confirmed.", email=user.email))
    password = _("Change the password") if user.has_usable_password else _("Set a password")
    links = [
        Link(_("E-mail addresses"), "/emails"),
        Link(password, "/password"),
        Link(_("Sessions"), "/sessions"),
    ]
    if any(visit.web.host.services.providers):
        links.append(Link(_("Connections"), "/connections"))
    links.append(Link(_("Close the account"), "/close"))
    if may_administer(visit):
        links.append(Link(_("Administration"), LIST))
    sections: list[Section] = [*visit.web.plugins.sections(visit.request, "account")]
    page = Page("account", _("Your account"), tuple(lines), sections=tuple(sections), links=tuple(links))
    return with_waiting_login(visit, page)
