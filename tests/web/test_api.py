"""The JSON API: each response matches the OpenAPI document, and each refusal says what to do."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

from authhost.testing import OTHER_PASSWORD, PASSWORD
from authhost.testing.web_client import WebClient as Client

jsonschema = pytest.importorskip("jsonschema", reason="SKIPPED: run `pip install jsonschema`")

ANN, BOB = "ann@example.org", "bob@example.org"
SIGNUP = {"email": ANN, "password": PASSWORD}
LOGIN = {"identifier": ANN, "password": PASSWORD}
APP = {"Authhost-Client": "app"}


class Checked(Client):
    """A client that compares each response of the API with the OpenAPI document."""

    def send(self, method, path, **values):
        response = super().send(method, path, **values)
        operations = self.web.openapi["paths"].get(path.partition("?")[0])
        operation = (operations or {}).get(method.lower())
        if operation is not None:
            documented = operation["responses"]
            assert str(response.status_code) in documented, (path, response.status_code, response.body)
            ((kind, content),) = documented[str(response.status_code)]["content"].items()
            assert response.mimetype == kind
            schema = {**content["schema"], "components": self.web.openapi["components"]}
            body = json.loads(response.body)
            jsonschema.validate(body, schema)
            if response.status_code >= 400:
                listed = documented[str(response.status_code)]["description"]
                assert f"`{body['code']}`" in listed, (path, body["code"], listed)
        return response


@pytest.fixture
def client(web):
    return Checked(web)


@pytest.fixture
def ann(client):
    assert client.api("/signup", SIGNUP)[0] == 200
    return client


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def steps(problem):
    return [each["step"] for each in problem["next"]]


class TestLogin:
    def test_signup_logs_in(self, client):
        status, body = client.api("/signup", SIGNUP)
        assert (status, body["authenticated"], body["user"]["email"], body["next"]) == (200, True, ANN, [])
        assert "session_token" not in body
        assert client.api("/session", method="GET")[1]["user"]["id"] == body["user"]["id"]

    def test_without_a_login_the_steps_are_listed(self, client):
        status, problem = client.api("/session", method="GET")
        assert (status, problem["code"], steps(problem)) == (401, "login_required", ["login", "signup"])
        assert client.send("GET", "/account/api/session").headers["WWW-Authenticate"] == "Bearer"

    def test_a_closed_signup_is_no_step(self, open_site):
        _, problem = Checked(open_site(signup_open=False)).api("/session", method="GET")
        assert steps(problem) == ["login"]

    def test_a_login_that_waits(self, open_site, mailbox):
        site = open_site(email_verification="mandatory", login_on_email_confirmation=True)
        client = Checked(site)
        status, body = client.api("/signup", SIGNUP)
        assert (status, body["authenticated"]) == (202, False)
        assert [each["step"] for each in body["next"]] == ["email_verification", "login", "signup"]
        assert client.api("/confirm-email/send")[1] == {"sent": True}
        assert client.api("/confirm-email/change", {"email": BOB})[0] == 202
        status, body = client.api("/confirm-email", {"key": mailbox.key()})
        assert (status, body["authenticated"], body["email"]["email"]) == (200, True, BOB)

    def test_wrong_credentials(self, ann):
        status, problem = ann.api("/login", {**LOGIN, "password": OTHER_PASSWORD})
        assert (status, problem["code"]) == (401, "invalid_credentials")
        assert problem["type"] == "/account/api/problems#invalid_credentials"

    def test_a_recent_login(self, ann, clock):
        clock.forward(seconds=600)
        status, problem = ann.api("/emails/add", {"email": BOB})
        assert (status, problem["code"], steps(problem)) == (
            401,
            "reauthentication_required",
            ["reauthenticate"],
        )
        assert ann.api("/reauthenticate", {"password": PASSWORD})[0] == 200
        assert ann.api("/emails/add", {"email": BOB})[0] == 200

    def test_logout(self, ann):
        assert ann.api("/logout") == (200, {})
        assert ann.api("/session", method="GET")[0] == 401


class TestBearer:
    def test_a_program_gets_its_token_in_the_body(self, client):
        status, body = client.api("/signup", SIGNUP, headers=APP)
        assert (status, client.cookies) == (200, {})
        headers = bearer(body["session_token"])
        assert client.api("/session", method="GET", headers=headers)[1]["user"]["email"] == ANN
        change = {"current_password": PASSWORD, "new_password": OTHER_PASSWORD}
        status, body = client.api("/password/change", change, headers=headers)
        assert body["session_token"] != headers["Authorization"]
        assert client.api("/session", method="GET", headers=headers)[0] == 401
        assert client.api("/session", method="GET", headers=bearer(body["session_token"]))[0] == 200

    def test_a_program_that_waits(self, open_site, mailbox):
        site = open_site(email_verification="mandatory", login_on_email_confirmation=True)
        client = Checked(site)
        status, body = client.api("/signup", SIGNUP, headers=APP)
        assert (status, client.cookies) == (202, {})
        headers = bearer(body["pending_token"])
        status, problem = client.api("/session", method="GET", headers=headers)
        assert (status, steps(problem)[0]) == (401, "email_verification")
        status, body = client.api("/confirm-email", {"key": mailbox.key()}, headers=headers)
        assert client.api("/session", method="GET", headers=bearer(body["session_token"]))[0] == 200

    def test_both_credentials_are_refused(self, ann, web):
        _, body = Checked(web).api("/login", LOGIN, headers=APP)
        status, problem = ann.api("/session", method="GET", headers=bearer(body["session_token"]))
        assert (status, problem["code"]) == (400, "two_credentials")

    def test_a_bearer_ignores_all_other_cookies(self, ann, web):
        _, body = Checked(web).api("/login", LOGIN, headers=APP)
        del ann.cookies["__Host-authhost-session"]
        assert ann.api("/session", method="GET", headers=bearer(body["session_token"]))[0] == 200

    def test_a_program_keeps_its_device_token(self, client):
        _, body = client.api("/signup", SIGNUP, headers=APP)
        device = {**APP, "Authhost-Device": body["device_token"]}
        status, again = client.api("/login", LOGIN, headers=device)
        assert (status, "device_token" in again) == (200, False)
        with client.web.host.request(device_token=body["device_token"]) as request:
            user = request.account(UUID(body["user"]["id"])).user
            assert request.known_device(user) is not None

    def test_a_program_has_no_cookies_for_keys(self, client, mailbox):
        client.api("/signup", SIGNUP)
        client.get(f"/confirm-email/{mailbox.key()}")
        status, problem = client.api("/confirm-email", headers=APP)
        assert (status, problem["code"]) == (400, "invalid_input")
        assert "__Host-authhost-confirm" in client.cookies

    @pytest.mark.parametrize("token", ["", "x", "x" * 5000, "é", "a b"])
    def test_a_wrong_token(self, client, token):
        assert client.api("/session", method="GET", headers=bearer(token))[0] == 401


class TestFlows:
    def test_passwords(self, ann, web, mailbox):
        assert ann.api("/password/set", {"password": OTHER_PASSWORD})[1]["code"] == "password_already_set"
        other = Checked(web)
        assert other.api("/forgot-password", {"email": ANN}) == (200, {})
        assert other.api("/forgot-password", {"email": "nobody@example.org"}) == (200, {})
        key = next(each.key for each in reversed(mailbox.messages) if each.kind == "password_reset")
        status, body = other.api("/reset-password", {"key": key, "password": OTHER_PASSWORD})
        assert (status, body["authenticated"]) == (200, False)
        status, problem = other.api("/reset-password", {"key": key, "password": OTHER_PASSWORD})
        assert (status, problem["code"]) == (400, "invalid_key")
        assert ann.api("/session", method="GET")[0] == 401

    def test_addresses(self, ann, mailbox):
        assert ann.api("/emails/add", {"email": BOB}) == (
            200,
            {"email": BOB, "verified": False, "primary": False},
        )
        assert ann.api("/emails/add", {"email": BOB})[1]["code"] == "email_already_added"
        assert ann.api("/confirm-email", {"key": mailbox.key()})[0] == 200
        assert ann.api("/emails/primary", {"email": BOB})[1]["primary"] is True
        assert ann.api("/emails/remove", {"email": BOB})[1]["code"] == "primary_email_required"
        assert ann.api("/emails/remove", {"email": ANN}) == (200, {})
        emails = ann.api("/emails", method="GET")[1]["emails"]
        assert emails == [{"email": BOB, "verified": True, "primary": True}]

    def test_sessions(self, ann, web):
        Checked(web).api("/login", LOGIN)
        sessions = ann.api("/sessions", method="GET")[1]["sessions"]
        assert sorted(each["current"] for each in sessions) == [False, True]
        assert ann.api("/sessions/end-others") == (200, {"ended": 1})
        (session,) = ann.api("/sessions", method="GET")[1]["sessions"]
        assert ann.api("/sessions/end", {"id": session["id"]})[0] == 200
        assert ann.api("/sessions", method="GET")[0] == 401

    def test_closing_the_account(self, ann):
        assert ann.api("/close") == (200, {})
        assert ann.api("/login", LOGIN)[1]["code"] == "invalid_credentials"

    def test_the_site(self, client):
        status, body = client.api("/site", method="GET")
        assert (status, body["password_policy"]) == (200, {"min_length": 15, "max_length": 1024})

    def test_messages_of_plugins(self, open_site):
        from authhost_hookspecs import hookimpl

        class Greeter:
            @hookimpl
            def user_signed_up(self, request, user):
                request.answer.message("success", "Welcome!")

        body = Client(open_site({"greeter": Greeter()})).api("/signup", SIGNUP)[1]
        assert body["messages"] == [{"level": "success", "text": "Welcome!"}]


class TestInput:
    @pytest.mark.parametrize(
        ("body", "field"),
        [
            (b"", "identifier"),
            (b"{}", "identifier"),
            (b'{"identifier": "x"}', "password"),
            (b'{"identifier": null, "password": "x"}', "identifier"),
            (b'{"identifier": 1, "password": "x"}', "identifier"),
            (b'{"identifier": ["x"], "password": "x"}', "identifier"),
            (b'{"identifier": "x", "password": "x", "other": 1}', "other"),
            (b'{"identifier": "' + b"x" * 300 + b'", "password": "x"}', "identifier"),
            (b'{"identifier": "a\\u0000b", "password": "x"}', "identifier"),
            (b'{"identifier": "x", "password": "\\ud800"}', "password"),
            (b"[]", None),
            (b"null", None),
            (b"{", None),
            (b"\xff", None),
            (b"[" * 10_000, None),
            (b'{"identifier": NaN}', "identifier"),
        ],
        ids=lambda each: repr(each)[:40],
    )
    def test_wrong_bodies(self, client, body, field):
        headers = {"Content-Type": "application/json"}
        response = client.send("POST", "/account/api/login", body=body, headers=headers)
        problem = json.loads(response.body)
        assert (response.status_code, problem["code"]) == (400, "invalid_input")
        assert problem.get("field") == field

    @pytest.mark.parametrize(
        "kind",
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonx"],
    )
    def test_other_content(self, client, kind):
        headers = {"Content-Type": kind}
        response = client.send("POST", "/account/api/login", body=b"{}", headers=headers)
        assert (response.status_code, json.loads(response.body)["code"]) == (415, "unsupported_media_type")

    def test_methods(self, client):
        response = client.send("GET", "/account/api/login")
        assert (response.status_code, response.headers["Allow"]) == (405, "POST")
        for method in ("PUT", "PATCH", "DELETE", "TRACE"):
            assert client.send(method, "/account/api/emails").status_code == 405
        assert client.send("HEAD", "/account/api/site").body == b""

    def test_each_endpoint_refuses_nonsense(self, ann):
        for path, fields in ann.web.context.fields.items():
            if path in ("/logout", "/close", "/sessions/end-others"):
                continue
            for value in ("", "x", "\0", "x" * 20_000, 5, None, {}, []):
                body = {each.name: value for each in fields}
                status, answer = ann.api(path, body)
                assert status in range(200, 500), (path, value, answer)
        assert ann.api("/session", method="GET")[0] == 200


def test_each_code_is_documented_where_it_is_used(web):
    document = json.loads(json.dumps(web.openapi))
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["summary"].endswith("."), path
            assert operation["operationId"]
    names = [each["operationId"] for every in document["paths"].values() for each in every.values()]
    assert len(names) == len(set(names))


def test_the_document_is_valid(web):
    validator = pytest.importorskip("openapi_spec_validator", reason="SKIPPED: openapi-spec-validator")
    validator.validate(json.loads(json.dumps(web.openapi)))


def test_problems_are_explained(client):
    found = json.loads(client.send("GET", "/account/api/problems").body)
    assert found["rate_limited"]["status"] == 429
    assert found["rate_limited"]["title"] == "Too many attempts. Please wait a while."
