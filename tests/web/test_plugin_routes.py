"""Pages, endpoints and sections of plugins: always below their own path, and never a danger to the site."""

from __future__ import annotations

import logging
import re
from base64 import b64decode

import pytest
from authhost_hookspecs import (
    ApiRoute,
    Choice,
    Field,
    Form,
    Image,
    Link,
    Page,
    PageMessage,
    PageRoute,
    Refused,
    Row,
    Section,
    hookimpl,
)
from markupsafe import Markup, escape
from sqlalchemy import Column, MetaData, String, Table, Uuid, select

from authhost.testing import PASSWORD
from authhost.testing.web_client import WebClient, codes

HOSTILE = "<img src=x onerror=alert(1)>\"'&"
metadata = MetaData()
NOTES = Table(
    "authhost_shop_note", metadata, Column("id", Uuid, primary_key=True), Column("text", String(100))
)
TEXT = Field("text", "Text", max_length=100)


def page(title="Shop", **values):
    return Page("shop", title, **values)


class Shop:
    """A plugin whose routes a test chooses."""

    def __init__(self, *routes, panels=()):
        self.routes, self.panels = list(routes), list(panels)

    @hookimpl
    def register_routes(self):
        return self.routes

    @hookimpl
    def register_panels(self):
        return self.panels


def show(request):
    return page(forms=(Form("/note", "Save", (TEXT,)),))


def note(request, values):
    request.insert(NOTES, {"id": request.new_id(), "text": values["text"]})


@pytest.fixture
def open_client(open_site):
    """A client of a site with the plugin ``shop``, whose table exists; by default of a logged-in user."""

    def opened(*routes, panels=(), logged_in=True, name="shop", others=None, **settings):
        plugins = {name: Shop(*routes, panels=panels), **(others or {})}
        web = open_site(plugins, **settings)
        metadata.create_all(web.host.engine)
        client = WebClient(web)
        if logged_in:
            client.post("/signup", email="ann@example.org", password=PASSWORD)
        return client

    return opened


def notes(client):
    with client.web.host.engine.connect() as connection:
        return list(connection.scalars(select(NOTES.c.text)))


class TestPaths:
    def test_are_below_the_name_of_the_plugin(self, open_client):
        client = open_client(
            PageRoute("/note", show, note, (TEXT,)),
            ApiRoute("GET", "/note", lambda request, values: {"ok": True}, "Read."),
        )
        assert client.page("/shop/note")["forms"][0]["action"] == "/shop/note"
        assert 'action="/account/shop/note"' in client.get("/shop/note").body.decode()
        assert client.api("/shop/note", method="GET") == (200, {"ok": True})
        assert client.get("/note").status_code == 404
        assert client.api("/note", method="GET")[0] == 404

    @pytest.mark.parametrize(
        "path", ["", "/", "note", "//evil", "/../login", "/Note", "/a b", "/a/", "/{x}", "/a%2fb", "/a_b"]
    )
    def test_other_paths_cannot_be_declared(self, path):
        with pytest.raises(ValueError, match="path must begin with"):
            PageRoute(path, show)
        with pytest.raises(ValueError, match="path must begin with"):
            ApiRoute("GET", path, lambda request, values: {}, "Read.")

    @pytest.mark.parametrize("name", ["login", "api", "static", "social", "emails", "session"])
    def test_a_plugin_with_a_name_of_the_core_has_no_routes(self, open_client, name, caplog):
        client = open_client(PageRoute("/note", show), name=name)
        assert f"the routes of plugin {name} are not served" in caplog.text
        assert "rename the plugin" in caplog.text
        assert client.get(f"/{name}/note").status_code == 404

    def test_two_routes_of_one_path_are_refused(self, open_client, caplog):
        client = open_client(PageRoute("/note", show), PageRoute("/note", show))
        assert "two routes with the path /note" in caplog.text
        assert client.get("/shop/note").status_code == 404

    def test_a_wrong_route_is_refused(self, open_client, caplog):
        open_client("note")
        assert "register_routes returned a str" in caplog.text

    def test_two_plugins_may_have_the_same_paths(self, open_client):
        other = Shop(PageRoute("/note", lambda request: page("The other one")))
        client = open_client(PageRoute("/note", show), others={"bakery": other})
        titles = [client.page(f"/{name}/note")["title"] for name in ("shop", "bakery")]
        assert titles == ["Shop", "The other one"]


class TestPages:
    def test_an_action_is_stored_before_the_response(self, open_client):
        client = open_client(PageRoute("/note", show, note, (TEXT,)))
        assert client.post("/shop/note", text="tea").headers["Location"] == "/account/shop/note"
        assert notes(client) == ["tea"]

    def test_an_action_can_show_a_page(self, open_client):
        client = open_client(
            PageRoute("/note", show, lambda request, values: page("Done", text=(values["text"],)), (TEXT,))
        )
        assert "<h1>Done</h1>" in client.post("/shop/note", text="tea").body.decode()

    def test_values_are_validated(self, open_client):
        seen = []
        size = Field("size", "Size", "select", choices=(Choice("s", "Small"),))
        agree = Field("agree", "Agree", "checkbox")
        route = PageRoute(
            "/note", show, lambda request, values: seen.append(dict(values)), (TEXT, size, agree)
        )
        client = open_client(route)
        for values in (
            {},
            {"text": "", "size": "s", "agree": "on"},
            {"text": "x" * 101, "size": "s", "agree": "on"},
            {"text": "x", "size": "xl", "agree": "on"},
            {"text": "x", "size": "s"},
        ):
            assert client.post("/shop/note", **values).status_code == 400
        assert seen == []
        client.post("/shop/note", text="x", size="s", agree="on", other="y")
        assert seen == [{"text": "x", "size": "s", "agree": True}]

    def test_a_refusal_is_shown_and_rolled_back(self, open_client):
        def refuse(request, values):
            request.db.execute(NOTES.insert(), {"id": request.new_id(), "text": "lost"})
            raise Refused("taken", "This text is taken.", field="text")

        client = open_client(PageRoute("/note", show, refuse, (TEXT,)))
        response = client.post("/shop/note", text="tea")
        text = response.body.decode()
        assert 'id="form-1-text-error">This text is taken.' in text
        assert 'value="tea"' in text
        assert notes(client) == []

    def test_the_refusal_of_a_flow_is_shown(self, open_client):
        def change(request, values):
            request.accounts.add_email(request.user.id, "nonsense")

        client = open_client(PageRoute("/note", show, change, (TEXT,)))
        response = client.post("/shop/note", text="tea")
        assert (response.status_code, codes(response)) == (400, ["invalid_email"])

    def test_a_failure_is_logged_and_only_this_page_is_missing(self, open_client, caplog):
        def fail(request, values=None):
            request.db.execute(NOTES.insert(), {"id": request.new_id(), "text": "lost"})
            raise RuntimeError("the secret detail")

        client = open_client(PageRoute("/note", fail), PageRoute("/send", show, fail, (TEXT,)))
        for response in (client.get("/shop/note"), client.post("/shop/send", text="x")):
            assert response.status_code == 500
            assert "secret detail" not in response.body.decode()
        assert "plugin shop failed in register_routes" in caplog.text
        assert "test_plugin_routes.py" in caplog.text
        assert notes(client) == []
        assert client.get("/").status_code == 200

    @pytest.mark.parametrize("result", [None, "<b>", {"title": "x"}])
    def test_what_is_no_page_is_a_failure(self, open_client, result):
        client = open_client(PageRoute("/note", lambda request: result))
        assert client.get("/shop/note").status_code == 500

    def test_a_login_is_required_unless_the_route_says_otherwise(self, open_client, clock):
        client = open_client(
            PageRoute("/private", show),
            PageRoute("/open", show, login=False),
            PageRoute("/recent", show, note, (TEXT,), recent_login=True),
            logged_in=False,
        )
        assert client.get("/shop/private").headers["Location"].startswith("/account/login?next=")
        assert client.get("/shop/open").status_code == 200
        client.post("/signup", email="ann@example.org", password=PASSWORD)
        clock.forward(seconds=600)
        for response in (client.get("/shop/recent"), client.post("/shop/recent", text="x")):
            assert response.headers["Location"].startswith("/account/reauthenticate?next=")
        assert notes(client) == []

    def test_all_texts_are_escaped(self, open_client):
        field = Field("text", HOSTILE, value=HOSTILE, hint=HOSTILE, error=HOSTILE, autocomplete=HOSTILE)
        choice = Field("size", HOSTILE, "select", choices=(Choice(HOSTILE, HOSTILE),))
        form = Form("/note", HOSTILE, (field, choice), HOSTILE, HOSTILE)
        row = Row(HOSTILE, (HOSTILE,), (HOSTILE,), (form,))
        section = Section(HOSTILE, (HOSTILE,), (row,), (form,), (Link(HOSTILE, "/" + HOSTILE),))
        whole = Page(
            "x", HOSTILE, (HOSTILE,), (form,), (section,), messages=(PageMessage("info", HOSTILE, HOSTILE),)
        )
        client = open_client(PageRoute("/note", lambda request: whole), panels=[lambda request: section])
        for path in ("/shop/note", "/"):
            text = client.get(path).body.decode()
            assert "<img" not in text
            assert 'onerror=alert(1)>"' not in text

    def test_a_text_that_claims_to_be_html_is_escaped(self, open_client):
        text = Markup(HOSTILE)
        section = Section(text, (text,), (Row(text, (text,)),))
        whole = Page("x", text, (text,), sections=(section,), messages=(PageMessage("info", text),))
        client = open_client(PageRoute("/note", lambda request: whole), panels=[lambda request: section])
        for path in ("/shop/note", "/"):
            assert "<img" not in client.get(path).body.decode()

    def test_an_image_is_a_data_url_in_which_no_script_runs(self, open_client):
        svg = '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
        client = open_client(PageRoute("/note", lambda request: page(image=Image(svg, HOSTILE))))
        response = client.get("/shop/note")
        found = re.findall(r'<img class="image" src="([^"]*)" alt="([^"]*)">', response.body.decode())
        (source, alt), kind = found[0], "data:image/svg+xml;base64,"
        assert b64decode(source.removeprefix(kind)).decode() == svg
        assert (len(found), alt) == (1, str(escape(HOSTILE)))
        assert "img-src 'self' data:" in response.headers["Content-Security-Policy"]
        assert client.page("/shop/note")["image"] == {"svg": svg, "alt": HOSTILE}

    @pytest.mark.parametrize(("svg", "alt"), [("<img>", "x"), ("<svg/>", " "), ("<svg>" + "x" * 50_000, "x")])
    def test_a_wrong_image_is_a_mistake(self, svg, alt):
        with pytest.raises(ValueError, match=r"svg must|needs the text"):
            Image(svg, alt)

    def test_what_is_no_text_is_a_failure(self, open_client):
        class Html:
            def __html__(self):
                return HOSTILE

        client = open_client(PageRoute("/note", lambda request: page(text=(Html(),))))
        assert client.get("/shop/note").status_code == 500

    def test_a_link_cannot_run_a_script(self, open_client):
        whole = page(links=(Link("x", "javascript:alert(1)"),))
        client = open_client(PageRoute("/note", lambda request: whole))
        assert 'href="javascript:' not in client.get("/shop/note").body.decode()

    def test_a_plugin_reads_the_cookies_that_it_has_set(self, open_client):
        seen = []

        def visit(request, values=None):
            seen.append(dict(request.cookies))
            request.answer.set_cookie("__Host-shop", "tea")
            return page() if values is None else None

        client = open_client(
            PageRoute("/note", visit, login=False), ApiRoute("GET", "/note", visit, "x", login=False)
        )
        client.get("/login")
        client.get("/shop/note")
        client.get("/shop/note")
        client.api("/shop/note", method="GET", headers={"Authhost-Client": "app"})
        assert seen == [{}, {"__Host-shop": "tea"}, {}]

    def test_answers_of_plugins_are_applied(self, open_client):
        def act(request, values):
            request.answer.set_cookie("shop", "1")
            request.answer.message("info", "Hello")
            request.answer.redirect("/welcome")

        client = open_client(PageRoute("/note", show, act, (TEXT,)))
        response = client.post("/shop/note", text="x")
        assert response.headers["Location"] == "/welcome"
        assert client.cookies["shop"] == "1"
        assert client.page("/")["messages"][0]["text"] == "Hello"

    def test_another_site_is_refused_before_the_plugin(self, open_client):
        client = open_client(PageRoute("/note", show, note, (TEXT,), login=False))
        headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
        assert client.post("/shop/note", headers=headers, text="x").status_code == 403
        assert notes(client) == []


class TestEndpoints:
    def test_the_result_is_json(self, open_client):
        client = open_client(
            ApiRoute("POST", "/note", lambda request, values: note(request, values), "Write.", (TEXT,)),
            ApiRoute("GET", "/note", lambda request, values: {"text": values["text"]}, "Read.", (TEXT,)),
        )
        assert client.api("/shop/note", {"text": "tea"}) == (200, {})
        assert notes(client) == ["tea"]
        assert client.api("/shop/note?text=x", method="GET") == (200, {"text": "x"})
        assert client.api("/shop/note", method="GET")[0] == 400
        assert client.api("/shop/note", {"text": "x", "other": 1})[1]["field"] == "other"

    def test_refusals_and_failures(self, open_client):
        def refuse(request, values):
            raise Refused("taken", "This text is taken.", field="text")

        def fail(request, values):
            raise RuntimeError("the secret detail")

        client = open_client(
            ApiRoute("POST", "/refuse", refuse, "Refuse."), ApiRoute("POST", "/fail", fail, "Fail.")
        )
        status, problem = client.api("/shop/refuse")
        assert (status, problem["code"], problem["plugin_code"]) == (403, "vetoed", "taken")
        assert (problem["title"], problem["field"]) == ("This text is taken.", "text")
        status, problem = client.api("/shop/fail")
        assert (status, problem["code"]) == (500, "internal_error")

    @pytest.mark.parametrize("result", [object(), {"x": object()}, [1], float("nan")])
    def test_what_is_no_json_is_a_failure(self, open_client, result):
        client = open_client(ApiRoute("GET", "/note", lambda request, values: result, "Read."))
        assert client.api("/shop/note", method="GET")[0] == 500

    def test_they_are_in_the_openapi_document(self, open_client):
        client = open_client(
            ApiRoute("POST", "/note", note, "Write a note.", (TEXT,), response={"type": "object"})
        )
        operation = client.web.openapi["paths"]["/account/api/shop/note"]["post"]
        assert (operation["summary"], operation["tags"]) == ("Write a note.", ["shop"])
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        assert schema["properties"] == {"text": {"type": "string", "maxLength": 100, "minLength": 1}}

    def test_a_login_is_required(self, open_client):
        client = open_client(ApiRoute("GET", "/note", lambda r, v: {}, "Read."), logged_in=False)
        assert client.api("/shop/note", method="GET")[1]["code"] == "login_required"


class TestPanels:
    def test_stand_on_the_account_page(self, open_client):
        section = Section("Shop", ("Hello",), forms=(Form("/note", "Save"),), links=(Link("More", "/note"),))
        client = open_client(panels=[lambda request: section, lambda request: None])
        (shown,) = client.page("/")["sections"]
        assert (shown["title"], shown["forms"][0]["action"]) == ("Shop", "/shop/note")
        assert shown["links"][0]["target"] == "/shop/note"

    def test_one_that_fails_is_left_out(self, open_client, caplog):
        def fail(request):
            request.db.execute(NOTES.insert(), {"id": request.new_id(), "text": "lost"})
            raise RuntimeError

        client = open_client(panels=[fail, lambda request: Section("Shop"), lambda request: "<b>"])
        assert [each["title"] for each in client.page("/")["sections"]] == ["Shop"]
        assert "plugin shop failed in register_panels" in caplog.text
        assert "returned a str, not a Section" in caplog.text
        assert notes(client) == []

    def test_what_is_no_function_is_named(self, open_client, caplog):
        open_client(panels=[Section("Shop")])
        assert "register_panels returned a Section, not functions" in caplog.text


def test_a_required_plugin_that_fails_fails_closed(open_client):
    def fail(request):
        raise RuntimeError

    client = open_client(PageRoute("/note", fail), panels=[fail], required_plugins=("shop",))
    assert client.get("/shop/note").status_code == 500
    assert client.get("/").status_code == 500


def test_a_failure_to_load_the_routes_is_logged(open_site, caplog):
    class Broken:
        @hookimpl
        def register_routes(self):
            raise RuntimeError

    caplog.set_level(logging.ERROR)
    client = WebClient(open_site({"broken": Broken()}))
    assert "the routes of plugin broken failed to load" in caplog.text
    assert client.get("/login").status_code == 200


def test_the_order_of_plugins_changes_nothing(open_client):
    def cookie(name):
        def act(request, values):
            request.answer.set_cookie(name, "1")

        return PageRoute("/note", show, act, (TEXT,))

    for names in (("shop", "bakery"), ("bakery", "shop")):
        client = open_client(cookie(names[0]), name=names[0], others={names[1]: Shop(cookie(names[1]))})
        for name in names:
            client.post(f"/{name}/note", text="x")
        assert client.cookies["shop"] == client.cookies["bakery"] == "1"
