"""The settings under ``[plugins.audit]``."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

CHOICES = {"addresses": ("masked", "full", "off"), "ip_addresses": ("full", "truncated", "off")}


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """Settings for privacy, sealing, forwarding and retention.

    ``addresses`` says how e-mail addresses are recorded: ``masked``
    (``a***@example.org``), ``full`` or ``off``. ``ip_addresses`` is ``full``,
    ``truncated`` (to /24 for IPv4, /48 for IPv6) or ``off``.

    ``signing_key`` signs the batches of sealed records. ``authhost audit new-key``
    creates one. ``next_signing_key`` is trusted and does not sign yet, for a change of the key by
    ``authhost keys rotate audit.signing_key``. ``former_keys`` are the public keys of earlier signing keys,
    separated by commas. Each one is followed by the number of the last batch that
    it signed (``KEY@1042``). Without this number, a person who stole an earlier key
    could still seal records with it.

    A checkpoint of each batch is appended to ``checkpoint_file`` and sent to
    ``syslog`` (``tcp://host:601``, ``udp://host:514``) and to ``webhook``. Syslog
    and webhook also receive the records. ``webhook_secret`` is the key of the
    webhook's signatures. ``timeout`` is the number of seconds for one attempt to
    send to a receiver.

    Records are kept for ``keep_days``, records of security events for
    ``keep_security_days``. 0 keeps them forever.
    """

    recording: bool = True
    addresses: str = "masked"
    ip_addresses: str = "full"
    signing_key: str = field(default="", repr=False)
    next_signing_key: str = field(default="", repr=False)
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
            raise ValueError("batch_size must be between 1 and 10000")
        if not 0 < self.timeout <= 3600:
            raise ValueError("timeout must be above 0 and at most 3600 seconds")
        for name in ("keep_days", "keep_security_days"):
            if not 0 <= getattr(self, name) <= 36_500:
                raise ValueError(f"{name} must be between 0 and 36500 days")
        if self.webhook and not _is_url(self.webhook, "https"):
            raise ValueError("webhook must be an https:// URL in ASCII (http:// is allowed for localhost)")
        if self.webhook and len(self.webhook_secret) < 32:
            raise ValueError("webhook needs a webhook_secret of at least 32 characters")
        if self.syslog and not _is_url(self.syslog, "tcp", "udp"):
            raise ValueError("syslog must be a URL such as tcp://host:601 or udp://host:514")


def _is_url(url: str, *schemes: str) -> bool:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
        host.encode("idna")
    except (ValueError, UnicodeError):
        return False
    is_loopback = host in ("localhost", "127.0.0.1", "::1")
    return (
        bool(host) and url.isascii() and (parts.scheme in schemes or (parts.scheme == "http" and is_loopback))
    )
