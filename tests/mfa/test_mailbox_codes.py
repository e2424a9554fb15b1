"""A login by codes to two addresses, of somebody who has lost all factors (NIST SP 800-63B-4, 4.2.2)."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from authhost_hookspecs import Refused, hookimpl
from authhost_mfa import tables
from authhost_mfa.settings import MfaSettings
from sqlalchemy import select

from authhost.testing import PASSWORD, Mailbox
from mfa.support import ANN, VERIFY, is_logged_in, refused

WORK, HOME = "ann@work.example.org", "ann@home.example.org"
LOST, CODES = "/mfa/lost", "/mfa/lost/codes"
CODE = re.compile(r"\b[0-9A-Z]{4}-[0-9A-Z]{4}\b")
WRONG = {"first_code": "AAAA-BBBB", "second_code": "CCCC-DDDD"}


class Watch:
    """Records the calls, and refuses every login while the site is closed."""

    def __init__(self):
        self.calls = []
        self.is_closed = False

    @hookimpl
    def before_login(self, request, user):
        if self.is_closed:
            raise Refused("closed", "The site is closed.")

    @hookimpl(optionalhook=True)
    def second_factors_recovered(self, request, user):
        self.calls.append(("recovered", user.email))

    @hookimpl(optionalhook=True)
    def authentication_failed(self, request, user, authenticator):
        self.calls.append(("failed", authenticator.kind))

    @hookimpl(optionalhook=True)
    def authentication_refused(self, request, user, method, repeated):
        self.calls.append(("refused", method, repeated))


@pytest.fixture
def open_site(make_site):
    def opened(*verified, unverified=(), **mfa):
        """Ann has lost her phone; she has these addresses beside the primary one."""
        box, watch = Mailbox(), Watch()
        site = make_site(plugins={"box": box, "watch": watch}, **{"recovery_by_email": True, **mfa})
        site.box, site.watch = box, watch
        site.sign_up()
        site.enrol()
        with site.host.request() as request:
            user = request.user_by_email(ANN)
            for each in verified:
                request.accounts.add_email(user.id, each, verified=True)
            for each in unverified:
                request.accounts.add_email(user.id, each)
        box.messages.clear()
        return site

    return opened


@pytest.fixture
def site(open_site):
    return open_site(WORK)


def sent(site):
    """The recipients and codes of the newest messages."""
    return {each.recipient: CODE.findall(each.text) for each in site.box.messages if each.kind == "plugin"}


def codes(site, browser):
    site.box.messages.clear()
    status, body = browser.api(LOST, {})
    assert (status, body["next"][0]["step"]) == (202, "mfa.second_factor"), body
    (first,), (second,) = sent(site).values()
    return {"first_code": first, "second_code": second}


def test_both_codes_log_in(site):
    browser = site.half()
    found = codes(site, browser)
    assert set(sent(site)) == {ANN, WORK}
    assert found["first_code"] != found["second_code"]
    status, body = browser.api(CODES, found)
    assert (status, body["authenticated"]) == (200, True)
    assert is_logged_in(browser)
    assert site.watch.calls == [("recovered", ANN)]
    # The lost authenticators stay until their user removes them, which is possible now.
    (app,) = browser.api("/mfa/authenticators", method="GET")[1]["authenticators"]
    assert browser.api("/mfa/authenticators/remove", {"authenticator_id": app["id"]})[0] == 200
    assert site.log_in(site.browser())[0] == 200


def test_the_session_says_how(site):
    browser = site.half()
    browser.api(CODES, codes(site, browser))
    with site.host.request(session_token=browser.cookies["__Host-authhost-session"]) as request:
        assert [(each.method, each.factors) for each in request.authentication] == [
            ("password", ("knowledge",)),
            ("mailboxes", ("possession",)),
        ]


def test_the_order_and_the_way_of_writing_do_not_matter(site):
    browser = site.half()
    found = codes(site, browser)
    values = {
        "first_code": found["second_code"].lower().replace("-", " "),
        "second_code": found["first_code"].replace("-", ""),
    }
    assert browser.api(CODES, values)[0] == 200


@pytest.mark.parametrize("which", ["first_code", "second_code"])
def test_one_code_is_not_enough(site, which):
    browser = site.half()
    found = codes(site, browser)
    for values in ({**found, which: "AAAA-BBBB"}, {"first_code": found[which], "second_code": found[which]}):
        assert refused(browser.api(CODES, values)) == (403, "wrong_code")
    assert not is_logged_in(browser)
    assert site.watch.calls == [("failed", "mailboxes")] * 2


def test_they_are_used_once(site):
    browser, other = site.half(), site.half()
    found = codes(site, browser)
    assert browser.api(CODES, found)[0] == 200
    assert refused(other.api(CODES, found)) == (403, "wrong_code")
    assert browser.api(CODES, found)[0] == 409


def test_they_belong_to_one_login(site, clock):
    """ASVS 5.0, 6.6.2: whoever gets the codes needs the browser in which they were asked for."""
    browser = site.half()
    clock.forward(seconds=1)
    other = site.half()
    found = codes(site, browser)
    assert refused(other.api(CODES, found)) == (403, "wrong_code")
    codes(site, other)
    assert refused(other.api(CODES, found)) == (403, "wrong_code")
    assert browser.api(CODES, found)[0] == 200


def test_new_codes_replace_the_old_ones(site):
    browser = site.half()
    old = codes(site, browser)
    new = codes(site, browser)
    assert refused(browser.api(CODES, old)) == (403, "wrong_code")
    assert browser.api(CODES, new)[0] == 200


def test_they_are_valid_for_ten_minutes(site, clock):
    browser = site.half()
    found = codes(site, browser)
    clock.forward(seconds=601)
    assert refused(browser.api(CODES, found)) == (403, "wrong_code")


def test_a_change_of_the_addresses_ends_them(site):
    browser = site.half()
    found = codes(site, browser)
    with site.host.request() as request:
        request.accounts.remove_email(request.user_by_email(ANN).id, WORK)
    assert refused(browser.api(CODES, found)) == (403, "wrong_code")


def test_after_five_tries_new_codes_are_needed(site):
    browser = site.half()
    found = codes(site, browser)
    for _ in range(5):
        assert refused(browser.api(CODES, WRONG)) == (403, "wrong_code")
    for _ in range(2):
        assert refused(browser.api(CODES, found)) == (403, "too_many_tries")
    assert site.watch.calls == [("failed", "mailboxes")] * 5 + [("refused", "mailboxes", 1)] * 2
    assert browser.api(CODES, codes(site, browser))[0] == 200


def test_tries_at_once_are_no_more_than_tries_in_a_row(site):
    browser = site.half()
    codes(site, browser)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: browser.api(CODES, WRONG), range(15)))
    assert [each[0] for each in site.watch.calls].count("failed") == 5
    assert sum(each[2] for each in site.watch.calls if each[0] == "refused") == 10


def test_codes_at_once_log_in_once(site):
    browser = site.half()
    found = codes(site, browser)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: browser.api(CODES, found)[0], range(4)))
    assert results.count(200) == 1
    assert site.watch.calls.count(("recovered", ANN)) == 1


def test_codes_are_sent_three_times_an_hour(site, clock):
    browser = site.half()
    for _ in range(3):
        codes(site, browser)
        clock.forward(minutes=1)
    site.box.messages.clear()
    status, body = browser.api(LOST, {})
    assert (status, body["plugin_code"], body["retry_after"]) == (403, "too_many_tries", 57 * 60)
    response = site.half().post(LOST)
    assert (response.status_code, response.headers["Retry-After"]) == (403, "3420")
    assert site.box.messages == []
    assert site.watch.calls == [("refused", "mailboxes", 1)] * 2
    clock.forward(minutes=57)
    codes(site, site.half())


def test_requests_at_once_are_no_more_than_requests_in_a_row(site):
    browsers = [site.half() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda browser: browser.api(LOST, {})[0], browsers))
    assert sorted(results) == [202, 202, 202, 403]
    assert len(site.box.messages) == 6


# What somebody learns who knows the password alone.


def page_of(response):
    return response.status_code, re.sub(r"nonce=\"[^\"]*\"", "", response.body.decode())


@pytest.mark.parametrize("addresses", [{}, {"unverified": (WORK, HOME)}])
def test_every_account_gets_the_same_answers(open_site, addresses):
    """Bob has two confirmed addresses; Ann has one."""
    site, bob = open_site(**addresses), "bob@example.org"
    owner = site.browser()
    site.sign_up(bob, browser=owner)
    site.enrol(owner)
    with site.host.request() as request:
        request.accounts.add_email(request.user_by_email(bob).id, "bob@work.example.org", verified=True)
    answers = []
    for each in (ANN, bob):
        browser = site.browser()
        assert site.log_in(browser, each)[0] == 202
        seen = [page_of(browser.get(LOST)), page_of(browser.post(LOST))]
        seen += [page_of(browser.post(CODES, **WRONG)) for _ in range(6)]
        seen += [browser.api(LOST, {}), *(browser.api(CODES, WRONG) for _ in range(6))]
        seen += [browser.api(LOST, {}), browser.api(LOST, {})]
        assert "work" not in repr(seen)
        assert not is_logged_in(browser)
        answers.append(seen)
    assert answers[0] == answers[1]
    assert [len(sent(site).get(each, ())) for each in (ANN, bob, "bob@work.example.org")] == [0, 1, 1]


def test_the_only_address_is_told_that_there_are_no_codes(open_site):
    site = open_site(unverified=(WORK,))
    assert site.half().api(LOST, {})[0] == 202
    assert sent(site) == {ANN: []}
    (message,) = site.box.messages
    assert "only one confirmed address" in message.text


def test_the_primary_address_and_the_oldest_other_one_get_the_codes(open_site):
    site = open_site(WORK, HOME)
    with site.host.request() as request:
        request.accounts.make_primary(request.user_by_email(ANN).id, HOME)
    site.box.messages.clear()
    site.half().api(LOST, {})
    assert set(sent(site)) == {HOME, ANN}


def test_no_code_is_stored_or_logged(site, caplog):
    browser = site.half()
    found = codes(site, browser)
    with site.host.reader.connect() as connection:
        stored = repr(connection.execute(select(tables.mailbox_codes_table)).all())
    for each in found.values():
        assert each not in stored
        assert each.replace("-", "") not in stored
        assert each not in caplog.text
        assert each not in repr(site.box.messages)


# When it is not possible.


def test_it_is_off_by_default(open_site):
    assert MfaSettings().recovery_by_email is False
    site = open_site(WORK, recovery_by_email=False)
    browser = site.browser()
    assert site.log_in(browser)[1]["next"][0]["methods"] == ["totp", "recovery_code"]
    assert browser.page(VERIFY)["links"] == []
    for path, values in ((LOST, {}), (CODES, WRONG)):
        assert refused(browser.api(path, values)) == (403, "recovery_off")
        assert browser.get(path).status_code == 403
        assert browser.post(path, **values).status_code == 403
    assert site.box.messages == []


def test_it_is_offered_as_a_method(site):
    browser = site.browser()
    (step,) = [each for each in site.log_in(browser)[1]["next"] if each["step"] == "mfa.second_factor"]
    assert step["methods"] == ["totp", "recovery_code", "mailboxes"]
    assert browser.page(VERIFY)["links"] == [{"label": "I have lost all of these", "target": LOST}]


def test_without_a_login_that_waits_it_is_not_possible(site):
    for browser, status in ((site.browser(), 401), (site.ann, 409)):
        assert browser.api(LOST, {})[0] == status
        assert browser.api(CODES, WRONG)[0] == status
    assert site.box.messages == []


def test_codes_that_were_not_asked_for(site):
    browser = site.half()
    assert refused(browser.api(CODES, WRONG)) == (403, "wrong_code")
    assert site.watch.calls == []


def test_a_deliverer_that_fails_changes_no_answer(make_site, caplog):
    class Broken:
        @hookimpl
        def deliver_message(self, message):
            if message.kind == "plugin":
                raise OSError("no network")

    site = make_site(plugins={"broken": Broken()}, recovery_by_email=True)
    site.sign_up()
    site.enrol()
    with site.host.request() as request:
        request.accounts.add_email(request.user_by_email(ANN).id, WORK, verified=True)
    assert site.half().api(LOST, {})[0] == 202
    assert "a code for two mailboxes was not sent" in caplog.text


# What follows.


def test_the_trust_in_browsers_ends(site):
    trusted = site.half()
    assert site.verify(trusted, trust=True)[0] == 200
    assert site.count(tables.trusted_browser_table) == 1
    browser = site.half()
    browser.api(CODES, codes(site, browser))
    assert site.count(tables.trusted_browser_table) == 0


def test_blocked_codes_of_the_app_are_possible_again(site):
    browser = site.half()
    for _ in range(5):
        site.verify(browser, "000000")
    browser.api(CODES, codes(site, browser))
    assert site.verify(site.half())[0] == 200


def test_a_login_that_is_refused_uses_nothing_up(site):
    browser = site.half()
    found = codes(site, browser)
    site.watch.is_closed = True
    assert refused(browser.api(CODES, found)) == (403, "closed")
    site.watch.is_closed = False
    assert browser.api(CODES, found)[0] == 200


def deletes_the_account(request, user):
    request.accounts.delete(user.id)


def resets_the_factors(request, user):
    request.accounts.remove_factors(user.id, reason="lost phone")


@pytest.mark.parametrize("change", [deletes_the_account, resets_the_factors])
def test_the_rows_are_deleted_with_the_account_and_by_a_reset(site, change):
    site.half().api(LOST, {})
    assert site.count(tables.mailbox_codes_table) == 1
    with site.host.request() as request:
        change(request, request.user_by_email(ANN))
    assert site.count(tables.mailbox_codes_table) == 0


def test_old_rows_are_deleted(site, clock):
    site.half().api(LOST, {})
    clock.forward(hours=2)
    site.half().api(LOST, {})
    assert site.count(tables.mailbox_codes_table) == 1


# The pages.


def test_the_pages(site):
    browser = site.browser()
    target = browser.post("/login?next=/me", identifier=ANN, password=PASSWORD, next="/me").headers[
        "Location"
    ]
    (link,) = browser.page(target)["links"]
    assert link["target"] == f"{LOST}?next=%2Fme"
    shown = browser.page(link["target"])
    assert (shown["id"], shown["forms"][0]["action"]) == ("mfa_lost", f"{LOST}?next=%2Fme")
    site.box.messages.clear()
    response = browser.post(f"{LOST}?next=/me")
    assert (response.status_code, f'action="/account{CODES}?next=%2Fme"' in response.body.decode()) == (
        200,
        True,
    )
    (first,), (second,) = sent(site).values()
    response = browser.post(f"{CODES}?next=/me", first_code=first, second_code="AAAA-BBBB")
    assert "The codes are wrong, or too old." in response.body.decode()
    response = browser.post(f"{CODES}?next=/me", first_code=first, second_code=second)
    assert (response.status_code, "Remove what you have lost" in response.body.decode()) == (200, True)
    assert is_logged_in(browser)


def test_the_messages_are_in_the_language_of_the_person(site):
    browser = site.half(**{"Accept-Language": "de"})
    browser.api(LOST, {})
    assert all("10 Minuten" in each.text for each in site.box.messages)
