"""Logins by plugins: ``request.logins``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import get_args
from uuid import UUID

from authhost_hookspecs import Factor

from authhost.account.complete_login import continue_login
from authhost.account.deactivation import active_user
from authhost.account.flow import attach_user, flow, lock_login, refuse_while_impersonating, require_login
from authhost.account.open_login import OpenLogin, must_wait, plugin_steps
from authhost.account.pending import known_pending_login, pending_login
from authhost.account.sessions import rotate_token
from authhost.account.signup import plugin_signup
from authhost.errors import InvalidCredentials, LoginRequired, UserNotFound
from authhost.records import Authentication, LoginResult, PendingLogin, User
from authhost.request import Request
from authhost.store import queries, statements
from authhost.store.unit_of_work import BoundToUnit

METHOD = re.compile(r"[a-z][a-z0-9_]{0,63}")
STEP_KEY = re.compile(r"[^.\s]+\.[a-z][a-z0-9_]{0,31}")
"""The name of a plugin and the key of a `LoginStep`."""


class PluginLogins(BoundToUnit):
    """Implements `authhost_hookspecs.Logins` for one request."""

    __slots__ = ("_request",)

    def __init__(self, request: Request) -> None:
        self._request = request

    @property
    def pending(self) -> PendingLogin | None:
        """The pending login of this browser, or in a hook the login that runs; None if there is none."""
        request = self._request
        request.check_open()
        if request.running_login is not None:
            return request.running_login
        found = known_pending_login(request)
        return found[0] if found is not None else None

    def complete_step(self, key: str, *, method: str = "", factors: Sequence[Factor] = ()) -> None:
        """Complete a step of the pending login; log in if it was the last one."""
        if not STEP_KEY.fullmatch(key):
            raise ValueError("key must be the name of the plugin, a dot, and the key of the step")
        self._check_owner(key.partition(".")[0])
        if method:
            _check_method(method)
        _check_factors(factors)
        self._request.plugin_login = login_step(self._request, key, method, tuple(factors))

    def log_in(self, user_id: UUID, *, method: str, factors: Sequence[Factor]) -> None:
        """Log a person in who has proved by ``method`` that the account is theirs."""
        _check_method(method)
        _check_factors(factors)
        self._request.plugin_login = plugin_login(self._request, user_id, method, tuple(factors))

    def sign_up(
        self, *, email: str, username: str | None = None, method: str, factors: Sequence[Factor]
    ) -> User:
        """Create an account without a password for a person who will log in by ``method``."""
        _check_method(method)
        _check_factors(factors)
        request = self._request
        user, login = plugin_signup(request, email, username, method, tuple(factors))
        request.plugin_login = login
        return user

    def reauthenticate(self, *, method: str, factors: Sequence[Factor]) -> None:
        """Record that the logged-in user has authenticated again."""
        _check_method(method)
        _check_factors(factors)
        self._request.plugin_login = plugin_reauthentication(self._request, method, tuple(factors))

    def lock(self, user_id: UUID) -> None:
        """Lock the account until this unit of work ends."""
        queries.lock_account(self._request, user_id)

    def guard(self, plugin: str, user_id: UUID) -> None:
        """Require ``plugin`` for each login to the account."""
        self._set_guard(plugin, user_id, required=True)

    def unguard(self, plugin: str, user_id: UUID) -> None:
        """Require ``plugin`` no more."""
        self._set_guard(plugin, user_id, required=False)

    def _set_guard(self, plugin: str, user_id: UUID, *, required: bool) -> None:
        self._check_owner(plugin)
        request = self._request
        refuse_while_impersonating(request)
        if required and plugin not in request.services.login_guards:
            raise ValueError(f"the plugin {plugin} has no login_steps, so nobody could log in")
        queries.lock_account(request, user_id)
        account = queries.account_by_id(request, user_id)
        if account is None:
            raise UserNotFound
        guards = {*account.user.login_guards, plugin} if required else {*account.user.login_guards} - {plugin}
        user = replace(account.user, login_guards=tuple(sorted(guards)))
        values = {"of_user": user_id, "new_guards": user.login_guards}
        request.send_statement(statements.SET_GUARDS, values)
        request.set_guards(user)

    def _check_owner(self, plugin: str) -> None:
        caller = self._request.caller
        if caller is not None and caller.name != plugin:
            raise ValueError(f"the plugin {caller.name} cannot act for the plugin {plugin}")


@flow
def login_step(request: Request, key: str, method: str, factors: tuple[Factor, ...]) -> LoginResult:
    """Complete a step of the pending login, and continue the login.

    The plugin may have stored already what the step was for, and require it no more.
    """
    login = pending_login(request)
    if login is None or login.address_id is not None:
        raise LoginRequired
    steps = plugin_steps(request, login)
    if any(each.key == key and must_wait(each, steps) for each in steps):
        raise attach_user(LoginRequired(), login.user)
    queries.lock_account(request, login.user.id)
    if not request.write(statements.DELETE_PENDING_LOGIN, {"of_id": login.row_id}):
        raise attach_user(LoginRequired(), login.user)
    account = queries.account_by_id(request, login.user.id)
    if account is None or not account.user.is_active or account.password != login.password:
        raise LoginRequired
    request.pending_token = None
    login = replace(login, user=account.user, done=(*login.done, key))
    if method:
        login = login.with_authentication(Authentication(method, request.now, None, factors))
    return continue_login(request, login)


@flow
def plugin_login(request: Request, user_id: UUID, method: str, factors: tuple[Factor, ...]) -> LoginResult:
    """Log in the user whose identity a plugin has verified."""
    account = queries.account_by_id(request, user_id)
    user = active_user(request, account.user) if account is not None else None
    if account is None or user is None:
        raise attach_user(InvalidCredentials(), account.user if account is not None else None)
    login = OpenLogin.begin(request, user, method, password=account.password, factors=factors)
    return continue_login(request, login)


@flow
def plugin_reauthentication(request: Request, method: str, factors: tuple[Factor, ...]) -> LoginResult:
    """Record that a plugin has authenticated the logged-in user again."""
    require_login(request)
    user = lock_login(request)
    rotate_token(request, again=Authentication(method, request.now, None, factors)).result()
    request.services.hooks.user_reauthenticated(request, user)
    return LoginResult(request.session_token or "", request.user)


def _check_method(method: str) -> None:
    if not METHOD.fullmatch(method):
        raise ValueError("method must be a word of at most 64 lower-case letters, digits and _")


def _check_factors(factors: Sequence[Factor]) -> None:
    if isinstance(factors, str) or not set(factors) <= set(get_args(Factor)):
        raise ValueError(f"factors must be some of {', '.join(get_args(Factor))}")
