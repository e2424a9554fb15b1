"""An administrator in the account of a user who has a second factor."""

from __future__ import annotations

import pytest
from authhost_audit.plugin import AuditPlugin
from authhost_audit.tables import event_table
from authhost_hookspecs import Actor
from sqlalchemy import select

from mfa.support import ANN, KEYS, REAUTHENTICATE, SESSION, TOTP

ROOT = Actor("operator", name="root")


@pytest.fixture
def visitor(make_site):
    """A site whose user ann has an authenticator app, and a browser in her account."""
    site = make_site(plugins={"audit": AuditPlugin()})
    site.sign_up()
    site.enrol()
    begun = site.host.users.impersonate(site.host.users.get(ANN).id, actor=ROOT, reason="Ticket 4711")
    browser = site.browser()
    browser.cookies[SESSION] = begun.session_token
    return site, browser


def test_no_factor_is_asked_for_and_the_trail_says_so(visitor):
    site, browser = visitor
    assert browser.api("/session", method="GET")[1]["user"]["email"] == ANN
    events = event_table.c
    started = select(events.data).where(events.event == "impersonation_started")
    with site.host.engine.connect() as connection:
        assert '"not_asked":["mfa"]' in connection.execute(started).scalar_one()
        assert not connection.execute(select(events.id).where(events.event == "authenticator_used")).all()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", TOTP),
        ("POST", TOTP),
        ("GET", KEYS),
        ("POST", KEYS),
        ("POST", REAUTHENTICATE),
    ],
)
def test_factors_cannot_be_seen_or_changed(visitor, method, path):
    site, browser = visitor
    values = {"code": site.app.code()} if path == REAUTHENTICATE else {}
    status, body = browser.api(path, values, method=method)
    assert (status, body["code"]) == (403, "impersonated")


def test_guesses_do_not_count_against_the_user(visitor):
    site, browser = visitor
    for _ in range(30):
        assert browser.api(REAUTHENTICATE, {"code": "000000"})[0] == 403
    site.host.clock.forward(minutes=1)
    status, _ = site.ann.api(REAUTHENTICATE, {"code": site.app.code()})
    assert status == 200


def test_a_browser_does_not_become_a_trusted_one(visitor):
    _, browser = visitor
    browser.get("/")
    assert not any("trust" in name for name in browser.cookies)
