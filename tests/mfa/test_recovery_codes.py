"""Recovery codes."""

from __future__ import annotations

from math import log2

import pytest
from authhost_mfa import recovery_codes
from authhost_mfa.tables import recovery_code_table
from hypothesis import given, strategies as st
from sqlalchemy import select

from mfa.support import is_logged_in

CODES = st.text(recovery_codes.ALPHABET, min_size=24, max_size=24)


def test_a_code_has_112_bits_or_more():
    """ASVS 5.0, 6.5.2: then a plain hash is enough."""
    assert recovery_codes.LENGTH * log2(len(recovery_codes.ALPHABET)) >= 112
    assert len(set(recovery_codes.ALPHABET)) == len(recovery_codes.ALPHABET) == 32
    found = {recovery_codes.new_code() for _ in range(100)}
    assert len(found) == 100
    assert all(len(each) == 29 and each.count("-") == 5 for each in found)


@given(CODES, st.data())
def test_a_code_is_the_same_as_people_type_it(code, data):
    typed = "".join(
        data.draw(st.sampled_from([letter, letter.lower(), *look_alikes(letter)]))
        + data.draw(st.sampled_from(["", " ", "-", "–", "\t"]))
        for letter in code
    )
    assert recovery_codes.normalised(typed) == code


def look_alikes(letter):
    return {"0": ["O", "o"], "1": ["I", "i", "L", "l"]}.get(letter, [])


@given(CODES, CODES)
def test_two_codes_have_two_digests(one, other):
    assert (recovery_codes.digest(one) == recovery_codes.digest(other)) is (one == other)


def test_only_digests_are_stored(protected):
    with protected.host.reader.connect() as connection:
        rows = connection.execute(select(recovery_code_table)).all()
    stored = " ".join(map(repr, rows))
    assert len(rows) == 10
    assert not any(each in stored or recovery_codes.normalised(each) in stored for each in protected.codes)


def test_they_come_with_the_first_factor_and_are_shown_once(protected):
    assert len(set(protected.codes)) == 10
    shown = protected.ann.get("/mfa/recovery-codes").body.decode()
    assert not any(each in shown for each in protected.codes)
    assert "Recovery codes left: 10" in shown


def test_each_logs_in_once(protected):
    first, second = protected.half(), protected.half()
    status, body = protected.verify(first, recovery_code=protected.codes[0].lower().replace("-", " "))
    assert status == 200
    assert body["messages"] == [{"level": "warning", "text": "Recovery codes left: 9"}]
    status, body = protected.verify(second, recovery_code=protected.codes[0])
    assert (status, body["plugin_code"], body["field"]) == (403, "wrong_code", "recovery_code")
    assert protected.verify(second, recovery_code=protected.codes[1])[0] == 200


def test_the_code_of_another_user_is_wrong(protected):
    codes = protected.codes
    bob = protected.browser()
    protected.sign_up("bob@example.org", browser=bob)
    protected.enrol(bob)
    browser = protected.browser()
    protected.log_in(browser, "bob@example.org")
    assert protected.verify(browser, recovery_code=codes[0])[0] == 403
    assert protected.verify(protected.half(), recovery_code=codes[0])[0] == 200


def test_new_codes_replace_the_old_ones(protected):
    status, body = protected.ann.api("/mfa/recovery-codes", {})
    assert (status, len(body["recovery_codes"])) == (200, 10)
    assert protected.verify(protected.half(), recovery_code=protected.codes[0])[0] == 403
    assert protected.verify(protected.half(), recovery_code=body["recovery_codes"][0])[0] == 200


def test_the_page_shows_new_codes_once(protected):
    response = protected.ann.post("/mfa/recovery-codes", headers={"Accept": "application/json"})
    assert response.status_code == 200
    assert protected.ann.page("/mfa/recovery-codes")["id"] == "mfa_recovery_codes"


def test_without_a_second_factor_there_are_none(site):
    site.sign_up()
    status, body = site.ann.api("/mfa/recovery-codes", {})
    assert (status, body["plugin_code"]) == (403, "no_second_factor")


def test_the_last_one_is_used_up(make_site):
    site = make_site(recovery_codes=5)
    site.sign_up()
    site.enrol()
    for code in site.codes:
        assert site.verify(site.half(), recovery_code=code)[0] == 200
    browser = site.browser()
    assert site.log_in(browser)[1]["next"][0]["methods"] == ["totp"]
    assert [form["title"] for form in browser.page("/mfa/verify")["forms"]] == ["Authenticator app"]
    assert site.verify(browser, recovery_code=site.codes[0])[0] == 403
    assert not is_logged_in(browser)


@pytest.mark.parametrize("code", ["x", "-" * 20, "é" * 24, "'; --", "0" * 24])
def test_what_is_no_recovery_code_is_refused(protected, code):
    browser = protected.half()
    assert protected.verify(browser, recovery_code=code)[0] == 403
