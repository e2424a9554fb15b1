"""One cell: a clean environment, the plugin's own tests in it, and the conformance suite."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from compat.axes import PRE_RELEASE, Environment
from compat.recipe import Recipe
from compat.tools import Argv, Tool

TIMEOUT = 600.0
"""Seconds for one command."""


@dataclass(frozen=True)
class Wheels:
    """What was built: the contract and the host, and each plugin that comes from a folder."""

    contract: Path
    host: Path
    plugins: Mapping[str, Path]


@dataclass
class Result:
    """How a cell went."""

    plugin: str
    environment: Mapping[str, str]
    """The label of each axis."""
    failed: list[str] = field(default_factory=list)
    """What failed and how: ``tests: exit 1``, ``conformance: rollback, threads``."""
    ran: list[str] = field(default_factory=list)
    """The steps that were run to their end."""
    seconds: float = 0.0
    cpu: float = 0.0
    """Seconds of computing, also of what the steps started."""
    log: str = ""
    installed: Mapping[str, str] = field(default_factory=dict)
    may_fail: bool = False
    """Whether it is of a pre-release, so that the run does not fail with it."""
    versions: str = ""
    """Which versions meet in it, if not those of this repository."""

    @property
    def passed(self) -> bool:
        return not self.failed


class StepFailed(Exception):
    """A command did not end with 0, or the environment is not what it should be."""


class Cell:
    """A folder with the environment, the copied tests and the log."""

    def __init__(
        self,
        home: Path,
        recipe: Recipe,
        environment: Environment,
        tool: Tool,
        *,
        wheels: Wheels | None = None,
        versions: str = "",
    ) -> None:
        self.wheels = wheels
        """What is installed in place of the wheels of this repository."""
        self.home, self.recipe, self.environment, self.tool = home, recipe, environment, tool
        self.env, self.work = home / "env", home / "work"
        self.python = self.env / "bin" / "python"
        self.output = home / "output"
        self.log = home.with_suffix(".log")
        labels = {axis: choice.label for axis, choice in environment.items()}
        may_fail = any(PRE_RELEASE in choice.why for choice in environment.values())
        self.result = Result(recipe.plugin, labels, log=str(self.log), may_fail=may_fail, versions=versions)

    def run(self, interpreter: str, wheels: Wheels) -> Result:
        """All steps. The environment is kept where one failed."""
        started = time.monotonic()
        shutil.rmtree(self.home, ignore_errors=True)
        for folder in (self.work, self.home / "tmp"):
            folder.mkdir(parents=True)
        self.log.write_text("", encoding="utf-8")
        with self._step("install"):
            self._install(interpreter, self.wheels or wheels)
        if self.result.passed and self.recipe.command:
            with self._step("tests"):
                self._copy()
                self._do(list(self.recipe.command))
        if "install" in self.result.ran:
            with self._step("conformance"):
                self._conformance()
        self.result.seconds = time.monotonic() - started
        if self.result.passed:
            shutil.rmtree(self.home, ignore_errors=True)
        return self.result

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        try:
            yield
        except (StepFailed, OSError, ValueError) as error:
            self._say(f"{name} failed: {error}")
            self.result.failed.append(f"{name}: {error}")
        else:
            self.result.ran.append(name)

    def _install(self, interpreter: str, wheels: Wheels) -> None:
        host = f"authhost[testing] @ {wheels.host.as_uri()}"
        wheel = wheels.plugins.get(self.recipe.plugin)
        plugin = str(wheel) if wheel else str(self.recipe.requirement)
        axes = {axis: choice.requirement for axis, choice in self.environment.items() if axis != "Python"}
        fork = axes["passlib"] if axes["passlib"].startswith("libpass") else None
        if fork:
            del axes["passlib"]
        self._do(self.tool.create(interpreter, self.env))
        self._do(self.tool.install(self.python, [host, plugin, *axes.values(), *self.recipe.needs]))
        if fork:
            # The host's wheel asks for passlib by name; the fork has other files at the same place.
            self._do(self.tool.uninstall(self.python, "passlib"))
            self._do(self.tool.install(self.python, [fork]))
        self._look(fork)

    def _look(self, fork: str | None) -> None:
        """Make sure that the environment is what the cell claims."""
        script = Path(__file__).with_name("inside.py")
        found = json.loads(self._do([str(self.python), "-I", str(script)]))
        self.result.installed = installed = found["installed"]
        if not Path(found["authhost"]).is_relative_to(found["prefix"]):
            raise StepFailed(f"authhost is not the installed one but {found['authhost']}")
        if not f"{found['python']}.".startswith(f"{self.environment['Python'].label}."):
            raise StepFailed(f"this is Python {found['python']}")
        wanted = {"pluggy": "pluggy", "SQLAlchemy": "sqlalchemy", "contract": "authhost-hookspecs"}
        for axis, name in wanted.items():
            if installed.get(name) != self.environment[axis].label:
                raise StepFailed(f"{name} {installed.get(name)} was installed")
        version, *owners = found["passlib"]
        name, _, release = self.environment["passlib"].label.partition(" ")
        if (version, owners) != (release, [name]):
            raise StepFailed(f"passlib is {version} of {' and '.join(owners)}")

    def _copy(self) -> None:
        for each in self.recipe.copy:
            assert self.recipe.tests is not None
            source, target = self.recipe.tests / each, self.work / each
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, target)

    def _conformance(self) -> None:
        """Run the suite. What failed is named by its checks."""
        settings = [f"--set={key}={self._filled(value)}" for key, value in self.recipe.settings.items()]
        command = [str(self.python), "-m", "authhost.cli", "plugins", "check", self.recipe.plugin, "--json"]
        failure = None
        try:
            self._do([*command, *settings], shown=False)
        except StepFailed as error:
            failure = error
        text = self.output.read_text(encoding="utf-8", errors="replace")
        try:
            verdicts = json.loads(text)["verdicts"]
        except ValueError:
            raise failure or StepFailed(f"no report, but {text[:80]!r}") from None
        for each in verdicts:
            self._say(f"{each['outcome']} {each['check']}")
            for fault in each["faults"]:
                place = f"{fault['hook'] or ''} {fault['where'] or ''}".strip()
                self._say(f"    {'note: ' if fault['note'] else ''}{fault['message']} ({place})")
        failed = [each["check"] for each in verdicts if each["outcome"] == "failed"]
        if failed or failure:
            raise StepFailed(", ".join(failed) or str(failure))

    def _filled(self, value: str) -> str:
        return value.replace("{cell}", str(self.home))

    def _say(self, text: str) -> None:
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"{text}\n")

    def _do(self, argv: Argv, *, shown: bool = True) -> str:
        """Run a command in the cell's folder and return what it printed, which is in the log if `shown`."""
        self._say(f"$ {' '.join(argv)}")
        with self.output.open("wb") as out, self.log.open("ab") as log:
            code = self._wait(
                subprocess.Popen(
                    argv,
                    cwd=self.work,
                    env=self._variables(),
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=log,
                    start_new_session=True,
                )
            )
        text = self.output.read_text(encoding="utf-8", errors="replace")
        if shown and text.strip():
            self._say(text.rstrip())
        if code:
            raise StepFailed(f"exit {code}" if code > 0 else f"signal {-code}")
        return text

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        """Wait for it, and count what it and its children computed."""

        def end() -> None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            self._say(f"it did not end within {TIMEOUT:.0f} seconds")

        timer = threading.Timer(TIMEOUT, end)
        timer.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        finally:
            timer.cancel()
        self.result.cpu += usage.ru_utime + usage.ru_stime
        process.returncode = os.waitstatus_to_exitcode(status)
        return process.returncode

    def _variables(self) -> dict[str, str]:
        """The environment variables of a person who has activated the cell's environment."""
        strange = ("PYTHON", "AUTHHOST_", "NOX", "VIRTUAL_ENV", "PYTEST_", "UV_PROJECT")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(strange)}
        own = {key: self._filled(value) for key, value in self.recipe.environment.items()}
        path = f"{self.env / 'bin'}{os.pathsep}{kept.get('PATH', os.defpath)}"
        temporary = str(self.home / "tmp")
        return {
            **kept,
            **self.tool.environ,
            "PATH": path,
            "TMPDIR": temporary,
            "PYTHONNOUSERSITE": "1",
            **own,
        }
