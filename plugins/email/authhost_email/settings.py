"""What an operator may set under ``[plugins.email]``."""

from __future__ import annotations

from dataclasses import dataclass, field

from authhost_email.addresses import is_plain

CHOICES = {
    "smtp_tls": ("none", "starttls", "tls"),
    "delivery": ("background", "inline", "manual"),
}
STEPS = 10
"""A server may take its time at each step of a sending, and it is to end before its lease does."""


@dataclass(frozen=True, slots=True)
class EmailSettings:
    """Times are in seconds.

    ``transport`` is ``file`` (a folder of .eml), ``console``, ``smtp``,
    ``sendmail``, or one that another package brings by an entry point in group
    ``authhost_email.transports``. ``smtp_tls`` is ``none``, ``starttls`` or
    ``tls``. ``delivery`` is ``background`` (a thread of the host), ``inline``
    (by the request that caused it, after its commit) or ``manual`` (``authhost
    email worker`` or ``deliver``). ``templates`` is a folder whose messages come
    before the plugin's own; ``language`` is used where neither the request nor
    a translation says another. Links lead to the site and to ``link_hosts``,
    separated by commas. ``max_per_hour`` is the number of messages to one address
    that anybody may cause who knows it; what is more waits for its turn. Notices
    do not count, but to an address that nobody has confirmed there are no more of
    them in an hour.
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
    keep_sent_days: int = 30

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}")
        for name in ("timeout", "max_attempts", "max_per_hour"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0")
        if self.lease < STEPS * self.timeout:
            raise ValueError(f"lease must be at least {STEPS} times timeout, since a sending has many steps")
        if not is_plain(self.from_address):
            raise ValueError("from_address must be an address alone; a name goes into from_name")
        if "\n" in self.from_name or "\r" in self.from_name:
            raise ValueError("from_name must be one line")
