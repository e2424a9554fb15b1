"""Each scenario signals alike on both sides, but for what the documentation lists."""

from __future__ import annotations

import os
import re
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

pytest.importorskip("allauth")
pytest.importorskip("fido2")
pytest.importorskip("authhost_mfa")
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
sys.path.insert(0, str(Path(__file__).parent))

import factor_scenarios  # noqa: F401 - it adds its scenarios
from drivers import Allauth, Authhost, Call
from factors import FACTOR_SIGNALS, HOOK_ARGUMENTS
from scenarios import SCENARIOS, Scenario

from authhost.testing import Clock

TABLE = Path(__file__).parents[2] / "docs" / "parity.md"
UNDOCUMENTED = {"response", "sociallogin"}
"""What django-allauth hands receivers beside the documented arguments."""


def listed() -> dict[str, tuple[str, str]]:
    """The differences of the documentation: scenario to (django-allauth, authhost)."""
    rows = re.findall(
        r"^\| `(.+?)` \| (.+?) \| (.+?) \| .+? \|$", TABLE.read_text(encoding="utf-8"), re.MULTILINE
    )
    return {name: (theirs, ours) for name, theirs, ours in rows}


def shown(calls: list[Call], others: list[Call]) -> str:
    """The calls that the other side has not, in the words of the table."""
    rest = list(others)
    found = []
    for name, values in calls:
        if (name, values) in rest:
            rest.remove((name, values))
        else:
            found.append(f"{name}({', '.join(f'{key}={value}' for key, value in values.items())})")
    return "; ".join(found) or "nothing"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[each.name for each in SCENARIOS])
def test_signals_alike(scenario: Scenario, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    options = dict(scenario.options)
    if "provider" in options:
        options["openid"] = request.getfixturevalue("openid")
    start = datetime.now(UTC)
    with closing(Allauth(Clock(start), **options)) as theirs:
        scenario.run(theirs)
    with closing(Authhost(f"sqlite:///{tmp_path / 'parity.sqlite3'}", Clock(start), **options)) as ours:
        scenario.run(ours)
    assert theirs.extras <= UNDOCUMENTED
    expected = listed().get(scenario.name)
    if expected is None:
        assert ours.calls == theirs.calls
    else:
        assert (shown(theirs.calls, ours.calls), shown(ours.calls, theirs.calls)) == expected


def test_each_listed_difference_has_its_scenario() -> None:
    assert set(listed()) <= {each.name for each in SCENARIOS}


def test_each_signal_of_allauth_mfa_is_compared() -> None:
    from allauth.mfa import signals
    from django.dispatch import Signal

    names = {name for name, value in vars(signals).items() if isinstance(value, Signal)}
    assert names == set(FACTOR_SIGNALS) == set(HOOK_ARGUMENTS)
