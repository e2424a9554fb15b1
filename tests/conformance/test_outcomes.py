"""The suite reports faults that change how flows end or what others receive."""

from __future__ import annotations

import asyncio

import pytest
from authhost_hookspecs import Refused, Request, SocialLogin, StopFlow, User, hookimpl
from sqlalchemy import text

from authhost.testing.conformance import runner
from authhost.testing.conformance.runner import run_check
from conformance.plugins import FailsInVeto, NeverReturns, ids_of


class FailsToDeliver:
    @hookimpl
    def deliver_message(self, message):
        raise RuntimeError("no server")


class ChangesUser:
    @hookimpl
    def user_logged_in(self, user):
        object.__setattr__(user, "email", user.email.upper())


class ChangesRequest:
    @hookimpl
    def user_signed_up(self, request):
        request.user_agent = "mine"


class RefusesOnPurpose:
    """Refuses on purpose, which is no fault."""

    @hookimpl
    def before_signup(self, email: str | None) -> None:
        if email is not None and not email.endswith("@members.example.org"):
            raise Refused("not_invited", "Signup is for our members.")


class WrapperChanges:
    @hookimpl(wrapper=True)
    def user_logged_in(self, user):
        object.__setattr__(user, "email", "other@example.org")
        return (yield)


class RaisesCancelledError:
    """Raises an error that is no `Exception`."""

    @hookimpl
    def user_logged_in(self, user):
        raise asyncio.CancelledError


class ReturnsFalseFromVeto:
    @hookimpl
    def before_login(self, user):
        return False


class ReturnsCoroutine:
    @hookimpl
    def user_logged_in(self, user):
        async def later(): ...

        return later()


class SetsRequestAttribute:
    @hookimpl
    def user_logged_in(self, request):
        request.seen = True


class WritesToHostTable:
    @hookimpl
    def user_logged_in(self, request):
        request.db.execute(text("UPDATE authhost_user SET last_login = NULL"))


class TrustsUnverifiedAddress:
    @hookimpl
    def pre_social_login(self, request, sociallogin):
        for each in sociallogin.email_addresses if not sociallogin.is_existing else ():
            user = request.user_by_email(each.email)
            if user is not None and sociallogin.process == "login":
                sociallogin.connect(request, user)
                return


FAULTS = [
    (FailsInVeto, "outcomes", "'Confirm the address' ends with"),
    (FailsToDeliver, "outcomes", "delivery_failed"),
    (NeverReturns, "outcomes", "does not return within 5 seconds"),
    (RaisesCancelledError, "outcomes", "ended with CancelledError"),
    (ReturnsFalseFromVeto, "outcomes", "before_login: it returned a bool; a veto raises Refused"),
    (ReturnsCoroutine, "outcomes", "user_logged_in: it returned a coroutine, whose body does not run"),
    (WritesToHostTable, "outcomes", "user_logged_in: writes to the host's own table authhost_user"),
    (TrustsUnverifiedAddress, "outcomes", "pre_social_login: logs in to the account that owns an address"),
    (ChangesUser, "arguments", "user_logged_in: changes its argument user"),
    (ChangesRequest, "arguments", "user_signed_up: changes its argument request"),
    (WrapperChanges, "arguments", "user_logged_in: changes its argument user"),
    (SetsRequestAttribute, "arguments", "user_logged_in: changes its argument request"),
]


@pytest.mark.parametrize(("plugin", "check", "message"), FAULTS, ids=ids_of(FAULTS))
def test_fault_is_reported(assert_fault, plugin, check, message, monkeypatch):
    if plugin is NeverReturns:
        monkeypatch.setattr(runner, "DEADLINE", 5.0)
    assert_fault(plugin(), check, message, located=plugin is NeverReturns)


def test_refusal_on_purpose_is_a_note(new_context):
    verdict = run_check("outcomes", new_context(RefusesOnPurpose()))
    assert verdict.outcome == "passed"
    assert all(fault.note for fault in verdict.faults)
    assert "'Sign up' was ended by the plugin on purpose" in str(verdict.faults[0])


class RefusesFirstPassword:
    @hookimpl
    def check_password(self, request: Request, user: User | None) -> None:
        if user is not None and user.email == "bob@example.org":
            raise Refused("no_password", "Log in through your provider.")


class RefusesProvider:
    @hookimpl
    def pre_social_login(self, sociallogin: SocialLogin) -> None:
        if sociallogin.process == "connect":
            raise StopFlow("/")


@pytest.mark.parametrize(
    ("plugin", "refused", "unjudged"),
    [
        (RefusesFirstPassword, "'Set a first password'", "'Disconnect'"),
        (RefusesProvider, "'Connect'", "'Log in through a provider'"),
        (RefusesOnPurpose, "'Sign up'", "'Log out'"),
    ],
)
def test_flows_after_a_refusal_are_named(new_context, plugin, refused, unjudged):
    verdict = run_check("outcomes", new_context(plugin()))
    assert verdict.outcome == "passed"
    (note,) = (str(fault) for fault in verdict.faults if "were not judged" in str(fault))
    consequence, _, flows = note.partition("not judged:")
    assert (refused in consequence, unjudged in flows) == (True, True), note
