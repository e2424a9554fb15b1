"""`request.accounts.remove_factors`: what a user has lost goes, of every plugin or of none."""

from __future__ import annotations

import logging

import pytest
from authhost_hookspecs import Actor, LoginStep, Refused, hookimpl

from authhost.errors import FactorsNotRemoved, InvalidInput, UserNotFound, Vetoed
from authhost.testing import PASSWORD
from authhost.testing.browser import Browser

ANN = "ann@example.org"
ROOT = Actor("operator", name="root")


class Key:
    """A plugin whose step asks for something that the user has lost."""

    def __init__(self, name, failure=None, keeps_guard=False, result=1):
        self.name, self.failure, self.keeps_guard, self.result = name, failure, keeps_guard, result
        self.reasons = []

    @hookimpl
    def login_steps(self, user):
        return [LoginStep("key", "/key")] if self.name in user.login_guards else []

    @hookimpl
    def remove_factors(self, request, user, reason):
        self.reasons.append(reason)
        if not self.keeps_guard:
            request.logins.unguard(self.name, user.id)
        if self.failure is not None:
            raise self.failure
        return self.result


class Notices:
    def __init__(self):
        self.seen = []

    @hookimpl
    def factors_removed(self, request, user, reason, count):
        self.seen.append((user.id, user.login_guards, reason, count, request.actor))


class Rule:
    def __init__(self):
        self.changes = []

    @hookimpl
    def before_change(self, change):
        self.changes.append((change.kind, change.administrative))
        if len(self.changes) > 1:
            raise Refused("closed", "The office is closed.")


@pytest.fixture
def site(make_host, run):
    def make(*keys, **plugins):
        host = make_host(
            {each.name: each for each in keys} | plugins, required_plugins=(), email_verification="none"
        )
        user = run(host, "signup", email=ANN, password=PASSWORD).user
        with host.request() as request:
            for each in keys:
                request.logins.guard(each.name, user.id)
        return host, user.id

    return make


def guards(host, user_id):
    return host.users.get(str(user_id)).login_guards


def test_the_factors_of_all_plugins_are_removed_and_counted(site):
    one, two, none = Key("one", result=2), Key("two"), Key("none", result=None)
    host, user_id = site(one, two, none, notices=(notices := Notices()))
    assert host.users.remove_factors(user_id, actor=ROOT, reason=" lost phone ") == 3
    assert (one.reasons, two.reasons) == (["lost phone"], ["lost phone"])
    assert guards(host, user_id) == ()
    assert notices.seen == [(user_id, (), "lost phone", 3, ROOT)]
    one.result = two.result = 0
    assert host.users.remove_factors(user_id, actor=ROOT, reason="again") == 0
    assert len(notices.seen) == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"failure": ValueError("s3cret")},
        {"failure": Refused("x", "s3cret")},
        {"keeps_guard": True},
        {"result": "two"},
        {"result": True},
        {"result": -1},
    ],
    ids=["raises", "refuses", "guard", "text", "bool", "negative"],
)
def test_if_one_plugin_does_not_remove_its_factors_none_does(site, caplog, fault):
    caplog.set_level(logging.ERROR)
    host, user_id = site(Key("one"), Key("two", **fault), notices=(notices := Notices()))
    with pytest.raises(FactorsNotRemoved) as refused:
        host.users.remove_factors(user_id, actor=ROOT, reason="lost phone")
    assert refused.value.fields == {"plugin": "two"}
    assert guards(host, user_id) == ("one", "two")
    assert notices.seen == []
    assert ("plugin two failed in remove_factors" in caplog.text) == ("keeps_guard" not in fault)
    assert "s3cret" not in caplog.text + repr(refused.value)


def test_the_factors_of_a_blocked_plugin_would_stay(site):
    host, user_id = site(Key("one"), Key("two"))
    host.plugins.block("two", reason="broken", actor=ROOT)
    with pytest.raises(FactorsNotRemoved) as refused:
        host.users.remove_factors(user_id, actor=ROOT, reason="lost phone")
    assert refused.value.fields == {"plugin": "two"}
    assert guards(host, user_id) == ("one", "two")
    host.plugins.unblock("two", actor=ROOT)
    assert host.users.remove_factors(user_id, actor=ROOT, reason="lost phone") == 2


def test_the_factors_of_a_plugin_that_is_not_loaded_would_stay(site, make_host):
    host, user_id = site(Key("one"), Key("two"))
    without = make_host({"one": Key("one")}, email_verification="none")
    with pytest.raises(FactorsNotRemoved) as refused:
        without.users.remove_factors(user_id, actor=ROOT, reason="lost phone")
    assert refused.value.fields == {"plugin": "two"}
    assert guards(host, user_id) == ("one", "two")


def test_a_plugin_can_refuse_the_removal(site):
    rule = Rule()
    host, user_id = site(Key("one"), rule=rule)
    assert host.users.remove_factors(user_id, actor=ROOT, reason="lost phone") == 1
    with pytest.raises(Vetoed):
        host.users.remove_factors(user_id, actor=ROOT, reason="lost phone")
    assert rule.changes == [("remove_factors", True)] * 2


@pytest.mark.parametrize("reason", ["", " ", "x" * 501, "a\x00b", None, 3])
def test_a_reason_is_required(site, reason):
    one = Key("one")
    host, user_id = site(one)
    with pytest.raises(InvalidInput) as refused:
        host.users.remove_factors(user_id, actor=ROOT, reason=reason)
    assert refused.value.fields["field"] == "reason"
    assert one.reasons == []


def test_only_an_account_that_exists(site):
    host, _ = site()
    with pytest.raises(UserNotFound):
        host.users.remove_factors(host.new_id(), actor=ROOT, reason="lost phone")


def test_a_login_that_waits_for_a_lost_factor_begins_again(site):
    host, user_id = site(Key("one"))
    browser = Browser(host)
    assert browser("login", identifier=ANN, password=PASSWORD).steps
    host.users.remove_factors(user_id, actor=ROOT, reason="lost phone")
    with browser.request() as request:
        assert request.logins.pending is None
    assert browser("login", identifier=ANN, password=PASSWORD).user.id == user_id
