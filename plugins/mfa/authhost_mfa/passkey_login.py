"""Logs a person in by a passkey, without a username and a password."""

from __future__ import annotations

from authhost_hookspecs import Refused, Request, Values

from authhost_mfa import attempts, security_keys, verification
from authhost_mfa.languages import language_of
from authhost_mfa.policy import settings_of
from authhost_mfa.security_keys import key_of_response, translated
from authhost_mfa.values import WEBAUTHN, factors_of_key
from authhost_mfa.webauthn import (
    InvalidCredential,
    UnknownCredential,
    new_challenge,
    purpose_of_login,
)


def begin(request: Request) -> str:
    """Return the options, which name no credential: nobody is known yet. Raises `Refused` if it is off."""
    _require_setting(request)
    return security_keys.options(request, new_challenge(request, purpose_of_login()), [])


def log_in(request: Request, values: Values) -> None:
    """Log in by the field ``credential``.

    A passkey that has verified the person proves two factors. Otherwise a login to an account with a
    second factor asks for another one. An unknown or removed passkey and one of a deactivated account get
    the same answer.
    """
    _require_setting(request)
    response = str(values["credential"])
    with translated(request):
        challenge = security_keys.open_challenge(request, response, purpose_of_login())
        key = key_of_response(request, response)
        account = request.account(key.user_id)
        if account is None or not account.user.is_active:
            raise UnknownCredential
        with verification.reported(request, account.user, key.authenticator):
            found = security_keys.verify(request, key, response, challenge)
            if found.user_handle is None:
                # Without it, it was not the passkey that chose the account (WebAuthn, 7.2, step 6).
                raise InvalidCredential
        request.logins.lock(key.user_id)
        security_keys.record_use(request, key, found, challenge)
    if found.user_verified:
        # One factor alone must not allow further attempts to guess the other one.
        attempts.reset(request, key.user_id, WEBAUTHN)
    request.call_hook(
        "authenticator_used",
        user=account.user,
        authenticator=key.authenticator,
        reauthenticated=False,
        passwordless=True,
    )
    factors = factors_of_key(user_verified=found.user_verified)
    request.logins.log_in(key.user_id, method=WEBAUTHN, factors=factors)
    waiting = request.logins.pending
    if waiting is not None:
        security_keys.record_first_proof(request, key, waiting.started)


def _require_setting(request: Request) -> None:
    if not settings_of(request).passkey_login:
        text = language_of(request).gettext("Nobody can log in with a passkey here.")
        raise Refused("passkey_login_off", text)
