"""``authhost serve`` and its demo, as real processes over HTTP on loopback."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

pytest.importorskip("werkzeug", reason="SKIPPED: the web layer needs `pip install authhost[web]`")

PASSWORD = "green teapots sing at dawn"
TIMEOUT = 60


@contextmanager
def running(folder, *arguments, end=signal.SIGINT):
    """Start the command; yield the process and the address that it prints. Ends it with a signal."""
    command = [sys.executable, "-c", "from authhost.cli import main; main()", "serve", *arguments]
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            lines = []
            for line in process.stdout:
                lines.append(line)
                found = re.search(r"http://localhost:\d+", line)
                if found:
                    yield process, found[0]
                    break
            else:
                raise AssertionError("".join(lines))
        finally:
            if process.poll() is None:
                process.send_signal(end)
            process.wait(TIMEOUT)


def test_the_demo_from_signup_to_the_audit_trail(tmp_path):
    pytest.importorskip("waitress", reason="SKIPPED: the demo needs waitress")
    pytest.importorskip("authhost_audit", reason="SKIPPED: the demo shows the plugin audit")
    with running(tmp_path, "--demo", "--port", "0") as (process, url):
        browser = requests.Session()
        browser.headers.update({"Sec-Fetch-Site": "same-origin", "Accept": "text/html"})
        start = browser.get(url, timeout=TIMEOUT)
        assert "A site with authhost" in start.text
        assert "Local provider" in browser.get(f"{url}/account/login", timeout=TIMEOUT).text
        values = {"email": "ann@example.org", "password": PASSWORD}
        waiting = browser.post(f"{url}/account/signup", data=values, timeout=TIMEOUT)
        assert "ann@example.org" in waiting.text
        link = None
        for _ in range(200):
            mails = browser.get(f"{url}/account/demo/mails", timeout=TIMEOUT).text
            if link := re.search(rf'href="({url}/account/confirm-email/[^"]+)"', mails):
                break
        assert link is not None, mails
        browser.get(link[1], timeout=TIMEOUT)
        account = browser.post(f"{url}/account/confirm-email", timeout=TIMEOUT)
        assert "Logged in as ann@example.org." in account.text
        assert "user_logged_in" in browser.get(f"{url}/account/demo/audit", timeout=TIMEOUT).text
        assert browser.get(f"{url}/demo/analytics", timeout=TIMEOUT).status_code == 200
        assert any(tmp_path.iterdir())
    assert process.returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_a_process_manager_ends_the_demo_without_remains(tmp_path):
    pytest.importorskip("waitress", reason="SKIPPED: the demo needs waitress")
    with running(tmp_path, "--demo", "--port", "0", end=signal.SIGTERM) as (process, url):
        assert requests.get(url, timeout=TIMEOUT).status_code == 200
        assert any(tmp_path.iterdir())
    assert process.returncode == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("server", ["waitress", "gunicorn", "uvicorn"])
def test_a_site_with_each_server(tmp_path, server):
    pytest.importorskip(server, reason=f"SKIPPED: {server} is not installed")
    from click.testing import CliRunner

    from authhost.cli.main import cli

    config = str(tmp_path / "authhost.toml")
    assert CliRunner().invoke(cli, ["init", "--path", config]).exit_code == 0
    assert CliRunner().invoke(cli, ["--config", config, "db", "upgrade"]).exit_code == 0
    port = _free_port()
    with running(tmp_path, "--port", str(port), "--server", server) as (process, url):
        assert "base_url is http://localhost:8000: links in e-mails" in process.stdout.readline()
        page = _first_answer(f"{url}/")
        assert "<h1>Log in</h1>" in page.text
        assert page.headers["Content-Security-Policy"]
        assert requests.get(f"{url}/nonsense", timeout=TIMEOUT).status_code == 404
        values = {"email": "ann@example.org", "password": PASSWORD}
        done = requests.post(f"{url}/account/api/signup", json=values, timeout=TIMEOUT)
        assert done.json()["authenticated"] is True, done.text
    assert process.returncode in (0, 130, -signal.SIGINT)


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("127.0.0.1", "http://localhost:8000"),
        ("::1", "http://localhost:8000"),
        ("0.0.0.0", "http://localhost:8000"),
        ("192.0.2.7", "http://192.0.2.7:8000"),
        ("2001:db8::7", "http://[2001:db8::7]:8000"),
    ],
)
def test_the_printed_address_works_for_passkeys(address, url):
    from authhost.cli.serve.servers import address_for_browsers

    assert address_for_browsers(address, 8000) == url


def test_an_address_that_is_in_use(tmp_path):
    import socket

    pytest.importorskip("waitress", reason="SKIPPED: the demo needs waitress")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [
            sys.executable,
            "-c",
            "from authhost.cli import main; main()",
            "serve",
            "--demo",
            "--port",
            port,
        ]
        told = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
    assert told.returncode == 2
    assert f"127.0.0.1:{port} cannot be used" in told.stderr
    assert "Traceback" not in told.stderr


REFUSED = "name an IP address or a host name"
UNUSABLE = "cannot be used: "
ADDRESSES = {
    "": REFUSED,
    "--port": UNUSABLE,
    "x\r\n\x1b[2J\x1b]0;title\x07": REFUSED,
    "127.0.0.1:80/../$(id)": REFUSED,
    "http://localhost": REFUSED,
    "[::1]": REFUSED,
    "\u0661.0.0.1": REFUSED,
    "a" * 10_000: REFUSED,
    "a" * 255: UNUSABLE,
    "a..b": UNUSABLE,
    ":::": UNUSABLE,
    "::1%nope": UNUSABLE,
    "192.0.2.1": UNUSABLE,
}


def test_addresses_that_cannot_be_used(tmp_path):
    pytest.importorskip("waitress", reason="SKIPPED: the demo needs waitress")
    from click.testing import CliRunner

    from authhost.cli.main import cli

    config = str(tmp_path / "authhost.toml")
    for command in (["init", "--path", config], ["--config", config, "db", "upgrade"]):
        assert CliRunner().invoke(cli, command).exit_code == 0
    for address, reason in ADDRESSES.items():
        for options in (["--demo"], ["--server", "waitress"]):
            done = CliRunner().invoke(cli, ["--config", config, "serve", *options, f"--host={address}"])
            assert done.exit_code == 2, (address, done.output)
            assert re.search(reason, done.stderr), (address, done.stderr)
            assert "--host" in done.stderr
            assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", done.output)
            assert max(map(len, done.stderr.splitlines())) < 2_000


def test_an_ipv6_address_has_brackets_for_gunicorn():
    util = pytest.importorskip("gunicorn.util", reason="SKIPPED: gunicorn is not installed")
    from authhost.cli.serve.servers import joined

    assert util.parse_address(joined("::1", 8000)) == ("::1", 8000)


def test_a_database_that_is_not_there(tmp_path):
    Path(tmp_path, "authhost.toml").write_text(f'secret_key = "{"k" * 40}"\n')
    told = told_by(tmp_path)
    assert told.returncode == 2
    assert "authhost db upgrade" in told.stderr


def told_by(folder, *arguments):
    command = [sys.executable, "-c", "from authhost.cli import main; main()", "serve", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT, check=False)


def _free_port():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def _first_answer(url):
    """The answer of a server that is starting: the kernel refuses connections until it listens."""
    from urllib3.util import Retry

    session = requests.Session()
    session.mount(
        "http://", requests.adapters.HTTPAdapter(max_retries=Retry(connect=50, backoff_factor=0.02))
    )
    return session.get(url, timeout=TIMEOUT)


@pytest.mark.parametrize("server", ["waitress", "gunicorn", "uvicorn"])
def test_servers_log_as_json(tmp_path, monkeypatch, server):
    pytest.importorskip(server)
    monkeypatch.setenv("AUTHHOST_LOG_FORMAT", "json")
    monkeypatch.setenv("AUTHHOST_SECRET_KEY", "k" * 48)
    monkeypatch.setenv("AUTHHOST_PLUGINS", "")
    monkeypatch.setenv("AUTHHOST_EMAIL_VERIFICATION", "none")
    url = f"sqlite:///{tmp_path / 'site.sqlite3'}"
    monkeypatch.setenv("AUTHHOST_DATABASE_URL", url)
    command = [sys.executable, "-c", "from authhost.cli import main; main()", "db", "upgrade"]
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)
    port = _free_port()
    monkeypatch.setenv("AUTHHOST_BASE_URL", f"http://localhost:{port}")
    with running(tmp_path, "--port", str(port), "--server", server) as (process, url):
        assert _first_answer(f"{url}/account/healthz").json() == {"status": "ok"}
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read().splitlines()
    assert [each for each in rest if not each.startswith("{") and each not in ("", "Aborted!")] == []
    if server == "gunicorn":
        assert "gunicorn.error" in {json.loads(each)["logger"] for each in rest}
