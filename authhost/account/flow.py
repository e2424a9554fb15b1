"""Makes a function a flow: a refusal rolls back its writes, calls `flow_refused`, and is recorded."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from authhost_hookspecs import Change, ChangeKind
from sqlalchemy.exc import DBAPIError

from authhost.account.refusals import record_expired
from authhost.errors import (
    AuthError,
    Busy,
    Conflict,
    Impersonated,
    InvalidInput,
    LoginRequired,
    RateLimited,
    ReauthenticationRequired,
    Vetoed,
)
from authhost.records import Session, User
from authhost.request import Request
from authhost.security.keys import digest
from authhost.store import queries
from authhost.store.engine import is_deadlock

if TYPE_CHECKING:
    import authhost_hookspecs as contract

P = ParamSpec("P")
R = TypeVar("R")


def flow(function: Callable[Concatenate[Request, P], R]) -> Callable[Concatenate[Request, P], R]:
    """Decorate ``function`` as a flow with its own name."""
    return _run_as(function.__name__, function)


def social_flow(function: Callable[Concatenate[Request, P], R]) -> Callable[Concatenate[Request, P], R]:
    """Decorate ``function`` as a flow of social login, with the prefix ``social_`` before its name."""
    return _run_as(f"social_{function.__name__}", function)


def flow_while_impersonating(
    function: Callable[Concatenate[Request, P], R],
) -> Callable[Concatenate[Request, P], R]:
    """Decorate ``function`` as a flow that also runs while an administrator works in the account."""
    return _run_as(function.__name__, function, refused_to_impersonators=False)


def flow_named(
    name: str,
) -> Callable[[Callable[Concatenate[Request, P], R]], Callable[Concatenate[Request, P], R]]:
    """Decorate a function as one more way into the flow ``name``, under which its refusals are recorded."""

    def decorate(function: Callable[Concatenate[Request, P], R]) -> Callable[Concatenate[Request, P], R]:
        return _run_as(name, function)

    return decorate


def _run_as(
    name: str, function: Callable[Concatenate[Request, P], R], *, refused_to_impersonators: bool = True
) -> Callable[Concatenate[Request, P], R]:
    def attempt(request: Request, /, *args: P.args, **kwargs: P.kwargs) -> R:
        impersonated = refused_to_impersonators and is_impersonated(request)
        unwritten, mark, state = request.clean, request.mark(), request.browser_state()
        clean = unwritten and not request.depth  # whether this flow is the whole unit
        savepoint = None if unwritten else request.begin_savepoint()
        counted = len(request.counted)
        try:
            if impersonated:
                raise Impersonated
            result = function(request, *args, **kwargs)
        except BaseException as error:
            if clean:
                request.rollback()
            elif savepoint is None:  # the flow's writes are all writes of the running call of a hook
                request.undo_writes(mark)
                request.uncount(counted)
            else:
                request.undo_to(savepoint, mark)
                request.uncount(counted)
            request.restore_browser(state)
            refusal = _as_auth_error(error, clean)
            if refusal is None:
                raise
            if isinstance(refusal, Busy):
                request.take_back_tries()
            refusal = _count_invalid_input(request, refusal)
            user = refusal.__dict__.pop("user", None) or request.user
            repeated = request.services.refusals.count(request, name, refusal, user)
            if repeated:
                request.refused(name, refusal, user, repeated)
            if clean:
                request.commit()
                record_expired(request.services)
            else:
                request.on_commit(lambda: record_expired(request.services))
            if refusal is error:
                raise
            raise refusal from error
        if savepoint is not None:
            request.release_savepoint(savepoint)
        return result

    def start(request: Request, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if not request.depth:  # the usual case, without the costs of the other one
            request.begin_flow()
            request.tries = []
            return attempt(request, *args, **kwargs)
        outer, tries = request.flow_state(), request.tries
        request.begin_flow()
        request.tries = []
        try:
            with request.nested():  # a hook of another flow has called this flow
                return attempt(request, *args, **kwargs)
        finally:
            request.restore_flow(outer)
            request.tries = tries

    @wraps(function)
    def run(request: Request, /, *args: P.args, **kwargs: P.kwargs) -> R:
        request.check_open(writing=True)
        with request.services.telemetry.flow(name):
            return start(request, *args, **kwargs)

    return run


def _as_auth_error(error: BaseException, clean: bool) -> AuthError | None:
    """Return the error for the caller, or None. A deadlock is a `Conflict` if this flow is the whole unit."""
    if isinstance(error, AuthError):
        return error
    if clean and isinstance(error, DBAPIError) and is_deadlock(error):
        return Conflict()
    return None


def _count_invalid_input(request: Request, refusal: AuthError) -> AuthError:
    """Count invalid input; return `RateLimited` instead of ``refusal`` if there was too much.

    The other limits are only counted after the input was validated.
    """
    if isinstance(refusal, InvalidInput):
        try:
            request.services.limits.hit(request, "invalid_input")
        except RateLimited as limited:
            return limited
    return refusal


def attach_user(error: AuthError, user: contract.User | None) -> AuthError:
    """Attach the user that a refusal is about. It is passed to `flow_refused`, not to the caller."""
    error.__dict__["user"] = user
    return error


def check_change(
    request: Request,
    user: contract.User,
    kind: ChangeKind,
    *,
    email: str | None = None,
    provider: str | None = None,
    administrative: bool = False,
) -> None:
    """Call `before_change`; raises `Vetoed` with the user attached. The caller has locked the account."""
    plugin = request.caller.name if request.caller is not None else None
    change = Change(kind, email, provider, plugin, administrative)
    try:
        request.services.hooks.before_change(request, user, change)
    except Vetoed as refusal:
        attach_user(refusal, user)
        raise


def is_impersonated(request: Request) -> bool:
    """Return whether an administrator works in the account of the logged-in user."""
    session = request.session
    return session is not None and session.actor is not None


def refuse_while_impersonating(request: Request) -> None:
    """Raise `Impersonated` if an administrator works in the account of the logged-in user.

    Every flow is refused then, unless it is a `flow_while_impersonating`, and so is every page and route
    that requires a recent login, every action of a plugin's page, and every change of an account.
    """
    if is_impersonated(request):
        raise Impersonated


def require_login(request: Request) -> tuple[User, Session]:
    """Return the logged-in user and the session; raises `LoginRequired`."""
    if request.user is None or request.session is None:
        raise LoginRequired
    return request.user, request.session


def require_recent_login(request: Request, longest: float | None = None) -> tuple[User, Session]:
    """Return the logged-in user and the session, if the login is recent enough for a sensitive change.

    ``longest`` is how many seconds ago it may have been, by default ``reauthentication_timeout``. Raises
    `LoginRequired`, `ReauthenticationRequired`, `Impersonated`.
    """
    user, session = require_login(request)
    refuse_while_impersonating(request)
    longest = request.settings.reauthentication_timeout if longest is None else longest
    age = (request.now - session.authenticated_at).total_seconds()
    if age > longest:
        raise ReauthenticationRequired(max_age=longest, age=round(age))
    return user, session


def lock_login(request: Request) -> User:
    """Lock the account of the logged-in user; return its current state.

    While the flow hashed a password, called a provider or waited for the lock, the
    session may have ended, or its token may have been replaced: by a logout in
    another browser, a change of the password or a recovery of the account. Then
    it raises `LoginRequired` (ASVS 5.0, 7.2.4 and 7.4.3).
    """
    user, session = require_login(request)
    queries.lock_account(request, user.id)
    current = queries.user_of_session(request, session.id, digest(request.session_token or ""))
    if current is None:
        request.log_out()
        raise LoginRequired
    return current
