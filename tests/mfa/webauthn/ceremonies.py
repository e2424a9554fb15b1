"""Registrations and authentications with the virtual authenticator, and responses that a test has changed."""

from __future__ import annotations

import json
from typing import Any

from authhost_mfa.webauthn import (
    NewCredential,
    creation_options,
    request_options,
    verify_authentication,
    verify_registration,
)
from authhost_mfa.webauthn.responses import decode, encode

from authhost.testing.authenticator import VirtualAuthenticator

RP_ID, ORIGIN = "example.org", "https://example.org"
ORIGINS = (ORIGIN,)
HANDLE = bytes(range(64))
CHALLENGE = b"a challenge of at least 16 bytes"


def create(authenticator: VirtualAuthenticator, challenge: bytes = CHALLENGE, **options: Any) -> str:
    """Return the response to a registration."""
    values = {"rp_id": RP_ID, "rp_name": "Teapots", "user_handle": HANDLE, "user_name": "ann", **options}
    return authenticator.create(creation_options(challenge, **values), ORIGIN)


def register(authenticator: VirtualAuthenticator, **options: Any) -> NewCredential:
    """Register a credential, and return it verified."""
    return verify_registration(create(authenticator, **options), CHALLENGE, RP_ID, ORIGINS)


def get(authenticator: VirtualAuthenticator, *allowed: Any, challenge: bytes = CHALLENGE) -> str:
    """Return the response to an authentication."""
    return authenticator.get(request_options(challenge, rp_id=RP_ID, allowed=allowed), ORIGIN)


def authenticate(authenticator: VirtualAuthenticator, stored: Any) -> Any:
    """Authenticate by a credential, and return what was verified."""
    return verify_authentication(get(authenticator, stored), CHALLENGE, RP_ID, ORIGINS, stored)


def changed(response: str, path: str, value: Any) -> str:
    """Return a response with another value at a path, such as ``response.signature``; None removes it."""
    found = json.loads(response)
    *parents, name = path.split(".")
    part = found
    for each in parents:
        part = part[each]
    if value is None:
        part.pop(name, None)
    else:
        part[name] = value
    return json.dumps(found)


def with_client_data(response: str, **values: Any) -> str:
    """Return a response whose client data has other members: the signature is wrong then."""
    client_data = json.loads(decode(json.loads(response)["response"]["clientDataJSON"]))
    return changed(
        response, "response.clientDataJSON", encode(json.dumps({**client_data, **values}).encode())
    )
