"""Hostile and unusual requests to the JSON API: refused by name, and never a server error."""

from __future__ import annotations

import asyncio
import json
from io import BytesIO

import pytest
from authhost_hookspecs import Actor, Refused, hookimpl

from authhost.testing import PASSWORD
from authhost.web.asgi import ASGIApp
from authhost.web.http import MAX_BODY
from authhost.web.wsgi import WSGIApp

from .test_api import ANN, LOGIN, SIGNUP, Checked, steps

JSON = {"Content-Type": "application/json"}
WITHOUT_LOGIN = {
    "/signup",
    "/login",
    "/login/cancel",
    "/logout",
    "/impersonation/begin",
    "/impersonation/stop",
    "/confirm-email",
    "/confirm-email/send",
    "/confirm-email/change",
    "/forgot-password",
    "/reset-password",
    "/social/begin",
    "/social/complete",
    "/social/signup",
}


@pytest.fixture
def client(open_site):
    return Checked(open_site(administrators=[ANN]))


@pytest.fixture
def ann(client):
    """A user who may use all endpoints: also those of administrators."""
    status, body = client.api("/signup", SIGNUP)
    assert status == 200
    users = client.web.host.users
    users.verify_email(users.get(body["user"]["id"]).id, SIGNUP["email"], actor=Actor("operator", name="x"))
    return client


def send(client, path, body, **headers):
    """Send a body as it is; return the status and the problem document or result."""
    response = client.send("POST", f"/account/api{path}", body=body, headers={**JSON, **headers})
    return response.status_code, json.loads(response.body)


def usual(fields):
    """Return a value of the right type for each field."""
    values = {"checkbox": True, "date": "2030-01-31"}
    return {each.name: values.get(each.type, "x") for each in fields}


class TestFields:
    """Each field of each endpoint, of a user who may use all of them."""

    @pytest.mark.parametrize("value", [0, 1.5, True, [], {}, ["x"], {"x": "x"}], ids=repr)
    def test_wrong_types(self, ann, value):
        self.refused(ann, lambda field: value)

    def test_too_long(self, ann):
        self.refused(ann, lambda field: "x" * (field.max_length + 1))

    @pytest.mark.parametrize("text", ["\0", "a\0b", "\ud800", "a\udfff", "\udc00\ud800"], ids=ascii)
    def test_unusable_characters(self, ann, text):
        self.refused(ann, lambda field: text)

    def refused(self, client, wrong):
        for path, fields in client.web.context.fields.items():
            for field in fields:
                if field.type == "checkbox" and wrong(field) in (True, False):
                    continue
                body = usual(fields) | {field.name: wrong(field)}
                status, problem = client.api(path, body)
                assert (status, problem["code"]) == (400, "invalid_input"), (path, field.name)
                assert problem["field"] == field.name

    @pytest.mark.parametrize("empty", [None, "", "left out"])
    def test_missing(self, ann, empty):
        for path, fields in ann.web.context.fields.items():
            for field in fields:
                if field.required:
                    body = usual(fields) | {field.name: empty}
                    if empty == "left out":
                        del body[field.name]
                    status, problem = ann.api(path, body)
                    assert (status, problem["field"], problem["reason"]) == (400, field.name, "missing")

    def test_without_a_login_nothing_else_is_said(self, client):
        paths = set(client.web.context.fields) - WITHOUT_LOGIN
        for path in paths:
            for body in ({}, {"email": 1}, {"unknown": "x"}):
                status, problem = client.api(path, body)
                assert (status, problem["code"], steps(problem)[0]) == (401, "login_required", "login"), path


class TestBodies:
    @pytest.mark.parametrize(
        "body",
        [
            b'{"identifier": "ann@example.org", "identifier": "bob@example.org", "password": "x"}',
            b'{"identifier": {"a": 1, "a": 2}, "password": "x"}',
            json.dumps(LOGIN).encode("utf-16"),
            json.dumps(LOGIN).encode("utf-32"),
            b"\xef\xbb\xbf" + json.dumps(LOGIN).encode(),
            b'{"identifier": "\xff", "password": "x"}',
            b'{"identifier": "x", "password": "x"} {}',
            b"{'identifier': 'x'}",
            b'{"identifier": "x",}',
            b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
            b"[" * MAX_BODY,
            b'{"identifier": ' + b"9" * 5000 + b"}",
            b'"identifier"',
            b"\0",
            b" ",
        ],
        ids=lambda body: ascii(body)[:50],
    )
    def test_no_json_object(self, client, body):
        status, problem = send(client, "/login", body)
        assert (status, problem["code"]) == (400, "invalid_input")
        assert "field" not in problem

    @pytest.mark.parametrize(
        "name",
        ["\ud800", "a\0", "x" * 5000, "__proto__", "Identifier", "", "<script>", "ключ", "\u202e"],
        ids=ascii,
    )
    def test_unknown_names(self, client, name):
        status, problem = send(client, "/login", json.dumps({**LOGIN, name: 1}).encode())
        assert (status, problem["code"]) == (400, "invalid_input")
        assert len(problem["field"]) <= 64

    @pytest.mark.parametrize(
        "kind", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/json;"]
    )
    def test_content_types_that_are_json(self, ann, kind):
        headers = {"Content-Type": kind}
        assert send(ann, "/login", json.dumps(LOGIN).encode(), **headers)[0] == 200

    def test_the_longest_body(self, ann):
        body = json.dumps(LOGIN).encode()
        assert send(ann, "/login", body.ljust(MAX_BODY))[0] == 200
        status, problem = send(ann, "/login", body.ljust(MAX_BODY + 1))
        assert (status, problem["code"]) == (413, "too_large")

    def test_a_huge_body_is_not_read(self, web):
        """A server passes a body in parts; the rest of one that is too large stays unread."""
        read = []

        async def receive():
            read.append(MAX_BODY)
            return {"type": "http.request", "body": b" " * MAX_BODY, "more_body": True}

        sent = []

        async def keep(message):
            sent.append(message)

        headers = [(b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "path": "/account/api/login", "headers": headers}
        asyncio.run(ASGIApp(web.host)(scope, receive, keep))
        assert (sent[0]["status"], len(read)) == (413, 2)
        stream = BytesIO(b" " * MAX_BODY * 5)
        environ = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/account/api/login",
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(MAX_BODY * 5),
            "wsgi.input": stream,
        }
        statuses = []
        WSGIApp(web.host)(environ, lambda status, headers: statuses.append(status))
        assert statuses == ["413 REQUEST ENTITY TOO LARGE"]
        assert stream.tell() <= MAX_BODY + 1


class TestProblems:
    def test_the_form_is_that_of_rfc_9457(self, client):
        response = client.send("POST", "/account/api/login", body=b"{}", headers=JSON)
        problem = json.loads(response.body)
        assert response.mimetype == "application/problem+json"
        assert set(problem) == {"type", "title", "status", "code", "field", "reason"}
        assert problem["status"] == response.status_code
        assert problem["type"] == f"/account/api/problems#{problem['code']}"

    def test_too_many_attempts(self, open_site):
        client = Checked(open_site(rate_limits={"login": "1/minute/ip"}))
        client.api("/login", LOGIN)
        body = json.dumps(LOGIN).encode()
        response = client.send("POST", "/account/api/login", body=body, headers=JSON)
        problem = json.loads(response.body)
        assert (response.status_code, problem["code"]) == (429, "rate_limited")
        assert int(response.headers["Retry-After"]) == round(problem["retry_after"]) > 0

    def test_a_refusal_of_a_plugin(self, open_site):
        class Members:
            @hookimpl
            def before_signup(self, request, email):
                raise Refused("members_only", "Members only.")

        status, problem = Checked(open_site({"members": Members()})).api("/signup", SIGNUP)
        assert (status, problem["code"], problem["plugin_code"]) == (403, "vetoed", "members_only")
        assert problem["title"] == "Members only."
        assert "plugin" not in problem

    def test_a_text_for_plugins_that_is_too_long(self, open_site):
        client = Checked(open_site(web_given=("invitation",)))
        path = f"/session?invitation={'x' * 513}"
        status, problem = client.api(path, method="GET")
        assert (status, problem["code"]) == (400, "invalid_input")

    def test_nothing_of_a_password_is_repeated(self, ann):
        secret = "a password that is not hers"
        for path, fields in ann.web.context.fields.items():
            body = {each.name: secret for each in fields}
            assert secret not in json.dumps(ann.api(path, body)[1]), path
            ann.api("/login", LOGIN)

    def test_the_language(self, client):
        headers = {"Accept-Language": "de", "Accept": "application/json"}
        german = client.api("/session", method="GET", headers=headers)[1]
        assert german["code"] == "login_required"
        assert german["title"] != client.api("/session", method="GET")[1]["title"]


def test_another_account_is_out_of_reach(ann):
    bob = Checked(ann.web)
    bob.api("/signup", {"email": "bob@example.org", "password": PASSWORD})
    (session,) = ann.api("/sessions", method="GET")[1]["sessions"]
    assert bob.api("/sessions/end", {"id": session["id"]})[1]["code"] == "session_not_found"
    assert bob.api("/emails/remove", {"email": ANN})[1]["code"] == "email_not_found"
    assert ann.api("/session", method="GET")[0] == 200
