"""Validate ID tokens (OpenID Connect Core 1.0, section 3.1.3.7). PyJWT verifies the signature only."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import jwt
from jwt.algorithms import OKPAlgorithm

from authhost.errors import InvalidIdToken
from authhost.security.keys import same


class KeyRequirements(NamedTuple):
    """The keys that an algorithm can use (RFC 7518, section 3.1; RFC 8037, section 3.1)."""

    kty: str
    crv: tuple[str, ...] = ()
    alias: str = ""
    """Another name of the algorithm, which the key may have as its ``alg``."""


ALGORITHMS: Mapping[str, KeyRequirements] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), KeyRequirements("RSA")),
    "ES256": KeyRequirements("EC", ("P-256",)),
    "ES384": KeyRequirements("EC", ("P-384",)),
    "ES512": KeyRequirements("EC", ("P-521",)),
    "EdDSA": KeyRequirements("OKP", ("Ed25519", "Ed448"), "Ed25519"),
    "Ed25519": KeyRequirements("OKP", ("Ed25519",), "EdDSA"),
}
"""Public-key algorithms only: never ``none``, never a shared secret. RFC 9864 renames EdDSA to Ed25519."""
TYPES = (None, "jwt", "application/jwt")
"""The allowed values of the header ``typ``. Access tokens (RFC 9068) and logout tokens have others."""
PUBLIC_KEY_MEMBERS = ("kty", "n", "e", "crv", "x", "y")
"""The members of a public key (RFC 7518, section 6)."""
MIN_RSA_BITS = 2048
"""The minimum size of an RSA key (RFC 7518, section 3.3)."""
MAX_KEYS = 8
"""Keys with the same kid that are tried."""
CLOCK_SKEW = 60
"""Seconds by which the provider's clock may differ from ours."""
HASHES = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}
REQUIRED_CLAIMS = ("iss", "sub", "aud", "exp", "iat")

_jws = jwt.PyJWS()
_jws.register_algorithm("Ed25519", OKPAlgorithm())


def verify_id_token(
    token: object,
    keys: Sequence[Mapping[str, Any]],
    *,
    issuer: str,
    client_id: str,
    access_token: str,
    now: datetime,
) -> Mapping[str, Any]:
    """Return the claims of an ID token that came with ``access_token``.

    Raises `InvalidIdToken` with a ``reason``.
    """
    claims, algorithm = _verify_signature(token, keys)
    if any(claims.get(name) is None for name in REQUIRED_CLAIMS) or not isinstance(claims["sub"], str):
        raise InvalidIdToken(reason="malformed")
    _check_issuer(claims, issuer)
    _check_audience(claims, client_id)
    _check_times(claims, now.timestamp())
    _check_access_token(claims.get("at_hash"), algorithm, access_token)
    return claims


def verify_userinfo(
    token: object, keys: Sequence[Mapping[str, Any]], *, issuer: str, client_id: str
) -> Mapping[str, Any]:
    """Return the claims of a signed userinfo response (section 5.3.2); raises `InvalidIdToken`."""
    claims, _ = _verify_signature(token, keys)
    if "iss" in claims:
        _check_issuer(claims, issuer)
    if "aud" in claims:
        _check_audience(claims, client_id)
    return claims


def _verify_signature(token: object, keys: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], str]:
    """Return the claims of a JWT that one of ``keys`` has signed, and the algorithm."""
    if not isinstance(token, str):
        raise InvalidIdToken(reason="missing")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise InvalidIdToken(reason="malformed") from None
    if "crit" in header:  # no extension is supported (RFC 7515, section 4.1.11)
        raise InvalidIdToken(reason="malformed")
    algorithm, token_type = header.get("alg"), header.get("typ")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise InvalidIdToken(reason="algorithm")
    if (token_type.lower() if isinstance(token_type, str) else token_type) not in TYPES:
        raise InvalidIdToken(reason="type")
    for key in _candidate_keys(keys, header.get("kid"), algorithm):
        try:
            claims = json.loads(_jws.decode(token, key, algorithms=[algorithm]))
        except jwt.InvalidSignatureError:
            continue
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise InvalidIdToken(reason="malformed") from None
        if not isinstance(claims, dict):
            raise InvalidIdToken(reason="malformed")
        return claims, algorithm
    raise InvalidIdToken(reason="signature")


def _check_access_token(expected: object, algorithm: str, access_token: str) -> None:
    """Check the claim ``at_hash``, if the ID token has it, against the access token (section 3.1.3.8)."""
    hashed = HASHES.get(algorithm[-3:])
    if expected is None or hashed is None:
        return
    digest = hashed(access_token.encode()).digest()
    left = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
    if not same(str(expected), left):
        raise InvalidIdToken(reason="at_hash")


def _candidate_keys(keys: Sequence[Mapping[str, Any]], kid: object, algorithm: str) -> list[Any]:
    """Return the public keys that may have signed the token (RFC 7517, section 4).

    Several keys can have the same kid but different types or uses. If the header has
    no kid, exactly one key must match (Core 1.0, section 10.1).
    """
    matching = [
        each
        for each in keys
        if _matches_algorithm(each, algorithm) and (kid is None or each.get("kid") == kid)
    ]
    if not matching or (kid is None and len(matching) > 1):
        raise InvalidIdToken(reason="unknown_key")
    usable = [key for each in matching[:MAX_KEYS] if (key := _load_public_key(each, algorithm)) is not None]
    if not usable:
        raise InvalidIdToken(reason="key")
    return usable


def _matches_algorithm(key: Mapping[str, Any], algorithm: str) -> bool:
    """Return whether a published key is for signatures with ``algorithm``."""
    required, operations = ALGORITHMS[algorithm], key.get("key_ops")
    return (
        key.get("kty") == required.kty
        and (not required.crv or key.get("crv") in required.crv)
        and key.get("alg") in (None, algorithm, required.alias or algorithm)
        and key.get("use") in (None, "sig")
        and (operations is None or (isinstance(operations, list) and "verify" in operations))
    )


def _load_public_key(key: Mapping[str, Any], algorithm: str) -> Any:
    """Return the key as an object of the library cryptography, or None if it cannot be used."""
    members = {name: key[name] for name in PUBLIC_KEY_MEMBERS if name in key}
    try:
        found = jwt.PyJWK(members, "EdDSA" if algorithm == "Ed25519" else algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return None if key["kty"] == "RSA" and found.key_size < MIN_RSA_BITS else found


def _check_issuer(claims: Mapping[str, Any], issuer: str) -> None:
    """Compare exactly, without relying on a library (RFC 8725, section 3.8)."""
    if not isinstance(claims["iss"], str) or claims["iss"] != issuer:
        raise InvalidIdToken(reason="issuer_mismatch")


def _check_audience(claims: Mapping[str, Any], client_id: str) -> None:
    authorized_party, audience = claims.get("azp"), claims["aud"]
    audiences = audience if isinstance(audience, list) else [audience]
    if client_id not in audiences or not all(isinstance(each, str) for each in audiences):
        raise InvalidIdToken(reason="audience")
    if authorized_party is None and len(audiences) > 1:
        raise InvalidIdToken(reason="audience")
    if authorized_party is not None and authorized_party != client_id:
        raise InvalidIdToken(reason="audience")


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    try:
        expires_at, issued_at, not_before = (
            float(claims["exp"]),
            float(claims["iat"]),
            float(claims.get("nbf") or 0),
        )
    except (TypeError, ValueError, OverflowError):
        raise InvalidIdToken(reason="malformed") from None
    if not now < expires_at + CLOCK_SKEW:
        raise InvalidIdToken(reason="expired")
    if not max(issued_at, not_before) <= now + CLOCK_SKEW:
        raise InvalidIdToken(reason="not_yet_valid")
