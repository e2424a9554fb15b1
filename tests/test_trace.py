"""A trace shows each call with its time and its end, and no secret."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from authhost_hookspecs import Refused, StopFlow, hookimpl

from authhost.errors import Vetoed
from authhost.pluginhost.trace import TracedHook
from authhost.testing import PASSWORD, Browser
from authhost.testing.hook_order import traced_flows
from authhost.testing.scenario import Scenario
from authhost.testing.sequence_diagrams import sequence_diagram


class Failing:
    @hookimpl
    def user_signed_up(self, user):
        raise RuntimeError("secret of the plugin")

    @hookimpl
    def before_login(self, user):
        raise Refused("too_early", "Come back later.")


class Around:
    @hookimpl(wrapper=True)
    def user_signed_up(self):
        return (yield)

    @hookimpl
    def pre_social_login(self, sociallogin):
        raise StopFlow


def test_each_part_with_its_end(make_host, run, recorder, capsys):
    host = make_host({"failing": Failing(), "around": Around()}, trace=True, email_verification="mandatory")
    run(host, "signup", email="ann@example.org", password=PASSWORD)
    written = capsys.readouterr().err
    parts = [line.split() for line in written.splitlines()]
    assert ["failing", "ms", "failed", "RuntimeError"] in [[each[0], *each[2:]] for each in parts]
    assert ["around", "ms", "wrapped", "the", "others"] in [[each[0], *each[2:]] for each in parts]
    assert "user_signed_up(user=<User …" in written
    assert "<Message email_confirmation to a***@example.org>" in written
    assert "secret of the plugin" not in written


def test_none_unless_it_is_asked_for(make_host, run, capsys):
    host = make_host()
    run(host, "signup", email="ann@example.org", password=PASSWORD)
    assert host.registry.trace is None
    assert capsys.readouterr().err == ""


def test_a_refusal_by_its_code(make_host, run):
    host = make_host({"failing": Failing()}, trace=True)
    traced: list[TracedHook] = []
    host.registry.trace.write = traced.append
    with pytest.raises(Vetoed):
        run(host, "signup", email="ann@example.org", password=PASSWORD)
    (veto,) = (each for each in traced if each.hook == "before_login")
    assert [call.outcome for call in veto.calls] == ["refused too_early"]


def test_a_stop(make_host, openid_provider):
    host = make_host({"around": Around()}, trace=True, providers=openid_provider.settings)
    host.clock.now = datetime.now(UTC)
    traced: list[TracedHook] = []
    host.registry.trace.write = traced.append
    Browser(host, openid_provider).social(sub="bob", email="bob@example.org", email_verified=True)
    (stop,) = (each for each in traced if each.hook == "pre_social_login")
    assert str(stop).splitlines()[0] == "pre_social_login(sociallogin=<SocialLogin login at corp, new>)"
    assert ("around", "stopped") in [(call.plugin, call.outcome) for call in stop.calls]


def test_no_secret_and_no_address_of_a_whole_life(auth_host, mailbox, openid_provider, capsys):
    scenario = Scenario(auth_host, mailbox, openid_provider)
    scenario.run()
    written = capsys.readouterr().err
    assert written.count("\n") > 50
    assert not [what for secret, what in scenario.secrets.items() if secret in written]
    assert "ann@" not in written


@pytest.fixture
def authhost_settings():
    return {"trace": True, "email_verification": "mandatory", "login_on_email_confirmation": True}


def test_a_diagram():
    plugins = ("audit", "email", "analytics")
    pytest.importorskip("authhost_audit")
    found = {each.step.title: each for each in traced_flows(plugins)}
    assert sequence_diagram(found["Log in with a wrong password"], plugins).splitlines()[-4:] == [
        "    host->>analytics: flow_refused(flow, error, user)",
        "    host->>audit: flow_refused(flow, error, user)",
        "    Note over host: commit",
        "    host--xapp: invalid_credentials",
    ]
