"""Answers requests to the JSON API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from authhost_hookspecs import FlowError

from authhost.web import openapi
from authhost.web.admin.access import require_administrator
from authhost.web.context import WebContext
from authhost.web.endpoint import Endpoint, Outcome, Reader
from authhost.web.endpoints.after_login import after_action
from authhost.web.http import MAX_BODY, WebRequest, WebResponse
from authhost.web.inputs import read_json, read_query
from authhost.web.problems import WebError, problem_types, status_of
from authhost.web.schemas import next_steps, steps_of_refusal
from authhost.web.visit import Visit

ALLOWED_HEADERS = "Content-Type, Authorization, Authhost-Client, Authhost-Device"
"""What a page of a trusted origin may send."""
APP_CLIENT = "app"
"""The value of the header ``Authhost-Client`` of a client that stores its tokens itself."""
DOCUMENTS = ("/openapi.json", "/problems")
"""The paths that are the same for everybody, and need no unit of work."""


class ApiHandler:
    """The JSON API below ``/api``: the endpoints of the core and of plugins, errors of RFC 9457, and CORS.

    A request has exactly one kind of credential: the cookie, with the check of its origin, or
    ``Authorization: Bearer``.
    """

    def __init__(
        self, context: WebContext, endpoints: Mapping[str, Endpoint], readers: Mapping[str, Reader]
    ) -> None:
        self._context = context
        self._endpoints, self._readers = endpoints, readers
        self._plugins, self._origins, self._cookies = context.plugins, context.origins, context.cookies

    @cached_property
    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        return openapi.document(self._context, self._endpoints.values(), self._readers.values())

    def handle(self, http: WebRequest, path: str) -> WebResponse:
        """Answer a request for a path below ``/api``."""
        is_app = http.has_bearer or http.headers.get("Authhost-Client") == APP_CLIENT
        visit = Visit(self._context, http, credential="bearer" if is_app else "cookie")
        return self._readable(http, self._api_response(visit, path))

    def _readable(self, http: WebRequest, response: WebResponse) -> WebResponse:
        """Let pages of trusted origins read a response (Fetch standard, 3.2)."""
        origin = http.headers.get("Origin")
        if origin is not None and self._origins.is_trusted(origin):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Allow-Credentials"] = "true"
            response.headers["Access-Control-Expose-Headers"] = "Retry-After"
            response.headers["Cross-Origin-Resource-Policy"] = "same-site"
        response.headers["Vary"] = "Origin, Accept-Language, Cookie, Authorization, Authhost-Client"
        return response

    def _api_response(self, visit: Visit, path: str) -> WebResponse:
        http = visit.http
        if http.method == "OPTIONS":
            return self._preflight(http)
        method = "GET" if http.method == "HEAD" else http.method
        allowed = self._api_methods(path)
        if not allowed:
            return self.refusal(visit, WebError("not_found"))
        if method not in allowed:
            return self.refusal(visit, WebError("method_not_allowed"), allow=", ".join(allowed))
        if path == "/openapi.json":
            return WebResponse.json(self.openapi)
        if path == "/problems":
            return visit.in_language(WebResponse.json(problem_types(visit.gettext)))
        if len(http.body) > MAX_BODY:
            return self.refusal(visit, WebError("too_large"))
        if http.has_bearer and http.cookies.get(self._cookies.session):
            return self.refusal(visit, WebError("two_credentials"))
        has_cookie = self._cookies.present(http)
        if visit.credential == "cookie" and not self._origins.allows(http, has_cookie=has_cookie):
            return self.refusal(visit, WebError("cross_site"))
        return self._run_api(visit, method, path)

    def _api_methods(self, path: str) -> list[str]:
        if path in DOCUMENTS:
            return ["GET"]
        methods = [
            method for method, known in (("GET", self._readers), ("POST", self._endpoints)) if path in known
        ]
        return methods or [method for method in ("GET", "POST") if (method, path) in self._plugins.apis]

    def _run_api(self, visit: Visit, method: str, path: str) -> WebResponse:
        steps: list[dict[str, Any]] = []
        outcome: Outcome | None = None
        refusal: FlowError | None = None
        with visit.unit_of_work():
            try:
                outcome = self._api_outcome(visit, method, path)
            except FlowError as error:
                refusal = error
                steps = next_steps(visit) if status_of(error) == 401 else steps_of_refusal(visit, error)
        if outcome is None:
            assert refusal is not None
            return visit.apply(visit.problem(refusal, steps))
        messages = [{"level": each.level, "text": each.text} for each in visit.messages]
        body = {**outcome.body, **visit.tokens, **({"messages": messages} if messages else {})}
        response = visit.apply(WebResponse.json(body, outcome.status))
        return visit.in_language(response) if messages else response

    def _api_outcome(self, visit: Visit, method: str, path: str) -> Outcome:
        if (method, path) in self._plugins.apis:
            name, route = self._plugins.apis[method, path]
            visit.check_access(name, route)
            values = (
                read_json(visit.http, route.fields)
                if method == "POST"
                else read_query(visit.http, route.fields)
            )
            result = route.run(visit.request, values) or {}
            outcome = after_action(visit, route)
            if outcome is None:
                return Outcome(result)
            return replace(outcome, body={**result, **outcome.body})
        if method == "GET":
            reader = self._readers[path]
            if reader.administrator:
                require_administrator(visit)
            visit.values = read_query(visit.http, reader.fields)
            return Outcome(reader.run(visit))
        endpoint = self._endpoints[path]
        if endpoint.administrator:
            require_administrator(visit)
        visit.check_login(login=endpoint.login, recent=False)
        visit.values = read_json(visit.http, endpoint.fields)
        return endpoint.run(visit, visit.values)

    def _preflight(self, http: WebRequest) -> WebResponse:
        """Answer the preflight of a trusted origin (Fetch standard, 3.2)."""
        response = WebResponse(b"", 204)
        if self._origins.is_trusted(http.headers.get("Origin")):
            response.headers["Access-Control-Allow-Methods"] = "GET, POST"
            response.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
            response.headers["Access-Control-Max-Age"] = "600"
        return response

    def refusal(self, visit: Visit, error: FlowError, *, allow: str = "") -> WebResponse:
        """Return the problem document of a refusal that no flow has raised."""
        response = visit.problem(error, [])
        if allow:
            response.headers["Allow"] = allow
        return self._readable(visit.http, response)
