"""The options for browsers."""

from __future__ import annotations

import json

import pytest
from authhost_hookspecs import Field
from authhost_mfa.webauthn import (
    creation_options,
    new_user_handle,
    origins_of,
    request_options,
    rp_id_of,
)
from authhost_mfa.webauthn.responses import decode

from authhost.testing.authenticator import VirtualAuthenticator
from mfa.webauthn.ceremonies import CHALLENGE, HANDLE, register


def creation(**options):
    values = {"rp_id": "example.org", "rp_name": "Teapots", "user_handle": HANDLE, "user_name": "ann"}
    return json.loads(creation_options(CHALLENGE, **{**values, **options}))


def test_a_registration_asks_for_no_attestation_and_prefers_user_verification():
    found = creation()
    assert (found["attestation"], found["authenticatorSelection"]["userVerification"]) == (
        "none",
        "preferred",
    )
    assert decode(found["challenge"]) == CHALLENGE
    assert decode(found["user"]["id"]) == HANDLE
    assert [each["alg"] for each in found["pubKeyCredParams"]] == [-7, -8, -257]
    assert (found["timeout"], found["extensions"]) == (300_000, {"credProps": True})


@pytest.mark.parametrize("resident_key", ["required", "preferred", "discouraged"])
def test_a_passkey_can_be_required(resident_key):
    found = creation(resident_key=resident_key)["authenticatorSelection"]
    assert found["residentKey"] == resident_key
    assert found["requireResidentKey"] is (resident_key == "required")


def test_known_credentials_are_excluded_and_allowed_with_their_transports():
    known = register(VirtualAuthenticator(transports=("usb", "nfc")))
    (excluded,) = creation(excluded=[known])["excludeCredentials"]
    options = json.loads(request_options(CHALLENGE, rp_id="example.org", allowed=[known]))
    assert options["allowCredentials"] == [excluded]
    assert (decode(excluded["id"]), excluded["transports"]) == (known.credential_id, ["nfc", "usb"])


def test_a_login_without_a_username_names_no_credential():
    options = json.loads(request_options(CHALLENGE, rp_id="example.org"))
    assert (options["allowCredentials"], options["userVerification"]) == ([], "preferred")


def test_a_handle_is_random():
    assert len({new_user_handle() for _ in range(10)}) == 10
    assert len(new_user_handle()) == 64


def test_a_field_takes_them():
    Field("credential", type="public_key_create", value=json.dumps(creation()))
    Field("credential", type="public_key_get", value=request_options(CHALLENGE, rp_id="example.org"))


@pytest.mark.parametrize(
    ("base_url", "rp_id", "origin"),
    [
        ("https://example.org", "example.org", "https://example.org"),
        ("https://Login.Example.org:443/app", "login.example.org", "https://login.example.org"),
        ("https://example.org:8443", "example.org", "https://example.org:8443"),
        ("http://localhost:8000", "localhost", "http://localhost:8000"),
        ("http://[::1]:8000", "::1", "http://[::1]:8000"),
    ],
)
def test_the_site_is_that_of_base_url(base_url, rp_id, origin):
    assert (rp_id_of(base_url), origins_of(base_url)) == (rp_id, (origin,))


def test_a_url_without_a_host_is_refused():
    with pytest.raises(ValueError, match="has no host"):
        rp_id_of("example.org")
