"""The settings under ``[plugins.webhook]``."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Without ``url``, nothing is stored. ``addresses`` adds e-mail addresses to the events.

    With ``background``, each process delivers its events at once. The command
    ``authhost webhook deliver`` delivers those that the receiver has not accepted then.
    """

    url: str = ""
    secret: str = field(default="", repr=False)
    addresses: bool = False
    background: bool = True
    timeout: float = 10.0

    def __post_init__(self) -> None:
        if not 0 < self.timeout <= 20:
            raise ValueError("timeout must be from 0 to 20 seconds")
        if not self.url:
            return
        parts = urlsplit(self.url)
        _ = parts.port  # raises ValueError if it is not a number
        if not parts.hostname or not self.url.isascii() or parts.username is not None:
            raise ValueError("url must be an address in ASCII, without a username")
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
            raise ValueError("url must begin with https:// (http:// only on this machine)")
        if len(self.secret) < 32:
            raise ValueError("secret must have at least 32 characters")
