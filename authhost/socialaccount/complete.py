"""The way back: who the provider says it is, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from authhost_hookspecs import OAuth1Provider, StopFlow
from sqlalchemy.exc import DBAPIError

from authhost.account.flow import concerning, lock_login, social_flow
from authhost.account.login import start_session_or_wait
from authhost.account.sessions import log_out_current_user
from authhost.errors import (
    AccountInactive,
    Conflict,
    InvalidInput,
    InvalidState,
    ProviderDenied,
    ProviderFailed,
    SocialAccountTaken,
)
from authhost.providers.client import restore_posted_user
from authhost.records import SocialAccount, SocialResult, frozen
from authhost.request import Request
from authhost.security.inputs import text
from authhost.security.keys import same
from authhost.socialaccount import steps
from authhost.socialaccount.accounts import ConnectedMeanwhile, insert, refresh, store_token
from authhost.socialaccount.begin import callback_of
from authhost.socialaccount.match import connect_match, match_by_email
from authhost.socialaccount.signup import sign_up, waiting_or_done
from authhost.socialaccount.sociallogin import SocialLogin, email_addresses
from authhost.store import queries, statements
from authhost.store.engine import is_deadlock

if TYPE_CHECKING:
    from authhost.providers.app import App
    from authhost.providers.client import ProviderResponse

PARAM_LENGTH = 16_384
MOST_PARAMS = 50
DENIALS = ("access_denied", "user_denied", "user_cancelled_login", "user_cancelled_authorize", "denied")
TRIES = 5


@social_flow
def complete(
    request: Request, provider: str, *, params: Mapping[str, str], state_token: str | None
) -> SocialResult:
    """Take what came back from a provider, in a unit of work of its own.

    ``params`` is the query of the callback (for Apple its form), ``state_token``
    what `begin` gave this browser. No transaction is open while the provider is
    asked. Raises `ProviderNotFound`, `InvalidInput`, `InvalidState`,
    `ProviderDenied`, `ProviderFailed`, `InvalidIdToken`, `SocialAccountTaken`,
    `AccountInactive`, `SignupClosed`, `Vetoed`, `Conflict`, `DeliveryFailed`;
    ``RuntimeError`` where the unit has written something before.
    """
    request.require_clean("socialaccount.complete")
    services = request.services
    services.limits.hit(request, "social_complete")
    app = services.providers.app(provider)
    request.provider = app.id
    given = _checked(params)
    step = steps.find(request, "redirect", state_token)
    if step["provider"] != app.id or not same(step["state"], _state(app, given)):
        raise InvalidState
    steps.consume(request, str(state_token))
    if step["process"] == "connect" and not _same_session(request, step["session"]):
        raise InvalidState
    client = services.providers.client(app)
    client.check_issuer(given)
    _check_error(given)
    response = client.complete(callback_of(request, app.id), given, step["secrets"])
    return _retry_if_connected_meanwhile(request, lambda: _process(request, app, response, step))


def _process(request: Request, app: App, response: ProviderResponse, step: Mapping[str, Any]) -> SocialResult:
    """The rows of the design's table, from here on in one transaction."""
    hooks, process = request.services.hooks, step["process"]
    sociallogin = _sociallogin(request, app, response, process)
    taken = process == "connect" and sociallogin.is_existing and not _is_own(request, sociallogin)
    existed = sociallogin.is_existing
    if existed:
        response = restore_posted_user(app, response, sociallogin.account.extra_data)
    if existed and not taken:
        refresh(request, sociallogin, response.data)
        hooks.social_account_updated(request, sociallogin)
    stop = None
    try:
        hooks.pre_social_login(request, sociallogin)
    except StopFlow as stopped:
        stop = stopped
    sociallogin.close()
    if sociallogin.is_existing and not existed:
        store_token(request, sociallogin)
        hooks.social_account_added(request, sociallogin)
    if stop is not None:
        return SocialResult(process, sociallogin.account, step["next"], stopped=True, response=stop.response)
    if process == "redirect":
        return SocialResult(process, sociallogin.account, step["next"])
    if process == "connect":
        return _connect(request, sociallogin, step["next"])
    return _log_in(request, sociallogin, step["next"])


def _connect(request: Request, sociallogin: SocialLogin, target: str | None) -> SocialResult:
    user = lock_login(request)
    if not sociallogin.is_existing:
        insert(request, sociallogin, user)
        request.services.hooks.social_account_added(request, sociallogin)
    elif not _is_own(request, sociallogin):
        raise SocialAccountTaken
    return SocialResult("connect", sociallogin.account, target)


def _log_in(request: Request, sociallogin: SocialLogin, target: str | None) -> SocialResult:
    if not sociallogin.is_existing:
        if sociallogin.user is None:
            return sign_up(request, sociallogin, target)
        log_out_current_user(request)
        user = connect_match(request, sociallogin, sociallogin.user)
        insert(request, sociallogin, user)
        request.services.hooks.social_account_added(request, sociallogin)
    account = sociallogin.account
    assert account.user_id is not None
    queries.lock_account(request, account.user_id)
    local = queries.account_by_id(request, account.user_id)
    if local is None:
        raise ConnectedMeanwhile
    if not local.user.is_active:
        raise concerning(AccountInactive(), local.user)
    login = start_session_or_wait(
        request,
        local.user,
        "socialaccount",
        None,
        if_password=local.password,
        provider=sociallogin.app.id,
    )
    return waiting_or_done(request, sociallogin, login, target)


def _sociallogin(request: Request, app: App, response: ProviderResponse, process: str) -> SocialLogin:
    now, uid = request.now, response.profile.uid
    addresses = email_addresses(app, response.profile.emails)
    account = queries.social_account(request, app.namespace, uid)
    if process == "connect" and account is not None and _yields(request, account):
        account = None
    user = None
    if account is not None and account.user_id is not None:
        local = queries.account_by_id(request, account.user_id)
        user = local.user if local else None
    elif process == "login" and app.settings.login_by_email:
        user = match_by_email(request, addresses)
    if account is None:
        account = SocialAccount(None, None, app.id, app.namespace, uid, frozen(response.data), now, now)
    return SocialLogin(
        request, app, process, account, token=response.token, email_addresses=addresses, user=user
    )


def _yields(request: Request, account: SocialAccount) -> bool:
    """Whether the connection was of a signup that was never confirmed: it does not keep it from others."""
    if account.user_id is None or not queries.is_unconfirmed_signup(request, account.user_id):
        return False
    values = {"of_id": account.id, "of_user": account.user_id}
    if not request.write(statements.DELETE_SOCIAL_ACCOUNT, values):
        raise ConnectedMeanwhile
    request.services.hooks.social_account_removed(request, account)
    return True


def _is_own(request: Request, sociallogin: SocialLogin) -> bool:
    return request.user is not None and sociallogin.account.user_id == request.user.id


# What came back.


def _checked(params: Mapping[str, str]) -> dict[str, str]:
    if not isinstance(params, Mapping) or len(params) > MOST_PARAMS:
        raise InvalidInput("params must be the query of the callback.", field="params")
    return {
        text(name, "params", 128): value
        for name, value in params.items()
        if isinstance(value, str) and len(value) <= PARAM_LENGTH
    }


def _state(app: App, params: Mapping[str, str]) -> str:
    """OAuth 1.0a has no state: the request token, which one redirect alone was given, stands for it."""
    if isinstance(app.declaration, OAuth1Provider):
        return params.get("oauth_token") or params.get("denied", "")
    return params.get("state", "")


def _same_session(request: Request, session_id: str) -> bool:
    return request.session is not None and str(request.session.id) == session_id


def _check_error(params: Mapping[str, str]) -> None:
    """An error of the provider (RFC 6749, section 4.1.2.1)."""
    if "denied" in params:
        raise ProviderDenied(error="denied")
    error = params.get("error")
    if error is None:
        return
    shown = "".join(each for each in error[:64] if each.isascii() and each.isprintable())
    if error in DENIALS:
        raise ProviderDenied(error=shown)
    raise ProviderFailed("The provider responseed with an error.", reason="error", error=shown)


def _retry_if_connected_meanwhile(request: Request, process: Callable[[], SocialResult]) -> SocialResult:
    """Two first logins of one person at once: one creates the account, the other finds it.

    Whoever is overtaken undoes all that it did, its plugins' rows included.
    """
    state = request.browser_state()
    for _ in range(TRIES):
        try:
            return process()
        except ConnectedMeanwhile:
            pass
        except DBAPIError as error:
            if not is_deadlock(error):
                raise
        request.rollback()
        request.restore_browser(state)
    raise Conflict
