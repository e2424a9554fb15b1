"""What a login with a provider has proved, where the operator maps ``acr`` and ``amr``."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

TWO = ("knowledge", "possession")
APP = {
    "provider": "openid_connect",
    "client_id": "site",
    "client_secret": "of-the-site",
    "trust_emails": True,
    "multi_factor_acr": ("gold",),
    "multi_factor_amr": ("mfa", "hwk"),
}


@pytest.fixture
def host(make_host, scripted, clock):
    clock.now = datetime.now(UTC)
    return make_host(providers={"corp": {**APP, "server": scripted.url}})


def factors(host, scripted, arrive, **claims):
    """The factors of the session after a login with these claims in the ID token."""
    scripted.id_token = lambda standard: scripted.signed({**standard, **claims})
    token = arrive(host, "corp", scripted.agree).login.session_token
    with host.request(session_token=token) as request:
        (authentication,) = request.authentication
    assert (authentication.method, authentication.provider) == ("socialaccount", "corp")
    return authentication.factors


@pytest.mark.parametrize(
    "claims", [{"acr": "gold"}, {"amr": ["pwd", "mfa"]}, {"amr": ["hwk"], "acr": "bronze"}]
)
def test_a_mapped_claim_means_two_factors(host, scripted, arrive, claims):
    assert factors(host, scripted, arrive, **claims) == TWO
    assert factors(host, scripted, arrive, **claims) == TWO, "also at the next login"


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"acr": "bronze", "amr": ["pwd"]},
        {"acr": ["gold"]},
        {"acr": {"gold": 1}, "amr": {"mfa": 1}},
        {"amr": "mfa"},
        {"amr": [["mfa"], None, 1]},
    ],
)
def test_any_other_claim_proves_nothing(host, scripted, arrive, claims):
    assert factors(host, scripted, arrive, **claims) == ()


def test_the_userinfo_proves_nothing(host, scripted, arrive):
    """It is not signed for this login."""
    scripted.userinfo = {"sub": scripted.sub, **scripted.claims, "acr": "gold", "amr": ["mfa"]}
    assert factors(host, scripted, arrive) == ()


def test_nothing_is_mapped_by_default(make_host, scripted, arrive, clock):
    clock.now = datetime.now(UTC)
    app = {name: value for name, value in APP.items() if not name.startswith("multi")}
    host = make_host(providers={"corp": {**app, "server": scripted.url}})
    assert factors(host, scripted, arrive, acr="gold", amr=["mfa"]) == ()


def test_a_signup_by_form_keeps_what_was_proved(make_host, scripted, arrive, clock):
    clock.now = datetime.now(UTC)
    host = make_host(providers={"corp": {**APP, "server": scripted.url}}, social_auto_signup=False)
    scripted.id_token = lambda standard: scripted.signed({**standard, "acr": "gold"})
    waiting = arrive(host, "corp", scripted.agree)
    with host.request() as request:
        login = host.socialaccount.signup(request, signup_token=waiting.signup_token).login
    with host.request(session_token=login.session_token) as request:
        assert [each.factors for each in request.authentication] == [TWO]
