"""Pages, JSON endpoints and sections of the account page that plugins provide."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import authhost_hookspecs as contract
from authhost_hookspecs import ApiRoute, Field, FlowError, Page, PageRoute, Refused, Section

from authhost.errors import PLUGIN_FAILURES, RequiredPluginFailed, Vetoed
from authhost.pluginhost.guard import as_caller
from authhost.pluginhost.results import UnusableResult, as_json, check_ran, function_name
from authhost.web.page_values import moved_page, moved_section, plain

if TYPE_CHECKING:
    from authhost.pluginhost.discovery import PluginRegistry
    from authhost.request import Request

log = logging.getLogger("authhost.plugins")
Route = PageRoute | ApiRoute


class PluginRoutes:
    """The routes of all plugins. Each plugin has its own part of the paths, and can take no other.

    ``reserved`` are the first words of the core's paths. The routes of a plugin with
    such a name, with wrong routes, or with two of one path and method, are logged and not
    served; a plugin that fails does not stop the site.
    """

    def __init__(self, registry: PluginRegistry, reserved: frozenset[str]) -> None:
        self.pages: dict[str, tuple[str, PageRoute]] = {}
        """The plugin and the route, by the path below the prefix."""
        self.apis: dict[tuple[str, str], tuple[str, ApiRoute]] = {}
        """The same, by the method and the path below ``/api``."""
        self.faults: dict[str, str] = {}
        """Why the routes of a plugin are not served, by its name."""
        self._calls: dict[tuple[str, int], Callable[..., Any]] = {}
        """By the plugin and the ``id`` of the function, which may have no hash."""
        self._registry = registry
        self._panels: list[tuple[str, Callable[..., Any]]] = []
        for name, routes in registry.routes().items():
            fault = _fault(name, routes, reserved)
            if fault:
                self.faults[name] = fault
                log.error("the routes of plugin %s are not served: %s", name, fault)
                continue
            for route in routes:
                self._add(name, route)
        for name, panels in registry.panels().items():
            for panel in panels:
                if not callable(panel):
                    log.error(
                        "plugin %s: register_panels returned a %s, not functions", name, type(panel).__name__
                    )
                    continue
                self._panels.append((name, self._guarded(name, "register_panels", panel)))

    @property
    def names(self) -> set[str]:
        """The plugins that have routes."""
        return {name for name, _ in (*self.pages.values(), *self.apis.values())}

    def _add(self, name: str, route: Route) -> None:
        path = f"/{name}{route.path}"
        if isinstance(route, ApiRoute):
            self.apis[route.method, path] = name, route
            self._calls[name, id(route.run)] = self._guarded(name, "register_routes", route.run)
            return
        self.pages[path] = name, route
        self._calls[name, id(route.show)] = self._guarded(name, "register_routes", route.show)
        if route.action is not None:
            self._calls[name, id(route.action)] = self._guarded(name, "register_routes", route.action)

    def _guarded(self, name: str, hook: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``function`` so that it runs as the plugin, and its writes are undone if it fails."""
        guarded = self._registry.guarded(name)
        call = as_caller(guarded, hook, function, convert=_below(name), expected=(FlowError, Refused))

        def run(request: Any, *args: Any) -> Any:
            try:
                return call(request, request, *args)
            except Refused as refusal:
                field = {"field": refusal.field} if refusal.field else {}
                message = plain(refusal.message)
                raise Vetoed(message, plugin_code=refusal.code, plugin=name, **field) from refusal

        return run

    def show(self, request: Request, name: str, route: PageRoute) -> Page:
        """Return the page of a plugin."""
        page = self._call(name, route.show, request)
        if not isinstance(page, Page):
            raise UnusableResult(f"{function_name(route.show)}: it returned no Page")
        return page

    def act(self, request: Request, name: str, route: PageRoute, values: contract.Values) -> Page | None:
        """Call the action of a page; return the page to show, or None."""
        page = self._call(name, route.action, request, values)
        if page is not None and not isinstance(page, Page):
            raise UnusableResult(f"{function_name(route.action)}: it returned neither a Page nor None")
        return page

    def run(self, request: Request, name: str, route: ApiRoute, values: contract.Values) -> Mapping[str, Any]:
        """Call a JSON endpoint; return its result as plain values."""
        return as_json(self._call(name, route.run, request, values))

    def _call(self, name: str, function: object, request: Request, *args: Any) -> Any:
        return self._calls[name, id(function)](request, *args)

    def sections(self, request: Request) -> Iterator[Section]:
        """Yield the sections of the account page. One that fails was logged, and is left out.

        Raises `RequiredPluginFailed`.
        """
        for name, panel in self._panels:
            try:
                section = panel(request)
            except RequiredPluginFailed:
                raise
            except PLUGIN_FAILURES as error:
                self._registry.guarded(name).raise_if_required("register_panels", error)
                if isinstance(error, FlowError):
                    log.error("a panel of plugin %s was refused: %s", name, error.code)
                continue
            if isinstance(section, Section):
                yield section
            elif section is not None:
                log.error("a panel of plugin %s returned a %s, not a Section", name, type(section).__name__)


def _below(name: str) -> Callable[[Any], Any]:
    """Return a function that checks a result of a plugin, and moves its paths below the plugin's own."""

    def moved(result: Any) -> Any:
        check_ran(result)
        if isinstance(result, Page):
            return moved_page(plain(result), f"/{name}")
        return moved_section(plain(result), f"/{name}") if isinstance(result, Section) else result

    return moved


def _fault(name: str, routes: list[Any], reserved: frozenset[str]) -> str:
    """Return why the routes of a plugin cannot be served, or an empty text."""
    if name in reserved:
        return f"authhost itself has pages below /{name}; rename the plugin"
    seen: set[tuple[str, str]] = set()
    for each in routes:
        if not isinstance(each, PageRoute | ApiRoute):
            return f"register_routes returned a {type(each).__name__}, not a PageRoute or an ApiRoute"
        kind = f"api {each.method}" if isinstance(each, ApiRoute) else "page"
        if (kind, each.path) in seen:
            return f"it has two routes with the path {each.path}; rename one of them"
        seen.add((kind, each.path))
        fault = _route_fault(each)
        if fault:
            return f"the route {each.path} has {fault}"
    return ""


def _route_fault(route: Route) -> str:
    """Return which part of a route cannot be used, or an empty text. Type checkers find most of these."""
    functions = (route.run,) if isinstance(route, ApiRoute) else (route.show, route.action or route.show)
    if not all(map(callable, functions)):
        return "something else than a function"
    if not isinstance(route.fields, tuple) or not all(isinstance(each, Field) for each in route.fields):
        return "fields that are not a tuple of Field"
    if isinstance(route, PageRoute):
        return ""
    try:
        json.dumps(dict(route.response), ensure_ascii=False).encode()
        route.summary.encode()
    except (AttributeError, TypeError, ValueError, RecursionError):
        return "a summary that is not text, or a response that is not a JSON schema"
    return ""
