"""The tour and the command line with all distributions installed."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytest.importorskip("authhost_audit")


def authhost(*arguments):
    return subprocess.run(
        [sys.executable, "-c", "from authhost.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_tour():
    done = authhost("tour", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    steps = [line for line in lines if "step" in line]
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(steps) == 31
    assert all(step["expected"] for step in steps)
    assert sum("mail" in line for line in lines) >= 6


def test_plugins_list():
    rows = [json.loads(line) for line in authhost("plugins", "list", "--json").stdout.splitlines()]
    assert [(row["name"], row["status"]) for row in rows] == [
        ("analytics", "loaded"),
        ("audit", "loaded"),
        ("breached_passwords", "loaded"),
        ("email", "loaded"),
    ]


def test_contract_imports_only_pluggy():
    code = (
        "import sys, authhost_hookspecs; "
        "bad = {'sqlalchemy', 'authhost', 'click', 'passlib'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
