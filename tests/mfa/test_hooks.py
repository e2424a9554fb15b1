"""The hooks that the plugin publishes, with the arguments of django-allauth's signals."""

from __future__ import annotations

import inspect

import pytest
from authhost_hookspecs import Actor, hookimpl
from authhost_mfa.hooks import PUBLISHED
from authhost_mfa.values import Authenticator

from mfa.support import ANN, SESSION

ROOT = Actor("operator", name="root")
SIGNALS = {
    "authenticator_added": ["request", "user", "authenticator"],
    "authenticator_removed": ["request", "user", "authenticator"],
    "authenticator_reset": ["request", "user", "authenticator"],
    "authenticator_used": ["request", "user", "authenticator", "reauthenticated", "passwordless"],
    "authentication_failed": ["request", "user", "authenticator", "reauthentication"],
}
"""docs.allauth.org/en/latest/mfa/signals.html"""


class Listener:
    """Records what the hooks get."""

    def __init__(self):
        self.calls = []

    def take(self, name, **values):
        self.calls.append((name, values))

    @hookimpl
    def authenticator_added(self, request, user, authenticator):
        self.take("added", user=user, authenticator=authenticator)

    @hookimpl
    def authenticator_removed(self, request, user, authenticator):
        self.take("removed", user=user, authenticator=authenticator)

    @hookimpl
    def authenticator_changed(self, request, user, authenticator):
        self.take("changed", user=user, authenticator=authenticator)

    @hookimpl
    def authenticator_reset(self, request, user, authenticator):
        self.take("reset", user=user, authenticator=authenticator)

    @hookimpl
    def authenticator_used(self, request, user, authenticator, reauthenticated, passwordless):
        self.take("used", authenticator=authenticator, reauthenticated=reauthenticated, by=passwordless)

    @hookimpl
    def authentication_failed(self, request, user, authenticator, reauthentication):
        address = request.ip_address
        self.take("failed", authenticator=authenticator, reauthentication=reauthentication, address=address)

    @hookimpl
    def factors_removed(self, request, user, reason):
        self.take("factors_removed", user=user, reason=reason)

    def names(self):
        return [name for name, _ in self.calls]


@pytest.fixture
def listener():
    return Listener()


@pytest.fixture
def heard(make_site, listener):
    site = make_site(plugins={"listener": listener})
    site.sign_up()
    site.enrol()
    return site


def test_the_arguments_are_those_of_the_signals():
    published = {each.__name__: list(inspect.signature(each).parameters) for each in PUBLISHED}
    assert published.items() >= SIGNALS.items()
    assert set(published) - set(SIGNALS) == {
        "authenticator_changed",
        "authentication_refused",
        "second_factors_recovered",
        "second_factor_policy",
    }


def test_added_removed_and_reset(heard, listener):
    assert listener.names() == ["added", "added"]
    app, codes = (values["authenticator"] for _, values in listener.calls)
    assert (app.kind, app.second_factor, app.remaining) == ("totp", True, None)
    assert (codes.kind, codes.id, codes.remaining) == ("recovery_codes", None, 10)
    assert listener.calls[0][1]["user"].email == ANN
    listener.calls.clear()
    assert heard.ann.api("/mfa/recovery-codes", {})[0] == 200
    heard.ann.api("/mfa/authenticators/remove", {"authenticator_id": str(app.id)})
    assert listener.names() == ["reset", "removed", "removed"]
    assert [values["authenticator"].kind for _, values in listener.calls[1:]] == ["totp", "recovery_codes"]


def test_a_reset_that_removes_nothing_tells_nobody(heard, listener):
    """Otherwise a mail says that factors were removed, which the user never had."""
    heard.sign_up("bob@example.org", browser=heard.browser())
    listener.calls.clear()
    bob = heard.host.users.get("bob@example.org")
    assert heard.host.users.remove_factors(bob.id, reason="mistyped", actor=ROOT) == 0
    assert listener.calls == []


def test_used_and_failed(heard, listener):
    listener.calls.clear()
    browser = heard.half()
    heard.verify(browser, "000000")
    heard.verify(browser, recovery_code="x")
    heard.verify(browser, recovery_code=heard.codes[0])
    heard.ann.api("/mfa/reauthenticate", {"code": heard.app.next_code()})
    assert listener.names() == ["failed", "failed", "used", "used"]
    failed, recovery, used, again = (values for _, values in listener.calls)
    assert (failed["authenticator"].kind, failed["reauthentication"]) == ("totp", False)
    assert failed["address"] == "203.0.113.7"
    assert recovery["authenticator"].kind == "recovery_codes"
    assert (used["authenticator"].remaining, used["reauthenticated"], used["by"]) == (9, False, False)
    assert (again["authenticator"].kind, again["reauthenticated"]) == ("totp", True)


def test_a_key(make_site, listener, badge):
    site = make_site(plugins={"listener": listener})
    site.sign_up()
    site.add_key(badge, name="Badge")
    (key,) = (values["authenticator"] for _, values in listener.calls)
    assert (key.kind, key.name, key.second_factor) == ("webauthn", "Badge", False)
    values = {"authenticator_id": str(key.id)}
    for second_factor in (True, True, False):
        site.ann.api("/mfa/keys/second-factor", {**values, "second_factor": second_factor})
    assert listener.names()[1:] == ["changed", "added", "changed", "removed"]
    assert [values["authenticator"].second_factor for _, values in listener.calls[1:4:2]] == [True, False]
    listener.calls.clear()
    clone = badge.copy()
    site.use_key(site.browser(), badge, "/mfa/passkey")
    site.use_key(site.browser(), clone, "/mfa/passkey")
    site.use_key(site.ann, badge, "/mfa/reauthenticate")
    assert listener.names() == ["used", "failed", "used"]
    used, failed, again = (values for _, values in listener.calls)
    assert (used["reauthenticated"], used["by"], again["reauthenticated"], again["by"]) == (0, 1, 1, 0)
    assert (failed["authenticator"].id, failed["reauthentication"]) == (key.id, False)


def test_an_authenticator_has_no_secrets(heard, listener):
    text = repr(listener.calls)
    assert heard.app.secret.hex() not in text
    assert not any(each in text for each in heard.codes)
    assert not {"secret", "public_key", "code"} & set(Authenticator.__slots__)


def test_a_failed_attempt_is_recorded_although_its_action_is_rolled_back(make_site):
    from sqlalchemy import Column, MetaData, String, Table, Uuid

    notes = Table("authhost_notes", MetaData(), Column("id", Uuid, primary_key=True), Column("x", String(9)))

    class Notes:
        @hookimpl
        def authentication_failed(self, request):
            request.insert(notes, {"id": request.new_id(), "x": "failed"})

    site = make_site(plugins={"notes": Notes()})
    notes.create(site.host.engine)
    site.sign_up()
    site.enrol()
    site.verify(site.half(), "000000")
    assert site.count(notes) == 1


class Staff:
    """Requires a second factor of some users."""

    @hookimpl
    def second_factor_policy(self, request, user, decision):
        if user.email.startswith("ann"):
            decision.require()


def test_the_policy_selected_asks_the_hook(make_site):
    site = make_site(plugins={"staff": Staff()}, policy="selected")
    site.sign_up("bob@example.org", browser=site.browser())
    site.sign_up()
    assert site.log_in(site.browser(), "bob@example.org")[0] == 200
    assert site.log_in(site.browser())[1]["next"][0]["step"] == "mfa.enrol"


def test_without_an_implementation_nobody_is_selected(make_site):
    site = make_site(policy="selected")
    site.sign_up()
    assert site.log_in(site.browser())[0] == 200


def test_a_required_plugin_that_fails_refuses_the_login(make_site):
    class Broken:
        @hookimpl
        def second_factor_policy(self, request, user, decision):
            raise RuntimeError

    settings = {"required_plugins": ("broken",)}
    site = make_site(plugins={"broken": Broken()}, policy="selected", settings=settings)
    status, body = site.ann.api("/signup", {"email": ANN, "password": "green teapots sing at dawn"})
    assert (status >= 500, body.get("authenticated")) == (True, None)
    assert SESSION not in site.ann.cookies
