"""Verifies an authentication by a credential (Web Authentication, 7.2)."""

from __future__ import annotations

from collections.abc import Iterable

from webauthn import verify_authentication_response
from webauthn.helpers import parse_authenticator_data

from authhost_mfa.webauthn.errors import ClonedCredential, InvalidCredential, UnknownCredential
from authhost_mfa.webauthn.responses import decode, parse_response
from authhost_mfa.webauthn.values import Assertion, StoredCredential

MAX_USER_HANDLE = 64
"""Bytes (5.4.3)."""


def verify_authentication(
    response: str, challenge: bytes, rp_id: str, origins: Iterable[str], stored: StoredCredential
) -> Assertion:
    """Return what AuthenticationResponseJSON proves of the ``stored`` credential.

    ``challenge`` is from `open_challenge`. User verification is not required, but is in the result.

    Raises `UnknownCredential` if the response is of another credential, `InvalidCredential`, also if the
    flag BE is another one than at the registration (7.2), and `ClonedCredential`: a counter that has
    counted must rise. It stays 0 for synchronised passkeys.
    """
    parsed = parse_response(response)
    if parsed.credential_id != stored.credential_id:
        raise UnknownCredential
    if parsed.is_cross_origin:
        raise InvalidCredential
    handle = parsed.parts.get("userHandle")
    user_handle = decode(handle) if handle is not None else None
    if user_handle is not None and len(user_handle) > MAX_USER_HANDLE:
        raise InvalidCredential
    try:
        found = verify_authentication_response(
            credential=parsed.json,
            expected_challenge=challenge,
            expected_rp_id=rp_id,
            expected_origin=list(origins),
            credential_public_key=stored.public_key,
            credential_current_sign_count=0,  # checked below, as a refusal of its own
        )
        flags = parse_authenticator_data(decode(parsed.parts["authenticatorData"])).flags
    except Exception:  # the library raises many kinds, also those of the parsers of CBOR and of keys
        raise InvalidCredential from None
    if flags.be != stored.backup_eligible:
        raise InvalidCredential
    if stored.sign_count and found.new_sign_count <= stored.sign_count:
        raise ClonedCredential
    return Assertion(
        sign_count=found.new_sign_count,
        user_verified=found.user_verified,
        backed_up=found.credential_backed_up,
        user_handle=user_handle or None,
    )
