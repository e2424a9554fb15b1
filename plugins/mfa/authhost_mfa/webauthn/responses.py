"""Reads the JSON of a response from a browser: RegistrationResponseJSON or AuthenticationResponseJSON.

Everything in it may be hostile. What cannot be read is an `InvalidCredential`.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Any

from authhost_mfa.webauthn.errors import InvalidCredential

MAX_RESPONSE = 20_000
"""Characters. A response without an attestation has about 1,500."""
MAX_CREDENTIAL_ID = 1023
"""Bytes (4, "Credential ID")."""
BASE64URL = re.compile(r"[A-Za-z0-9_-]*={0,2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Response:
    """A response whose outer form is right. Nothing of it is verified."""

    json: dict[str, Any]
    credential_id: bytes
    client_data: dict[str, Any]
    challenge: bytes

    @property
    def parts(self) -> dict[str, Any]:
        """The member ``response``."""
        found: dict[str, Any] = self.json["response"]
        return found

    @property
    def is_cross_origin(self) -> bool:
        """Whether a page of another site has asked, with this one in a frame."""
        return self.client_data.get("crossOrigin") is True or "topOrigin" in self.client_data


def parse_response(text: str) -> Response:
    """Return the response of a field or an endpoint; raises `InvalidCredential`."""
    if not isinstance(text, str) or len(text) > MAX_RESPONSE:
        raise InvalidCredential
    found = _json_object(text)
    response = found.get("response")
    if not isinstance(response, dict):
        raise InvalidCredential
    credential_id = decode(found.get("rawId"))
    if not 0 < len(credential_id) <= MAX_CREDENTIAL_ID or found.get("id") != encode(credential_id):
        raise InvalidCredential
    client_data = _json_object(decode(response.get("clientDataJSON")))
    return Response(found, credential_id, client_data, decode(client_data.get("challenge")))


def credential_id_of(response: str) -> bytes:
    """Return the id of the credential in a response, to find what is stored; raises `InvalidCredential`."""
    return parse_response(response).credential_id


def encode(data: bytes) -> str:
    """Return base64url without padding (RFC 4648, 5)."""
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode(text: object) -> bytes:
    """Return the bytes of base64url; raises `InvalidCredential`."""
    if not isinstance(text, str) or not BASE64URL.fullmatch(text):
        raise InvalidCredential
    try:
        return urlsafe_b64decode(f"{text.rstrip('=')}===")
    except ValueError:
        raise InvalidCredential from None


def _json_object(text: str | bytes) -> dict[str, Any]:
    try:
        found = json.loads(text if isinstance(text, str) else text.decode("utf-8"))
    except (ValueError, RecursionError):
        raise InvalidCredential from None
    if not isinstance(found, dict):
        raise InvalidCredential
    return found
