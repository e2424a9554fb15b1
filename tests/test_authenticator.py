"""The virtual authenticator of the testing kit, judged by py_webauthn."""

from __future__ import annotations

import json
import sys
from uuid import UUID

import pytest
from hypothesis import given, strategies as st

from authhost.errors import ConfigurationError
from authhost.testing.webauthn_options import encode_base64url

REASON = "SKIPPED: run `pip install {}`"
pytest.importorskip("cbor2", reason=REASON.format("'authhost[testing]'"))
webauthn = pytest.importorskip("webauthn", reason=REASON.format("webauthn"))

from webauthn.helpers import exceptions, structs  # noqa: E402

from authhost.testing.authenticator import (  # noqa: E402
    EDDSA,
    ES256,
    ConstraintError,
    InvalidOptions,
    InvalidStateError,
    NotAllowedError,
    NotSupportedError,
    SecurityError,
    VirtualAuthenticator,
    WebAuthnError,
)

RP_ID, ORIGIN = "example.org", "https://login.example.org"
ANN = b"user-handle-of-ann"
CHALLENGE = b"challenge-of-32-bytes-or-so-----"
REQUIRED, PREFERRED, DISCOURAGED = "required", "preferred", "discouraged"


def creation_options(selection=None, **changes):
    """The smallest options; ``None`` leaves a member out."""
    options = {
        "rp": {"id": RP_ID, "name": "Example"},
        "user": {"id": encode_base64url(ANN), "name": "ann@example.org", "displayName": "Ann"},
        "challenge": encode_base64url(CHALLENGE),
        "pubKeyCredParams": [{"type": "public-key", "alg": ES256}, {"type": "public-key", "alg": -257}],
        "authenticatorSelection": selection or {},
        **changes,
    }
    return {name: value for name, value in options.items() if value is not None}


def request_options(*credentials, **changes):
    allowed = [{"type": "public-key", "id": encode_base64url(each.id)} for each in credentials]
    return {
        "challenge": encode_base64url(CHALLENGE),
        "rpId": RP_ID,
        "allowCredentials": allowed,
        **changes,
    }


def verify_registration(response, **changes):
    expected = {
        "expected_challenge": CHALLENGE,
        "expected_rp_id": RP_ID,
        "expected_origin": ORIGIN,
        "require_user_verification": True,
    }
    return webauthn.verify_registration_response(credential=response, **{**expected, **changes})


def verify_login(response, registered, **changes):
    expected = {
        "expected_challenge": CHALLENGE,
        "expected_rp_id": RP_ID,
        "expected_origin": ORIGIN,
        "credential_public_key": registered.credential_public_key,
        "credential_current_sign_count": registered.sign_count,
        "require_user_verification": True,
    }
    return webauthn.verify_authentication_response(credential=response, **{**expected, **changes})


@pytest.fixture
def authenticator(virtual_authenticator):
    return virtual_authenticator


@pytest.fixture
def passkey(authenticator):
    """A registered discoverable credential, as the library has verified it."""
    return verify_registration(authenticator.create(creation_options({"residentKey": REQUIRED}), ORIGIN))


@pytest.mark.parametrize("algorithm", [ES256, EDDSA])
def test_registration_and_login(authenticator, algorithm):
    params = [{"type": "public-key", "alg": algorithm}]
    response = authenticator.create(creation_options(pubKeyCredParams=params), ORIGIN)
    registered = verify_registration(response)
    (credential,) = authenticator.credentials
    assert registered.credential_id == credential.id
    assert registered.fmt == "none"
    assert json.loads(response)["response"]["publicKeyAlgorithm"] == algorithm
    login = verify_login(authenticator.get(request_options(credential), ORIGIN), registered)
    assert login.user_verified
    assert login.new_sign_count == 1


def test_options_that_the_library_writes(authenticator):
    """The library's own options as a JSON string, with the algorithms and the extension of its defaults."""
    options = webauthn.generate_registration_options(
        rp_id=RP_ID, rp_name="Example", user_name="ann@example.org", challenge=CHALLENGE
    )
    registered = verify_registration(authenticator.create(webauthn.options_to_json(options), ORIGIN))
    known = structs.PublicKeyCredentialDescriptor(id=registered.credential_id)
    options = webauthn.generate_authentication_options(
        rp_id=RP_ID, challenge=CHALLENGE, allow_credentials=[known]
    )
    assert verify_login(authenticator.get(webauthn.options_to_json(options), ORIGIN), registered)


def test_json_of_the_registration(authenticator):
    options = creation_options({"residentKey": PREFERRED}, extensions={"credProps": True})
    response = json.loads(authenticator.create(options, ORIGIN))
    (credential,) = authenticator.credentials
    assert response["id"] == response["rawId"] == encode_base64url(credential.id)
    assert response["authenticatorAttachment"] == "platform"
    assert response["clientExtensionResults"] == {"credProps": {"rk": True}}
    assert response["response"]["transports"] == ["internal"]
    assert response["response"]["publicKey"] == encode_base64url(credential.public_key)


def test_settings_of_the_authenticator():
    model = UUID("08987058-cadc-4b81-b6e1-30de50dcbe96")
    authenticator = VirtualAuthenticator(
        backup_eligible=True, backed_up=True, sign_count=7, counts=False, transports=["usb"], aaguid=model
    )
    response = authenticator.create(creation_options(), ORIGIN)
    registered = verify_registration(response)
    assert registered.aaguid == str(model)
    assert registered.credential_device_type == "multi_device"
    assert registered.credential_backed_up
    assert registered.sign_count == 7
    assert json.loads(response)["authenticatorAttachment"] == "cross-platform"


def test_synced_passkeys_do_not_count():
    authenticator = VirtualAuthenticator(backup_eligible=True, backed_up=True, counts=False)
    registered = verify_registration(authenticator.create(creation_options(), ORIGIN))
    for _ in range(2):
        response = authenticator.get(request_options(*authenticator.credentials), ORIGIN)
        assert verify_login(response, registered).new_sign_count == 0


def test_backup_without_eligibility_is_an_error():
    with pytest.raises(ValueError, match="backed_up needs backup_eligible"):
        VirtualAuthenticator(backed_up=True)


def test_another_origin_is_refused_by_the_library(authenticator, passkey):
    phishing = "https://evil.example.org"
    with pytest.raises(exceptions.InvalidRegistrationResponse, match="origin"):
        verify_registration(authenticator.create(creation_options(), phishing))
    with pytest.raises(exceptions.InvalidAuthenticationResponse, match="origin"):
        verify_login(authenticator.get(request_options(), phishing), passkey)


@pytest.mark.parametrize(
    ("origin", "rp_id"),
    [
        ("https://example.org", "login.example.org"),
        ("https://notexample.org", "example.org"),
        ("https://example.org", "org"),
        ("https://example.org", ""),
        ("https://example.org.", "example.org"),
        ("http://example.org", "example.org"),
        ("https://203.0.113.7", "203.0.113.7"),
        ("https://[2001:db8::1]", "2001:db8::1"),
        ("https://example.org/login", "example.org"),
        ("https://ann@example.org", "example.org"),
        ("https://Example.org", "example.org"),
        ("https://example.org:x", "example.org"),
        ("https://bücher.example", "bücher.example"),
        ("example.org", "example.org"),
        ("null", "null"),
    ],
)
def test_origin_that_may_not_use_the_id(authenticator, origin, rp_id):
    with pytest.raises(SecurityError):
        authenticator.create(creation_options(rp={"id": rp_id, "name": "Example"}), origin)
    with pytest.raises(SecurityError):
        authenticator.get(request_options(rpId=rp_id), origin)


@pytest.mark.parametrize("origin", ["https://example.org:8443", "http://localhost:8000"])
def test_id_is_the_host_by_default(authenticator, origin):
    authenticator.create(creation_options(rp={"name": "Example"}), origin)
    assert authenticator.credentials[0].rp_id == origin.split(":")[1].strip("/")


def test_user_verification(authenticator, passkey):
    for wanted, verified in [(REQUIRED, True), (PREFERRED, True), (DISCOURAGED, False), ("new", True)]:
        response = authenticator.get(request_options(userVerification=wanted), ORIGIN)
        login = verify_login(response, passkey, require_user_verification=False)
        assert login.user_verified is verified


def test_authenticator_that_cannot_verify_its_user(authenticator, passkey):
    authenticator.user_verification = False
    response = authenticator.create(creation_options(), ORIGIN)
    with pytest.raises(exceptions.InvalidRegistrationResponse, match="verif"):
        verify_registration(response)
    assert not verify_registration(response, require_user_verification=False).user_verified
    with pytest.raises(exceptions.InvalidAuthenticationResponse, match="verif"):
        verify_login(authenticator.get(request_options(), ORIGIN), passkey)
    with pytest.raises(ConstraintError, match="user_verification=False"):
        authenticator.create(creation_options({"userVerification": REQUIRED}), ORIGIN)
    with pytest.raises(NotAllowedError, match="user_verification=False"):
        authenticator.get(request_options(userVerification=REQUIRED), ORIGIN)


def test_a_clone_has_an_old_counter(authenticator, passkey):
    clone = authenticator.copy()
    login = verify_login(authenticator.get(request_options(), ORIGIN), passkey)
    response = clone.get(request_options(), ORIGIN)
    with pytest.raises(exceptions.InvalidAuthenticationResponse, match="sign count"):
        verify_login(response, passkey, credential_current_sign_count=login.new_sign_count)
    clone.credentials.clear()
    assert len(authenticator.credentials) == 1


def test_excluded_credential(authenticator, passkey):
    excluded = [{"type": "public-key", "id": encode_base64url(passkey.credential_id)}]
    with pytest.raises(InvalidStateError):
        authenticator.create(creation_options(excludeCredentials=excluded), ORIGIN)
    elsewhere = {"id": "login.example.org", "name": "Example"}
    assert authenticator.create(creation_options(rp=elsewhere, excludeCredentials=excluded), ORIGIN)
    assert VirtualAuthenticator().create(creation_options(excludeCredentials=excluded), ORIGIN)


def test_discoverable_login_returns_the_user_handle(authenticator, passkey):
    response = authenticator.get(request_options(), ORIGIN)
    assert json.loads(response)["response"]["userHandle"] == encode_base64url(ANN)
    assert verify_login(response, passkey).credential_id == passkey.credential_id


def test_other_credentials_need_their_id(authenticator):
    authenticator.create(creation_options({"residentKey": DISCOURAGED}), ORIGIN)
    with pytest.raises(NotAllowedError):
        authenticator.get(request_options(), ORIGIN)
    response = authenticator.get(request_options(*authenticator.credentials), ORIGIN)
    assert "userHandle" not in json.loads(response)["response"]


@pytest.mark.parametrize(
    ("selection", "able", "expected"),
    [
        ({}, True, False),
        ({"residentKey": PREFERRED}, True, True),
        ({"residentKey": PREFERRED}, False, False),
        ({"residentKey": DISCOURAGED, "requireResidentKey": True}, True, False),
        ({"requireResidentKey": True}, True, True),
        ({"residentKey": "new", "requireResidentKey": True}, True, True),
        ({"residentKey": "new"}, True, False),
    ],
)
def test_resident_key(selection, able, expected):
    authenticator = VirtualAuthenticator(resident_keys=able)
    options = creation_options(selection, extensions={"credProps": True})
    response = json.loads(authenticator.create(options, ORIGIN))
    assert response["clientExtensionResults"] == {"credProps": {"rk": expected}}
    assert authenticator.credentials[0].discoverable is expected


def test_resident_key_that_cannot_be_stored():
    with pytest.raises(ConstraintError, match="resident_keys=False"):
        VirtualAuthenticator(resident_keys=False).create(creation_options({"residentKey": REQUIRED}), ORIGIN)


def test_one_passkey_for_each_account(authenticator, passkey):
    """A second passkey of the same account replaces the first, and the user may choose among accounts."""
    bob = {"id": encode_base64url(b"bob"), "name": "bob@example.org", "displayName": "Bob"}
    selection = {"residentKey": REQUIRED}
    authenticator.create(creation_options(selection), ORIGIN)
    authenticator.create(creation_options(selection, user=bob), ORIGIN)
    assert [each.user_name for each in authenticator.credentials] == ["ann@example.org", "bob@example.org"]
    ann, newest = authenticator.credentials
    assert ann.id != passkey.credential_id
    chosen = json.loads(authenticator.get(request_options(), ORIGIN, credential_id=ann.id))
    assert chosen["response"]["userHandle"] == encode_base64url(ANN)
    assert json.loads(authenticator.get(request_options(), ORIGIN))["id"] == encode_base64url(newest.id)


def test_login_without_a_suitable_credential(authenticator, passkey):
    other = {"type": "public-key", "id": encode_base64url(b"of another authenticator")}
    unknown = {"type": "new", "id": encode_base64url(passkey.credential_id)}
    for changes in (
        {"allowCredentials": [other]},
        {"allowCredentials": [unknown]},
        {"rpId": "login.example.org"},
    ):
        with pytest.raises(NotAllowedError):
            authenticator.get(request_options(**changes), ORIGIN)


def test_algorithms(authenticator):
    authenticator.create(creation_options(pubKeyCredParams=[]), ORIGIN)
    assert authenticator.credentials[0].algorithm == ES256
    for params in ([{"type": "public-key", "alg": -257}], [{"type": "new", "alg": ES256}]):
        with pytest.raises(NotSupportedError):
            authenticator.create(creation_options(pubKeyCredParams=params), ORIGIN)


def test_attachment(authenticator):
    assert authenticator.create(creation_options({"authenticatorAttachment": "platform"}), ORIGIN)
    with pytest.raises(NotAllowedError, match="cross-platform"):
        authenticator.create(creation_options({"authenticatorAttachment": "cross-platform"}), ORIGIN)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("{", "not JSON"),
        ("[]", "must be a JSON object"),
        ({"publicKey": creation_options()}, "contain publicKey; pass its value"),
        (creation_options(challenge=None), "challenge is missing; it must be a string"),
        (creation_options(challenge="a+b/"), "challenge must be base64url without padding"),
        (creation_options(challenge="YQ=="), "challenge must be base64url without padding"),
        (creation_options(pubKeyCredParams=None), "pubKeyCredParams is missing; it must be a list"),
        (creation_options(pubKeyCredParams=[1]), r"pubKeyCredParams\[0\] must be an object"),
        (
            creation_options(pubKeyCredParams=[{"type": "public-key", "alg": True}]),
            r"pubKeyCredParams\[0\]\.alg must be an integer",
        ),
        (creation_options(rp={"name": "Example", "id": None}), "rp.id must be a string"),
        (creation_options(user={"id": "", "name": "ann", "displayName": "Ann"}), "1 to 64 bytes, not 0"),
        (creation_options(user={"id": "YQ", "name": "ann"}), "user.displayName is missing"),
        (creation_options({"requireResidentKey": 1}), "requireResidentKey must be true or false"),
    ],
)
def test_options_that_a_browser_cannot_read(authenticator, options, message):
    with pytest.raises(InvalidOptions, match=message):
        authenticator.create(options, ORIGIN)


TEXTS = st.sampled_from(["public-key", "YQ", "==", REQUIRED, RP_ID])
MEMBERS = st.sampled_from(["id", "type", "alg", "residentKey", "credProps"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(MEMBERS, inner),
    max_leaves=4,
)
NAMES = sorted({*creation_options(), *request_options(), "excludeCredentials", "extensions"})


@given(changes=st.dictionaries(st.sampled_from(NAMES), VALUES), as_text=st.booleans())
def test_any_options_give_a_response_or_a_typed_error(changes, as_text):
    authenticator = VirtualAuthenticator()
    for call, options in (
        (authenticator.create, {**creation_options(), **changes}),
        (authenticator.get, {**request_options(), **changes}),
    ):
        try:
            json.loads(call(json.dumps(options) if as_text else options, ORIGIN))
        except WebAuthnError as error:
            assert str(error)


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "cbor2", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'authhost\[testing\]'"):
        VirtualAuthenticator()
