"""Check of the pages and JSON endpoints of a plugin, by requests like those of browsers and programs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from authhost_hookspecs import ApiRoute, FlowError, PageRoute

from authhost.account.pending import waiting_steps
from authhost.host import AuthHost
from authhost.records import PendingStep
from authhost.testing.browser import Browser
from authhost.testing.conformance.context import CheckContext
from authhost.testing.conformance.form_values import EMAIL, HOSTILE, as_form, forms, inputs, query, targets
from authhost.testing.conformance.output import captured_logs, captured_print
from authhost.testing.conformance.plugin_tables import plugin_rows
from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.rules.login_steps import changes_while_asked, never_completed
from authhost.testing.conformance.source import PluginSource
from authhost.testing.host import PASSWORD

if TYPE_CHECKING:
    from authhost.testing.web_client import WebClient
    from authhost.web.http import WebResponse

HOOKS = ("register_routes", "register_panels", "login_steps")
PAGES_WITH_PANELS = {
    "/": "the account page",
    "/login": "the login page",
    "/signup": "the signup page",
    "/reauthenticate": "the page of the reauthentication",
}
FOR_VISITORS = ("/login", "/signup")
"""The pages that are for visitors who are not logged in."""
OTHER_SITE = {"Sec-Fetch-Site": "cross-site", "Origin": "https://other.example"}
SERVER_ERROR = 500


def pages(context: CheckContext) -> Iterator[Fault]:
    """Its pages and endpoints answer every input, GET changes nothing, and each login step can be done."""
    hooks = [hook for hook in HOOKS if hook in context.checked.implementations]
    if not hooks:
        return
    try:
        from authhost.testing.web_client import WebClient
        from authhost.web import Web
    except ImportError as error:
        missing = f"not checked, since {error.name} is not installed; run `pip install 'authhost[web]'`"
        yield Fault(missing, hooks[0], note=True)
        return
    name, source = context.checked.name, PluginSource(context.checked)
    yield from changes_while_asked(source)
    yield from never_completed(source)
    with (
        captured_logs() as logged,
        captured_print(),
        context.recorded_host(administrators=[EMAIL]) as (
            host,
            mailbox,
            _,
        ),
    ):
        web = Web(host)
        for text in _errors_of(name, logged):
            yield Fault(text, "register_panels" if "panels" in text else "register_routes")
        visitor, user, waiting = WebClient(web), WebClient(web), WebClient(web)
        user.api("/signup", {"email": EMAIL, "password": PASSWORD})
        user.api("/confirm-email", {"key": mailbox.key()})
        for client in (user, waiting):
            client.api("/login", {"identifier": EMAIL, "password": PASSWORD})
        _complete_steps(host, user)
        routes = [route for owner, route in web.context.plugins.pages.values() if owner == name]
        endpoints = [route for owner, route in web.context.plugins.apis.values() if owner == name]
        yield from _find_missing_pages(host, waiting, name, routes)
        yield from _try_panels(host, (visitor, user), name, logged)
        for route in routes:
            yield from _try_page(host, (visitor, waiting if route.step else user), name, route)
        for path in (*PAGES_WITH_PANELS, *(f"/{name}{route.path}" for route in routes)):
            yield from _try_forms(visitor if path in FOR_VISITORS else user, name, path, routes)
        for endpoint in endpoints:
            yield from _try_endpoint(host, (visitor, waiting if endpoint.step else user), name, endpoint)
        yield from _try_administration(host, user, name, logged)
        # Again, with what the actions have stored.
        yield from _try_panels(host, (WebClient(web), user), name, logged)
        used = getattr(host.engine.pool, "checkedout", lambda: 0)()
        if used:
            yield Fault("a connection to the database is still in use after all requests", hooks[0])


def _complete_steps(host: AuthHost, client: WebClient) -> None:
    """Complete the steps that plugins require of the login of a client, without their pages."""
    names = client.web.context.cookies
    browser = Browser(host)
    browser.pending = client.cookies.get(names.pending)
    browser.complete_steps()
    if browser.token is not None:
        client.cookies.pop(names.pending, None)
        client.cookies[names.session] = browser.token


def _find_missing_pages(
    host: AuthHost, client: WebClient, name: str, routes: list[PageRoute]
) -> Iterator[Fault]:
    """Find the steps of the client's login that have no page: nobody could complete them."""
    pages_of_steps = {(f"/{name}{each.path}", f"{name}.{each.step}") for each in routes}
    steps: tuple[PendingStep, ...] = ()
    token = client.cookies.get(client.web.context.cookies.pending)
    with host.request(pending_token=token) as request, suppress(FlowError):
        steps = waiting_steps(request)
    for each in steps:
        owner, _, key = each.key.partition(".")
        if owner == name and (each.path, each.key) not in pages_of_steps:
            path = each.path.removeprefix(f"/{name}")
            yield Fault(
                f"the step {key} has no PageRoute with the path {path} and step={key!r}; nobody can log in",
                "login_steps",
            )


def _errors_of(name: str, logged: list[logging.LogRecord]) -> list[str]:
    """Return what the host has logged as an error of the plugin's routes and sections."""
    return [
        each.getMessage().partition(" (request ")[0]
        for each in logged
        if each.name == "authhost.plugins"
        and each.levelno >= logging.ERROR
        and isinstance(each.args, tuple)
        and name in each.args
    ]


def _try_panels(
    host: AuthHost, clients: tuple[WebClient, WebClient], name: str, logged: list[logging.LogRecord]
) -> Iterator[Fault]:
    """Open the pages with sections of plugins, where a section that fails is left out."""
    hook, (visitor, user) = "register_panels", clients
    for path, page in PAGES_WITH_PANELS.items():
        before, start = plugin_rows(host), len(logged)
        response = (visitor if path in FOR_VISITORS else user).get(path)
        errors = _errors_of(name, logged[start:])
        for text in errors:
            yield Fault(f"a section of {page} is left out: {text}", hook)
        if response.status_code >= SERVER_ERROR and not errors:
            yield Fault(f"{page} fails", hook)
        if HOSTILE in response.body.decode():
            yield Fault(f"a section of {page} shows HTML that a user has typed", hook)
        if plugin_rows(host) != before:
            yield Fault(f"a section of {page} writes rows when it is shown; write them in an action", hook)


def _try_administration(
    host: AuthHost, admin: WebClient, name: str, logged: list[logging.LogRecord]
) -> Iterator[Fault]:
    """Open an administrator's page of a user, with the pages and actions of the plugin there."""
    hook, page, plugins = "register_panels", "an administrator's page of a user", admin.web.context.plugins
    found = host.users.find(EMAIL)
    about = {"id": str(found[0].id) if found else ""}
    before, start = plugin_rows(host), len(logged)
    shown = admin.get(f"/admin/user{query(about)}")
    for text in _errors_of(name, logged[start:]):
        yield Fault(f"a section of {page} is left out: {text}", hook)
    for path, (owner, declared) in plugins.admin_pages.items():
        for values, what in inputs(declared.fields):
            if owner == name and _fails(admin.get(path + query({**about, **values}))):
                yield Fault(f"the page {path} fails for {what}", hook)
    if plugin_rows(host) != before:
        yield Fault(f"{page} writes rows when it is shown; write them in an action", hook)
    for path, (owner, action) in plugins.admin_actions.items():
        for values, what in inputs(action.fields):
            given = {key: as_form(value) for key, value in {**about, **values}.items()}
            if owner == name and _fails(admin.post(path, None, **given)):
                yield Fault(f"the action {path} fails for {what}", hook)
    for response in (shown, admin.get(f"/admin/user{query(about)}")):
        if HOSTILE in response.body.decode():
            yield Fault(f"a section of {page} shows HTML that a user has typed", hook)


def _fails(response: WebResponse) -> bool:
    return response.status_code >= SERVER_ERROR


def _try_page(
    host: AuthHost, clients: tuple[WebClient, WebClient], name: str, route: PageRoute
) -> Iterator[Fault]:
    path = f"/{name}{route.path}"
    before = plugin_rows(host)
    for client, who in zip(clients, ("a visitor", "a user"), strict=True):
        if client.get(path).status_code >= SERVER_ERROR:
            yield Fault(f"the page {path} fails for {who}", "register_routes")
    if plugin_rows(host) != before:
        yield Fault(f"the page {path} writes rows for GET; write them in its action", "register_routes")
    if route.action is None:
        return
    user = clients[1]
    if user.post(path, headers=OTHER_SITE).status_code != 403 or plugin_rows(host) != before:
        yield Fault(f"the page {path} accepts a form of another site", "register_routes")
    for client, who in zip(clients, ("a visitor", "a user"), strict=True):
        yield from _try_action(client, who, path, route)


def _try_action(client: WebClient, who: str, path: str, route: PageRoute) -> Iterator[Fault]:
    """Send the form with each kind of values, and open the page again after each of them."""
    for values, what in inputs(route.fields):
        sent = client.post(path, None, **{key: as_form(value) for key, value in values.items()})
        if sent.status_code >= SERVER_ERROR:
            yield Fault(f"the action of {path} fails for {who} and {what}", "register_routes")
        if HOSTILE in sent.body.decode():
            yield Fault(f"the action of {path} shows HTML that a user has typed", "register_routes")
        shown = client.get(path)
        if shown.status_code >= SERVER_ERROR:
            yield Fault(f"the page {path} fails after its action for {who} and {what}", "register_routes")
        if HOSTILE in shown.body.decode():
            yield Fault(f"the page {path} shows HTML that a user has typed", "register_routes")


def _try_forms(user: WebClient, name: str, page: str, routes: list[PageRoute]) -> Iterator[Fault]:
    """Compare the forms and links that a page shows with the routes to which they lead."""
    hook = "register_panels" if page in PAGES_WITH_PANELS else "register_routes"
    paths = {each.path for each in routes}
    actions = {each.path: each for each in routes if each.action is not None}
    shown = user.page(page) if user.get(page).status_code == 200 else {}
    for target in targets(shown):
        path = urlsplit(target).path
        if path.startswith(f"/{name}/") and path.removeprefix(f"/{name}") not in paths:
            yield Fault(f"the page {page} has a link to {path}, which is no PageRoute of the plugin", hook)
    for target, names in forms(shown):
        action = urlsplit(target).path
        if not action.startswith(f"/{name}/"):
            continue  # of authhost itself, or of another plugin
        path = action.removeprefix(f"/{name}")
        if path not in actions:
            yield Fault(
                f"the page {page} has a form for {action}, "
                "which is no PageRoute of the plugin with an action",
                hook,
            )
            continue
        unknown = sorted(names - {each.name for each in actions[path].fields})
        if unknown:
            yield Fault(
                f"the form for {action} has the field {unknown[0]}, which its PageRoute does not list "
                "in fields: the action never gets it",
                hook,
            )


def _try_endpoint(
    host: AuthHost, clients: tuple[WebClient, WebClient], name: str, route: ApiRoute
) -> Iterator[Fault]:
    path = f"/{name}{route.path}"
    shown = f"{route.method} /api{path}"
    before = plugin_rows(host)
    if route.method == "POST":
        usual, _ = next(inputs(route.fields))
        status, _ = clients[1].api(path, usual, headers=OTHER_SITE)
        if status != 403 or plugin_rows(host) != before:
            yield Fault(f"{shown} accepts a request of another site", "register_routes")
    for client, who in zip(clients, ("a visitor", "a user"), strict=True):
        for values, what in inputs(route.fields):
            if route.method == "GET":
                status, _ = client.api(path + query(values), method="GET")
            else:
                status, _ = client.api(path, values)
            if status >= SERVER_ERROR:
                yield Fault(f"{shown} fails for {who} and {what}", "register_routes")
        if route.method == "GET" and plugin_rows(host) != before:
            yield Fault(f"{shown} writes rows; use POST for what changes something", "register_routes")
            return
