"""Which key an ID token may be signed by, and what it must say (RFC 7517, RFC 7518, RFC 8725)."""

from __future__ import annotations

import json
import warnings
from datetime import UTC, datetime
from functools import cache

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from hypothesis import given, settings, strategies as st
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.utils import base64url_encode

from authhost.errors import InvalidIdToken
from authhost.providers.id_token import ALGORITHMS, verify_id_token, verify_userinfo

ISSUER, CLIENT = "https://idp.example/realm", "site"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
CLAIMS = {
    "iss": ISSUER,
    "aud": CLIENT,
    "sub": "ann",
    "iat": int(NOW.timestamp()),
    "exp": int(NOW.timestamp()) + 600,
}
CURVES = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}
KINDS = {"RSA": RSAAlgorithm, "EC": ECAlgorithm, "OKP": OKPAlgorithm}


@cache
def pair(algorithm, name="", bits=2048):
    """A private key for ``algorithm``; another one for each ``name``."""
    if algorithm in CURVES:
        return ec.generate_private_key(CURVES[algorithm]())
    if algorithm == "Ed448":
        return ed448.Ed448PrivateKey.generate()
    if algorithm in ("EdDSA", "Ed25519"):
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def published(algorithm, key, **members):
    found = KINDS[ALGORITHMS[algorithm].kty].to_jwk(key.public_key(), as_dict=True)
    found.pop("key_ops", None)
    return {**found, **members}


def signed(algorithm, key, claims=CLAIMS, **header):
    head, body = (
        base64url_encode(json.dumps(each).encode()).decode()
        for each in ({"alg": algorithm, **header}, claims)
    )
    known = {"Ed25519": "EdDSA", "Ed448": "EdDSA"}.get(algorithm, algorithm)
    signature = jwt.algorithms.get_default_algorithms()[known].sign(f"{head}.{body}".encode(), key)
    return f"{head}.{body}.{base64url_encode(signature).decode()}"


def claims_of(token, keys):
    return verify_id_token(token, keys, issuer=ISSUER, client_id=CLIENT, access_token="a", now=NOW)


def reason_of(token, keys):
    with pytest.raises(InvalidIdToken) as caught:
        claims_of(token, keys)
    return caught.value.fields["reason"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_algorithm(algorithm):
    key = pair(algorithm)
    token = signed(algorithm, key, kid="k")
    for members in (
        {},
        {"use": "sig"},
        {"alg": algorithm},
        {"key_ops": ["verify"]},
        {"key_ops": ["sign", "verify"]},
    ):
        assert claims_of(token, [published(algorithm, key, kid="k", **members)]) == CLAIMS
    assert reason_of(token, [published(algorithm, pair(algorithm, "other"), kid="k")]) == "signature"


def test_two_names_of_one_algorithm():
    """RFC 9864 names what was called EdDSA."""
    key = pair("EdDSA")
    for name in ("EdDSA", "Ed25519"):
        for of_key in ("EdDSA", "Ed25519"):
            assert claims_of(signed(name, key), [published(name, key, alg=of_key)]) == CLAIMS
    large = pair("Ed448")
    assert reason_of(signed("Ed25519", large), [published("EdDSA", large)]) == "unknown_key"


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "PS256"])
def test_several_keys_under_one_kid_are_told_apart_by_their_algorithm(algorithm):
    """As Keycloak has sent them; RFC 7517, section 4.5, allows it."""
    names = ("RS256", "RS384", "RS512", "PS256")
    keys = [published(name, pair(name), kid="k", alg=name) for name in names]
    assert claims_of(signed(algorithm, pair(algorithm), kid="k"), keys) == CLAIMS


def test_several_keys_under_one_kid_that_fit_are_tried():
    keys = [published("RS256", pair("RS256", name), kid="k") for name in ("one", "two", "three")]
    for name in ("one", "two", "three"):
        assert claims_of(signed("RS256", pair("RS256", name), kid="k"), keys) == CLAIMS
    assert reason_of(signed("RS256", pair("RS256", "four"), kid="k"), keys) == "signature"


def test_kinds_of_keys_under_one_kid():
    mixed = [published(name, pair(name), kid="k") for name in ("RS256", "ES256", "ES384", "EdDSA")]
    mixed += [{"kty": "oct", "k": "c2VjcmV0", "kid": "k"}, {"kid": "k"}, {"kty": 7, "kid": "k"}]
    for name in ("RS256", "ES256", "ES384", "EdDSA"):
        assert claims_of(signed(name, pair(name), kid="k"), mixed) == CLAIMS


def test_without_a_kid_there_is_one_key_that_fits():
    rsa_key, ec_key = published("RS256", pair("RS256")), published("ES256", pair("ES256"), kid="e")
    token = signed("RS256", pair("RS256"))
    assert claims_of(token, [ec_key, rsa_key]) == CLAIMS
    assert reason_of(token, [rsa_key, published("RS256", pair("RS256", "other"))]) == "unknown_key"
    assert reason_of(token, [ec_key]) == "unknown_key"
    assert reason_of(token, []) == "unknown_key"


@pytest.mark.parametrize(
    "members",
    [
        {"use": "enc"},
        {"use": 7},
        {"alg": "RS384"},
        {"alg": "PS256"},
        {"alg": "RSA-OAEP"},
        {"alg": ["RS256"]},
        {"key_ops": []},
        {"key_ops": ["encrypt"]},
        {"key_ops": ["sign"]},
        {"key_ops": "verify"},
        {"kty": "EC"},
        {"kid": "other"},
        {"kid": None},
    ],
)
def test_a_key_for_something_else(members):
    key = published("RS256", pair("RS256"), kid="k")
    assert reason_of(signed("RS256", pair("RS256"), kid="k"), [{**key, **members}]) == "unknown_key"


def test_a_curve_of_another_algorithm():
    for curve, algorithm in (("ES384", "ES256"), ("ES256", "ES512")):
        key = pair(curve)
        token = signed(curve, key, kid="k")
        assert (
            reason_of(
                token.replace(token.split(".")[0], signed(algorithm, pair(algorithm), kid="k").split(".")[0]),
                [published(curve, key, kid="k")],
            )
            == "unknown_key"
        )


@pytest.mark.parametrize("bits", [1024, 2040])
def test_a_small_rsa_key(bits):
    small = pair("RS256", "small", bits)
    token = signed("RS256", small, kid="k")
    assert reason_of(token, [published("RS256", small, kid="k")]) == "key"
    assert (
        reason_of(token, [published("RS256", small, kid="k"), published("RS256", pair("RS256"), kid="k")])
        == "signature"
    )
    assert claims_of(
        signed("RS256", pair("RS256"), kid="k"),
        [published("RS256", small, kid="k"), published("RS256", pair("RS256"), kid="k")],
    )


def test_private_members_of_a_published_key_are_not_read():
    key = pair("RS256")
    with_private = {**RSAAlgorithm.to_jwk(key, as_dict=True), "kid": "k"}
    with_private.pop("key_ops")
    assert claims_of(signed("RS256", key, kid="k"), [with_private]) == CLAIMS


@pytest.mark.parametrize("kind", ["JWT", "jwt", "application/jwt", None])
def test_types_of_an_id_token(kind):
    assert claims_of(signed("RS256", pair("RS256"), typ=kind), [published("RS256", pair("RS256"))]) == CLAIMS


@pytest.mark.parametrize(
    "kind",
    ["at+jwt", "AT+JWT", "application/at+jwt", "logout+jwt", "secevent+jwt", "dpop+jwt", "", 7, ["JWT"]],
)
def test_tokens_that_are_no_id_token(kind):
    """An access token (RFC 9068) or a logout token is signed by the same keys (RFC 8725, section 3.11)."""
    token = signed("RS256", pair("RS256"), typ=kind)
    assert reason_of(token, [published("RS256", pair("RS256"))]) == "type"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"iss": "https://idp.example"}, "issuer_mismatch"),
        ({"iss": ISSUER + "/"}, "issuer_mismatch"),
        ({"iss": ISSUER[:-1]}, "issuer_mismatch"),
        ({"iss": ""}, "issuer_mismatch"),
        ({"iss": [ISSUER]}, "issuer_mismatch"),
        ({"iss": {ISSUER: 1}}, "issuer_mismatch"),
        ({"iss": None}, "malformed"),
        ({"aud": "other"}, "audience"),
        ({"aud": ""}, "audience"),
        ({"aud": []}, "audience"),
        ({"aud": [CLIENT, 7], "azp": CLIENT}, "audience"),
        ({"aud": {CLIENT: 1}}, "audience"),
        ({"aud": CLIENT + "x"}, "audience"),
        ({"aud": [CLIENT, "other"]}, "audience"),
        ({"azp": "other"}, "audience"),
        ({"sub": None}, "malformed"),
        ({"sub": 7}, "malformed"),
        ({"exp": None}, "malformed"),
        ({"iat": "now"}, "malformed"),
        ({"exp": CLAIMS["iat"] - 60}, "expired"),
        ({"iat": CLAIMS["iat"] + 61}, "not_yet_valid"),
    ],
)
def test_claims(change, reason):
    token = signed("RS256", pair("RS256"), {**CLAIMS, **change})
    assert reason_of(token, [published("RS256", pair("RS256"))]) == reason


def test_claims_that_are_null():
    """A null stands for a claim that is not there."""
    claims = {**CLAIMS, "nbf": None, "azp": None, "at_hash": None}
    assert claims_of(signed("RS256", pair("RS256"), claims), [published("RS256", pair("RS256"))]) == claims
    keys = [published("RS256", pair("RS256"), use=None, alg=None, key_ops=None, kid="k")]
    assert claims_of(signed("RS256", pair("RS256"), kid="k"), keys) == CLAIMS


@pytest.mark.parametrize("claims", [[], "x", 7, None])
def test_content_that_is_no_object(claims):
    assert (
        reason_of(signed("RS256", pair("RS256"), claims), [published("RS256", pair("RS256"))]) == "malformed"
    )


def test_critical_headers_are_not_known():
    for header in ({"crit": ["exp"], "exp": 1}, {"crit": ["b64"], "b64": False}, {"crit": []}):
        token = signed("RS256", pair("RS256"), **header)
        assert reason_of(token, [published("RS256", pair("RS256"))]) == "malformed"


MEMBERS = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.text(max_size=4)
    | st.lists(st.text(max_size=4), max_size=2)
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["kty", "kid", "alg", "use", "key_ops", "n", "e", "crv", "x", "y", "d"]),
            MEMBERS | st.sampled_from(["RSA", "EC", "OKP", "P-256", "Ed25519", "RS256", "sig", "k", "AQAB"]),
        ),
        max_size=4,
    ),
    st.sampled_from(list(ALGORITHMS)),
    MEMBERS,
)
def test_keys_of_any_kind_are_refused(keys, algorithm, kid):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert reason_of(signed(algorithm, pair(algorithm), kid=kid), keys) in (
            "unknown_key",
            "key",
            "signature",
            "malformed",
        )


def test_signed_userinfo():
    def read(**change):
        claims = {name: value for name, value in {"sub": "ann", **change}.items() if value is not None}
        token = signed("RS256", pair("RS256"), claims)
        return verify_userinfo(token, [published("RS256", pair("RS256"))], issuer=ISSUER, client_id=CLIENT)

    assert read(iss=ISSUER, aud=CLIENT)["sub"] == read()["sub"] == "ann"
    for change in ({"iss": "https://evil.example"}, {"aud": "other"}):
        with pytest.raises(InvalidIdToken):
            read(**change)
