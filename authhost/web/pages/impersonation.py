"""The page of the link by which an operator goes to the account of a user."""

from __future__ import annotations

from authhost_hookspecs import Page

from authhost.errors import InvalidKey
from authhost.web.links import link_id
from authhost.web.visit import Visit


def begin(visit: Visit) -> Page:
    _ = visit.gettext
    key = visit.cookie(visit.web.cookies.impersonation_key)
    title = _("Work in the account of a user")
    if not key or isinstance(visit.error, InvalidKey):
        text = _("Open the link in this browser. It works once, for a few minutes.")
        return Page("impersonation_nothing", title, (text,))
    text = _("You see what the user sees, for at most an hour. Everything that you do is recorded.")
    button = visit.button("/impersonation/begin", _("Begin"), {"link": link_id(key)})
    return Page("impersonation", title, (text,), forms=(button,))
