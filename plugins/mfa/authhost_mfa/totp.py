"""One-time codes of authenticator apps: TOTP (RFC 6238) with SHA-1, 6 digits and periods of 30 seconds.

These are the only parameters that all apps support. A code of the current period is accepted,
and one of the period before, because of the time that typing takes.
"""

from __future__ import annotations

import hmac
import io
import secrets
from base64 import b32decode, b32encode
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

DIGITS, PERIOD = 6, timedelta(seconds=30)
SECRET_BYTES = 20
"""160 bits, the length of SHA-1 (RFC 4226, section 4)."""
PERIODS_BACK = 1
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def new_secret() -> str:
    """Return a random secret in base32, as apps take it."""
    return b32encode(secrets.token_bytes(SECRET_BYTES)).decode()


def code_of(secret: bytes, step: int) -> str:
    """Return the code of a period (RFC 4226, section 5.3)."""
    digest = hmac.digest(secret, step.to_bytes(8), "sha1")
    offset = digest[-1] & 0xF
    number = int.from_bytes(digest[offset : offset + 4]) & 0x7FFF_FFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"


def step_at(time: datetime) -> int:
    """Return the number of the period at a time (RFC 6238, section 4.2)."""
    return (time - EPOCH) // PERIOD


def matching_step(secret: str, code: str, now: datetime) -> int | None:
    """Return the period whose code was typed, or None. It takes the same time for every code.

    Spaces in the code are ignored: apps show it in two groups.
    """
    typed = "".join(code.split()).encode("utf-8", "replace")
    key, current, found = b32decode(secret), step_at(now), None
    for step in range(max(0, current - PERIODS_BACK), current + 1):
        if hmac.compare_digest(code_of(key, step).encode(), typed):
            found = step
    return found


def uri(secret: str, account: str, issuer: str) -> str:
    """Return the URI that an app reads from the QR code.

    Source: https://github.com/google/google-authenticator/wiki/Key-Uri-Format. A colon would end the
    issuer in the label.
    """
    issuer = issuer.replace(":", " ")
    label = quote(f"{issuer}:{account}", safe="@:")
    return f"otpauth://totp/{label}?secret={secret}&issuer={quote(issuer, safe='')}"


def qr_code(text: str) -> str:
    """Return a QR code as an SVG document, black on white."""
    import segno

    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        out, kind="svg", xmldecl=False, nl=False, omitsize=True, light="#fff", border=4
    )
    return out.getvalue().decode()
