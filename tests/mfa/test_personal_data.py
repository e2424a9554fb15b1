"""What the plugin stores about a user is exported, and deleted with the account."""

from __future__ import annotations

import json
from uuid import UUID

import pytest
from authhost_mfa import tables

from mfa.support import ANN

TABLES = (
    tables.authenticator_table,
    tables.recovery_code_table,
    tables.account_table,
    tables.trusted_browser_table,
)


@pytest.fixture
def both(protected, phone):
    """Ann and bob with everything that can be stored."""
    protected.add_key(phone, name="Phone")
    trusted = protected.half(**{"User-Agent": "Teapot/1"})
    protected.verify(trusted, trust=True)
    ann_app, bob = protected.app, protected.browser()
    protected.sign_up("bob@example.org", browser=bob)
    protected.enrol(bob)
    browser = protected.browser()
    protected.log_in(browser, "bob@example.org")
    protected.verify(browser, trust=True)
    protected.app = ann_app
    return protected


def identifier(site):
    return UUID(site.ann.api("/session", method="GET")[1]["user"]["id"])


def test_it_is_exported_without_secrets(both):
    with both.host.request() as request:
        exported = request.accounts.export(identifier(both))["plugins"]["mfa"]
    kinds = {each["kind"]: each for each in exported["authenticators"]}
    assert set(kinds) == {"totp", "webauthn"}
    key = kinds["webauthn"]
    assert (key["name"], key["transports"], key["backed_up"]) == ("Phone", ["internal"], True)
    assert not {"public_key", "sign_count", "secret"} & set(key)
    assert exported["recovery_codes"] == 10
    assert [each["user_agent"] for each in exported["trusted_browsers"]] == ["Teapot/1"]
    assert both.app.secret.hex() not in json.dumps(exported)


def test_it_is_deleted_with_the_account_and_that_of_others_stays(both):
    before = [both.count(table) for table in TABLES]
    assert before == [3, 20, 2, 2]
    with both.host.request() as request:
        request.accounts.delete(identifier(both))
    assert [both.count(table) for table in TABLES] == [1, 10, 1, 1]
    assert both.log_in(both.browser(), ANN)[0] == 401
