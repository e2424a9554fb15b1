"""The checks as pytest tests. ``pytest --authhost-conformance NAME`` collects this file."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest

from authhost.testing.conformance.checked_plugin import NoSuchPlugin, find_plugin
from authhost.testing.conformance.context import CheckContext
from authhost.testing.conformance.runner import CHECKS, new_context, run_check


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test of each check of each plugin."""
    names = metafunc.config.getoption("--authhost-conformance")
    metafunc.parametrize("context", names, indirect=True, scope="module")
    metafunc.parametrize("check", CHECKS)


@pytest.fixture(scope="module")
def context(request: pytest.FixtureRequest) -> Iterator[CheckContext]:
    """The context of one plugin, which all its checks share."""
    name, settings = request.param, {}
    for each in request.config.getoption("--authhost-set"):
        key, equals, value = each.partition("=")
        plugin, dot, setting = key.partition(".")
        if not (equals and dot):
            raise pytest.UsageError(f"--authhost-set {each} is not of the form NAME.KEY=VALUE")
        if plugin == name:
            settings[setting] = value
    try:
        checked = find_plugin(name, settings)
    except NoSuchPlugin as error:
        pytest.fail(str(error), pytrace=False)
    with new_context(checked) as made:
        yield made


def test_conformance(context: CheckContext, check: str) -> None:
    """The plugin passes one check. Notes become warnings."""
    verdict = run_check(check, context)
    with warnings.catch_warnings():
        warnings.simplefilter("always")  # a note does not fail, even under `filterwarnings = error`
        for fault in verdict.faults:
            if fault.note:
                warnings.warn(f"{context.checked.name}: {fault}", stacklevel=1)
    if verdict.outcome == "skipped":
        pytest.skip(str(verdict.faults[0]))
    if verdict.outcome == "failed":
        faults = [f"- {fault}" for fault in verdict.faults if not fault.note]
        pytest.fail("\n".join([verdict.asks, *faults]), pytrace=False)
