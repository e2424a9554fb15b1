"""What administrators do on the page of an account: each change names them as its actor."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from authhost_hookspecs import Actor, Refused, hookimpl
from sqlalchemy import Column, ForeignKey, MetaData, Table, Uuid, insert

from authhost.store.tables import social_accounts, users
from authhost.testing import PASSWORD
from authhost.testing.web_client import WebClient, codes

from .office import ADMIN, ANN, OPERATOR, SETTINGS, Office, section
from .test_api import Checked

WORK = "ann@work.example"


class Actors:
    """Records who has made each change, and refuses some."""

    def __init__(self):
        self.seen = []
        self.refuses = None

    @hookimpl
    def before_change(self, request, user, change):
        if change.administrative and request.actor != OPERATOR:
            self.seen.append((change.kind, request.actor))
        if change.kind == self.refuses:
            raise Refused("managed", "Not here.")


@pytest.fixture
def actors():
    return Actors()


@pytest.fixture
def office(make_host, actors):
    return Office(make_host({"actors": actors}, **SETTINGS))


@pytest.fixture
def ann(office):
    return office.sign_up(ANN)[0]


def now(office, user):
    return office.host.users.read(user.id)


def forms(page):
    """Return the actions of all forms of a page."""
    parts = [*page["sections"], *(row for each in page["sections"] for row in each["rows"])]
    return {form["action"].partition("?")[0] for part in parts for form in part["forms"]}


class TestCreation:
    def test_an_account_with_an_invitation(self, office, recorder):
        response = office.browser.post("/admin/create", email=ANN, username="ann", invite="on")
        user = office.host.users.get(ANN)
        assert response.headers["Location"] == f"/account/admin/user?id={user.id}"
        assert office.browser.messages(response.headers["Location"]) == ["account_created"]
        assert (user.username, user.email_verified, user.has_usable_password) == ("ann", False, False)
        visitor = WebClient(office.web)
        visitor.get(f"/reset-password/{recorder.key()}")
        link = {each["name"]: each["value"] for each in visitor.page("/reset-password")["forms"][0]["fields"]}
        visitor.post("/reset-password", link=link["link"], password=PASSWORD)
        assert office.host.users.get(ANN).email_verified

    def test_a_verified_address(self, office):
        office.browser.post("/admin/create", email=ANN, verified="on")
        assert office.host.users.get(ANN).email_verified

    @pytest.mark.parametrize(
        ("values", "code", "field"),
        [
            ({"email": ADMIN}, "email_taken", "email"),
            ({"email": "nonsense"}, "invalid_email", "email"),
            ({}, "invalid_input", "email"),
            ({"username": "<x>"}, "invalid_input", "username"),
        ],
    )
    def test_refusals_are_shown_at_their_field(self, office, values, code, field):
        response = office.browser.post("/admin/create", {"Accept": "application/json"}, **values)
        (form,) = json.loads(response.body)["forms"]
        wrong = {each["name"]: each["error"] for each in form["fields"] if each["error"]}
        assert (response.status_code >= 400, set(wrong)) == (True, {field})
        status, problem = office.browser.api("/admin/create", values)
        assert (status, problem["code"]) == (response.status_code, code)


class TestAddresses:
    def test_add_verify_make_primary_remove(self, office, ann, actors):
        assert office.do("add-email", ann, email=WORK) == ["email_added"]
        assert office.do("verify-email", ann, email=WORK) == ["email_confirmed"]
        assert office.do("make-primary", ann, email=WORK) == ["primary_changed"]
        assert office.do("remove-email", ann, email=ANN) == ["email_removed"]
        (address,) = now(office, ann).email_addresses
        assert (address.email, address.verified, address.primary) == (WORK, True, True)
        kinds = ["add_email", "verify_email", "make_primary", "remove_email"]
        assert actors.seen == [(kind, Actor("user", office.admin.id)) for kind in kinds]

    def test_add_a_verified_address(self, office, ann):
        office.do("add-email", ann, email=WORK, verified="on")
        assert [each.verified for each in now(office, ann).email_addresses] == [True, True]

    def test_refusals(self, office, ann):
        status, page = office.refused("/admin/user/add-email", ann, email=ADMIN, verified="on")
        (add,) = section(page, "E-mail addresses")["forms"]
        field = next(each for each in add["fields"] if each["name"] == "email")
        assert (status, field["error"]) == (409, "This address is in use by another account.")
        assert field["value"] == ADMIN
        for name, email, code in (
            ("remove-email", ANN, "primary_email_required"),
            ("verify-email", WORK, "email_not_found"),
            ("make-primary", "x", "invalid_email"),
        ):
            status, page = office.refused(f"/admin/user/{name}", ann, email=email)
            assert (page["id"], page["messages"][0]["code"]) == ("admin_user", code)


class TestLogin:
    def test_a_link_to_reset_the_password(self, office, ann, recorder):
        assert office.do("send-reset", ann) == ["link_sent"]
        assert recorder.messages[-1].kind == "password_reset"

    def test_an_invitation(self, office, recorder):
        user = office.host.users.create(ANN, actor=OPERATOR)
        assert "/admin/user/invite" in forms(office.page(user))
        assert office.do("invite", user) == ["link_sent"]
        assert recorder.messages[-1].kind == "invitation"

    def test_require_a_new_password(self, office, ann, actors):
        assert office.do("require-reset", ann) == ["reset_required"]
        assert now(office, ann).sessions == ()
        password = section(office.page(ann), "Password")
        assert password["text"] == ["A new password is required."]
        assert "/admin/user/require-reset" not in forms(office.page(ann))
        login = WebClient(office.web).post("/login", identifier=ANN, password=PASSWORD)
        assert codes(login) == ["password_reset_required"]
        assert actors.seen == [("require_reset", Actor("user", office.admin.id))]

    def test_sessions(self, office, ann):
        WebClient(office.web).post("/login", identifier=ANN, password=PASSWORD)
        found = section(office.page(ann), "Sessions")
        assert len(found["rows"]) == 2
        item = found["rows"][0]["forms"][0]["fields"][-1]
        assert office.do("end-session", ann, item=item["value"]) == ["session_ended"]
        assert len(now(office, ann).sessions) == 1
        assert office.do("end-sessions", ann) == ["sessions_ended"]
        assert section(office.page(ann), "Sessions")["text"] == ["Nobody is logged in."]
        status, page = office.refused("/admin/user/end-session", ann, item=item["value"])
        assert (status, page["messages"][0]["code"]) == (404, "session_not_found")
        status, page = office.refused("/admin/user/end-session", ann, item="x")
        assert (status, page["messages"][0]["code"]) == (400, "invalid_input")

    def test_many_sessions(self, office, ann, monkeypatch):
        monkeypatch.setattr("authhost.web.admin.user_page.MOST_SESSIONS", 2)
        for _ in range(3):
            WebClient(office.web).post("/login", identifier=ANN, password=PASSWORD)
        found = section(office.page(ann), "Sessions")
        assert (len(found["rows"]), found["text"]) == (2, ["The newest 2 of 4 sessions:"])

    def test_disconnect(self, office, ann):
        with office.host.request() as request:
            now = request.now
            values = {
                "id": request.new_id(),
                "user_id": ann.id,
                "provider": "corp",
                "issuer": "corp",
                "uid": "17",
            }
            times = {"date_joined": now, "last_login": now}
            request.db.execute(insert(social_accounts).values(**values, **times, extra_data={}))
        (row,) = section(office.page(ann), "Connections")["rows"]
        assert (row["title"], row["details"][0]) == ("corp", "17")
        item = row["forms"][0]["fields"][-1]["value"]
        assert office.do("disconnect", ann, item=item) == ["disconnected"]
        assert "Connections" not in [each["title"] for each in office.page(ann)["sections"]]
        status, page = office.refused("/admin/user/disconnect", ann, item=item)
        assert (status, page["messages"][0]["code"]) == (404, "social_account_not_found")


class TestDeactivation:
    def test_for_good(self, office, ann, actors):
        assert office.do("deactivate", ann, reason="Sends spam.") == ["deactivated"]
        user = now(office, ann).user
        assert (user.is_active, user.deactivated_until, user.deactivation_reason) == (
            False,
            None,
            "Sends spam.",
        )
        shown = section(office.page(ann), "Reactivate")
        assert shown["text"] == ["The account is deactivated.", "Reason: Sends spam."]
        assert codes(WebClient(office.web).post("/login", identifier=ANN, password=PASSWORD)) == [
            "invalid_credentials"
        ]
        assert office.do("reactivate", ann) == ["reactivated"]
        assert now(office, ann).user.is_active
        assert [kind for kind, _ in actors.seen] == ["deactivate", "reactivate"]

    def test_until_a_day(self, office, ann):
        day = (office.host.clock() + timedelta(days=7)).date()
        office.do("deactivate", ann, until=day.isoformat())
        until = now(office, ann).user.deactivated_until
        assert until == datetime(day.year, day.month, day.day, tzinfo=UTC)

    @pytest.mark.parametrize("until", ["2000-01-01", "2030-02-30", "tomorrow", "20300101", "2030-W01-1"])
    def test_a_day_that_is_none_or_over(self, office, ann, until):
        status, page = office.refused("/admin/user/deactivate", ann, until=until, reason="Spam.")
        fields = {each["name"]: each for each in section(page, "Deactivate")["forms"][0]["fields"]}
        assert (status, fields["until"]["error"]) == (400, "This must be a day in the future.")
        assert now(office, ann).user.is_active

    def test_a_plugin_refuses(self, office, ann, actors):
        actors.refuses = "deactivate"
        status, page = office.refused("/admin/user/deactivate", ann, reason="Spam.")
        assert (status, page["messages"][0]["text"]) == (403, "Not here.")
        fields = {each["name"]: each for each in section(page, "Deactivate")["forms"][0]["fields"]}
        assert fields["reason"]["value"] == "Spam."
        assert len(now(office, ann).sessions) == 1

    def test_not_the_own_account(self, office):
        status, page = office.refused("/admin/user/deactivate", office.admin)
        assert (status, page["messages"][0]["code"]) == (409, "own_account")
        assert now(office, office.admin).user.is_active


class TestExport:
    def test_it_is_a_file(self, office, ann):
        response = office.browser.post(f"/admin/user/export?id={ann.id}", id=str(ann.id))
        assert response.headers["Content-Disposition"] == f'attachment; filename="{ann.id}.json"'
        assert response.headers["Cache-Control"] == "no-store"
        assert response.mimetype == "application/json"
        assert json.loads(response.body) == json.loads(
            json.dumps(office.host.users.export(ann.id, actor=OPERATOR))
        )

    def test_a_plugin_that_fails(self, make_host):
        class Fails:
            @hookimpl
            def export_user(self, request, user):
                raise RuntimeError

        office = Office(make_host({"fails": Fails()}, **SETTINGS))
        ann, _ = office.sign_up(ANN)
        status, page = office.refused("/admin/user/export", ann)
        assert (status, page["messages"][0]["code"]) == (500, "export_failed")


class TestDeletion:
    def test_the_name_confirms_it(self, office, ann, actors):
        links = section(office.page(ann), "Data")["links"]
        page = office.browser.page(links[0]["target"])
        assert (page["id"], page["forms"][0]["danger"]) == ("admin_delete", True)
        form = page["forms"][0]
        response = office.browser.post(form["action"], id=str(ann.id), confirm=" Ann@Example.ORG ")
        assert response.headers["Location"] == "/account/admin"
        assert office.browser.messages("/admin") == ["account_deleted"]
        assert now(office, ann) is None
        assert actors.seen == [("delete", Actor("user", office.admin.id))]
        assert office.browser.get(f"/admin/user?id={ann.id}").status_code == 404

    @pytest.mark.parametrize("confirm", ["", "x", ADMIN, "ann"])
    def test_another_name_does_not(self, office, ann, confirm):
        status, page = office.refused("/admin/delete", ann, confirm=confirm)
        assert (status, page["id"]) == (400, "admin_delete")
        assert page["forms"][0]["fields"][-1]["error"]
        assert now(office, ann) is not None

    def test_not_the_own_account(self, office):
        status, page = office.refused("/admin/delete", office.admin, confirm=ADMIN)
        assert (status, page["messages"][0]["code"]) == (409, "own_account")

    def test_plugins_that_fail_are_named(self, make_host):
        class Fails:
            @hookimpl
            def user_deleted(self, request, user):
                raise RuntimeError

        office = Office(make_host({"fails": Fails()}, **SETTINGS))
        ann, bob = (office.sign_up(email)[0] for email in (ANN, "bob@example.org"))
        office.browser.post(f"/admin/delete?id={ann.id}", id=str(ann.id), confirm=ANN)
        (message,) = office.browser.page("/admin")["messages"]
        assert (message["level"], message["text"].endswith(": fails")) == ("warning", True)
        status, body = office.browser.api("/admin/delete", {"id": str(bob.id), "confirm": str(bob.id)})
        assert (status, body["failed"]) == (200, ["fails"])
        assert now(office, ann) is None

    def test_rows_of_the_application(self, office, ann):
        table = Table("test_order", MetaData(), Column("user_id", Uuid(), ForeignKey(users.c.id)))
        table.create(office.host.engine)
        try:
            with office.host.engine.begin() as connection:
                connection.execute(insert(table).values(user_id=ann.id))
            status, page = office.refused("/admin/delete", ann, confirm=ANN)
            assert (status, page["messages"][0]["code"]) == (409, "conflict")
            assert page["messages"][0]["text"].startswith("A table of the application")
        finally:
            table.drop(office.host.engine)
        assert len(now(office, ann).sessions) == 1


@pytest.mark.parametrize("identifier", ["", "x", "01a21eb4-e08e-75d5-9d24-12fc79075f95", "%00"])
def test_an_account_that_does_not_exist(office, identifier):
    for path in ("/admin/user", "/admin/delete"):
        assert office.browser.get(f"{path}?id={identifier}").status_code in (400, 404)
    for path, declared in office.web.context.fields.items():
        if path.startswith("/admin/user/"):
            values = {each.name: "x@example.org" for each in declared} | {"until": "", "id": identifier}
            assert office.browser.post(path, **values).status_code in (400, 404), path


def test_json(office, ann):
    client = Checked(office.web)
    client.cookies = office.browser.cookies
    path = "/admin/user"
    status, body = client.api(f"{path}?id={ann.id}", method="GET")
    assert (status, body["user"]["email"], len(body["sessions"])) == (200, ANN, 1)
    assert client.api(f"{path}?id=x", method="GET")[0] == 404
    about = {"id": str(ann.id)}
    assert client.api(f"{path}/add-email", {**about, "email": WORK, "verified": True})[1]["verified"] is True
    assert client.api(f"{path}/end-sessions", about)[1]["ended"] == 1
    assert client.api(f"{path}/deactivate", {**about, "reason": "Spam."})[0] == 200
    assert client.api(f"{path}?id={ann.id}", method="GET")[1]["user"]["deactivation_reason"] == "Spam."
    assert client.api(f"{path}/reactivate", about)[0] == 200
    assert set(client.api(f"{path}/export", about)[1]) == {"account", "plugins"}
    assert client.api("/admin?query=ann", method="GET")[1]["users"][0]["id"] == str(ann.id)
    assert client.api("/admin/delete", {**about, "confirm": "x"})[1]["field"] == "confirm"
    assert client.api("/admin/delete", {**about, "confirm": ANN})[0] == 200
    assert client.api("/admin/create", {"email": ANN})[1]["email"] == ANN
