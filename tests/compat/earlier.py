"""Cells that test contract 1.0 and its host, built from the history, with the current plugins."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from packaging.requirements import Requirement

from compat.axes import Choice, Environment
from compat.cell import Cell, Wheels
from compat.history import export, last_commit_with
from compat.recipe import Recipe, load
from compat.tools import Tool, build

CONTRACT = "1.0"


def cells(
    home: Path, maker: Tool, recipes: Sequence[Recipe], environment: Environment, wheels: Wheels
) -> tuple[list[Cell], list[str]]:
    """Return the cells of plugins by others; without the history, no cell and the reason.

    A plugin that was built for contract 1.0 is tested on the current host. A current plugin is
    tested on contract 1.0 and its host, if its metadata allow 1.0.
    """
    chosen = [
        each for each in recipes if each.folder is not None and each.folder.parent.name == "third_party"
    ]
    if not chosen:
        return [], []
    source = home / "earlier"
    shutil.rmtree(source, ignore_errors=True)
    try:
        export(last_commit_with(CONTRACT), source)
    except LookupError as error:
        return [], [str(error)]
    contract = build(maker, source / "hookspecs", home / "wheels" / "earlier-contract")
    old_host = Wheels(contract, build(maker, source, home / "wheels" / "earlier-host"), wheels.plugins)
    then = {**environment, "contract": Choice(contract.name.split("-")[1], str(contract))}
    recipes_then = {each.plugin: each for each in map(load, (source / "tests/compat/recipes").glob("*.toml"))}
    found = []
    for recipe in chosen:
        name = recipe.plugin
        if recipe.folder is not None and allows(recipe.folder, CONTRACT):
            # The plugin's own tests use the current testing kit, so only the suite of the old commit runs.
            without_tests = replace(recipe, tests=None, copy=(), command=())
            place, versions = home / "cells" / f"{name}-on-earlier", f"contract {CONTRACT} and its host"
            found.append(Cell(place, without_tests, then, maker, wheels=old_host, versions=versions))
        old = recipes_then.get(name)
        if old is not None and old.folder is not None:
            plugin = build(maker, old.folder, home / "wheels" / f"earlier-{name}")
            new_host = Wheels(wheels.contract, wheels.host, {name: plugin})
            place, versions = home / "cells" / f"{name}-of-earlier", f"built for contract {CONTRACT}"
            found.append(Cell(place, old, environment, maker, wheels=new_host, versions=versions))
    return found, []


def allows(folder: Path, contract: str) -> bool:
    """Return whether the metadata of a plugin's project allow a version of the contract."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needs = map(Requirement, project.get("dependencies", ()))
    return all(each.specifier.contains(contract) for each in needs if each.name == "authhost-hookspecs")
