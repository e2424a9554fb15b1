"""Pages, JSON endpoints and sections of pages of the core that plugins provide."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from authhost_hookspecs import (
    AdminAction,
    AdminPage,
    AdminPanel,
    ApiRoute,
    Field,
    FlowError,
    Page,
    PageRoute,
    Panel,
    PanelPage,
    Refused,
    Section,
)

from authhost.errors import PLUGIN_FAILURES, RequiredPluginFailed
from authhost.pluginhost.guard import as_caller, veto_of
from authhost.pluginhost.results import UnusableResult, as_json, check_ran, function_name
from authhost.web.page_values import moved_page, moved_section, plain, section_about

if TYPE_CHECKING:
    from authhost.pluginhost.discovery import PluginRegistry
    from authhost.records import User
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
        """The plugin and the route, by the path below the prefix. Its functions run guarded."""
        self.apis: dict[tuple[str, str], tuple[str, ApiRoute]] = {}
        """The same, by the method and the path below ``/api``."""
        self.faults: dict[str, str] = {}
        """Why the routes of a plugin are not served, by its name."""
        self._registry, self._reserved = registry, reserved
        self.admin_pages: dict[str, tuple[str, AdminPage]] = {}
        """The plugin and its page about a user for administrators, by the path below the prefix."""
        self.admin_actions: dict[str, tuple[str, AdminAction]] = {}
        """The same of what administrators do with a user."""
        self._panels: list[tuple[str, Panel]] = []
        self._admin_panels: list[tuple[str, AdminPanel]] = []
        for name, routes in registry.routes().items():
            fault = _fault(name, routes, reserved)
            if fault:
                self.faults[name] = fault
                log.error("the routes of plugin %s are not served: %s", name, fault)
                continue
            for route in routes:
                self._add(name, route)
        for name, panels in registry.panels().items():
            for each in panels:
                if isinstance(each, AdminPanel):
                    self._add_admin_panel(name, each)
                    continue
                panel = each if isinstance(each, Panel) else Panel("account", each)
                if not callable(panel.show):
                    kind = type(panel.show).__name__
                    log.error("plugin %s: register_panels returned a %s, not functions", name, kind)
                    continue
                show = self._guarded(name, "register_panels", panel.show, _section_below(name))
                self._panels.append((name, replace(panel, show=show)))

    @property
    def names(self) -> set[str]:
        """The plugins that have routes."""
        return {name for name, _ in (*self.pages.values(), *self.apis.values())}

    def _add(self, name: str, route: Route) -> None:
        path, hook = f"/{name}{route.path}", "register_routes"
        if isinstance(route, ApiRoute):
            run = self._guarded(name, hook, route.run, as_json)
            self.apis[route.method, path] = name, replace(route, run=run)
            return
        show = self._guarded(name, hook, route.show, _page_below(name, route.show))
        action = route.action
        if action is not None:
            action = self._guarded(name, hook, action, _page_below(name, action, optional=True))
        self.pages[path] = name, replace(route, show=show, action=action)

    def _add_admin_panel(self, name: str, panel: AdminPanel) -> None:
        """Add a section of an administrator's page of a user, with its pages and actions.

        They cannot replace what the plugin has at the same path.
        """
        hook, taken = "register_panels", {*self.pages, *(path for _, path in self.apis)}
        own = [each.path for each in panel.pages] + [each.path for each in panel.actions]
        paths = [f"/{name}{path}" for path in own]
        taken |= {*self.admin_pages, *self.admin_actions}
        if name in self._reserved or not taken.isdisjoint(paths):
            log.error("an AdminPanel of plugin %s is not served: its paths are taken; rename them", name)
            return
        show = self._guarded(name, hook, panel.show, _section_below(name))
        self._admin_panels.append((name, replace(panel, show=show)))
        for page in panel.pages:
            run = self._guarded(name, hook, page.show, _page_below(name, page.show))
            self.admin_pages[f"/{name}{page.path}"] = name, replace(page, show=run)
        for action in panel.actions:
            run = self._guarded(name, hook, action.run, check_ran)
            self.admin_actions[f"/{name}{action.path}"] = name, replace(action, run=run)

    def _guarded(
        self, name: str, hook: str, function: Callable[..., Any], convert: Callable[[Any], Any]
    ) -> Callable[..., Any]:
        """Return ``function`` so that it runs as the plugin, and its writes are undone if it fails."""
        guarded = self._registry.guarded(name)
        call = as_caller(guarded, hook, function, convert=convert, expected=(FlowError, Refused))

        def run(request: Any, *args: Any) -> Any:
            try:
                return call(request, request, *args)
            except Refused as refusal:
                refusal.message = plain(refusal.message)
                raise veto_of(name, refusal) from refusal

        return run

    def sections(self, request: Request, page: PanelPage) -> Iterator[Section]:
        """Yield the sections of a page of the core. One that fails was logged, and is left out.

        Raises `RequiredPluginFailed`.
        """
        shown = ((name, panel.show) for name, panel in self._panels if panel.page == page)
        return self._sections(shown, request)

    def admin_sections(self, request: Request, user: User) -> Iterator[Section]:
        """Yield the sections of an administrator's page of a user, like `sections`."""
        shown = ((name, panel.show) for name, panel in self._admin_panels)
        for section in self._sections(shown, request, user):
            yield section_about(section, user.id)

    def _sections(
        self,
        panels: Iterator[tuple[str, Callable[..., Section | None]]],
        request: Request,
        *arguments: Any,
    ) -> Iterator[Section]:
        for name, show in panels:
            if name in request.services.blocked:
                continue
            try:
                section = show(request, *arguments)
            except RequiredPluginFailed:
                raise
            except PLUGIN_FAILURES as error:
                self._registry.guarded(name).raise_if_required("register_panels", error)
                if isinstance(error, FlowError):
                    log.error("a panel of plugin %s was refused: %s", name, error.code)
                continue
            if section is not None:
                yield section


def _page_below(
    name: str, function: Callable[..., Any], *, optional: bool = False
) -> Callable[[Any], Page | None]:
    """Return a function that checks the page of a plugin, and moves its paths below the plugin's own."""

    def page(result: Any) -> Page | None:
        check_ran(result)
        if result is None and optional:
            return None
        if not isinstance(result, Page):
            expected = "neither a Page nor None" if optional else "no Page"
            raise UnusableResult(f"{function_name(function)}: it returned {expected}")
        return moved_page(plain(result), f"/{name}")

    return page


def _section_below(name: str) -> Callable[[Any], Section | None]:
    """Return a function that checks the section of a plugin, and moves its paths below the plugin's own."""

    def section(result: Any) -> Section | None:
        check_ran(result)
        if result is not None and not isinstance(result, Section):
            raise UnusableResult(f"it returned a {type(result).__name__}, not a Section")
        return None if result is None else moved_section(plain(result), f"/{name}")

    return section


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
