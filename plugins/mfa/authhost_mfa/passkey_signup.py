"""Signs a person up by a passkey, without a password.

The passkey is made before there is an account. The handle that it stores travels in a hidden field, encrypted
for this address and this browser, so that showing the page writes nothing.
"""

from __future__ import annotations

import secrets
from typing import NamedTuple

from authhost_hookspecs import CannotOpen, Refused, Request, Values

from authhost_mfa import authenticators, security_keys
from authhost_mfa.languages import language_of
from authhost_mfa.policy import is_selected, settings_of
from authhost_mfa.recovery_codes import CodeSet
from authhost_mfa.security_keys import translated
from authhost_mfa.values import WEBAUTHN, factors_of_key
from authhost_mfa.webauthn import (
    CHALLENGE_SECONDS,
    InvalidCredential,
    NewCredential,
    creation_options,
    new_challenge,
    new_user_handle,
    origins_of,
    purpose_of_signup,
    rp_id_of,
    verify_registration,
)

COOKIE = "mfa-signup"
TOKEN_BYTES, MAX_TOKEN = 32, 64


class Setup(NamedTuple):
    """The options of a new passkey, and what the form returns with it."""

    options: str
    sealed: str


def is_offered(request: Request) -> bool:
    """Return whether people can sign up with a passkey. They must be able to log in with it, too."""
    settings = settings_of(request)
    return settings.passkey_signup and settings.passkey_login and request.settings.signup_open


def require_offered(request: Request) -> None:
    """Raise `Refused` unless people can sign up with a passkey."""
    if not is_offered(request):
        text = language_of(request).gettext("Nobody can sign up with a passkey here.")
        raise Refused("passkey_signup_off", text)


def begin(request: Request, values: Values) -> Setup:
    """Return the options for a field of the type ``public_key_create``, for the field ``email``.

    They tell nothing of whether the address has an account. Raises `Refused`.
    """
    require_offered(request)
    _username(request, values)
    email, handle, token = str(values["email"]), new_user_handle(), _browser_token(request)
    options = creation_options(
        new_challenge(request, purpose_of_signup(handle)),
        rp_id=rp_id_of(request.settings.base_url),
        rp_name=settings_of(request).issuer or request.settings.site_name,
        user_handle=handle,
        user_name=email,
        resident_key="required",
        user_verification="required",
    )
    return Setup(options, request.seal(f"{handle.hex()} {token}", _purpose(email)))


def sign_up(request: Request, values: Values, *, is_page: bool) -> CodeSet | None:
    """Create an account without a password, and add the passkey of the field ``credential``.

    Each login asks for it if the policy requires a second factor of the user: then it returns the recovery
    codes. ``is_page``: the client is a browser, which has the cookie of `begin`; a program has none.

    With mandatory verification a taken address gets a passkey like a free one, for an account that nobody
    can ever confirm.
    """
    require_offered(request)
    username = _username(request, values)
    email, response = str(values["email"]), str(values["credential"])
    with translated(request):
        handle = _open(request, str(values["setup"]), email, is_page=is_page)
        challenge = security_keys.open_challenge(request, response, purpose_of_signup(handle))
        found = _verify(request, response, challenge)
    factors = factors_of_key(user_verified=found.user_verified)
    user = request.logins.sign_up(email=email, username=username, method=WEBAUTHN, factors=factors)
    with translated(request):
        security_keys.use_up(request, challenge)
    required = is_selected(request, user)
    codes = authenticators.add_key(request, user, found, "", second_factor=required, user_handle=handle)
    request.answer.delete_cookie(_cookie(request))
    return codes


def _verify(request: Request, response: str, challenge: bytes) -> NewCredential:
    """Return the new passkey; raises `InvalidCredential`, and `Refused` if it is not enough for a login.

    It is the only proof of the account, so it must have verified its user, and be found without a username.
    """
    base_url = request.settings.base_url
    found = verify_registration(response, challenge, rp_id_of(base_url), origins_of(base_url))
    gettext = language_of(request).gettext
    if not found.user_verified:
        text = gettext("This passkey has not checked that it is you. Set up a screen lock or a PIN for it.")
        raise Refused("user_not_verified", text)
    if found.discoverable is False:
        text = gettext("This key cannot log you in without a username. Use another one, or a password.")
        raise Refused("not_discoverable", text)
    return found


def _username(request: Request, values: Values) -> str | None:
    """Return the username, if the site asks for one; raises `Refused` if it must be given."""
    setting = request.settings.username_at_signup
    username = str(values.get("username") or "") if setting != "no" else ""
    if setting == "required" and not username:
        text = language_of(request).gettext("Choose a username.")
        raise Refused("username_required", text, field="username")
    return username or None


def _open(request: Request, sealed: str, email: str, *, is_page: bool) -> bytes:
    """Return the handle of `begin`, if it was for this address and browser; raises `InvalidCredential`."""
    try:
        handle, _, token = request.open(sealed, _purpose(email)).partition(" ")
    except CannotOpen:
        raise InvalidCredential from None
    sent = request.cookies.get(_cookie(request))
    if sent is None and not is_page:
        return bytes.fromhex(handle)
    if not secrets.compare_digest((sent or "").encode(), token.encode()):
        raise InvalidCredential
    return bytes.fromhex(handle)


def _browser_token(request: Request) -> str:
    """Return the random token of this browser: the same one for all its tabs."""
    name = _cookie(request)
    sent = request.cookies.get(name, "")
    token = sent if len(sent) <= MAX_TOKEN and sent.isascii() and sent.isalnum() else ""
    token = token or secrets.token_hex(TOKEN_BYTES)
    is_secure = name != COOKIE
    request.answer.set_cookie(name, token, max_age=2 * CHALLENGE_SECONDS, secure=is_secure)
    return token


def _cookie(request: Request) -> str:
    """Return the name of the cookie. Browsers refuse the prefix without TLS, which is for development."""
    return f"__Host-{COOKIE}" if request.settings.base_url.startswith("https://") else COOKIE


def _purpose(email: str) -> str:
    return f"mfa signup of {email}"
