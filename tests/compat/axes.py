"""The axes of the matrix, and which of their combinations are run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product

PYTHONS = ("3.11", "3.12", "3.13")
WANTED: Mapping[str, Mapping[str, str]] = {
    "pluggy": {"oldest": "pluggy==1.7.*", "newest": "pluggy"},
    "SQLAlchemy": {"2.0": "SQLAlchemy==2.0.*", "newest": "SQLAlchemy"},
    "contract": {"oldest": "authhost-hookspecs==1.1.*", "newest": "authhost-hookspecs"},
    "passlib": {"passlib": "passlib==1.7.4", "libpass": "libpass"},
}
"""What is asked of the index, by axis and by what the value is for."""
PRE_RELEASE = "pre-release"
"""What a value stands for that may fail without failing the run."""


@dataclass(frozen=True)
class Choice:
    """One value of an axis: a version, and what is installed for it."""

    label: str
    requirement: str
    why: tuple[str, ...] = ()
    """For what it stands, such as ``oldest``; several where they are the same release today."""


Environment = Mapping[str, Choice]
"""A choice by axis."""
Axes = Mapping[str, Sequence[Choice]]
Filters = Mapping[str, Sequence[str]]


def axes_of(pythons: Iterable[str], release_of: Callable[[str], str], contract: Choice) -> Axes:
    """The axes of today. ``release_of`` pins a requirement: ``SQLAlchemy==2.0.*`` to ``SQLAlchemy==2.0.58``.

    ``contract`` is the one of this repository. Equal values become one.
    """
    axes: dict[str, list[Choice]] = {"Python": [Choice(each, each) for each in pythons]}
    for axis, wanted in WANTED.items():
        found: dict[str, Choice] = {}
        for why, requirement in wanted.items():
            choice = _choice(requirement, release_of, contract if axis == "contract" else None)
            known = found.get(choice.label)
            found[choice.label] = Choice(
                choice.label, choice.requirement, (*(known.why if known else ()), why)
            )
        axes[axis] = list(found.values())
    return axes


def _choice(requirement: str, release_of: Callable[[str], str], contract: Choice | None) -> Choice:
    if contract is not None:
        series = requirement.partition("==")[2].removesuffix("*")
        if contract.label.startswith(series):
            return contract
    pinned = release_of(requirement)
    name, _, version = pinned.partition("==")
    return Choice(f"{name} {version}" if name in WANTED["passlib"] else version, pinned)


def preview(axes: Axes, pinned: str) -> Environment | None:
    """The newest of everything with a pre-release of pluggy; None where it is the newest release itself."""
    choice = _choice(pinned, lambda requirement: requirement, None)
    if any(choice.label == each.label for each in axes["pluggy"]):
        return None
    newest = {axis: choices[-1] for axis, choices in axes.items()}
    return {**newest, "passlib": axes["passlib"][0], "pluggy": replace(choice, why=(PRE_RELEASE,))}


def all_of(axes: Axes) -> list[Environment]:
    """Each combination."""
    return [dict(zip(axes, each, strict=True)) for each in product(*axes.values())]


def pairwise(axes: Axes) -> list[Environment]:
    """A few combinations, in which each value meets each value of each other axis at least once.

    The next one is always the one with the most pairs that are still missing.
    """
    left = all_of(axes)
    missing = set().union(*map(_pairs, left))
    chosen = []
    while missing:
        best = max(left, key=lambda each: len(missing & _pairs(each)))
        chosen.append(best)
        missing -= _pairs(best)
    return sorted(chosen, key=left.index)


def _pairs(environment: Environment) -> set[frozenset[tuple[str, Choice]]]:
    return {frozenset(pair) for pair in combinations(environment.items(), 2)}


def chosen(environments: Iterable[Environment], filters: Mapping[str, Sequence[str]]) -> list[Environment]:
    """Those that have a value of each filter; ``2.0`` is any release of that series."""

    def fits(choice: Choice, wanted: str) -> bool:
        names = (choice.label, choice.label.rpartition(" ")[2], *choice.why)
        return any(name == wanted or name.startswith(f"{wanted}.") for name in names)

    return [
        each
        for each in environments
        if all(any(fits(each[axis], one) for one in wanted) for axis, wanted in filters.items() if wanted)
    ]
