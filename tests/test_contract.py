"""The promises of the contract's versions: the fifteen signals, optional hooks, deprecations."""

from __future__ import annotations

import inspect
import warnings
from datetime import UTC, datetime, timedelta, timezone

import authhost_hookspecs as contract
import pytest
from authhost_hookspecs import hookimpl, utc

from authhost.pluginhost.discovery import PluginRegistry
from authhost.settings import Settings

SIGNALS = {
    "user_logged_in": ["request", "user"],
    "user_logged_out": ["request", "user"],
    "user_signed_up": ["request", "user"],
    "password_set": ["request", "user"],
    "password_changed": ["request", "user"],
    "password_reset": ["request", "user"],
    "email_confirmed": ["request", "email_address"],
    "email_confirmation_sent": ["request", "confirmation", "signup"],
    "email_changed": ["request", "user", "from_email_address", "to_email_address"],
    "email_added": ["request", "user", "email_address"],
    "email_removed": ["request", "user", "email_address"],
    "pre_social_login": ["request", "sociallogin"],
    "social_account_added": ["request", "sociallogin"],
    "social_account_updated": ["request", "sociallogin"],
    "social_account_removed": ["request", "socialaccount"],
}
"""Written by hand, from https://docs.allauth.org/en/latest/account/signals.html and its counterpart."""


def functions(module):
    return {name: value for name, value in vars(module).items() if inspect.isfunction(value)}


def test_the_fifteen_signals_have_exactly_their_documented_arguments():
    found = {
        name: list(inspect.signature(function).parameters)
        for module in (contract.account, contract.socialaccount)
        for name, function in functions(module).items()
    }
    assert found == SIGNALS
    assert len(found) == 15


@pytest.mark.parametrize("name", SIGNALS)
def test_no_argument_of_a_signal_has_a_default(name):
    module = contract.account if name in functions(contract.account) else contract.socialaccount
    parameters = inspect.signature(functions(module)[name]).parameters.values()
    assert {(each.kind, each.default) for each in parameters} == {
        (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.empty)
    }


def registry(plugin):
    return PluginRegistry(Settings(secret_key="k" * 48, strict=True), {"plugin": plugin}, discover=False)


@pytest.fixture
def deprecate(monkeypatch):
    """Change the options of a specification, as a later version of the contract would."""

    def deprecate(**options):
        spec = contract.account.user_logged_in
        monkeypatch.setattr(spec, "authhost_spec", {**spec.authhost_spec, **options})

    return deprecate


class UsesUser:
    @hookimpl
    def user_logged_in(self, request, user):
        pass


class UsesRequest:
    @hookimpl(specname="user_logged_in")
    def note(self, request):
        pass


def test_a_deprecated_argument_warns_its_user_at_load(deprecate):
    deprecate(warn_on_impl_args={"user": DeprecationWarning("user_logged_in: use request.user instead")})
    with pytest.warns(DeprecationWarning, match=r"use request\.user instead") as caught:
        registry(UsesUser())
    [warning] = caught
    code = UsesUser.user_logged_in.__code__
    assert (warning.filename, warning.lineno) == (code.co_filename, code.co_firstlineno)


def test_a_plugin_without_the_deprecated_argument_is_not_warned(deprecate):
    deprecate(warn_on_impl_args={"user": DeprecationWarning("use request.user instead")})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        registry(UsesRequest())


@pytest.mark.parametrize("plugin", [UsesUser(), UsesRequest()], ids=["by name", "by specname"])
def test_a_deprecated_hook_warns_at_load(deprecate, plugin):
    deprecate(warn_on_impl=DeprecationWarning("user_logged_in is removed in contract 2.0"))
    with pytest.warns(DeprecationWarning, match=r"is removed in contract 2\.0") as caught:
        registry(plugin)
    [warning] = caught
    assert warning.filename == __file__


def test_a_warning_can_be_an_error(deprecate):
    """As in a plugin's own tests, with the filter ``error::DeprecationWarning:your_plugin``."""
    deprecate(warn_on_impl=DeprecationWarning("user_logged_in is removed in contract 2.0"))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", category=DeprecationWarning, module="test_contract")
        with pytest.raises(DeprecationWarning):
            registry(UsesUser())


def test_times_of_every_database_become_equal():
    aware = datetime(2026, 1, 1, 12, tzinfo=UTC)
    elsewhere = aware.astimezone(timezone(timedelta(hours=5)))
    for stored in (aware, aware.replace(tzinfo=None), elsewhere):
        assert (utc(stored), utc(stored).tzinfo) == (aware, UTC)
