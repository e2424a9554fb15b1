"""The suite reports faults that show when two calls overlap."""

from __future__ import annotations

import threading

import pytest
from authhost_hookspecs import hookimpl

from conformance.plugins import WithTable, ids_of, notes


class LocksGlobally(WithTable):
    lock = threading.Lock()

    @hookimpl
    def user_logged_in(self, request, user):
        with self.lock:
            request.insert(notes, {"user_id": user.id})


class NeverUnlocks:
    def __init__(self):
        self.lock = threading.Lock()

    @hookimpl
    def email_changed(self, user):
        self.lock.acquire()


class StoresRequest(WithTable):
    @hookimpl
    def user_logged_in(self, request, user):
        self.request = request
        self._write(user)

    def _write(self, user):
        self.request.insert(notes, {"user_id": user.id})


class UsesRequestInThread(WithTable):
    @hookimpl
    def user_logged_in(self, request, user):
        threading.Thread(target=lambda: request.insert(notes, {"user_id": user.id})).start()


class LocksInOneLine(WithTable):
    lock = threading.Lock()

    @hookimpl
    def user_logged_in(self, request):
        with self.lock: request.insert(notes, {"text": "in"})  # fmt: skip # noqa: E701


class LosesCounts:
    def __init__(self):
        self.logins = 0

    @hookimpl
    def user_logged_in(self, user):
        logins = self.logins
        self.logins = logins + 1


class IteratesOverSharedDict:
    def __init__(self):
        self.seen = {}

    @hookimpl
    def user_logged_in(self, request):
        self.seen[request.id] = 1
        for each in self.seen:
            each.hex  # noqa: B018


class StoresUser:
    @hookimpl
    def before_login(self, user):
        self.current = user


class StoresRequestId:
    def __init__(self):
        self.begun = {}

    @hookimpl
    def before_login(self, request):
        self.begun[id(request)] = request.now


FAULTS = [
    (LocksGlobally, "threads", "user_logged_in: holds a lock while it uses the request"),
    (NeverUnlocks, "threads", "lock is still locked after 'Change the unverified address' has ended"),
    (StoresRequest, "threads", "user_logged_in: uses the request of another thread"),
    (UsesRequestInThread, "threads", "user_logged_in: uses the request of another thread"),
    (LocksInOneLine, "threads", "user_logged_in: holds a lock while it uses the request"),
    (LosesCounts, "threads", "user_logged_in: loses counts of logins when two calls overlap"),
    (IteratesOverSharedDict, "threads", "user_logged_in: raised RuntimeError: dictionary changed size"),
    (StoresUser, "threads", "before_login: stores its argument user as current"),
    (StoresRequestId, "threads", "begun still holds id(request)"),
]


@pytest.mark.parametrize(("plugin", "check", "message"), FAULTS, ids=ids_of(FAULTS))
def test_fault_is_reported(assert_fault, plugin, check, message):
    assert_fault(plugin(), check, message)
