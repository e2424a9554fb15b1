"""Two requests at once: what one has checked must still hold when it writes."""

from __future__ import annotations

from threading import Thread

import pytest
from authhost_mfa import attempts, deletion, management, recovery_codes
from authhost_mfa.tables import authenticator_table, recovery_code_table
from sqlalchemy import select

from mfa.support import ANN, KEYS, PASSKEY

SHORT = 0.5
"""Seconds: the other request goes on meanwhile, unless it must wait for this one."""
AUTHENTICATORS, REMOVE, CODES = "/mfa/authenticators", "/mfa/authenticators/remove", "/mfa/recovery-codes"


@pytest.fixture
def meanwhile(monkeypatch):
    """Send another request when a function is called first: before it, or with ``after`` after it."""

    def arrange(module, name, other, *, after=False):
        original, threads = getattr(module, name), []

        def patched(*arguments, **options):
            if threads:
                return original(*arguments, **options)
            thread = Thread(target=other)
            threads.append(thread)
            found = original(*arguments, **options) if after else None
            thread.start()
            thread.join(SHORT)
            return found if after else original(*arguments, **options)

        monkeypatch.setattr(module, name, patched)
        return lambda: threads[0].join(30)

    return arrange


def protecting(site):
    """Return the ids of the second factors that are stored."""
    table = authenticator_table.c
    with site.host.reader.connect() as connection:
        return list(connection.execute(select(table.id).where(table.second_factor)).scalars())


def is_guarded(site):
    with site.host.request() as request:
        return "mfa" in request.user_by_email(ANN).login_guards


@pytest.mark.parametrize("path", [REMOVE, f"{KEYS}/second-factor"])
def test_the_last_second_factor_stays_under_the_policy(site, phone, stick, make_site, meanwhile, path):
    site.sign_up()
    site.add_key(phone, second_factor=True)
    site.add_key(stick)
    site = make_site(policy="required", settings={"database_url": site.host.settings.database_url})
    browsers = [site.browser(), site.browser()]
    for each in browsers:
        site.log_in(each)
        site.use_key(each, phone)
    first, second = protecting(site)
    values = {"second_factor": False} if path != REMOVE else {}
    finish = meanwhile(
        management,
        "_require_another",
        lambda: browsers[1].api(path, {"authenticator_id": str(second), **values}),
        after=True,
    )
    browsers[0].api(path, {"authenticator_id": str(first), **values})
    finish()
    assert len(protecting(site)) == 1


def test_new_recovery_codes_replace_those_of_another_request(protected, meanwhile):
    answers = []
    finish = meanwhile(
        recovery_codes, "delete_all", lambda: answers.append(protected.ann.api(CODES, {})), after=True
    )
    other = protected.browser()
    protected.log_in(other)
    protected.verify(other)
    answers.append(other.api(CODES, {}))
    finish()
    assert [status for status, _ in answers] == [200, 200]
    assert protected.count(recovery_code_table) == 10


def test_the_last_second_factor_takes_recovery_codes_along_that_are_replaced_meanwhile(protected, meanwhile):
    other = protected.browser()
    protected.log_in(other)
    protected.verify(other)
    (app,) = protecting(protected)
    finish = meanwhile(recovery_codes, "replace", lambda: other.api(REMOVE, {"authenticator_id": str(app)}))
    protected.ann.api(CODES, {})
    finish()
    assert protecting(protected) == []
    assert protected.count(recovery_code_table) == 0


def test_a_second_factor_that_is_added_during_a_reset_is_guarded(protected, stick, meanwhile):
    credential = protected.create_key(stick)
    finish = meanwhile(
        deletion,
        "delete_factors",
        lambda: protected.ann.api(KEYS, {"credential": credential}),
        after=True,
    )
    with protected.host.request() as request:
        request.accounts.remove_factors(request.user_by_email(ANN).id, reason="lost phone")
    finish()
    assert is_guarded(protected) == bool(protecting(protected))


def test_a_refused_removal_does_not_guard_the_account(site, phone, make_site):
    """A passkey that was added for comfort, when the policy requires a second factor."""
    site.sign_up()
    site.add_key(phone)
    (key,) = site.ann.api(AUTHENTICATORS, method="GET")[1]["authenticators"]
    site = make_site(policy="required", settings={"database_url": site.host.settings.database_url})
    browser = site.browser()
    site.log_in(browser)
    site.use_key(browser, phone)
    for path, values in ((REMOVE, {}), (f"{KEYS}/second-factor", {"second_factor": False})):
        answer = browser.api(path, {"authenticator_id": key["id"], **values})
        assert answer[1]["plugin_code"] == "second_factor_required_by_policy"
        assert not is_guarded(site)


@pytest.mark.parametrize("values", [{}, {"recovery_code": 0}])
def test_a_removal_waits_for_a_verification(protected, meanwhile, values):
    """The host locks the account before it completes the login: a plugin that wrote first would deadlock."""
    (app,) = protected.ann.api(AUTHENTICATORS, method="GET")[1]["authenticators"]
    browser, removed = protected.half(), []
    codes = {name: protected.codes[number] for name, number in values.items()}
    finish = meanwhile(
        attempts,
        "reset",
        lambda: removed.append(protected.ann.api(REMOVE, {"authenticator_id": app["id"]})[0]),
    )
    assert protected.verify(browser, **codes)[0] == 200
    finish()
    assert removed == [200]


def test_one_passkey_stays_if_there_is_no_other_way_to_log_in(site, phone, badge, meanwhile):
    site.sign_up()
    site.add_key(phone)
    site.add_key(badge)
    with site.host.request() as request:
        request.accounts.remove_password(request.user_by_email(ANN).id)
    browsers = [site.browser(), site.browser()]
    for each in browsers:
        site.use_key(each, phone, PASSKEY)
    first, second = (
        each["id"] for each in browsers[0].api(AUTHENTICATORS, method="GET")[1]["authenticators"]
    )
    finish = meanwhile(
        management,
        "_require_login_method",
        lambda: browsers[1].api(REMOVE, {"authenticator_id": second}),
        after=True,
    )
    assert browsers[0].api(REMOVE, {"authenticator_id": first})[0] == 200
    finish()
    assert site.count(authenticator_table) == 1
