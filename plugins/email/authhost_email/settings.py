"""The settings under ``[plugins.email]``."""

from __future__ import annotations

from dataclasses import dataclass, field

from authhost_email.addresses import is_bare_address

CHOICES = {
    "smtp_tls": ("none", "starttls", "tls"),
    "delivery": ("background", "inline", "manual"),
}
STEPS_PER_MESSAGE = 10
"""Sending a message takes up to this many steps, each of them up to ``timeout``."""


@dataclass(frozen=True, slots=True)
class EmailSettings:
    """Settings of sender, transport, delivery and limits. Times are in seconds.

    ``transport`` is ``file`` (a folder of .eml files), ``console``, ``smtp``,
    ``sendmail``, or the name of an entry point in the group
    ``authhost_email.transports``. ``smtp_tls`` is ``none``, ``starttls`` or ``tls``.

    ``delivery`` is ``background`` (a thread of the host), ``inline`` (the request
    delivers after its commit) or ``manual`` (``authhost email worker`` or
    ``deliver``). ``lease`` is the time after which another worker takes over a message.

    ``templates`` is a folder with templates that replace those of the plugin.
    ``language`` is used if the request names no supported language. Links must lead to
    the site or to a host in ``link_hosts``, separated by commas.

    ``max_per_hour`` limits the messages to one address that unauthenticated requests
    cause. Further messages wait for their turn. It also limits the notices to an
    address that nobody has confirmed; further notices are not sent.
    """

    from_address: str = "noreply@localhost"
    from_name: str = ""
    transport: str = "file"
    directory: str = "mail"
    sendmail: str = "/usr/sbin/sendmail"
    smtp_host: str = "localhost"
    smtp_port: int = 25
    smtp_username: str | None = None
    smtp_password: str | None = field(default=None, repr=False)
    smtp_tls: str = "none"
    timeout: float = 10.0
    delivery: str = "background"
    max_attempts: int = 60
    lease: float = 300.0
    max_per_hour: int = 30
    language: str = "en"
    templates: str = ""
    link_hosts: str = ""
    new_device_notices: bool = True
    impersonation_notice: bool = True
    keep_sent_days: int = 30

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}")
        for name in ("timeout", "max_attempts", "max_per_hour"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0")
        if self.lease < STEPS_PER_MESSAGE * self.timeout:
            raise ValueError(
                f"lease must be at least {STEPS_PER_MESSAGE} times timeout, because sending has many steps"
            )
        if not is_bare_address(self.from_address):
            raise ValueError("from_address must be an address without a name; put the name into from_name")
        if "\n" in self.from_name or "\r" in self.from_name:
            raise ValueError("from_name must be one line")
