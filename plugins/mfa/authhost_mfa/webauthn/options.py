"""The options of a registration or authentication, as JSON for a field or for a program."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from typing import Any, Literal

from authhost_mfa.webauthn.challenges import CHALLENGE_SECONDS
from authhost_mfa.webauthn.responses import encode
from authhost_mfa.webauthn.values import KnownCredential

ResidentKey = Literal["required", "preferred", "discouraged"]
UserVerification = Literal["required", "preferred"]
PUBLIC_KEY = "public-key"
ALGORITHMS = (-7, -8, -257)
"""ES256, EdDSA and RS256, by their COSE numbers. Every authenticator has one of them (5.4, note)."""
USER_VERIFICATION: UserVerification = "preferred"
"""An authenticator that can verify its user does. Whether it did is in the result."""
USER_HANDLE_BYTES = 64


def new_user_handle() -> bytes:
    """Return a random handle for an account, which authenticators store. It tells nothing (14.6.1)."""
    return secrets.token_bytes(USER_HANDLE_BYTES)


def creation_options(
    challenge: bytes,
    *,
    rp_id: str,
    rp_name: str,
    user_handle: bytes,
    user_name: str,
    excluded: Iterable[KnownCredential] = (),
    resident_key: ResidentKey = "preferred",
    user_verification: UserVerification = USER_VERIFICATION,
) -> str:
    """Return PublicKeyCredentialCreationOptionsJSON: register a credential that is none of ``excluded``.

    ``user_name`` is what the authenticator shows, such as the address. With the ``resident_key``
    ``required`` the credential can log in without a username (a passkey). With the ``user_verification``
    ``required`` browsers offer only authenticators that can verify their user; the response tells whether
    they have.
    """
    options = {
        "rp": {"id": rp_id, "name": rp_name},
        "user": {"id": encode(user_handle), "name": user_name, "displayName": user_name},
        "challenge": encode(challenge),
        "pubKeyCredParams": [{"type": PUBLIC_KEY, "alg": each} for each in ALGORITHMS],
        "timeout": CHALLENGE_SECONDS * 1000,
        "excludeCredentials": [_descriptor(each) for each in excluded],
        "authenticatorSelection": {
            "residentKey": resident_key,
            "requireResidentKey": resident_key == "required",
            "userVerification": user_verification,
        },
        "attestation": "none",
        "extensions": {"credProps": True},
    }
    return json.dumps(options)


def request_options(challenge: bytes, *, rp_id: str, allowed: Iterable[KnownCredential] = ()) -> str:
    """Return PublicKeyCredentialRequestOptionsJSON: use one of ``allowed``, or any passkey if there are none.

    Before a person has given a proof, leave ``allowed`` empty: it would tell which accounts exist.
    """
    options = {
        "challenge": encode(challenge),
        "timeout": CHALLENGE_SECONDS * 1000,
        "rpId": rp_id,
        "allowCredentials": [_descriptor(each) for each in allowed],
        "userVerification": USER_VERIFICATION,
    }
    return json.dumps(options)


def _descriptor(credential: KnownCredential) -> dict[str, Any]:
    found: dict[str, Any] = {"type": PUBLIC_KEY, "id": encode(credential.credential_id)}
    return {**found, "transports": list(credential.transports)} if credential.transports else found
