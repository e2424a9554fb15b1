"""What an administrator sees of the trail: the history of a user."""

from __future__ import annotations

import pytest
from authhost_audit import administration
from authhost_audit.plugin import AuditPlugin
from web.office import ADMIN, ANN, OPERATOR, SETTINGS, Office, section

from authhost.testing import PASSWORD
from authhost.testing.web_client import WebClient

PATH = "/audit/history"


@pytest.fixture
def office(make_host):
    return Office(make_host({"audit": AuditPlugin()}, **SETTINGS))


@pytest.fixture
def ann(office):
    return office.sign_up(ANN)[0]


def history(office, user, query=""):
    return office.browser.page(f"{PATH}?id={user.id}{query}")


def events(page):
    return [row["title"] for row in section(page, "Records")["rows"]]


def test_the_section_shows_the_newest_records_with_their_actor(office, ann):
    office.do("deactivate", ann, reason="Spam.")
    shown = section(office.page(ann), "History")
    row = next(each for each in shown["rows"] if each["title"] == "user_deactivated")
    assert row["labels"] == ["Success"]
    assert f"By: {office.admin.id}" in row["details"]
    signup = next(each for each in shown["rows"] if each["title"] == "user_signed_up")
    assert not any(each.startswith("By: ") for each in signup["details"])
    confirmed = next(each for each in shown["rows"] if each["title"] == "email_confirmed")
    assert "By: operator test" in confirmed["details"]
    targets = [each["target"] for each in shown["links"]]
    assert targets == [f"{PATH}?id={ann.id}", f"{PATH}?id={ann.id}&outcome=refused"]
    assert office.browser.page(targets[1])["id"] == "admin_audit_history"


def test_what_an_administrator_has_done_to_others_is_shown_too(office, ann):
    office.do("end-sessions", ann)
    rows = section(office.page(office.admin), "History")["rows"]
    row = next(each for each in rows if each["title"] == "session_ended")
    assert f"Account: {ann.id}" in row["details"]


def test_filters(office, ann):
    WebClient(office.web).post("/login", identifier=ANN, password="wrong password")
    WebClient(office.web).post("/login", identifier=ANN, password=PASSWORD)
    assert events(history(office, ann, "&outcome=refused")) == ["flow_refused"]
    (row,) = section(history(office, ann, "&outcome=refused"), "Records")["rows"]
    assert (row["labels"], "Reason: invalid_credentials" in row["details"]) == (["Refused"], True)
    assert set(events(history(office, ann, "&event=user_logged_in"))) == {"user_logged_in"}
    assert events(history(office, ann, "&event=user_deleted")) == []
    page = history(office, ann, "&event=user_logged_in&outcome=success")
    values = {
        each["name"]: each["value"] for each in section(page, "Search")["forms"][0]["fields"] if each["value"]
    }
    assert values == {"id": str(ann.id), "event": "user_logged_in", "outcome": "success"}
    assert page["links"][-1]["target"] == f"/admin/user?id={ann.id}"


def test_pages(office, ann, monkeypatch):
    monkeypatch.setattr(administration, "LIMIT", 2)
    for _ in range(4):
        WebClient(office.web).post("/login", identifier=ANN, password=PASSWORD)
    found, query = [], "&event=user_logged_in"
    page = history(office, ann, query)
    while links := section(page, "Records")["links"]:
        found.append(len(events(page)))
        page = office.browser.page(links[0]["target"])
    assert [*found, len(events(page))] == [2, 2, 1]


@pytest.mark.parametrize("query", ["&before=x", "&outcome=x", "&event=<b>", "&event=%00"])
def test_hostile_queries_are_refused(office, ann, query):
    assert office.browser.get(f"{PATH}?id={ann.id}{query}").status_code in (400, 403)


def test_others_do_not_see_it(office, ann):
    assert WebClient(office.web).get(f"{PATH}?id={ann.id}").headers["Location"].startswith("/account/login")
    client = WebClient(office.web)
    client.post("/login", identifier=ANN, password=PASSWORD)
    assert client.get(f"{PATH}?id={ann.id}").body == client.get("/nothing").body
    assert office.browser.get(f"{PATH}?id=x").status_code == 404
    assert office.browser.get(f"{PATH}?id={office.admin.id}").status_code == 200


def test_no_record(make_host):
    settings = {"plugin_settings": {"audit": {"recording": False}}}
    office = Office(make_host({"audit": AuditPlugin()}, **settings, **SETTINGS))
    user = office.host.users.create(ADMIN.replace("admin", "robot"), actor=OPERATOR)
    assert section(office.page(user), "History")["text"] == ["There is no record."]
