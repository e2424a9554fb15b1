"""Device tokens: bound to an account, unforgeable, and of no other use."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from conftest import PASSWORD
from hypothesis import given, strategies as st

from authhost.security.devices import LIFETIME, Devices

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ANN, BOB = uuid4(), uuid4()
ours = Devices(["k" * 40])
token = ours.token(ANN, NOW)


def test_a_token_is_one_of_its_user_alone():
    assert ours.find(token, ANN, NOW)
    assert ours.find(token, BOB, NOW) is None
    assert Devices(["l" * 40]).find(token, ANN, NOW) is None
    assert Devices(["l" * 40, "k" * 40]).find(token, ANN, NOW)


def test_a_login_renews_a_token_and_the_device_stays():
    later = NOW + LIFETIME - timedelta(days=1)
    renewed = ours.token(ANN, later, token)
    assert renewed != token
    assert ours.find(renewed, ANN, later + timedelta(days=2)) == ours.find(token, ANN, NOW)
    assert ours.find(token, ANN, later + timedelta(days=2)) is None
    assert ours.find(ours.token(BOB, NOW, token), BOB, NOW) != ours.find(token, ANN, NOW)


@given(st.one_of(st.none(), st.text(), st.binary(), st.integers(), st.text("abcAB-_=\u00e9", max_size=200)))
def test_anything_else_is_no_token(value):
    assert ours.find(value, ANN, NOW) is None


@given(st.integers(0, 55), st.integers(0, 7))
def test_each_bit_counts(byte, bit):
    raw = bytearray(base64.urlsafe_b64decode(token + "="))
    raw[byte] ^= 1 << bit
    assert ours.find(base64.urlsafe_b64encode(raw).decode().rstrip("="), ANN, NOW) is None


def test_it_is_no_session_and_is_not_shown(make_host, run):
    host = make_host()
    result = run(host, "signup", email="ann@example.org", password=PASSWORD)
    assert result.device_token
    assert result.device_token not in repr(result)
    with host.request(session_token=result.device_token) as request:
        assert request.user is None
    for wrong in (result.session_token, 7, "", "x" * 10_000):
        with host.request(device_token=wrong) as request:
            assert host.account.login(
                request, identifier="ann@example.org", password=PASSWORD
            ).device_token != (result.device_token)
