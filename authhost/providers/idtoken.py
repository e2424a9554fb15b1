"""The ID token (OpenID Connect Core 1.0, section 3.1.3.7): the signature by PyJWT, the claims by us."""

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


class Fit(NamedTuple):
    """The keys that an algorithm takes (RFC 7518, section 3.1; RFC 8037, section 3.1)."""

    kty: str
    crv: tuple[str, ...] = ()
    same_as: str = ""
    """Another name of the algorithm, which a key may be published under."""


ALGORITHMS: Mapping[str, Fit] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), Fit("RSA")),
    "ES256": Fit("EC", ("P-256",)),
    "ES384": Fit("EC", ("P-384",)),
    "ES512": Fit("EC", ("P-521",)),
    "EdDSA": Fit("OKP", ("Ed25519", "Ed448"), "Ed25519"),
    "Ed25519": Fit("OKP", ("Ed25519",), "EdDSA"),
}
"""By a key pair alone: never ``none``, never a shared secret. RFC 9864 gives EdDSA the name Ed25519."""
TYPES = (None, "jwt", "application/jwt")
"""What an ID token may say that it is. An access token (RFC 9068) or a logout token says something else."""
PUBLIC = ("kty", "n", "e", "crv", "x", "y")
"""The members of a public key (RFC 7518, section 6)."""
SMALLEST_RSA = 2048
"""Bits (RFC 7518, section 3.3)."""
MOST_KEYS = 8
"""Keys under one kid that are tried."""
LEEWAY = 60
"""Seconds by which the provider's clock may differ."""
HASHES = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}
REQUIRED = ("iss", "sub", "aud", "exp", "iat")

_signatures = jwt.PyJWS()
_signatures.register_algorithm("Ed25519", OKPAlgorithm())


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
    claims, algorithm = _signed(token, keys)
    if any(claims.get(name) is None for name in REQUIRED) or not isinstance(claims["sub"], str):
        raise InvalidIdToken(reason="malformed")
    _check_issuer(claims, issuer)
    _check_party(claims, client_id)
    _check_times(claims, now.timestamp())
    _check_access_token(claims.get("at_hash"), algorithm, access_token)
    return claims


def verify_userinfo(
    token: object, keys: Sequence[Mapping[str, Any]], *, issuer: str, client_id: str
) -> Mapping[str, Any]:
    """The claims of a signed answer of the userinfo endpoint (section 5.3.2); raises `InvalidIdToken`."""
    claims, _ = _signed(token, keys)
    if "iss" in claims:
        _check_issuer(claims, issuer)
    if "aud" in claims:
        _check_party(claims, client_id)
    return claims


def _signed(token: object, keys: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], str]:
    """The claims of a JWT that one of ``keys`` has signed, and the algorithm."""
    if not isinstance(token, str):
        raise InvalidIdToken(reason="missing")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise InvalidIdToken(reason="malformed") from None
    if "crit" in header:  # we know no extension (RFC 7515, section 4.1.11)
        raise InvalidIdToken(reason="malformed")
    algorithm, kind = header.get("alg"), header.get("typ")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise InvalidIdToken(reason="algorithm")
    if (kind.lower() if isinstance(kind, str) else kind) not in TYPES:
        raise InvalidIdToken(reason="type")
    for key in _keys(keys, header.get("kid"), algorithm):
        try:
            claims = json.loads(_signatures.decode(token, key, algorithms=[algorithm]))
        except jwt.InvalidSignatureError:
            continue
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise InvalidIdToken(reason="malformed") from None
        if not isinstance(claims, dict):
            raise InvalidIdToken(reason="malformed")
        return claims, algorithm
    raise InvalidIdToken(reason="signature")


def _check_access_token(expected: object, algorithm: str, access_token: str) -> None:
    """Whether the ID token was issued with this access token, where it says so (section 3.1.3.8)."""
    hashed = HASHES.get(algorithm[-3:])
    if expected is None or hashed is None:
        return
    digest = hashed(access_token.encode()).digest()
    left = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
    if not same(str(expected), left):
        raise InvalidIdToken(reason="at_hash")


def _keys(keys: Sequence[Mapping[str, Any]], kid: object, algorithm: str) -> list[Any]:
    """The public keys that may have signed (RFC 7517, section 4).

    Several may have one kid; those are told apart by what they are for. Where
    the header names no kid, there must be one key only (Core 1.0, section 10.1).
    """
    fit = [each for each in keys if _fits(each, algorithm) and (kid is None or each.get("kid") == kid)]
    if not fit or (kid is None and len(fit) > 1):
        raise InvalidIdToken(reason="unknown_key")
    found = [key for each in fit[:MOST_KEYS] if (key := _public(each, algorithm)) is not None]
    if not found:
        raise InvalidIdToken(reason="key")
    return found


def _fits(key: Mapping[str, Any], algorithm: str) -> bool:
    """Whether a published key is for signatures by ``algorithm``."""
    fit, operations = ALGORITHMS[algorithm], key.get("key_ops")
    return (
        key.get("kty") == fit.kty
        and (not fit.crv or key.get("crv") in fit.crv)
        and key.get("alg") in (None, algorithm, fit.same_as or algorithm)
        and key.get("use") in (None, "sig")
        and (operations is None or (isinstance(operations, list) and "verify" in operations))
    )


def _public(key: Mapping[str, Any], algorithm: str) -> Any:
    """The key as cryptography knows it, or None for one that cannot be used."""
    members = {name: key[name] for name in PUBLIC if name in key}
    try:
        found = jwt.PyJWK(members, "EdDSA" if algorithm == "Ed25519" else algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return None if key["kty"] == "RSA" and found.key_size < SMALLEST_RSA else found


def _check_issuer(claims: Mapping[str, Any], issuer: str) -> None:
    """By our own comparison, so that no library decides it (RFC 8725, section 3.8)."""
    if not isinstance(claims["iss"], str) or claims["iss"] != issuer:
        raise InvalidIdToken(reason="issuer_mismatch")


def _check_party(claims: Mapping[str, Any], client_id: str) -> None:
    party, audience = claims.get("azp"), claims["aud"]
    named = audience if isinstance(audience, list) else [audience]
    if client_id not in named or not all(isinstance(each, str) for each in named):
        raise InvalidIdToken(reason="audience")
    if (party is None and len(named) > 1) or (party is not None and party != client_id):
        raise InvalidIdToken(reason="audience")


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    try:
        expires, issued, begins = float(claims["exp"]), float(claims["iat"]), float(claims.get("nbf") or 0)
    except (TypeError, ValueError, OverflowError):
        raise InvalidIdToken(reason="malformed") from None
    if not now < expires + LEEWAY:
        raise InvalidIdToken(reason="expired")
    if not max(issued, begins) <= now + LEEWAY:
        raise InvalidIdToken(reason="not_yet_valid")
