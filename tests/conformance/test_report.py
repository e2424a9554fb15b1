"""One fault is one finding, however many hooks and flows show it."""

from __future__ import annotations

from authhost_hookspecs import hookimpl

from authhost.testing.conformance.report import Fault, Report, Verdict, merged
from authhost.testing.conformance.runner import run_check
from conformance.plugins import FailsInVeto


class RaisesInHelper:
    @hookimpl
    def user_logged_in(self, user):
        self._helper()

    @hookimpl
    def user_logged_out(self, user):
        self._helper()

    @hookimpl
    def password_changed(self, user):
        self._helper()

    def _helper(self):
        raise ZeroDivisionError("planted")


def test_fault_of_three_hooks_is_one_finding(new_context):
    context = new_context(RaisesInHelper())
    for check in ("failures", "edges"):
        (fault,) = run_check(check, context).faults
        assert {fault.hook, *fault.also} == {"user_logged_in", "user_logged_out", "password_changed"}
        assert f"; also in {fault.also[0]}, {fault.also[1]} (test_report.py:" in str(fault)


def test_fault_of_many_flows_is_one_finding(new_context):
    faults = run_check("outcomes", new_context(FailsInVeto())).faults
    causes = [fault.cause for fault in faults if not fault.note]
    assert len(causes) == len(set(causes))
    assert any(len(fault.also) > 1 for fault in faults)


def test_different_faults_stay_apart():
    faults = [Fault("a", "x", "f.py:1"), Fault("a", "x", "f.py:2"), Fault("b", "x", "f.py:1")]
    assert merged([*faults, *faults]) == tuple(faults)


def test_document_has_the_other_places_and_no_keys_of_merging():
    fault = Fault("a", "x", "f.py:1", also=("y",), cause="c", shows_in="s")
    report = Report("p", None, None, (Verdict("failures", "", "failed", (fault,)),))
    (shown,) = report.as_document()["verdicts"][0]["faults"]
    assert shown == {"message": "a", "hook": "x", "where": "f.py:1", "note": False, "also": ("y",)}
