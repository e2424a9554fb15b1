"""Responses that no browser sends: each is refused, and none raises anything else."""

from __future__ import annotations

import json
from contextlib import suppress

import cbor2
import pytest
from authhost_mfa.webauthn import (
    InvalidCredential,
    WebAuthnRefused,
    credential_id_of,
    errors,
    verify_authentication,
    verify_registration,
)
from authhost_mfa.webauthn.responses import MAX_RESPONSE, decode, encode
from hypothesis import given, settings, strategies as st

from authhost.testing.authenticator import VirtualAuthenticator
from mfa.webauthn.ceremonies import CHALLENGE, ORIGINS, RP_ID, changed, create, get, register

AUTHENTICATOR = VirtualAuthenticator()
STORED = register(AUTHENTICATOR)
REGISTRATION, AUTHENTICATION = create(VirtualAuthenticator()), get(AUTHENTICATOR, STORED)
KEY_AT = 37 + 16 + 2 + 32
"""Where the public key begins in the data of the virtual authenticator."""
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=20), inner, max_size=3),
    max_leaves=5,
)
CBOR = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.binary(max_size=40)
    | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.integers(-10, 10) | st.text(max_size=8), inner, max_size=5)
    ),
    max_leaves=8,
)
PATHS = [
    "id",
    "rawId",
    "type",
    "response",
    "authenticatorAttachment",
    "clientExtensionResults",
    "response.clientDataJSON",
    "response.attestationObject",
    "response.authenticatorData",
    "response.signature",
    "response.userHandle",
    "response.transports",
]


def verify(response):
    """Verify a response as both kinds; return what is accepted."""
    accepted = []
    for function in (
        lambda: verify_registration(response, CHALLENGE, RP_ID, ORIGINS),
        lambda: verify_authentication(response, CHALLENGE, RP_ID, ORIGINS, STORED),
    ):
        with suppress(WebAuthnRefused):
            accepted.append(function())
    return accepted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        "{",
        "5",
        '{"response": {}}',
        '{"id": "AA", "rawId": "AA", "response": {"clientDataJSON": "AA"}}',
        "[" * 10_000,
        '{"a":' * 5_000,
        "\ud800",
        "x" * (MAX_RESPONSE + 1),
        None,
        5,
        b"{}",
    ],
)
def test_what_is_no_response_is_refused(text):
    with pytest.raises(InvalidCredential):
        credential_id_of(text)
    assert verify(text) == []


def test_the_correct_responses_are_accepted():
    assert len(verify(REGISTRATION)) == len(verify(AUTHENTICATION)) == 1


@given(st.text(max_size=200) | JSON.map(json.dumps))
def test_any_text(text):
    assert verify(text) == []


@given(st.sampled_from([REGISTRATION, AUTHENTICATION]), st.sampled_from(PATHS), JSON)
def test_any_value_of_any_member(response, path, value):
    verify(changed(response, path, value))


@settings(max_examples=300)
@given(st.sampled_from(["response.attestationObject", "response.authenticatorData"]), st.binary(max_size=300))
def test_any_bytes(path, data):
    response = REGISTRATION if path.endswith("Object") else AUTHENTICATION
    assert verify(changed(response, path, encode(data))) == []


@settings(max_examples=300)
@given(st.integers(0, 10_000), st.integers(1, 255))
def test_any_changed_byte(at, difference):
    for response, path in (
        (REGISTRATION, "attestationObject"),
        (REGISTRATION, "clientDataJSON"),
        (AUTHENTICATION, "clientDataJSON"),
        (AUTHENTICATION, "authenticatorData"),
        (AUTHENTICATION, "signature"),
    ):
        data = bytearray(decode(json.loads(response)["response"][path]))
        data[at % len(data)] ^= difference
        accepted = verify(changed(response, f"response.{path}", encode(bytes(data))))
        assert response == REGISTRATION or accepted == []


def with_key(key):
    """Return the registration with another public key."""
    attestation = cbor2.loads(decode(json.loads(REGISTRATION)["response"]["attestationObject"]))
    attestation["authData"] = attestation["authData"][:KEY_AT] + key
    return changed(REGISTRATION, "response.attestationObject", encode(cbor2.dumps(attestation)))


@settings(max_examples=300)
@given(CBOR)
def test_any_public_key(key):
    assert verify(with_key(cbor2.dumps(key))) == []


@pytest.mark.parametrize(
    "key",
    [
        {1: 2, 3: -7, -1: 1, -2: bytes(32), -3: bytes(32)},  # not on the curve
        {1: 2, 3: -7, -1: 1, -2: bytes(31), -3: bytes(33)},
        {1: 2, 3: -7, -1: 99, -2: bytes(32), -3: bytes(32)},
        {1: 1, 3: -8, -1: 6, -2: bytes(5)},
        {1: 3, 3: -257, -1: b"\xff" * 8000, -2: b"\xff" * 3},  # RSA with 64,000 bits
        {1: 3, 3: -257, -1: b"\xff" * 256, -2: b"\x01"},
        {1: 3, 3: -65535, -1: b"\xff" * 256, -2: b"\x01\x00\x01"},  # RS1
        {1: [], 3: {}, -1: None},
        {},
        [],
        "",
        b"",
    ],
)
def test_a_public_key_that_cannot_be_used(key):
    assert verify(with_key(cbor2.dumps(key))) == []


@settings(max_examples=200)
@given(
    st.sampled_from(
        ["none", "packed", "tpm", "android-key", "android-safetynet", "fido-u2f", "apple", "other", ""]
    )
    | CBOR,
    CBOR,
)
def test_any_attestation(fmt, statement):
    attestation = cbor2.loads(decode(json.loads(REGISTRATION)["response"]["attestationObject"]))
    changed_attestation = encode(cbor2.dumps({**attestation, "fmt": fmt, "attStmt": statement}))
    verify(changed(REGISTRATION, "response.attestationObject", changed_attestation))


def test_deep_cbor():
    for byte in (b"\x81", b"\xa1\x00", b"\xc1", b"\x9f"):
        assert verify(changed(REGISTRATION, "response.attestationObject", encode(byte * 7_000))) == []


def test_every_refusal_has_a_code_a_text_and_the_field():
    kinds = [
        each
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, WebAuthnRefused) and each is not WebAuthnRefused
    ]
    codes = set()
    for kind in kinds:
        refusal = kind()
        assert (refusal.message, refusal.field) == (kind.text, "credential")
        assert refusal.translated(str.upper).message == kind.text.upper()
        assert type(refusal.translated(str.upper)) is kind
        codes.add(refusal.code)
    assert len(codes) == len(kinds) == 6
