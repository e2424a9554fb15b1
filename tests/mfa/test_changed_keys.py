"""A change of ``secret_key``: what began under one key goes on under the next one."""

from __future__ import annotations

import pytest

from authhost.security.key_age import new_timed_key
from authhost.testing import Mailbox
from authhost.web import Web
from mfa.support import ANN, KEYS, ORIGIN, PASSKEY, is_logged_in
from mfa.test_mailbox_codes import CODES, WORK, codes

FORMER = "the former key of 32 characters!"


@pytest.fixture
def phases(make_site, clock):
    """Sites on one database: with the former key, with both in both orders, and with the new one."""
    new, box = new_timed_key(clock.now, ()), Mailbox()
    sites = [
        make_site(settings={"secret_key": keys}, plugins={"box": box}, recovery_by_email=True)
        for keys in ((FORMER,), (FORMER, new), (new, FORMER), (new,))
    ]
    for each in sites:
        each.box = box
    return sites


def move(site, browser):
    """Let the browser go on with another process."""
    browser.web = Web(site.host)
    return browser


def test_a_browser_stays_trusted_while_the_former_key_is_listed(phases):
    former, distributed, active, only_new = phases
    former.sign_up()
    former.enrol()
    browser = former.half()
    former.verify(browser, trust=True)
    for site, asked in ((distributed, 200), (active, 200), (only_new, 202)):
        browser.api("/logout", {})
        assert site.log_in(move(site, browser))[0] == asked
    # What a process with the new key stores is known to one that only accepts it.
    active.app = former.app
    active.verify(move(active, browser), trust=True)
    browser.api("/logout", {})
    assert distributed.log_in(move(distributed, browser))[0] == 200


def test_codes_of_two_mailboxes_are_accepted_while_the_former_key_is_listed(phases, clock):
    former, distributed, active, _ = phases
    former.sign_up()
    former.enrol()
    with former.host.request() as request:
        request.accounts.add_email(request.user_by_email(ANN).id, WORK, verified=True)
    for before, after in ((former, active), (active, distributed)):
        clock.forward(seconds=1)  # else both logins would have begun at the same time
        browser = before.half()
        found = codes(before, browser)
        assert move(after, browser).api(CODES, found)[0] == 200
        assert is_logged_in(browser)


def test_a_passkey_that_is_added_meanwhile_logs_in(phases, phone):
    former, distributed, active, only_new = phases
    distributed.sign_up()
    response = distributed.create_key(phone, distributed.ann)
    assert move(active, distributed.ann).api(KEYS, {"credential": response})[0] == 200
    for site in (former, active, only_new):
        browser = site.browser()
        response = phone.get(browser.api(PASSKEY, method="GET")[1]["options"], ORIGIN)
        assert browser.api(PASSKEY, {"credential": response})[0] == 200
