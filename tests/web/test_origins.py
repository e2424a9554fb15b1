"""Requests that another site makes a browser send are refused, before any route."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings, strategies as st

from authhost.testing import PASSWORD
from authhost.testing.web_client import ADDRESS, WebClient as Client, codes
from authhost.web import WebRequest

BASE_URL = "https://example.org"
ANN = "ann@example.org"
OTHER = "https://app.example.net"

SAME = {"Sec-Fetch-Site": "same-origin", "Origin": BASE_URL}
ALLOWED = [
    {"Sec-Fetch-Site": "same-origin", "Origin": BASE_URL},
    {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
    {"Sec-Fetch-Site": "same-origin", "Origin": None},
    {"Sec-Fetch-Site": "none", "Origin": None},
    {"Sec-Fetch-Site": None, "Origin": BASE_URL},
    {"Sec-Fetch-Site": None, "Origin": "HTTPS://EXAMPLE.ORG"},
    {"Sec-Fetch-Site": None, "Origin": "https://example.org:443"},
    {"Sec-Fetch-Site": "cross-site", "Origin": OTHER},
    {"Sec-Fetch-Site": "same-site", "Origin": OTHER},
    {"Sec-Fetch-Site": None, "Origin": OTHER},
]
REFUSED = [
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "cross-site", "Origin": None},
    {"Sec-Fetch-Site": "cross-site", "Origin": "null"},
    {"Sec-Fetch-Site": "same-site", "Origin": "https://sub.example.org"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://example.org"},
    {"Sec-Fetch-Site": "", "Origin": None},
    {"Sec-Fetch-Site": "Same-Origin, none", "Origin": None},
    {"Sec-Fetch-Site": None, "Origin": "null"},
    {"Sec-Fetch-Site": None, "Origin": "http://example.org"},
    {"Sec-Fetch-Site": None, "Origin": "https://example.org.evil.example"},
    {"Sec-Fetch-Site": None, "Origin": "https://example.org:8443"},
    {"Sec-Fetch-Site": None, "Origin": "https://sub.example.org"},
    {"Sec-Fetch-Site": None, "Origin": ""},
]


@pytest.fixture
def site(open_site):
    return open_site(trusted_origins=(OTHER,))


@pytest.fixture
def browser(site):
    client = Client(site)
    assert client.post("/signup", email=ANN, password=PASSWORD).status_code == 303
    return client


@pytest.mark.parametrize("headers", ALLOWED, ids=str)
def test_own_and_trusted_origins_are_accepted(browser, headers):
    assert browser.post("/sessions/end-others", headers=headers).status_code == 303
    assert browser.api("/sessions/end-others", headers=headers)[0] == 200


@pytest.mark.parametrize("headers", REFUSED, ids=str)
@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("/login", {"identifier": ANN, "password": PASSWORD}),
        ("/signup", {"email": "eve@example.org", "password": PASSWORD}),
        ("/logout", {}),
        ("/password/change", {}),
        ("/nonsense", {}),
    ],
)
def test_another_site_is_refused(browser, headers, path, values):
    response = browser.post(path, headers=headers, **values)
    assert (response.status_code, codes(response)) == (403, [])
    assert "came from another site" in response.body.decode()
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize("headers", REFUSED, ids=str)
def test_another_site_cannot_use_the_api(browser, headers):
    status, problem = browser.api("/logout", headers=headers)
    assert (status, problem["code"]) == (403, "cross_site")
    assert browser.api("/session", method="GET")[0] == 200


@pytest.mark.parametrize("headers", REFUSED, ids=str)
def test_a_forged_login_is_refused(site, headers):
    """It would log the person in to the attacker's account. The browser has no cookie then."""
    Client(site).post("/signup", email=ANN, password=PASSWORD)
    victim = Client(site)
    victim.post("/login", headers=headers, identifier=ANN, password=PASSWORD)
    assert victim.cookies == {}


def test_without_headers_a_program_passes_and_a_browser_does_not(browser, site):
    neither = {"Sec-Fetch-Site": None, "Origin": None}
    program = Client(site)
    assert program.api("/login", {"identifier": ANN, "password": PASSWORD}, headers=neither)[0] == 200
    assert browser.api("/logout", headers=neither)[0] == 403


def test_a_bearer_token_is_no_cookie(site):
    app = {"Authhost-Client": "app", "Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    client = Client(site)
    values = {"email": ANN, "password": PASSWORD}
    status, body = client.api("/signup", values, headers=app)
    assert (status, client.cookies) == (200, {})
    bearer = {**app, "Authorization": f"Bearer {body['session_token']}"}
    assert client.api("/sessions/end-others", headers=bearer)[0] == 200


def test_no_route_has_an_exception(browser, site):
    """The check comes before the routes: all endpoints refuse, those of plugins and unknown paths, too."""
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    for path in (*site.context.fields, "/newsletter/preferences", "/static/pages.css"):
        assert browser.post(path, headers=headers).status_code == 403, path


def test_the_refusal_is_logged_with_both_headers_and_no_address(browser, caplog):
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    browser.post("/confirm-email/a-secret-key", headers=headers)
    assert "Sec-Fetch-Site is 'cross-site', Origin is 'https://evil.example'" in caplog.text
    assert "a-secret-key" not in caplog.text


@settings(max_examples=200, deadline=None)
@given(origin=st.text(max_size=40), site=st.none() | st.sampled_from(["cross-site", "same-site", "x"]))
def test_no_other_origin_is_ever_accepted(origin, site):
    from authhost import Settings
    from authhost.web.origins import OriginCheck

    check = OriginCheck(Settings(secret_key="k" * 40, base_url=BASE_URL))
    sent = [("Origin", origin)] if "\n" not in origin and "\r" not in origin else []
    if site is not None:
        sent.append(("Sec-Fetch-Site", site))
    http = WebRequest("POST", "/account/login", headers=sent, remote_addr=ADDRESS)
    assert not check.allows(http, has_cookie=True)


def test_preflight_only_for_trusted_origins(site):
    client = Client(site)
    for origin, allowed in ((OTHER, OTHER), ("https://evil.example", None)):
        response = client.send("OPTIONS", "/account/api/login", headers={"Origin": origin})
        assert response.headers.get("Access-Control-Allow-Origin") == allowed
        assert ("Access-Control-Allow-Headers" in response.headers) is (allowed is not None)


def test_answers_to_another_origin_cannot_be_read(browser):
    headers = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    response = browser.send("GET", "/account/api/session", headers=headers)
    assert "Access-Control-Allow-Origin" not in response.headers
    assert json.loads(response.body)["authenticated"] is True
    assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
