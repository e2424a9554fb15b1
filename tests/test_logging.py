"""What an application that logs at INFO gets to read of the libraries that authhost works with: nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

SECRET = "9rZkQ2vX7mLwT4pYc8sBnH1jUeGdFa6oViKx0tRqW3yEzNhP"
RUN = """
import json, logging, sys
from contextlib import redirect_stdout


class Records(logging.Handler):
    def emit(self, record):
        found.append([record.name, record.levelname, record.getMessage()])


found = []
logging.basicConfig(level=logging.INFO, handlers=[Records()])
logging.getLogger("mail.log").setLevel(logging.WARNING)  # the SMTP server that the tour starts

from authhost.cli.main import cli
from authhost import AuthHost, Settings

codes = []
with redirect_stdout(sys.stderr):
    for command in json.loads(sys.argv[1]):
        try:
            cli(command.split())
        except SystemExit as end:
            codes.append(end.code)
    with AuthHost(Settings.load()):
        pass
print(json.dumps([codes, found]))
"""
COMMANDS = (
    "db upgrade",
    "db current",
    "check",
    "providers list",
    "plugins time --rounds 1",  # every flow
    "tour",  # with real mails
)


def test_no_library_logs_into_the_applications_log(tmp_path):
    """In a process of its own: some libraries log when they are imported."""
    for name in ("aiosmtpd", "oidc_provider_mock", "authhost_audit", "authhost_email", "authhost_analytics"):
        pytest.importorskip(name)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AUTHHOST_")}
    done = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(COMMANDS)],
        env={**kept, "AUTHHOST_SECRET_KEY": SECRET},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    codes, found = json.loads(done.stdout.splitlines()[-1])
    assert codes == [0] * len(COMMANDS), done.stderr
    # authhost's own warnings are for the operator.
    assert [each for each in found if not each[0].startswith("authhost") or each[1] == "INFO"] == []
