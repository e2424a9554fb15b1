"""Registrations of security keys and passkeys."""

from __future__ import annotations

from uuid import UUID

import pytest
from authhost_mfa.webauthn import InvalidCredential, verify_registration
from authhost_mfa.webauthn.responses import encode

from authhost.testing.authenticator import EDDSA, ES256, VirtualAuthenticator
from mfa.webauthn.ceremonies import (
    CHALLENGE,
    ORIGINS,
    RP_ID,
    authenticate,
    changed,
    create,
    get,
    register,
    with_client_data,
)

MODEL = UUID("fbfc3007-154e-4ecc-8c0b-6e020557d7bd")


def refused(response, challenge=CHALLENGE, rp_id=RP_ID, origins=ORIGINS):
    with pytest.raises(InvalidCredential) as caught:
        verify_registration(response, challenge, rp_id, origins)
    assert (caught.value.code, caught.value.field) == ("invalid_credential", "credential")
    return True


def test_a_security_key():
    key = VirtualAuthenticator(transports=("usb", "nfc"), sign_count=5, aaguid=MODEL, resident_keys=False)
    found = register(key)
    assert found.credential_id == key.credentials[0].id
    assert (found.sign_count, found.aaguid, found.transports) == (5, str(MODEL), ("nfc", "usb"))
    assert (found.backup_eligible, found.backed_up, found.discoverable) == (False, False, False)
    assert found.user_verified


def test_a_synchronised_passkey():
    phone = VirtualAuthenticator(
        backup_eligible=True, backed_up=True, counts=False, transports=("internal", "hybrid")
    )
    found = register(phone, resident_key="required")
    assert (found.backup_eligible, found.backed_up, found.discoverable) == (True, True, True)
    assert (found.sign_count, found.transports) == (0, ("hybrid", "internal"))


def test_user_verification_is_evaluated_not_required():
    assert not register(VirtualAuthenticator(user_verification=False)).user_verified


@pytest.mark.parametrize("algorithm", [ES256, EDDSA])
def test_the_algorithms(algorithm, monkeypatch):
    monkeypatch.setattr("authhost_mfa.webauthn.options.ALGORITHMS", (algorithm,))
    authenticator = VirtualAuthenticator()
    found = register(authenticator)
    assert authenticate(authenticator, found).user_verified


def test_another_challenge_site_or_origin_is_refused():
    response = create(VirtualAuthenticator())
    assert refused(response, challenge=b"another challenge of 16 bytes")
    assert refused(response, rp_id="example.com")
    assert refused(response, origins=("https://evil.example.org",))
    assert refused(response, origins=())


def test_an_authentication_is_no_registration():
    authenticator = VirtualAuthenticator()
    register(authenticator)
    assert refused(get(authenticator))
    assert refused(with_client_data(create(authenticator), type="webauthn.get"))


@pytest.mark.parametrize("member", [{"crossOrigin": True}, {"topOrigin": "https://evil.example"}])
def test_a_page_in_a_frame_of_another_site_is_refused(member):
    """Nobody signs the client data of a registration without an attestation, so only this refuses it."""
    response = create(VirtualAuthenticator())
    verify_registration(with_client_data(response, other=1), CHALLENGE, RP_ID, ORIGINS)
    assert refused(with_client_data(response, **member))


def test_the_id_outside_must_be_the_one_inside():
    response = create(VirtualAuthenticator())
    other = encode(b"another id")
    assert refused(changed(response, "id", other))
    assert refused(changed(changed(response, "id", other), "rawId", other))


@pytest.mark.parametrize(
    ("transports", "found"),
    [
        (["usb", "usb", "smart-card", "new-one"], ("new-one", "smart-card", "usb")),
        (["<b>", "x" * 100, 5, None, ["usb"], "ble"], ("ble",)),
        ([f"t{'x' * each}" for each in range(30)], tuple(f"t{'x' * each}" for each in range(6))),
        ("usb", ()),
        (None, ()),
    ],
)
def test_transports_are_hints(transports, found):
    response = changed(create(VirtualAuthenticator()), "response.transports", transports)
    assert verify_registration(response, CHALLENGE, RP_ID, ORIGINS).transports == found


@pytest.mark.parametrize(
    ("results", "found"),
    [({}, None), ({"credProps": {"rk": False}}, False), ({"credProps": {"rk": "yes"}}, None), ("x", None)],
)
def test_the_browser_may_say_whether_it_is_discoverable(results, found):
    response = changed(create(VirtualAuthenticator()), "clientExtensionResults", results)
    assert verify_registration(response, CHALLENGE, RP_ID, ORIGINS).discoverable is found
