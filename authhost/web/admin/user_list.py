"""The list of accounts, with search and filters, and the page that creates an account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast
from urllib.parse import urlencode
from uuid import UUID

from authhost_hookspecs import Choice, Field, Form, Link, Page, Row, Section, Values

from authhost.errors import InvalidInput
from authhost.records import User
from authhost.users.directory import UserFilter, UserPage
from authhost.web.admin import fields
from authhost.web.admin.access import name_of, require_administrator
from authhost.web.inputs import read_query
from authhost.web.schemas import account_json
from authhost.web.visit import Visit

LIST, USER, CREATE = "/admin", "/admin/user", "/admin/create"
LIMIT, MOST_FOUND = 25, 100
"""How many accounts a page has, and how many a search finds. A page of the list has the next ones."""


def users(visit: Visit) -> Page:
    """The newest accounts, or those that a search finds. No page counts all accounts."""
    _ = visit.gettext
    require_administrator(visit)
    values = read_query(visit.http, fields.SEARCH)
    found = find(visit, values)
    text: list[str] = []
    if not found.users:
        text.append(_("No account was found."))
    if values["query"] and len(found.users) == MOST_FOUND:
        text.append(
            _("Only the first %(count)s accounts are shown. Type more of the name.", count=MOST_FOUND)
        )
    search = Form(LIST, _("Search"), tuple(_search_fields(visit, values)), search=True)
    rows = tuple(_row(visit, each) for each in found.users)
    shown = Section(_("Accounts"), tuple(text), rows, links=_beside(visit, values, found))
    return Page(
        "admin_users",
        _("Administration"),
        sections=(Section(_("Search"), forms=(search,)), shown),
        links=(Link(_("Create an account"), CREATE), Link(_("Back to the account"), "/")),
    )


def create(visit: Visit) -> Page:
    _ = visit.gettext
    require_administrator(visit)
    return Page(
        "admin_create",
        _("Create an account"),
        (_("The account has no password: its owner sets one by the link of an e-mail."),),
        forms=(visit.form(CREATE, _("Create account")),),
        links=(Link(_("Back to the list"), LIST),),
    )


def find(visit: Visit, values: Values) -> UserPage:
    """Return the accounts that a query asks for; raises `InvalidInput`."""
    directory = visit.web.host.users
    filters = cast("tuple[UserFilter, ...]", (values["show"],) if values["show"] else ())
    if str(values["query"]).strip():
        return UserPage(directory.find(str(values["query"]), *filters, limit=MOST_FOUND), None, None)
    before, after = (_uuid(values, name) for name in ("before", "after"))
    return directory.page(*filters, before=before, after=after, limit=LIMIT)


def read_users(visit: Visit) -> Mapping[str, Any]:
    """Return the same as values for JSON."""
    found = find(visit, visit.values)
    return {
        "users": [account_json(each) for each in found.users],
        "newer": str(found.newer) if found.newer else None,
        "older": str(found.older) if found.older else None,
    }


def user_path(user_id: UUID) -> str:
    """Return the path of the page of an account, below the prefix."""
    return f"{USER}?id={user_id}"


def labels_of(visit: Visit, user: User) -> tuple[str, ...]:
    """Return the states of an account that an administrator wants to see first."""
    _ = visit.gettext
    found = {
        _("Deactivated"): not user.is_active,
        _("Not confirmed"): user.email is not None and not user.email_verified,
        _("Second factor"): bool(user.login_guards),
    }
    return tuple(label for label, applies in found.items() if applies)


def times_of(visit: Visit, user: User) -> tuple[str, ...]:
    """Return when an account was created and last used."""
    _, format_time = visit.gettext, visit.language.format_time
    created = _("Created: %(time)s", time=format_time(user.date_joined))
    if user.last_login is None:
        return (created, _("Never logged in"))
    return (created, _("Last login: %(time)s", time=format_time(user.last_login)))


def _row(visit: Visit, user: User) -> Row:
    name = name_of(user)
    username = (user.username,) if user.username and user.username != name else ()
    details = (*username, *times_of(visit, user))
    return Row(name, details, labels_of(visit, user), target=user_path(user.id))


def _beside(visit: Visit, values: Values, found: UserPage) -> tuple[Link, ...]:
    """Return the links to the newer and to the older accounts."""
    _ = visit.gettext
    show = {"show": str(values["show"])} if values["show"] else {}
    return tuple(
        Link(label, f"{LIST}?{urlencode({**show, name: start})}")
        for label, name, start in (
            (_("Newer accounts"), "after", found.newer),
            (_("Older accounts"), "before", found.older),
        )
        if start is not None
    )


def _search_fields(visit: Visit, values: Values) -> Sequence[Field]:
    _ = visit.gettext
    choices = tuple(Choice(each.value, _(each.label)) for each in fields.SHOW.choices)
    return (
        replace(fields.QUERY, label=_(fields.QUERY.label), value=str(values["query"])),
        replace(fields.SHOW, label=_(fields.SHOW.label), value=str(values["show"]), choices=choices),
    )


def _uuid(values: Values, name: str) -> UUID | None:
    try:
        return UUID(str(values[name])) if values[name] else None
    except ValueError:
        raise InvalidInput(f"{name} must be a UUID.", field=name) from None
