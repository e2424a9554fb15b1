"""The suite reports hooks and callbacks that fail."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from authhost_hookspecs import hookimpl

from authhost.testing.conformance.runner import run_check
from conformance.plugins import FailsInVeto, WithHost, WithTable, ids_of, notes


class StaticVeto:
    @staticmethod
    @hookimpl(specname="before_login")
    def gate(user):
        raise KeyError("planted")


class RaisesInHook:
    @hookimpl
    def email_changed(self, user):
        raise ZeroDivisionError("planted")


class RaisesSystemExit:
    @hookimpl
    def user_logged_in(self, user):
        raise SystemExit(1)


class FailsInCallback:
    @hookimpl
    def user_logged_in(self, request):
        request.on_commit(lambda: 1 / 0)


class InsertsUnknownColumn(WithTable):
    @hookimpl
    def user_logged_in(self, request):
        request.insert(notes, {"no_such_column": 1})


class WritesThroughOwnConnection(WithHost):
    @hookimpl
    def user_signed_up(self, user):
        with self.host.engine.begin() as connection:
            connection.execute(notes.insert().values(text="within"))


class WrapperRaises:
    @hookimpl(wrapper=True)
    def user_logged_in(self):
        yield
        raise ZeroDivisionError("planted")


class CommitsTransaction:
    @hookimpl
    def user_logged_in(self, request):
        request.db.connection().commit()


class ExitsProcess:
    @hookimpl
    def email_changed(self, user):
        os._exit(0)


FAULTS = [
    (StaticVeto, "failures", "before_login: raised KeyError: 'planted'"),
    (
        RaisesInHook,
        "failures",
        "email_changed: raised ZeroDivisionError: planted in 'Change the unverified address'",
    ),
    (RaisesSystemExit, "failures", "user_logged_in: raised SystemExit"),
    (FailsInCallback, "failures", "a callback of request.on_commit raised ZeroDivisionError"),
    (InsertsUnknownColumn, "failures", "raised ValueError: authhost_faulty_note has no column"),
    (FailsInVeto, "failures", "before_login: raised KeyError"),
    (WritesThroughOwnConnection, "failures", "it writes through its own connection"),
    (WrapperRaises, "failures", "user_logged_in: raised ZeroDivisionError: planted"),
    (CommitsTransaction, "failures", "user_logged_in: leaves request.db unusable"),
    (ExitsProcess, "failures", "email_changed: raised SystemExit: os._exit(0) ends the whole process"),
]


@pytest.mark.parametrize(("plugin", "check", "message"), FAULTS, ids=ids_of(FAULTS))
def test_fault_is_reported(assert_fault, plugin, check, message):
    assert_fault(plugin(), check, message)


def test_location_of_a_fault(new_context):
    (fault,) = run_check("failures", new_context(RaisesInHook())).faults
    lines = Path(__file__).read_text().splitlines()
    file, _, line = fault.where.partition(":")
    assert (file, lines[int(line) - 1].strip()) == (
        "test_failures.py",
        'raise ZeroDivisionError("planted")',
    )
