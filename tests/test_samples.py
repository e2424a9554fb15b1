"""The plugins below third_party are what a stranger would publish: they know the contract alone."""

from __future__ import annotations

import ast
import re
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

HOME = Path(__file__).parent / "third_party"
SAMPLES = sorted(path.parent for path in HOME.glob("*/pyproject.toml"))
PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "samples.md"

each_sample = pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)


def project_of(sample):
    return tomllib.loads((sample / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def modules_of(sample):
    return [path for path in sample.rglob("*.py") if "tests" not in path.relative_to(sample).parts]


def test_there_are_samples():
    assert len(SAMPLES) >= 5


@each_sample
def test_it_depends_on_the_contract_and_not_on_the_host(sample):
    needed = {each.name: each for each in map(Requirement, project_of(sample)["dependencies"])}
    assert [name for name in needed if name.startswith("authhost")] == ["authhost-hookspecs"]
    supported = [Requirement(f"authhost-hookspecs>={version},<2").specifier for version in ("1.0", "1.1")]
    assert needed["authhost-hookspecs"].specifier in supported


@each_sample
def test_its_entry_point_names_something_that_it_ships(sample):
    [(name, target)] = project_of(sample)["entry-points"]["authhost"].items()
    module, _, attribute = target.partition(":")
    assert (sample / module).is_dir() or (sample / f"{module}.py").is_file()
    assert attribute == "plugin"
    source = "".join(path.read_text(encoding="utf-8") for path in modules_of(sample))
    for table in re.findall(r'\bTable\(\s*"(\w+)"', source):
        assert table.startswith(f"authhost_{name}_")


@each_sample
def test_it_imports_what_it_declares_and_nothing_else(sample):
    declared = {Requirement(text).name for text in project_of(sample)["dependencies"]}
    imported = set()
    for path in modules_of(sample):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {each.name.partition(".")[0] for each in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").partition(".")[0])
    own = {path.stem for path in sample.iterdir()}
    foreign = imported - set(sys.stdlib_module_names) - own
    assert foreign == {name.lower().replace("-", "_") for name in declared}


@each_sample
def test_it_is_in_the_table_of_samples(sample):
    assert f"({sample.name})" in (HOME / "README.md").read_text(encoding="utf-8")


def test_what_the_page_shows_stands_in_the_samples():
    sources = "\n".join(path.read_text(encoding="utf-8") for sample in SAMPLES for path in modules_of(sample))
    shown = re.findall(r"```py\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(shown) >= 4
    for block in shown:
        for part in block.split("\n\n"):
            part = part.strip("\n")
            indented = (textwrap.indent(part, depth) for depth in ("", " " * 4, " " * 8))
            assert any(each in sources for each in indented), part
