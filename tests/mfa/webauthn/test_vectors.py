"""The test vectors of Web Authentication level 3, 16.2: "ES256 Credential with No Attestation".

Source: https://www.w3.org/TR/webauthn-3/#sctn-test-vectors-none-es256. All values that the specification
calls random come from HKDF-SHA-256 with the input "WebAuthn test vectors"; a test derives them again.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from authhost_mfa.webauthn import InvalidCredential, verify_authentication, verify_registration
from authhost_mfa.webauthn.responses import encode
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

RP_ID, ORIGINS = "example.org", ("https://example.org",)
CHALLENGE = bytes.fromhex("00c30fb78531c464d2b6771dab8d7b603c01162f2fa486bea70f283ae556e130")
AAGUID = bytes.fromhex("8446ccb9ab1db374750b2367ff6f3a1f")
CREDENTIAL_ID = bytes.fromhex("f91f391db4c9b2fde0ea70189cba3fb63f579ba6122b33ad94ff3ec330084be4")
CLIENT_DATA = bytes.fromhex(
    "7b2274797065223a22776562617574686e2e637265617465222c226368616c6c656e6765223a22414d4d507434557878"
    "475453746e63647134313759447742466938767049612d7077386f4f755657345441222c226f726967696e223a226874"
    "7470733a2f2f6578616d706c652e6f7267222c2263726f73734f726967696e223a66616c73652c226578747261446174"
    "61223a22636c69656e74446174614a534f4e206d617920626520657874656e6465642077697468206164646974696f6e"
    "616c206669656c647320696e20746865206675747572652c207375636820617320746869733a20426b5165446a646354"
    "427258426941774a544c453551227d"
)
ATTESTATION_OBJECT = bytes.fromhex(
    "a363666d74646e6f6e656761747453746d74a068617574684461746158a4bfabc37432958b063360d3ad6461c9c4735a"
    "e7f8edd46592a5e0f01452b2e4b559000000008446ccb9ab1db374750b2367ff6f3a1f0020f91f391db4c9b2fde0ea70"
    "189cba3fb63f579ba6122b33ad94ff3ec330084be4a5010203262001215820afefa16f97ca9b2d23eb86ccb64098d20d"
    "b90856062eb249c33a9b672f26df61225820930a56b87a2fca66334b03458abf879717c12cc68ed73290af2e2664796b"
    "9220"
)
GET_CHALLENGE = bytes.fromhex("39c0e7521417ba54d43e8dc95174f423dee9bf3cd804ff6d65c857c9abf4d408")
GET_CLIENT_DATA = bytes.fromhex(
    "7b2274797065223a22776562617574686e2e676574222c226368616c6c656e6765223a22"
    "4f63446e55685158756c5455506f334a5558543049393770767a7a59425039745a636858"
    "79617630314167222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f"
    "7267222c2263726f73734f726967696e223a66616c73657d"
)
AUTHENTICATOR_DATA = bytes.fromhex(
    "bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b51900000000"
)
SIGNATURE = bytes.fromhex(
    "3046022100f50a4e2e4409249c4a853ba361282f09841df4dd4547a13a87780218deffcd380221008480ac0f0b935381"
    "74f575bf11a1dd5d78c6e486013f937295ea13653e331e87"
)


def response(client_data, **parts):
    encoded = {name: encode(value) for name, value in {"clientDataJSON": client_data, **parts}.items()}
    identifier = encode(CREDENTIAL_ID)
    found = {"id": identifier, "rawId": identifier, "type": "public-key", "clientExtensionResults": {}}
    return json.dumps({**found, "response": encoded})


def registered():
    sent = response(CLIENT_DATA, attestationObject=ATTESTATION_OBJECT)
    return verify_registration(sent, CHALLENGE, RP_ID, ORIGINS)


def authentication(**changes):
    parts = {"authenticatorData": AUTHENTICATOR_DATA, "signature": SIGNATURE, **changes}
    return response(GET_CLIENT_DATA, **parts)


@pytest.mark.parametrize(
    ("salt", "value"), [(0, CHALLENGE), (4, AAGUID), (5, CREDENTIAL_ID), (7, GET_CHALLENGE)]
)
def test_the_vectors_are_those_of_the_specification(salt, value):
    derived = HKDF(SHA256(), len(value), bytes([salt]), b"none.ES256").derive(b"WebAuthn test vectors")
    assert derived == value


def test_registration():
    found = registered()
    assert (found.credential_id, found.sign_count) == (CREDENTIAL_ID, 0)
    assert found.aaguid == "8446ccb9-ab1d-b374-750b-2367ff6f3a1f"
    assert (found.user_verified, found.backup_eligible, found.backed_up) == (False, True, True)
    assert found.discoverable is None


def test_authentication():
    found = verify_authentication(authentication(), GET_CHALLENGE, RP_ID, ORIGINS, registered())
    assert (found.sign_count, found.user_handle) == (0, None)
    assert (found.user_verified, found.backed_up) == (False, True)


@pytest.mark.parametrize(
    ("part", "value"),
    [("signature", SIGNATURE), ("authenticatorData", AUTHENTICATOR_DATA)],
)
def test_every_changed_byte_is_refused(part, value):
    stored = registered()
    for at in range(len(value)):
        other = bytes([*value[:at], value[at] ^ 1, *value[at + 1 :]])
        with pytest.raises(InvalidCredential):
            verify_authentication(authentication(**{part: other}), GET_CHALLENGE, RP_ID, ORIGINS, stored)


def test_another_key_is_refused():
    stored = registered()
    other = replace(stored, public_key=stored.public_key[:-32] + stored.public_key[-64:-32])
    with pytest.raises(InvalidCredential):
        verify_authentication(authentication(), GET_CHALLENGE, RP_ID, ORIGINS, other)
