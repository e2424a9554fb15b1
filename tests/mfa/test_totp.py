"""One-time codes: the vectors of the standards, and what is accepted."""

from __future__ import annotations

from base64 import b32decode, b32encode
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest
from authhost_mfa import totp
from hypothesis import given, strategies as st

from authhost.testing import Clock, TotpApp

SECRET = b"12345678901234567890"
RFC_4226 = [
    "755224",
    "287082",
    "359152",
    "969429",
    "338314",
    "254676",
    "287922",
    "162583",
    "399871",
    "520489",
]
"""RFC 4226, appendix D: the codes of the counters 0 to 9."""
RFC_6238 = [
    (59, "94287082"),
    (1111111109, "07081804"),
    (1111111111, "14050471"),
    (1234567890, "89005924"),
    (2000000000, "69279037"),
    (20000000000, "65353130"),
]
"""RFC 6238, appendix B: the codes of 8 digits with SHA-1. Those of 6 digits are their ends."""
TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
SECRETS = st.binary(min_size=20, max_size=20)


@pytest.mark.parametrize(("counter", "code"), list(enumerate(RFC_4226)))
def test_rfc_4226(counter, code):
    assert totp.code_of(SECRET, counter) == code


@pytest.mark.parametrize(("seconds", "code"), RFC_6238)
def test_rfc_6238(seconds, code):
    assert totp.code_of(SECRET, totp.step_at(datetime.fromtimestamp(seconds, UTC))) == code[-6:]


@given(SECRETS, TIMES)
def test_the_code_of_this_period_and_of_the_one_before_is_accepted(secret, now):
    text, step = b32encode(secret).decode(), totp.step_at(now)
    for back in (0, 1):
        found = totp.matching_step(text, totp.code_of(secret, step - back), now)
        assert found is not None
        assert found >= step - back
    accepted = {totp.code_of(secret, step - back) for back in (0, 1)}
    for other in (step - 2, step + 1, step + 2):
        code = totp.code_of(secret, other)
        assert (totp.matching_step(text, code, now) is None) is (code not in accepted)


@given(SECRETS, TIMES, st.text(max_size=12))
def test_other_texts_are_refused(secret, now, typed):
    text = b32encode(secret).decode()
    codes = {totp.code_of(secret, totp.step_at(now) - back) for back in (0, 1)}
    assert (totp.matching_step(text, typed, now) is None) is ("".join(typed.split()) not in codes)


def test_spaces_in_a_code_are_ignored():
    now = datetime.fromtimestamp(59, UTC)
    assert totp.matching_step(b32encode(SECRET).decode(), " 287 082 ", now) == 1


@given(TIMES, SECRETS)
def test_an_app_shows_the_same_code(now, secret):
    text = b32encode(secret).decode()
    app = TotpApp(totp.uri(text, "ann@example.org", "Tea & Cake"), Clock(now))
    assert app.code() == totp.code_of(secret, totp.step_at(now))
    assert (app.issuer, app.account) == ("Tea & Cake", "ann@example.org")


def test_secrets_have_160_bits_and_differ():
    found = {totp.new_secret() for _ in range(50)}
    assert len(found) == 50
    assert {len(b32decode(each)) for each in found} == {20}


def test_the_qr_code_is_an_svg_document_of_its_own():
    svg = totp.qr_code("otpauth://totp/Tea:ann?secret=GEZDGNBVGY3TQOJQ&issuer=Tea")
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "viewBox" in root.attrib
    assert 'fill="#fff"' in svg


def test_a_period_before_1970_is_no_error():
    assert totp.matching_step(totp.new_secret(), "x", totp.EPOCH + timedelta(seconds=1)) is None
