"""The recipes of rights.md."""

from __future__ import annotations

import pytest

from authhost.errors import AuthError, Vetoed
from authhost.testing import OTHER_PASSWORD, PASSWORD
from cookbook.conftest import ANN, DOMAIN, EVE, SECOND, of_user, signed_up, user_by


def test_dashboard(serve, module, mailbox):
    groups_of, browser = module("dashboard").groups_of, serve("dashboard", staff_domain=DOMAIN)
    signed_up(browser)
    assert of_user(browser, groups_of) == {"dashboard"}
    browser("confirm_email", key=mailbox.key())
    assert of_user(browser, groups_of) == {"dashboard", "staff"}
    browser("add_email", email=SECOND)
    browser("confirm_email", key=mailbox.key())
    browser("make_primary", email=SECOND)
    browser("remove_email", email=ANN)
    assert of_user(browser, groups_of) == {"dashboard"}
    with browser.request() as request:
        assert request.accounts.export(request.user.id)["plugins"]["dashboard"] == {"groups": ["dashboard"]}
        request.accounts.delete(request.user.id)
    with browser.request() as request:
        assert request.db.execute(module("dashboard").memberships.select()).all() == []


def test_dashboard_of_a_provider(serve, module):
    browser = serve("dashboard", staff_domain=DOMAIN)
    browser.social(sub="ann", email=ANN, email_verified=True)
    assert of_user(browser, module("dashboard").groups_of) == {"dashboard", "staff"}


def test_dashboard_without_setting(serve, module):
    browser = serve("dashboard")
    browser.social(sub="ann", email=ANN, email_verified=True)
    assert of_user(browser, module("dashboard").groups_of) == {"dashboard"}


def test_claimgroups(serve, module):
    groups_of, browser = module("claimgroups").groups_of, serve("claimgroups", provider="corp")
    verified = {"email": ANN, "email_verified": True}
    browser.social(sub="ann", **verified, groups=["editors", "admins", 7])
    assert of_user(browser, groups_of) == {"editors", "admins"}
    browser.social(sub="ann", **verified, groups=["editors", "guests"])
    assert of_user(browser, groups_of) == {"editors", "guests"}
    browser.social(sub="ann", **verified)
    assert of_user(browser, groups_of) == frozenset()


def test_claimgroups_of_a_connected_provider(serve, module):
    groups_of, browser = module("claimgroups").groups_of, serve("claimgroups", provider="corp")
    signed_up(browser)
    assert of_user(browser, groups_of) == frozenset()
    account = browser.social("connect", sub="ann", groups=["editors"]).account
    assert of_user(browser, groups_of) == {"editors"}
    browser("social_disconnect", account_id=account.id)
    assert of_user(browser, groups_of) == frozenset()


def test_claimgroups_when_a_confirmation_completes_the_signup(serve, module, mailbox):
    serve.host = {"email_verification": "mandatory", "login_on_email_confirmation": True}
    browser = serve("claimgroups", provider="corp")
    browser.social(sub="ann", email=ANN, email_verified=False, groups=["editors"])
    browser("confirm_email", key=mailbox.key())
    assert of_user(browser, module("claimgroups").groups_of) == {"editors"}


def test_claimgroups_of_another_provider(serve, module):
    browser = serve("claimgroups", provider="other")
    browser.social(sub="ann", email=ANN, email_verified=True, groups=["admins"])
    assert of_user(browser, module("claimgroups").groups_of) == frozenset()


def test_members(serve):
    browser = serve("members", domain=DOMAIN)
    result = browser.social(sub="eve", email=EVE, email_verified=True)
    assert result.stopped
    assert browser.last_answer.location.endswith("/account/login")
    assert [each.text for each in browser.last_answer.messages] == [
        f"Please log in with an address at {DOMAIN}."
    ]
    assert not browser.social(sub="ann", email=ANN, email_verified=True).stopped


def test_members_are_connected_by_address(serve, mailbox):
    browser = serve("members", domain=DOMAIN)
    user = signed_up(browser, EVE).user
    browser("confirm_email", key=mailbox.key())
    browser.forget()
    assert browser.social(sub="eve", email=EVE, email_verified=True).login.user.id == user.id


def test_members_do_not_count_an_unverified_address(serve):
    browser = serve("members", domain=DOMAIN)
    assert browser.social(sub="eve", email="boss@example.org", email_verified=False).stopped


def test_ssoonly(serve, mailbox):
    serve.host = {"email_verification": "mandatory", "login_on_password_reset": True}
    browser = serve("ssoonly", domain=DOMAIN, provider="corp")
    with pytest.raises(Vetoed) as refused:
        signed_up(browser)
    assert refused.value.fields["plugin_code"] == "use_single_sign_on"
    assert signed_up(browser, EVE)
    browser.forget()
    user = browser.social(sub="ann", email=ANN, email_verified=True).login.user
    assert not user_by(browser, ANN).has_usable_password
    for flow in ("set_password",):
        with pytest.raises(Vetoed):
            browser(flow, password=PASSWORD)
    browser.forget()
    browser("request_password_reset", email=ANN)
    with pytest.raises(Vetoed):
        browser("reset_password", key=mailbox.key(), password=OTHER_PASSWORD)
    with pytest.raises(AuthError):
        browser("login", identifier=ANN, password=OTHER_PASSWORD)
    assert browser.social(sub="ann", email=ANN, email_verified=True).login.user.id == user.id


def test_ssoonly_takes_the_password_away(serve, mailbox):
    settings = {"domain": DOMAIN, "provider": "corp"}
    browser = serve("ssoonly", **settings | {"domain": "later.example"})
    signed_up(browser)
    browser("confirm_email", key=mailbox.key())
    browser.social("connect", sub="ann")
    browser.forget()
    # The operator sets the domain of the company.
    browser = serve("ssoonly", **settings)
    with pytest.raises(Vetoed):
        browser("login", identifier=ANN, password=PASSWORD)
    assert browser.social(sub="ann", email=ANN, email_verified=True).login.session_token
    assert browser.token is not None
    with browser.request() as request:
        assert request.user is not None
        assert not request.user.has_usable_password
