"""What a browser checks before it asks an authenticator: the JSON options, the origin and the relying party.

Source: https://www.w3.org/TR/webauthn-3/, sections 5.1.3 to 5.1.9. Options are read as strictly as by
`PublicKeyCredential.parseCreationOptionsFromJSON` and `parseRequestOptionsFromJSON`.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Self
from urllib.parse import urlsplit

from authhost.errors import AuthHostError

PUBLIC_KEY = "public-key"
DEFAULT_ALGORITHMS = (-7, -257)
"""What an empty ``pubKeyCredParams`` means: ES256 and RS256."""
MAX_USER_ID = 64
"""The greatest length of ``user.id`` in bytes."""


class WebAuthnError(AuthHostError):
    """The base class of what `VirtualAuthenticator` raises. Its subclasses have the names of the standard."""


class InvalidOptions(WebAuthnError, ValueError):
    """A browser cannot read the options; the message names the member. In a browser it is a TypeError."""


class SecurityError(WebAuthnError):
    """The origin cannot use WebAuthn, or cannot use this ``rp.id`` or ``rpId``."""


class InvalidStateError(WebAuthnError):
    """The authenticator has a credential that ``excludeCredentials`` names."""


class ConstraintError(WebAuthnError):
    """The authenticator lacks what ``authenticatorSelection`` requires of it."""


class NotSupportedError(WebAuthnError):
    """The authenticator has none of the algorithms of ``pubKeyCredParams``."""


class NotAllowedError(WebAuthnError):
    """The authenticator has no suitable credential, or cannot verify the user for this login."""


@dataclass(frozen=True)
class CreationOptions:
    """PublicKeyCredentialCreationOptionsJSON: the members that an authenticator reads."""

    challenge: bytes
    rp_id: str | None
    user_id: bytes
    user_name: str
    algorithms: tuple[int, ...]
    excluded: frozenset[bytes]
    attachment: str | None
    resident_key: str
    user_verification: str
    cred_props: bool

    @classmethod
    def parse(cls, options: Mapping[str, Any] | str) -> Self:
        """Read the options. Raises `InvalidOptions`."""
        members = _Members.of(options)
        rp, user, chosen = members.inner("rp"), members.inner("user"), members.inner("authenticatorSelection")
        rp.text("name")
        user.text("displayName")
        user_id = user.base64url("id")
        if not 1 <= len(user_id) <= MAX_USER_ID:
            raise InvalidOptions(f"user.id must have 1 to {MAX_USER_ID} bytes, not {len(user_id)}")
        params = members.entries("pubKeyCredParams", required=True)
        algorithms = tuple(each.integer("alg") for each in params if each.text("type") == PUBLIC_KEY)
        resident_key = chosen.text("residentKey", "")
        if resident_key not in {"required", "preferred", "discouraged"}:
            resident_key = "required" if chosen.flag("requireResidentKey") else "discouraged"
        attachment = chosen.text("authenticatorAttachment", "")
        return cls(
            challenge=members.base64url("challenge"),
            rp_id=rp.optional_text("id"),
            user_id=user_id,
            user_name=user.text("name"),
            algorithms=algorithms if params else DEFAULT_ALGORITHMS,
            excluded=_credential_ids(members.entries("excludeCredentials")),
            attachment=attachment if attachment in {"platform", "cross-platform"} else None,
            resident_key=resident_key,
            user_verification=_user_verification(chosen),
            cred_props=members.inner("extensions").flag("credProps"),
        )


@dataclass(frozen=True)
class RequestOptions:
    """PublicKeyCredentialRequestOptionsJSON: the members that an authenticator reads."""

    challenge: bytes
    rp_id: str | None
    allowed: frozenset[bytes] | None
    """The ids of ``allowCredentials``. None, if the user may choose among the discoverable credentials."""
    user_verification: str

    @classmethod
    def parse(cls, options: Mapping[str, Any] | str) -> Self:
        """Read the options. Raises `InvalidOptions`."""
        members = _Members.of(options)
        allowed = members.entries("allowCredentials")
        return cls(
            challenge=members.base64url("challenge"),
            rp_id=members.optional_text("rpId"),
            allowed=_credential_ids(allowed) if allowed else None,
            user_verification=_user_verification(members),
        )


def encode_base64url(value: bytes) -> str:
    """Encode as base64url without padding, as in all JSON of WebAuthn."""
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def validate_rp_id(rp_id: str | None, origin: str) -> str:
    """Return the id of the relying party, by default the host. Raises `SecurityError`."""
    host = _host(origin)
    if rp_id is None or rp_id == host:
        return host
    if "." in rp_id and host.endswith(f".{rp_id}"):
        return rp_id
    raise SecurityError(f"rp.id {rp_id!r} is neither {host!r}, the host of the origin, nor a parent domain")


def _host(origin: str) -> str:
    try:
        parts = urlsplit(origin)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise SecurityError(f"{origin!r} is not an origin: {error}") from error
    serialized = f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")
    if origin != serialized or not host or not origin.isascii():
        raise SecurityError(f"{origin!r} is not an origin; an example is 'https://example.org'")
    local = host == "localhost" or host.endswith(".localhost")
    if parts.scheme != "https" and not (local and parts.scheme == "http"):
        raise SecurityError(f"{origin!r} is not secure: WebAuthn needs https, or http on localhost")
    if _is_ip_address(host):
        raise SecurityError(f"{origin!r} has an IP address: WebAuthn needs a domain, or localhost")
    return host


def _is_ip_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _credential_ids(descriptors: list[_Members]) -> frozenset[bytes]:
    # An id is read whatever the type is, since a browser reads the JSON before it compares the types.
    ids = [(each.text("type"), each.base64url("id")) for each in descriptors]
    return frozenset(value for kind, value in ids if kind == PUBLIC_KEY)


def _user_verification(members: _Members) -> str:
    value = members.text("userVerification", "preferred")
    return value if value in {"required", "discouraged"} else "preferred"


class _Members:
    """The members of one JSON object. Each method raises `InvalidOptions` if a value has another type."""

    def __init__(self, values: Mapping[str, Any], prefix: str = "") -> None:
        self._values = values
        self._prefix = prefix

    @classmethod
    def of(cls, options: Mapping[str, Any] | str) -> Self:
        """The members of the options themselves."""
        values: object = options
        if isinstance(options, str):
            try:
                values = json.loads(options)
            except (ValueError, RecursionError) as error:
                raise InvalidOptions(f"the options are not JSON: {error}") from error
        if not isinstance(values, Mapping):
            raise InvalidOptions("the options must be a JSON object")
        if "publicKey" in values:
            raise InvalidOptions("the options contain publicKey; pass its value")
        return cls(values)

    def text(self, name: str, default: str | None = None) -> str:
        value = self._values.get(name, default)
        if isinstance(value, str):
            return value
        raise self._wrong(name, "a string")

    def optional_text(self, name: str) -> str | None:
        return self.text(name) if name in self._values else None

    def integer(self, name: str) -> int:
        value = self._values.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        raise self._wrong(name, "an integer")

    def flag(self, name: str) -> bool:
        value = self._values.get(name, False)
        if isinstance(value, bool):
            return value
        raise self._wrong(name, "true or false")

    def base64url(self, name: str) -> bytes:
        value = self.text(name)
        # Padding and the letters + and / are an error in browsers, too.
        if not re.fullmatch(r"[A-Za-z0-9_-]*", value) or len(value) % 4 == 1:
            raise self._wrong(name, "base64url without padding")
        return urlsafe_b64decode(value + "=" * (-len(value) % 4))

    def inner(self, name: str) -> _Members:
        value = self._values.get(name)
        return self._object(name, {} if value is None else value)

    def entries(self, name: str, *, required: bool = False) -> list[_Members]:
        value = self._values.get(name, None if required else [])
        if not isinstance(value, list | tuple):
            raise self._wrong(name, "a list")
        return [self._object(f"{name}[{index}]", each) for index, each in enumerate(value)]

    def _object(self, name: str, value: object) -> _Members:
        if isinstance(value, Mapping):
            return _Members(value, f"{self._prefix}{name}.")
        raise self._wrong(name, "an object")

    def _wrong(self, name: str, expected: str) -> InvalidOptions:
        missing = "[" not in name and name not in self._values
        verb = "is missing; it must be" if missing else "must be"
        return InvalidOptions(f"{self._prefix}{name} {verb} {expected}")
