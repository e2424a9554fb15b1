"""A WebAuthn authenticator in software, for tests of passkeys and security keys without a browser.

Source: https://www.w3.org/TR/webauthn-3/. `VirtualAuthenticator` is the browser (sections 5.1.3
and 5.1.4), the authenticator (6.3.2 and 6.3.3) and a user who always agrees.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Self
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key as generate_es256_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from authhost.errors import ConfigurationError
from authhost.testing.webauthn_options import (
    PUBLIC_KEY,
    ConstraintError,
    CreationOptions,
    InvalidOptions,
    InvalidStateError,
    NotAllowedError,
    NotSupportedError,
    RequestOptions,
    SecurityError,
    WebAuthnError,
    encode_base64url,
    validate_rp_id,
)

__all__ = [
    "EDDSA",
    "ES256",
    "ConstraintError",
    "Credential",
    "InvalidOptions",
    "InvalidStateError",
    "NotAllowedError",
    "NotSupportedError",
    "SecurityError",
    "VirtualAuthenticator",
    "WebAuthnError",
]

ES256, EDDSA = -7, -8
"""The algorithms, by their COSE numbers."""
NO_MODEL = UUID(int=0)
"""The AAGUID of an authenticator that does not tell its model."""
USER_PRESENT, USER_VERIFIED, BACKUP_ELIGIBLE, BACKED_UP, ATTESTED = 0x01, 0x04, 0x08, 0x10, 0x40
"""The flags of the authenticator data (6.1)."""


@dataclass
class Credential:
    """A credential. A test may change `sign_count`, `backup_eligible` and `backed_up`."""

    id: bytes
    rp_id: str
    user_handle: bytes
    """``user.id`` of the registration."""
    user_name: str
    discoverable: bool
    """Whether a login without ``allowCredentials`` finds it: a passkey."""
    sign_count: int
    backup_eligible: bool
    backed_up: bool
    private_key: EllipticCurvePrivateKey | Ed25519PrivateKey

    @property
    def algorithm(self) -> int:
        """The COSE number of the algorithm."""
        return ES256 if isinstance(self.private_key, EllipticCurvePrivateKey) else EDDSA

    @property
    def public_key(self) -> bytes:
        """The public key as a DER SubjectPublicKeyInfo."""
        return self.private_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def cose_key(self) -> dict[int, int | bytes]:
        """The public key as the map of COSE (RFC 9053)."""
        if isinstance(self.private_key, Ed25519PrivateKey):
            return {1: 1, 3: EDDSA, -1: 6, -2: self.private_key.public_key().public_bytes_raw()}
        point = self.private_key.public_key().public_numbers()
        return {1: 2, 3: ES256, -1: 1, -2: point.x.to_bytes(32), -3: point.y.to_bytes(32)}

    def sign(self, data: bytes) -> bytes:
        """Sign with the private key."""
        if isinstance(self.private_key, Ed25519PrivateKey):
            return self.private_key.sign(data)
        return self.private_key.sign(data, ECDSA(SHA256()))


class VirtualAuthenticator:
    """Makes and uses credentials: ``authenticator.create(options, "https://example.org")``.

    The attestation is always ``none``. An ``rp.id`` may be any parent of the origin's host that has
    a dot: there is no list of public suffixes. Related origins are not supported. The arguments are
    attributes, too, and a test may change them later.

    ``user_verification``: whether it can verify its user, for example by a fingerprint.
    ``resident_keys``: whether it can store discoverable credentials.
    ``backup_eligible`` and ``backed_up``: flags of new credentials, both true for a synced passkey.
    ``sign_count``: the counter of new credentials. It rises by one with each login if ``counts``;
    synced passkeys do not count.
    ``transports``: with ``internal`` it is a platform authenticator, otherwise a security key.
    ``aaguid``: its model; by default it does not tell it.

    Raises `ConfigurationError` if the package cbor2 is missing.
    """

    def __init__(
        self,
        *,
        user_verification: bool = True,
        resident_keys: bool = True,
        backup_eligible: bool = False,
        backed_up: bool = False,
        sign_count: int = 0,
        counts: bool = True,
        transports: Sequence[str] = ("internal",),
        aaguid: UUID = NO_MODEL,
    ) -> None:
        if backed_up and not backup_eligible:
            raise ValueError("backed_up needs backup_eligible (WebAuthn 6.1.3)")
        self.user_verification = user_verification
        self.resident_keys = resident_keys
        self.backup_eligible = backup_eligible
        self.backed_up = backed_up
        self.sign_count = sign_count
        self.counts = counts
        self.transports = tuple(transports)
        self.aaguid = aaguid
        self.credentials: list[Credential] = []
        """All credentials, the newest last. A test may delete from it."""
        _encode_cbor({})

    def copy(self) -> Self:
        """Return a clone with the same keys, whose counters do not follow the original."""
        clone = copy(self)
        clone.credentials = [replace(each) for each in self.credentials]
        return clone

    def create(self, options: Mapping[str, Any] | str, origin: str) -> str:
        """Register: ``navigator.credentials.create({publicKey: options})`` on a page of ``origin``.

        Takes PublicKeyCredentialCreationOptionsJSON, and returns RegistrationResponseJSON.

        Raises `InvalidOptions`, `SecurityError`, `NotSupportedError`, `InvalidStateError`,
        `ConstraintError` and `NotAllowedError`.
        """
        wanted = CreationOptions.parse(options)
        rp_id = validate_rp_id(wanted.rp_id, origin)
        algorithm = next((each for each in wanted.algorithms if each in (ES256, EDDSA)), None)
        if algorithm is None:
            raise NotSupportedError(f"pubKeyCredParams has neither ES256 ({ES256}) nor EdDSA ({EDDSA})")
        if wanted.attachment not in (None, self._attachment):
            raise NotAllowedError(f"a {wanted.attachment} authenticator is wanted; see transports")
        if any(each.rp_id == rp_id and each.id in wanted.excluded for each in self.credentials):
            raise InvalidStateError("the authenticator has a credential that excludeCredentials names")
        if wanted.resident_key == "required" and not self.resident_keys:
            raise ConstraintError("residentKey is required, but the authenticator has resident_keys=False")
        if wanted.user_verification == "required" and not self.user_verification:
            raise ConstraintError(_CANNOT_VERIFY)

        credential = Credential(
            id=secrets.token_bytes(32),
            rp_id=rp_id,
            user_handle=wanted.user_id,
            user_name=wanted.user_name,
            discoverable=wanted.resident_key != "discouraged" and self.resident_keys,
            sign_count=self.sign_count,
            backup_eligible=self.backup_eligible,
            backed_up=self.backed_up,
            private_key=generate_es256_key(SECP256R1())
            if algorithm == ES256
            else Ed25519PrivateKey.generate(),
        )
        self._store(credential)
        data = self._authenticator_data(credential, wanted.user_verification, attested=True)
        attestation = _encode_cbor({"fmt": "none", "attStmt": {}, "authData": data})
        response = {
            "clientDataJSON": _client_data("webauthn.create", wanted.challenge, origin),
            "attestationObject": attestation,
            "authenticatorData": data,
            "publicKey": credential.public_key,
        }
        described = {"publicKeyAlgorithm": algorithm, "transports": self.transports}
        extensions = {"credProps": {"rk": credential.discoverable}} if wanted.cred_props else {}
        return self._to_json(credential, response, described, extensions)

    def get(
        self, options: Mapping[str, Any] | str, origin: str, *, credential_id: bytes | None = None
    ) -> str:
        """Log in: ``navigator.credentials.get({publicKey: options})`` on a page of ``origin``.

        Takes PublicKeyCredentialRequestOptionsJSON, and returns AuthenticationResponseJSON. If
        several credentials are suitable, the user chooses ``credential_id``, or else the newest.

        Raises `InvalidOptions`, `SecurityError` and `NotAllowedError`.
        """
        wanted = RequestOptions.parse(options)
        rp_id = validate_rp_id(wanted.rp_id, origin)
        suitable = [
            each
            for each in self.credentials
            if each.rp_id == rp_id
            and (each.discoverable if wanted.allowed is None else each.id in wanted.allowed)
            and credential_id in (None, each.id)
        ]
        if not suitable:
            raise NotAllowedError(f"the authenticator has no suitable credential for {rp_id}")
        if wanted.user_verification == "required" and not self.user_verification:
            raise NotAllowedError(_CANNOT_VERIFY)

        credential = suitable[-1]
        credential.sign_count += self.counts
        data = self._authenticator_data(credential, wanted.user_verification)
        client_data = _client_data("webauthn.get", wanted.challenge, origin)
        response = {
            "clientDataJSON": client_data,
            "authenticatorData": data,
            "signature": credential.sign(data + sha256(client_data).digest()),
        }
        if credential.discoverable:
            response["userHandle"] = credential.user_handle
        return self._to_json(credential, response)

    @property
    def _attachment(self) -> str:
        return "platform" if "internal" in self.transports else "cross-platform"

    def _store(self, credential: Credential) -> None:
        if credential.discoverable:
            # An authenticator has one discoverable credential for each account (6.3.2, step 7).
            account = credential.rp_id, credential.user_handle
            self.credentials[:] = [
                each
                for each in self.credentials
                if not each.discoverable or (each.rp_id, each.user_handle) != account
            ]
        self.credentials.append(credential)

    def _authenticator_data(
        self, credential: Credential, user_verification: str, *, attested: bool = False
    ) -> bytes:
        verified = self.user_verification and user_verification != "discouraged"
        flags = USER_PRESENT | USER_VERIFIED * verified | ATTESTED * attested
        flags |= BACKUP_ELIGIBLE * credential.backup_eligible | BACKED_UP * credential.backed_up
        data = sha256(credential.rp_id.encode()).digest() + bytes([flags])
        data += credential.sign_count.to_bytes(4)
        if attested:
            data += self.aaguid.bytes + len(credential.id).to_bytes(2) + credential.id
            data += _encode_cbor(credential.cose_key)
        return data

    def _to_json(
        self,
        credential: Credential,
        response: Mapping[str, bytes],
        described: Mapping[str, Any] | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> str:
        encoded = {name: encode_base64url(value) for name, value in response.items()}
        values = {
            "id": encode_base64url(credential.id),
            "rawId": encode_base64url(credential.id),
            "type": PUBLIC_KEY,
            "authenticatorAttachment": self._attachment,
            "response": {**encoded, **(described or {})},
            "clientExtensionResults": extensions or {},
        }
        return json.dumps(values)


_CANNOT_VERIFY = "userVerification is required, but the authenticator has user_verification=False"


def _client_data(kind: str, challenge: bytes, origin: str) -> bytes:
    values = {
        "type": kind,
        "challenge": encode_base64url(challenge),
        "origin": origin,
        "crossOrigin": False,
    }
    return json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode()


def _encode_cbor(value: Mapping[Any, Any]) -> bytes:
    try:
        from cbor2 import dumps
    except ImportError as error:
        raise ConfigurationError(
            "a virtual authenticator needs cbor2; run `pip install 'authhost[testing]'`"
        ) from error
    encoded: bytes = dumps(value, canonical=True)
    return encoded
