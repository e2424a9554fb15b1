"""Complete a social login: the callback from the provider."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from authhost_hookspecs import OAuth1Provider, StopFlow
from sqlalchemy.exc import DBAPIError

from authhost.account.complete_login import continue_login
from authhost.account.deactivation import active_user
from authhost.account.flow import attach_user, check_change, lock_login, social_flow
from authhost.account.open_login import OpenLogin
from authhost.account.sessions import log_out_former_user
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
from authhost.socialaccount import pending
from authhost.socialaccount.accounts import ConcurrentChange, insert_account, store_token, update_account
from authhost.socialaccount.begin import callback_url
from authhost.socialaccount.email_match import find_user_by_email, prepare_matched_account
from authhost.socialaccount.signup import make_result, start_signup
from authhost.socialaccount.sociallogin import SocialLogin, email_addresses
from authhost.store import queries, statements
from authhost.store.engine import is_deadlock

if TYPE_CHECKING:
    from authhost.providers.app import App
    from authhost.providers.client import ProviderResponse

MAX_PARAM_LENGTH = 16_384
MAX_PARAMS = 50
DENIAL_ERRORS = ("access_denied", "user_denied", "user_cancelled_login", "user_cancelled_authorize", "denied")
MAX_ATTEMPTS = 5


@social_flow
def complete(
    request: Request, provider: str, *, params: Mapping[str, str], state_token: str | None
) -> SocialResult:
    """Process the callback from a provider, in a new unit of work.

    ``params`` is the query of the callback (for Apple its form). ``state_token`` is
    the value of the cookie that `begin` gave this browser. No transaction is open
    during requests to the provider.

    Raises `ProviderNotFound`, `InvalidInput`, `InvalidState`, `ProviderDenied`,
    `ProviderFailed`, `InvalidIdToken`, `SocialAccountTaken`, `AccountInactive`,
    `SignupClosed`, `Vetoed`, `Conflict` and `DeliveryFailed`. Raises
    ``RuntimeError`` if the unit of work has already written something.
    """
    request.require_clean("socialaccount.complete")
    services = request.services
    services.limits.hit(request, "social_complete")
    app = services.providers.app(provider)
    request.provider = app.id
    params = _validate_params(params)
    values = pending.load(request, "redirect", state_token)
    if values["provider"] != app.id or not same(values["state"], _state_param(app, params)):
        raise InvalidState
    request.restore_given(pending.given_of(values))
    pending.consume(request, str(state_token))
    if values["process"] == "connect" and not _same_session(request, values["session"]):
        raise InvalidState
    client = services.providers.client(app)
    client.check_issuer(params)
    _check_error(params)
    response = client.complete(callback_url(request, app.id), params, values["secrets"])
    return _retry_on_concurrent_change(request, lambda: _start(request, app, response, values))


def _start(request: Request, app: App, response: ProviderResponse, values: Mapping[str, Any]) -> SocialResult:
    """Build the social login and process it. All in one transaction."""
    sociallogin, released = _build_sociallogin(request, app, response, values["process"])
    with sociallogin.processed_by(request):
        if released is not None:
            request.services.hooks.social_account_removed(request, released)
        return _process(request, sociallogin, response, values)


def _process(
    request: Request, sociallogin: SocialLogin, response: ProviderResponse, values: Mapping[str, Any]
) -> SocialResult:
    """Update the account, call the hooks, and connect, log in or sign up."""
    hooks, process = request.services.hooks, sociallogin.process
    taken = process == "connect" and sociallogin.is_existing and not _belongs_to_user(request, sociallogin)
    existed = sociallogin.is_existing
    if existed:
        response = restore_posted_user(sociallogin.app, response, sociallogin.account.extra_data)
    if existed and not taken:
        update_account(request, sociallogin, response)
        hooks.social_account_updated(request, sociallogin)
    stop = None
    sociallogin.open(request)
    try:
        hooks.pre_social_login(request, sociallogin)
    except StopFlow as stopped:
        stop = stopped
    sociallogin.close()
    if sociallogin.is_existing and not existed:
        store_token(request, sociallogin)
        hooks.social_account_added(request, sociallogin)
    if stop is not None:
        return SocialResult(
            process, sociallogin.account, values["next"], stopped=True, response=stop.response
        )
    if process == "redirect":
        return SocialResult(process, sociallogin.account, values["next"])
    if process == "connect":
        return _connect(request, sociallogin, values["next"])
    return _log_in(request, sociallogin, values["next"])


def _connect(request: Request, sociallogin: SocialLogin, next_url: str | None) -> SocialResult:
    user = lock_login(request)
    if not sociallogin.is_existing:
        check_change(request, user, "connect", provider=sociallogin.app.id)
        insert_account(request, sociallogin, user)
        request.services.hooks.social_account_added(request, sociallogin)
    elif not _belongs_to_user(request, sociallogin):
        raise SocialAccountTaken
    return SocialResult("connect", sociallogin.account, next_url)


def _log_in(request: Request, sociallogin: SocialLogin, next_url: str | None) -> SocialResult:
    if not sociallogin.is_existing:
        if sociallogin.user is None:
            return start_signup(request, sociallogin, next_url)
        check_change(request, sociallogin.user, "connect", provider=sociallogin.app.id)
        log_out_former_user(request, sociallogin.user)
        user = prepare_matched_account(request, sociallogin, sociallogin.user)
        insert_account(request, sociallogin, user)
        request.services.hooks.social_account_added(request, sociallogin)
    account = sociallogin.account
    assert account.user_id is not None
    queries.lock_account(request, account.user_id)
    local = queries.account_by_id(request, account.user_id)
    if local is None:
        raise ConcurrentChange
    active = active_user(request, local.user)
    if active is None:
        raise attach_user(AccountInactive(), local.user)
    login = OpenLogin.begin(
        request,
        active,
        "socialaccount",
        password=local.password,
        provider=sociallogin.app.id,
        factors=sociallogin.factors,
    )
    return make_result(request, sociallogin, continue_login(request, login), next_url)


def _build_sociallogin(
    request: Request, app: App, response: ProviderResponse, process: str
) -> tuple[SocialLogin, SocialAccount | None]:
    """Return the social login, and the account that was disconnected from an unconfirmed signup, or None."""
    now, uid = request.now, response.profile.uid
    addresses = email_addresses(app, response.profile.emails)
    account, released = queries.social_account(request, app.namespace, uid), None
    if process == "connect" and account is not None and _release_if_unconfirmed(request, account):
        account, released = None, account
    user = None
    if account is not None and account.user_id is not None:
        local = queries.account_by_id(request, account.user_id)
        user = local.user if local else None
    elif process == "login" and app.settings.login_by_email:
        user = find_user_by_email(request, addresses)
    if account is None:
        account = _new_account(app, response, now)
    login = SocialLogin(
        app,
        process,
        account,
        token=response.token,
        email_addresses=addresses,
        user=user,
        factors=response.factors,
    )
    return login, released


def _new_account(app: App, response: ProviderResponse, now: datetime) -> SocialAccount:
    profile, data = response.profile, frozen(response.data)
    return SocialAccount(
        None,
        None,
        app.id,
        app.namespace,
        profile.uid,
        data,
        now,
        now,
        name=profile.name,
        username=profile.username,
        picture=profile.picture,
    )


def _release_if_unconfirmed(request: Request, account: SocialAccount) -> bool:
    """Disconnect the account from an unconfirmed signup; return whether it was connected to one.

    An unconfirmed signup must not prevent others from connecting the account. The
    caller calls `social_account_removed`.
    """
    if account.user_id is None or not queries.is_unconfirmed_signup(request, account.user_id):
        return False
    values = {"of_id": account.id, "of_user": account.user_id}
    if not request.write(statements.DELETE_SOCIAL_ACCOUNT, values):
        raise ConcurrentChange
    return True


def _belongs_to_user(request: Request, sociallogin: SocialLogin) -> bool:
    return request.user is not None and sociallogin.account.user_id == request.user.id


# The parameters of the callback.


def _validate_params(params: Mapping[str, str]) -> dict[str, str]:
    if not isinstance(params, Mapping) or len(params) > MAX_PARAMS:
        raise InvalidInput(
            f"params must be the query of the callback, with at most {MAX_PARAMS} parameters.", field="params"
        )
    return {
        text(name, "params", 128): value
        for name, value in params.items()
        if isinstance(value, str) and len(value) <= MAX_PARAM_LENGTH
    }


def _state_param(app: App, params: Mapping[str, str]) -> str:
    """Return the state. OAuth 1.0a has none: its request token, unique for each redirect, is used instead."""
    if isinstance(app.declaration, OAuth1Provider):
        return params.get("oauth_token") or params.get("denied", "")
    return params.get("state", "")


def _same_session(request: Request, session_id: str) -> bool:
    return request.session is not None and str(request.session.id) == session_id


def _check_error(params: Mapping[str, str]) -> None:
    """Raise `ProviderDenied` or `ProviderFailed` if ``params`` have an error (RFC 6749, section 4.1.2.1)."""
    if "denied" in params:
        raise ProviderDenied(error="denied")
    error = params.get("error")
    if error is None:
        return
    shown = "".join(each for each in error[:64] if each.isascii() and each.isprintable())
    if error in DENIAL_ERRORS:
        raise ProviderDenied(error=shown)
    raise ProviderFailed("The provider returned an error. Please try again.", reason="error", error=shown)


def _retry_on_concurrent_change(request: Request, process: Callable[[], SocialResult]) -> SocialResult:
    """Call ``process`` again after `ConcurrentChange` or a deadlock; raises `Conflict` after `MAX_ATTEMPTS`.

    For example, two first logins of one person at the same time: one creates the
    account; the other one rolls back everything, including the rows of plugins, and
    then finds the account.
    """
    state = request.browser_state()
    for _ in range(MAX_ATTEMPTS):
        try:
            return process()
        except ConcurrentChange:
            pass
        except DBAPIError as error:
            if not is_deadlock(error):
                raise
        request.undo_all()
        request.restore_browser(state)
    raise Conflict
