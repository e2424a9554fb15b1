"""Answers requests for pages: shows them, runs the flows of their forms, and redirects."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from urllib.parse import parse_qsl, urlencode

from authhost_hookspecs import CannotOpen, FlowError, Link, Page, PageMessage, PageRoute

from authhost.errors import Impersonated, InvalidInput, LoginRequired, ReauthenticationRequired, Vetoed
from authhost.web.admin.access import require_administrator
from authhost.web.admin.plugin_pages import admin_pages
from authhost.web.context import WebContext
from authhost.web.endpoint import Endpoint, Outcome
from authhost.web.endpoints.after_login import after_action
from authhost.web.endpoints.social import complete_callback
from authhost.web.fields import KEY_LENGTH
from authhost.web.http import MAX_BODY, WebRequest, WebResponse
from authhost.web.inputs import read_form
from authhost.web.page_values import with_query, with_refusal
from authhost.web.pages import PAGES
from authhost.web.problems import AlreadyLoggedIn, WebError, add_error_headers, status_of
from authhost.web.render import Renderer
from authhost.web.visit import Visit

KEY_SECONDS = 3600
"""How long a key of an e-mail stays in its cookie, until the person has pressed the button."""
KEY_PAGES = {
    "/confirm-email": "confirm_key",
    "/reset-password": "reset_key",
    "/impersonation/begin": "impersonation_key",
}
"""The attribute of `Cookies` with the cookie of the key, by the page of a link."""
KEY = re.compile(rf"[A-Za-z0-9_-]{{1,{KEY_LENGTH}}}")
CALLBACK = re.compile(r"/social/([^/]+)/callback")
CALLBACK_PURPOSE = "authhost.web callback"


class PageHandler:
    """The pages of the core and of plugins, with their forms."""

    def __init__(self, context: WebContext, endpoints: Mapping[str, Endpoint], renderer: Renderer) -> None:
        self._context, self._endpoints, self._renderer = context, endpoints, renderer
        self._plugins, self._cookies = context.plugins, context.cookies
        self._own = {**PAGES, **admin_pages(context.plugins)}
        self._host = context.host

    def handle(self, http: WebRequest, path: str) -> WebResponse:
        """Answer a request. The origin of every request that may change something is checked first."""
        visit = Visit(self._context, http)
        if len(http.body) > MAX_BODY:
            return self.refusal(visit, WebError("too_large"))
        callback = CALLBACK.fullmatch(path)
        if callback and http.method == "POST":
            return self._posted_callback(visit, path)
        if not self._context.origins.allows(http, has_cookie=self._cookies.present(http)):
            return self.refusal(visit, WebError("cross_site"))
        if http.method not in ("GET", "HEAD", "POST"):
            return self.refusal(visit, WebError("method_not_allowed"), allow="GET, HEAD, POST")
        if http.method == "POST":
            return self._post(visit, path)
        page, _, key = path.rpartition("/")
        if page in KEY_PAGES and path not in self._endpoints:
            return self._key_to_cookie(visit, page, key)
        if callback and http.method == "HEAD":  # it would use the state up, and log in
            return self.refusal(visit, WebError("method_not_allowed"), allow="GET, POST")
        if callback:
            return self._callback(visit, callback[1])
        return self._get(visit, path)

    def _get(self, visit: Visit, path: str) -> WebResponse:
        if path not in self._own and path not in self._plugins.pages:
            return self.refusal(visit, WebError("not_found"))
        try:
            with visit.unit_of_work() as request:
                if path in ("/login", "/signup") and request.user is not None:
                    raise AlreadyLoggedIn
                page = self._page(visit, path)
        except AlreadyLoggedIn:
            return self._lead_on(visit)
        except Impersonated as error:
            return self.refusal(visit, error)
        except FlowError as error:
            before = self._page_before(error, path)
            if not before or _leads_to(visit.next, visit.url(before)):
                raise
            return self.log_in_first(visit, error, self._wanted(visit, path, visit.here(visit.url(path))))
        return self._show(visit, page)

    def _lead_on(self, visit: Visit) -> WebResponse:
        """Redirect to where a login leads: somebody is logged in already."""
        target = visit.next or self._host.settings.after_login or visit.url("/")
        return visit.apply(WebResponse.redirect(target))

    def _page(self, visit: Visit, path: str) -> Page:
        """Return the page at a path, of the core or of a plugin."""
        if path in self._own:
            return self._own[path](visit)
        name, route = self._plugins.pages[path]
        visit.check_access(name, route)
        return _keep_next(visit, route, route.show(visit.request))

    def _wanted(self, visit: Visit, path: str, target: str) -> str:
        """Return where a login leads after it was required at ``path``: a step of a login is no target."""
        is_step = path in self._plugins.pages and self._plugins.pages[path][1].step
        return visit.next if is_step else target

    def _post(self, visit: Visit, path: str) -> WebResponse:
        endpoint = self._endpoints.get(path)
        if endpoint is None and not self._has_action(path):
            known = path in self._own or path in self._plugins.pages
            return self.refusal(visit, WebError("method_not_allowed" if known else "not_found"))
        page_path = endpoint.page if endpoint is not None else path
        outcome, shown, error = Outcome(), None, None
        try:
            with visit.unit_of_work():
                try:
                    outcome, shown = self._run_form(visit, path)
                except AlreadyLoggedIn:
                    raise
                except FlowError as refusal:
                    if self._page_before(refusal, page_path):
                        raise
                    error = visit.error = refusal
                    shown = self._page(visit, page_path)
        except AlreadyLoggedIn:
            return self._lead_on(visit)
        except Impersonated as refused:
            return self.refusal(visit, refused)
        except FlowError as first:
            if not self._page_before(first, page_path):
                raise
            if error is not None:  # the page with the refused form needs a login, such as after a recovery
                return self.refusal(visit, error)
            here = visit.url(page_path)
            target = visit.here(here) if endpoint is not None and endpoint.administrator else here
            return self.log_in_first(visit, first, self._wanted(visit, page_path, target))
        if error is not None and shown is not None:
            text, field = visit.describe(error), error.fields.get("field")
            shown = with_refusal(shown, path, visit.values, field, text, error.code)
            return add_error_headers(self._show(visit, shown, _page_status(error)), error)
        return self._show(visit, shown) if shown is not None else self._outcome(visit, outcome)

    def _has_action(self, path: str) -> bool:
        return path in self._plugins.pages and self._plugins.pages[path][1].action is not None

    def _run_form(self, visit: Visit, path: str) -> tuple[Outcome, Page | None]:
        """Run an endpoint, or the action of a plugin's page, with the values of the form."""
        endpoint = self._endpoints.get(path)
        if endpoint is not None:
            if endpoint.administrator:
                require_administrator(visit)
            visit.values = read_form(visit.http, endpoint.fields)
            return endpoint.run(visit, visit.values), None
        name, route = self._plugins.pages[path]
        assert route.action is not None
        visit.check_access(name, route)
        visit.values = read_form(visit.http, route.fields)
        shown = route.action(visit.request, visit.values)
        if shown is not None:
            return Outcome(), _keep_next(visit, route, shown)
        return after_action(visit, route) or Outcome(to=path), None

    def _outcome(self, visit: Visit, outcome: Outcome) -> WebResponse:
        if outcome.message is not None:
            visit.messages.append(outcome.message)
        if outcome.provider_url:
            return visit.apply(self._to_provider(visit, outcome.provider_url))
        if outcome.download:
            response = WebResponse.json(outcome.body)
            response.headers["Content-Disposition"] = f'attachment; filename="{outcome.download}"'
            return visit.apply(response)
        target = visit.location or outcome.location or visit.url(outcome.to)
        response = visit.apply(WebResponse.redirect(target))
        visit.keep_messages(response)
        return response

    def _to_provider(self, visit: Visit, url: str) -> WebResponse:
        """Return a page that leads to a provider at once.

        A redirect after a form would be blocked by ``form-action`` of the Content-Security-Policy,
        which stays ``'self'`` this way.
        """
        _ = visit.gettext
        page = Page("to_provider", _("One moment"), links=(Link(_("Continue to the provider"), url),))
        response = WebResponse(self._renderer.render(visit, page, ()))
        response.headers["Refresh"] = f"0; url={url}"
        return response

    def _show(self, visit: Visit, page: Page, status: int = 200) -> WebResponse:
        messages = (*visit.read_messages(), *visit.messages)
        visit.messages = []
        if visit.http.wants_json:
            value = {**asdict(page), "messages": [asdict(each) for each in (*messages, *page.messages)]}
            if visit.is_impersonated:
                value["impersonation"] = {"name": visit.account_name, "stop": "/impersonation/stop"}
            response = WebResponse.json(value, status)
        else:
            response = WebResponse(self._renderer.render(visit, page, messages), status)
        response.headers["Vary"] = "Accept, Accept-Language, Cookie"
        return visit.apply(visit.in_language(response))

    def refusal(self, visit: Visit, error: FlowError, *, allow: str = "") -> WebResponse:
        """Return the error page of a refusal that no form shows. In an impersonation it says so, too."""
        impersonates = bool(visit.cookie(self._cookies.administrator))
        if impersonates and not visit.has_ended and error.code != "internal_error":
            with suppress(FlowError), visit.unit_of_work():  # it may be the unit that was refused
                pass
        links = (Link(visit.gettext("To the account"), "/"),)
        page = Page("error", visit.describe(error), links=links)
        response = add_error_headers(self._show(visit, page, _page_status(error)), error)
        if allow:
            response.headers["Allow"] = allow
        return response

    def _page_before(self, error: FlowError, path: str = "") -> str:
        """Return the page that a refusal at ``path`` leads to, and back from; empty if it is shown there."""
        if isinstance(error, ReauthenticationRequired):
            return "/reauthenticate"
        if isinstance(error, LoginRequired):
            return "/login"
        page = str(error.fields.get("path", "")) if isinstance(error, Vetoed) else ""
        return page if page in self._plugins.pages and page != path else ""

    def log_in_first(self, visit: Visit, error: FlowError, target: str) -> WebResponse:
        """Redirect to the page for what is missing, such as the login, and back to ``target``."""
        page = self._page_before(error)
        if visit.http.method != "GET" or isinstance(error, Vetoed):
            visit.messages.append(PageMessage("info", visit.describe(error), error.code))
        query = f"?{urlencode({'next': target})}" if target else ""
        response = WebResponse.redirect(visit.url(page) + query)
        visit.apply(response)
        visit.keep_messages(response)
        return response

    # Links of e-mails, and callbacks of providers.

    def _key_to_cookie(self, visit: Visit, page: str, key: str) -> WebResponse:
        """Move the key of a link into a cookie, so that it leaves the address bar, history and logs."""
        name: str = getattr(self._cookies, KEY_PAGES[page])
        response = WebResponse.redirect(visit.url(page))
        if KEY.fullmatch(key):
            visit.set_cookie(name, key, KEY_SECONDS)
        return visit.apply(response)

    def _posted_callback(self, visit: Visit, path: str) -> WebResponse:
        """Turn the POST of a provider (``response_mode=form_post``) into a GET.

        It comes from another site, so it has no cookies, and changes nothing. The
        parameters, which may contain the person's name, are encrypted in the address.
        """
        body = visit.http.body.decode("ascii", "replace")
        sealed = self._host.seal(body, CALLBACK_PURPOSE)
        return WebResponse.redirect(f"{visit.url(path)}?{urlencode({'sealed': sealed})}")

    def _callback(self, visit: Visit, provider: str) -> WebResponse:
        try:
            with visit.unit_of_work():
                outcome = complete_callback(visit, provider, self._callback_params(visit.http))
        except FlowError as error:
            if self._page_before(error):
                return self.log_in_first(visit, error, visit.url("/connections" if visit.logged_in else "/"))
            _ = visit.gettext
            links = (Link(_("Back"), "/connections"),) if visit.logged_in else (Link(_("Log in"), "/login"),)
            page = Page("social_refused", visit.describe(error), links=links)
            return add_error_headers(self._show(visit, page, _page_status(error)), error)
        return self._outcome(visit, outcome)

    def _callback_params(self, http: WebRequest) -> dict[str, str]:
        sealed = http.args.get("sealed")
        if sealed is None:
            return http.args.to_dict()
        try:
            return dict(parse_qsl(self._host.open(sealed, CALLBACK_PURPOSE), keep_blank_values=True))
        except (CannotOpen, ValueError):
            raise InvalidInput("The callback cannot be read.") from None


def _page_status(error: FlowError) -> int:
    """Return the status of a page with a refusal: 401 is for programs, which can send a credential."""
    status = status_of(error)
    return 400 if status == 401 else status


def _keep_next(visit: Visit, route: PageRoute, page: Page) -> Page:
    """Return the page so that its forms keep where the person wanted to go."""
    keeps = route.step or not route.login or visit.next
    return with_query(page, visit.with_next("")) if keeps else page


def _leads_to(wanted: str, page: str) -> bool:
    """Return whether the way back leads over ``page``: pages that send to each other would never end."""
    while wanted:
        path, _, query = wanted.partition("?")
        if path == page:
            return True
        wanted = dict(parse_qsl(query)).get("next", "")
    return False
