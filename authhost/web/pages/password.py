"""The pages of the password: change, set, forgot, reset."""

from __future__ import annotations

from authhost_hookspecs import Link, Page

from authhost.errors import InvalidKey
from authhost.web.links import link_id
from authhost.web.visit import Visit


def password(visit: Visit) -> Page:
    """The form that changes the password, or the one that sets the first."""
    _ = visit.gettext
    links = (Link(_("Back to the account"), "/"),)
    if visit.user.has_usable_password:
        form = visit.form("/password/change", _("Change the password"))
        text = _("All your other sessions end.")
        return Page("change_password", _("Change the password"), (text,), forms=(form,), links=links)
    visit.require_recent_login()
    form = visit.form("/password/set", _("Set the password"))
    return Page("set_password", _("Set a password"), forms=(form,), links=links)


def forgot(visit: Visit) -> Page:
    _ = visit.gettext
    return Page(
        "forgot_password",
        _("Forgot your password?"),
        (_("Enter your address. You get an e-mail with a link to choose a new password."),),
        forms=(visit.form("/forgot-password", _("Send the link")),),
        links=(Link(_("Log in"), "/login"),),
    )


def reset(visit: Visit) -> Page:
    _ = visit.gettext
    key = visit.cookie(visit.web.cookies.reset_key)
    if not key or isinstance(visit.error, InvalidKey):
        return Page(
            "reset_password_nothing",
            _("Choose a new password"),
            (_("Open the link of the e-mail in this browser, or ask for a new one."),),
            links=(Link(_("Ask for a new link"), "/forgot-password"),),
        )
    form = visit.form("/reset-password", _("Set the password"), link=link_id(key))
    text = _("You are logged out everywhere, and the links of earlier e-mails stop working.")
    links = (Link(_("Ask for a new link"), "/forgot-password"),) if visit.error else ()
    return Page("reset_password", _("Choose a new password"), (text,), forms=(form,), links=links)
