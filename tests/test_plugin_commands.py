"""``authhost plugins``: a project is written, checked, explained and measured."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner

from authhost.cli.main import LAZY_COMMANDS, cli
from authhost.testing.conformance import runner
from authhost.testing.conformance.checks.declarations import HOST_COMMANDS


@pytest.fixture(scope="module")
def doorbell(tmp_path_factory):
    """The project that `authhost plugins new` writes, built as a wheel and installed into a folder."""
    home = tmp_path_factory.mktemp("scaffold")
    result = CliRunner().invoke(cli, ["plugins", "new", "doorbell", "--directory", str(home)])
    assert result.exit_code == 0, result.output
    project = home / "authhost-doorbell"
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps"]
    target = ["--no-build-isolation", "--target", str(home / "site"), str(project)]
    subprocess.run([*install, *target], check=True, capture_output=True)
    return project, {**os.environ, "PYTHONPATH": str(home / "site")}


def test_a_new_project_passes_its_own_tests_and_the_suite_at_once(doorbell):
    project, environment = doorbell
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--authhost-conformance",
            "doorbell",
        ],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"22 passed(?! .*warning)", done.stdout), done.stdout


def test_a_new_project_is_typed(doorbell):
    pytest.importorskip("mypy")
    project, environment = doorbell
    command = [sys.executable, "-m", "mypy", "authhost_doorbell"]
    subprocess.run(command, cwd=project, env=environment, check=True, capture_output=True)


def test_a_project_is_not_overwritten_and_a_name_has_to_fit(doorbell, tmp_path):
    project, _ = doorbell
    for name, folder, sentence in (
        ("doorbell", project.parent, "already exists"),
        ("Door-bell", tmp_path, "use lower-case letters, digits and single _"),
        ("../evil", tmp_path, "use lower-case letters, digits and single _"),
    ):
        result = CliRunner().invoke(cli, ["plugins", "new", name, "--directory", str(folder)])
        assert result.exit_code == 1
        assert sentence in result.output
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def site(doorbell, monkeypatch):
    """Makes the project importable in this process. Its checks are those that these tests need."""
    folder = doorbell[0].parent / "site"
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(runner, "CHECKS", {each: runner.CHECKS[each] for each in ("accepted", "failures")})
    monkeypatch.setattr("faulthandler.enable", lambda: None)  # it needs a real standard error
    yield folder
    _forget_doorbell()


def _forget_doorbell():
    for name in [each for each in sys.modules if each.partition(".")[0] == "authhost_doorbell"]:
        del sys.modules[name]
    importlib.invalidate_caches()


def test_check_tells_what_to_mend(site):
    module = site / "authhost_doorbell" / "__init__.py"
    good = module.read_text()
    result = CliRunner().invoke(cli, ["plugins", "check", "doorbell"])
    assert (result.exit_code, "authhost-doorbell 0.1.0: keeps the contract" in result.stdout) == (0, True)
    _forget_doorbell()
    module.write_text(good.replace("user.id)", "user.emial)").replace("request.on_commit(lambda: ", "(", 1))
    try:
        result = CliRunner().invoke(cli, ["plugins", "check", "doorbell", "--json"])
    finally:
        module.write_text(good)
    document = json.loads(result.stdout)
    assert (result.exit_code, document["passed"]) == (1, False)
    failed = {each["check"]: each["faults"] for each in document["verdicts"] if each["outcome"] == "failed"}
    assert "'User' object has no attribute 'emial'" in failed["failures"][0]["message"]
    assert failed["failures"][0]["hook"] == "user_signed_up"
    assert failed["failures"][0]["where"].startswith("__init__.py:")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["check", "nobody"], "no installed plugin is named 'nobody'"),
        (["check", "audit", "--set", "recording"], "must have the form KEY=VALUE"),
        (["new", "door_"], "'door_' cannot be the name of a plugin"),
        (["why", "user_loged_in"], "there is no hook 'user_loged_in'"),
    ],
)
def test_wrong_words(arguments, sentence):
    result = CliRunner().invoke(cli, ["plugins", *arguments])
    assert result.exit_code != 0
    assert sentence in result.output


def test_pytest_names_a_plugin_that_is_not_there(tmp_path):
    command = [sys.executable, "-m", "pytest", "-q", "--authhost-conformance", "nobody", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no installed plugin is named 'nobody'" in done.stdout


def test_why(monkeypatch):
    pytest.importorskip("authhost_audit")
    monkeypatch.setenv("AUTHHOST_REQUIRED_PLUGINS", "audit")
    result = CliRunner().invoke(cli, ["plugins", "why", "user_logged_in", "--json"])
    rows = [json.loads(line) for line in result.output.splitlines()]
    assert [row["plugin"] for row in rows] == sorted(row["plugin"] for row in rows)
    audit = next(row for row in rows if row["plugin"] == "audit")
    assert (audit["why"], audit["failure"]) == ("by its name", "ends the flow: the plugin is required")


def test_why_tells_of_places_and_wrappers(monkeypatch, make_host):
    from authhost_hookspecs import hookimpl

    from authhost.cli import plugins

    class First:
        @hookimpl(tryfirst=True)
        def user_logged_in(self): ...

    class Last:
        @hookimpl(trylast=True)
        def user_logged_in(self): ...

    class Around:
        @hookimpl(wrapper=True)
        def user_logged_in(self):
            return (yield)

    host = make_host({"a_last": Last(), "b_around": Around(), "c_first": First()})
    monkeypatch.setattr(plugins.LazyHost, "registry", lambda self: host.registry)
    result = CliRunner().invoke(cli, ["plugins", "why", "user_logged_in", "--json"])
    rows = [json.loads(line) for line in result.output.splitlines()]
    assert [(row["plugin"], row["why"]) for row in rows] == [
        ("b_around", "wraps all that follow, by its name"),
        ("c_first", "asks to be first (tryfirst)"),
        ("recorder", "by its name"),
        ("a_last", "asks to be last (trylast)"),
    ]


def test_time():
    pytest.importorskip("authhost_audit")
    result = CliRunner().invoke(cli, ["plugins", "time", "--rounds", "1", "--json"])
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    mine = {row["hook"]: row["calls"] for row in rows if row["plugin"] == "audit"}
    assert mine["user_logged_in"] == 8
    assert all(row["failures"] == 0 for row in rows)


def test_the_suite_knows_the_hosts_own_commands():
    assert {*LAZY_COMMANDS, *cli.commands} == HOST_COMMANDS
