"""The suite judges plugins whose step every login needs: it completes the steps without their pages."""

from __future__ import annotations

from typing import Any

import pytest
from authhost_hookspecs import ApiRoute, Field, Form, LoginStep, Page, PageRoute, Refused, hookimpl

from authhost.testing.conformance.runner import run_check
from authhost.testing.conformance.suite import CHECKS

CODE = Field("code", "Code", "code")


class AlwaysAsks:
    """Every login needs the code ``1234``."""

    @hookimpl
    def login_steps(self, request: Any, user: Any) -> list[LoginStep]:
        return [LoginStep("code", "/code", ("pin",))]

    @hookimpl
    def register_routes(self) -> list[PageRoute | ApiRoute]:
        return [
            PageRoute("/code", self.show, self.enter, (CODE,), step="code"),
            ApiRoute("POST", "/code", self.enter, "Enter the code.", (CODE,), step="code"),
        ]

    def show(self, request: Any) -> Page:
        return Page("code", "Code", (request.logins.pending.user.email,), (Form("/code", "Go", (CODE,)),))

    def enter(self, request: Any, values: Any) -> None:
        if values["code"] != "1234":
            raise Refused("wrong_code", "The code is not right.", field="code")
        request.logins.complete_step("faulty.code", method="pin", factors=("knowledge",))


class FailsInStep(AlwaysAsks):
    @hookimpl
    def login_steps(self, request: Any, user: Any) -> list[LoginStep]:
        raise RuntimeError("no database")


class PageOfStepFails(AlwaysAsks):
    def show(self, request: Any) -> Page:
        return Page("code", "Code", (request.user.email,))


class NoRoute(AlwaysAsks):
    register_routes: Any = None


class OtherPath(AlwaysAsks):
    @hookimpl
    def login_steps(self, request: Any, user: Any) -> list[LoginStep]:
        return [LoginStep("code", "/enter")]


class OtherStep(AlwaysAsks):
    @hookimpl
    def login_steps(self, request: Any, user: Any) -> list[LoginStep]:
        return [LoginStep("pin", "/code")]


class NeverCompleted(AlwaysAsks):
    def enter(self, request: Any, values: Any) -> None:
        if values["code"] != "1234":
            raise Refused("wrong_code", "The code is not right.", field="code")


class NoAction(AlwaysAsks):
    @hookimpl
    def register_routes(self) -> list[PageRoute | ApiRoute]:
        return [PageRoute("/code", self.show, step="code")]


class SecondIsNeverCompleted(AlwaysAsks):
    @hookimpl
    def login_steps(self, request: Any, user: Any) -> list[LoginStep]:
        return [LoginStep("code", "/code"), LoginStep("terms", "/terms")]

    @hookimpl
    def register_routes(self) -> list[PageRoute | ApiRoute]:
        return [
            PageRoute("/code", self.show, self.enter, (CODE,), step="code"),
            PageRoute("/terms", self.show, self.accept, step="terms"),
        ]

    def accept(self, request: Any, values: Any) -> None:
        request.answer.message("success", "Thank you.")


class CompletesInHelper(AlwaysAsks):
    """Correct: the call is in a function of the module, through a local name."""

    def enter(self, request: Any, values: Any) -> None:
        if values["code"] == "1234":
            finish(request)


def finish(request: Any) -> None:
    logins = request.logins
    logins.complete_step("faulty.code")


class GuardsWhenAsked(AlwaysAsks):
    @hookimpl
    def login_steps(self, request: Any, user: Any) -> list[LoginStep]:
        if "faulty" not in user.login_guards:
            guard_later(request, user)
        return [LoginStep("code", "/code", ("pin",))]


def guard_later(request: Any, user: Any) -> None:
    request.logins.guard("faulty", user.id)


NO_PAGE = "has no PageRoute with the path"


@pytest.mark.parametrize(
    "check", sorted(CHECKS.keys() - {"accepted", "independent", "called", "code", "state"})
)
def test_a_plugin_with_a_step_passes(new_context, check):
    verdict = run_check(check, new_context(AlwaysAsks()))
    assert (verdict.outcome, verdict.faults) == ("passed", ())


@pytest.mark.parametrize(
    ("plugin", "check", "message"),
    [
        (FailsInStep, "failures", "RuntimeError"),
        (NoRoute, "pages", NO_PAGE),
        (OtherPath, "pages", NO_PAGE),
        (OtherStep, "pages", NO_PAGE),
        (NeverCompleted, "pages", "no action of the step code calls request.logins.complete_step"),
        (NoAction, "pages", "no action of the step code calls request.logins.complete_step"),
        (SecondIsNeverCompleted, "pages", "no action of the step terms calls"),
        (GuardsWhenAsked, "pages", "login_steps calls request.logins.guard"),
        (PageOfStepFails, "pages", "the page /faulty/code fails for a user"),
    ],
)
def test_a_fault_is_found(assert_fault, plugin, check, message):
    assert_fault(plugin(), check, message)


def test_a_step_that_a_helper_completes_is_correct(new_context):
    verdict = run_check("pages", new_context(CompletesInHelper()))
    assert (verdict.outcome, verdict.faults) == ("passed", ())
