"""Requests of other pages, as a real browser sends them."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from authhost.testing import PASSWORD

ANN = "ann@example.org"
FORM = """<!doctype html><form id=f method=post action="{target}">
<input name=identifier value="ann@example.org"><input name=password value="{password}"></form>
<script>document.getElementById("f").submit()</script>"""


@pytest.fixture
def other_site():
    """Another origin: ``other_site(html)`` returns the port of a server with this page."""
    servers = []

    def opened(html):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(html.encode())

            def log_message(self, *args):
                """Log nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return server.server_port

    yield opened
    for server in servers:
        server.shutdown()
        server.server_close()


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
