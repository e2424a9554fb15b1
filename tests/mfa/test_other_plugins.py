"""What audit, email and analytics do with the hooks of this plugin."""

from __future__ import annotations

import json
from uuid import UUID

import pytest
from authhost_hookspecs import Actor
from sqlalchemy import delete, select

from mfa.support import ANN

ROOT = Actor("operator", name="root")
WORK = "ann@work.example.org"


@pytest.fixture
def everything(make_site, tmp_path):
    """A site with all plugins, where ann has two verified addresses and one that she has not confirmed."""
    audit = pytest.importorskip("authhost_audit.plugin")
    email = pytest.importorskip("authhost_email.plugin")
    analytics = pytest.importorskip("authhost_analytics.plugin")
    plugins = {
        "audit": audit.AuditPlugin(),
        "email": email.EmailPlugin(),
        "analytics": analytics.AnalyticsPlugin(),
    }
    mail = {"delivery": "manual", "directory": str(tmp_path / "mail")}
    site = make_site(plugins=plugins, email=mail, recovery_by_email=True)
    site.sign_up()
    user_id = identifier(site)
    with site.host.request() as request:
        request.accounts.add_email(user_id, WORK, verified=True)
        request.accounts.add_email(user_id, "unverified@example.org")
    forget_mails(site)
    return site


def identifier(site):
    return UUID(site.ann.api("/session", method="GET")[1]["user"]["id"])


def mails(site):
    from authhost_email.tables import outbox_table

    with site.host.reader.connect() as connection:
        rows = connection.execute(select(outbox_table).order_by(outbox_table.c.id)).all()
    return [(each.kind, each.recipient) for each in rows if each.kind != "new_device_login"], rows


def forget_mails(site):
    from authhost_email.tables import outbox_table

    with site.host.engine.begin() as connection:
        connection.execute(delete(outbox_table))


def records(site, *events):
    from authhost_audit.tables import event_table

    with site.host.reader.connect() as connection:
        rows = connection.execute(select(event_table).order_by(event_table.c.id)).all()
    return [each for each in rows if each.event in events]


def to_both(kind):
    return [(kind, ANN), (kind, WORK)]


def test_mails_go_to_all_verified_addresses(everything):
    site = everything
    site.enrol()
    assert mails(site)[0] == to_both("authenticator_added")
    forget_mails(site)
    site.ann.api("/mfa/recovery-codes", {})
    assert mails(site)[0] == to_both("recovery_codes_replaced")
    forget_mails(site)
    (app,) = site.ann.api("/mfa/authenticators", method="GET")[1]["authenticators"]
    assert site.ann.api("/mfa/authenticators/remove", {"authenticator_id": app["id"]})[0] == 200
    assert mails(site)[0] == to_both("authenticator_removed")


def test_a_passkey_for_comfort_and_a_second_factor_have_notices_of_their_own(everything, phone):
    site = everything
    site.add_key(phone)
    assert mails(site)[0] == to_both("passkey_added")
    values = {
        "authenticator_id": site.ann.api("/mfa/authenticators", method="GET")[1]["authenticators"][0]["id"]
    }
    for second_factor, kind in ((True, "authenticator_added"), (False, "authenticator_removed")):
        forget_mails(site)
        site.ann.api("/mfa/keys/second-factor", {**values, "second_factor": second_factor})
        assert mails(site)[0] == to_both(kind)
    forget_mails(site)
    site.ann.api("/mfa/authenticators/remove", values)
    assert mails(site)[0] == to_both("passkey_removed")
    found = records(site, "authenticator_added", "authenticator_changed", "authenticator_removed")
    changed = [json.loads(each.data) if isinstance(each.data, str) else each.data for each in found]
    assert [each and each["second_factor"] for each in changed] == [
        False,
        True,
        {},
        False,
        {},
        False,
    ]


def test_a_used_recovery_code_is_reported_with_the_number_that_is_left(everything):
    site = everything
    site.enrol()
    for number, code in enumerate(site.codes[:7]):
        forget_mails(site)
        site.verify(site.half(), recovery_code=code)
        kinds, rows = mails(site)
        assert kinds == to_both("recovery_code_used")
        assert rows[0].context["count"] == 9 - number
    text = rendered("recovery_code_used", rows[0].context)
    assert "Recovery codes left: 3" in text
    assert "Create new recovery codes before the last one is used." in text


def rendered(kind, context):
    from authhost_email.rendering import render
    from authhost_email.settings import EmailSettings

    return render(EmailSettings(), kind, ANN, "en", context).text


def test_an_app_that_was_used_is_no_reason_for_a_mail(everything):
    site = everything
    site.enrol()
    forget_mails(site)
    site.verify(site.half())
    assert mails(site)[0] == []


def test_the_reset_of_an_administrator_is_one_mail_and_is_recorded_with_its_reason(everything):
    site = everything
    site.enrol()
    forget_mails(site)
    user_id = identifier(site)
    site.host.users.remove_factors(user_id, reason="lost phone, passport checked", actor=ROOT)
    assert mails(site)[0] == to_both("factors_removed")
    (record,) = records(site, "factors_removed")
    assert record.user_id == user_id
    data = {
        "actor": {"kind": "operator", "name": "root"},
        "reason": "lost phone, passport checked",
        "count": 1,
    }
    assert json.loads(record.data) == data
    assert len(records(site, "authenticator_removed")) == 2


def test_the_trail(everything):
    site = everything
    site.enrol()
    browser = site.half()
    site.verify(browser, "000000")
    site.verify(browser)
    found = records(site, "authenticator_added", "authentication_failed", "authenticator_used")
    assert [(each.event, each.method, each.outcome) for each in found] == [
        ("authenticator_added", "totp", "success"),
        ("authenticator_added", "recovery_codes", "success"),
        ("authentication_failed", "totp", "failed"),
        ("authenticator_used", "totp", "success"),
    ]
    assert {each.user_id for each in found} == {identifier(site)}
    assert found[2].ip_address == "203.0.113.7"
    assert site.app.secret.hex() not in repr(found)


def test_analytics_counts_by_kind(everything):
    from authhost_analytics.tables import event_table

    site = everything
    site.enrol()
    browser = site.half()
    site.verify(browser, "000000")
    site.verify(browser, recovery_code=site.codes[0])
    with site.host.reader.connect() as connection:
        rows = connection.execute(select(event_table)).all()
    counted = [(each.event, each.method, each.person is None) for each in rows if each.event[:4] == "auth"]
    assert sorted(counted) == [
        ("authentication_failed", "totp", True),
        ("authenticator_added", "recovery_codes", False),
        ("authenticator_added", "totp", False),
        ("authenticator_used", "recovery_codes", False),
    ]


def test_a_login_with_two_mailboxes_is_told_to_all_and_recorded(everything, monkeypatch):
    from authhost_mfa import mailbox_codes

    site, made = everything, []
    site.enrol()
    forget_mails(site)
    new_code = mailbox_codes.new_code
    monkeypatch.setattr(mailbox_codes, "new_code", lambda length: made.append(new_code(length)) or made[-1])
    browser = site.half()
    assert browser.api("/mfa/lost", {})[0] == 202
    kinds, rows = mails(site)
    assert sorted(kinds) == [("plugin:mfa", ANN), ("plugin:mfa", WORK)]
    assert not [code for code in made if code in repr(rows)]
    forget_mails(site)
    values = {"first_code": made[0], "second_code": made[1]}
    assert browser.api("/mfa/lost/codes", values)[0] == 200
    assert mails(site)[0] == to_both("second_factors_recovered")
    (record,) = records(site, "second_factors_recovered")
    assert (record.user_id, record.plugin, record.outcome) == (identifier(site), "mfa", "success")
    assert "two of your addresses" in rendered("second_factors_recovered", mails(site)[1][0].context)


def test_tries_that_a_limit_refuses_are_recorded_and_counted(everything):
    from authhost_analytics.tables import event_table

    site = everything
    site.enrol()
    browser = site.half()
    for _ in range(15):
        site.verify(browser, "000000")
    assert len(records(site, "authentication_failed")) == 5
    found = records(site, "authentication_refused")
    assert {(each.method, each.outcome, each.reason) for each in found} == {
        ("totp", "refused", "too_many_tries")
    }
    assert [json.loads(each.data or "{}").get("repeated", 1) for each in found] == [1, 1, 1, 1, 1, 5]
    with site.host.reader.connect() as connection:
        refused = event_table.c.event == "authentication_refused"
        rows = connection.execute(select(event_table).where(refused)).all()
    assert sum(each.repeated for each in rows) == 10
