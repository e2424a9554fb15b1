"""The suite reports changes of state that the whole process shares."""

from __future__ import annotations

import logging
import os
import tempfile
import threading

import pytest
from authhost_hookspecs import hookimpl

from authhost import AuthHost
from conformance.plugins import ids_of


@pytest.fixture(autouse=True)
def restored_process(monkeypatch):
    """Undo what the plugins change."""
    folder, request = os.getcwd(), AuthHost.request
    monkeypatch.setenv("AUTHHOST_CHANGED", "")
    yield
    os.chdir(folder)
    AuthHost.request = request
    logging.getLogger("authhost.plugins").disabled = False


class SetsEnvironmentVariable:
    @hookimpl
    def user_logged_in(self, user):
        os.environ["AUTHHOST_CHANGED"] = str(user.id)


class ChangesWorkingFolder:
    @hookimpl
    def user_logged_in(self, user):
        os.chdir(tempfile.gettempdir())


class SetsRootLevel:
    @hookimpl
    def host_started(self, host):
        logging.getLogger().setLevel(logging.DEBUG)


class DisablesLogger:
    @hookimpl
    def user_logged_in(self, user):
        logging.getLogger("authhost.plugins").disabled = True


class PatchesHost:
    @hookimpl
    def host_started(self, host):
        kind = type(host)
        if "request" not in vars(kind):
            request = kind.request
            kind.request = lambda host, **given: request(host, **given)


class LeavesThreadRunning:
    @hookimpl
    def host_started(self, host):
        stop = threading.Event()
        threading.Thread(target=stop.wait, args=(20,), daemon=True).start()


FAULTS = [
    (SetsEnvironmentVariable, "process", "user_logged_in: changes the environment variable AUTHHOST_CHANGED"),
    (ChangesWorkingFolder, "process", "user_logged_in: changes the working folder"),
    (SetsRootLevel, "process", "host_started: changes the logger root"),
    (DisablesLogger, "process", "user_logged_in: changes the logger authhost.plugins"),
    (PatchesHost, "process", "changes authhost.testing.host.TemplateDatabaseHost.request"),
    (LeavesThreadRunning, "process", "still runs after the host has closed; end it in host_stopping"),
]


@pytest.mark.parametrize(("plugin", "check", "message"), FAULTS, ids=ids_of(FAULTS))
def test_fault_is_reported(assert_fault, plugin, check, message):
    assert_fault(plugin(), check, message)
