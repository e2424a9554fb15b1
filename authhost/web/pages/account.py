"""The pages of signup, login, logout, reauthentication and closing the account."""

from __future__ import annotations

from authhost_hookspecs import Link, Page, PanelPage, Section

from authhost.web.page_values import section_with_query, with_passkeys
from authhost.web.pages.social import provider_forms
from authhost.web.pages.waiting_login import with_waiting_login
from authhost.web.visit import Visit


def login(visit: Visit) -> Page:
    _ = visit.gettext
    links = [Link(_("Forgot your password?"), "/forgot-password")]
    if visit.web.host.settings.signup_open:
        links.append(Link(_("Create an account"), visit.with_next("/signup")))
    page = Page(
        "login",
        _("Log in"),
        forms=(visit.form("/login", _("Log in"), next=visit.next), *provider_forms(visit, "login")),
        sections=_sections(visit, "login"),
        links=tuple(links),
    )
    return with_waiting_login(visit, with_passkeys(page))


def signup(visit: Visit) -> Page:
    _ = visit.gettext
    links = (Link(_("Log in to your account"), visit.with_next("/login")),)
    if not visit.web.host.settings.signup_open:
        return Page("signup", _("Create an account"), (_("Signup is closed."),), links=links)
    return Page(
        "signup",
        _("Create an account"),
        forms=(visit.form("/signup", _("Create account"), next=visit.next), *provider_forms(visit, "login")),
        sections=_sections(visit, "signup"),
        links=links,
    )


def logout(visit: Visit) -> Page:
    _ = visit.gettext
    return Page(
        "logout",
        _("Log out"),
        (_("Do you want to log out in this browser?"),),
        forms=(visit.form("/logout", _("Log out")),),
    )


def reauthenticate(visit: Visit) -> Page:
    _ = visit.gettext
    user = visit.user
    forms = []
    text = _("This change needs a recent login. Please confirm that it is you.")
    if user.has_usable_password:
        forms.append(visit.form("/reauthenticate", _("Continue"), next=visit.next))
    accounts = visit.web.host.socialaccount.list_accounts(visit.request)
    forms += provider_forms(visit, "login", only={each.provider for each in accounts})
    sections = _sections(visit, "reauthenticate")
    has_forms = forms or any(each.forms for each in sections)
    links = () if has_forms else (Link(_("Get a link by e-mail to set a password"), "/forgot-password"),)
    return Page("reauthenticate", _("Confirm that it is you"), (text,), tuple(forms), sections, links)


def close(visit: Visit) -> Page:
    _ = visit.gettext
    visit.require_recent_login()
    return Page(
        "close",
        _("Close the account"),
        (
            _("Your account is deactivated: you are logged out everywhere, and nobody can log in to it."),
            _("Only the operator of this site can open it again."),
        ),
        forms=(visit.form("/close", _("Close my account"), danger=True),),
        links=(Link(_("Back to the account"), "/"),),
    )


def _sections(visit: Visit, page: PanelPage) -> tuple[Section, ...]:
    """Return the sections of plugins. Their forms and links keep where the person wanted to go."""
    found = visit.web.plugins.sections(visit.request, page)
    return tuple(section_with_query(each, visit.with_next("")) for each in found)
