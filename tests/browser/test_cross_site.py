"""Requests of other pages, as a real browser sends them."""

from __future__ import annotations

import pytest
import requests

from authhost.testing import PASSWORD
from browser.servers import open_site

ANN = "ann@example.org"
FORM = """<!doctype html><form id=f method=post action="{target}">
<input name=identifier value="ann@example.org"><input name=password value="{password}"></form>
<script>document.getElementById("f").submit()</script>"""


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"], ids=["other site", "other origin"])
def test_a_form_elsewhere_logs_nobody_in_and_out(site, open_page, other_site, name):
    with site.host.request() as request:
        site.host.account.signup(request, email=ANN, password=PASSWORD)
    page = open_page()
    login = FORM.format(target=f"{site.url}/account/login", password=PASSWORD)
    page.goto(f"http://{name}:{other_site(login)}/")
    page.wait_for_url(f"{site.url}/**")
    assert "came from another site" in page.inner_text("h1")
    assert page.context.cookies(site.url) == []
    logout = FORM.format(target=f"{site.url}/account/logout", password="")
    page.goto(f"http://{name}:{other_site(logout)}/")
    page.wait_for_url(f"{site.url}/**")
    assert "came from another site" in page.inner_text("h1")


def test_a_script_elsewhere_reads_nothing(site, open_page, other_site):
    page = open_page()
    page.goto(f"http://localhost:{other_site('<!doctype html>')}/")
    for path, method in (("session", "GET"), ("login", "POST")):
        options = f'{{method: "{method}", credentials: "include"}}'
        script = f'fetch("{site.url}/account/api/{path}", {options}).then(() => "read", () => "blocked")'
        assert page.evaluate(script) == "blocked"


def test_a_page_elsewhere_cannot_frame_the_pages(site, open_page, other_site):
    page = open_page()
    frame = f'<!doctype html><iframe src="{site.url}/account/login"></iframe>'
    page.goto(f"http://localhost:{other_site(frame)}/")
    assert not any("Log in" in each.content() for each in page.frames)


def test_a_program_without_the_headers(site):
    """It is accepted without a cookie, and refused with one: as a very old browser would be."""
    values = {"email": ANN, "password": PASSWORD}
    session = requests.Session()
    assert session.post(f"{site.url}/account/api/signup", json=values, timeout=20).status_code == 202
    assert session.cookies
    assert session.post(f"{site.url}/account/api/logout", json={}, timeout=20).status_code == 403


class TestHTTPS:
    """The site has TLS, as in production: a subdomain is the same site, so the browser sends the cookies."""

    @pytest.fixture
    def trusted_port(self, other_site, certificate):
        """The port of the application app.teapots.test, whose origin the site trusts."""
        return other_site("<!doctype html>", certificate=certificate)

    @pytest.fixture
    def site(self, tmp_path, certificate, trusted_port):
        settings = {
            "trusted_origins": (f"https://app.teapots.test:{trusted_port}",),
            "email_verification": "none",
        }
        with open_site(tmp_path, "teapots.test", certificate=certificate, **settings) as site:
            yield site

    @pytest.fixture
    def page(self, site, new_page):
        """A page of a browser in which Ann is logged in."""
        page = new_page(base_url=site.url, ignore_https_errors=True)
        page.goto("/account/signup")
        page.fill("[name=email]", ANN)
        page.fill("[name=password]", PASSWORD)
        page.click("main form[action='/account/signup'] button:not(.reveal)")
        assert page.goto("/me").json() == {"email": ANN}
        return page

    def test_cookies_are_bound_to_the_host(self, page, site):
        found = {each["name"]: each for each in page.context.cookies(site.url)}
        assert all(name.startswith("__Host-") for name in found)
        session = found["__Host-authhost-session"]
        assert (session["secure"], session["httpOnly"], session["sameSite"]) == (True, True, "Lax")
        assert (session["domain"], session["path"]) == ("teapots.test", "/")

    @pytest.mark.parametrize(
        "origin",
        ["https://sub.teapots.test", "http://sub.teapots.test", "http://teapots.test", "http://evil.test"],
        ids=["subdomain", "subdomain without TLS", "own name without TLS", "other site without TLS"],
    )
    def test_a_form_elsewhere_changes_nothing(self, page, site, other_site, certificate, origin):
        logout = FORM.format(target=f"{site.url}/account/logout", password="")
        port = other_site(logout, certificate=certificate if origin.startswith("https:") else None)
        sent = []
        page.on("request", lambda request: sent.append(request) if request.method == "POST" else None)
        page.goto(f"{origin}:{port}/")
        page.wait_for_url(f"{site.url}/**")
        assert "came from another site" in page.inner_text("h1")
        headers = sent[0].all_headers()
        is_same_site = origin == "https://sub.teapots.test"
        assert headers["sec-fetch-site"] == ("same-site" if is_same_site else "cross-site")
        assert ("__Host-authhost-session" in headers.get("cookie", "")) is is_same_site
        assert page.goto("/me").json() == {"email": ANN}

    def test_a_subdomain_cannot_set_a_cookie_of_the_site(self, page, site, other_site, certificate):
        before = page.context.cookies(site.url)
        name = "__Host-authhost-session"
        for scheme, attributes in (("https", "; Secure"), ("http", "")):
            cookie = f"{name}=of-the-attacker; Domain=teapots.test; Path=/{attributes}"
            port = other_site(
                "<!doctype html>",
                certificate=certificate if scheme == "https" else None,
                headers={"Set-Cookie": cookie},
            )
            page.goto(f"{scheme}://sub.teapots.test:{port}/")
        assert page.context.cookies(site.url) == before

    def test_only_a_trusted_origin_reads_and_changes(self, site, page, trusted_port):
        """The browser's preflight, its answer, and the cookie of the same site."""
        script = f"""fetch("{site.url}/account/api/sessions/end-others", {{
            method: "POST",
            credentials: "include",
            headers: {{"Content-Type": "application/json"}},
            body: "{{}}",
        }}).then(answer => answer.status, () => "blocked")"""
        results = {}
        for name in ("app", "sub"):
            page.goto(f"https://{name}.teapots.test:{trusted_port}/")
            results[name] = page.evaluate(script)
        assert results == {"app": 200, "sub": "blocked"}


def test_a_browser_that_sends_no_fetch_metadata(tmp_path, new_page, other_site):
    """Chromium sends none to a site without TLS that is not on loopback; the check then uses ``Origin``."""
    with open_site(tmp_path, "teapots.test", email_verification="none") as site:
        page = new_page(base_url=site.url)
        sent = []
        page.on("request", lambda request: sent.append(request) if request.method == "POST" else None)
        page.goto("/account/signup")
        page.fill("[name=email]", ANN)
        page.fill("[name=password]", PASSWORD)
        page.click("main form[action='/account/signup'] button:not(.reveal)")
        assert page.goto("/me").json() == {"email": ANN}
        logout = FORM.format(target=f"{site.url}/account/logout", password="")
        page.goto(f"http://sub.teapots.test:{other_site(logout)}/")
        page.wait_for_url(f"{site.url}/**")
        assert "came from another site" in page.inner_text("h1")
        assert page.goto("/me").json() == {"email": ANN}
        headers = [each.all_headers() for each in sent]
        assert [each.get("sec-fetch-site") for each in headers] == [None, None]
        assert headers[0]["origin"] == site.url
        assert "authhost-session" in headers[1]["cookie"]
