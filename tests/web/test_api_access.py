"""Who may call the JSON API: methods, paths, cookie or token, and pages of other origins."""

from __future__ import annotations

import json

import pytest

from .test_api import APP, LOGIN, SIGNUP, Checked, bearer

OTHER = "https://app.example.net"


@pytest.fixture
def client(web):
    return Checked(web)


@pytest.fixture
def ann(client):
    assert client.api("/signup", SIGNUP)[0] == 200
    return client


class TestMethods:
    def test_every_path_refuses_the_others(self, client):
        for path, item in client.web.openapi["paths"].items():
            allowed = {each.upper() for each in item}
            for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - allowed:
                response = client.send(method, path)
                assert (response.status_code, response.headers["Allow"]) == (405, ", ".join(allowed)), path
                assert json.loads(response.body)["code"] == "method_not_allowed"

    @pytest.mark.parametrize("path", ["/openapi.json", "/problems"])
    def test_documents_are_only_read(self, client, path):
        assert client.send("GET", f"/account/api{path}").status_code == 200
        assert client.send("HEAD", f"/account/api{path}").body == b""
        response = client.send("POST", f"/account/api{path}")
        assert (response.status_code, response.headers["Allow"]) == (405, "GET")

    @pytest.mark.parametrize(
        "path", ["", "/", "/nothing", "/login/", "//login", "/LOGIN", "/%00", "/login/x", "/../login"]
    )
    def test_unknown_paths(self, client, path):
        for method in ("GET", "POST"):
            response = client.send(method, f"/account/api{path}")
            assert (response.status_code, response.mimetype) == (404, "application/problem+json")
            assert json.loads(response.body)["code"] == "not_found"


class TestCredentials:
    def test_an_app_has_no_cookie(self, ann):
        """Another site's page cannot send the header without the consent of a preflight."""
        assert ann.api("/session", method="GET", headers=APP)[0] == 401
        assert ann.api("/session", method="GET")[0] == 200

    @pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer"])
    def test_the_scheme_is_case_insensitive(self, client, scheme):
        token = client.api("/signup", SIGNUP, headers=APP)[1]["session_token"]
        headers = {"Authorization": f"{scheme} {token}"}
        assert client.api("/session", method="GET", headers=headers)[0] == 200

    @pytest.mark.parametrize(
        "value", ["Basic YW5uOng=", "Bearer", "Token x", "Bearer a=b", "Bearer \xff", " "]
    )
    def test_other_authorization_logs_nobody_in(self, client, value):
        assert client.api("/session", method="GET", headers={"Authorization": value})[0] == 401

    def test_two_credentials_change_nothing(self, ann):
        token = Checked(ann.web).api("/login", LOGIN, headers=APP)[1]["session_token"]
        status, problem = ann.api("/close", headers=bearer(token))
        assert (status, problem["code"]) == (400, "two_credentials")
        assert ann.api("/session", method="GET")[0] == 200


class TestOrigins:
    @pytest.fixture
    def client(self, open_site):
        return Checked(open_site(trusted_origins=(OTHER,)))

    @pytest.mark.parametrize("origin", ["http://[", "http://[::1", "//[x]", "https://a]", "\xff", "x" * 5000])
    def test_an_origin_that_is_no_url(self, client, origin):
        headers = {"Origin": origin, "Sec-Fetch-Site": None}
        assert client.api("/site", method="GET", headers=headers)[0] == 200
        status, problem = client.api("/login", LOGIN, headers=headers)
        assert (status, problem["code"]) == (403, "cross_site")

    def test_a_trusted_origin_can_read_every_response(self, client):
        headers = {"Origin": OTHER, "Sec-Fetch-Site": "cross-site"}
        for method, path, kind, status in (
            ("GET", "/site", "", 200),
            ("GET", "/session", "", 401),
            ("GET", "/nothing", "", 404),
            ("GET", "/openapi.json", "", 200),
            ("POST", "/login", "text/plain", 415),
            ("POST", "/login", "application/json", 400),
            ("OPTIONS", "/login", "", 204),
        ):
            sent = {**headers, "Content-Type": kind or None}
            response = client.send(method, f"/account/api{path}", headers=sent)
            assert response.status_code == status
            assert response.headers["Access-Control-Allow-Origin"] == OTHER
            assert response.headers["Access-Control-Allow-Credentials"] == "true"
            assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
            assert "Origin" in response.headers["Vary"]
            assert response.headers["Cache-Control"] == "no-store"

    def test_a_fault_can_be_read_too(self, client, monkeypatch, caplog):
        def fail(*_args, **_values):
            raise RuntimeError

        monkeypatch.setattr(client.web.host, "request", fail)
        headers = {"Origin": OTHER, "Sec-Fetch-Site": "cross-site"}
        response = client.send("GET", "/account/api/session", headers=headers)
        assert (response.status_code, response.headers["Access-Control-Allow-Origin"]) == (500, OTHER)

    def test_the_preflight_names_what_a_client_sends(self, client):
        headers = {
            "Origin": OTHER,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        }
        response = client.send("OPTIONS", "/account/api/login", headers=headers)
        assert response.headers["Access-Control-Allow-Methods"] == "GET, POST"
        allowed = response.headers["Access-Control-Allow-Headers"].split(", ")
        assert allowed == ["Content-Type", "Authorization", "Authhost-Client", "Authhost-Device"]
