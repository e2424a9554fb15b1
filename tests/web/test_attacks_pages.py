"""Attacks on the pages: two links in two tabs, hostile cookies, caches, and plugins that leave their path."""

from __future__ import annotations

import base64
import json

import pytest
from authhost_hookspecs import ApiRoute, Field, Form, Link, Page, PageRoute, Refused, Section, hookimpl
from markupsafe import Markup

from authhost.testing import OTHER_PASSWORD, PASSWORD
from authhost.testing.web_client import WebClient, codes

ANN, BOB = "ann@example.org", "bob@example.org"
COOKIE = "__Host-authhost-"
UNKNOWN_KEY = "q" * 43


def hidden(page):
    """Return the values that the first form of a page sends by itself."""
    return {each["name"]: each["value"] for each in page["forms"][0]["fields"] if each["value"]}


class TestLinks:
    @pytest.fixture
    def keys(self, client, mailbox):
        """The keys of the password resets of two accounts."""
        found = []
        for address in (ANN, BOB):
            client.post("/signup", email=address, password=PASSWORD)
            client.post("/logout")
            client.post("/forgot-password", email=address)
            found.append(mailbox.key())
        return found

    def test_the_form_of_one_link_uses_no_other(self, client, keys):
        """Another site can open a link of the attacker's account while the person types."""
        client.get(f"/reset-password/{keys[0]}")
        form = hidden(client.page("/reset-password"))
        client.get(f"/reset-password/{keys[1]}")
        response = client.post("/reset-password", **form, password=OTHER_PASSWORD)
        assert (response.status_code, codes(response)) == (400, ["invalid_key"])
        assert 'name="password"' not in response.body.decode()  # no form of the other link
        assert client.post("/login", identifier=BOB, password=PASSWORD).status_code == 303

    def test_the_later_link_still_works(self, client, keys):
        client.get(f"/reset-password/{keys[0]}")
        first = hidden(client.page("/reset-password"))
        client.get(f"/reset-password/{keys[1]}")
        second = hidden(client.page("/reset-password"))
        client.post("/reset-password", **first, password=OTHER_PASSWORD)
        assert client.post("/reset-password", **second, password=OTHER_PASSWORD).status_code == 303
        assert client.post("/login", identifier=BOB, password=OTHER_PASSWORD).status_code == 303

    def test_a_confirmation_uses_no_other(self, open_site, mailbox):
        client = WebClient(open_site(email_verification="mandatory"))
        keys = []
        for address in (ANN, BOB):
            client.cookies.clear()
            client.post("/signup", email=address, password=PASSWORD)
            keys.append(mailbox.key())
        client.get(f"/confirm-email/{keys[1]}")
        form = hidden(client.page("/confirm-email"))
        client.get(f"/confirm-email/{keys[0]}")
        assert codes(client.post("/confirm-email", **form)) == ["invalid_key"]
        client.get(f"/confirm-email/{keys[1]}")
        assert client.post("/confirm-email", **form).status_code == 303

    def test_an_unknown_key_hides_the_waiting_page_only_once(self, open_site):
        client = WebClient(open_site(email_verification="mandatory"))
        client.post("/signup", email=ANN, password=PASSWORD)
        client.get(f"/confirm-email/{UNKNOWN_KEY}")
        response = client.post("/confirm-email", **hidden(client.page("/confirm-email")))
        assert codes(response) == ["invalid_key"]
        assert f"{COOKIE}confirm" not in client.cookies
        assert client.page("/confirm-email")["id"] == "confirm_email_waiting"

    def test_an_unknown_reset_key_is_deleted(self, client):
        client.get(f"/reset-password/{UNKNOWN_KEY}")
        response = client.post("/reset-password", password=OTHER_PASSWORD)
        assert codes(response) == ["invalid_key"]
        assert f"{COOKIE}reset" not in client.cookies

    def test_a_weak_password_keeps_the_key(self, client, keys):
        client.get(f"/reset-password/{keys[0]}")
        form = hidden(client.page("/reset-password"))
        assert client.post("/reset-password", **form, password="short").status_code == 400
        assert client.post("/reset-password", **form, password=OTHER_PASSWORD).status_code == 303


def test_a_callback_is_no_head(client):
    """It would log in: HEAD is for programs that look at links."""
    for method, expected in (("HEAD", 405), ("GET", 404)):
        response = client.send(method, "/account/social/example/callback?state=x&code=y")
        assert response.status_code == expected


class TestCookies:
    @pytest.mark.parametrize("text", ["\ud800", "\0"])
    def test_messages_that_cannot_be_shown(self, client, text):
        packed = json.dumps([["info", text, "code"]]).encode()
        client.cookies[f"{COOKIE}messages"] = base64.urlsafe_b64encode(packed).decode()
        assert client.get("/login").status_code == 200
        assert f"{COOKIE}messages" not in client.cookies

    @pytest.mark.parametrize("space", ["\u2000", "\xa0", "\x85", "\ufeff", "\x1f", "$", ","])
    def test_a_name_like_a_host_cookie_is_another_name(self, web, space):
        """A subdomain can set a cookie whose name a parser could reduce to that of a ``__Host-`` cookie."""
        client = WebClient(web)
        client.post("/signup", email=ANN, password=PASSWORD)
        token = client.cookies[f"{COOKIE}session"]
        victim = WebClient(web)
        victim.cookies[f"{space}{COOKIE}session".encode().decode("latin-1")] = token
        assert victim.api("/session", method="GET")[0] == 401

    def test_a_value_cannot_contain_another_cookie(self, client, web):
        client.post("/signup", email=ANN, password=PASSWORD)
        victim = WebClient(web)
        victim.cookies = {"a": f'"x; {COOKIE}session={client.cookies[f"{COOKIE}session"]}; b="'}
        assert victim.api("/session", method="GET")[0] == 401

    def test_a_client_with_a_token_gets_no_cookie(self, open_site):
        """Neither one of authhost nor one of a plugin."""

        def visit(request, values):
            request.answer.set_cookie("news", "1")
            request.answer.message("info", "Hello")
            return {}

        web = open_site({"news": News(ApiRoute("POST", "/visit", visit, "Visit."))})
        client, app = WebClient(web), {"Authhost-Client": "app"}
        token = client.api("/signup", {"email": ANN, "password": PASSWORD}, headers=app)[1]["session_token"]
        status, body = client.api("/news/visit", headers={"Authorization": f"Bearer {token}"})
        assert (status, [each["text"] for each in body["messages"]]) == (200, ["Hello"])
        assert client.cookies == {}


class TestCaches:
    @pytest.mark.parametrize("query", ["?000000000000", "?x", "?", ""])
    def test_a_file_with_another_version_is_not_kept(self, client, query):
        """During an upgrade an old process is asked for the new version."""
        response = client.send("GET", f"/account/static/pages.css{query}")
        assert (response.status_code, response.headers["Cache-Control"]) == (200, "no-store")

    @pytest.mark.parametrize("path", ["/static/pages.css", "/login", "/api/site", "/nonsense"])
    def test_head_has_the_length_of_get(self, client, path):
        found = [client.send(method, f"/account{path}") for method in ("GET", "HEAD")]
        lengths = [dict(each.header_list())["Content-Length"] for each in found]
        assert lengths[0] == lengths[1] != "0"
        assert found[1].body == b""

    def test_a_response_without_content_has_no_length(self, client):
        response = client.send("OPTIONS", "/account/api/site")
        assert response.status_code == 204
        assert "Content-Length" not in dict(response.header_list())


class News:
    """A plugin whose routes a test chooses."""

    def __init__(self, *routes, panels=()):
        self.routes, self.panels = list(routes), list(panels)

    @hookimpl
    def register_routes(self):
        return self.routes

    @hookimpl
    def register_panels(self):
        return self.panels


def empty(request, values):
    return {}


def page(request):
    return Page("news", "News")


class Unhashable:
    __hash__ = None

    def __call__(self, request):
        return Page("news", "News")


class TestPlugins:
    @pytest.fixture
    def open_client(self, open_site):
        def opened(*routes, panels=()):
            client = WebClient(open_site({"news": News(*routes, panels=panels)}))
            client.post("/signup", email=ANN, password=PASSWORD)
            return client

        return opened

    PATHS = (
        "/../password/change",
        "/./../emails/add",
        "/x/%2e%2e/%2e%2e/login",
        "/..\\..\\login",
        "/\t../../login",
        "letter/preferences",
        "//evil.example",
        "javascript:alert(1)",
        "",
    )

    @pytest.mark.parametrize("path", PATHS)
    def test_no_form_or_link_leaves_the_path(self, open_client, path, caplog):
        """Such as to a page of the core, or of a plugin ``newsletter``."""
        form, link = Form(path, "Send"), Link("Read", path)
        client = open_client(
            PageRoute("/form", lambda request: Page("news", "News", forms=(form,))),
            PageRoute("/link", lambda request: Page("news", "News", links=(link,))),
            PageRoute("/action", page, lambda request, values: Page("news", "News", forms=(form,))),
            panels=[lambda request: Section("News", forms=(form,)), lambda request: Section("Fine")],
        )
        assert [client.get(f"/news/{name}").status_code for name in ("form", "link")] == [500, 500]
        assert client.post("/news/action").status_code == 500
        assert "plugin news failed in register_routes: UnusableResult" in caplog.text
        assert [each["title"] for each in client.page("/")["sections"]] == ["Fine"]

    def test_own_paths_may_have_a_query(self, open_client):
        links = (
            Link("Next", "/list?page=2"),
            Link("Top", "/list#top"),
            Link("Out", "https://example.net/.."),
        )
        client = open_client(PageRoute("/list", lambda request: Page("news", "News", links=links)))
        found = [each["target"] for each in client.page("/news/list")["links"]]
        assert found == ["/news/list?page=2", "/news/list#top", "https://example.net/.."]

    def test_messages_and_refusals_are_shown_as_text(self, open_client):
        script = Markup("<script>alert(1)</script>")

        def show(request):
            request.answer.message("info", script)
            return Page("news", "News")

        def refuse(request, values):
            raise Refused("no", script)

        client = open_client(PageRoute("/page", show, refuse))
        for response in (client.get("/news/page"), client.post("/news/page")):
            assert "<script>alert" not in response.body.decode()
            assert "&lt;script&gt;alert" in response.body.decode()

    @pytest.mark.parametrize(
        "route",
        [
            PageRoute("/page", None),
            PageRoute("/page", page, "action"),
            PageRoute("/page", page, fields=None),
            ApiRoute("GET", "/page", None, "Read."),
            ApiRoute("GET", "/page", empty, None),
            ApiRoute("GET", "/page", empty, "Read.", fields=(1,)),
            ApiRoute("GET", "/page", empty, "Read.", response={"type": object()}),
            ApiRoute("GET", "/page", empty, "\ud800"),
        ],
        ids=["show", "action", "fields", "run", "summary", "field", "response", "surrogate"],
    )
    def test_a_wrong_route_harms_only_its_plugin(self, open_client, route, caplog):
        client = open_client(route, PageRoute("/fine", page))
        assert "the routes of plugin news are not served: the route /page has " in caplog.text
        assert client.get("/news/fine").status_code == 404
        assert client.get("/").status_code == 200
        assert client.api("/openapi.json", method="GET")[0] == 200

    def test_a_function_without_a_hash(self, open_client):
        client = open_client(PageRoute("/page", Unhashable(), fields=(Field("a", "A"),)))
        assert client.get("/news/page").status_code == 200

    def test_a_panel_that_cannot_be_sent_is_left_out(self, open_client):
        client = open_client(panels=[lambda request: Section("\ud800"), lambda request: Section("Fine")])
        assert [each["title"] for each in client.page("/")["sections"]] == ["Fine"]
