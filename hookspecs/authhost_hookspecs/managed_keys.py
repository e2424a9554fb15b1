"""Keys of plugins, for ``authhost keys``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from authhost_hookspecs.declarations import KeyStatus
from authhost_hookspecs.protocols import Host


@dataclass(frozen=True, slots=True)
class KeyState:
    """One key, as ``authhost keys list`` shows it.

    ``fingerprint`` is a short text that distinguishes keys, never the key or a part of it.
    ``active`` is the key that encrypts or signs, ``upcoming`` one that is only accepted yet,
    ``former`` one that is still accepted, and ``missing`` one that stored values need and the
    settings do not have. ``values`` is how many stored values need the key, or None if that
    cannot be counted. ``to_do`` is a sentence for the operator; empty if there is nothing to do.
    """

    fingerprint: str
    status: KeyStatus
    values: int | None = None
    created: datetime | None = None
    to_do: str = ""


@dataclass(frozen=True, slots=True)
class KeyChange:
    """One phase of the change of a key, for ``authhost keys rotate``. The repr contains no key.

    ``settings`` are the new values of settings: of a plugin, a text each; an empty one removes the
    setting. ``later`` says what the operator does next. ``question`` is asked before the change;
    without one it is made at once.
    """

    phase: str
    settings: Mapping[str, str | tuple[str, ...]] = field(repr=False, hash=False)
    later: str = ""
    question: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", MappingProxyType(dict(self.settings)))


@dataclass(frozen=True, slots=True)
class ManagedKey:
    """A setting with a key that operators change with ``authhost keys``.

    ``used_for`` is a short text. ``states`` yields the key and the former and upcoming ones.
    ``change`` gets the host and the name of a phase, or None for the next one, and returns the
    change. It writes nothing. It raises ``ValueError`` with a sentence for the operator if that
    phase is not possible now.
    """

    setting: str
    used_for: str
    states: Callable[[Host], Iterable[KeyState]]
    change: Callable[[Host, str | None], KeyChange]
