"""A short run of the benchmark, which checks each count of a simulated year."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "analytics.py"


def test_all_counts_of_a_simulated_year_are_correct(database_url):
    done = subprocess.run(
        [
            sys.executable,
            str(SCRIPT),
            *("--users", "700", "--events", "12000", "--database", database_url, "--json"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["wrong"] == []
    assert found["events"] >= 12000
    assert {what for what, numbers, _ in found["off"] if numbers > 10} == {
        "unique users by day",
        "unique users by week",
        "unique users by month",
        "cohorts",
    }
    assert "12,000 of 12,000" in done.stderr
