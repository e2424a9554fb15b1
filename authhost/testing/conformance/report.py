"""What the suite found, for people and for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, where, and what to do, in a sentence. A ``note`` fails nothing."""

    message: str
    hook: str | None = None
    where: str | None = None
    """File and line, as far as they are known."""
    note: bool = False

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        return f"{self.hook + ': ' if self.hook else ''}{self.message}{place}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One check: ``passed``, ``failed`` or ``skipped``."""

    check: str
    asks: str
    """What the contract asks for."""
    outcome: str
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class HookTime:
    """How long a hook took, in microseconds."""

    hook: str
    calls: int
    mean: float
    most: float


@dataclass(frozen=True, slots=True)
class Report:
    """All checks of one plugin."""

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
        """The same as values of JSON."""
        return {"passed": self.passed, **asdict(self)}
