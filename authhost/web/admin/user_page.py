"""An administrator's page of one account, with the sections of plugins, and the page that deletes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from authhost_hookspecs import Form, Link, Page, Row, Section

from authhost.records import User
from authhost.users.snapshot import Account
from authhost.web.admin.access import account_of, name_of, require_administrator
from authhost.web.admin.user_list import LIST, USER, labels_of, times_of, user_path
from authhost.web.schemas import account_json, connection_json, email_json, session_json
from authhost.web.user_agents import title_of
from authhost.web.visit import Visit

DELETE = "/admin/delete"
MOST_SESSIONS = 50
"""How many sessions the page shows, the newest first."""


def user(visit: Visit) -> Page:
    _ = visit.gettext
    require_administrator(visit)
    account = account_of(visit)
    sections = (
        _account(visit, account.user),
        _addresses(visit, account),
        _login(visit, account),
        *([_connections(visit, account)] if account.social_accounts else []),
        _sessions(visit, account),
        *visit.web.plugins.admin_sections(visit.request, account.user),
        *_factors(visit, account.user),
        *([] if account.user.id == visit.user.id else _of_another(visit, account.user)),
        _data(visit, account.user),
    )
    links = (Link(_("Back to the list"), LIST),)
    return Page("admin_user", name_of(account.user), sections=sections, links=links)


def delete(visit: Visit) -> Page:
    """The page that asks for the name of the account, so that the wrong one is not deleted."""
    _ = visit.gettext
    require_administrator(visit)
    user = account_of(visit).user
    path = user_path(user.id)
    text = (
        _("The account %(name)s and everything that is stored of it are deleted.", name=name_of(user)),
        _("It cannot be undone."),
    )
    form = form_of(visit, user, DELETE, _("Delete the account"), danger=True)
    return Page(
        "admin_delete",
        _("Delete the account"),
        text,
        forms=(form,),
        links=(Link(_("Back to the account"), path),),
    )


def read_user(visit: Visit) -> Mapping[str, Any]:
    """Return the account as values for JSON."""
    account = account_of(visit)
    return {
        "user": account_json(account.user),
        "password_reset_required": account.password_reset_required,
        "emails": [email_json(each) for each in account.email_addresses],
        "connections": [connection_json(each) for each in account.social_accounts],
        "sessions": [session_json(each, visit.request.session) for each in account.sessions],
    }


def form_of(visit: Visit, user: User, path: str, submit: str, *, danger: bool = False) -> Form:
    """Return the form of an endpoint about an account."""
    return _about(user, visit.form(path, submit, danger=danger, id=str(user.id)))


def _button(visit: Visit, user: User, path: str, label: str, *, danger: bool = False, **values: str) -> Form:
    return _about(user, visit.button(path, label, {"id": str(user.id), **values}, danger=danger))


def _about(user: User, form: Form) -> Form:
    """Return the form with the account in its address, too: the page with a refusal is found by it."""
    return replace(form, action=f"{form.action}?id={user.id}")


def _account(visit: Visit, user: User) -> Section:
    _ = visit.gettext
    details = [_("Identifier: %(id)s", id=str(user.id))]
    if user.username:
        details.append(_("Username: %(name)s", name=user.username))
    details += times_of(visit, user)
    labels = labels_of(visit, user)
    return Section(_("Account"), rows=(Row(name_of(user), tuple(details), labels),))


def _addresses(visit: Visit, account: Account) -> Section:
    _, user, rows = visit.gettext, account.user, []
    for each in account.email_addresses:
        labels = [_("Primary")] if each.primary else []
        labels.append(_("Confirmed") if each.verified else _("Not confirmed"))
        forms = []
        if not each.verified:
            label = _("Count as confirmed")
            forms.append(_button(visit, user, f"{USER}/verify-email", label, email=each.email))
        if not each.primary:
            label = _("Make primary")
            forms.append(_button(visit, user, f"{USER}/make-primary", label, email=each.email))
            label = _("Remove")
            forms.append(_button(visit, user, f"{USER}/remove-email", label, danger=True, email=each.email))
        rows.append(Row(each.email, labels=tuple(labels), forms=tuple(forms)))
    add = form_of(visit, user, f"{USER}/add-email", _("Add address"))
    return Section(_("E-mail addresses"), rows=tuple(rows), forms=(add,))


def _login(visit: Visit, account: Account) -> Section:
    _, user, forms = visit.gettext, account.user, []
    text = _("The account has no password.")
    if account.password_reset_required:
        text = _("A new password is required.")
    elif user.has_usable_password:
        text = _("The account has a password.")
    if user.email and user.is_active:
        if user.has_usable_password:
            label = _("Send a link to reset the password")
            forms.append(_button(visit, user, f"{USER}/send-reset", label))
        else:
            label = _("Send a link to set a password")
            forms.append(_button(visit, user, f"{USER}/invite", label))
    if user.has_usable_password and not account.password_reset_required:
        label = _("Require a new password")
        forms.append(_button(visit, user, f"{USER}/require-reset", label, danger=True))
    return Section(_("Password"), (text,), forms=tuple(forms))


def _factors(visit: Visit, user: User) -> list[Section]:
    """Return the form that removes the factors of all plugins, if one of them has such."""
    _, active = visit.gettext, visit.web.host.registry.active()
    if not user.login_guards and not any("remove_factors" in each.hooks for each in active):
        return []
    form = form_of(visit, user, f"{USER}/remove-factors", _("Remove all second factors"), danger=True)
    return [Section(_("Second factor"), forms=(form,))]


def _connections(visit: Visit, account: Account) -> Section:
    _, rows = visit.gettext, []
    for each in account.social_accounts:
        details = [each.name or each.username or each.uid]
        details.append(_("Connected: %(time)s", time=visit.language.format_time(each.date_joined)))
        label, path = _("Disconnect"), f"{USER}/disconnect"
        button = _button(visit, account.user, path, label, danger=True, item=str(each.id))
        rows.append(Row(visit.provider_name(each.provider), tuple(details), forms=(button,)))
    return Section(_("Connections"), rows=tuple(rows))


def _sessions(visit: Visit, account: Account) -> Section:
    _, format_time = visit.gettext, visit.language.format_time
    user, current, rows = account.user, visit.request.session, []
    for each in account.sessions[:MOST_SESSIONS]:
        details = [
            _("Logged in: %(time)s", time=format_time(each.created_at)),
            _("Last used: %(time)s", time=format_time(each.last_seen_at)),
        ]
        if each.ip_address:
            details.append(_("IP address: %(address)s", address=each.ip_address))
        button = _button(visit, user, f"{USER}/end-session", _("End session"), item=str(each.id))
        labels = (_("This browser"),) if current is not None and each.id == current.id else ()
        rows.append(Row(title_of(each, _), tuple(details), labels, (button,)))
    text = () if rows else (_("Nobody is logged in."),)
    if len(account.sessions) > MOST_SESSIONS:
        text = (
            _(
                "The newest %(shown)s of %(count)s sessions:",
                shown=MOST_SESSIONS,
                count=len(account.sessions),
            ),
        )
    end_all = _button(visit, user, f"{USER}/end-sessions", _("End all sessions"), danger=True)
    return Section(_("Sessions"), text, tuple(rows), (end_all,) if rows else ())


def _of_another(visit: Visit, user: User) -> list[Section]:
    """Return what administrators do to accounts of others only."""
    return [*([_impersonation(visit, user)] if user.is_active else []), _deactivation(visit, user)]


def _impersonation(visit: Visit, user: User) -> Section:
    _ = visit.gettext
    text = _("You see what the user sees, for an hour at most. Sensitive changes are not possible.")
    form = form_of(visit, user, f"{USER}/impersonate", _("Work in this account"))
    return Section(_("Work in the account of a user"), (text,), forms=(form,))


def _deactivation(visit: Visit, user: User) -> Section:
    _ = visit.gettext
    if user.is_active:
        text = (_("Nobody can log in to a deactivated account. All sessions end."),)
        form = form_of(visit, user, f"{USER}/deactivate", _("Deactivate the account"), danger=True)
        return Section(_("Deactivate"), text, forms=(form,))
    lines = [_("The account is deactivated.")]
    if user.deactivated_until is not None:
        until = visit.language.format_time(user.deactivated_until)
        lines = [_("The account is deactivated until %(time)s.", time=until)]
    if user.deactivation_reason:
        lines.append(_("Reason: %(reason)s", reason=user.deactivation_reason))
    form = _button(visit, user, f"{USER}/reactivate", _("Reactivate the account"))
    return Section(_("Reactivate"), tuple(lines), forms=(form,))


def _data(visit: Visit, user: User) -> Section:
    _ = visit.gettext
    export = _button(visit, user, f"{USER}/export", _("Export the data"))
    delete = Link(_("Delete the account"), f"{DELETE}?id={user.id}")
    text = _("The export has everything that is stored of the account, as JSON and without secrets.")
    links = () if user.id == visit.user.id else (delete,)
    return Section(_("Data"), (text,), forms=(export,), links=links)
