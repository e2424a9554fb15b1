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


@pytest.mark.parametrize("framework", ["fastapi", "starlette"])
def test_asgi(folder, framework):
    pytest.importorskip(framework)
    pytest.importorskip("httpx2")
    from starlette.testclient import TestClient

    app = application(f"{framework}_app").app
    with TestClient(app, base_url="https://example.org", client=("203.0.113.7", 50000)) as client:
        assert client.get("/me").json() == {"email": None}
        answer = client.post("/signup", json=GIVEN)
        assert answer.json() == {"waits_for": None, "messages": ["Welcome!"], "next": "/welcome"}
        cookie = answer.headers["set-cookie"].lower()
        assert "referral=r1; httponly; path=/; samesite=lax; secure" in cookie
        for part in ("__host-session=", "secure", "httponly", "samesite=lax", "path=/"):
            assert part in cookie
        assert client.get("/me").json() == {"email": "ann@example.org"}
        assert client.post("/logout").status_code in (200, 204)
        assert client.get("/me").json() == {"email": None}
        refused = client.post("/login", json=GIVEN | {"password": "wrong"})
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_credentials")
        assert client.post("/login", json=GIVEN).status_code == 200
        assert client.get("/me").json() == {"email": "ann@example.org"}
        form = client.post("/login", content=b'{"email": "a", "password": "b"}')
        assert form.status_code in (415, 422)


def test_flask(folder):
    pytest.importorskip("flask")
    module = application("flask_app")
    client = module.app.test_client()
    at = {"base_url": "https://example.org"}
    answer = client.post("/signup", json=GIVEN, **at)
    assert answer.json == {"waits_for": None, "messages": ["Welcome!"], "next": "/welcome"}
    assert "referral=r1; Secure; HttpOnly; Path=/; SameSite=Lax" in answer.headers.getlist("Set-Cookie")
    assert client.get("/me", **at).json == {"email": "ann@example.org"}
    [path] = re.findall(r"/account/confirm-email/[\w-]+", mails(folder)[0].replace("=\n", ""))[:1]
    assert b"<button>" in client.get(path, **at).data
    elsewhere = module.app.test_client()
    wrong = elsewhere.post(path, data={"password": "not hers"}, **at)
    assert (wrong.status_code, wrong.json["code"]) == (400, "invalid_credentials")
    confirmed = elsewhere.post(path, data={"password": GIVEN["password"]}, **at).json
    assert confirmed == {"email": "ann@example.org", "recovered": False}
    assert client.post(path, **at).json["code"] == "invalid_key"
    assert client.post("/logout", **at).status_code == 204
    assert client.get("/me", **at).json == {"email": None}
    assert client.post("/login", data=GIVEN, **at).status_code == 415
    module.site.close()


def test_test_of_a_site(folder):
    pytest.importorskip("fastapi")
    pytest.importorskip("httpx2")
    run(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_site.py")


def test_command_and_job(folder):
    write_examples("how-to/commands-and-jobs.md", folder)
    assert run(folder, "manage.py", "invite", "ann@example.org") == "ann@example.org has a link\n"
    assert any("/account/reset-password/" in mail.replace("=\n", "") for mail in mails(folder))
    assert "not used for a year: 0" in run(folder, "nightly.py")
