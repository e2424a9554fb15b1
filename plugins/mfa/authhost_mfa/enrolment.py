"""Adds an authenticator app: shows a secret, and checks a code before anything is stored.

The secret travels in a hidden field, encrypted for this user and session, so that showing the page
writes nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from authhost_hookspecs import CannotOpen, Refused, Request, User, Values

from authhost_mfa import authenticators, management, totp
from authhost_mfa.access import (
    current_user,
    require_recent_factor,
    require_verified_address,
    session_id,
)
from authhost_mfa.languages import language_of
from authhost_mfa.policy import settings_of
from authhost_mfa.recovery_codes import CodeSet
from authhost_mfa.values import CODE_FACTORS, NAME, TOTP

SETUP_TIMEOUT = timedelta(minutes=10)
EXPIRED = datetime.min.replace(tzinfo=UTC)


class Setup(NamedTuple):
    """A new secret: for the app, and sealed for the form."""

    secret: str
    uri: str
    sealed: str


def begin(request: Request, user: User, binding: str) -> Setup:
    """Return a new secret for a user; the same one again after a wrong code in this unit of work.

    ``binding`` names the session or the login in which it can be used. Raises `Refused` if the
    primary address is not verified: whoever has signed up with the address of another person could lock
    that person out.
    """
    require_verified_address(request, user)
    local = request.local(NAME)
    secret, expires = local.get("setup") or (totp.new_secret(), request.now + SETUP_TIMEOUT)
    issuer = settings_of(request).issuer or request.settings.site_name
    uri = totp.uri(secret, user.email or user.username or str(user.id), issuer)
    sealed = request.seal(f"{secret} {expires.timestamp():.0f}", _purpose(user, binding))
    return Setup(secret, uri, sealed)


def check(request: Request, user: User, binding: str, values: Values) -> tuple[str, int]:
    """Return the secret of a form and the period of its code; raises `Refused`."""
    gettext = language_of(request).gettext
    require_verified_address(request, user)
    secret, expires = _open(request, str(values["setup"]), _purpose(user, binding))
    if request.now > expires:
        text = gettext("This page is too old. Scan the new QR code.")
        raise Refused("setup_expired", text, field="code")
    request.local(NAME)["setup"] = secret, expires
    step = totp.matching_step(secret, str(values["code"]), request.now)
    if step is None:
        text = gettext("The code is wrong. Check that the time of your phone is right.")
        raise Refused("wrong_code", text, field="code")
    return secret, step


def begin_in_session(request: Request) -> Setup:
    """Return a new secret for the logged-in user."""
    user = current_user(request)
    return begin(request, user, _session(request))


def add_in_session(request: Request, values: Values) -> CodeSet | None:
    """Add an authenticator app for the logged-in user; return the recovery codes if there were none.

    With ``replaces``, the id of the former app, it takes the place of that one.
    """
    user = current_user(request)
    require_recent_factor(request, user)
    secret, step = check(request, user, _session(request), values)
    if values["replaces"]:
        management.remove_replaced_app(request, user, str(values["replaces"]))
    codes = authenticators.add_totp(request, user, secret, step)
    request.logins.reauthenticate(method=TOTP, factors=CODE_FACTORS)
    return codes


def app_of(request: Request, user: User) -> UUID | None:
    """Return the id of a user's authenticator app, or None."""
    return next((each.id for each in authenticators.rows_of(request, user.id) if each.kind == TOTP), None)


def _open(request: Request, sealed: str, purpose: str) -> tuple[str, datetime]:
    """Return the secret of a form, and when it expires: long ago if it is of another user or session."""
    try:
        secret, _, seconds = request.open(sealed, purpose).partition(" ")
    except CannotOpen:
        return "", EXPIRED
    return secret, datetime.fromtimestamp(int(seconds), UTC)


def _session(request: Request) -> str:
    return f"session {session_id(request)}"


def _purpose(user: User, binding: str) -> str:
    return f"mfa setup {user.id} {binding}"
