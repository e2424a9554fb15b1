"""Interpreters, and what makes environments: uv, or venv and pip where there is no uv."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

Argv = list[str]


def interpreter(version: str) -> str | None:
    """The Python of a series, as nox finds it: ``python3.12`` on the path, if it runs."""
    found = shutil.which(f"python{version}")
    if found is None:
        return None
    ask = "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)"
    done = subprocess.run([found, "-c", ask], capture_output=True, text=True, check=False)
    told, _, path = done.stdout.strip().partition(" ")
    return path if done.returncode == 0 and told == version else None


class Tool(Protocol):
    """Says which commands do it. ``python`` is that of the environment."""

    name: str
    environ: Mapping[str, str]

    def create(self, interpreter: str, home: Path) -> Argv: ...
    def install(self, python: Path, requirements: list[str]) -> Argv: ...
    def uninstall(self, python: Path, name: str) -> Argv: ...
    def wheel(self, folder: Path, into: Path) -> Argv: ...


class Uv:
    """Environments in a second, of files that are linked from a cache."""

    name = "uv"

    def __init__(self, program: str) -> None:
        self.program = program
        self.environ = {"UV_NO_CONFIG": "1", **uv_settings()}

    def create(self, interpreter: str, home: Path) -> Argv:
        return [self.program, "venv", "--quiet", "--python", interpreter, str(home)]

    def install(self, python: Path, requirements: list[str]) -> Argv:
        return [self.program, "pip", "install", "--quiet", "--python", str(python), *requirements]

    def uninstall(self, python: Path, name: str) -> Argv:
        return [self.program, "pip", "uninstall", "--quiet", "--python", str(python), name]

    def wheel(self, folder: Path, into: Path) -> Argv:
        here = ["--python", sys.executable, "--out-dir", str(into)]
        return [self.program, "build", "--quiet", "--wheel", *here, str(folder)]


class Pip:
    """What every Python brings."""

    name = "pip"
    environ: Mapping[str, str] = {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}

    def create(self, interpreter: str, home: Path) -> Argv:
        return [interpreter, "-m", "venv", str(home)]

    def install(self, python: Path, requirements: list[str]) -> Argv:
        return [str(python), "-m", "pip", "install", "--quiet", *requirements]

    def uninstall(self, python: Path, name: str) -> Argv:
        return [str(python), "-m", "pip", "uninstall", "--quiet", "--yes", name]

    def wheel(self, folder: Path, into: Path) -> Argv:
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
        return [*pip, "--wheel-dir", str(into), str(folder.resolve())]  # a bare name is that of a project


def tool(wanted: str | None = None) -> Tool:
    """uv where it is, unless pip is wanted."""
    program = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if wanted == "pip" or (wanted is None and program is None):
        return Pip()
    if program is None:
        raise LookupError("there is no uv on the path")
    return Uv(program)


def build(maker: Tool, folder: Path, into: Path) -> Path:
    """Build the wheel of a project into a folder of its own; ends the program where that fails."""
    for old in into.glob("*.whl"):
        old.unlink()
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    command = maker.wheel(folder, into)
    done = subprocess.run(command, env={**environ, **maker.environ}, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"no wheel of {folder} was built:\n{done.stderr}")
    [wheel] = into.glob("*.whl")
    return wheel


def prerelease_of(name: str) -> str:
    """The newest release, or pre-release if that is newer: ``pluggy`` is ``pluggy==1.8.0rc1``."""
    return release_of(name, "--pre")


def release_of(requirement: str, *more: str) -> str:
    """The newest release that fits, by pip and its configuration: ``pluggy`` is ``pluggy==1.7.0``."""
    options = ["--quiet", "--dry-run", "--no-deps", "--ignore-installed", *more, "--report", "-"]
    command = [sys.executable, "-m", "pip", "install", *options, requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LookupError(f"pip finds no release of {requirement}: {done.stderr.strip()}")
    [item] = json.loads(done.stdout)["install"]
    return f"{requirement.partition('==')[0]}=={item['metadata']['version']}"


def uv_settings() -> dict[str, str]:
    """Return the environment in which uv uses the indexes, files and constraints of pip's configuration."""
    return {"UV_PYTHON_DOWNLOADS": "never", **_uv_settings(_pip_settings())}


def _pip_settings() -> dict[str, str]:
    """pip's configuration by name: files, then what is set for ``install``, then the environment."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    found: dict[str, str] = {}
    for section in ("global", "install", ":env:"):
        for line in listed.splitlines():
            key, equals, value = line.partition("=")
            if equals and key.startswith(f"{section}."):
                found[key.removeprefix(f"{section}.")] = str(ast.literal_eval(value))
    return found


def _uv_settings(pip: Mapping[str, str]) -> dict[str, str]:
    """The same for uv, which does not read pip's configuration."""
    names = {
        "index-url": "UV_DEFAULT_INDEX",
        "extra-index-url": "UV_INDEX",
        "find-links": "UV_FIND_LINKS",
        "constraint": "UV_CONSTRAINT",
        "cert": "SSL_CERT_FILE",
    }
    found = {name: " ".join(pip[key].split()) for key, name in names.items() if pip.get(key)}
    found["UV_FIND_LINKS"] = ",".join(found.get("UV_FIND_LINKS", "").split())
    # As pip does: the best release of all indexes, not of the first that knows the name.
    found["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return {name: value for name, value in found.items() if value and name not in os.environ}
