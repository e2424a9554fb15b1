"""The suite reports hooks that need more than the contract guarantees."""

from __future__ import annotations

import pytest
from authhost_hookspecs import hookimpl

from conformance.plugins import ids_of


class NeedsEmail:
    @hookimpl
    def user_logged_in(self, user):
        user.email.lower()


class NeedsUser:
    @hookimpl
    def flow_refused(self, request, user):
        if user is None and request.ip_address is None:
            user.id  # noqa: B018


class CallbackNeedsUser:
    @hookimpl
    def flow_refused(self, request, user):
        if request.ip_address is None:
            request.on_commit(lambda: user.id)


FAULTS = [
    (NeedsEmail, "edges", "raised AttributeError: 'NoneType' object has no attribute 'lower'"),
    (NeedsUser, "edges", "flow_refused: raised AttributeError"),
    (CallbackNeedsUser, "edges", "flow_refused: a callback of request.on_commit raised AttributeError"),
]


@pytest.mark.parametrize(("plugin", "check", "message"), FAULTS, ids=ids_of(FAULTS))
def test_fault_is_reported(assert_fault, plugin, check, message):
    assert_fault(plugin(), check, message)
