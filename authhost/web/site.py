"""The web layer of one host: it answers requests with pages and JSON."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from traceback import format_tb
from typing import Any
from urllib.parse import urlsplit

from authhost_hookspecs import FlowError

from authhost.host import AuthHost
from authhost.settings import Settings
from authhost.web import probes
from authhost.web.admin import actions
from authhost.web.admin.plugin_pages import admin_endpoints
from authhost.web.api_handler import ApiHandler
from authhost.web.context import WebContext
from authhost.web.cookies import Cookies
from authhost.web.endpoint import Endpoint, Reader
from authhost.web.endpoints import account, emails, impersonation, password, sessions, social, state
from authhost.web.headers import SecurityHeaders
from authhost.web.http import WebRequest, WebResponse
from authhost.web.metrics import PATH as METRICS, MetricsEndpoint
from authhost.web.origins import OriginCheck
from authhost.web.page_handler import PageHandler
from authhost.web.pages import PAGES
from authhost.web.plugins import PluginRoutes
from authhost.web.problems import WebError
from authhost.web.render import Renderer
from authhost.web.static_files import StaticFiles
from authhost.web.visit import Visit

log = logging.getLogger("authhost.web")


class Web:
    """The pages and the JSON API of a host, below the setting ``web_prefix``.

    `handle` answers one request. It is synchronous, since flows hash passwords and use
    the database; `authhost.web.wsgi` and `authhost.web.asgi` call it.
    """

    def __init__(self, host: AuthHost) -> None:
        settings = host.settings
        endpoints, readers = dict(_endpoints(settings)), _readers()
        own = (*endpoints, *readers, *PAGES, "/api", "/static", probes.LIVE, probes.READY, METRICS)
        reserved = {each.split("/")[1] for each in own}
        plugins = PluginRoutes(host.registry, frozenset(reserved))
        endpoints |= {each.path: each for each in admin_endpoints(plugins)}
        root = urlsplit(settings.base_url).path
        self.host = host
        self.context = WebContext(
            host=host,
            root=root,
            prefix=root + settings.web_prefix,
            cookies=Cookies(settings),
            origins=OriginCheck(settings),
            fields={path: each.fields for path, each in endpoints.items()},
            plugins=plugins,
        )
        self._local_prefix = settings.web_prefix
        self._static = StaticFiles(self.context.prefix, settings.brand_color)
        self._ready = probes.Readiness(host)
        self._metrics = MetricsEndpoint(host) if settings.metrics_token else None
        self._headers = SecurityHeaders(settings)
        self._api = ApiHandler(self.context, endpoints, readers)
        self._pages = PageHandler(
            self.context, endpoints, Renderer(settings, self.context.prefix, self._static.url)
        )

    def serves(self, path: str) -> bool:
        """Return whether a path belongs to the web layer."""
        return path == self._local_prefix or path.startswith(self._local_prefix + "/")

    def handle(self, http: WebRequest) -> WebResponse:
        """Answer one request whose path it `serves`. An unexpected error is logged, and answered with 500."""
        path = http.path[len(self._local_prefix) :] or "/"
        is_api = path == "/api" or path.startswith("/api/")
        error: FlowError
        try:
            response = self._respond(http, path, is_api=is_api)
        except Exception as failure:
            if isinstance(failure, FlowError):  # such as a text of `web_given` that is too long
                error = failure
            else:
                # Without the text of the error, which may contain a secret: the values of a statement.
                kind = type(failure).__name__
                log.error(
                    "a %s request to the web layer failed: %s at\n%s", http.method, kind, _frames(failure)
                )
                error = WebError("internal_error")
            response = self._refusal(http, error, is_api=is_api)
        self._headers.add(response)
        if http.method == "HEAD":
            response.header_list()  # adds the length of the body
            response.body = b""
        return response

    def _refusal(self, http: WebRequest, error: FlowError, *, is_api: bool) -> WebResponse:
        """Return the response for an error outside any form; plain text if a template fails, too."""
        refuse = self._api.refusal if is_api else self._pages.refusal
        try:
            return refuse(Visit(self.context, http), error)
        except Exception as failure:
            log.error("the page of an error failed: %s at\n%s", type(failure).__name__, _frames(failure))
            return WebResponse(f"{error}\n", 500, content_type="text/plain; charset=utf-8")

    def log_in_first(self, visit: Visit, error: FlowError, target: str) -> WebResponse:
        """Return the redirect of an application's page to the login page, and back to ``target``."""
        return self._pages.log_in_first(visit, error, target)

    @property
    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document of the JSON API, also of plugins."""
        return self._api.openapi

    def _respond(self, http: WebRequest, path: str, *, is_api: bool) -> WebResponse:
        if path in (probes.LIVE, probes.READY):
            answer = probes.live if path == probes.LIVE else self._ready.response
            return probes.refuse_method(http) or answer()
        if path == METRICS and self._metrics is not None:
            return probes.refuse_method(http) or self._metrics.response(http)
        if is_api:
            return self._api.handle(http, path.removeprefix("/api") or "/")
        if path.startswith("/static/") and http.method in ("GET", "HEAD"):
            name = path.removeprefix("/static/")
            found = self._static.response(name, query=http.query_string)
            if found is not None:
                return found
        return self._pages.handle(http, path)


def _frames(error: BaseException) -> str:
    return "".join(format_tb(error.__traceback__))


def _endpoints(settings: Settings) -> Mapping[str, Endpoint]:
    found = (
        *account.endpoints(settings),
        *emails.ENDPOINTS,
        *impersonation.ENDPOINTS,
        *password.ENDPOINTS,
        *sessions.ENDPOINTS,
        *social.endpoints(settings),
        *actions.ENDPOINTS,
    )
    return {each.path: each for each in found}


def _readers() -> Mapping[str, Reader]:
    found = (*state.READERS, *emails.READERS, *sessions.READERS, *social.READERS, *actions.READERS)
    return {each.path: each for each in found}
