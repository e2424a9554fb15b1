"""Device tokens: they identify browsers that have logged in to an account before.

After OWASP's "device cookies"
(https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies).
A device token gives no access. It only selects the counters of failed logins for
the browser.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from authhost.records import Unpicklable

PURPOSE = b"authhost.device-token"
LIFETIME = timedelta(days=400)
"""The maximum lifetime of a cookie (RFC 6265bis, section 5.5). It starts again with each login."""
IDENTIFIER, TIME, MAC = 16, 8, 32


class Devices(Unpicklable):
    """Creates and verifies device tokens. Nothing is stored.

    A token is a random identifier of the device, the time in seconds and an
    HMAC-SHA256 over both and the user's id, in URL-safe Base64: 75 characters.
    The first of ``secrets`` signs new tokens, any of them verifies.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._keys = [hmac.digest(each.encode(), PURPOSE, "sha256") for each in secrets]

    def token(self, user_id: UUID, now: datetime, previous: object = None) -> str:
        """Return a token for ``user_id``, for the same device as ``previous`` if that token is valid."""
        device = self.find(previous, user_id, now)
        identifier = bytes.fromhex(device) if device else secrets.token_bytes(IDENTIFIER)
        signed = identifier + int(now.timestamp()).to_bytes(TIME, "big")
        raw = signed + _mac(self._keys[0], user_id, signed)
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    def find(self, token: object, user_id: UUID, now: datetime) -> str | None:
        """Return the device identifier as hex, or None if ``token`` is not a valid token of ``user_id``."""
        if not isinstance(token, str) or len(token) > 128:
            return None
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        signed, mac = raw[:-MAC], raw[-MAC:]
        # All keys are tried, so that the time does not reveal which one matches.
        fits = [hmac.compare_digest(mac, _mac(key, user_id, signed)) for key in self._keys]
        if len(raw) != IDENTIFIER + TIME + MAC or not any(fits):
            return None
        age = now.timestamp() - int.from_bytes(signed[IDENTIFIER:], "big")
        return signed[:IDENTIFIER].hex() if age <= LIFETIME.total_seconds() else None


def _mac(key: bytes, user_id: UUID, signed: bytes) -> bytes:
    return hmac.digest(key, user_id.bytes + signed, "sha256")
