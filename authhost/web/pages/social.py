"""The pages of login with a provider."""

from __future__ import annotations

from collections.abc import Collection

from authhost_hookspecs import Form, Link, Page, Row, Section

from authhost.web.visit import Visit


def provider_forms(visit: Visit, process: str, *, only: Collection[str] | None = None) -> list[Form]:
    """Return a button for each provider, or for those of ``only``."""
    _ = visit.gettext
    text = _("Continue with %(provider)s") if process == "login" else _("Connect %(provider)s")
    return [
        visit.button(
            "/social/begin",
            text % {"provider": each.name},
            visit.given | {"provider": each.id, "process": process, "next": visit.next},
        )
        for each in visit.web.host.services.providers
        if only is None or each.id in only
    ]


def connections(visit: Visit) -> Page:
    _ = visit.gettext
    providers = visit.web.host.services.providers
    found = visit.web.host.socialaccount.list_accounts(visit.request)
    rows = []
    for each in found:
        details = [_("Connected: %(time)s", time=visit.language.format_time(each.date_joined))]
        shown = each.name or each.username
        if shown:
            details.insert(0, shown)
        button = visit.button("/connections/disconnect", _("Disconnect"), {"id": str(each.id)}, danger=True)
        rows.append(Row(visit.provider_name(each.provider), tuple(details), forms=(button,)))
    connected = {each.provider for each in found}
    others = [each.id for each in providers if each.id not in connected]
    text = () if rows else (_("No account at a provider is connected."),)
    return Page(
        "connections",
        _("Connections"),
        (_("You can log in with a connected account at a provider."),),
        sections=(Section(_("Your connections"), text, rows=tuple(rows)),),
        forms=tuple(provider_forms(visit, "connect", only=others)),
        links=(Link(_("Back to the account"), "/"),),
    )


def signup(visit: Visit) -> Page:
    _ = visit.gettext
    links = (Link(_("Log in"), "/login"),)
    if not visit.cookie(visit.web.cookies.social_signup):
        text = _("There is no signup to complete in this browser. Please start again.")
        return Page("social_signup_nothing", _("Complete your signup"), (text,), links=links)
    return Page(
        "social_signup",
        _("Complete your signup"),
        (_("One more step: please complete your account."),),
        forms=(visit.form("/social/signup", _("Create account")),),
        links=links,
    )
