"""The command: ``python -m compat``, with ``tests`` on the path. ``nox -s plugin_compat`` calls it."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from compat import axes, earlier, report
from compat.cell import Cell, Result, Wheels
from compat.recipe import OWN_RECIPES, Recipe, RecipeError, load
from compat.tools import Tool, build, interpreter, prerelease_of, release_of, tool

REPOSITORY = Path(__file__).parents[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cells; 1 where one failed."""
    given = _parser().parse_args(arguments)
    started = time.monotonic()
    try:
        recipes = _recipes(given.recipe, given.only)
        maker = tool(given.tool)
        home = given.home.resolve()
        wheels = _wheels(maker, recipes, home / "wheels")
        contract = axes.Choice(wheels.contract.name.split("-")[1], str(wheels.contract))
        today = axes.axes_of(axes.PYTHONS, release_of, contract)
    except (RecipeError, LookupError) as error:
        sys.exit(str(error))
    environments = axes.pairwise(today) if given.pairs else axes.all_of(today)
    filters = {"Python": given.python, "SQLAlchemy": given.sqlalchemy, "passlib": given.passlib}
    environments = axes.chosen(environments, filters)
    if not environments:
        sys.exit("no environment fits; leave out --python, --sqlalchemy or --passlib")
    preview, why_not = _preview(today, filters)
    newest = {**environments[-1], "passlib": today["passlib"][0]}  # the 1.0 host knows no fork of it
    environments += preview

    pythons = {each: interpreter(each) for each in dict.fromkeys(env["Python"].label for env in environments)}
    missing = missing_pythons(pythons, environments, len(recipes))
    missing += why_not
    for each in missing:
        print(each, flush=True)
    cells = [
        Cell(home / "cells" / f"{recipe.plugin}-{number}", recipe, environment, maker)
        for number, environment in enumerate(environments)
        if pythons[environment["Python"].label]
        for recipe in recipes
    ]
    if pythons[newest["Python"].label] and not given.recipe:
        more, why_not = earlier.cells(home, maker, recipes, newest, wheels)
        cells += more
        missing += why_not
        for each in why_not:
            print(each, flush=True)
    print(f"{len(cells)} cells with {maker.name}, {given.jobs} at once", flush=True)
    results = run(cells, pythons, wheels, given.jobs)
    seconds = time.monotonic() - started
    print("\n" + report.table(today, results, missing))
    print("\n".join([*report.previews(results), *report.earlier(results)]))
    failed = sum(not each.passed and not each.may_fail for each in results)
    left_out = sum(path is None for path in pythons.values())
    print(f"\n{len(results)} cells in {seconds:.0f} s, {failed} failed, {left_out} Pythons left out")
    if given.json:
        text = json.dumps(report.document(today, results, missing, seconds), indent=2)
        given.json.write_text(f"{text}\n", encoding="utf-8")
    return 1 if failed or not results else 0


def run(cells: Sequence[Cell], pythons: dict[str, str | None], wheels: Wheels, jobs: int) -> list[Result]:
    """Run the cells, some at once, and tell of each as it ends; the results are in the order of the cells."""
    with ThreadPoolExecutor(jobs) as pool:
        futures = {
            pool.submit(cell.run, str(pythons[cell.environment["Python"].label]), wheels): cell
            for cell in cells
        }
        try:
            for number, future in enumerate(as_completed(futures), 1):
                result = future.result()
                print(report.line(result, number, len(cells)), flush=True)
                if not result.passed:
                    print(report.tail(result), flush=True)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [cell.result for cell in cells]


def _preview(today: axes.Axes, filters: axes.Filters) -> tuple[list[axes.Environment], list[str]]:
    """The environment with pluggy's newest pre-release; without one, why."""
    try:
        pinned = prerelease_of("pluggy")
    except LookupError as error:
        return [], [f"SKIPPED: the pre-release of pluggy: {error}"]
    found = axes.preview(today, pinned)
    if found is None:
        return [], [f"SKIPPED: the pre-release of pluggy: there is none newer than {pinned}"]
    chosen = axes.chosen([found], filters)
    return chosen, [] if chosen else ["SKIPPED: the pre-release of pluggy: it was not asked for"]


def missing_pythons(
    pythons: dict[str, str | None], environments: Sequence[axes.Environment], plugins: int
) -> list[str]:
    """A sentence for each Python that is not there, with the number of cells that this leaves out."""
    counts = {
        each: sum(env["Python"].label == each for env in environments) * plugins
        for each, path in pythons.items()
        if path is None
    }
    return [
        f"SKIPPED: {count} cells of Python {each}: there is no python{each} on the path that runs"
        for each, count in counts.items()
    ]


def _recipes(paths: Sequence[Path], only: Sequence[str]) -> list[Recipe]:
    found = [load(path) for path in paths or sorted(OWN_RECIPES.glob("*.toml"))]
    names = [each.plugin for each in found]
    for each in only:
        if each not in names:
            raise RecipeError(f"no recipe is of the plugin {each!r}; there are: {', '.join(names)}")
    return [each for each in found if not only or each.plugin in only]


def _wheels(maker: Tool, recipes: Sequence[Recipe], home: Path) -> Wheels:
    """Build each distribution once."""

    return Wheels(
        contract=build(maker, REPOSITORY / "hookspecs", home / "contract"),
        host=build(maker, REPOSITORY, home / "host"),
        plugins={
            each.plugin: build(maker, each.folder, home / f"of-{each.plugin}")
            for each in recipes
            if each.folder
        },
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nox -s plugin_compat --", description=sys.modules["compat"].__doc__
    )
    add = parser.add_argument
    add("--only", action="append", default=[], metavar="PLUGIN", help="only this plugin; may be repeated")
    add("--python", action="append", default=[], metavar="3.12", help="only this Python; may be repeated")
    add("--sqlalchemy", action="append", default=[], metavar="2.0", help="only this SQLAlchemy")
    add("--passlib", action="append", default=[], metavar="libpass", help="only passlib, or only libpass")
    add("--pairs", action="store_true", help="only so many environments that each two values meet in one")
    add("--recipe", action="append", default=[], type=Path, metavar="FILE", help="this plugin, not ours")
    add("--jobs", type=int, default=2, metavar="N", help="cells at once (2)")
    add("--tool", choices=("uv", "pip"), help="what makes environments (uv, where it is)")
    add("--json", type=Path, metavar="FILE", help="write the results to this file, too")
    add("--home", type=Path, default=Path(".compat"), metavar="FOLDER", help="where wheels and cells go")
    return parser


if __name__ == "__main__":
    sys.exit(main())
