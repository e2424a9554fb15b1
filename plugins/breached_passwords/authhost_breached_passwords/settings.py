"""The settings under ``[plugins.breached_passwords]``."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

NAME = "breached_passwords"
ON_FAILURE = ("accept", "refuse")
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class BreachedPasswordsSettings:
    """Where breached passwords are looked up. With ``file`` and ``range_url``, both are used.

    ``file`` is the path of a text file with one SHA-1 hash per line (upper-case hex),
    sorted, as ``HASH`` or ``HASH:COUNT``. ``range_url`` is the URL of a range server, to
    which ``/`` and the first five characters of the hash are added. It must be HTTPS,
    except for this machine.

    A password is breached if it was found in at least ``minimum_count`` breaches. A
    hash without a count counts as breached.

    ``timeout`` (seconds) limits a whole request to the server, ``max_response`` (bytes)
    its response.

    ``on_failure`` says what happens if the file or the server fails: ``accept`` the
    password and log a warning, or ``refuse`` it. It is ``accept`` by default, since an
    outage of the server would otherwise stop all signups and all password resets.
    """

    file: str = ""
    range_url: str = ""
    minimum_count: int = 1
    timeout: float = 2.0
    max_response: int = 1_000_000
    on_failure: str = "accept"

    def __post_init__(self) -> None:
        if self.on_failure not in ON_FAILURE:
            raise ValueError(f"on_failure must be one of {', '.join(ON_FAILURE)}")
        for name in ("minimum_count", "timeout", "max_response"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0")
        if self.range_url:
            _check_url(self.range_url)


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if not parts.hostname or parts.query or parts.fragment or parts.username is not None:
        raise ValueError("range_url must have the form https://HOST/PATH")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise ValueError("range_url must begin with https://; http:// is for this machine only")
