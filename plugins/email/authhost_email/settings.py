"""What an operator may set under ``[plugins.email]``."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class EmailSettings:
    """Times are in seconds. ``transport`` is ``file`` or ``smtp``.

    ``smtp_tls`` is ``none``, ``starttls`` or ``tls``.

    ``delivery`` is ``background`` (a thread of the host) or ``manual``
    (``authhost email deliver``).
    """

    from_address: str = "noreply@localhost"
    transport: str = "file"
    directory: str = "mail"
    smtp_host: str = "localhost"
    smtp_port: int = 25
    smtp_username: str | None = None
    smtp_password: str | None = field(default=None, repr=False)
    smtp_tls: str = "none"
    timeout: float = 10.0
    delivery: str = "background"
    max_attempts: int = 8

    def __post_init__(self) -> None:
        for name, allowed in (
            ("transport", ("file", "smtp")),
            ("smtp_tls", ("none", "starttls", "tls")),
            ("delivery", ("background", "manual")),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}")
