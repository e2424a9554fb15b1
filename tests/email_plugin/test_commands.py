"""``authhost email``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import ThreadingHTTPServer
from urllib.request import urlopen

import pytest
from authhost_email import commands
from authhost_email.languages import SHIPPED
from authhost_email.outbox import Outbox
from authhost_email.preview import server as preview_server
from authhost_email.rendering import KINDS
from authhost_email.settings import EmailSettings
from click.testing import CliRunner
from conftest import CHEAP, PASSWORD
from sqlalchemy.exc import OperationalError

from authhost import AuthHost, Settings
from email_plugin.post import ANN, outbox


def email(file, *arguments, code=0):
    done = subprocess.run(
        [sys.executable, "-m", "authhost.cli", "--config", str(file), "email", *arguments],
        env={**os.environ, "AUTHHOST_SECRET_KEY": "k1" * 24, "AUTHHOST_BLOCKED_PLUGINS": "audit,analytics"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_command_line(tmp_path):
    file = tmp_path / "site.toml"
    file.write_text(
        f'database_url = "sqlite:///{tmp_path / "site.sqlite3"}"\n'
        f'[plugins.email]\ndelivery = "manual"\ndirectory = "{tmp_path / "mail"}"\n'
    )
    settings = Settings.load(
        file, secret_key="k" * 48, blocked_plugins=("audit", "analytics"), password_hash_options=CHEAP
    )
    with AuthHost(settings, upgrade_database=True) as host, host.request(language="de") as request:
        host.account.signup(request, email=ANN, password=PASSWORD)
    listed = [json.loads(line) for line in email(file, "outbox", "--json").splitlines()]
    assert [(each["kind"], each["language"]) for each in listed][:1] == [("email_confirmation", "de")]
    assert "key" not in email(file, "outbox")
    assert "it will not be sent" in email(file, "cancel", listed[0]["id"])
    assert "no such message" in email(file, "retry", listed[0]["id"], code=1)
    assert "nothing will be sent" in email(file, "suppress", "Bounced@example.org")
    assert "suppressed already" in email(file, "suppress", "bounced@example.org", code=1)
    assert "bounced@example.org" in email(file, "suppressed", "--json")
    assert "gets mail again" in email(file, "allow", "bounced@example.org")
    assert "1 sent" in email(file, "deliver")  # the welcome
    assert "0 messages were deleted" in email(file, "clean")
    assert "file took it" in email(file, "send-test", "me@example.org", "--language", "ja")
    assert "Réinitialise" in email(file, "preview", "password_reset", "--language", "fr")
    assert "name a message" in email(file, "preview", code=2)
    assert len(list((tmp_path / "mail").glob("*.eml"))) == 2


@pytest.mark.parametrize("given", ["ann@xn--exmple-cua.org", " ann@exämple.org "])
def test_suppressing_as_a_bounce_says_it(make, fake, run, given):
    host = make(email={"transport": "fake"})
    run(host, "request_password_reset", email="ann@exämple.org")
    done = CliRunner().invoke(commands.email, ["suppress", given], obj=lambda: host)
    assert done.exit_code == 0, done.output
    assert outbox(host).deliver_pending() == 0


def test_a_worker_outlives_its_database(make, monkeypatch):
    host = make(email={"transport": "console"})
    calls = []

    def deliver(self):
        calls.append(None)
        if len(calls) == 1:
            raise OperationalError("SELECT", {}, Exception("the server restarts"))
        raise KeyboardInterrupt

    class Now:
        def wait(self, seconds):
            pass

    monkeypatch.setattr(Outbox, "deliver_pending", deliver)
    monkeypatch.setattr(commands, "NEVER", Now())
    done = CliRunner().invoke(commands.email, ["worker"], obj=lambda: host)
    assert (done.exit_code, done.output) == (0, "")
    assert len(calls) == 2


def test_the_preview_ends_with_ctrl_c(make, monkeypatch):
    host = make()

    def serve(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(ThreadingHTTPServer, "serve_forever", serve)
    done = CliRunner().invoke(commands.email, ["preview", "--serve", "--port", "0"], obj=lambda: host)
    assert (done.exit_code, done.stderr) == (0, "")


def test_what_looks_like_markup_is_shown_as_it_is(make):
    host = make()
    runner = CliRunner()
    runner.invoke(
        commands.email, ["suppress", ANN, "--reason", "see [/var/log/mail] and [bold]"], obj=lambda: host
    )
    done = runner.invoke(commands.email, ["suppressed"], obj=lambda: host)
    assert done.exit_code == 0
    assert "[bold]" in done.output.replace("\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["outbox", "-n", "-1"],
        ["preview", "--serve", "--port", "99999"],
        ["send-test", "a\nb"],
        ["suppress", "ann"],
    ],
)
def test_wrong_input(make, arguments):
    host = make(email={"transport": "file"})
    done = CliRunner().invoke(commands.email, arguments, obj=lambda: host)
    assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
    assert done.exit_code != 0


def test_a_port_that_is_taken(make):
    host = make()
    with preview_server(EmailSettings(), 0) as taken:
        arguments = ["preview", "--serve", "--port", str(taken.server_port)]
        done = CliRunner().invoke(commands.email, arguments, obj=lambda: host)
    assert "cannot be had" in done.output
    assert done.exit_code == 1


@pytest.mark.parametrize("arguments", [["send-test", ANN], ["deliver"]])
def test_by_a_transport_that_there_is_not(make, arguments):
    host = make(email={"transport": "pigeon"})
    done = CliRunner().invoke(commands.email, arguments, obj=lambda: host)
    assert isinstance(done.exception, SystemExit), repr(done.exception)
    assert done.exit_code == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("Error: there is no transport 'pigeon'; there are smtp,")


def test_the_preview_shows_all():
    with preview_server(EmailSettings(), 0) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        address = f"http://127.0.0.1:{running.server_port}"
        index = urlopen(f"{address}/").read().decode()
        assert index.count("/html?") == len(KINDS) * len(SHIPPED)
        shown = urlopen(f"{address}/html?kind=welcome&language=ar").read().decode()
        assert 'dir="rtl"' in shown
        text = urlopen(f"{address}/text?kind=welcome&language=de").read().decode()
        assert text.splitlines()[0] != "Welcome to Example"
        with pytest.raises(OSError, match="404"):
            urlopen(f"{address}/html?kind=nothing")
        running.shutdown()
        thread.join()
