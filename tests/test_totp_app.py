"""The authenticator app of the testing kit, by the test vectors of the RFCs."""

from __future__ import annotations

from base64 import b32encode
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from authhost.testing import Clock, TotpApp
from authhost.testing.totp import hotp

DIGITS = b"1234567890" * 7
SECRET = DIGITS[:20]
BASE32 = b32encode(SECRET).decode()
LENGTHS = {"SHA1": 20, "SHA256": 32, "SHA512": 64}
"""The length of the secret of RFC 6238, appendix B, for each algorithm (erratum 2866)."""
VECTORS = [
    (59, ("94287082", "46119246", "90693936")),
    (1111111109, ("07081804", "68084774", "25091201")),
    (1111111111, ("14050471", "67062674", "99943326")),
    (1234567890, ("89005924", "91819424", "93441116")),
    (2000000000, ("69279037", "90698825", "38618901")),
    (20000000000, ("65353130", "77737706", "47863826")),
]
URI = f"otpauth://totp/Example:ann%40example.org?secret={BASE32}&issuer=Example"


def clock_at(seconds: float) -> Clock:
    return Clock(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds))


def test_vectors_of_rfc_4226():
    """Appendix D."""
    expected = "755224 287082 359152 969429 338314 254676 287922 162583 399871 520489"
    assert " ".join(hotp(SECRET, counter) for counter in range(10)) == expected


@pytest.mark.parametrize(("seconds", "codes"), VECTORS)
def test_vectors_of_rfc_6238(seconds, codes):
    """Appendix B."""
    for (algorithm, length), code in zip(LENGTHS.items(), codes, strict=True):
        secret = b32encode(DIGITS[:length]).decode().rstrip("=")
        uri = f"otpauth://totp/ann?secret={secret}&digits=8&algorithm={algorithm}"
        assert TotpApp(uri, clock_at(seconds)).code() == code


def test_uri():
    app = TotpApp(f"{URI}&digits=8&period=60&algorithm=SHA512&image=x", clock_at(0))
    assert (app.issuer, app.account, app.label) == ("Example", "ann@example.org", "Example:ann@example.org")
    assert (app.secret, app.digits, app.period, app.algorithm) == (SECRET, 8, 60, "SHA512")
    encoded = URI.replace("Example:", "Example%3A%20")
    assert TotpApp(encoded, clock_at(0)).account == "ann@example.org"


def test_uri_by_its_defaults():
    app = TotpApp(f"otpauth://totp/ann?secret={BASE32}", clock_at(0))
    assert (app.issuer, app.account) == (None, "ann")
    assert (app.digits, app.period, app.algorithm) == (6, 30, "SHA1")


def test_plus_is_no_space():
    app = TotpApp(f"otpauth://totp/ann?secret={BASE32}&issuer=My+Site", clock_at(0))
    assert app.issuer == "My+Site"


def test_secret_as_a_user_types_it():
    typed = " ".join(BASE32[start : start + 4].lower() for start in range(0, len(BASE32), 4))
    assert TotpApp(typed, clock_at(0)).secret == SECRET


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not base32"),
        ("GEZDGNBV1", "not base32"),
        ("GEZ", "not base32"),
        ("https://example.org/", "begins with https://example.org"),
        (URI.replace("totp", "hotp"), "not with otpauth://totp"),
        (URI.replace("secret", "key"), "has no secret"),
        (f"{URI}&secret=GEZDGNBV", "parameter twice"),
        (f"otpauth://totp/?secret={BASE32}", "has no label"),
        (URI.replace("issuer=Example", "issuer=Other"), "'Other', but 'Example' in the label"),
        (f"{URI}&algorithm=MD5", "SHA1, SHA256, SHA512, not 'MD5'"),
        (f"{URI}&digits=5", "6, 7 or 8, not 5"),
        (f"{URI}&digits=six", "digits must be a number"),
        (f"{URI}&period=0", "1 second or longer"),
    ],
)
def test_what_an_app_cannot_read(text, message):
    with pytest.raises(ValueError, match=message):
        TotpApp(text, clock_at(0))


def test_secret_is_not_in_the_message():
    with pytest.raises(ValueError, match="base32") as caught:
        TotpApp(f"otpauth://totp/ann?secret={BASE32}1", clock_at(0))
    assert BASE32 not in str(caught.value)


def test_next_code_moves_the_clock_of_the_host(totp_app, auth_host, auth_clock):
    app = totp_app(URI)
    used, coming, before = app.code(), app.code(1), auth_host.clock()
    assert app.next_code() == coming != used
    assert app.code(-1) == used
    assert timedelta(0) < auth_host.clock() - before <= timedelta(seconds=30)


@given(st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1)), st.integers(1, 300))
def test_next_code_is_of_the_next_period(now, period):
    clock = Clock(now.replace(tzinfo=UTC))
    app = TotpApp(f"{URI}&period={period}", clock)
    before = (clock() - clock_at(0)()) // timedelta(seconds=period)
    app.next_code()
    assert (clock() - clock_at(0)()) == timedelta(seconds=period) * (before + 1)
