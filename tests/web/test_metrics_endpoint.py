"""The endpoint for Prometheus: off by default, and for those who have its token only."""

from __future__ import annotations

import sys

import pytest

from authhost.errors import ConfigurationError
from authhost.settings import Settings
from authhost.testing.web_client import WebClient

pytest.importorskip("prometheus_client")

TOKEN = "t" * 40


def get(site, authorization=None, method="GET"):
    headers = {"Authorization": authorization} if authorization else {}
    return WebClient(site).send(method, "/account/metrics", headers=headers)


def test_it_is_off_by_default(web):
    unknown = WebClient(web).send("GET", "/account/no-such-page")
    found = get(web)
    assert (found.status_code, found.body) == (404, unknown.body)
    assert get(web, f"Bearer {TOKEN}").status_code == 404


def test_the_token_opens_it(open_site):
    site = open_site(metrics_token=TOKEN)
    response = get(site, f"Bearer {TOKEN}")
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/plain; version=")
    assert response.headers["Cache-Control"] == "no-store"
    assert not response.headers.getlist("Set-Cookie")
    assert b"authhost_password_hashes_waiting 0.0\n" in response.body
    assert get(site, f"Bearer {TOKEN}", "HEAD").body == b""
    assert get(site, f"Bearer {TOKEN}", "POST").status_code == 405


@pytest.mark.parametrize(
    "authorization", [None, "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer é", TOKEN]
)
def test_without_it_nothing_is_told(open_site, authorization):
    response = get(open_site(metrics_token=TOKEN), authorization)
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert b"authhost_" not in response.body


def test_a_session_is_no_token(open_site):
    """The numbers are for operators, not for whoever has an account."""
    site = open_site(metrics_token=TOKEN, email_verification="none")
    client = WebClient(site)
    values = {"email": "ann@example.org", "password": "green teapots sing at dawn"}
    client.post("/signup", **values)
    assert client.cookies
    assert client.send("GET", "/account/metrics").status_code == 401


@pytest.mark.parametrize("token", ["short", "t" * 31, "t" * 31 + "é", "t " * 20])
def test_an_unsafe_token_is_refused(token):
    with pytest.raises(ConfigurationError, match="metrics_token must have at least 32"):
        Settings(secret_key="k" * 48, metrics_token=token)


def test_the_token_is_not_shown():
    assert TOKEN not in repr(Settings(secret_key="k" * 48, metrics_token=TOKEN))


def test_without_the_library_the_remedy_is_named(open_site, monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.delitem(sys.modules, "authhost.operations.prometheus", raising=False)
    with pytest.raises(ConfigurationError, match=r"pip install 'authhost\[metrics\]'"):
        open_site(metrics_token=TOKEN)


def test_a_plugin_cannot_take_the_path(open_site, caplog):
    from authhost_hookspecs import ApiRoute, hookimpl

    class Taking:
        @hookimpl
        def register_routes(self):
            return [ApiRoute("GET", "/x", lambda request: {}, "Take.", login=False)]

    open_site({"metrics": Taking()})
    assert "metrics" in caplog.text
