"""Authentications by security keys and passkeys."""

from __future__ import annotations

from dataclasses import replace

import pytest
from authhost_mfa.webauthn import (
    ClonedCredential,
    InvalidCredential,
    UnknownCredential,
    verify_authentication,
)
from authhost_mfa.webauthn.responses import encode

from authhost.testing.authenticator import VirtualAuthenticator
from mfa.webauthn.ceremonies import (
    CHALLENGE,
    HANDLE,
    ORIGINS,
    RP_ID,
    authenticate,
    changed,
    create,
    get,
    register,
    with_client_data,
)


def refused(response, stored, kind=InvalidCredential, challenge=CHALLENGE, rp_id=RP_ID, origins=ORIGINS):
    with pytest.raises(kind) as caught:
        verify_authentication(response, challenge, rp_id, origins, stored)
    assert type(caught.value) is kind
    return True


def test_a_passkey_names_its_account():
    authenticator = VirtualAuthenticator()
    stored = register(authenticator, resident_key="required")
    found = verify_authentication(get(authenticator), CHALLENGE, RP_ID, ORIGINS, stored)
    assert (found.user_handle, found.sign_count, found.user_verified) == (HANDLE, 1, True)


def test_user_verification_is_evaluated_not_required():
    authenticator = VirtualAuthenticator()
    stored = register(authenticator)
    authenticator.user_verification = False
    assert not authenticate(authenticator, stored).user_verified


def test_the_backup_state_is_the_present_one():
    authenticator = VirtualAuthenticator(backup_eligible=True)
    stored = register(authenticator)
    assert not authenticate(authenticator, stored).backed_up
    authenticator.credentials[0].backed_up = True
    assert authenticate(authenticator, stored).backed_up


@pytest.mark.parametrize("eligible", [True, False])
def test_a_credential_whose_backup_eligibility_has_changed_is_refused(eligible):
    """Web Authentication, level 3, 7.2: BE never changes."""
    authenticator = VirtualAuthenticator(backup_eligible=eligible)
    stored = register(authenticator)
    authenticator.credentials[0].backup_eligible = not eligible
    with pytest.raises(InvalidCredential):
        authenticate(authenticator, stored)


class TestTheCounter:
    @pytest.mark.parametrize(
        ("stored", "sent", "accepted"),
        [
            (0, 0, True),
            (0, 1, True),
            (5, 6, True),
            (5, 5, False),
            (5, 4, False),
            (5, 0, False),
            (1, 2**32 - 1, True),
        ],
    )
    def test_must_rise_once_it_has_counted(self, stored, sent, accepted):
        authenticator = VirtualAuthenticator(counts=False)
        known = replace(register(authenticator), sign_count=stored)
        authenticator.credentials[0].sign_count = sent
        if accepted:
            assert authenticate(authenticator, known).sign_count == sent
        else:
            assert refused(get(authenticator, known), known, ClonedCredential)

    def test_a_clone_is_refused_after_the_original_was_used(self):
        original = VirtualAuthenticator(sign_count=1)
        stored = register(original)
        clone = original.copy()
        stored = replace(stored, sign_count=authenticate(original, stored).sign_count)
        assert refused(get(clone, stored), stored, ClonedCredential)

    def test_a_wrong_signature_is_no_clone(self):
        authenticator = VirtualAuthenticator(counts=False)
        stored = replace(register(authenticator), sign_count=5)
        response = changed(get(authenticator, stored), "response.signature", encode(b"wrong"))
        assert refused(response, stored, InvalidCredential)


def test_another_challenge_site_or_origin_is_refused():
    authenticator = VirtualAuthenticator()
    stored = register(authenticator)
    response = get(authenticator, stored)
    assert refused(response, stored, challenge=b"another challenge of 16 bytes")
    assert refused(response, stored, rp_id="example.com")
    assert refused(response, stored, origins=("https://example.org:8443",))


def test_another_credential_is_refused():
    authenticator, other = VirtualAuthenticator(), VirtualAuthenticator()
    stored, known = register(authenticator), register(other)
    assert refused(get(other, known), stored, UnknownCredential)
    assert refused(get(other, known), replace(known, public_key=stored.public_key))


def test_a_registration_is_no_authentication():
    authenticator = VirtualAuthenticator()
    stored = register(authenticator)
    response = with_client_data(get(authenticator, stored), type="webauthn.create")
    assert refused(response, stored)
    assert refused(create(authenticator), stored, UnknownCredential)


@pytest.mark.parametrize("member", [{"crossOrigin": True}, {"topOrigin": "https://evil.example"}])
def test_a_page_in_a_frame_of_another_site_is_refused(member):
    authenticator = VirtualAuthenticator()
    stored = register(authenticator)
    assert refused(with_client_data(get(authenticator, stored), **member), stored)


@pytest.mark.parametrize("handle", [5, "?", [], encode(bytes(65))])
def test_a_handle_that_cannot_be_one_is_refused(handle):
    authenticator = VirtualAuthenticator()
    stored = register(authenticator)
    assert refused(changed(get(authenticator, stored), "response.userHandle", handle), stored)
