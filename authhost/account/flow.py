"""What makes a function a flow: a refusal undoes its writes, is told to the plugins, and is stored."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy.exc import DBAPIError

from authhost.account.refusals import record_overdue
from authhost.errors import (
    AuthError,
    Busy,
    Conflict,
    InvalidInput,
    LoginRequired,
    RateLimited,
    ReauthenticationRequired,
)
from authhost.records import Session, User
from authhost.request import Request
from authhost.security.keys import digest
from authhost.store import queries
from authhost.store.engine import is_deadlock

P = ParamSpec("P")
R = TypeVar("R")


def flow(function: Callable[Concatenate[Request, P], R]) -> Callable[Concatenate[Request, P], R]:
    """Run ``function`` as one flow of the unit of work, under its own name."""
    return _run_as(function.__name__, function)


def social_flow(function: Callable[Concatenate[Request, P], R]) -> Callable[Concatenate[Request, P], R]:
    """The same for a flow of social login, whose name begins with ``social_``."""
    return _run_as(f"social_{function.__name__}", function)


def _run_as(
    name: str, function: Callable[Concatenate[Request, P], R]
) -> Callable[Concatenate[Request, P], R]:
    def attempt(request: Request, /, *args: P.args, **kwargs: P.kwargs) -> R:
        clean, mark, state = request.clean, request.mark(), request.browser_state()
        savepoint = None if clean else request.begin_savepoint()
        counted = len(request.counted)
        try:
            result = function(request, *args, **kwargs)
        except BaseException as error:
            if savepoint is None:
                request.rollback()
            else:
                request.undo_to(savepoint, mark)
                request.uncount(counted)
            request.restore_browser(state)
            refusal = _refusal(error, clean)
            if refusal is None:
                raise
            if isinstance(refusal, Busy):
                request.take_back_tries()
            refusal = _limited(request, refusal)
            user = refusal.__dict__.pop("user", None) or request.user
            repeated = request.services.refusals.count(request, name, refusal, user)
            if repeated:
                request.refused(name, refusal, user, repeated)
            if clean:
                request.commit()
                record_overdue(request.services)
            else:
                request.on_commit(lambda: record_overdue(request.services))
            if refusal is error:
                raise
            raise refusal from error
        if savepoint is not None:
            request.release_savepoint(savepoint)
        return result

    @wraps(function)
    def run(request: Request, /, *args: P.args, **kwargs: P.kwargs) -> R:
        request.check_open(writing=True)
        outer = request.identifier_digest, request.provider, request.tries
        request.identifier_digest, request.provider, request.tries = None, None, []
        try:
            return attempt(request, *args, **kwargs)
        finally:
            if request.depth:  # a hook of another flow has called this one
                request.identifier_digest, request.provider, request.tries = outer

    return run


def _refusal(error: BaseException, clean: bool) -> AuthError | None:
    """What the caller is told: a deadlock is a conflict, where it undid nothing but this flow."""
    if isinstance(error, AuthError):
        return error
    if clean and isinstance(error, DBAPIError) and is_deadlock(error):
        return Conflict()
    return None


def _limited(request: Request, refusal: AuthError) -> AuthError:
    """Input that is refused is limited, too; other limits are only asked once the input is right."""
    if isinstance(refusal, InvalidInput):
        try:
            request.services.limits.hit(request, "invalid_input")
        except RateLimited as limited:
            return limited
    return refusal


def concerning(error: AuthError, user: User | None) -> AuthError:
    """Say for the plugins alone whom a refusal is about; the caller never sees it."""
    error.__dict__["user"] = user
    return error


def require_login(request: Request) -> tuple[User, Session]:
    """Who is logged in; raises `LoginRequired`."""
    if request.user is None or request.session is None:
        raise LoginRequired
    return request.user, request.session


def require_recent_login(request: Request) -> tuple[User, Session]:
    """Who is logged in, if lately enough for a sensitive change; raises `ReauthenticationRequired`."""
    user, session = require_login(request)
    longest = request.settings.reauthentication_timeout
    age = (request.now - session.authenticated_at).total_seconds()
    if age > longest:
        raise ReauthenticationRequired(max_age=longest, age=round(age))
    return user, session


def lock_login(request: Request) -> User:
    """Lock the account of who is logged in; return the user as it is now.

    While a flow hashed, asked a provider or waited for the lock, the session may
    have ended, or its token may have been replaced: by a logout elsewhere, a
    change of the password, or because the account was given back to its owner.
    Raises `LoginRequired` then (ASVS 5.0, 7.2.4 and 7.4.3).
    """
    user, session = require_login(request)
    queries.lock_account(request, user.id)
    current = queries.user_of_session(request, session.id, digest(request.session_token or ""))
    if current is None:
        request.log_out()
        raise LoginRequired
    return current
