"""Sections, pages and actions of plugins on an administrator's page of a user."""

from __future__ import annotations

import logging

import pytest
from authhost_hookspecs import (
    Actor,
    AdminAction,
    AdminPage,
    AdminPanel,
    ApiRoute,
    Field,
    Form,
    Link,
    Page,
    Refused,
    Row,
    Section,
    hookimpl,
)
from markupsafe import Markup

from authhost.testing.web_client import WebClient

from .office import ANN, SETTINGS, Office, section

TEXT = Field("text", "Text")
DAY = Field("day", "Day", "date", required=False)


class Notes:
    """Administrators write notes about users."""

    def __init__(self):
        self.notes = []
        self.fails = None

    def show(self, request, user):
        if self.fails is not None:
            raise self.fails
        if user.email != ANN:
            return None
        rows = tuple(Row(text, target="/all") for text in self.notes)
        form = Form("/write", "Write", (TEXT,))
        return Section("Notes", (f"About {user.email}.",), rows, (form,), (Link("All", "/all?text=a"),))

    def show_all(self, request, user, values):
        search = Form("/all", "Search", (TEXT,), search=True)
        return Page("notes", "Notes", (f"{user.email}: {values['text']}",), forms=(search,))

    def write(self, request, user, values):
        if values["text"] == "bad":
            raise Refused("bad_note", "Not this.", field="text")
        assert request.user.email != user.email
        self.notes.append(values["text"])
        request.answer.message("success", "Written.")

    @hookimpl
    def register_panels(self):
        pages = (AdminPage("/all", self.show_all, (Field("text", "Text", required=False), DAY)),)
        actions = (AdminAction("/write", self.write, "Write a note.", (TEXT,)),)
        return [AdminPanel(self.show, pages, actions)]


@pytest.fixture
def notes():
    return Notes()


@pytest.fixture
def office(make_host, notes):
    return Office(make_host({"notes": notes}, **SETTINGS))


@pytest.fixture
def ann(office):
    return office.sign_up(ANN)[0]


def test_the_section_is_about_the_user(office, ann, notes):
    notes.notes.append("First.")
    shown = section(office.page(ann), "Notes")
    assert shown["text"] == [f"About {ANN}."]
    (form,) = shown["forms"]
    assert form["action"] == f"/notes/write?id={ann.id}"
    assert [(each["name"], each["value"]) for each in form["fields"]] == [("id", str(ann.id)), ("text", "")]
    assert shown["links"][0]["target"] == f"/notes/all?id={ann.id}&text=a"
    assert shown["rows"][0]["target"] == f"/notes/all?id={ann.id}"
    assert "Notes" not in [each["title"] for each in office.page(office.admin)["sections"]]


def test_an_action_leads_back_to_the_user(office, ann, notes):
    response = office.browser.post(f"/notes/write?id={ann.id}", id=str(ann.id), text="Hello.")
    assert response.headers["Location"] == f"/account/admin/user?id={ann.id}"
    assert office.page(ann)["messages"][0]["text"] == "Written."
    assert notes.notes == ["Hello."]


def test_a_refusal_is_shown_at_its_field(office, ann, notes):
    status, page = office.refused("/notes/write", ann, text="bad")
    field = section(page, "Notes")["forms"][0]["fields"][-1]
    assert (status, page["id"], field["value"], field["error"]) == (403, "admin_user", "bad", "Not this.")
    assert notes.notes == []


def test_an_action_is_an_endpoint_too(office, ann, notes):
    operation = office.web.openapi["paths"]["/account/api/notes/write"]["post"]
    assert operation["summary"] == "Write a note."
    assert office.browser.api("/notes/write", {"id": str(ann.id), "text": "Hello."})[0] == 200
    assert office.browser.api("/notes/write", {"id": "x", "text": "Hello."})[0] == 404
    assert office.browser.api("/notes/write", {"id": str(ann.id), "more": "x"})[0] == 400
    assert notes.notes == ["Hello."]


def test_a_page_gets_the_values_of_its_query(office, ann):
    page = office.browser.page(f"/notes/all?id={ann.id}&text=x")
    assert (page["id"], page["text"]) == ("admin_notes", [f"{ANN}: x"])
    assert page["forms"][0]["fields"][0]["value"] == str(ann.id)
    assert page["links"][-1] == {"label": "Back to the account", "target": f"/admin/user?id={ann.id}"}
    html = office.browser.get(f"/notes/all?id={ann.id}&text=x").body.decode()
    assert f'<form method="get" action="/account/notes/all?id={ann.id}"' in html
    assert office.browser.get(f"/notes/all?id={ann.id}&day=x").status_code == 400
    assert office.browser.get("/notes/all?id=x").status_code == 404
    assert office.browser.post(f"/notes/all?id={ann.id}").status_code == 405


def test_nobody_else_gets_there(office, ann, notes):
    client = office.sign_up("bob@example.org")[1]
    for path in ("/notes/all", f"/notes/all?id={ann.id}"):
        assert client.get(path).body == client.get("/nothing").body
    assert client.post("/notes/write", id=str(ann.id), text="x").body == client.post("/nothing").body
    assert client.api("/notes/write", {"id": 1}) == client.api("/nothing")
    visitor = WebClient(office.web)
    assert visitor.get("/notes/all").headers["Location"].startswith("/account/login")
    assert visitor.api("/notes/write", {"id": str(ann.id), "text": "x"})[0] == 401
    assert notes.notes == []


def test_a_blocked_plugin_adds_nothing(office, ann, notes):
    operator = Actor("operator", name="root")
    office.host.plugins.block("notes", reason="it hangs", actor=operator)
    assert "Notes" not in [each["title"] for each in office.page(ann)["sections"]]
    assert office.browser.get(f"/notes/all?id={ann.id}").status_code == 404
    assert office.browser.post("/notes/write", id=str(ann.id), text="x").status_code == 404
    assert office.browser.api("/notes/write", {"id": str(ann.id), "text": "x"})[0] == 404
    office.host.plugins.unblock("notes", actor=operator)
    assert office.browser.get(f"/notes/all?id={ann.id}").status_code == 200
    assert notes.notes == []


@pytest.mark.parametrize("failure", [RuntimeError(), Refused("no", "No.")])
def test_a_section_that_fails_is_left_out(office, ann, notes, failure):
    notes.fails = failure
    assert office.browser.get(f"/admin/user?id={ann.id}").status_code == 200
    assert "Notes" not in [each["title"] for each in office.page(ann)["sections"]]


def test_a_required_plugin_that_fails_is_an_error(make_host, notes, caplog):
    office = Office(make_host({"notes": notes}, required_plugins=["notes"], **SETTINGS))
    notes.fails = RuntimeError()
    with caplog.at_level(logging.CRITICAL):
        assert office.browser.get(f"/admin/user?id={office.admin.id}").status_code == 500


@pytest.mark.parametrize(
    "made",
    [
        Section("Notes", (Markup("<b>x</b>"),)),
        Section("Notes", forms=(Form("/../admin/delete", "x"),)),
        Section("Notes", rows=(Row("x", target="//evil.example"),)),
        "no section",
    ],
)
def test_a_section_cannot_leave_its_place(make_host, made):
    class Bad:
        @hookimpl
        def register_panels(self):
            return [AdminPanel(lambda request, user: made)]

    office = Office(make_host({"bad": Bad()}, **SETTINGS))
    body = office.browser.get(f"/admin/user?id={office.admin.id}").body.decode()
    assert "<b>x</b>" not in body
    assert "/../" not in body
    assert "evil.example" not in body


def test_paths_that_are_taken_are_not_served(make_host, caplog):
    class Twice(Notes):
        @hookimpl
        def register_routes(self):
            return [ApiRoute("POST", "/write", lambda request, values: {}, "Write.")]

    caplog.set_level(logging.ERROR)
    office = Office(make_host({"twice": Twice()}, **SETTINGS))
    assert "an AdminPanel of plugin twice is not served" in caplog.text
    assert office.browser.get(f"/twice/all?id={office.admin.id}").status_code == 404


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (AdminPage, ("all", print)),
        (AdminPage, ("/All", print)),
        (AdminAction, ("/x/../y", print, "x")),
        (AdminAction, ("/x", print, "x", (Field("id", "Id"),))),
    ],
)
def test_wrong_values_are_refused_where_they_are_made(kind, values):
    with pytest.raises(ValueError, match=r"path must begin|the field id"):
        kind(*values)
