"""Every page in every state: the empty form, refusals, messages, lists, and the page of a plugin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from authhost_hookspecs import (
    Actor,
    Choice,
    Field,
    Form,
    Image,
    Link,
    Page,
    PageMessage,
    PageRoute,
    Panel,
    Row,
    Section,
    hookimpl,
)

from authhost.testing import OTHER_PASSWORD, PASSWORD
from browser.conftest import agree
from browser.servers import Site

ANN, WORK = "ann@example.org", "ann@work.example.org"
VISITOR = (
    "/login",
    "/signup",
    "/forgot-password",
    "/confirm-email",
    "/reset-password",
    "/social/signup",
    "/impersonation/begin",
    "/nonsense",
)
USER = ("/", "/emails", "/sessions", "/password", "/connections", "/logout", "/close")
ADMINISTRATOR = ("/admin", "/admin/create", "/admin/user", "/admin/delete")
"""The pages of `test_administration`."""
CHOICES = (Choice("black", "Black"), Choice("green", "Green"))
FIELDS = (
    Field("tea", "Tea", "select", choices=CHOICES, hint="What you drink most."),
    Field("note", "Note", "textarea", required=False, error="The note is too long."),
    Field("milk", "With milk", "checkbox", hint="Or without.", error="Choose milk."),
    Field("code", "Code", "code", hint="Six digits.", error="The code is wrong."),
)
LEVELS = ("error", "warning", "success", "info")
ROW = Row("Kettle", ("Bought today",), ("New",), (Form("/tea", "Sell"), Form("/tea", "Break", danger=True)))
SECTION = Section("Tea", ("What you have.",), (ROW, ROW), (Form("/tea", "Order"),), (Link("More", "/tea"),))

KEY = Field("key", "Key", "public_key_get", value='{"challenge": "AAAA"}', hint="Touch it.")
PASSKEY = Section("Tea", ("Without a password.",), forms=(Form("/tea", "Use a passkey", (KEY,)),))


class Tea:
    """A plugin whose page has every kind of field, message and section; and sections of other pages."""

    @hookimpl
    def register_routes(self) -> list[PageRoute]:
        form = Form("/tea", "Save", FIELDS, "Preferences", "Every kind of field.")
        messages = tuple(PageMessage(level, f"A message of the level {level}.") for level in LEVELS)
        image = Image('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>', "A teapot")
        page = Page("tea", "Tea", ("A text.",), (form,), (SECTION,), (Link("Home", "/tea"),), messages, image)
        return [PageRoute("/tea", lambda request: page)]

    @hookimpl
    def register_panels(self) -> list[Any]:
        panels = [Panel(page, lambda request: PASSKEY) for page in ("login", "signup", "reauthenticate")]
        return [lambda request: SECTION, *panels]


def send(page: Any, action: str, **values: str) -> None:
    """Send the first form of a page to ``action``, with ``values``; wait for the next page."""
    form = page.locator(f"main form[action='/account{action}']").first
    for name, value in values.items():
        form.locator(f"[name={name}]").fill(value)
    with page.expect_navigation():
        form.locator("button:not(.reveal)").click()


def come_from_provider(page: Any, sub: str) -> None:
    """Press the button of the provider, log in there as ``sub``, and wait for the page after it."""
    page.locator("main form[action='/account/social/begin'] button").click()
    agree(page, sub)


def without_refresh(route: Any) -> None:
    """Answer a request of the browser without the header that leads to the next page."""
    response = route.fetch()
    headers = {name: value for name, value in response.headers.items() if name != "refresh"}
    route.fulfill(response=response, headers=headers)


def every_state(site: Site, page: Any) -> Iterator[str]:
    """Bring ``page`` into every state, and yield the name of each. The site has the plugin `Tea`."""
    yield from _visitor(site, page)
    yield from _signup(site, page)
    yield from _account(site, page)
    yield from _reauthentication(site, page)
    yield from _reset(site, page)
    yield from _provider(site, page)
    yield from _impersonation(site, page)


def _visitor(site: Site, page: Any) -> Iterator[str]:
    for each in VISITOR:
        page.goto(f"/account{each}")
        yield each
    page.goto("/account/login")
    send(page, "/login", identifier=ANN, password=OTHER_PASSWORD)
    yield "/login refused"
    page.goto("/account/social/corp/callback?error=access_denied&state=none")
    yield "/social refused"
    page.goto("/account/login")
    page.route("**/social/begin", without_refresh)
    send(page, "/social/begin")
    page.unroute("**/social/begin")
    yield "/social/begin"


def _signup(site: Site, page: Any) -> Iterator[str]:
    page.goto("/account/signup")
    send(page, "/signup", email=ANN, password="short")
    yield "/signup refused"
    send(page, "/signup", email=ANN, password=PASSWORD)
    yield "/confirm-email waiting"
    link, cookies = site.link(ANN, "confirm-email"), page.context.cookies()
    page.context.clear_cookies()
    page.goto(link)
    yield "/confirm-email in another browser"
    page.context.clear_cookies()
    page.context.add_cookies(cookies)
    page.goto(link)
    yield "/confirm-email button"
    send(page, "/confirm-email")
    yield "/ confirmed"


def _account(site: Site, page: Any) -> Iterator[str]:
    for each in (*USER, "/tea/tea"):
        page.goto(f"/account{each}")
        yield each
    page.goto("/account/emails")
    send(page, "/emails/add", email=WORK)
    yield "/emails two"
    send(page, "/emails/add", email=WORK)
    yield "/emails refused"
    with site.host.request() as request:
        site.host.account.login(request, identifier=ANN, password=PASSWORD)
    page.goto("/account/sessions")
    yield "/sessions two"
    page.goto("/account/password")
    send(page, "/password/change", current_password=OTHER_PASSWORD, new_password=PASSWORD)
    yield "/password refused"
    page.goto("/account/connections")
    come_from_provider(page, "bob")
    yield "/connections connected"


def _reauthentication(site: Site, page: Any) -> Iterator[str]:
    site.clock.forward(minutes=10)
    page.goto("/account/close")
    yield "/reauthenticate"
    send(page, "/reauthenticate", password=OTHER_PASSWORD)
    yield "/reauthenticate refused"
    page.goto("/account/logout")
    send(page, "/logout")
    yield "/login after logout"


def _reset(site: Site, page: Any) -> Iterator[str]:
    page.goto("/account/forgot-password")
    send(page, "/forgot-password", email=ANN)
    yield "/forgot-password sent"
    page.goto(site.link(ANN, "reset-password"))
    yield "/reset-password form"
    send(page, "/reset-password", password="short")
    yield "/reset-password refused"


def _provider(site: Site, page: Any) -> Iterator[str]:
    page.goto("/account/login")
    come_from_provider(page, "nameless")
    yield "/social/signup form"
    send(page, "/social/signup", email="nameless@example.org")
    page.goto(site.link("nameless@example.org", "confirm-email"))
    send(page, "/confirm-email")
    page.goto("/account/password")
    yield "/password first"


def _impersonation(site: Site, page: Any) -> Iterator[str]:
    users, operator = site.host.users, Actor("operator", name="root")
    user = users.get("nameless@example.org")
    page.goto(users.impersonation_link(user.id, actor=operator, reason="Ticket 4711"))
    yield "/impersonation/begin link"
    send(page, "/impersonation/begin")
    yield "/ impersonated"
    page.goto("/account/close")
    yield "/close refused"
    with page.expect_navigation():
        page.locator("aside form button").click()
    yield "/login after an impersonation"
