"""SIGKILL between any two statements leaves no half-done flow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("authhost_audit")
POINTS, SEED = 200, 20260101


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_200_random_points(database_url: str, tmp_path: Path) -> None:
    script = Path(__file__).with_name("crash.py")
    done = subprocess.run(
        [sys.executable, str(script), database_url, str(POINTS), str(SEED), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"killed at {POINTS} points" in done.stdout
