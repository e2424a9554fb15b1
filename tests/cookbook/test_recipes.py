"""What is asked of every recipe: a test, types, form, a place in the table, and the conformance suite."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cookbook import recipes

ROOT = Path(__file__).parents[2]
ALLOWED = {"authhost_hookspecs", "sqlalchemy", "alembic", *sys.stdlib_module_names}
RECIPES = recipes.read()


def test_there_is_a_recipe_for_each_receiver():
    assert len(RECIPES) >= 24


def test_each_recipe_has_a_test():
    assert list(recipes.untested(RECIPES)) == []


def test_index_names_each_recipe():
    links = re.findall(r"\]\(([\w-]+\.md)#([\w-]+)\)", (recipes.FOLDER / "index.md").read_text("utf-8"))
    titles = {
        (page.name, re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-"))
        for page in recipes.FOLDER.glob("*.md")
        for title in re.findall(r"^## (.*)$", page.read_text("utf-8"), re.MULTILINE)
        if page.name != "index.md"
    }
    assert set(links) == titles


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_imports_only_the_contract(name):
    for source in RECIPES[name].files.values():
        for node in ast.walk(ast.parse(source)):
            modules = [node.module] if isinstance(node, ast.ImportFrom) else []
            modules += [each.name for each in node.names] if isinstance(node, ast.Import) else []
            assert {str(each).partition(".")[0] for each in modules} <= ALLOWED


def test_recipes_are_typed(all_recipes):
    pytest.importorskip("mypy", reason="SKIPPED: `nox -s typing` has mypy")
    _, folder = all_recipes
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={ROOT}/.mypy_cache"]
    checked = subprocess.run([*command, "."], cwd=folder, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def test_recipes_are_linted(all_recipes):
    ruff = shutil.which("ruff", path=Path(sys.executable).parent) or shutil.which("ruff")
    if ruff is None:
        pytest.skip("SKIPPED: `nox -s typing` has ruff")
    _, folder = all_recipes
    # S310: the URLs are settings of the operator.
    for command in (["check", "--ignore=S310"], ["format", "--check"]):
        checked = subprocess.run(
            [ruff, *command, f"--config={ROOT}/pyproject.toml", "--no-cache", "."],
            cwd=folder,
            capture_output=True,
            text=True,
        )
        assert checked.returncode == 0, checked.stdout
