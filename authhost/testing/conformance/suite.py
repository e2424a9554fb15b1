"""The suite as tests, which ``pytest --authhost-conformance NAME`` collects."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest

from authhost.testing.conformance.run import CHECKS, run, trial_of
from authhost.testing.conformance.subject import NoSuchPlugin, subject_of
from authhost.testing.conformance.trial import Trial


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each check of each plugin is a test."""
    names = metafunc.config.getoption("--authhost-conformance")
    metafunc.parametrize("trial", names, indirect=True, scope="module")
    metafunc.parametrize("check", CHECKS)


@pytest.fixture(scope="module")
def trial(request: pytest.FixtureRequest) -> Iterator[Trial]:
    """One examination of one plugin."""
    name, settings = request.param, {}
    for each in request.config.getoption("--authhost-set"):
        key, equals, value = each.partition("=")
        plugin, dot, setting = key.partition(".")
        if not (equals and dot):
            raise pytest.UsageError(f"--authhost-set {each} is no NAME.KEY=VALUE")
        if plugin == name:
            settings[setting] = value
    try:
        subject = subject_of(name, settings)
    except NoSuchPlugin as error:
        pytest.fail(str(error), pytrace=False)
    with trial_of(subject) as made:
        yield made


def test_conformance(trial: Trial, check: str) -> None:
    """The plugin keeps what one check asks."""
    verdict = run(check, trial)
    with warnings.catch_warnings():
        warnings.simplefilter("always")  # a note fails nothing, under `filterwarnings = error` neither
        for fault in verdict.faults:
            if fault.note:
                warnings.warn(f"{trial.subject.name}: {fault}", stacklevel=1)
    if verdict.outcome == "skipped":
        pytest.skip(str(verdict.faults[0]))
    if verdict.outcome == "failed":
        faults = [f"- {fault}" for fault in verdict.faults if not fault.note]
        pytest.fail("\n".join([verdict.asks, *faults]), pytrace=False)
