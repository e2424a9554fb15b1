"""Cookies, headers, keys of links, the client's address, limits, and what a failure reveals."""

from __future__ import annotations

import logging
from http.cookies import SimpleCookie
from urllib.parse import urlsplit

import pytest

from authhost.testing import OTHER_PASSWORD, PASSWORD
from authhost.testing.web_client import WebClient as Client
from authhost.web import WebRequest
from authhost.web.http import MAX_BODY
from authhost.web.static_files import brand_css

ANN = "ann@example.org"


def cookies(response):
    found = SimpleCookie()
    for line in response.headers.getlist("Set-Cookie"):
        found.load(line)
    return found


class TestCookies:
    def test_all_have_the_prefix_and_the_flags(self, client):
        found = cookies(client.post("/signup", email=ANN, password=PASSWORD))
        assert set(found) == {"__Host-authhost-session", "__Host-authhost-device"}
        for cookie in found.values():
            assert cookie["secure"]
            assert cookie["httponly"]
            assert (cookie["samesite"], cookie["path"], cookie["domain"]) == ("Lax", "/", "")

    def test_the_session_cookie_lives_as_long_as_the_session(self, open_site, clock):
        client = Client(open_site(session_lifetime=7200))
        found = cookies(client.post("/signup", email=ANN, password=PASSWORD))
        assert found["__Host-authhost-session"]["max-age"] == "7200"
        clock.forward(seconds=200)
        values = {"current_password": PASSWORD, "new_password": OTHER_PASSWORD}
        found = cookies(client.post("/password/change", **values))
        assert found["__Host-authhost-session"]["max-age"] == "7000"

    def test_without_tls_there_is_no_prefix(self, open_site):
        client = Client(open_site(base_url="http://localhost:8000"))
        client.headers["Origin"] = "http://localhost:8000"
        found = cookies(client.post("/signup", email=ANN, password=PASSWORD))
        assert set(found) == {"authhost-session", "authhost-device"}
        assert not found["authhost-session"]["secure"]
        assert client.get("/").status_code == 200

    def test_a_session_that_has_ended_deletes_its_cookie(self, client):
        client.cookies["__Host-authhost-session"] = "x" * 43
        found = cookies(client.get("/login"))
        assert found["__Host-authhost-session"]["max-age"] == "0"

    def test_a_change_of_the_password_replaces_the_token(self, client):
        client.post("/signup", email=ANN, password=PASSWORD)
        before = client.cookies["__Host-authhost-session"]
        client.post("/password/change", current_password=PASSWORD, new_password=OTHER_PASSWORD)
        assert client.cookies["__Host-authhost-session"] != before
        assert client.get("/").status_code == 200

    def test_hostile_cookies_are_harmless(self, client):
        for name in ("session", "pending", "device", "messages", "confirm", "reset", "social-signup"):
            for value in ("", "x" * 3000, "%00", "W10", "e30", "bnVsbA", "W1siZXJyb3IiLDEsMl1d", '"'):
                client.cookies = {f"__Host-authhost-{name}": value}
                for path in ("/", "/login", "/confirm-email", "/reset-password", "/social/signup"):
                    assert client.get(path).status_code < 500, (name, value, path)


class TestKeysOfLinks:
    @pytest.mark.parametrize("page", ["confirm-email", "reset-password"])
    def test_leave_the_address_bar(self, client, page, caplog):
        caplog.set_level(logging.DEBUG)
        key = "q" * 43
        response = client.get(f"/{page}/{key}")
        assert (response.status_code, response.headers["Location"]) == (303, f"/account/{page}")
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Referrer-Policy"] == "same-origin"
        body = client.get(f"/{page}").body.decode()
        assert key not in body
        client.post(f"/{page}", password=PASSWORD)
        assert key not in caplog.text

    @pytest.mark.parametrize("key", ["", "x" * 129, "a b", "<script>", "ключ", "..", "%0d%0aSet-Cookie:x=y"])
    def test_nothing_else_is_stored(self, client, key):
        response = client.send("GET", f"/account/confirm-email/{key}")
        assert "Set-Cookie" not in response.headers

    def test_opening_a_link_changes_nothing(self, client, mailbox, web):
        client.post("/signup", email=ANN, password=PASSWORD)
        for method in ("GET", "HEAD"):
            client.send(method, f"/account/confirm-email/{mailbox.key()}")
        client.get("/confirm-email")
        assert client.api("/emails", method="GET")[1]["emails"][0]["verified"] is False


class TestHeaders:
    def test_every_response_has_them(self, client):
        for path in ("/login", "/nonsense", "/api/site", "/api/nonsense", "/static/pages.css", "/"):
            headers = client.get(path).headers
            policy = dict(each.split(" ", 1) for each in headers["Content-Security-Policy"].split("; "))
            assert policy["default-src"] == policy["object-src"] == policy["base-uri"] == "'none'"
            assert policy["frame-ancestors"] == "'none'"
            assert policy["form-action"] == policy["script-src"] == policy["style-src"] == "'self'"
            assert "unsafe" not in headers["Content-Security-Policy"]
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"
            assert headers["Referrer-Policy"] == "same-origin"
            assert headers["Cross-Origin-Opener-Policy"] == "same-origin"

    def test_pages_are_not_cached_and_static_files_are(self, client):
        text = client.get("/login").body.decode()
        assert client.get("/login").headers["Cache-Control"] == "no-store"
        style = text.partition('rel="stylesheet" href="')[2].partition('"')[0]
        response = client.send("GET", style)
        assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"

    def test_no_inline_script_or_style(self, client):
        for path in ("/login", "/signup", "/forgot-password"):
            text = client.get(path).body.decode()
            assert "<style" not in text
            assert "style=" not in text
            assert "<script>" not in text
            assert " on" not in [text[at : at + 3] for at in range(len(text)) if text.startswith(" onc", at)]

    def test_static_files_stay_in_their_folder(self, client):
        for name in ("../site.py", "..%2fsite.py", "%2e%2e/site.py", "/etc/passwd", "pages.css/..", ""):
            assert client.send("GET", f"/account/static/{name}").status_code == 404


class TestClientAddress:
    @pytest.mark.parametrize(
        ("proxies", "forwarded", "expected"),
        [
            (0, "198.51.100.9", "203.0.113.7"),
            (1, "198.51.100.9", "198.51.100.9"),
            (1, "6.6.6.6, 198.51.100.9", "198.51.100.9"),
            (2, "6.6.6.6, 198.51.100.9, 10.0.0.1", "198.51.100.9"),
            (2, "198.51.100.9", "203.0.113.7"),
            (1, "", "203.0.113.7"),
            (1, "unknown", None),
            (1, "198.51.100.9:4711", "198.51.100.9"),
            (1, "[2001:db8::9]:4711", "2001:db8::9"),
            (1, "::ffff:198.51.100.9", "198.51.100.9"),
            (1, None, "203.0.113.7"),
        ],
    )
    def test_counts_trusted_proxies_from_the_right(self, proxies, forwarded, expected):
        sent = [("X-Forwarded-For", forwarded)] if forwarded is not None else []
        http = WebRequest("GET", "/", headers=sent, remote_addr="203.0.113.7")
        assert http.client_address(proxies) == expected

    def test_a_unix_socket_has_none(self):
        assert WebRequest("GET", "/", remote_addr="unix:").client_address(0) is None

    def test_several_headers_are_one_list(self):
        sent = [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "198.51.100.9")]
        assert WebRequest("GET", "/", headers=sent).client_address(1) == "198.51.100.9"


class TestLimits:
    @pytest.mark.parametrize("path", ["/login", "/api/login"])
    def test_a_large_body_is_refused(self, client, path):
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        response = client.send("POST", f"/account{path}", body=b"x" * (MAX_BODY + 1), headers=headers)
        assert response.status_code == 413

    @pytest.mark.parametrize(
        "body",
        [
            b"\xff=\xfe",
            b"%ff=%fe",
            b"&".join(b"a%d=1" % n for n in range(60)),
            b"identifier=%00&password=%00",
        ],
    )
    def test_a_broken_form_is_refused(self, client, body):
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        response = client.send("POST", "/account/login", body=body, headers=headers)
        assert response.status_code == 400

    def test_other_content_is_refused(self, client):
        response = client.send("POST", "/account/login", body=b"{}", headers={"Content-Type": "text/plain"})
        assert response.status_code == 415


class TestFailures:
    def test_an_unexpected_error_is_logged_and_reveals_nothing(self, client, web, caplog, monkeypatch):
        def fail(*_args, **_values):
            raise RuntimeError(f"the secret {'detail'}")

        monkeypatch.setattr(web.host, "request", fail)
        response = client.get("/login")
        assert response.status_code == 500
        assert "secret detail" not in response.body.decode()
        assert "RuntimeError" in caplog.text
        assert "secret detail" not in caplog.text
        status, problem = client.api("/session", method="GET")
        assert (status, problem["code"]) == (500, "internal_error")

    def test_texts_are_escaped(self, open_site):
        client = Client(open_site(site_name="<b>Tom & 'Jerry'</b>"))
        text = client.post("/login", identifier='"><script>alert(1)</script>', password="x").body.decode()
        assert "<script>alert" not in text
        assert "&lt;b&gt;Tom &amp; " in text

    def test_a_template_that_fails_is_an_error_page(self, open_site, tmp_path, caplog):
        (tmp_path / "page.html.j2").write_text("{{ nonsense }}")
        response = Client(open_site(web_templates=str(tmp_path))).get("/login")
        assert (response.status_code, response.mimetype) == (500, "text/plain")
        assert "UndefinedError" in caplog.text
        assert response.headers["X-Content-Type-Options"] == "nosniff"

    def test_templates_of_the_application_have_precedence(self, open_site, tmp_path):
        (tmp_path / "page.html.j2").write_text(
            '{% extends "authhost/page.html.j2" %}{% block footer %}<footer>Ours</footer>{% endblock %}'
        )
        (tmp_path / "pages").mkdir()
        (tmp_path / "pages" / "logout.html.j2").write_text("only {{ page.title }}")
        client = Client(open_site(web_templates=str(tmp_path)))
        assert "<footer>Ours</footer>" in client.get("/login").body.decode()
        assert client.get("/logout").body == b"only Log out"

    @pytest.mark.parametrize("target", ["/é", "/日本?x=ü", "/a%20b", "/x#y"])
    def test_a_redirect_has_only_characters_of_a_uri(self, client, target):
        client.post("/signup", email=ANN, password=PASSWORD)
        client.post("/logout")
        response = client.post("/login", identifier=ANN, password=PASSWORD, next=target)
        assert response.status_code == 303
        assert response.headers["Location"].isascii()
        assert response.raw_headers

    def test_next_is_escaped_and_checked(self, client):
        text = client.get("/login?next=/%22%3E%3Cscript%3E").body.decode()
        assert "<script>" not in text


@pytest.mark.parametrize("color", ["#000000", "#ffffff", "#1d4ed8", "#777777", "#ffcc00", "#e11d48"])
def test_the_text_on_the_brand_colour_is_legible(color):
    def luminance(value):
        parts = [int(value[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        parts = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    text = brand_css(color).partition("--on-brand: ")[2][:7]
    bright, dark = sorted((luminance(color), luminance(text)), reverse=True)
    assert (bright + 0.05) / (dark + 0.05) >= 4.5


def test_links_of_an_application_below_a_path(open_site):
    client = Client(open_site(base_url="https://example.org/shop"))
    response = client.get("/")
    assert urlsplit(response.headers["Location"]).path == "/shop/account/login"
    assert 'action="/shop/account/login"' in client.get("/login").body.decode()
