"""Recipes: where a plugin comes from, and how it is tried."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OWN_RECIPES = Path(__file__).parent / "recipes"


class RecipeError(ValueError):
    """A recipe that cannot be followed."""


@dataclass(frozen=True)
class Recipe:
    """One plugin. Paths are relative to the recipe's file, in which they are written."""

    plugin: str
    """The name of its entry point."""
    folder: Path | None = None
    """Its project, of which a wheel is built."""
    requirement: str | None = None
    """What to install from an index in its place, such as ``somebody-plugin>=1``."""
    needs: tuple[str, ...] = ()
    """What its own tests need beside authhost[testing] and what the plugin itself requires."""
    tests: Path | None = None
    """The folder from which its own tests are copied."""
    copy: tuple[str, ...] = ()
    """Files and folders there."""
    command: tuple[str, ...] = ()
    """What runs them, in the folder with the copies."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """The plugin's settings for the conformance suite."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Environment variables; ``{cell}`` is a folder of the cell's own."""


def load(path: Path) -> Recipe:
    """Read a recipe; raises `RecipeError` with a sentence that says what to change."""
    try:
        with path.open("rb") as file:
            given = tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f"{path}: {error}") from None
    try:
        recipe = _read(given, path.parent)
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from None
    return recipe


def _read(given: dict[str, Any], here: Path) -> Recipe:
    top = _Table("", given)
    tests, conformance = top.table("tests"), top.table("conformance")
    plugin, folder, requirement = top.text("plugin"), top.text("folder"), top.text("requirement")
    if plugin is None:
        raise RecipeError('say which plugin it is: plugin = "NAME", the name of its entry point')
    if (folder is None) == (requirement is None):
        raise RecipeError("say where the plugin comes from: either folder or requirement")
    home = here / folder if folder is not None else None
    if home is not None and not (home / "pyproject.toml").is_file():
        raise RecipeError(f"there is no project in {home}")
    command, copy = tests.texts("command"), tests.texts("copy")
    source = tests.text("folder")
    where = here / source if source is not None else home
    if tests.given and not command:
        raise RecipeError('[tests] needs a command, such as ["python", "-m", "pytest"]')
    if copy and where is None:
        raise RecipeError("[tests] says what to copy, but not from which folder")
    for each in copy:
        if where is not None and not (where / each).exists():
            raise RecipeError(f"there is no {each} in {where}")
    recipe = Recipe(
        plugin=plugin,
        folder=home,
        requirement=requirement,
        needs=top.texts("needs"),
        tests=where if copy else None,
        copy=copy,
        command=command,
        settings=conformance.table("settings").values(),
        environment=top.table("environment").values(),
    )
    for table in (tests, conformance, top):
        table.nothing_else()
    return recipe


class _Table:
    """A table of the recipe that knows what was asked for."""

    def __init__(self, name: str, given: Any) -> None:
        if not isinstance(given, dict):
            raise RecipeError(f"{name} must be a table")
        self.name, self.given, self.asked = name, given, set[str]()

    def _get(self, key: str) -> Any:
        self.asked.add(key)
        return self.given.get(key)

    def text(self, key: str) -> str | None:
        value = self._get(key)
        if value is not None and not isinstance(value, str):
            raise RecipeError(f"{key} must be text")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._get(key) or []
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise RecipeError(f"{key} must be a list of texts")
        return tuple(value)

    def table(self, key: str) -> _Table:
        return _Table(key, self._get(key) or {})

    def values(self) -> dict[str, str]:
        return {
            key: str(value).lower() if isinstance(value, bool) else str(value)
            for key, value in self.given.items()
        }

    def nothing_else(self) -> None:
        for key in self.given.keys() - self.asked:
            place = f"[{self.name}] knows" if self.name else "a recipe knows"
            raise RecipeError(f"{place} no {key!r}, but {', '.join(sorted(self.asked))}")
