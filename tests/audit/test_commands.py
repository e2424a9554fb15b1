"""The command line of the trail."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys

import pytest
from conftest import PASSWORD

from audit.trail import ANN
from authhost import AuthHost, Settings


def audit(file, *arguments, code=0, **environment):
    done = subprocess.run(
        [sys.executable, "-m", "authhost.cli", "--config", str(file), "audit", *arguments],
        env={
            **os.environ,
            "AUTHHOST_SECRET_KEY": "9rZkQ2vX7mLwT4pYc8sBnH1jUeGdFa6oViKx0tRqW3yEzNhP",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def test_the_command_line(tmp_path):
    file = tmp_path / "site.toml"
    file.write_text(
        f'database_url = "sqlite:///{tmp_path / "site.sqlite3"}"\nemail_verification = "none"\n'
        f'[plugins.audit]\ncheckpoint_file = "{tmp_path / "checkpoints"}"\n'
    )
    settings = Settings.load(file, secret_key="k" * 48, blocked_plugins=("email", "analytics"))
    with AuthHost(settings, upgrade_database=True) as host, host.request() as request:
        host.account.signup(request, email=ANN, password=PASSWORD)
    key = audit(file, "new-key").strip().partition("=")[2]
    environment = {"AUTHHOST_PLUGINS__AUDIT__SIGNING_KEY": key, "AUTHHOST_BLOCKED_PLUGINS": "email,analytics"}
    assert (
        "signing_key"
        in subprocess.run(
            [sys.executable, "-m", "authhost.cli", "--config", str(file), "audit", "seal"],
            env={
                **os.environ,
                "AUTHHOST_SECRET_KEY": "k1" * 24,
                "AUTHHOST_BLOCKED_PLUGINS": "email,analytics",
            },
            capture_output=True,
            text=True,
            check=False,
        ).stderr
    )
    assert "nothing is sealed" in audit(file, "verify", code=1, **environment)
    line = json.loads(audit(file, "verify", "--json", code=1, **environment))
    assert (line["unsealed"], line["intact"], line["record"]) == (4, False, None)
    assert "batch 1: 5 records" in audit(file, "seal", **environment)
    assert "5 sealed records are as they were sealed" in audit(file, "verify", **environment)
    [line] = audit(file, "search", "--event", "user_logged_in", "--json", **environment).splitlines()
    record = json.loads(line)
    assert json.loads(audit(file, "proof", record["id"], **environment))["record"]["id"] == record["id"]
    output = tmp_path / "export.csv"
    audit(file, "export", "--format", "csv", "-o", str(output), **environment)
    assert "1 records are not sealed yet, the oldest of 20" in audit(file, "verify", **environment)
    summary = json.loads(audit(file, "verify", "--json", **environment))
    assert (summary["intact"], summary["unsealed"], summary["notes"]) == (True, 1, [])
    assert len(output.read_text().splitlines()) == 1 + 6
    assert "0 records were deleted" in audit(file, "prune", **environment)
    assert "3 records have no personal part" in audit(
        file, "forget", record["user_id"], "--yes", **environment
    )
    assert "nobody is to receive it" in _error(file, "forward", environment)
    with sqlite3.connect(tmp_path / "site.sqlite3") as connection:
        connection.execute("UPDATE authhost_audit_event SET outcome = 'x' WHERE event = 'user_logged_in'")
    assert record["id"] in audit(file, "verify", "--json", code=1, **environment)
    assert "this is no identifier" in _error(file, "proof", environment, "x", code=2)
    assert "not as it was sealed" in _error(file, "proof", environment, record["id"])
    assert "there is no file" in _error(file, "verify", environment, "--checkpoint", "/nowhere")
    assert "cannot be written" in _error(file, "export", environment, "-o", "/nowhere/at/all")


def _error(file, command, environment, *arguments, code=1):
    done = subprocess.run(
        [sys.executable, "-m", "authhost.cli", "--config", str(file), "audit", command, *arguments],
        env={**os.environ, "AUTHHOST_SECRET_KEY": "k1" * 24, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    return done.stderr


@pytest.mark.parametrize("command", [("tail", "-f"), ("seal", "--every", "60")])
def test_ctrl_c_is_the_end_and_no_failure(tmp_path, command):
    url = f"sqlite:///{tmp_path / 'site.sqlite3'}"
    settings = Settings.load(database_url=url, secret_key="k" * 48, email_verification="none")
    with AuthHost(settings, upgrade_database=True) as host, host.request() as request:
        host.account.signup(request, email=ANN, password=PASSWORD)
    key = audit("/dev/null", "new-key").strip().partition("=")[2]
    process = subprocess.Popen(
        [sys.executable, "-m", "authhost.cli", "audit", *command],
        env={
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            "AUTHHOST_DATABASE_URL": url,
            "AUTHHOST_SECRET_KEY": "k" * 48,
            "AUTHHOST_EMAIL_VERIFICATION": "none",
            "AUTHHOST_PLUGINS__AUDIT__SIGNING_KEY": key,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Who runs the tests in the background has told them to ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[1] == ""
    assert process.returncode == 0
