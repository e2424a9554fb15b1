"""Verifies the registration of a credential (Web Authentication, 7.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from webauthn import verify_registration_response
from webauthn.helpers import decode_credential_public_key, decoded_public_key_to_cryptography
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.structs import CredentialDeviceType

from authhost_mfa.webauthn.errors import InvalidCredential
from authhost_mfa.webauthn.options import ALGORITHMS
from authhost_mfa.webauthn.responses import MAX_CREDENTIAL_ID, Response, parse_response
from authhost_mfa.webauthn.values import NewCredential

MAX_PUBLIC_KEY = 1024
"""Bytes. A key of RSA with 4096 bits has about 530."""
TRANSPORT = re.compile(r"[a-z][a-z-]{0,31}", re.ASCII)
MAX_TRANSPORTS = 6


def verify_registration(response: str, challenge: bytes, rp_id: str, origins: Iterable[str]) -> NewCredential:
    """Return the credential of RegistrationResponseJSON; raises `InvalidCredential`.

    ``challenge`` is from `open_challenge`. The attestation is not asked for, and proves nothing.
    """
    parsed = parse_response(response)
    if parsed.is_cross_origin:
        raise InvalidCredential
    try:
        found = verify_registration_response(
            credential=parsed.json,
            expected_challenge=challenge,
            expected_rp_id=rp_id,
            expected_origin=list(origins),
            supported_pub_key_algs=[COSEAlgorithmIdentifier(each) for each in ALGORITHMS],
        )
        # A key that cannot be used would lock the person out.
        decoded_public_key_to_cryptography(decode_credential_public_key(found.credential_public_key))
    except Exception:  # the library raises many kinds, also those of the parsers of CBOR and of keys
        raise InvalidCredential from None
    # The id outside of the signed data must be the one inside.
    if found.credential_id != parsed.credential_id or len(found.credential_id) > MAX_CREDENTIAL_ID:
        raise InvalidCredential
    if len(found.credential_public_key) > MAX_PUBLIC_KEY:
        raise InvalidCredential
    return NewCredential(
        credential_id=found.credential_id,
        public_key=found.credential_public_key,
        sign_count=found.sign_count,
        aaguid=str(found.aaguid),
        transports=_transports(parsed.parts.get("transports")),
        user_verified=found.user_verified,
        backup_eligible=found.credential_device_type == CredentialDeviceType.MULTI_DEVICE,
        backed_up=found.credential_backed_up,
        discoverable=_discoverable(parsed),
    )


def _transports(found: Any) -> tuple[str, ...]:
    """Return the transports, also those that are new (5.8.4): they are only hints for browsers."""
    values = found if isinstance(found, list) else ()
    known = {each for each in values if isinstance(each, str) and TRANSPORT.fullmatch(each)}
    return tuple(sorted(known)[:MAX_TRANSPORTS])


def _discoverable(response: Response) -> bool | None:
    """Return ``credProps.rk`` (10.1.3). Only the browser says so; nobody has signed it."""
    results = response.json.get("clientExtensionResults")
    properties = results.get("credProps") if isinstance(results, dict) else None
    found = properties.get("rk") if isinstance(properties, dict) else None
    return found if isinstance(found, bool) else None
