"""Tests of who may sign up."""

from __future__ import annotations

import pytest
from authhost_allow_list import AllowListSettings, plugin

from authhost import AuthHostError
from authhost.errors import Vetoed
from authhost.testing import PASSWORD


@pytest.fixture
def authhost_plugins():
    return {"allowlist": plugin}


@pytest.fixture
def authhost_settings():
    return {
        "plugin_settings": {"allowlist": {"domains": "Example.ORG., bücher.example"}},
        "email_verification": "mandatory",
    }


@pytest.mark.parametrize("email", ["ann@example.org", "ann@EXAMPLE.org", "ann@xn--bcher-kva.example"])
def test_listed_domain_may_sign_up(run_flow, recorded_hooks, email):
    run_flow("signup", email=email, password=PASSWORD)
    assert "user_signed_up" in recorded_hooks.names


@pytest.mark.parametrize(
    "email", ["eve@example.com", "eve@sub.example.org", "eve@notexample.org", "eve@bucher.example"]
)
def test_other_domain_is_refused(run_flow, recorded_hooks, email):
    with pytest.raises(Vetoed) as refusal:
        run_flow("signup", email=email, password=PASSWORD)
    assert refusal.value.fields["plugin_code"] == "domain_not_allowed"
    assert "user_signed_up" not in recorded_hooks.names


def test_free_and_taken_addresses_raise_the_same_error(run_flow, monkeypatch):
    """Ann signed up before the list was set."""
    with monkeypatch.context() as no_list:
        no_list.setattr(AllowListSettings, "admits", lambda self, email: True)
        run_flow("signup", email="ann@example.com", password=PASSWORD)
    answers = []
    for email in ("ann@example.com", "eve@example.com"):
        with pytest.raises(Vetoed) as refusal:
            run_flow("signup", email=email, password=PASSWORD)
        answers.append((refusal.value.code, str(refusal.value), refusal.value.fields))
    assert answers[0] == answers[1]


def test_new_user_of_a_provider_is_stopped(run_flow, recorded_hooks):
    result = run_flow.social(sub="eve", email="eve@example.com", email_verified=True)
    assert result.stopped
    assert result.response["code"] == "domain_not_allowed"
    assert result.login is None
    assert "user_signed_up" not in recorded_hooks.names


def test_new_user_of_a_provider_with_a_listed_address_may_sign_up(run_flow, recorded_hooks):
    result = run_flow.social(sub="bob", email="bob@example.org", email_verified=True)
    assert result.login.authenticated
    assert "user_signed_up" in recorded_hooks.names


def test_existing_user_is_not_stopped(run_flow, monkeypatch):
    with monkeypatch.context() as no_list:
        no_list.setattr(AllowListSettings, "admits", lambda self, email: True)
        run_flow.social(sub="carl", email="carl@example.com", email_verified=True)
    run_flow.forget()
    assert run_flow.social(sub="carl", email="carl@example.com", email_verified=True).login.authenticated


def test_new_user_without_an_address_is_asked_for_one_that_is_checked(run_flow, recorded_hooks):
    result = run_flow.social(sub="dora")
    assert result.missing == ("email",)
    with pytest.raises(Vetoed):
        run_flow("social_signup", signup_token=result.signup_token, email="dora@example.com")
    run_flow("social_signup", signup_token=result.signup_token, email="dora@example.org")
    assert "user_signed_up" in recorded_hooks.names


def test_missing_or_unusable_address_is_not_allowed():
    assert not AllowListSettings("example.org").admits(None)
    assert not AllowListSettings("example.org").admits("eve@")
    assert not AllowListSettings("fass.de").admits("eve@faß.de")


def test_empty_list_allows_everybody():
    for email in ("ann@example.com", None):
        assert AllowListSettings().admits(email)
        assert AllowListSettings(" , ").admits(email)


def test_host_does_not_start_with_a_wrong_domain(auth_host):
    from authhost import AuthHost, Settings

    settings = Settings(
        secret_key="k" * 48,
        database_url=auth_host.settings.database_url,
        email_verification="none",
        plugin_settings={"allowlist": {"domains": "*.example.org"}},
    )
    with pytest.raises(AuthHostError, match="plugin allowlist"):
        AuthHost(settings, plugins={"allowlist": plugin}, discover=False)
