"""The ID token (OpenID Connect Core 1.0, section 3.1.3.7), by PyJWT; the times by the host's clock."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import jwt

from authhost.errors import InvalidIdToken
from authhost.keys import same

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""By a key pair alone: never ``none``, never a shared secret."""
LEEWAY = 60
"""Seconds by which the provider's clock may differ."""
HASHES = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}
REQUIRED = ["iss", "sub", "aud", "exp", "iat"]


def verify(
    token: object,
    keys: Sequence[Mapping[str, Any]],
    *,
    issuer: str,
    client_id: str,
    access_token: str,
    now: datetime,
) -> Mapping[str, Any]:
    """The claims of a token that came with ``access_token``; raises `InvalidIdToken` with a ``reason``."""
    if not isinstance(token, str):
        raise InvalidIdToken(reason="missing")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise InvalidIdToken(reason="malformed") from None
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS:
        raise InvalidIdToken(reason="algorithm")
    key = _key(keys, header.get("kid"), algorithm)
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=client_id,
            issuer=issuer,
            options={"require": REQUIRED, "verify_exp": False, "verify_iat": False, "verify_nbf": False},
        )
    except jwt.InvalidSignatureError:
        raise InvalidIdToken(reason="signature") from None
    except jwt.InvalidAudienceError:
        raise InvalidIdToken(reason="audience") from None
    except jwt.InvalidIssuerError:
        raise InvalidIdToken(reason="issuer_mismatch") from None
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise InvalidIdToken(reason="malformed") from None
    _check_party(claims, client_id)
    _check_times(claims, now.timestamp())
    _check_access_token(claims.get("at_hash"), algorithm, access_token)
    return claims


def _check_access_token(expected: object, algorithm: str, access_token: str) -> None:
    """Whether the ID token was issued with this access token, where it says so (section 3.1.3.8)."""
    hashed = HASHES.get(algorithm[-3:])
    if expected is None or hashed is None:
        return
    digest = hashed(access_token.encode()).digest()
    left = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
    if not same(str(expected), left):
        raise InvalidIdToken(reason="at_hash")


def _key(keys: Sequence[Mapping[str, Any]], kid: object, algorithm: str) -> jwt.PyJWK:
    """The key that the header names; where it names none, the only one there is."""
    fit = [each for each in keys if each.get("use", "sig") == "sig" and each.get("kty") != "oct"]
    if kid is not None:
        fit = [each for each in fit if each.get("kid") == kid]
    if len(fit) != 1:
        raise InvalidIdToken(reason="unknown_key")
    try:
        return jwt.PyJWK(dict(fit[0]), algorithm)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        raise InvalidIdToken(reason="key") from None


def _check_party(claims: Mapping[str, Any], client_id: str) -> None:
    party, audience = claims.get("azp"), claims["aud"]
    several = isinstance(audience, list) and len(audience) > 1
    if (party is None and several) or (party is not None and party != client_id):
        raise InvalidIdToken(reason="audience")
    if not isinstance(claims["sub"], str):
        raise InvalidIdToken(reason="sub")


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    try:
        expires, issued, begins = float(claims["exp"]), float(claims["iat"]), float(claims.get("nbf", 0))
    except (TypeError, ValueError, OverflowError):
        raise InvalidIdToken(reason="malformed") from None
    if not now < expires + LEEWAY:
        raise InvalidIdToken(reason="expired")
    if not max(issued, begins) <= now + LEEWAY:
        raise InvalidIdToken(reason="not_yet_valid")
