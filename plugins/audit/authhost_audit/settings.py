"""What an operator may set under ``[plugins.audit]``."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

CHOICES = {"addresses": ("masked", "full", "off"), "ip_addresses": ("full", "truncated", "off")}


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """Privacy, sealing, forwarding and keeping.

    ``addresses`` is how e-mail addresses are written down: ``masked``
    (``a***@example.org``), ``full`` or ``off``; ``ip_addresses`` likewise:
    ``full``, ``truncated`` (to /24 and /48) or ``off``. ``signing_key`` signs
    the seals: make one with ``authhost audit new-key``; ``former_keys`` are the
    public keys of earlier ones, separated by commas, each with the number of the
    last seal that it signed (``KEY@1042``): without it, who stole an earlier key
    could still seal with it. Each seal is also written
    to ``checkpoint_file``, to ``syslog`` (``tcp://host:601``, ``udp://host:514``)
    and to ``webhook``, which get the records, too, signed by ``webhook_secret``.
    Records are kept for ``keep_days``, those of security events for
    ``keep_security_days``; 0 is for ever.
    """

    recording: bool = True
    addresses: str = "masked"
    ip_addresses: str = "full"
    signing_key: str = field(default="", repr=False)
    former_keys: str = ""
    batch_size: int = 1000
    checkpoint_file: str = ""
    syslog: str = ""
    webhook: str = ""
    webhook_secret: str = field(default="", repr=False)
    timeout: float = 10.0
    keep_days: int = 365
    keep_security_days: int = 1095

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}")
        if not 1 <= self.batch_size <= 10_000:
            raise ValueError("batch_size must be from 1 to 10000")
        if not 0 < self.timeout <= 3600:
            raise ValueError("timeout must be from 0 to 3600 seconds")
        for name in ("keep_days", "keep_security_days"):
            if not 0 <= getattr(self, name) <= 36_500:
                raise ValueError(f"{name} must be from 0 to 36500")
        if self.webhook and not _is_address(self.webhook, "https"):
            raise ValueError("webhook must be an https:// address in ASCII (or http:// on this machine)")
        if self.webhook and len(self.webhook_secret) < 32:
            raise ValueError("webhook needs a webhook_secret of at least 32 characters")
        if self.syslog and not _is_address(self.syslog, "tcp", "udp"):
            raise ValueError("syslog looks like tcp://host:601 or udp://host:514")


def _is_address(url: str, *schemes: str) -> bool:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
        host.encode("idna")
    except (ValueError, UnicodeError):
        return False
    here = host in ("localhost", "127.0.0.1", "::1")
    return bool(host) and url.isascii() and (parts.scheme in schemes or (parts.scheme == "http" and here))
