"""Cells in which contract 1.0 and its host, built from the history, meet the plugins of today."""

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
    """Two cells for each plugin that allows contract 1.0; without the history, none and the reason."""
    chosen = [each for each in recipes if each.folder is not None and allows(each.folder, CONTRACT)]
    if not chosen:
        return [], []
    source = home / "earlier"
    shutil.rmtree(source, ignore_errors=True)
    try:
        export(last_commit_with(CONTRACT), source)
    except LookupError as error:
        return [], [str(error)]
    contract = build(maker, source / "hookspecs", home / "wheels" / "earlier-contract")
    host = build(maker, source, home / "wheels" / "earlier-host")
    then = {**environment, "contract": Choice(contract.name.split("-")[1], str(contract))}
    recipes_then = {each.plugin: each for each in map(load, (source / "tests/compat/recipes").glob("*.toml"))}
    found = []
    for recipe in chosen:
        name = recipe.plugin
        # The tests of today use the testing kit of today, so the suite of then is what is run.
        found.append(
            Cell(
                home / "cells" / f"{name}-on-{CONTRACT}",
                replace(recipe, tests=None, copy=(), command=()),
                then,
                maker,
                wheels=Wheels(contract, host, wheels.plugins),
                versions=f"contract {CONTRACT} and its host",
            )
        )
        old = recipes_then.get(name)
        if old is None or old.folder is None:
            continue
        plugin = build(maker, old.folder, home / "wheels" / f"earlier-{name}")
        found.append(
            Cell(
                home / "cells" / f"{name}-of-{CONTRACT}",
                old,
                environment,
                maker,
                wheels=Wheels(wheels.contract, wheels.host, {name: plugin}),
                versions=f"built for contract {CONTRACT}",
            )
        )
    return found, []


def allows(folder: Path, contract: str) -> bool:
    """Whether the metadata of a plugin's project allow a version of the contract."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needs = map(Requirement, project.get("dependencies", ()))
    return all(each.specifier.contains(contract) for each in needs if each.name == "authhost-hookspecs")
