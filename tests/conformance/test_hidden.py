"""Faults that hide are found as well, and one that hangs or ends a thread ends no examination."""

from __future__ import annotations

import os
import warnings

import pytest

from authhost.testing.conformance import PluginUnderTest, check, runner, suite
from authhost.testing.conformance.context import CheckContext
from authhost.testing.conformance.report import Fault, Verdict
from authhost.testing.conformance.runner import run_check
from authhost.testing.conformance.side_effects import side_effect
from conformance import faulty, hidden

HIDDEN = [
    (hidden.WrapperRaises, "failures", "user_logged_in: raised ZeroDivisionError: planted"),
    (hidden.WrapperWrites, "outside", "user_logged_in: writes a file before the commit"),
    (hidden.WrapperChanges, "arguments", "user_logged_in: changes its argument user"),
    (hidden.EndsTransaction, "failures", "user_logged_in: leaves request.db unusable"),
    (hidden.Cancels, "outcomes", "ended with CancelledError"),
    (hidden.OpensByNumber, "outside", "user_logged_in: writes a file before the commit"),
    (hidden.FirstHost, "hosts", "a signup at one host changes rows of authhost_faulty_note of another"),
    (hidden.PrintsAtStart, "secrets", "the secret key is printed"),
    (hidden.WritesLate, "rollback", "rows of authhost_faulty_note survive a rollback"),
    (hidden.Encodes, "secrets", "a session token is stored in authhost_faulty_note.text"),
    (hidden.TellsInError, "secrets", "user_logged_in: a session token is in the text of an error"),
]


@pytest.mark.parametrize(
    ("kind", "check", "message"), HIDDEN, ids=[f"{kind.__name__}-{check}" for kind, check, _ in HIDDEN]
)
def test_a_hidden_fault_is_named(trial, kind, check, message, capsys):
    verdict = run_check(check, trial(kind()))
    assert verdict.outcome == "failed", verdict
    assert any(message in str(fault) for fault in verdict.faults), verdict
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("check", ["outcomes", "failures", "arguments", "edges", "outside"])
def test_a_wrapper_without_fault_passes(trial, check):
    verdict = run_check(check, trial(hidden.WrapsWell()))
    assert (verdict.outcome, verdict.faults) == ("passed", ())


def test_a_report_quotes_no_secret(trial):
    made = trial(hidden.TellsInError())
    made.with_plugin  # noqa: B018
    text = " ".join(str(fault) for name in ("failures", "secrets") for fault in run_check(name, made).faults)
    assert "[a session token]" in text
    assert not [what for secret, what in made.with_plugin.secrets.items() if secret in text]


def test_what_a_class_counts_too_early_is_a_note(trial):
    verdict = run_check("rollback", trial(hidden.CountsInClass()))
    assert "counts in memory what was rolled back (logins)" in str(verdict.faults[0])


@pytest.mark.parametrize("kind", [faulty.Hangs, hidden.HangsAtStart])
def test_one_that_hangs_ends_no_examination(kind, monkeypatch):
    monkeypatch.setattr(runner, "DEADLINE", 3.0)
    report = check(PluginUnderTest("faulty", kind()))
    (failed,) = (each for each in report.verdicts if each.outcome == "failed")
    assert "does not return within 3 seconds" in str(failed.faults[0])
    assert (report.passed, report.times) == (False, ())


def test_a_module_that_is_compiled_on_its_first_import_is_no_file_of_the_plugin():
    compiled = "/site/__pycache__/late.cpython-311.pyc"
    assert side_effect("os.rename", (f"{compiled}.1", compiled, -1, -1)) is None
    assert side_effect("os.mkdir", ("/site/__pycache__", 0o777, -1)) is None
    assert side_effect("open", (f"{compiled}.1", None, os.O_CREAT | os.O_WRONLY)) is None
    assert side_effect("os.rename", ("/site/a.txt", "/site/b.txt", -1, -1)) == "changes files"


def test_the_place_in_a_namespace_package(provider, tmp_path, monkeypatch):
    package = tmp_path / "planted_space" / "part"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("import authhost\nplugin = object()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import planted_space.part

    subject = PluginUnderTest("part", planted_space.part.plugin, entry_point="planted_space.part:plugin")
    (fault, *_) = run_check("independent", CheckContext(subject, tmp_path, provider)).faults
    assert (fault.where, subject.root) == ("__init__.py:1", package)


def test_a_note_fails_nothing_where_warnings_are_errors(trial, monkeypatch):
    noted = Verdict("rollback", "", "passed", (Fault("counts early", note=True),))
    monkeypatch.setattr(suite, "run_check", lambda *_: noted)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("error")
        suite.test_conformance(trial(faulty.Good()), "rollback")
    assert [str(each.message) for each in heard] == ["faulty: counts early"]
