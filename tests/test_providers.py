"""OAuth 1.0a and the ways in which OAuth 2.0 is spoken; what an operator sets up."""

from __future__ import annotations

import json
import socket
import threading
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from authhost_hookspecs import (
    OAuth1Provider,
    OAuth2Provider,
    OpenIDConnectProvider,
    Profile,
    ProviderEmail,
    claims_profile,
    hookimpl,
)
from conftest import Declares
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, strategies as st
from providers import as_json, returned

from authhost import ConfigurationError
from authhost.cli.provider_check import findings
from authhost.errors import InvalidIdToken, InvalidInput, InvalidState, ProviderDenied, ProviderFailed
from authhost.providers.app import App, ProviderSettings
from authhost.providers.authorize_params import validate_params
from authhost.providers.catalogue import BUILT_IN
from authhost.providers.client import read_profile as read_as_app
from authhost.providers.http import session_request
from authhost.providers.oauth2 import OAuth2Client
from authhost.providers.transport import configure_session

APP = {"client_id": "the site", "client_secret": "s&cret"}


@pytest.fixture(autouse=True)
def real_time(clock):
    clock.now = datetime.now(UTC)


# OAuth 1.0a.


@pytest.fixture
def oauth1_host(make_host, oauth1):
    return make_host(
        {"declares": Declares(oauth1.declaration())},
        store_social_tokens=True,
        providers={"oauth1": {"client_id": oauth1.client, "client_secret": oauth1.secret}},
    )


def test_oauth1(oauth1_host, oauth1, arrive, recorder):
    result = arrive(oauth1_host, "oauth1", oauth1.agree)
    assert recorder.names == ["pre_social_login", "user_signed_up", "user_logged_in"]
    assert (result.account.uid, result.account.extra_data["screen_name"]) == ("7001", "ann")
    with oauth1_host.request(session_token=result.login.session_token) as request:
        token = oauth1_host.socialaccount.token(request, account_id=result.account.id)
    assert oauth1.granted[token.reveal()] == token.reveal_secret()
    arrive(oauth1_host, "oauth1", oauth1.agree)
    assert recorder.names[3:] == ["social_account_updated", "pre_social_login", "user_logged_in"]


def test_oauth1_refusals(oauth1_host, oauth1, arrive):
    with pytest.raises(ProviderDenied):
        arrive(oauth1_host, "oauth1", lambda url: {"denied": returned(url)["oauth_token"]})
    with pytest.raises(InvalidState):
        arrive(oauth1_host, "oauth1", lambda url: {"denied": "another"})
    with pytest.raises(ProviderFailed):
        arrive(oauth1_host, "oauth1", lambda url: {**oauth1.agree(url), "oauth_verifier": "guessed"})
    with pytest.raises(ProviderFailed):
        arrive(oauth1_host, "oauth1", lambda url: {"oauth_token": oauth1.agree(url)["oauth_token"]})
    with oauth1_host.request() as request:
        other = oauth1_host.socialaccount.begin(request, "oauth1")
    with pytest.raises(InvalidState):
        arrive(oauth1_host, "oauth1", lambda url: oauth1.agree(other.url))


def test_oauth1_of_a_provider_that_is_down(make_host, scripted, clock):
    url = scripted.url
    declaration = OAuth1Provider(
        id="old",
        name="Old",
        request_token_url=f"{url}/request",
        authorize_url=f"{url}/authorize",
        access_token_url=f"{url}/access",
        profile_url=f"{url}/me",
        read_profile=claims_profile,
    )
    host = make_host({"d": Declares(declaration)}, providers={"old": APP})

    def refusal():
        with host.request() as request, pytest.raises(ProviderFailed) as caught:
            host.socialaccount.begin(request, "old")
        return caught.value.fields

    scripted.instead["/request"] = lambda handler: (503, {}, b"down")
    assert [refusal() for _ in range(3)] == [{"reason": "http_error", "status": 503}] * 3
    assert scripted.asked == ["/request"]
    clock.forward(seconds=10)
    scripted.instead["/request"] = lambda handler: (401, {}, b"no")
    assert [refusal() for _ in range(2)] == [{"reason": "token_refused"}] * 2
    assert scripted.asked == ["/request"] * 3  # a refusal is not remembered


def test_oauth1_wrong_secret(make_host, oauth1):
    host = make_host(
        {"declares": Declares(oauth1.declaration())},
        providers={"oauth1": {"client_id": oauth1.client, "client_secret": "wrong" * 9}},
    )
    with host.request() as request, pytest.raises(ProviderFailed) as caught:
        host.socialaccount.begin(request, "oauth1")
    assert caught.value.fields["reason"] == "token_refused"


# OAuth 2.0, as providers speak it.


@pytest.fixture
def odd(make_host, scripted, arrive):
    """Arrive from a provider declared with ``values``; return what its endpoints saw."""

    def odd(params=None, **values):
        scripted.userinfo = {"sub": "odd-1"}
        host = make_host({"declares": Declares(scripted.plain(**values))}, providers={"odd": APP})
        result = arrive(
            host, "odd", lambda url: {**scripted.agree(url), **(params or {})}, process="redirect"
        )
        assert result.account.uid == "odd-1"
        return {seen.path: seen for seen in scripted.seen}

    return odd


def test_credentials_in_the_body(odd):
    token = odd()["/token"]
    assert (token.form["client_id"], token.form["client_secret"]) == ("the site", "s&cret")
    assert "Authorization" not in token.headers


def test_credentials_in_a_header(odd):
    token = odd(credentials="basic")["/token"]
    assert token.headers["Authorization"] == "Basic dGhlJTIwc2l0ZTpzJTI2Y3JldA=="
    assert "client_secret" not in token.form


def test_other_names_and_get(odd, scripted):
    seen = odd(client_id_name="appid", client_secret_name="key", token_method="GET")
    query = seen["/token"].query
    assert (query["appid"], query["key"], query["grant_type"]) == ("the site", "s&cret", "authorization_code")
    assert "client_secret" not in query


def test_one_other_name(odd):
    form = odd(client_id_name="client_key")["/token"].form
    assert (form["client_key"], form["client_secret"]) == ("the site", "s&cret")


@pytest.mark.parametrize("place", ["header", "query", "body"])
def test_places_of_the_token(odd, place):
    seen = odd(token_in=place, profile_params={"id": "{client_id}"})["/userinfo"]
    found = {
        "header": seen.headers.get("Authorization", "").removeprefix("Bearer "),
        "query": seen.query.get("access_token"),
        "body": seen.form.get("access_token"),
    }
    assert [name for name, value in found.items() if value] == [place]
    assert (seen.form if place == "body" else seen.query)["id"] == "the site"


def test_what_the_callback_and_the_token_answer_said(odd, scripted):
    scripted.token_fields = {"openid": "o-1"}
    seen = odd(
        {"device_id": "d-1"},
        token_params={"device_id": "{device_id}"},
        profile_params={"openid": "{openid}"},
        profile_headers={"Client-Id": "{client_id}"},
    )
    assert seen["/token"].form["device_id"] == "d-1"
    assert seen["/userinfo"].query["openid"] == "o-1"
    assert seen["/userinfo"].headers["Client-Id"] == "the site"
    with pytest.raises(ProviderFailed) as caught:
        odd(token_params={"device_id": "{device_id}"})
    assert caught.value.fields["reason"] == "answer_incomplete"


def test_more_documents(odd, scripted):
    def read_profile(data):
        assert data["emails"] == []  # a 404
        return Profile(data["sub"])

    odd(more_urls={"emails": f"{scripted.url}/emails"}, read_profile=read_profile)


@pytest.mark.parametrize("status", [403, 404])
def test_a_github_app_without_the_permission_to_read_addresses(make_host, scripted, arrive, status):
    github = next(each for each in BUILT_IN if each.id == "github")
    declaration = scripted.plain(
        more_urls={"emails": f"{scripted.url}/user/emails"}, read_profile=github.read_profile
    )
    scripted.userinfo = {"id": 7, "login": "ann", "email": None}
    host = make_host({"declares": Declares(declaration)}, providers={"odd": APP})
    scripted.instead["/user/emails"] = lambda handler: as_json(
        [{"email": "ann@example.org", "verified": True, "primary": True}]
    )
    before = arrive(host, "odd", scripted.agree).login.user
    scripted.instead["/user/emails"] = lambda handler: as_json({"message": "not accessible"}, status)
    assert arrive(host, "odd", scripted.agree).login.user == before  # the permission was taken away
    scripted.userinfo = {"id": 8, "login": "bob"}
    assert arrive(host, "odd", scripted.agree).missing == ("email",)


@pytest.mark.parametrize(
    ("status", "headers"),
    [(403, {"X-RateLimit-Remaining": "0"}), (403, {"Retry-After": "60"}), (500, {}), (401, {})],
)
def test_a_provider_that_cannot_name_the_addresses_now(make_host, scripted, arrive, status, headers):
    declaration = scripted.plain(more_urls={"emails": f"{scripted.url}/user/emails"})
    host = make_host({"declares": Declares(declaration)}, providers={"odd": APP})
    scripted.instead["/user/emails"] = lambda handler: (status, headers, b"{}")
    with pytest.raises(ProviderFailed) as caught:
        arrive(host, "odd", scripted.agree)
    assert caught.value.fields == {"reason": "http_error", "status": status}


def test_without_pkce(odd):
    assert "code_verifier" not in odd(pkce=False)["/token"].form


def test_a_signed_secret(make_host, scripted, arrive):
    """Apple's way: the client's secret is a JWT."""
    import jwt

    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    declaration = OpenIDConnectProvider(id="signs", name="Signs", signed_secret=True, userinfo=False)
    given = {"server": scripted.url, "client_id": "site", "team_id": "T", "key_id": "K"}
    host = make_host({"d": Declares(declaration)}, providers={"signs": {**given, "private_key": pem}})
    arrive(host, "signs", scripted.agree, process="redirect")
    secret = next(seen for seen in scripted.seen if seen.path == "/token").form["client_secret"]
    claims = jwt.decode(secret, key.public_key(), algorithms=["ES256"], audience=scripted.url)
    assert (claims["iss"], claims["sub"], jwt.get_unverified_header(secret)["kid"]) == ("T", "site", "K")
    host = make_host({"d": Declares(declaration)}, providers={"signs": {**given, "private_key": "no key"}})
    with pytest.raises(ProviderFailed) as caught:
        arrive(host, "signs", scripted.agree, process="redirect")
    assert caught.value.fields["reason"] == "private_key"


def test_a_profile_with_many_addresses():
    def read_profile(data):
        many = [ProviderEmail(f"a{number}@example.org") for number in range(50_000)]
        return Profile("1", (*many, ProviderEmail("best@example.org", verified=True, primary=True)))

    profile = read_as_app(app_of(at("https://a.example", read_profile=read_profile)), {})
    assert len(profile.emails) == 100
    assert profile.emails[0].email == "best@example.org"


def test_a_declaration_that_fails_in_its_own_way(caplog):
    def read_profile(data):
        raise RuntimeError(f"cannot read {data}")

    with pytest.raises(ProviderFailed):
        read_as_app(app_of(at("https://a.example", read_profile=read_profile)), {"name": "Ann"})
    assert "read_profile raised RuntimeError" in caplog.text
    assert "Ann" not in caplog.text


# Apple's name.


@pytest.fixture
def apple(make_host, scripted, arrive):
    """Come from a provider that posts a form as Apple does, with ``user`` in it where that is given."""
    declared = next(each for each in BUILT_IN if each.id == "apple")
    values = {name: getattr(declared, name) for name in declared.__slots__}
    changed = {"issuer": scripted.url, "signed_secret": False}
    host = make_host(
        {"d": Declares(OpenIDConnectProvider(**{**values, **changed}))},
        providers={"apple": {**APP, "trust_emails": True}},
    )
    claims = {"email": "ann@example.org", "email_verified": "true"}
    scripted.id_token = lambda given: scripted.signed({**given, **claims})

    def apple(posted=None, **more):
        form = {} if posted is None else {"user": posted if isinstance(posted, str) else json.dumps(posted)}
        claims.update(more)
        return arrive(host, "apple", lambda url: {**scripted.agree(url), **form})

    return apple


ANN = {"name": {"firstName": "Ann", "lastName": "Example"}, "email": "boss@example.org"}


def test_apples_name_is_kept_though_it_comes_once(apple):
    first = apple(ANN)
    assert first.account.extra_data["user"] == {"name": {"firstName": "Ann", "lastName": "Example"}}
    assert first.login.user.email == "ann@example.org"
    for _ in range(2):
        again = apple()
        assert again.account.extra_data["user"] == first.account.extra_data["user"]
        assert again.account.extra_data["email"] == "ann@example.org"
    assert apple({"name": {"firstName": "Anna"}}).account.extra_data["user"] == {
        "name": {"firstName": "Anna"}
    }


def test_an_address_beside_the_name_is_never_read(apple):
    result = apple({**ANN, "email": "boss@example.org", "sub": "boss"}, email=None)
    assert result.missing == ("email",)
    assert "boss" not in repr(dict(result.account.extra_data))


def test_a_signed_claim_is_not_replaced(apple):
    assert apple(ANN, user={"name": {"firstName": "Signed"}}).account.extra_data["user"]["name"] == {
        "firstName": "Signed"
    }


@pytest.mark.parametrize(
    ("user", "names"),
    [
        ({"name": {"firstName": "Ann"}}, {"firstName": "Ann"}),
        ({"name": {"firstName": " A\x00n\u202en\r\n ", "lastName": ""}}, {"firstName": "Ann"}),
        ({"name": {"firstName": "x" * 5000}}, {"firstName": "x" * 100}),
        ({"name": {"firstName": 7, "lastName": ["x"]}}, None),
        ({"name": {"firstName": "\ud800"}}, None),
        ({"name": {"sub": "victim"}}, None),
        ({"name": None}, None),
        ({"name": "Ann"}, None),
        ({"name": []}, None),
        ({}, None),
        ([], None),
        ("null", None),
        ("{", None),
        ("", None),
        ("[" * 9000, None),
        ("7", None),
        ("NaN", None),
    ],
)
def test_names_of_any_kind(apple, user, names):
    result = apple(user)
    assert result.login.authenticated
    assert result.account.extra_data.get("user") == (None if names is None else {"name": names})


def test_other_providers_post_no_name(corp, arrive, scripted):
    result = arrive(corp(), "corp", lambda url: {**scripted.agree(url), "user": json.dumps(ANN)})
    assert "user" not in result.account.extra_data


def test_the_profile_has_apples_name():
    declared = next(each for each in BUILT_IN if each.id == "apple")
    assert declared.read_profile({"sub": "1", "user": {"name": ANN["name"]}}).name == "Ann Example"
    assert declared.read_profile({"sub": "1"}).name is None


# What an operator sets up.


@pytest.mark.parametrize(
    ("providers", "says"),
    [
        ({"gogle": APP}, "did you mean 'google'"),
        ({"corp": {**APP, "provider": "keycloak"}}, "requires the setting server"),
        ({"apple": {"client_id": "x"}}, "team_id and key_id and private_key"),
        ({"google": {}}, "client_id"),
        ({"google": {**APP, "clientid": "x"}}, "did you mean 'client_id'"),
        ({"Google!": APP}, "lower-case"),
        ({"google": {**APP, "trust_emails": "perhaps"}}, "trust_emails"),
    ],
)
def test_settings_that_cannot_serve(make_host, providers, says):
    with pytest.raises(ConfigurationError, match="providers") as caught:
        make_host(providers=providers)
    assert says in str(caught.value)
    assert "s&cret" not in str(caught.value)


def test_every_built_in_provider_begins(make_host):
    """Each of OAuth 2.0 builds its redirect; the others ask the provider first."""
    plain = [each for each in BUILT_IN if isinstance(each, OAuth2Provider)]
    app = {**APP, "server": "https://server.example", "tenant": "common"}
    host = make_host(providers={each.id: app for each in plain})
    for each in plain:
        with host.request() as request:
            redirect = host.socialaccount.begin(request, each.id)
        asked = returned(redirect.url.replace("#", "&"))
        assert asked["state"]
        assert asked["redirect_uri"] == f"http://localhost:8000/account/social/{each.id}/callback"
        assert ("code_challenge" in asked) is each.pkce


def test_several_apps_of_one_provider(make_host):
    host = make_host(
        providers={
            "ours": {**APP, "provider": "github", "scopes": "user:email, read:org"},
            "theirs": {**APP, "provider": "github", "client_id": "other"},
        }
    )
    ours, theirs = host.services.providers
    assert (ours.namespace, theirs.namespace) == ("github", "github")
    assert ours.scopes == ("user:email", "read:org")
    assert "s&cret" not in repr(list(host.services.providers)) + repr(host.settings)


# Parameters of the authorization request.


@pytest.fixture
def corp(make_host, scripted):
    """A host with one OpenID provider, set up with the given settings."""

    def corp(**given):
        app = {"provider": "openid_connect", "server": scripted.url, "client_id": "site"}
        return make_host(providers={"corp": {**app, **given}})

    return corp


def begin(host, provider="corp", **values):
    with host.request() as request:
        return returned(host.socialaccount.begin(request, provider, **values).url)


def test_parameters_of_the_operator_and_of_one_redirect(corp):
    host = corp(authorize_params={"access_type": "offline", "prompt": "consent"})
    asked = begin(host)
    assert (asked["access_type"], asked["prompt"]) == ("offline", "consent")
    asked = begin(
        host, prompt="select_account", login_hint="ann@example.org", authorize_params={"acr_values": "a b"}
    )
    assert (asked["prompt"], asked["login_hint"]) == ("select_account", "ann@example.org")
    assert (asked["access_type"], asked["acr_values"]) == ("offline", "a b")
    assert {"state", "nonce", "code_challenge", "client_id", "redirect_uri", "scope"} <= set(asked)
    assert "prompt" not in begin(host, prompt=None, authorize_params={"prompt": ""})


def test_parameters_of_every_built_in_provider(make_host):
    plain = [each for each in BUILT_IN if isinstance(each, OAuth2Provider)]
    app = {
        **APP,
        "server": "https://server.example",
        "authorize_params": {"url": "u", "self": "s", "a": "&="},
    }
    host = make_host(providers={each.id: app for each in plain})
    for each in plain:
        asked = begin(host, each.id, login_hint="ann+b@example.org")
        assert (asked["url"], asked["self"], asked["login_hint"]) == ("u", "s", "ann+b@example.org")
        assert {name: asked[name] for name in each.authorize_params} == dict(each.authorize_params)


def test_parameters_of_oauth1(make_host, oauth1):
    given = {
        "client_id": oauth1.client,
        "client_secret": oauth1.secret,
        "authorize_params": {"force_login": "1"},
    }
    host = make_host({"declares": Declares(oauth1.declaration())}, providers={"oauth1": given})
    asked = begin(host, "oauth1", login_hint="ann")
    assert (asked["force_login"], asked["login_hint"]) == ("1", "ann")
    with pytest.raises(InvalidInput):
        begin(host, "oauth1", authorize_params={"oauth_token": "x"})


BINDING = [
    "state",
    "State",
    "NONCE",
    "nonce",
    "redirect_uri",
    "response_type",
    "response_mode",
    "client_id",
    "client_secret",
    "scope",
    "code_challenge",
    "code_challenge_method",
    "Code_Challenge_Method",
    "request",
    "request_uri",
    "oauth_callback",
    "oauth_token",
]


@pytest.mark.parametrize(
    "name", [*BINDING, "redirect.uri", "redirect uri", "state[]", " state", "state\x00", "", 7]
)
def test_what_binds_the_answer_to_the_browser_is_nobodys_to_set(corp, scripted, name):
    host = corp()
    with pytest.raises(InvalidInput) as caught:
        begin(host, authorize_params={name: "x"})
    assert caught.value.fields["field"] == "authorize_params"
    if isinstance(name, str):
        with pytest.raises(ConfigurationError, match=r"providers\.corp.*authorize_params"):
            corp(authorize_params={name: "x"})


def test_the_name_that_a_provider_gives_the_client_id(make_host):
    with pytest.raises(ConfigurationError, match="appid"):
        make_host(providers={"wechat": {**APP, "authorize_params": {"appid": "x"}}})


@pytest.mark.parametrize(
    "values",
    [
        {"authorize_params": {"a": 7}},
        {"authorize_params": {"a": "x" * 3000}},
        {"authorize_params": {"a": "b\r\nc"}},
        {"authorize_params": {"a": "\ud800"}},
        {"authorize_params": {f"a{n}": "x" for n in range(31)}},
        {"authorize_params": ["a"]},
        {"authorize_params": "a=b"},
        {"prompt": 7},
        {"prompt": ""},
        {"login_hint": "x" * 3000},
        {"login_hint": "a\nb"},
        {"hd": ""},
    ],
)
def test_parameters_of_any_kind(corp, values):
    with pytest.raises(InvalidInput):
        begin(corp(), **values)


@given(st.dictionaries(st.text(max_size=30) | st.sampled_from(BINDING), st.text(max_size=20), max_size=4))
def test_no_parameter_replaces_another(params):
    declaration = next(each for each in BUILT_IN if each.id == "gitlab")
    app = app_of(declaration)
    try:
        allowed = validate_params(app, params)
    except ValueError:
        return
    client = OAuth2Client(app, declaration, lambda: datetime.now(UTC))
    url = client.begin("https://site.example/callback", "the-state", allowed, None).url
    asked = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    assert len({name.casefold() for name, _ in asked if name in BINDING}) == len(
        [name for name, _ in asked if name.casefold() in BINDING]
    )
    assert dict(asked)["state"] == "the-state"
    assert dict(asked)["redirect_uri"] == "https://site.example/callback"


def test_parameters_from_the_environment(monkeypatch, make_host, tmp_path):
    monkeypatch.setenv("AUTHHOST_PROVIDERS__GITLAB__CLIENT_ID", "x")
    monkeypatch.setenv("AUTHHOST_PROVIDERS__GITLAB__AUTHORIZE_PARAMS", "prompt=consent&a=b%20c")
    from authhost import Settings

    file = tmp_path / "site.toml"
    file.write_text(f'secret_key = "{"k" * 48}"\n')
    asked = begin(make_host(providers=Settings.load(file).providers), "gitlab")
    assert (asked["prompt"], asked["a"]) == ("consent", "b c")


# The hosted domain.


def come_from(host, arrive, scripted, found, **values):
    scripted.id_token = lambda claims: scripted.signed({**claims, **found})
    return arrive(host, "corp", scripted.agree, **values)


@pytest.mark.parametrize(
    ("asked", "found", "passes"),
    [
        ("corp.example", {"hd": "corp.example"}, True),
        ("Corp.Example", {"hd": "corp.example"}, True),
        ("*", {"hd": "any.example"}, True),
        ("corp.example", {"hd": "evil.example"}, False),
        ("corp.example", {}, False),
        ("corp.example", {"hd": None}, False),
        ("corp.example", {"hd": ["corp.example"]}, False),
        ("corp.example", {"hd": "*"}, False),
        ("*", {}, False),
        ("*", {"hd": ""}, False),
    ],
)
@pytest.mark.parametrize("way", ["call", "params", "settings"])
def test_the_id_token_names_the_domain(corp, arrive, scripted, asked, found, passes, way):
    host = corp(authorize_params={"hd": asked} if way == "settings" else {})
    values = {"call": {"hd": asked}, "params": {"authorize_params": {"hd": asked}}, "settings": {}}[way]
    assert begin(host, **values)["hd"] == asked
    # The person's userinfo, or an address of the domain, is no proof.
    scripted.userinfo = {
        "sub": scripted.sub,
        "hd": asked,
        "email": "ann@corp.example",
        "email_verified": True,
    }
    if passes:
        assert come_from(host, arrive, scripted, found, **values).login
    else:
        with pytest.raises(InvalidIdToken) as caught:
            come_from(host, arrive, scripted, found, **values)
        assert caught.value.fields["reason"] == "hosted_domain"


def test_a_person_who_takes_the_domain_out_of_the_address(corp, arrive, scripted):
    host = corp(authorize_params={"hd": "corp.example"})
    with pytest.raises(InvalidIdToken):
        arrive(host, "corp", lambda url: scripted.agree(url.replace("hd=corp.example", "")))


def test_no_call_widens_the_domain_of_the_settings(corp):
    host = corp(authorize_params={"hd": "corp.example"})
    for values in ({"hd": "*"}, {"hd": "evil.example"}, {"authorize_params": {"hd": "*"}}):
        with pytest.raises(InvalidInput):
            begin(host, **values)
    assert begin(host, authorize_params={"hd": ""})["hd"] == "corp.example"
    assert begin(host, hd="CORP.example")["hd"] == "corp.example"
    assert begin(corp(authorize_params={"hd": "*"}), hd="corp.example")["hd"] == "corp.example"


def test_a_domain_that_nothing_proves(make_host):
    with pytest.raises(ConfigurationError, match="hd requires"):
        make_host(providers={"github": {**APP, "authorize_params": {"hd": "corp.example"}}})
    host = make_host(providers={"github": APP})
    with pytest.raises(InvalidInput, match="hd requires"):
        begin(host, "github", hd="corp.example")


# How the secret is sent.


@pytest.mark.parametrize(
    ("method", "offered", "basic"),
    [
        ("", None, True),
        ("", ["client_secret_post"], False),
        ("", ["client_secret_post", "client_secret_basic"], True),
        ("client_secret_post", ["client_secret_post", "client_secret_basic"], False),
        ("client_secret_basic", ["client_secret_post"], True),
    ],
)
def test_the_operator_chooses_how_the_secret_is_sent(corp, arrive, scripted, method, offered, basic):
    scripted.metadata["token_endpoint_auth_methods_supported"] = offered
    host = corp(client_secret="s&cret", token_endpoint_auth_method=method)
    arrive(host, "corp", scripted.agree)
    token = next(seen for seen in scripted.seen if seen.path == "/token")
    assert ("Authorization" in token.headers, "client_secret" in token.form) == (basic, not basic)


@pytest.mark.parametrize(("method", "basic"), [("client_secret_basic", True), ("client_secret_post", False)])
@pytest.mark.parametrize("declared", ["basic", "body"])
def test_the_operator_chooses_for_oauth2_as_well(make_host, scripted, arrive, method, basic, declared):
    scripted.userinfo = {"sub": "odd-1"}
    host = make_host(
        {"declares": Declares(scripted.plain(credentials=declared))},
        providers={"odd": {**APP, "token_endpoint_auth_method": method}},
    )
    arrive(host, "odd", scripted.agree, process="redirect")
    token = next(seen for seen in scripted.seen if seen.path == "/token")
    assert ("Authorization" in token.headers, "client_secret" in token.form) == (basic, not basic)


# `authhost providers check`.


@pytest.mark.parametrize(
    ("issuer", "says"),
    [
        ("https://login.microsoftonline.com/{tenantid}/v2.0", "provider microsoft"),
        ("https://other.example", "another issuer, https://other.example;"),
    ],
)
def test_check_shows_the_issuer_that_was_found(corp, scripted, issuer, says):
    scripted.metadata["issuer"] = issuer
    host = corp()
    found = {each.check: each for each in findings(host, host.services.providers.app("corp"))}
    assert says in found["discovery"].do


def test_check_of_a_token_endpoint_that_is_down(corp, scripted):
    scripted.instead["/token"] = lambda handler: (503, {}, b"")
    host = corp()
    found = {each.check: each for each in findings(host, host.services.providers.app("corp"))}
    assert (found["credentials"].result, found["credentials"].found) == ("unclear", "HTTP 503")


# Whose word counts, and in which namespace a uid is unique.

OTHER_SERVER = "https://git.anybody.example"


def app_of(declaration, **settings):
    return App(declaration.id, declaration, ProviderSettings(client_id="x", **settings))


def at(address, **values):
    """A declaration of a plugin whose addresses begin with ``address``."""
    given = {"authorize_url": address, "token_url": address, "profile_url": address}
    return OAuth2Provider(id="shop", name="Shop", **{"read_profile": claims_profile, **given, **values})


@pytest.mark.parametrize("declaration", BUILT_IN, ids=lambda each: each.id)
def test_another_server_is_trusted_about_addresses_only_where_the_operator_says_so(declaration):
    app = app_of(declaration, server=OTHER_SERVER, tenant="common")
    takes_server = OTHER_SERVER in repr(
        [
            app.url(getattr(declaration, name))
            for name in declaration.__slots__
            if name.endswith(("url", "issuer"))
        ]
    )
    assert app.trusts_emails is (declaration.trusts_emails and not takes_server)
    assert app_of(declaration, server=OTHER_SERVER, trust_emails=True).trusts_emails
    assert not app_of(declaration, trust_emails=False).trusts_emails


@pytest.mark.parametrize(
    ("server", "trusted"),
    [
        ("", True),
        ("https://gitlab.com", True),
        ("https://gitlab.com/", True),
        ("https://gitlab.com.evil.example", False),
        ("https://gitlab.com/evil", False),
        ("http://gitlab.com", False),
        (OTHER_SERVER, False),
    ],
)
def test_gitlab_is_trusted_at_its_own_server(server, trusted):
    gitlab = next(each for each in BUILT_IN if each.id == "gitlab")
    assert app_of(gitlab, server=server).trusts_emails is trusted


@pytest.mark.parametrize(
    "declaration",
    [
        at("{server}/a"),
        at("https://a.example", token_url="{server}/token"),
        at("https://a.example", more_urls={"emails": "{server}/emails"}),
        at("https://a.example", refresh_url="{server}/refresh"),
        at("{server}/a", defaults={"server": "https://a.example"}),
        OpenIDConnectProvider(id="ours", name="Ours"),
        OpenIDConnectProvider(id="ours", name="Ours", issuer="{server}/realms/one"),
    ],
)
def test_a_declaration_of_a_plugin_is_trusted_at_its_default_server_alone(declaration):
    assert declaration.trusts_emails
    assert not app_of(declaration, server=OTHER_SERVER).trusts_emails
    assert app_of(declaration, server=OTHER_SERVER, trust_emails=True).trusts_emails


def test_each_tenant_is_a_namespace():
    host, path = at("https://{tenant}.shop.example"), at("https://shop.example/{tenant}")
    for declaration in (host, path, at("{server}/{tenant}")):
        settings = [
            {"tenant": tenant, "server": server} for tenant in ("one", "two") for server in ("", OTHER_SERVER)
        ]
        assert len({app_of(declaration, **each).namespace for each in settings}) == 4
    default = at("https://{tenant}.shop.example", defaults={"tenant": "main"})
    assert app_of(default).namespace == app_of(default, tenant="main").namespace == "shop"
    assert app_of(default, tenant="one").namespace not in ("shop", app_of(default, tenant="two").namespace)
    spans = at("https://{tenant}.shop.example", uids_span_tenants=True)
    assert {app_of(spans, tenant=tenant).namespace for tenant in ("one", "two")} == {"shop"}
    without = at("https://shop.example")
    assert {app_of(without, tenant=tenant).namespace for tenant in ("one", "two")} == {"shop"}


@given(
    *(st.tuples(st.text("a:/;=%.", max_size=8), st.text("a:/;=%.", max_size=8)) for _ in range(2)),
)
def test_no_two_tenants_share_a_namespace(one, two):
    declaration = at("{server}/{tenant}")
    first, second = (
        app_of(declaration, server=f"https://{server}", tenant=f"t{tenant}") for server, tenant in (one, two)
    )
    same = (first.settings.server.rstrip("/"), first.settings.tenant) == (
        second.settings.server.rstrip("/"),
        second.settings.tenant,
    )
    assert (first.namespace == second.namespace) is same


def test_namespaces_of_built_in_providers_stay():
    """Accounts are stored under them."""
    for each in BUILT_IN:
        if isinstance(each, OpenIDConnectProvider):
            continue
        assert app_of(each, tenant="contoso").namespace == each.id
        if isinstance(each, OAuth2Provider):
            expected = (
                each.id
                if each.defaults.get("server") == "https://s.example"
                else f"{each.id}:https://s.example"
            )
            assert app_of(each, server="https://s.example/").namespace == expected


def test_one_user_number_of_two_tenants_is_two_people(make_host, scripted, arrive):
    address = f"{scripted.url}/{{tenant}}"
    shop = at(address, token_url=f"{scripted.url}/token", profile_url=f"{scripted.url}/userinfo")
    names = ("one", "two")
    host = make_host(
        {"declares": Declares(shop)},
        providers={name: {**APP, "provider": "shop", "tenant": name} for name in names},
    )
    people = []
    for name in names:
        scripted.userinfo = {"sub": "1", "email": f"boss@{name}.example", "email_verified": True}
        people.append(arrive(host, name, scripted.agree).login.user.email)
    assert people == ["boss@one.example", "boss@two.example"]


def test_a_guest_of_microsoft_has_no_address():
    """A userPrincipalName looks like an address, and no mail arrives there."""
    microsoft = next(each for each in BUILT_IN if each.id == "microsoft")
    guest = {"id": "1", "mail": None, "userPrincipalName": "ann_gmail.com#EXT#@contoso.onmicrosoft.com"}
    assert microsoft.read_profile(guest).emails == ()
    assert microsoft.read_profile({**guest, "mail": "ann@example.org"}).emails[0].email == "ann@example.org"


def test_a_provider_that_was_renamed_knows_its_people(make_host, openid, arrive):
    openid.person("stays", email="stays@example.org")
    app = {**APP, "provider": "openid_connect", "server": openid.url}
    agree = lambda url: openid.agree(url, "stays")  # noqa: E731
    before = arrive(make_host(providers={"corp": app}), "corp", agree)
    after = arrive(make_host(providers={"company": app}), "company", agree)
    assert after.login.user.id == before.login.user.id
    assert after.account.provider == "company"


class Broken:
    @hookimpl
    def register_providers(self):
        raise RuntimeError("no")


def test_a_plugin_whose_providers_fail_costs_its_providers_alone(make_host, openid, caplog):
    host = make_host(
        {"broken": Broken(), "odd": Declares("no declaration", openid.plain())}, providers={"plain": APP}
    )
    assert [each.id for each in host.services.providers] == ["plain"]
    assert "providers of plugin broken failed" in caplog.text


def test_settings_of_providers_from_the_environment(monkeypatch, tmp_path):
    from authhost import Settings

    file = tmp_path / "site.toml"
    file.write_text(f'secret_key = "{"k" * 48}"\n[providers.google]\nclient_id = "from the file"\n')
    monkeypatch.setenv("AUTHHOST_PROVIDERS__GOOGLE__CLIENT_SECRET", "from the environment")
    assert Settings.load(file).providers == {
        "google": {"client_id": "from the file", "client_secret": "from the environment"}
    }


def test_a_connection_that_was_to_be_closed_is_not_used_again():
    """A server that is slow to close it would hang up on the second request."""
    used_again = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"

        def answer():
            for _ in range(2):
                connection, _ = server.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                    used_again.append(connection.recv(65536))

        thread = threading.Thread(target=answer)
        thread.start()
        with requests.Session() as session:
            configure_session(session, url)
            assert [session_request(session, "GET", url).json() for _ in range(2)] == [{}, {}]
        thread.join()
    assert used_again == [b"", b""]


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("Ann  Example ", "Ann Example"),
        ("Ann\x00\n\u202eExample", "Ann Example"),
        ("山田\u3000太郎", "山田 太郎"),
        ("é" * 300, "é" * 255),
        ("\ud800\x07", None),
        (7, None),
    ],
)
def test_a_name_of_a_profile_is_cleaned_and_shortened(sent, stored):
    declared = at("https://shop.example.org", read_profile=lambda _: Profile("1", username=sent, name=sent))
    profile = read_as_app(app_of(declared), {})
    assert (profile.name, profile.username) == (stored, stored)


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("https://images.example.org/ann.png?size=9", "https://images.example.org/ann.png?size=9"),
        ("http://images.example.org/ann.png", "http://images.example.org/ann.png"),
        ("javascript:alert(1)", None),
        ("data:image/png;base64,AAAA", None),
        ("//images.example.org/ann.png", None),
        ("/ann.png", None),
        ("https:///ann.png", None),
        ("https://[broken/ann.png", None),
        ("https://images.example.org/\n.png", None),
        ("https://images.example.org/" + "a" * 2048, None),
        (None, None),
    ],
)
def test_a_picture_of_a_profile_is_a_web_url(sent, stored):
    declared = at("https://shop.example.org", read_profile=lambda _: Profile("1", picture=sent))
    assert read_as_app(app_of(declared), {}).picture == stored
