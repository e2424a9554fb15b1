"""The suite judges implementations of hooks that other installed plugins publish."""

from __future__ import annotations

import inspect
from importlib.metadata import distribution

import pytest
from authhost_hookspecs import Refused, Request, User, hookimpl

from authhost.testing.conformance import find_plugin
from authhost.testing.conformance.published_hooks import OF_OUR_PLUGINS
from authhost.testing.conformance.runner import run_check
from conformance.plugins import WithTable, ids_of, notes

PUBLISHER = """\
from typing import Literal
from uuid import UUID
from authhost_hookspecs import Request, User, hookimpl, hookspec


@hookspec
def door_opened(
    request: Request, user: User, door: str, at: UUID | None, how: Literal["key", "code"]
) -> None:
    \"\"\"A door was opened.

    The plugin calls it when ``user`` has opened the door ``door``.

    Stored: nothing.

    .. versionadded:: 1.0

    Example::

        class Doors:
            @hookimpl(optionalhook=True)
            def door_opened(self, door): ...
    \"\"\"


class Publisher:
    @hookimpl
    def register_hookspecs(self):
        return [door_opened]


plugin = Publisher()
"""


@pytest.fixture(autouse=True)
def publisher(install):
    """A plugin that publishes the hook ``door_opened``."""
    install(PUBLISHER, "authhost-hookspecs>=1.0,<2", name="doors", module="planted_doors")


class Correct(WithTable):
    @hookimpl(optionalhook=True)
    def door_opened(self, request: Request, user: User, door: str, at, how) -> None:
        assert (type(door), how) == (str, "key")
        request.insert(notes, {"user_id": user.id, "text": door})


class NotOptional:
    @hookimpl
    def door_opened(self, user):
        user.id.hex.lower()


class WrongArgument:
    @hookimpl(optionalhook=True)
    def door_opened(self, request, window): ...


class NearMiss:
    @hookimpl(optionalhook=True)
    def door_openned(self, request, door): ...


class Raises:
    @hookimpl(optionalhook=True)
    def door_opened(self, door):
        door.no_such_method()


class NeedsPlace:
    @hookimpl(optionalhook=True)
    def door_opened(self, at):
        at.hex.lower()


class StoresUser:
    @hookimpl(optionalhook=True)
    def door_opened(self, user):
        self.latest = user


class LosesCounts:
    def __init__(self):
        self.opened = 0

    @hookimpl(optionalhook=True)
    def door_opened(self):
        opened = self.opened
        self.opened = opened + 1


class Grows:
    def __init__(self):
        self.doors = []

    @hookimpl(optionalhook=True)
    def door_opened(self, door):
        self.doors.append(door)


class RefusesTooLate:
    @hookimpl(optionalhook=True)
    def door_opened(self):
        raise Refused("closed", "The door stays closed.")


FAULTS = [
    (LosesCounts, "threads", "door_opened: loses counts of opened"),
    (Grows, "state", "doors grows with every flow without a limit"),
    (RefusesTooLate, "code", "door_opened: raises Refused, which stops nothing here"),
    (WrongArgument, "accepted", "(request, user, door, at, how)"),
    (NearMiss, "called", "there is no hook 'door_openned'; did you mean 'door_opened'"),
    (Raises, "failures", "door_opened: raised AttributeError: 'str' object has no attribute"),
    (NeedsPlace, "failures", "door_opened: raised AttributeError: 'NoneType' object"),
    (StoresUser, "threads", "door_opened: stores its argument user as latest"),
]


@pytest.mark.parametrize(("plugin", "check", "message"), FAULTS, ids=ids_of(FAULTS))
def test_fault_is_reported(assert_fault, plugin, check, message):
    assert_fault(plugin(), check, message)


def test_installed_plugin_may_require_the_hook(install):
    source = (
        f"from authhost_hookspecs import hookimpl\n{inspect.getsource(NotOptional)}plugin = NotOptional()\n"
    )
    install(source, "authhost-hookspecs>=1.0,<2")
    checked = find_plugin("planted")
    assert (checked.refusal, list(checked.implementations)) == (None, ["door_opened"])


@pytest.mark.parametrize("plugin", [Correct, NotOptional])
def test_correct_implementation_passes(new_context, plugin):
    context = new_context(plugin())
    for check in ("accepted", "failures", "called", "secrets"):
        verdict = run_check(check, context)
        assert (verdict.outcome, verdict.faults) == ("passed", ())


class OfNobody:
    @hookimpl(optionalhook=True)
    def window_broken(self, request): ...

    @hookimpl
    def user_logged_in(self): ...


def test_hook_of_no_installed_plugin_is_a_note(new_context):
    verdict = run_check("accepted", new_context(OfNobody()))
    assert verdict.outcome == "passed"
    (fault,) = verdict.faults
    assert str(fault).startswith("window_broken: is not called")
    assert "install the plugin that publishes it" in str(fault)


def test_known_publishers_exist():
    hooks = pytest.importorskip("authhost_email.hooks")
    assert distribution(OF_OUR_PLUGINS["email_delivery_failed"]).entry_points.select(name="email")
    assert callable(hooks.email_delivery_failed)
    published = pytest.importorskip("authhost_mfa.hooks").PUBLISHED
    of_mfa = {name for name, distribution in OF_OUR_PLUGINS.items() if distribution == "authhost-mfa"}
    assert {each.__name__ for each in published} == of_mfa
