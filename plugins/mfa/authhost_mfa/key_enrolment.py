"""Adds a passkey or security key: for the logged-in user, and as a step of a login."""

from __future__ import annotations

from authhost_hookspecs import Request, User, Values

from authhost_mfa import authenticators, security_keys
from authhost_mfa.access import (
    current_user,
    require_recent_factor,
    require_verified_address,
    session_id,
)
from authhost_mfa.policy import settings_of
from authhost_mfa.recovery_codes import CodeSet
from authhost_mfa.security_keys import keys_of, translated
from authhost_mfa.values import WEBAUTHN, factors_of_key
from authhost_mfa.webauthn import (
    NewCredential,
    creation_options,
    new_challenge,
    origins_of,
    purpose_of_registration,
    rp_id_of,
    verify_registration,
)


def begin(request: Request, user: User, purpose: str) -> str:
    """Return the options for a field of the type ``public_key_create``.

    Raises `Refused` if the primary address is not verified.
    """
    require_verified_address(request, user)
    handle = authenticators.user_handle(request, user.id)
    return creation_options(
        new_challenge(request, _with_handle(purpose, handle)),
        rp_id=rp_id_of(request.settings.base_url),
        rp_name=settings_of(request).issuer or request.settings.site_name,
        user_handle=handle,
        user_name=user.email or user.username or str(user.id),
        excluded=keys_of(request, user.id),
    )


def check(request: Request, user: User, purpose: str, values: Values) -> NewCredential:
    """Return the credential of the field ``credential``; raises `Refused`."""
    require_verified_address(request, user)
    response, base_url = str(values["credential"]), request.settings.base_url
    handle = authenticators.user_handle(request, user.id)
    with translated(request):
        challenge = security_keys.open_challenge(request, response, _with_handle(purpose, handle))
        found = verify_registration(response, challenge, rp_id_of(base_url), origins_of(base_url))
        security_keys.use_up(request, challenge)
    return found


def begin_in_session(request: Request) -> str:
    """Return the options for the logged-in user."""
    user = current_user(request)
    return begin(request, user, purpose_of_registration(user.id, session_id(request)))


def add_in_session(request: Request, values: Values) -> CodeSet | None:
    """Add a passkey or security key for the logged-in user; return the recovery codes if there were none.

    It is a second factor if the user wants so, or if it cannot log in by itself: then it is of no other use.
    """
    user = current_user(request)
    require_recent_factor(request, user)
    purpose = purpose_of_registration(user.id, session_id(request))
    found = check(request, user, purpose, values)
    second_factor = bool(values["second_factor"]) or found.discoverable is False
    codes = authenticators.add_key(request, user, found, str(values["name"]), second_factor=second_factor)
    factors = factors_of_key(user_verified=found.user_verified)
    request.logins.reauthenticate(method=WEBAUTHN, factors=factors)
    return codes


def _with_handle(purpose: str, handle: bytes) -> str:
    """Return a purpose for one handle: the authenticator stores it, so that the account must keep it."""
    return f"{purpose} with the handle {handle.hex()}"
