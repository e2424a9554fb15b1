"""Each key is changed while several processes serve logins, resets, mails and second factors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from authhost_audit.signing import new_key
from authhost_audit.verification import verify
from authhost_audit.violations import Violation
from authhost_email.tables import outbox_table
from click.testing import CliRunner
from sqlalchemy import select

from authhost import AuthHost, Settings
from authhost.cli.main import cli
from authhost.operations.sealed_columns import count, key_use
from authhost.testing import CHEAP_HASH

FORMER, FORMER_ENCRYPTION = "the former secret key of 32 chars", "the former encryption key 32 chars"
PROCESSES = 2
PHASES = {
    "secret_key": ("distribute", "activate", "remove"),
    "encryption_keys": ("distribute", "activate", "re-encrypt", "remove"),
    "audit.signing_key": ("distribute", "activate", "close"),
}


class Worker:
    """A process of the site; see `key_load`."""

    def __init__(self, config, name):
        script = Path(__file__).with_name("key_load.py")
        self.process = subprocess.Popen(
            [sys.executable, script, config, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def answer(self):
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        return line.strip()

    def restart(self):
        """Let it read the settings again; returns when it has completed a round with them."""
        self.tell("restart")
        return int(self.answer())

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def close(self):
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def config(tmp_path, database_url, monkeypatch):
    for name in os.environ:
        if name.startswith("AUTHHOST_") and not name.startswith("AUTHHOST_TEST"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AUTHHOST_PLUGINS", "audit,email,keys,mfa")
    file = tmp_path / "authhost.toml"
    options = "\n".join(f'"{name}" = {value}' for name, value in CHEAP_HASH.items())
    file.write_text(
        f'secret_key = "{FORMER}"\nencryption_keys = ["{FORMER_ENCRYPTION}"]\n'
        f'database_url = "{database_url}"\nbase_url = "https://example.org"\nrate_limits = false\n'
        f"password_hash_wait = 60\n[password_hash_options]\n{options}\n"
        f'[plugins.email]\ndelivery = "manual"\ndirectory = "{tmp_path}/mail"\nmax_per_hour = 100000\n'
        f'[plugins.audit]\nsigning_key = "{new_key()[0]}"\n'
    )
    with AuthHost(Settings.load(file), upgrade_database=True):
        pass
    return file


def test_nobody_is_logged_out_and_nothing_is_lost(config):
    workers = [Worker(config, f"p{number}") for number in range(PROCESSES)]
    try:
        assert {each.answer() for each in workers} == {"started"}
        for name, phases in PHASES.items():
            for phase in phases:
                # All processes were restarted since the phase before, one after the other.
                arguments = ["--config", str(config), "keys", "rotate", name, "--phase", phase, "--yes"]
                result = CliRunner().invoke(cli, arguments)
                assert result.exit_code == 0, result.output
                for worker in workers:
                    worker.restart()
        for worker in workers:
            worker.tell("stop")
            assert int(worker.answer()) >= sum(map(len, PHASES.values()))
            assert worker.process.wait() == 0
    finally:
        for worker in workers:
            worker.close()
    settings = Settings.load(config)
    assert len(settings.secret_keys) == len(settings.encryption_keys) == 1
    assert FORMER not in config.read_text()
    assert FORMER_ENCRYPTION not in config.read_text()
    with AuthHost(settings) as host:
        assert key_use(host) == ({0: count(host)}, {})
        with host.reader.connect() as connection:
            statuses = set(connection.execute(select(outbox_table.c.status)).scalars())
        assert statuses <= {"pending", "sent", "superseded"}
        found = verify(host, host.plugin_settings("audit"), None)
        assert [each for each in found if isinstance(each, Violation)] == []
