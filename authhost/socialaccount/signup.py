"""Signup by a provider: at once, or after a form that asks for what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.exc import IntegrityError

from authhost.account.create import insert_address, store_account
from authhost.account.flow import social_flow
from authhost.account.login import start_session
from authhost.account.pending import store_pending_login
from authhost.account.sessions import log_out_current_user
from authhost.account.verification import complete_signup, may_claim, send_confirmation_mail
from authhost.errors import EmailTaken, InvalidInput, InvalidState, SignupClosed, UsernameTaken
from authhost.records import LoginResult, SocialAccount, SocialEmail, SocialResult, User, frozen
from authhost.request import Request
from authhost.security.inputs import email as parse_email
from authhost.security.inputs import email_key, key_of
from authhost.security.inputs import username as parse_username
from authhost.security.keys import digest
from authhost.settings import Settings
from authhost.socialaccount import steps, tokens
from authhost.socialaccount.accounts import ConnectedMeanwhile, insert
from authhost.socialaccount.sociallogin import SocialLogin, usable_email
from authhost.store import queries, statements


@social_flow
def signup(
    request: Request, *, signup_token: str, email: str | None = None, username: str | None = None
) -> SocialResult:
    """Create the account of somebody whom `complete` left waiting, with what was missing.

    An address that the provider did not verify has to be confirmed. Raises
    `SignupClosed`, `InvalidInput`, `RateLimited`, `InvalidState` (too late, or
    done already), `UsernameTaken`, `Vetoed`, and without mandatory verification
    `EmailTaken`; `DeliveryFailed` where a confirmation is sent.
    """
    settings = request.settings
    if not settings.signup_open:
        raise SignupClosed
    given = parse_email(email) if email is not None else None
    name = None
    if username is not None:
        name = parse_username(
            username, settings.username_min_length, settings.username_max_length, settings.username_scripts
        )
    request.services.limits.hit(request, "signup")
    step = steps.find(request, "signup", signup_token)
    sociallogin = _from_step(request, step)
    request.provider = sociallogin.app.id
    address = usable_email(sociallogin)
    if given is not None:
        address = SocialEmail(given.address, False, True)
        for each in sociallogin.email_addresses:
            if email_key(each.email) == given.key:
                address = each
    if address is None and _needs_email(settings):
        raise InvalidInput("An e-mail address is needed.", field="email")
    if name is not None and queries.account_by_username(request, key_of(name)) is not None:
        raise UsernameTaken(field="username")
    if not request.write(statements.DELETE_STEP, {"of_digest": digest(signup_token)}):
        raise InvalidState
    try:
        login = _create(request, sociallogin, address, name)
    except ConnectedMeanwhile:
        raise InvalidState from None
    if login is None:
        raise EmailTaken(field="email")
    return waiting_or_done(request, sociallogin, login, step["next"])


def sign_up(request: Request, sociallogin: SocialLogin, target: str | None) -> SocialResult:
    """The signup of somebody who comes from a provider for the first time.

    Raises `SignupClosed`, `Vetoed`, `DeliveryFailed`, `ConnectedMeanwhile`.
    """
    settings = request.settings
    if not settings.signup_open:
        raise SignupClosed
    address = usable_email(sociallogin)
    if address is None and _needs_email(settings):
        return _ask(request, sociallogin, target, "email")
    if not settings.social_auto_signup:
        return _ask(request, sociallogin, target)
    login = _create(request, sociallogin, address, None)
    if login is None:
        return _ask(request, sociallogin, target, "email")
    return waiting_or_done(request, sociallogin, login, target)


def _create(
    request: Request, sociallogin: SocialLogin, address: SocialEmail | None, name: str | None
) -> LoginResult | None:
    """Store the account and log in, or return None where the address is taken."""
    hooks, settings = request.services.hooks, request.settings
    hooks.before_signup(request, address.email if address else None)
    given = parse_email(address.email) if address else None
    verified = address is not None and address.verified
    created = store_account(request, given, name=name, password=None, verified=verified)
    if created is None:
        account = sociallogin.account
        if queries.social_account(request, account.issuer, account.uid) is not None:
            raise ConnectedMeanwhile
        return None
    user, email_address, _ = created
    verified = email_address is not None and email_address.verified
    waits = not verified and settings.email_verification == "mandatory"
    if not waits:
        log_out_current_user(request)
    _insert_others(request, user, sociallogin, but=address)
    insert(request, sociallogin, user)
    hooks.user_signed_up(request, user)
    if email_address is not None and not verified and settings.email_verification != "none":
        send_confirmation_mail(request, user, email_address, signup=True)
    if waits:
        return store_pending_login(request, user, email_address, password=None)
    complete_signup(request, user)
    return start_session(request, user, "socialaccount", if_password=None, provider=sociallogin.app.id)


def _insert_others(
    request: Request, user: User, sociallogin: SocialLogin, *, but: SocialEmail | None
) -> None:
    """Further addresses that the provider has verified and that no other account has."""
    if request.settings.change_email:
        return
    left = request.settings.max_email_addresses - (but is not None)
    for each in sociallogin.email_addresses:
        if left > 0 and each.verified and (but is None or email_key(each.email) != email_key(but.email)):
            try:
                if not may_claim(request, email_key(each.email), verified=True):
                    continue
                with request.savepoint():
                    insert_address(request, user, parse_email(each.email), verified=True, primary=False)
                    left -= 1
            except IntegrityError:
                continue


def _needs_email(settings: Settings) -> bool:
    return settings.social_email_required or settings.email_verification == "mandatory"


def waiting_or_done(
    request: Request, sociallogin: SocialLogin, login: LoginResult, target: str | None
) -> SocialResult:
    """A login that waits looks the same whether there is an account or not."""
    account = sociallogin.account
    if not login.authenticated:
        now = request.now
        account = replace(account, id=None, user_id=None, date_joined=now, last_login=now)
    return SocialResult("login", account, target, login)


# The signup that asks for more.


def _ask(request: Request, sociallogin: SocialLogin, target: str | None, *missing: str) -> SocialResult:
    account, token = sociallogin.account, sociallogin.token
    keeps_token = token is not None and request.settings.store_social_tokens
    signup_token = steps.store(
        request,
        "signup",
        {
            "provider": sociallogin.app.id,
            "uid": account.uid,
            "data": account.values()["extra_data"],
            "emails": [[each.email, each.verified, each.primary] for each in sociallogin.email_addresses],
            "token": tokens.as_values(token) if token is not None and keeps_token else None,
            "time": account.date_joined.isoformat(),
            "next": target,
        },
    )
    return SocialResult("login", account, target, signup_token=signup_token, missing=missing)


def _from_step(request: Request, step: Mapping[str, Any]) -> SocialLogin:
    app = request.services.providers.app(step["provider"])
    if queries.social_account(request, app.namespace, step["uid"]) is not None:
        raise InvalidState
    time = datetime.fromisoformat(step["time"])
    account = SocialAccount(None, None, app.id, app.namespace, step["uid"], frozen(step["data"]), time, time)
    return SocialLogin(
        request,
        app,
        "login",
        account,
        token=tokens.from_values(step["token"]) if step["token"] else None,
        email_addresses=tuple(SocialEmail(*each) for each in step["emails"]),
        user=None,
    )
