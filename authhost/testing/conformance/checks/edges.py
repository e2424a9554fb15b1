"""Check of each hook with the fewest values that the contract guarantees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from authhost_hookspecs import Change, Message, Refused, StopFlow

from authhost.errors import PLUGIN_FAILURES, InvalidCredentials
from authhost.pluginhost.hooks import (
    ANSWERS,
    EXPORTS,
    NOTIFICATIONS,
    REMOVALS,
    SPEC_ARGUMENTS,
    STEPS,
    VETOES,
)
from authhost.providers.app import App, ProviderSettings
from authhost.providers.catalogue import BUILT_IN
from authhost.records import EmailAddress, EmailConfirmation, Session, SocialAccount, User
from authhost.request import Request
from authhost.socialaccount.sociallogin import SocialLogin
from authhost.store.statements import INSERT_USER
from authhost.testing.browser import Browser
from authhost.testing.conformance.checks.failures import callback_faults, error_text, unstored_row_faults
from authhost.testing.conformance.checks.long_values import long_value_faults
from authhost.testing.conformance.context import CheckContext
from authhost.testing.conformance.output import captured_logs, captured_print
from authhost.testing.conformance.report import Fault
from authhost.testing.host import PASSWORD

HOURS = (0, 6, 12, 18)
"""From now. Some plugins do something only at night."""
WITH_SESSION = frozenset(
    {"user_logged_in", "user_logged_out", "user_reauthenticated", "password_changed", "password_set"}
)
"""The hooks for which the contract guarantees that a user is logged in."""
WITHOUT_USER = frozenset({"check_password", "flow_refused", "password_reset_requested"})
"""The hooks whose argument ``user`` may be None."""
CONNECTED = frozenset({"social_account_added", "social_account_updated", "social_account_removed"})
"""The hooks whose social account belongs to a user."""
ONCE = frozenset({"user_signed_up", "account_ready"})
"""The hooks that are called once for each user. A plugin may insert a row with the user's id as its key."""
CALLED = NOTIFICATIONS | VETOES | STEPS | ANSWERS | EXPORTS | REMOVALS | {"deliver_message"}
"""The hooks that are called with the shortest arguments."""
EMPTY = "for a request without a client and a user without an address"


def edges(context: CheckContext) -> Iterator[Fault]:
    """Each hook accepts what the contract allows: None, the longest values, and all characters."""
    if "edges" not in context.known_faults:  # the check `called` needs these calls too
        found = [fault for hours in HOURS for fault in _faults_at(context, hours)]
        found.extend(long_value_faults(context))
        context.known_faults["edges"] = tuple(dict.fromkeys(found))
    yield from context.known_faults["edges"]


def _faults_at(context: CheckContext, hours: int) -> Iterator[Fault]:
    with (
        captured_logs() as logged,
        captured_print(),
        context.recorded_host(hours=hours, email_verification="none") as (host, _, recorder),
    ):
        browser = Browser(host)
        browser("signup", email="eve@example.org", password=PASSWORD)
        browser.complete_steps()
        with browser.request() as request:
            signed_up, now = request.user, request.now
        assert signed_up is not None
        user = User(signed_up.id, None, None, True, False, now, None)
        for hook in context.checked.implementations:
            if hook not in CALLED:
                continue
            recorder.calls.clear()
            token = browser.token if hook in WITH_SESSION else None
            with host.request(session_token=token) as request:
                values = minimal_arguments(request, _new_user(request) if hook in ONCE else user)
                if hook in CONNECTED:
                    values |= _connected(request, user)
                if hook in WITHOUT_USER:
                    values["user"] = None
                arguments = {name: values[name] for name in SPEC_ARGUMENTS[hook] if name != "request"}
                try:
                    getattr(host.services.hooks, hook)(request, **arguments)
                except (Refused, StopFlow, *PLUGIN_FAILURES):
                    pass  # the plugin refuses, or the recorder has the error
            for call in recorder.calls:
                for fault in callback_faults(call, context):
                    yield replace(fault, message=f"{fault.message}, {EMPTY}")
                if call.error is not None:
                    location = context.checked.location(call.error.__traceback__)
                    shown = ", ".join(f"{name}={_short(value)}" for name, value in arguments.items())
                    error = error_text(call.error)
                    text = f"raised {error} for {shown or 'an anonymous request'}"
                    yield Fault(text, hook, location, cause=error if location else "")
    for fault in unstored_row_faults(logged, context.checked.name):
        yield Fault(f"{fault.message}, {EMPTY}")


def _new_user(request: Request) -> User:
    """Store an account without an address, without calling hooks."""
    user = User(request.new_id(), None, None, True, False, request.now, None)
    request.write(INSERT_USER, {"id": user.id, "is_active": True, "date_joined": user.date_joined})
    return user


def _connected(request: Request, user: User) -> dict[str, Any]:
    """The social arguments of hooks that are about an account which a user has connected."""
    account = replace(_social_account(request), id=UUID(int=4), user_id=user.id)
    return {"socialaccount": account, "sociallogin": _social_login(request, account, user)}


def _social_account(request: Request) -> SocialAccount:
    now = request.now
    return SocialAccount(None, None, "corp", "https://issuer.example.org", "1", {}, now, now)


def _social_login(request: Request, account: SocialAccount, user: User | None = None) -> SocialLogin:
    app = App("corp", BUILT_IN[0], ProviderSettings(client_id="x"))
    login = SocialLogin(app, "login", account, token=None, email_addresses=(), user=user)
    login.open(request)
    return login


def minimal_arguments(request: Request, user: User) -> dict[str, Any]:
    """A value for each argument of each hook that has only what the contract guarantees."""
    now = request.now
    address = EmailAddress(UUID(int=1), user.id, "eve@example.org", False, False)
    account = _social_account(request)
    session = Session(UUID(int=3), user.id, now, now, now, now, "password", None, None, "")
    return {
        "user": user,
        "email_address": address,
        "from_email_address": None,
        "to_email_address": address,
        "confirmation": EmailConfirmation(UUID(int=2), address, now, now + timedelta(days=3)),
        "signup": False,
        "session": session,
        "reason": "replaced",
        "count": 1,
        "steps": ("email_verification",),
        "sociallogin": _social_login(request, account),
        "socialaccount": account,
        "plugin": "analytics",
        "provider": "corp",
        "process": "redirect",
        "flow": "login",
        "error": InvalidCredentials(),
        "email": None,
        "change": Change("end_sessions"),
        "password": PASSWORD,
        "message": Message("password_reset_unknown_account", "nobody@example.org"),
    }


def _short(value: Any) -> str:
    return repr(value) if value is None or isinstance(value, str | bool) else type(value).__name__
