"""The logged-in user confirms with a second factor that it is the user."""

from __future__ import annotations

from authhost_hookspecs import Request, Values

from authhost_mfa import security_keys, steps, verification
from authhost_mfa.access import current_user, session_id
from authhost_mfa.security_keys import keys_of
from authhost_mfa.webauthn import new_challenge, purpose_of_reauthentication


def methods(request: Request) -> list[str]:
    """Return the methods of the logged-in user, the one that was used last first."""
    return steps.methods(request, current_user(request).id)


def begin(request: Request) -> str:
    """Return the options for a key of the logged-in user."""
    keys = keys_of(request, current_user(request).id)
    return security_keys.options(request, new_challenge(request, _purpose(request)), keys)


def confirm(request: Request, values: Values) -> None:
    """Record that the logged-in user has used a second factor. Raises `Refused`."""
    user = current_user(request)
    proof = verification.check(request, user, values, _purpose(request), reauthentication=True)
    request.logins.reauthenticate(method=proof.method, factors=proof.factors)


def _purpose(request: Request) -> str:
    return purpose_of_reauthentication(current_user(request).id, session_id(request))
