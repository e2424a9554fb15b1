"""A provider that lies, a person who cheats: a typed refusal each, and nothing stored."""

from __future__ import annotations

import json
import logging
import socket
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import jwt
import pytest
from authhost_hookspecs import OAuth2Provider, Profile
from conftest import Declares
from cryptography.hazmat.primitives.asymmetric import rsa
from providers import as_json, returned
from sqlalchemy import func, select

from authhost.errors import (
    AuthError,
    InvalidIdToken,
    InvalidInput,
    InvalidState,
    ProviderFailed,
    RateLimited,
)
from authhost.providers import addresses, openid as openid_client, transport
from authhost.providers.app import App, ProviderSettings
from authhost.providers.catalogue import BUILT_IN
from authhost.providers.debug_logs import suppress_debug_logs
from authhost.records import SocialToken
from authhost.store.tables import metadata, migrations, social_steps

PROFILES = Path(__file__).parent / "profiles"
SECRET = "the-secret-of-the-client"


@pytest.fixture
def host(make_host, scripted, openid, clock):
    clock.now = datetime.now(UTC)
    app = {"client_id": "site", "client_secret": SECRET, "trust_emails": True}
    return make_host(
        providers={
            "bad": {"provider": "openid_connect", "server": scripted.url, **app},
            "good": {"provider": "openid_connect", "server": openid.url, **app},
        }
    )


@pytest.fixture
def stored(host):
    """How many rows there are, of all tables, but for redirects that were never taken up."""

    def stored():
        with host.engine.connect() as connection:
            return sum(
                connection.execute(select(func.count()).select_from(table)).scalar_one()
                for table in metadata.sorted_tables
                if table not in (social_steps, migrations)
            )

    return stored


@pytest.fixture
def refused(host, arrive, scripted, stored, recorder):
    """Arrive from the scripted provider; return the refusal."""

    def refused(kind, agree=None):
        with pytest.raises(kind) as caught:
            arrive(host, "bad", agree or scripted.agree)
        assert stored() == 0
        assert recorder.names == ["flow_refused"]
        assert SECRET not in repr(caught.value) + repr(caught.value.fields)
        return caught.value.fields.get("reason")

    return refused


def test_it_behaves_when_it_is_told_nothing(host, arrive, scripted, stored):
    assert arrive(host, "bad", scripted.agree).login.authenticated
    assert stored() == 4  # user, address, social account, session


# The state.


def begun(host, provider="bad", token=None):
    with host.request(session_token=token) as request:
        return host.socialaccount.begin(request, provider)


def finish(host, provider, params, state_token):
    with host.request() as request:
        return host.socialaccount.complete(request, provider, params=params, state_token=state_token)


def test_a_state_works_once(host, scripted):
    redirect = begun(host)
    params = scripted.agree(redirect.url)
    finish(host, "bad", params, redirect.state_token)
    with pytest.raises(InvalidState):
        finish(host, "bad", params, redirect.state_token)


def test_a_state_is_used_up_by_a_failure(host, scripted):
    redirect = begun(host)
    with pytest.raises(ProviderFailed):
        finish(host, "bad", {"state": returned(redirect.url)["state"]}, redirect.state_token)
    with pytest.raises(InvalidState):
        finish(host, "bad", scripted.agree(redirect.url), redirect.state_token)


def test_a_state_belongs_to_one_browser(host, scripted, stored):
    """Login CSRF: an attacker's answer in the victim's browser."""
    theirs, mine = begun(host), begun(host)
    params = scripted.agree(theirs.url)
    for token in (mine.state_token, None, "", "x" * 43, "x" * 5000, 7):
        with pytest.raises(InvalidState):
            finish(host, "bad", params, token)
    assert stored() == 0


@pytest.mark.parametrize("state", [None, "", "x", "\udc80"])
def test_the_state_must_come_back(host, scripted, state):
    redirect = begun(host)
    params = scripted.agree(redirect.url)
    params.pop("state") if state is None else params.update(state=state)
    with pytest.raises(InvalidState):
        finish(host, "bad", params, redirect.state_token)


def test_a_state_ends(host, scripted, clock):
    redirect = begun(host)
    params = scripted.agree(redirect.url)
    clock.forward(seconds=901)
    with pytest.raises(InvalidState):
        finish(host, "bad", params, redirect.state_token)


def test_a_state_belongs_to_one_provider(host, scripted, openid):
    """Mix-up (RFC 9700, section 4.4): the answer of one provider at the callback of another."""
    redirect = begun(host, "bad")
    with pytest.raises(InvalidState):
        finish(host, "good", scripted.agree(redirect.url), redirect.state_token)


@pytest.mark.parametrize("params", [None, [("state", "x")], {"state": ["x"]}, {7: "x"}, {"a" * 200: "x"}])
def test_params_of_any_kind(host, scripted, params):
    redirect = begun(host)
    with pytest.raises((InvalidInput, InvalidState)):
        finish(host, "bad", params, redirect.state_token)


# The issuer (RFC 9207), the code and PKCE.


def test_mixed_up_issuer(refused, scripted):
    assert (
        refused(InvalidIdToken, lambda url: {**scripted.agree(url), "iss": "https://evil.example"})
        == "issuer_mismatch"
    )
    assert "/token" not in scripted.asked


def test_a_promised_issuer_must_come(refused, scripted):
    scripted.metadata["authorization_response_iss_parameter_supported"] = True
    assert refused(InvalidIdToken) == "issuer_mismatch"
    assert "/token" not in scripted.asked


def test_a_promised_issuer_that_comes(host, arrive, scripted):
    scripted.metadata["authorization_response_iss_parameter_supported"] = True
    agree = lambda url: {**scripted.agree(url), "iss": scripted.url}  # noqa: E731
    assert arrive(host, "bad", agree).login.authenticated


def test_a_swapped_code(host, scripted, refused):
    """Code injection: the code of one flow in another; PKCE stops it at the provider."""
    other = scripted.agree(begun(host).url)
    assert (
        refused(ProviderFailed, lambda url: {**scripted.agree(url), "code": other["code"]}) == "token_refused"
    )


def test_pkce_is_always_s256(host, scripted):
    asked = returned(begun(host).url)
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["code_challenge"]) == 43
    assert asked["redirect_uri"] == "http://localhost:8000/account/social/bad/callback"
    assert len({returned(begun(host).url)[name] for _ in range(5) for name in ("state", "nonce")}) == 10


def test_a_missing_code(refused):
    assert refused(ProviderFailed, lambda url: {"state": returned(url)["state"]}) == "code_missing"


def test_an_error_of_the_provider(refused, recorder):
    agree = lambda url: {"state": returned(url)["state"], "error": "server_error<script>" * 9}  # noqa: E731
    assert refused(ProviderFailed, agree) == "error"
    assert len(recorder.calls[0][1]["error"].fields["error"]) == 64


# The ID token.

NOW = int(time.time())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"aud": "another-site"}, "audience"),
        ({"aud": ["site", "another-site"]}, "audience"),
        ({"aud": ["site", "another-site"], "azp": "another-site"}, "audience"),
        ({"iss": "https://evil.example"}, "issuer_mismatch"),
        ({"exp": NOW - 61}, "expired"),
        ({"exp": "soon"}, "malformed"),
        ({"exp": None}, "malformed"),
        ({"exp": float("nan")}, "expired"),
        ({"iat": NOW + 3600}, "not_yet_valid"),
        ({"nbf": NOW + 3600}, "not_yet_valid"),
        ({"nonce": "another"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"sub": None}, "malformed"),
        ({"sub": 7}, "malformed"),
        ({"at_hash": "AAAA"}, "at_hash"),
        ({"sub": "somebody-else"}, "sub"),
    ],
)
def test_claims_of_the_id_token(refused, scripted, change, reason):
    def id_token(claims):
        changed = {name: value for name, value in {**claims, **change}.items() if value is not None}
        return scripted.signed(changed)

    scripted.id_token = id_token
    assert refused(InvalidIdToken) == reason


def forged_none(scripted, claims):
    return jwt.encode(claims, None, "none")


def forged_by_public_key(scripted, claims):
    """The classic confusion: the public key taken as a shared secret."""
    head, body = (
        jwt.utils.base64url_encode(json.dumps(each).encode()).decode()
        for each in ({"alg": "HS256", "kid": scripted.kid}, claims)
    )
    key = json.dumps(scripted.public()).encode()
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(
        f"{head}.{body}".encode(), key
    )
    return f"{head}.{body}.{jwt.utils.base64url_encode(signature).decode()}"


def forged_by_client_secret(scripted, claims):
    return jwt.encode(claims, SECRET * 2, "HS256", {"kid": scripted.kid})


def forged_by_other_key(scripted, claims):
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return jwt.encode(claims, other, "RS256", {"kid": scripted.kid})


def forged_by_key_in_the_header(scripted, claims):
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    numbers = jwt.algorithms.RSAAlgorithm.to_jwk(other.public_key(), as_dict=True)
    return jwt.encode(claims, other, "RS256", {"jwk": numbers, "jku": scripted.url + "/jwks"})


def unsigned(scripted, claims):
    return scripted.signed(claims).rpartition(".")[0] + "."


def changed_after_signing(scripted, claims):
    head, body, _ = scripted.signed({**claims, "sub": "victim"}).split(".")
    other = scripted.signed(claims).split(".")[2]
    return f"{head}.{body}.{other}"


def unknown_key(scripted, claims):
    return jwt.encode(claims, scripted.key, "RS256", {"kid": "nobody"})


@pytest.mark.parametrize(
    ("forge", "reason"),
    [
        (forged_none, "algorithm"),
        (forged_by_public_key, "algorithm"),
        (forged_by_client_secret, "algorithm"),
        (forged_by_other_key, "signature"),
        (forged_by_key_in_the_header, "signature"),
        (unsigned, "signature"),
        (changed_after_signing, "signature"),
        (unknown_key, "unknown_key"),
        (lambda *_: "a.b.c", "malformed"),
        (lambda *_: "", "malformed"),
        (lambda *_: None, "missing"),
        (lambda *_: {"sub": "x"}, "missing"),
    ],
)
def test_forged_id_tokens(refused, scripted, forge, reason):
    scripted.id_token = lambda claims: forge(scripted, claims)
    assert refused(InvalidIdToken) == reason


def test_a_shared_secret_among_the_keys_is_no_key(refused, scripted):
    scripted.published = [{"kty": "oct", "k": "c2VjcmV0", "kid": scripted.kid}]
    assert refused(InvalidIdToken) == "unknown_key"


def test_userinfo_about_somebody_else(refused, scripted):
    scripted.userinfo = {"sub": "victim", "email": "victim@example.org", "email_verified": True}
    assert refused(InvalidIdToken) == "sub"


def test_userinfo_does_not_lend_its_address_the_flag_of_another(host, arrive, scripted, recorder):
    """`email_verified` in the ID token is about the address in the ID token."""
    signed = scripted.signed
    scripted.id_token = lambda claims: signed(
        {**claims, "email": "mallory@example.org", "email_verified": True}
    )
    scripted.userinfo = {"sub": scripted.sub, "email": "victim@example.org"}
    arrive(host, "bad", scripted.agree)
    assert "email_confirmation_sent" in recorder.names


@pytest.mark.parametrize(
    ("of_token", "of_userinfo", "verified"),
    [
        ({"email": "ann@example.org", "email_verified": True}, {"email": None}, True),
        ({"email": "ann@example.org", "email_verified": True}, {"email": None, "email_verified": None}, True),
        ({"email": "ann@example.org", "email_verified": True}, {}, True),
        ({"email": "ann@example.org", "email_verified": True}, {"email": "ann@example.org"}, True),
        ({"email": "ann@example.org", "email_verified": True}, {"email": "eve@example.org"}, False),
        ({"email": "ann@example.org", "email_verified": True}, {"email": "ANN@example.org"}, False),
        (
            {"email": "ann@example.org", "email_verified": True},
            {"email": "ann@example.org", "email_verified": False},
            False,
        ),
        ({"email": "ann@example.org"}, {"email_verified": True}, False),
        ({"email": "ann@example.org"}, {"email": None, "email_verified": True}, False),
        ({"email": None}, {"email": "ann@example.org", "email_verified": True}, True),
    ],
)
def test_whose_flag_an_address_has(host, arrive, scripted, recorder, of_token, of_userinfo, verified):
    """A null stands for a claim that is not returned (OpenID Connect Core 1.0, section 5.3.2)."""
    signed = scripted.signed
    scripted.id_token = lambda claims: signed({**claims, **of_token})
    scripted.userinfo = {"sub": scripted.sub, **of_userinfo}
    assert arrive(host, "bad", scripted.agree).login.user.email in ("ann@example.org", "eve@example.org")
    assert ("email_confirmation_sent" not in recorder.names) is verified


def test_a_provider_without_userinfo(host, arrive, scripted):
    scripted.metadata["userinfo_endpoint"] = None
    signed = scripted.signed
    scripted.id_token = lambda claims: signed({**claims, "email": "ann@example.org", "email_verified": True})
    assert arrive(host, "bad", scripted.agree).login.authenticated
    assert "/userinfo" not in scripted.asked


def jwt_userinfo(scripted, claims, **header):
    token = scripted.signed(claims, **header).encode()
    return lambda handler: (200, {"Content-Type": "application/jwt; charset=utf-8"}, token)


def test_signed_userinfo(host, arrive, scripted):
    claims = {"sub": scripted.sub, "email": "jwt@example.org", "iss": scripted.url, "aud": "site"}
    scripted.instead["/userinfo"] = jwt_userinfo(scripted, claims)
    assert arrive(host, "bad", scripted.agree).login.user.email == "jwt@example.org"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sub": "victim"}, "sub"),
        ({"iss": "https://evil.example"}, "issuer_mismatch"),
        ({"aud": "other"}, "audience"),
    ],
)
def test_signed_userinfo_that_cannot_be_trusted(refused, scripted, change, reason):
    claims = {"sub": scripted.sub, "iss": scripted.url, "aud": "site", **change}
    scripted.instead["/userinfo"] = jwt_userinfo(scripted, claims)
    assert refused(InvalidIdToken) == reason


def test_signed_userinfo_by_another_key(refused, scripted):
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    token = jwt.encode({"sub": scripted.sub}, other, "RS256", {"kid": scripted.kid}).encode()
    scripted.instead["/userinfo"] = lambda handler: (200, {"Content-Type": "application/jwt"}, token)
    assert refused(InvalidIdToken) == "signature"


def test_tokens_of_another_type(refused, scripted):
    signed = scripted.signed
    scripted.id_token = lambda claims: signed(claims, typ="at+jwt")
    assert refused(InvalidIdToken) == "type"


# A provider that is down.


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/jwks"])
def test_a_failure_is_remembered_for_some_seconds(host, arrive, scripted, clock, path):
    scripted.instead[path] = lambda handler: (500, {}, b"down")
    for _ in range(3):
        with pytest.raises(ProviderFailed) as caught:
            arrive(host, "bad", scripted.agree)
        assert caught.value.fields == {"reason": "http_error", "status": 500}
    assert scripted.asked.count(path) == 1
    scripted.instead.clear()
    clock.forward(seconds=9)
    with pytest.raises(ProviderFailed):
        arrive(host, "bad", scripted.agree)
    clock.forward(seconds=1)
    assert arrive(host, "bad", scripted.agree).login.authenticated
    assert scripted.asked.count(path) == 2


def test_a_clock_that_was_set_back_remembers_no_failure(host, arrive, scripted, clock):
    scripted.instead["/.well-known/openid-configuration"] = lambda handler: (500, {}, b"down")
    with pytest.raises(ProviderFailed):
        begun(host)
    scripted.instead.clear()
    clock.forward(seconds=-30)
    assert begun(host).url


def test_a_failure_of_one_provider_is_its_own(host, scripted, openid):
    scripted.instead["/.well-known/openid-configuration"] = lambda handler: (500, {}, b"down")
    with pytest.raises(ProviderFailed):
        begun(host)
    assert begun(host, "good").url


def test_keys_are_kept_and_fetched_anew_when_they_change(host, arrive, scripted, monkeypatch):
    arrive(host, "bad", scripted.agree)
    arrive(host, "bad", scripted.agree)
    assert scripted.asked.count("/jwks") == scripted.asked.count("/.well-known/openid-configuration") == 1
    scripted.key, scripted.kid = rsa.generate_private_key(public_exponent=65537, key_size=2048), "second"
    with pytest.raises(InvalidIdToken):  # not more than once a minute: nobody makes us ask and ask
        arrive(host, "bad", scripted.agree)
    client = host.services.providers.client(host.services.providers.app("bad"))
    monkeypatch.setattr(client, "_keys_at", client._keys_at - 61)
    assert arrive(host, "bad", scripted.agree).login.authenticated
    assert scripted.asked.count("/jwks") == 2


def test_clocks_may_differ_by_a_minute(host, arrive, scripted):
    signed = scripted.signed
    scripted.id_token = lambda claims: signed({**claims, "exp": int(time.time()) - 30})
    assert arrive(host, "bad", scripted.agree).login.authenticated


# The transport.


def garbage(handler):
    return 200, {"Content-Type": "application/json"}, b"<html>"


def ten_megabytes(handler):
    return 200, {"Content-Type": "application/json"}, b'{"a": "' + b"x" * 10_000_000 + b'"}'


def bomb(handler):
    import gzip

    content = gzip.compress(b'{"a": "' + b"x" * 10_000_000 + b'"}')
    return 200, {"Content-Type": "application/json", "Content-Encoding": "gzip"}, content


def bomb_of_bombs(handler):
    import gzip

    content = gzip.compress(gzip.compress(b'{"a": "' + b"x" * 50_000_000 + b'"}'))
    return 200, {"Content-Type": "application/json", "Content-Encoding": "gzip, gzip"}, content


def half_a_gzip(handler):
    import gzip

    return 200, {"Content-Encoding": "gzip"}, gzip.compress(b'{"sub": "scripted-1"}')[:-4]


def two_gzips(handler):
    import gzip

    return 200, {"Content-Encoding": "gzip"}, gzip.compress(b'{"sub": "scripted-1"}') * 2


def brotli(handler):
    return 200, {"Content-Encoding": "br"}, b"{}"


def redirected(handler):
    return 302, {"Location": "file:///etc/passwd"}, b""


def redirected_to_http(handler):
    return 307, {"Location": "http://evil.example/"}, b""


def server_error(handler):
    return 500, {}, b"{}"


def hangs_up(handler):
    handler.connection.shutdown(socket.SHUT_RDWR)


def nested(handler):
    return 200, {}, b'{"a":' * 5000 + b"1" + b"}" * 5000


def not_a_number(handler):
    return 200, {}, b'{"sub": "scripted-1", "age": NaN}'


def half_a_character(handler):
    return 200, {}, b'{"sub": "scripted-1", "name": "\\ud800"}'


def a_list(handler):
    return as_json([])


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (garbage, "not_json"),
        (ten_megabytes, "too_large"),
        (bomb, "too_large"),
        (bomb_of_bombs, "encoding"),
        (half_a_gzip, "encoding"),
        (two_gzips, "encoding"),
        (brotli, "encoding"),
        (redirected, "redirected"),
        (redirected_to_http, "redirected"),
        (server_error, "http_error"),
        (hangs_up, "unreachable"),
        (nested, "not_json"),
        (not_a_number, "not_json"),
        (half_a_character, "not_json"),
        (a_list, "profile_malformed"),
    ],
)
def test_answers_of_the_profile(refused, scripted, reply, reason):
    scripted.instead["/userinfo"] = reply
    assert refused(ProviderFailed) == reason


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/jwks", "/token"])
@pytest.mark.parametrize(
    "reply", [garbage, ten_megabytes, redirected, server_error, hangs_up, nested, a_list]
)
def test_answers_of_every_other_address(refused, scripted, reply, path):
    scripted.instead[path] = reply
    assert refused((ProviderFailed, InvalidIdToken))


def test_no_encoding_is_asked_for_and_gzip_is_read_all_the_same(host, arrive, scripted):
    import gzip

    def compressed(handler):
        content = gzip.compress(json.dumps({"sub": scripted.sub, "email": "gzip@example.org"}).encode())
        return 200, {"Content-Encoding": "gzip"}, content

    scripted.instead["/userinfo"] = compressed
    assert arrive(host, "bad", scripted.agree).login.user.email == "gzip@example.org"
    assert {seen.headers.get("Accept-Encoding") for seen in scripted.seen} == {"identity"}


# Where a provider may lead us.

HERE = [
    "localhost",
    "localhost.",
    "LOCALHOST",
    "idp.localhost",
    "127.0.0.1",
    "127.1",
    "127.0.0.1.",
    "127.255.255.254",
    "2130706433",
    "0x7f.1",
    "0x7f000001",
    "0177.0.0.1",
    "0",
    "0.0.0.0",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:0.0.0.0]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
]


@pytest.mark.parametrize("name", HERE)
def test_names_of_this_machine(name):
    assert addresses.names_this_machine(f"https://{name}/token")
    assert addresses.names_this_machine(f"https://{name}:8443/token")


@pytest.mark.parametrize(
    "name",
    [
        "idp.example",
        "localhost.example",
        "notlocalhost",
        "8.8.8.8",
        "10.0.0.1",
        "[2001:4860::1]",
        "",
        "1.2.3.4.5",
    ],
)
def test_names_of_other_machines(name):
    assert not addresses.names_this_machine(f"https://{name}/token")


@pytest.mark.parametrize(
    ("address", "space"),
    [
        ("127.9.9.9", addresses.AddressSpace.LOOPBACK),
        ("::ffff:127.0.0.1", addresses.AddressSpace.LOOPBACK),
        ("0.0.0.0", addresses.AddressSpace.LOOPBACK),
        ("10.1.2.3", addresses.AddressSpace.PRIVATE),
        ("192.168.0.1", addresses.AddressSpace.PRIVATE),
        ("169.254.169.254", addresses.AddressSpace.PRIVATE),
        ("100.64.0.1", addresses.AddressSpace.PRIVATE),
        ("::ffff:10.0.0.1", addresses.AddressSpace.PRIVATE),
        ("64:ff9b::a00:1", addresses.AddressSpace.PRIVATE),
        ("fe80::1%eth0", addresses.AddressSpace.PRIVATE),
        ("fd00::1", addresses.AddressSpace.PRIVATE),
        ("8.8.8.8", addresses.AddressSpace.PUBLIC),
        ("2001:4860:4860::8888", addresses.AddressSpace.PUBLIC),
    ],
)
def test_address_space(address, space):
    assert addresses.address_space(address) is space


@pytest.mark.parametrize("name", HERE)
@pytest.mark.parametrize(
    "endpoint", ["token_endpoint", "jwks_uri", "userinfo_endpoint", "authorization_endpoint"]
)
def test_discovery_that_leads_to_this_machine(make_host, monkeypatch, name, endpoint):
    issuer = "https://evil.example"
    found = {"issuer": issuer, endpoint: f"https://{name}/x"}
    for each in ("token_endpoint", "jwks_uri", "authorization_endpoint"):
        found.setdefault(each, f"{issuer}/{each}")
    monkeypatch.setattr(openid_client, "fetch_json", lambda *_: found)
    app = {"provider": "openid_connect", "server": issuer, "client_id": "site"}
    with pytest.raises(ProviderFailed) as caught:
        begun(make_host(providers={"bad": app}))
    assert caught.value.fields["reason"] == "discovery_malformed"


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00::1", "::ffff:10.0.0.1"]
)
@pytest.mark.parametrize("endpoint", ["token_endpoint", "jwks_uri", "userinfo_endpoint"])
def test_discovery_that_leads_to_a_name_inside(monkeypatch, address, endpoint):
    issuer = "https://evil.example"
    found = {"issuer": issuer, endpoint: "https://inside.evil.example/x"}
    for each in ("token_endpoint", "jwks_uri", "authorization_endpoint"):
        found.setdefault(each, f"{issuer}/{each}")
    answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 0)) for each in ("8.8.8.8", address)]
    monkeypatch.setattr(openid_client, "fetch_json", lambda *_: found)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    declaration = next(each for each in BUILT_IN if each.id == "openid_connect")
    app = App("bad", declaration, ProviderSettings(client_id="site", server=issuer))
    client = openid_client.OpenIDClient(app, declaration, lambda: datetime.now(UTC))
    with pytest.raises(ProviderFailed) as caught:
        client.metadata()
    assert caught.value.fields["reason"] == "private_address"


@pytest.mark.parametrize("path", ["/token", "/jwks", "/userinfo"])
def test_a_name_that_resolves_to_this_machine_is_not_asked(host, arrive, scripted, path):
    """Its owner may answer in one way when we look, and in another when we connect."""
    client = host.services.providers.client(host.services.providers.app("bad"))
    client.metadata()
    client._min_address_space = addresses.AddressSpace.PUBLIC  # as if the issuer were not on this machine
    scripted.asked.clear()
    ask = {
        "/token": lambda: client.probe("https://site.example/callback"),
        "/jwks": client.keys,
        "/userinfo": lambda: client._userinfo(SocialToken("x"), "ann"),
    }[path]
    with pytest.raises(ProviderFailed) as caught:
        ask()
    assert caught.value.fields["reason"] == "private_address"
    assert scripted.asked == []


def test_an_issuer_on_this_machine_may_lead_here(host, arrive, scripted):
    assert arrive(host, "bad", scripted.agree).login.authenticated
    client = host.services.providers.client(host.services.providers.app("bad"))
    assert client._min_address_space is addresses.AddressSpace.LOOPBACK


def test_a_slow_drip_ends(refused, scripted, monkeypatch):
    monkeypatch.setattr(transport, "DEADLINE", 0.3)

    def drip(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(100_000):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            if scripted.over.wait(0.01):
                return

    scripted.instead["/userinfo"] = drip
    assert refused(ProviderFailed) == "timeout"


def test_a_slow_drip_of_headers_ends(refused, scripted, monkeypatch):
    monkeypatch.setattr(transport, "DEADLINE", 0.3)

    def drip(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(100_000):
            handler.wfile.write(f"X-{number}: y\r\n".encode())
            handler.wfile.flush()
            if scripted.over.wait(0.01):
                return

    scripted.instead["/token"] = drip
    assert refused(ProviderFailed) == "timeout"


def test_silence_ends(refused, scripted, monkeypatch):
    monkeypatch.setattr(transport, "TIMEOUT", 0.2)
    scripted.instead["/token"] = lambda handler: scripted.over.wait() and None
    assert refused(ProviderFailed) == "timeout"


def test_discovery_is_tried_again(host, arrive, scripted):
    failures = [503, 502]

    def sometimes(handler):
        if failures:
            return failures.pop(), {}, b""
        del scripted.instead["/.well-known/openid-configuration"]
        return scripted._answer(handler, b"")

    scripted.instead["/.well-known/openid-configuration"] = sometimes
    assert arrive(host, "bad", scripted.agree).login.authenticated


def test_the_token_endpoint_is_asked_once(refused, scripted):
    scripted.instead["/token"] = lambda handler: (503, {}, b"")
    refused(ProviderFailed)
    assert scripted.asked.count("/token") == 1


@pytest.mark.parametrize(
    ("metadata_of", "kind"),
    [
        ({"issuer": "https://evil.example"}, InvalidIdToken),
        ({"token_endpoint": "http://evil.example/token"}, ProviderFailed),
        ({"authorization_endpoint": "javascript:alert(1)"}, ProviderFailed),
        ({"userinfo_endpoint": "ftp://evil.example/"}, ProviderFailed),
        ({"jwks_uri": "http://169.254.169.254/latest"}, ProviderFailed),
        ({"jwks_uri": None}, ProviderFailed),
        ({"token_endpoint": 7}, ProviderFailed),
    ],
)
def test_discovery_that_leads_astray(refused, scripted, metadata_of, kind):
    scripted.metadata.update(metadata_of)
    refused(kind)


@pytest.mark.parametrize(
    "fields",
    [
        {"access_token": None},
        {"access_token": 7},
        {"access_token": "x" * 20_000},
        {"token_type": "mac"},
        {"refresh_token": ["x"]},
    ],
)
def test_token_answers(refused, scripted, fields):
    scripted.token_fields = fields
    assert refused(ProviderFailed) in ("token_malformed", "token_refused")


@pytest.mark.parametrize("uid", ["", "x" * 300, 7, None, ["x"], "a\nb", " a", "a "])
def test_uids(make_host, arrive, openid, clock, uid):
    clock.now = datetime.now(UTC)
    declared = openid.plain()
    declaration = OAuth2Provider(
        **{name: getattr(declared, name) for name in declared.__slots__}
        | {"read_profile": lambda _: Profile(uid)}
    )
    host = make_host(
        {"declares": Declares(declaration)}, providers={"plain": {"client_id": "a", "client_secret": "b"}}
    )
    with pytest.raises(ProviderFailed) as caught:
        arrive(host, "plain", lambda url: openid.agree(url, "x"))
    assert caught.value.fields["reason"] == "profile_malformed"


def test_addresses_of_any_kind(host, arrive, scripted):
    scripted.claims = {"email": "not an address", "email_verified": True}
    assert arrive(host, "bad", scripted.agree).missing == ("email",)
    scripted.claims = {"email": 7, "email_verified": True}
    assert arrive(host, "bad", scripted.agree).missing == ("email",)
    scripted.claims = {"email": "ann@example.org", "email_verified": "yes"}
    assert arrive(host, "bad", scripted.agree).login.user.email == "ann@example.org"


ODD = (None, [], [None, {}], {}, 7, 2**80, -1.5, True, "", "x" * 100_000, "a\x00b", "Ann\u202e")


@pytest.mark.parametrize("name", ["facebook", "github", "gitlab", "patreon", "openid_connect", "apple"])
def test_profiles_with_any_value_in_any_place(make_host, arrive, scripted, clock, name):
    """From the provider to the database: a login, a form, or a typed refusal."""
    clock.now = datetime.now(UTC)
    declared = next(each for each in BUILT_IN if each.id == name)
    urls = {"authorize_url": "/authorize", "token_url": "/token", "profile_url": "/userinfo"}
    if isinstance(declared, OAuth2Provider):
        more = {key: f"{scripted.url}/{key}" for key in declared.more_urls}
        changed = {key: scripted.url + path for key, path in urls.items()} | {"more_urls": more}
    else:
        changed = {"issuer": scripted.url, "userinfo": True, "signed_secret": False}
    values = {each: getattr(declared, each) for each in declared.__slots__}
    host = make_host(
        {"declares": Declares(type(declared)(**{**values, **changed}))},
        providers={name: {"client_id": "site", "server": scripted.url, "trust_emails": True}},
    )
    documents = json.loads((PROFILES / f"{name}.json").read_text())["documents"]
    documents["sub"] = scripted.sub = documents.get("sub", "scripted-1")
    documents.pop("iss", None)
    scripted.instead["/emails"] = lambda handler: as_json(scripted.userinfo["emails"])
    scripted.userinfo, logins = documents, 0
    arrive(host, name, scripted.agree)
    for key in documents:
        for value in ODD:
            scripted.userinfo = {**documents, key: value}
            with suppress(AuthError):
                result = arrive(host, name, scripted.agree)
                assert result.login or result.missing
                logins += bool(result.login and result.login.authenticated)
    assert logins > len(documents)


def test_many_begins_are_too_many(make_host, openid):
    host = make_host(
        rate_limits=True,
        providers={"good": {"provider": "openid_connect", "server": openid.url, "client_id": "site"}},
    )
    with pytest.raises(RateLimited):
        for _ in range(31):
            with host.request(ip_address="192.0.2.1") as request:
                host.socialaccount.begin(request, "good")


# Secrets.


def test_no_secret_in_logs_reprs_or_tables(make_host, arrive, openid, oauth1, clock, caplog, recorder):
    clock.now = datetime.now(UTC)
    host = make_host(
        {"declares": Declares(openid.plain(), oauth1.declaration())},
        store_social_tokens=True,
        providers={
            "good": {
                "provider": "openid_connect",
                "server": openid.url,
                "client_id": "a",
                "client_secret": SECRET,
            },
            "plain": {"client_id": "a", "client_secret": SECRET},
            "oauth1": {"client_id": oauth1.client, "client_secret": oauth1.secret},
        },
    )
    caplog.set_level(logging.DEBUG)
    secrets = {SECRET, oauth1.secret}

    def collect(url, agree):
        with suppress_debug_logs():
            params = agree(url)
        secrets.update(
            value for name, value in params.items() if name in ("code", "oauth_token", "oauth_verifier")
        )
        secrets.add(returned(url).get("state", SECRET))
        return params

    for provider, agree in (
        ("good", lambda url: openid.agree(url, "s1")),
        ("plain", lambda url: openid.agree(url, "s1")),
        ("oauth1", oauth1.agree),
    ):
        arrive(host, provider, lambda url, agree=agree: collect(url, agree), process="redirect")
        result = arrive(host, provider, lambda url, agree=agree: collect(url, agree))
        sociallogin = recorder.calls[-1][1].get("sociallogin") or recorder.calls[0][1]["sociallogin"]
        secrets.update({sociallogin.token.reveal(), sociallogin.token.reveal_secret() or SECRET})
        shown = repr((result, sociallogin, sociallogin.token, host.settings, list(host.services.providers)))
        assert not [each for each in secrets if each in shown]
    logged = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert not [each for each in secrets if each in logged]
    with host.engine.connect() as connection:
        tables = "".join(str(connection.execute(select(table)).all()) for table in metadata.sorted_tables)
    assert not [each for each in secrets if each in tables]
