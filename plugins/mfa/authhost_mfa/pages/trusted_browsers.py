"""The page of the browsers that a user trusts."""

from __future__ import annotations

from authhost_hookspecs import Form, Page, Request, Row, Section, Values

from authhost_mfa import fields, management, trusted_browsers
from authhost_mfa.access import current_user
from authhost_mfa.languages import language_of
from authhost_mfa.pages.links import to_overview

BROWSERS_PATH = "/trusted-browsers"


def show_browsers(request: Request) -> Page:
    """Show the browsers in which a login needs no second factor."""
    language, user = language_of(request), current_user(request)
    gettext = language.gettext
    rows = tuple(
        Row(
            each.user_agent or gettext("Unknown browser"),
            (
                gettext("Trusted until %(time)s", time=language.format_time(each.expires_at)),
                gettext("Since %(time)s", time=language.format_time(each.created_at)),
            ),
            (gettext("This browser"),) if each.is_this else (),
            (
                Form(
                    BROWSERS_PATH,
                    gettext("Remove"),
                    (fields.for_form(fields.BROWSER_ID, gettext, value=str(each.id)),),
                    danger=True,
                ),
            ),
        )
        for each in trusted_browsers.of_user(request, user.id)
    )
    text = gettext("In these browsers a login asks for no second factor.")
    remove_all = Form(BROWSERS_PATH, gettext("Remove all"), danger=True)
    title = gettext("Trusted browsers")
    return Page(
        "mfa_trusted_browsers",
        title,
        sections=(Section(title, (text,), rows, (remove_all,) if rows else ()),),
        links=(to_overview(gettext),),
    )


def revoke_browser(request: Request, values: Values) -> None:
    """End the trust in one browser, or in all of them."""
    management.revoke_browsers(request, str(values["browser_id"]))
