"""Signup with a provider: immediately, or after a form that asks for missing data."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy.exc import IntegrityError

from authhost.account.complete_login import continue_login
from authhost.account.create import insert_address, new_username, store_account
from authhost.account.flow import social_flow
from authhost.account.open_login import OpenLogin
from authhost.account.pending import store_pending_login
from authhost.account.sessions import log_out_former_user
from authhost.account.verification import mark_ready, may_claim, send_confirmation_mail
from authhost.errors import EmailTaken, InvalidInput, InvalidState, SignupClosed, UsernameTaken
from authhost.records import LoginResult, SocialEmail, SocialResult, User
from authhost.request import Request
from authhost.security.inputs import (
    Email,
    email as parse_email,
    email_key,
    key_of,
)
from authhost.security.keys import digest
from authhost.settings import Settings
from authhost.socialaccount import pending
from authhost.socialaccount.accounts import ConcurrentChange, insert_account
from authhost.socialaccount.restored import form_values, from_form
from authhost.socialaccount.sociallogin import SocialLogin, signup_email
from authhost.store import queries, statements


@social_flow
def signup(
    request: Request, *, signup_token: str, email: str | None = None, username: str | None = None
) -> SocialResult:
    """Create the account after `complete` has returned a ``signup_token``, with the missing data.

    An e-mail address that the provider has not verified must be confirmed. Raises
    `SignupClosed`, `InvalidInput`, `RateLimited`, `InvalidState` (the token has
    expired or was used), `UsernameTaken`, `Vetoed`, `DeliveryFailed` (if a
    confirmation is sent), and without mandatory verification `EmailTaken`.
    """
    settings = request.settings
    if not settings.signup_open:
        raise SignupClosed
    typed = parse_email(email) if email is not None else None
    name = new_username(request, username)
    request.services.limits.hit(request, "signup")
    values = pending.load(request, "signup", signup_token)
    request.restore_given(pending.given_of(values))
    sociallogin = from_form(request, values)
    request.provider = sociallogin.app.id
    with sociallogin.processed_by(request):
        login = _complete_form(request, sociallogin, signup_token, typed, name)
    return make_result(request, sociallogin, login, values["next"])


def _complete_form(
    request: Request, sociallogin: SocialLogin, signup_token: str, typed: Email | None, name: str | None
) -> LoginResult:
    address = signup_email(sociallogin)
    if typed is not None:
        address = SocialEmail(typed.address, False, True)
        for each in sociallogin.email_addresses:
            if email_key(each.email) == typed.key:
                address = each
    if address is None and _needs_email(request.settings):
        raise InvalidInput("An e-mail address is required.", field="email")
    if name is not None and queries.account_by_username(request, key_of(name)) is not None:
        raise UsernameTaken(field="username")
    if not request.write(statements.DELETE_STEP, {"of_digest": digest(signup_token)}):
        raise InvalidState
    try:
        login = _create_account(request, sociallogin, address, name)
    except ConcurrentChange:
        raise InvalidState from None
    if login is None:
        raise EmailTaken(field="email")
    return login


def start_signup(request: Request, sociallogin: SocialLogin, next_url: str | None) -> SocialResult:
    """Sign up a person who logs in with this provider for the first time, or ask for missing data.

    Raises `SignupClosed`, `Vetoed`, `DeliveryFailed`, `ConcurrentChange`.
    """
    settings = request.settings
    if not settings.signup_open:
        raise SignupClosed
    address = signup_email(sociallogin)
    if address is None and _needs_email(settings):
        return _request_missing_fields(request, sociallogin, next_url, "email")
    if not settings.social_auto_signup:
        return _request_missing_fields(request, sociallogin, next_url)
    login = _create_account(request, sociallogin, address, None)
    if login is None:
        return _request_missing_fields(request, sociallogin, next_url, "email")
    return make_result(request, sociallogin, login, next_url)


def _request_missing_fields(
    request: Request, sociallogin: SocialLogin, next_url: str | None, *missing: str
) -> SocialResult:
    values = {**form_values(request, sociallogin), "next": next_url, "given": dict(request.given)}
    signup_token = pending.save(request, "signup", values)
    return SocialResult("login", sociallogin.account, next_url, signup_token=signup_token, missing=missing)


def _create_account(
    request: Request, sociallogin: SocialLogin, address: SocialEmail | None, name: str | None
) -> LoginResult | None:
    """Store the account and log in; return None if the e-mail address is taken."""
    hooks, settings = request.services.hooks, request.settings
    hooks.before_signup(request, address.email if address else None)
    parsed = parse_email(address.email) if address else None
    verified = address is not None and address.verified
    created = store_account(request, parsed, name=name, password=None, verified=verified)
    if created is None:
        account = sociallogin.account
        if queries.social_account(request, account.issuer, account.uid) is not None:
            raise ConcurrentChange
        return None
    user, email_address, _ = created
    verified = email_address is not None and email_address.verified
    must_wait = not verified and settings.email_verification == "mandatory"
    if not must_wait:
        log_out_former_user(request, user)
    _insert_further_addresses(request, user, sociallogin, main=address)
    # `restored.from_signup` finds the account by this time.
    insert_account(request, sociallogin, user, joined=user.date_joined)
    hooks.user_signed_up(request, user)
    if email_address is not None and not verified and settings.email_verification != "none":
        send_confirmation_mail(request, user, email_address, signup=True)
    login = OpenLogin.begin(
        request,
        user,
        "socialaccount",
        password=None,
        provider=sociallogin.app.id,
        factors=sociallogin.factors,
    )
    if must_wait:
        return store_pending_login(request, login, address=email_address)
    mark_ready(request, user)
    return continue_login(request, login, verified=True)


def _insert_further_addresses(
    request: Request, user: User, sociallogin: SocialLogin, *, main: SocialEmail | None
) -> None:
    """Store further addresses that the provider has verified and that no other account has."""
    if request.settings.change_email:
        return
    remaining = request.settings.max_email_addresses - (main is not None)
    for each in sociallogin.email_addresses:
        if (
            remaining > 0
            and each.verified
            and (main is None or email_key(each.email) != email_key(main.email))
        ):
            try:
                if not may_claim(request, email_key(each.email), verified=True):
                    continue
                with request.savepoint():
                    insert_address(request, user, parse_email(each.email), verified=True, primary=False)
                    remaining -= 1
            except IntegrityError:
                continue


def _needs_email(settings: Settings) -> bool:
    return settings.social_email_required or settings.email_verification == "mandatory"


def make_result(
    request: Request, sociallogin: SocialLogin, login: LoginResult, next_url: str | None
) -> SocialResult:
    """Return the result of a login. If the login must wait, it does not reveal whether an account exists."""
    account = sociallogin.account
    if not login.authenticated:
        now = request.now
        account = replace(account, id=None, user_id=None, date_joined=now, last_login=now)
    return SocialResult("login", account, next_url, login)
