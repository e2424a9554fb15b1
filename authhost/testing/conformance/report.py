"""The results of the suite, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: what is wrong and what to do, in one sentence. A ``note`` does not fail the check."""

    message: str
    hook: str | None = None
    where: str | None = None
    """File and line, if they are known."""
    note: bool = False
    also: tuple[str, ...] = ()
    """The other hooks or flows in which the same fault shows."""
    cause: str = ""
    """Faults with the same cause and location are one fault. Default: the message."""
    shows_in: str = ""
    """The flow in which it shows, if it is not about a hook."""

    def __str__(self) -> str:
        location = f" ({self.where})" if self.where else ""
        also = f"; also in {', '.join(self.also)}" if self.also else ""
        return f"{self.hook + ': ' if self.hook else ''}{self.message}{also}{location}"


def merged(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """Faults without repetitions. One that shows in several hooks or flows is one fault and names them."""
    first: dict[tuple[str, str | None, bool], Fault] = {}
    others: dict[tuple[str, str | None, bool], dict[str, None]] = {}
    for fault in faults:
        key = (fault.cause or fault.message, fault.where, fault.note)
        known = first.setdefault(key, fault)
        place = fault.shows_in or fault.hook
        if place is not None and place != (known.shows_in or known.hook):
            others.setdefault(key, {})[place] = None
    return tuple(replace(fault, also=tuple(others.get(key, ()))) for key, fault in first.items())


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of one check."""

    check: str
    asks: str
    """What the contract asks."""
    outcome: str
    """``passed``, ``failed`` or ``skipped``."""
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class HookTime:
    """How long the calls of one hook took, in microseconds."""

    hook: str
    calls: int
    mean: float
    most: float
    """The slowest call."""


@dataclass(frozen=True, slots=True)
class Report:
    """The results of all checks of one plugin."""

    plugin: str
    distribution: str | None
    version: str | None
    verdicts: tuple[Verdict, ...]
    times: tuple[HookTime, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return all(verdict.outcome != "failed" for verdict in self.verdicts)

    def as_document(self) -> dict[str, Any]:
        """The report as values that JSON can represent."""
        return {"passed": self.passed, **asdict(self, dict_factory=_without_keys_of_merging)}


def _without_keys_of_merging(items: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value for name, value in items if name not in ("cause", "shows_in")}
