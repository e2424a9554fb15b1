"""The results of the suite, for people and for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: what is wrong and what to do, in one sentence. A ``note`` does not fail the check."""

    message: str
    hook: str | None = None
    where: str | None = None
    """File and line, if they are known."""
    note: bool = False

    def __str__(self) -> str:
        location = f" ({self.where})" if self.where else ""
        return f"{self.hook + ': ' if self.hook else ''}{self.message}{location}"


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
        return {"passed": self.passed, **asdict(self)}
