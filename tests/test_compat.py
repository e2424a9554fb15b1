"""The driver of the compatibility matrix, without an environment: recipes, axes, table."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from itertools import combinations, product
from pathlib import Path

import pytest
from compat import __main__ as driver, axes, earlier, report, tools
from compat.cell import Result
from compat.recipe import OWN_RECIPES, RecipeError, load

REPOSITORY = Path(__file__).parents[1]
RECIPES = sorted(OWN_RECIPES.glob("*.toml"))
CONTRACT = axes.Choice("1.1.0", "authhost_hookspecs-1.1.0-py3-none-any.whl")
TODAY = {
    "pluggy==1.7.*": "pluggy==1.7.0",
    "pluggy": "pluggy==1.7.0",
    "SQLAlchemy==2.0.*": "SQLAlchemy==2.0.58",
    "SQLAlchemy": "SQLAlchemy==2.1.9",
    "passlib==1.7.4": "passlib==1.7.4",
    "libpass": "libpass==1.9.4",
}
LATER = {
    **TODAY,
    "pluggy": "pluggy==1.8.1",
    "authhost-hookspecs==1.1.*": "authhost-hookspecs==1.1.3",
}


def axes_of(releases=TODAY, contract=CONTRACT):
    return axes.axes_of(axes.PYTHONS, releases.__getitem__, contract)


# Recipes.


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_names_what_there_is(path):
    recipe = load(path)
    project = tomllib.loads((recipe.folder / "pyproject.toml").read_text(encoding="utf-8"))
    assert recipe.plugin in project["project"]["entry-points"]["authhost"]
    for each in recipe.command:
        for file, name in re.findall(r"--deselect=(\S+)::(\w+)", each):
            tree = ast.parse((recipe.tests / file).read_text(encoding="utf-8"))
            assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
            assert file in recipe.copy


def test_each_plugin_of_this_repository_has_a_recipe():
    projects = {path.parent.resolve() for path in REPOSITORY.glob("plugins/*/pyproject.toml")}
    projects |= {path.parent.resolve() for path in REPOSITORY.glob("tests/third_party/*/pyproject.toml")}
    assert {load(path).folder.resolve() for path in RECIPES} == projects


def test_a_plugin_from_an_index(tmp_path):
    file = tmp_path / "somebody.toml"
    file.write_text(
        'plugin = "somebody"\nrequirement = "somebody-plugin>=1"\n'
        '[tests]\ncommand = ["python", "-m", "pytest", "--pyargs", "somebody_plugin"]\n'
        "[conformance.settings]\nloud = true\n"
    )
    recipe = load(file)
    assert (recipe.requirement, recipe.folder, recipe.copy) == ("somebody-plugin>=1", None, ())
    assert recipe.settings == {"loud": "true"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('requirement = "x"', 'plugin = "NAME"'),
        ('plugin = "x"', "either folder or requirement"),
        ('plugin = "x"\nrequirement = "x"\nfolder = "."', "either folder or requirement"),
        ('plugin = "x"\nfolder = "nowhere"', "there is no project in"),
        ('plugin = "x"\nrequirement = "x"\nnedds = ["y"]', "a recipe knows no 'nedds', but conformance,"),
        ('plugin = "x"\nrequirement = "x"\nneeds = "y"', "needs must be a list of texts"),
        ('plugin = "x"\nrequirement = "x"\n[tests]\ncopy = ["y"]', "[tests] needs a command"),
        ('plugin = "x"\nrequirement = "x"\n[tests]\ncopy = ["y"]\ncommand = ["z"]', "not from which folder"),
        (
            'plugin = "x"\nrequirement = "x"\n[tests]\nfolder = "."\ncopy = ["y"]\ncommand = ["z"]',
            "there is no y",
        ),
        ('plugin = "x"\nrequirement = "x"\n[conformance]\nset = 1', "[conformance] knows no 'set'"),
        ("plugin = ", "Invalid value"),
    ],
)
def test_a_recipe_that_cannot_be_followed_says_what_to_change(tmp_path, text, sentence):
    file = tmp_path / "x.toml"
    file.write_text(text)
    with pytest.raises(RecipeError, match=re.escape(sentence)) as raised:
        load(file)
    assert str(file) in str(raised.value)


# Axes.


def test_the_oldest_of_each_axis_is_what_the_host_asks_for():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = dict(re.match(r"([\w-]+)[^>]*>=([\d.]+)", each).groups() for each in project["dependencies"])
    for axis, why in (("pluggy", "oldest"), ("SQLAlchemy", "2.0"), ("contract", "oldest")):
        name, _, series = axes.WANTED[axis][why].partition("==")
        assert series == f"{asked[name]}.*"
    assert axes.WANTED["passlib"]["passlib"] == f"passlib=={asked['passlib']}"
    assert project["requires-python"] == f">={axes.PYTHONS[0]}"


def test_releases_that_are_the_same_today_are_one_and_it_is_said_why():
    today = axes_of()
    assert [len(choices) for choices in today.values()] == [3, 1, 2, 1, 2]
    assert today["pluggy"][0].why == today["contract"][0].why == ("oldest", "newest")
    assert today["contract"][0].requirement == CONTRACT.requirement
    assert len(axes.all_of(today)) == 12


def test_an_older_contract_comes_from_the_index_and_the_newest_from_here():
    later = axes_of(LATER, axes.Choice("1.2.0", "here.whl"))
    assert [(each.label, each.requirement) for each in later["contract"]] == [
        ("1.1.3", "authhost-hookspecs==1.1.3"),
        ("1.2.0", "here.whl"),
    ]
    assert [each.label for each in later["pluggy"]] == ["1.7.0", "1.8.1"]
    assert len(axes.all_of(later)) == 48


@pytest.mark.parametrize(("releases", "contract"), [(TODAY, "1.1.0"), (LATER, "1.1.0"), (LATER, "1.2.0")])
def test_each_two_values_meet_in_one_of_the_pairs(releases, contract):
    given = axes_of(releases, axes.Choice(contract, "here.whl"))
    chosen = axes.pairwise(given)
    for (one, values), (other, others) in combinations(given.items(), 2):
        for pair in product(values, others):
            assert any((each[one], each[other]) == pair for each in chosen), pair
    assert len(chosen) <= 7


def test_filters_take_a_series_a_release_or_what_it_is_for():
    every = axes.all_of(axes_of())
    assert len(axes.chosen(every, {"Python": ["3.12"], "SQLAlchemy": [], "passlib": []})) == 4
    assert len(axes.chosen(every, {"Python": ["3.11", "3.12"], "SQLAlchemy": ["2.0"]})) == 4
    assert len(axes.chosen(every, {"SQLAlchemy": ["newest"], "passlib": ["libpass"]})) == 3
    assert axes.chosen(every, {"SQLAlchemy": ["2.1.9"]}) == axes.chosen(every, {"SQLAlchemy": ["2.1"]})
    assert axes.chosen(every, {"Python": ["3.1"]}) == []


# What is there.


def test_a_missing_interpreter_is_named_with_its_cells(tmp_path, monkeypatch):
    other = tmp_path / "python3.11"
    other.write_text("#!/bin/sh\nexit 127\n")  # pyenv's, of a Python that is not chosen
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert tools.interpreter("3.11") is None
    assert tools.interpreter("3.12") is None
    found = {each: tools.interpreter(each) for each in ("3.11", "3.12")} | {"3.13": "/there"}
    assert driver.missing_pythons(found, axes.all_of(axes_of()), 8) == [
        f"SKIPPED: 32 cells of Python {each}: there is no python{each} on the path that runs"
        for each in ("3.11", "3.12")
    ]


def test_uv_is_told_what_pip_is_configured_to_do(monkeypatch):
    listed = """global.index-url='https://index.example/simple'
global.find-links='/one'
install.find-links='/one\\n/two'
global.extra-index-url='file:///a file:///b'
:env:.cert='/ca.pem'
global.timeout='9'"""

    class Done:
        stdout = listed

    for name in ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS", "UV_INDEX_STRATEGY", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(tools.subprocess, "run", lambda *args, **options: Done)
    settings = tools._uv_settings(tools._pip_settings())
    assert settings == {
        "UV_DEFAULT_INDEX": "https://index.example/simple",
        "UV_INDEX": "file:///a file:///b",
        "UV_FIND_LINKS": "/one,/two",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "SSL_CERT_FILE": "/ca.pem",
    }


# What is told.


def made_up(tmp_path):
    log = tmp_path / "cell.log"
    log.write_text("\n".join(f"line {number}" for number in range(100)))
    results = []
    for environment in axes.chosen(
        axes.all_of(axes_of()), {"Python": ["3.11", "3.13"], "passlib": ["libpass"]}
    ):
        labels = {axis: choice.label for axis, choice in environment.items()}
        results.append(Result("audit", labels, ran=["install", "tests", "conformance"], seconds=9.6, cpu=8.1))
        results.append(Result("mute", labels, ran=["install", "conformance"]))
    results[1].failed, results[1].log = ["tests: exit 1", "conformance: rollback, threads"], str(log)
    return results[:-1]


def test_the_table(tmp_path):
    results = made_up(tmp_path)
    assert report.table(axes_of(), results, ["SKIPPED: 8 cells of Python 3.12: ..."]).splitlines() == [
        "| Python | SQLAlchemy | passlib | audit | mute |",
        "| --- | --- | --- | --- | --- |",
        "| 3.11 | 2.0.58 | libpass 1.9.4 | passed | FAILED (tests: exit 1; conformance: rollback, threads) |",
        "| 3.11 | 2.1.9 | libpass 1.9.4 | passed | passed (no own tests) |",
        "| 3.13 | 2.0.58 | libpass 1.9.4 | passed | passed (no own tests) |",
        "| 3.13 | 2.1.9 | libpass 1.9.4 | passed | not run |",
        "",
        "pluggy: 1.7.0 (oldest and newest are the same release today)",
        "contract: 1.1.0 (oldest and newest are the same release today)",
        "SKIPPED: 8 cells of Python 3.12: ...",
    ]


def test_a_failed_cell_shows_the_end_of_its_log_and_where_it_is(tmp_path):
    failed = made_up(tmp_path)[1]
    assert report.line(failed, 2, 7).startswith("[2/7] mute: FAILED (tests: exit 1; conformance: rollback")
    *lines, where = report.tail(failed).splitlines()
    assert (lines[0], lines[-1]) == ("    line 70", "    line 99")
    assert where == f"    the whole log: {failed.log}"


def test_the_document(tmp_path):
    results = made_up(tmp_path)
    document = json.loads(json.dumps(report.document(axes_of(), results, ["SKIPPED"], 61.23)))
    assert document["passed"] is False
    assert document["seconds"] == 61.2
    assert document["left_out"] == ["SKIPPED"]
    assert [cell["passed"] for cell in document["cells"]] == [True, False, *[True] * 5]
    assert document["cells"][0]["environment"]["SQLAlchemy"] == "2.0.58"
    assert document["axes"]["pluggy"] == [{"label": "1.7.0", "why": ["oldest", "newest"]}]


def test_the_pre_release_of_pluggy_is_one_more_environment_that_may_fail(tmp_path):
    today = axes_of()
    assert axes.preview(today, "pluggy==1.7.0") is None
    found = axes.preview(today, "pluggy==1.8.0rc1")
    assert {axis: choice.label for axis, choice in found.items()} == {
        "Python": "3.13",
        "pluggy": "1.8.0rc1",
        "SQLAlchemy": "2.1.9",
        "contract": "1.1.0",
        "passlib": "passlib 1.7.4",
    }
    labels = {axis: choice.label for axis, choice in found.items()}
    cell = driver.Cell(tmp_path / "cell", load(RECIPES[0]), found, tools.Pip())
    assert cell.result.may_fail
    failed = Result("audit", labels, failed=["tests: exit 1"], ran=["install"], may_fail=True)
    [line] = report.previews([*made_up(tmp_path), failed])
    assert line == (
        "PRE-RELEASE pluggy 1.8.0rc1, audit: FAILED (tests: exit 1); the run does not fail with it, "
        "but the next release of pluggy will"
    )
    assert "FAILED" not in report.table(today, [failed], [])
    assert report.document(today, [failed], [], 1)["passed"]


def test_cells_with_an_earlier_contract_are_named_with_their_versions():
    labels = {axis: choices[-1].label for axis, choices in axes_of().items()}
    old = Result("doorbook", labels, ran=["install", "tests"], versions="built for contract 1.0")
    assert report.earlier([old, Result("audit", labels)]) == ["built for contract 1.0, doorbook: passed"]
    assert "doorbook: passed; built for contract 1.0; Python" in report.line(old, 1, 1)
    assert "passed" not in report.table(axes_of(), [old], [])


def test_the_metadata_of_a_plugin_say_whether_it_allows_contract_1_0():
    folders = {path.stem: load(path).folder for path in RECIPES}
    assert earlier.allows(folders["doorbook"], "1.0")
    assert not earlier.allows(folders["breached_passwords"], "1.0")


@pytest.mark.parametrize("newest", ["pluggy==1.7.0", "pluggy==1.8.0rc1", None])
@pytest.mark.parametrize(("failed", "code"), [(False, 0), (True, 1)])
def test_it_ends_with_1_where_a_cell_failed(tmp_path, monkeypatch, capsys, failed, code, newest):
    def run(cells, pythons, wheels, jobs):
        for cell in cells:
            cell.result.ran = ["install", "conformance"]
        cells[0].result.failed = ["tests: exit 1"] if failed else []
        for cell in cells:
            if cell.result.may_fail:
                cell.result.failed = ["tests: exit 1"]
        return [cell.result for cell in cells]

    wheels = driver.Wheels(tmp_path / "authhost_hookspecs-1.1.0-py3-none-any.whl", tmp_path / "host.whl", {})
    monkeypatch.setattr(driver, "run", run)
    monkeypatch.setattr(driver, "_wheels", lambda *given: wheels)

    def prerelease_of(name):
        if newest is None:
            raise LookupError("no index answers")
        return newest

    monkeypatch.setattr(driver, "release_of", TODAY.__getitem__)
    monkeypatch.setattr(driver, "prerelease_of", prerelease_of)
    monkeypatch.setattr(driver, "interpreter", lambda version: None if version == "3.12" else version)
    written = tmp_path / "compat.json"
    options = ["--home", str(tmp_path), "--only", "audit", "--json", str(written), "--sqlalchemy", "newest"]
    assert driver.main(options) == code
    told = capsys.readouterr().out
    assert "SKIPPED: 2 cells of Python 3.12" in told
    previews = newest == "pluggy==1.8.0rc1"
    assert re.search(rf"{4 + previews} cells in \d+ s, {int(failed)} failed, 1 Pythons left out", told)
    assert ("PRE-RELEASE pluggy 1.8.0rc1, audit: FAILED" in told) is previews
    assert ("SKIPPED: the pre-release of pluggy: " in told) is not previews
    assert json.loads(written.read_text())["passed"] is not failed
