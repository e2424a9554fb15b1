"""A plugin that was built for contract 1.0 runs on this host; one that needs 1.1 is refused by the 1.0 host.

Contract 1.0, its host and its samples are built from the last commit that had them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from compat.history import export, last_commit_with

SAMPLES = ("allow_list", "doorbook", "geo_velocity", "new_device", "webhook")
BOTH = """
from authhost_hookspecs import Refused, extensions, hookimpl


class Greeter:
    @hookimpl
    def user_signed_up(self, request, user):
        print("greets", user.email)

    if hasattr(extensions, "check_password"):

        @hookimpl
        def check_password(self, request, password):
            if "teapot" in password:
                raise Refused("teapot", "No teapots, please.")


plugin = Greeter()
"""
"""A plugin that uses a hook of 1.1 where there is one. The 1.0 host knows no ``optionalhook``."""
OPTIONAL = """
from authhost_hookspecs import hookimpl


class Greeter:
    @hookimpl
    def user_signed_up(self, request, user):
        print("greets", user.email)

    @hookimpl(optionalhook=True)
    def hook_of_contract_1_9(self, request):
        raise AssertionError


plugin = Greeter()
"""
SIGNUP = """
from authhost import AuthHost, Settings
from authhost.errors import Vetoed

url = "sqlite:///greeter.sqlite3"
settings = Settings(secret_key="k" * 48, database_url=url, email_verification="none", plugins=("greeter",))
with AuthHost(settings, upgrade_database=True) as host:
    for password in ("green teapots sing at dawn", "seven quiet harbours in may"):
        try:
            with host.request() as request:
                host.account.signup(request, email=f"{password[:5]}@example.org", password=password)
        except Vetoed as error:
            print("refused", error.fields["plugin_code"])
"""


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """The files of the last commit with contract 1.0."""
    try:
        return export(last_commit_with("1.0"), tmp_path_factory.mktemp("contract-1.0"))
    except LookupError as error:
        pytest.skip(str(error))


def install(*projects, into):
    """Install projects into a folder, which precedes what is installed if it is in PYTHONPATH."""
    uv = shutil.which("uv")
    pip = (
        [uv, "pip", "install", "--python", sys.executable] if uv else [sys.executable, "-m", "pip", "install"]
    )
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--target", str(into)]
    command = [*pip, *options, *map(str, projects)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "No module named pip" in done.stderr:
        pytest.skip("SKIPPED: this environment has no pip, which builds the plugins")
    assert done.returncode == 0, done.stderr
    return into


@pytest.fixture(scope="module")
def old_host(old, tmp_path_factory):
    """A folder with contract 1.0 and its host."""
    return install(old / "hookspecs", old, into=tmp_path_factory.mktemp("old-host"))


def python(*arguments, path, cwd, **variables):
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AUTHHOST_", "PYTEST"))}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**kept, "PYTHONPATH": os.pathsep.join(map(str, path)), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "sample",
    [each if each == "doorbook" else pytest.param(each, marks=pytest.mark.long) for each in SAMPLES],
)
def test_a_plugin_built_for_1_0_runs_on_this_host(old, tmp_path, sample):
    """Its own tests, from the same commit, pass on the current host."""
    project = old / "tests" / "third_party" / sample
    site = install(project, into=tmp_path / "site")
    for name in ("pyproject.toml", "tests"):
        copy = shutil.copytree if (project / name).is_dir() else shutil.copy
        copy(project / name, tmp_path / name)
    book = str(tmp_path / "book.jsonl")
    passed = python("-m", "pytest", "-q", "-p", "no:cacheprovider", path=[site], cwd=tmp_path, DOORBOOK=book)
    assert " passed" in passed
    assert "failed" not in passed


def plugins(path, cwd):
    listed = python("-m", "authhost.cli", "plugins", "list", "--json", path=path, cwd=cwd)
    return {each["name"]: each for each in map(json.loads, listed.splitlines())}


def test_a_plugin_that_needs_1_1_is_refused_by_the_1_0_host(old_host, tmp_path):
    """The 1.0 host explains it, whichever way the plugin got there: pip would not install it."""
    site = install(Path(__file__).parents[1] / "plugins" / "breached_passwords", into=tmp_path / "site")
    found = plugins([old_host, site], tmp_path)["breached_passwords"]
    assert found["status"] == "refused"
    assert found["reason"] == (
        "it needs contract <2,>=1.1, this host has 1.0; install a release of the plugin for this contract"
    )


@pytest.fixture
def release(tmp_path):
    """Install a plugin that allows every contract 1.x; return its folder."""

    def release(source):
        info = tmp_path / "site" / "greeter-1.0.dist-info"
        info.mkdir(parents=True)
        (tmp_path / "site" / "greeter.py").write_text(source)
        (info / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: greeter\nVersion: 1.0\nRequires-Dist: authhost-hookspecs>=1.0,<2\n"
        )
        (info / "entry_points.txt").write_text("[authhost]\ngreeter = greeter:plugin\n")
        return tmp_path / "site"

    return release


def test_one_release_serves_both(old_host, release, tmp_path):
    """A hook of 1.1 that is defined where the contract has it: the 1.0 host does not see it."""
    site = release(BOTH)
    greeted = ["greets green@example.org", "greets seven@example.org"]
    assert python("-c", SIGNUP, path=[old_host, site], cwd=tmp_path).splitlines() == greeted
    (tmp_path / "greeter.sqlite3").unlink()
    assert python("-c", SIGNUP, path=[site], cwd=tmp_path).splitlines() == ["refused teapot", greeted[1]]


def test_this_host_ignores_an_optional_hook_of_a_newer_contract(release, tmp_path):
    site = release(OPTIONAL)
    assert len(python("-c", SIGNUP, path=[site], cwd=tmp_path).splitlines()) == 2


def test_the_1_0_host_refuses_an_optional_hook_of_1_1(old_host, release, tmp_path):
    """So ``optionalhook`` serves hosts since 0.2. This cannot be changed any more, and is documented."""
    found = plugins([old_host, release(OPTIONAL)], tmp_path)["greeter"]
    assert (found["status"], "there is no hook" in found["reason"]) == ("refused", True)


def test_the_commit_of_an_unknown_version():
    try:
        last_commit_with("1.0")
    except LookupError as error:
        pytest.skip(str(error))
    with pytest.raises(LookupError, match=r"no commit with contract 0\.7"):
        last_commit_with("0.7")
