"""The pages and actions of plugins about one user, for administrators."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial

from authhost_hookspecs import AdminAction, AdminPage, Link, Page, Values

from authhost.web.admin import fields
from authhost.web.admin.access import account_of, require_administrator
from authhost.web.admin.user_list import USER, user_path
from authhost.web.endpoint import Endpoint, Outcome
from authhost.web.inputs import read_query
from authhost.web.page_values import page_about
from authhost.web.plugins import PluginRoutes
from authhost.web.visit import Visit


def admin_endpoints(plugins: PluginRoutes) -> Iterator[Endpoint]:
    """Yield the actions of plugins as endpoints: each a form of the page of the user, and for JSON."""
    for path, (name, action) in plugins.admin_actions.items():
        yield Endpoint(
            path=path,
            summary=action.summary,
            run=partial(_run, name, action),
            page=USER,
            fields=(fields.ID, *action.fields),
            refusals=("user_not_found",),
            administrator=True,
        )


def admin_pages(plugins: PluginRoutes) -> Mapping[str, Callable[[Visit], Page]]:
    """Return the pages of plugins, by path below the prefix."""
    return {path: partial(_show, name, page) for path, (name, page) in plugins.admin_pages.items()}


def _run(plugin: str, action: AdminAction, visit: Visit, values: Values) -> Outcome:
    visit.require_unblocked(plugin)
    user = account_of(visit).user
    action.run(visit.request, user, {name: value for name, value in values.items() if name != "id"})
    return Outcome(to=user_path(user.id))


def _show(plugin: str, declared: AdminPage, visit: Visit) -> Page:
    require_administrator(visit)
    visit.require_unblocked(plugin)
    user = account_of(visit).user
    page = declared.show(visit.request, user, read_query(visit.http, declared.fields))
    back = Link(visit.gettext("Back to the account"), user_path(user.id))
    shown = page_about(page, user.id)
    return replace(shown, id=f"admin_{page.id}", links=(*shown.links, back))
