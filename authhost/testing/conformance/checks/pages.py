"""Check of the pages and JSON endpoints of a plugin, by requests like those of browsers and programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from authhost_hookspecs import ApiRoute, Field, PageRoute

from authhost.host import AuthHost
from authhost.testing.conformance.context import CheckContext
from authhost.testing.conformance.output import silenced
from authhost.testing.conformance.plugin_tables import plugin_rows
from authhost.testing.conformance.report import Fault
from authhost.testing.host import PASSWORD

if TYPE_CHECKING:
    from authhost.testing.web_client import WebClient

HOOKS = ("register_routes", "register_panels")
IVY = "ivy@example.org"
HOSTILE = "<img src=x onerror=alert(1)>\"'&"
OTHER_SITE = {"Sec-Fetch-Site": "cross-site", "Origin": "https://other.example"}
SERVER_ERROR = 500


def pages(context: CheckContext) -> Iterator[Fault]:
    """Its pages and endpoints answer every input, and GET changes nothing."""
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
    name = context.checked.name
    with silenced(), context.recorded_host() as (host, mailbox, _):
        web = Web(host)
        if fault := web.context.plugins.faults.get(name):
            yield Fault(f"its routes are not served: {fault}", "register_routes")
        visitor, user = WebClient(web), WebClient(web)
        user.api("/signup", {"email": IVY, "password": PASSWORD})
        user.api("/confirm-email", {"key": mailbox.key()})
        user.api("/login", {"identifier": IVY, "password": PASSWORD})
        routes = [route for owner, route in web.context.plugins.pages.values() if owner == name]
        endpoints = [route for owner, route in web.context.plugins.apis.values() if owner == name]
        yield from _try_panels(host, user, name)
        for route in routes:
            yield from _try_page(host, (visitor, user), name, route)
            yield from _try_forms(user, name, route, routes)
        for endpoint in endpoints:
            yield from _try_endpoint(host, (visitor, user), name, endpoint)
        used = getattr(host.engine.pool, "checkedout", lambda: 0)()
        if used:
            yield Fault("a connection to the database is still in use after all requests", hooks[0])


def _try_panels(host: AuthHost, user: WebClient, name: str) -> Iterator[Fault]:
    """Open the account page, where a section that fails is left out."""
    before = plugin_rows(host)
    status = user.get("/").status_code
    stats = host.plugin_stats().get((name, "register_panels"))
    if status >= SERVER_ERROR or (stats is not None and stats.failures):
        yield Fault("a section of the account page fails", "register_panels")
    if plugin_rows(host) != before:
        yield Fault(
            "a section of the account page writes rows when it is shown; write them in an action",
            "register_panels",
        )


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
    for values, what in _inputs(route.fields):
        response = user.post(path, None, **{key: _as_form(value) for key, value in values.items()})
        if response.status_code >= SERVER_ERROR:
            yield Fault(f"the action of {path} fails for {what}", "register_routes")
        if HOSTILE in response.body.decode():
            yield Fault(f"the action of {path} shows HTML that a user has typed", "register_routes")
    if clients[1].get(path).status_code >= SERVER_ERROR:
        yield Fault(f"the page {path} fails after its action", "register_routes")


def _try_forms(user: WebClient, name: str, route: PageRoute, routes: list[PageRoute]) -> Iterator[Fault]:
    """Compare the forms that a page shows with the routes that receive them."""
    actions = {each.path: each for each in routes if each.action is not None}
    shown = user.page(f"/{name}{route.path}") if user.get(f"/{name}{route.path}").status_code == 200 else {}
    for action, names in _forms(shown):
        path = action.removeprefix(f"/{name}")
        if path not in actions:
            yield Fault(
                f"the page /{name}{route.path} has a form for {action}, "
                "which is no PageRoute of the plugin with an action",
                "register_routes",
            )
            continue
        unknown = sorted(names - {each.name for each in actions[path].fields})
        if unknown:
            yield Fault(
                f"the form for {action} has the field {unknown[0]}, which its PageRoute does not list "
                "in fields: the action never gets it",
                "register_routes",
            )


def _try_endpoint(
    host: AuthHost, clients: tuple[WebClient, WebClient], name: str, route: ApiRoute
) -> Iterator[Fault]:
    path = f"/{name}{route.path}"
    shown = f"{route.method} /api{path}"
    before = plugin_rows(host)
    for client, who in zip(clients, ("a visitor", "a user"), strict=True):
        for values, what in _inputs(route.fields):
            if route.method == "GET":
                status, _ = client.api(path + _query(values), method="GET")
            else:
                status, _ = client.api(path, values)
            if status >= SERVER_ERROR:
                yield Fault(f"{shown} fails for {who} and {what}", "register_routes")
        if route.method == "GET" and plugin_rows(host) != before:
            yield Fault(f"{shown} writes rows; use POST for what changes something", "register_routes")
            return


def _inputs(fields: tuple[Field, ...]) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield values for fields, with what is special about them."""
    yield {each.name: _valid(each) for each in fields}, "usual values"
    yield {each.name: _longest(each) for each in fields}, "the longest values"
    yield {each.name: HOSTILE if _is_free(each) else _valid(each) for each in fields}, "values with HTML"
    yield {each.name: _valid(each) for each in fields if each.required}, "no optional values"
    yield {}, "no values"


def _is_free(field: Field) -> bool:
    return not field.choices and field.type != "checkbox" and field.max_length >= len(HOSTILE)


def _valid(field: Field) -> str | bool:
    if field.type == "checkbox":
        return True
    if field.choices:
        return field.choices[0].value
    return {"email": IVY, "code": "123456"}.get(field.type, "text")[: field.max_length]


def _longest(field: Field) -> str | bool:
    return "é" * field.max_length if _is_free(field) else _valid(field)


def _as_form(value: str | bool) -> str:
    return "on" if value is True else str(value or "")


def _query(values: dict[str, Any]) -> str:
    return "?" + urlencode({name: _as_form(value) for name, value in values.items()})


def _forms(page: dict[str, Any]) -> Iterator[tuple[str, set[str]]]:
    """Yield the action and the names of the fields of each form of a page."""
    parts = [page, *page.get("sections", ())]
    rows = [row for part in parts for row in part.get("rows", ())]
    for part in (*parts, *rows):
        for form in part.get("forms", ()):
            yield form["action"], {each["name"] for each in form["fields"]}
