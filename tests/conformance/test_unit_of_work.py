"""The suite reports what survives a rollback, leaves before the commit, or reaches another host."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from authhost_hookspecs import hookimpl
from sqlalchemy.exc import OperationalError

from authhost.testing.conformance.runner import run_check
from authhost.testing.conformance.side_effects import side_effect
from conformance.plugins import WithHost, WithTable, ids_of, notes

FILE = Path(tempfile.gettempdir()) / f"authhost-unit-of-work-{os.getpid()}.txt"


@pytest.fixture(autouse=True)
def removed_file():
    yield
    FILE.unlink(missing_ok=True)


class CommitsThroughOwnConnection(WithHost):
    @hookimpl
    def before_login(self, user):
        with suppress(OperationalError), self.host.engine.begin() as connection:
            connection.execute(notes.insert().values(text="before"))


class QueuesInMemory(WithTable):
    """Queues rows in memory before the commit, and writes them when the host stops."""

    def __init__(self):
        self.waiting = []

    @hookimpl
    def password_changed(self, user):
        self.waiting.append(user.id)

    @hookimpl
    def host_stopping(self, host):
        with host.engine.begin() as connection:
            for each in self.waiting:
                connection.execute(notes.insert().values(user_id=each))
        self.waiting.clear()


class AsksServer:
    @hookimpl
    def check_password(self, password):
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", 9), timeout=0.1)


class WritesFileInCheck:
    @hookimpl
    def check_password(self, password):
        FILE.write_text("checked")


class CountsBeforeCommit:
    def __init__(self):
        self.logins = 0

    @hookimpl
    def user_logged_in(self, user):
        self.logins += 1


class OpensSocket:
    @hookimpl
    def user_logged_in(self, user):
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname()).close()


class WritesFile:
    @hookimpl
    def user_logged_in(self, user):
        with open(FILE, "a") as file:
            file.write("in")


class StartsProcess:
    @hookimpl
    def user_logged_in(self, user):
        subprocess.run(["true"], check=False)


class UsesNewestHost(WithHost):
    """Writes to the newest host, whichever host calls it."""

    @hookimpl
    def user_logged_in(self, request, user):
        host = self.host

        def later():
            with host.engine.begin() as connection:
                connection.execute(notes.insert().values(user_id=user.id))

        request.on_commit(later)


class WrapperWrites:
    @hookimpl(wrapper=True)
    def user_logged_in(self):
        yield
        FILE.write_text("in")


class OpensFileDescriptor:
    @hookimpl
    def user_logged_in(self, user):
        os.close(os.open(FILE, os.O_CREAT | os.O_WRONLY))


class UsesFirstHost(WithTable):
    """Writes to the first host, whichever host calls it."""

    host = None

    @hookimpl
    def host_started(self, host):
        self.host = self.host or host

    @hookimpl
    def user_logged_in(self, request, user):
        def later():
            with self.host.engine.begin() as connection:
                connection.execute(notes.insert().values(user_id=user.id))

        request.on_commit(later)


class WritesInThread(WithHost):
    """Writes in a thread through its own connection, even if the flow is rolled back."""

    @hookimpl
    def password_changed(self, user):
        host, user_id = self.host, user.id

        def write():
            threading.Event().wait(0.05)
            with host.engine.begin() as connection:
                connection.execute(notes.insert().values(user_id=user_id))

        threading.Thread(target=write).start()


class CountsBeforeCommitInClass:
    logins = 0

    @hookimpl
    def user_logged_in(self, user):
        type(self).logins += 1


class UpdatesThroughOwnConnection(WithTable):
    """Updates rows through its own connection, so that the number of rows stays the same."""

    @hookimpl
    def host_started(self, host):
        self.engine = host.engine
        with self.engine.begin() as connection:
            connection.execute(notes.insert().values(text="nobody"))

    @hookimpl
    def before_signup(self, request, email):
        if request.clean:
            with self.engine.begin() as connection:
                connection.execute(notes.update().values(text=email))


class ReadsOtherHost(WithHost):
    @hookimpl
    def user_signed_up(self, request):
        with self.host.reader.connect() as connection:
            connection.execute(notes.select()).all()


FAULTS = [
    (CommitsThroughOwnConnection, "rollback", "rows of authhost_faulty_note survive a rollback"),
    (QueuesInMemory, "rollback", "rows of authhost_faulty_note survive a rollback"),
    (WritesInThread, "rollback", "rows of authhost_faulty_note survive a rollback"),
    (
        UpdatesThroughOwnConnection,
        "rollback",
        "values written to authhost_faulty_note.text survive a rollback",
    ),
    (OpensSocket, "outside", "user_logged_in: uses the network before the commit"),
    (WritesFileInCheck, "outside", "check_password: writes a file before the commit"),
    (WritesFile, "outside", "user_logged_in: writes a file before the commit"),
    (StartsProcess, "outside", "user_logged_in: starts a process before the commit"),
    (WrapperWrites, "outside", "user_logged_in: writes a file before the commit"),
    (OpensFileDescriptor, "outside", "user_logged_in: writes a file before the commit"),
    (UsesNewestHost, "hosts", "a signup at one host changes rows of authhost_faulty_note of another"),
    (UsesFirstHost, "hosts", "a signup at one host changes rows of authhost_faulty_note of another"),
    (ReadsOtherHost, "hosts", "user_signed_up: uses the database of another host"),
]


@pytest.mark.parametrize(("plugin", "check", "message"), FAULTS, ids=ids_of(FAULTS))
def test_fault_is_reported(assert_fault, plugin, check, message):
    assert_fault(plugin(), check, message)


@pytest.mark.parametrize("plugin", [CountsBeforeCommit, CountsBeforeCommitInClass])
def test_count_before_the_commit_is_a_fault(assert_fault, plugin):
    assert_fault(plugin(), "rollback", "user_logged_in: counts in memory what was rolled back (logins)")


def test_request_to_a_server_in_check_password_is_a_note(new_context):
    verdict = run_check("outside", new_context(AsksServer()))
    assert verdict.outcome == "passed"
    [fault] = verdict.faults
    assert (fault.hook, fault.note) == ("check_password", True)
    assert "limit the time" in fault.message


def test_compiled_module_is_not_a_file_of_the_plugin():
    compiled = "/site/__pycache__/late.cpython-311.pyc"
    assert side_effect("os.rename", (f"{compiled}.1", compiled, -1, -1)) is None
    assert side_effect("os.mkdir", ("/site/__pycache__", 0o777, -1)) is None
    assert side_effect("open", (f"{compiled}.1", None, os.O_CREAT | os.O_WRONLY)) is None
    assert side_effect("os.rename", ("/site/a.txt", "/site/b.txt", -1, -1)) == "changes files"
