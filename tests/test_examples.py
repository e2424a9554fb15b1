"""The documentation's examples that are whole files, run like a reader runs them."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PASSWORD

from authhost import AuthHost, Settings

DOCS = Path(__file__).parents[1] / "docs"
GIVEN = {"email": "ann@example.org", "password": PASSWORD}


GREETER = """
from authhost_hookspecs import hookimpl


class Greeter:
    @hookimpl
    def user_signed_up(self, request):
        request.answer.set_cookie("referral", "r1")
        request.answer.message("success", "Welcome!")
        request.answer.redirect("/welcome")


plugin = Greeter()
"""


def install_greeter(folder: Path) -> None:
    """Install a plugin that changes the answer of each signup."""
    (folder / "greeter.py").write_text(GREETER, encoding="utf-8")
    distribution = folder / "greeter-1.0.dist-info"
    distribution.mkdir()
    (distribution / "entry_points.txt").write_text("[authhost]\ngreeter = greeter:plugin\n", encoding="utf-8")
    (distribution / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: greeter\nVersion: 1.0\nRequires-Dist: authhost-hookspecs<2,>=1.1\n",
        encoding="utf-8",
    )


def write_examples(page: str, folder: Path) -> None:
    """Write each example that has a file name to that file."""
    text = (DOCS / page).read_text(encoding="utf-8")
    for name, body in re.findall(r'```\w+ title="([\w.]+)"\n(.*?)```', text, re.DOTALL):
        (folder / name).write_text(body, encoding="utf-8")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the examples, the settings and an empty database."""
    write_examples("how-to/web-frameworks.md", tmp_path)
    install_greeter(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("AUTHHOST_SECRET_KEY", "k" * 48)
    monkeypatch.setenv("AUTHHOST_PLUGINS__EMAIL__DELIVERY", "inline")
    AuthHost(Settings.load("authhost.toml"), upgrade_database=True).close()
    return tmp_path


def run(folder: Path, *arguments: str) -> str:
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True
    ).stdout


def mails(folder: Path) -> list[str]:
    return [path.read_text(encoding="utf-8") for path in sorted((folder / "mail").glob("*.eml"))]


def application(name):
    sys.modules.pop(name, None)
    return importlib.import_module(name)


def test_first_login(tmp_path):
    write_examples("README.md", tmp_path)
    assert run(tmp_path, "first.py") == "logged in: ann@example.org\n"
    assert mails(tmp_path)


ORIGIN = {"Origin": "https://example.org"}
FORM = {"identifier": "ann@example.org", "password": PASSWORD}


def asgi_client(app):
    from starlette.testclient import TestClient

    return TestClient(app, base_url="https://example.org", client=("203.0.113.7", 50000), headers=ORIGIN)


@pytest.mark.parametrize("framework", ["fastapi", "starlette"])
def test_asgi(folder, framework):
    pytest.importorskip(framework)
    pytest.importorskip("httpx2")
    with asgi_client(application(f"{framework}_app").app) as client:
        assert client.get("/").json() == {"email": None}
        refused = client.get("/me")
        assert (refused.status_code, refused.json()["code"]) == (401, "login_required")
        page = client.get("/me", headers={"Accept": "text/html"})
        assert (page.url.path, page.url.query) == ("/account/login", b"next=%2Fme")
        signed_up = client.post("/account/signup", data=GIVEN, follow_redirects=False)
        assert signed_up.headers["location"] == "/welcome"  # by the plugin
        cookies = signed_up.headers.get_list("set-cookie")
        assert any(each.startswith("referral=r1;") for each in cookies)
        assert any(each.startswith("__Host-authhost-session=") and "Secure" in each for each in cookies)
        assert "Welcome!" in client.get("/account/").text
        assert client.get("/me").json() == {"email": "ann@example.org"}
        client.post("/account/logout")
        assert client.get("/me").status_code == 401
        answer = client.post("/account/login", data={**FORM, "next": "/me"})
        assert answer.json() == {"email": "ann@example.org"}
        assert client.post("/account/logout", headers={"Origin": "https://evil.example"}).status_code == 403


def test_flask(folder):
    pytest.importorskip("flask")
    module = application("flask_app")
    client = module.app.test_client()
    at = {"base_url": "https://example.org", "headers": ORIGIN}
    assert client.get("/", **at).json == {"email": None}
    assert client.get("/me", **at).status_code == 401
    browser = {"base_url": "https://example.org", "headers": {**ORIGIN, "Accept": "text/html"}}
    assert client.get("/me", **browser).headers["Location"] == "/account/login?next=%2Fme"
    assert client.post("/account/signup", data=GIVEN, **at).headers["Location"] == "/welcome"
    assert client.get("/me", **at).json == {"email": "ann@example.org"}
    [path] = re.findall(r"/account/confirm-email/[\w-]+", mails(folder)[0].replace("=\n", ""))[:1]
    elsewhere = module.app.test_client()
    assert elsewhere.get(path, **at).headers["Location"] == "/account/confirm-email"
    wrong = elsewhere.post("/account/confirm-email", data={"password": "not hers"}, **at)
    assert (wrong.status_code, b"The password is not right." in wrong.data) == (400, True)
    confirmed = elsewhere.post("/account/confirm-email", data={"password": PASSWORD}, **at)
    assert confirmed.headers["Location"] == "/account/login"
    assert client.get("/me", **at).json == {"email": "ann@example.org"}
    assert client.post("/account/logout", **at).status_code == 303
    module.app.extensions["authhost"].close()


def test_own_tables_in_the_same_transaction(folder):
    pytest.importorskip("fastapi")
    pytest.importorskip("httpx2")
    module = application("notes_app")
    with asgi_client(module.app) as client:
        assert client.post("/notes", json={"text": "tea"}).status_code == 401
        client.post("/account/signup", data=GIVEN)
        assert client.post("/notes", json={"text": "tea"}).status_code == 200
        assert client.post("/notes", json={"text": "forbidden"}).status_code == 400
        assert client.get("/notes").json() == ["tea"]
        forged = client.post("/notes", json={"text": "x"}, headers={"Origin": "https://evil.example"})
        assert (forged.status_code, forged.json()["code"]) == (403, "cross_site")
        left = client.post("/leave")
        assert left.json() == {"closed": True}
        assert (
            'authhost-session=""' in left.headers["set-cookie"] or "Max-Age=0" in left.headers["set-cookie"]
        )
        assert client.get("/notes").status_code == 401
        with module.host.engine.connect() as connection:
            assert connection.execute(module.notes.select()).all() == []
    module.host.close()


def test_another_framework(folder):
    pytest.importorskip("litestar", reason="SKIPPED: the page's framework needs `pip install litestar`")
    pytest.importorskip("httpx2")
    write_examples("how-to/own-integration.md", folder)
    with asgi_client(application("litestar_app").app) as client:
        assert client.get("/").json() == {"email": None}
        refused = client.get("/me", headers={"Accept": "application/json"})
        assert (refused.status_code, refused.json()["code"]) == (401, "login_required")
        page = client.get("/me", headers={"Accept": "text/html"}, follow_redirects=False)
        assert page.headers["location"] == "/account/login?next=%2Fme"
        client.post("/account/signup", data=GIVEN)
        assert client.get("/me").json() == {"email": "ann@example.org"}


def test_test_of_a_site(folder):
    pytest.importorskip("fastapi")
    pytest.importorskip("httpx2")
    run(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_site.py")


def test_command_and_job(folder):
    write_examples("how-to/commands-and-jobs.md", folder)
    assert run(folder, "manage.py", "invite", "ann@example.org") == "ann@example.org has a link\n"
    assert any("/account/reset-password/" in mail.replace("=\n", "") for mail in mails(folder))
    assert "not used for a year: 0" in run(folder, "nightly.py")
