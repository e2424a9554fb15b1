"""An authenticator app for one-time codes (TOTP, RFC 6238), on the clock of a test."""

from __future__ import annotations

import hmac
import re
from base64 import b32decode
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote, urlsplit

from authhost.testing.host import Clock

ALGORITHMS = ("SHA1", "SHA256", "SHA512")
DIGITS = range(6, 9)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TotpApp:
    """Shows the codes of one account: ``TotpApp("otpauth://totp/…", clock).code()``.

    It takes the URI of the QR code, or the secret in base32, as the user types it. Raises
    `ValueError` if an app could not read it. Source of the URI:
    https://github.com/google/google-authenticator/wiki/Key-Uri-Format.
    """

    def __init__(self, uri_or_secret: str, clock: Clock) -> None:
        self.clock = clock
        self.label = ""
        """The label of the URI, such as ``Example:ann@example.org``."""
        self.issuer: str | None = None
        """The site, from the parameter ``issuer`` or the label."""
        self.account = ""
        """The account, which is the label without the issuer."""
        self.digits, self.period, self.algorithm = 6, 30, "SHA1"
        if "://" in uri_or_secret:
            self._read(uri_or_secret)
        else:
            self.secret = _read_secret(uri_or_secret)

    def code(self, offset: int = 0) -> str:
        """Return the code at the clock's time, or ``offset`` periods later; -1 is the period before."""
        elapsed = (self.clock() - EPOCH) // timedelta(seconds=self.period)
        return hotp(self.secret, elapsed + offset, digits=self.digits, algorithm=self.algorithm)

    def next_code(self) -> str:
        """Move the clock to the start of the next period, and return its code, which was not used before."""
        period = timedelta(seconds=self.period)
        rest = period - (self.clock() - EPOCH) % period
        self.clock.forward(seconds=rest.total_seconds())
        return self.code()

    def _read(self, uri: str) -> None:
        parts = urlsplit(uri)
        if (parts.scheme, parts.netloc) != ("otpauth", "totp"):
            raise ValueError(f"the URI begins with {parts.scheme}://{parts.netloc}, not with otpauth://totp")
        # Apps show a "+" as it is: `urllib.parse.urlencode` needs ``quote_via=quote`` for a space.
        pairs = [each.partition("=") for each in parts.query.split("&") if each]
        values = {name: unquote(value, errors="strict") for name, _, value in pairs}
        if len(values) < len(pairs):
            raise ValueError("the URI has a parameter twice")
        self.label = unquote(parts.path.removeprefix("/"), errors="strict")
        if not self.label:
            raise ValueError("the URI has no label, which apps show as the name of the account")
        prefix, colon, account = self.label.partition(":")
        self.account = account.lstrip(" ") if colon else self.label
        self.issuer = values.get("issuer", prefix if colon else None)
        if colon and self.issuer != prefix:
            raise ValueError(f"the issuer is {self.issuer!r}, but {prefix!r} in the label")
        if "secret" not in values:
            raise ValueError("the URI has no secret")
        self.secret = _read_secret(values["secret"])
        self.algorithm = values.get("algorithm", self.algorithm).upper()
        if self.algorithm not in ALGORITHMS:
            raise ValueError(f"the algorithm must be one of {', '.join(ALGORITHMS)}, not {self.algorithm!r}")
        self.digits = _read_number("digits", values.get("digits", "6"))
        if self.digits not in DIGITS:
            raise ValueError(f"digits must be 6, 7 or 8, not {self.digits}")
        self.period = _read_number("period", values.get("period", "30"))
        if not self.period:
            raise ValueError("the period must be 1 second or longer")


def hotp(secret: bytes, counter: int, *, digits: int = 6, algorithm: str = "SHA1") -> str:
    """Return the code of RFC 4226 for one counter."""
    mac = hmac.digest(secret, counter.to_bytes(8), algorithm.lower())
    start = mac[-1] & 0xF
    number = int.from_bytes(mac[start : start + 4]) & 0x7FFFFFFF
    return f"{number % 10**digits:0{digits}}"


def _read_secret(text: str) -> bytes:
    letters = re.sub(r"[\s-]", "", text).rstrip("=").upper()
    if not re.fullmatch(r"[A-Z2-7]+", letters) or len(letters) % 8 in {1, 3, 6}:
        raise ValueError("the secret is not base32")  # without the secret, which logs would show
    return b32decode(letters + "=" * (-len(letters) % 8))


def _read_number(name: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise ValueError(f"{name} must be a number, not {text!r}")
    return int(text)
