"""Sections of plugins on the pages of login, signup and reauthentication."""

from __future__ import annotations

import json

import pytest
from authhost_hookspecs import Field, Form, Link, Page, PageRoute, Panel, Row, Section, hookimpl
from sqlalchemy import update

from authhost.store.tables import users
from authhost.testing import PASSWORD
from authhost.testing.web_client import WebClient

PAGES = ("login", "signup", "reauthenticate")
OPTIONS = json.dumps({"challenge": "AAAA"})
PASSKEY = Field("credential", type="public_key_get", value=OPTIONS, autocomplete="webauthn")


class Shop:
    def __init__(self, *panels):
        self.panels = panels

    @hookimpl
    def register_panels(self):
        return list(self.panels)

    @hookimpl
    def register_routes(self):
        link = Link("Back", "/door")
        page = Page("door", "Door", forms=(Form("/door", "Open"),), sections=(section(),), links=(link,))
        route = PageRoute("/door", lambda request: page, lambda request, values: page, login=False)
        return [route, PageRoute("/shelf", lambda request: page)]


def section(title="Door", *fields):
    form = Form("/door", "Open", fields)
    links = (Link("More", "/door"), Link("Help", "https://example.com/help"), Link("Tea", "/door?tea=1"))
    return Section(title, rows=(Row("Key", forms=(form,)),), forms=(form,), links=links)


def show(*fields):
    return lambda request: section("Door", *fields)


@pytest.fixture
def open_client(open_site):
    def opened(*panels, **settings):
        return WebClient(open_site({"shop": Shop(*panels)}, **settings))

    return opened


def sign_up(client):
    client.post("/signup", email="ann@example.org", password=PASSWORD)
    return client


class TestPanels:
    @pytest.mark.parametrize("page", PAGES)
    def test_a_section_is_on_its_page_only(self, open_client, page):
        client = open_client(Panel(page, show()))
        if page == "reauthenticate":
            sign_up(client)
        assert [each["title"] for each in client.page(f"/{page}")["sections"]] == ["Door"]
        visitor = WebClient(client.web)
        found = {each for each in ("login", "signup") if visitor.page(f"/{each}")["sections"]}
        assert found == {page} - {"reauthenticate"}
        assert sign_up(client).page("/")["sections"] == []

    def test_the_account_page_can_be_named(self, open_client):
        client = sign_up(open_client(Panel("account", show()), show()))
        assert len(client.page("/")["sections"]) == 2

    def test_they_come_after_the_forms_of_the_core(self, open_client):
        html = open_client(Panel("login", show())).get("/login").body.decode()
        assert (
            html.index('name="password"') < html.index("<h2>Door</h2>") < html.index("Forgot your password")
        )

    def test_the_visitor_is_not_logged_in(self, open_client):
        seen = []
        client = open_client(Panel("login", lambda request: seen.append(request.user)))
        assert client.page("/login")["sections"] == []
        assert seen == [None]

    def test_a_closed_signup_has_none(self, open_client):
        client = open_client(Panel("signup", show()), signup_open=False)
        assert client.page("/signup")["sections"] == []

    def test_one_that_fails_is_left_out(self, open_client, caplog):
        client = open_client(Panel("login", lambda request: 1 / 0), Panel("login", show()))
        assert len(client.page("/login")["sections"]) == 1
        assert "plugin shop failed in register_panels" in caplog.text

    def test_a_refused_login_still_shows_them(self, open_client):
        client = open_client(Panel("login", show()))
        response = client.post("/login", identifier="ann@example.org", password=PASSWORD)
        assert (response.status_code, "<h2>Door</h2>" in response.body.decode()) == (400, True)

    def test_another_page_cannot_be_named(self):
        with pytest.raises(ValueError, match="page must be one of account, login, signup, reauthenticate"):
            Panel("logout", show())

    def test_what_is_no_function_is_named(self, open_client, caplog):
        open_client(Panel("login", section()))
        assert "register_panels returned a Section, not functions" in caplog.text


class TestWhereThePersonWantedToGo:
    QUERY = "?next=%2Fme"

    def actions(self, part):
        forms = [*part["forms"], *(form for row in part.get("rows", ()) for form in row["forms"])]
        return {each["action"] for each in forms}

    @pytest.mark.parametrize("page", PAGES)
    def test_a_section_keeps_it(self, open_client, page):
        client = open_client(Panel(page, show()))
        if page == "reauthenticate":
            sign_up(client)
        (shown,) = client.page(f"/{page}{self.QUERY}")["sections"]
        assert self.actions(shown) == {f"/shop/door{self.QUERY}"}
        targets = [each["target"] for each in shown["links"]]
        assert targets == [f"/shop/door{self.QUERY}", "https://example.com/help", "/shop/door?tea=1"]

    def test_another_site_is_not_kept(self, open_client):
        client = open_client(Panel("login", show()))
        (shown,) = client.page("/login?next=https%3A%2F%2Fevil.example%2F")["sections"]
        assert self.actions(shown) == {"/shop/door"}

    def test_a_page_without_a_login_keeps_it(self, open_client):
        client = open_client()
        shown = client.page(f"/shop/door{self.QUERY}")
        assert self.actions(shown) | self.actions(shown["sections"][0]) == {f"/shop/door{self.QUERY}"}
        assert shown["links"][0]["target"] == f"/shop/door{self.QUERY}"
        html = client.post(f"/shop/door{self.QUERY}").body.decode()
        assert f'action="/account/shop/door{self.QUERY}"' in html

    def test_a_page_that_needs_a_login_keeps_it(self, open_client):
        """The refusal of a plugin may have led there."""
        shown = sign_up(open_client()).page(f"/shop/shelf{self.QUERY}")
        assert self.actions(shown) == {f"/shop/door{self.QUERY}"}


class TestPasskeys:
    def autocomplete(self, client, page="/login"):
        fields = client.page(page)["forms"][0]["fields"]
        return {each["name"]: each["autocomplete"] for each in fields if each["autocomplete"]}

    def test_the_username_of_the_login_offers_them(self, open_client):
        client = open_client(Panel("login", show(PASSKEY)))
        assert self.autocomplete(client) == {"identifier": "username webauthn"}
        assert 'autocomplete="username webauthn"' in client.get("/login").body.decode()

    @pytest.mark.parametrize("fields", [(), (Field("credential", type="public_key_get", value=OPTIONS),)])
    def test_other_sections_do_not(self, open_client, fields):
        client = open_client(Panel("login", show(*fields)))
        assert self.autocomplete(client) == {"identifier": "username"}


def test_a_reauthentication_by_a_plugin_needs_no_link(open_client):
    """Somebody without a password is sent a link to set one only if there is no other way."""
    for panels, links in ((), 1), ((Panel("reauthenticate", show(PASSKEY)),), 0):
        client = sign_up(open_client(*panels))
        with client.web.host.engine.begin() as connection:
            connection.execute(update(users).values(password=None))
        page = client.page("/reauthenticate")
        assert (page["forms"], len(page["links"])) == ([], links)
