"""Inclusion proofs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from authhost_audit.proofs import proof

from audit.trail import PUBLIC, first_record, settings_of


def script():
    """Return the script in the documentation."""
    page = (Path(__file__).parents[2] / "docs" / "audit.md").read_text(encoding="utf-8")
    [found] = re.findall(r"```python title=\"check_proof.py\"\n(.*?)```", page, re.DOTALL)
    return found


def test_a_proof_is_checked_by_a_script_of_thirty_lines(trail, tmp_path):
    assert len(script().splitlines()) <= 30
    file = tmp_path / "proof.json"
    proved = proof(trail, settings_of(trail), first_record(trail))

    def checked(value):
        file.write_text(json.dumps(value))
        done = subprocess.run(
            [sys.executable, "-c", script(), str(file), PUBLIC], capture_output=True, text=True, check=False
        )
        return done.returncode == 0, done.stdout

    assert checked(proved)[0]
    assert "user_" in checked(proved)[1]
    for change in (
        {"record": {**proved["record"], "event": "another"}},
        {"path": proved["path"][1:]},
        {"seal": {**proved["seal"], "root": "00" * 32}},
        {"signature": "00" * 64},
        {"kind": 1 - proved["kind"]},
    ):
        assert not checked({**proved, **change})[0]
