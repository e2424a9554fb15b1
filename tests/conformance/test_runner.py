"""The runner passes plugins without a fault, and survives checks that hang or break."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import pytest

from authhost.testing import conformance
from authhost.testing.conformance import (
    CHECKS,
    CheckedPlugin,
    NoSuchPlugin,
    check,
    find_plugin,
    runner,
    suite,
)
from authhost.testing.conformance.report import Fault, Verdict
from authhost.testing.conformance.runner import run_check
from conformance.plugins import FaultlessPlugin, FaultlessWrapper, NeverReturns, NeverStarts, UnknownHook


def test_plugin_without_fault_passes(new_context):
    context = new_context(FaultlessPlugin())
    verdicts = [run_check(name, context) for name in CHECKS]
    assert [verdict for verdict in verdicts if verdict.outcome != "passed"] == []


def test_wrapper_without_fault_passes(new_context):
    context = new_context(FaultlessWrapper())
    for name in ("outcomes", "failures", "arguments", "edges", "outside"):
        verdict = run_check(name, context)
        assert (verdict.outcome, verdict.faults) == ("passed", ())


def test_checks_are_skipped_for_a_plugin_that_is_refused(new_context):
    verdict = run_check("outcomes", new_context(UnknownHook()))
    assert verdict.outcome == "skipped"
    assert "the host does not accept the plugin" in str(verdict.faults[0])


def test_check_that_raises_is_a_fault(new_context, monkeypatch):
    context = new_context(FaultlessPlugin())
    monkeypatch.setattr(context, "_with_plugin", SimpleNamespace(rows=None, secrets={}))
    verdict = run_check("secrets", context)
    assert verdict.outcome == "failed"
    assert "the check ended with AttributeError" in str(verdict.faults[0])


@pytest.mark.parametrize("plugin", [NeverReturns, NeverStarts])
def test_check_that_hangs_does_not_stop_the_suite(plugin, monkeypatch):
    monkeypatch.setattr(runner, "DEADLINE", 3.0)
    verdicts = []
    report = check(CheckedPlugin("faulty", plugin()), on_verdict=verdicts.append)
    assert tuple(verdicts) == report.verdicts
    (failed,) = (each for each in report.verdicts if each.outcome == "failed")
    assert "does not return within 3 seconds" in str(failed.faults[0])
    assert (report.passed, report.times) == (False, ())


def test_plugin_that_is_not_installed():
    with pytest.raises(NoSuchPlugin, match="no installed plugin is named 'nobody'"):
        find_plugin("nobody")


def test_note_does_not_fail_where_warnings_are_errors(new_context, monkeypatch):
    noted = Verdict("rollback", "", "passed", (Fault("counts early", note=True),))
    monkeypatch.setattr(suite, "run_check", lambda *_: noted)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("error")
        suite.test_conformance(new_context(FaultlessPlugin()), "rollback")
    assert [str(each.message) for each in caught] == ["faulty: counts early"]


@pytest.mark.parametrize(("former", "name"), [("Subject", "CheckedPlugin"), ("subject_of", "find_plugin")])
def test_former_names_warn(former, name):
    with pytest.warns(DeprecationWarning, match=f"{former} is now {name}"):
        assert getattr(conformance, former) is getattr(conformance, name)
