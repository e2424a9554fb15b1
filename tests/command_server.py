"""Runs `authhost` many times at the price of one start: in children of a process that has imported all.

Each command is a process of its own, with its own arguments, folder, environment
and output. Only what happens while modules are imported cannot be seen this way.
"""

from __future__ import annotations

import fcntl
import gc
import json
import os
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

SECONDS = 120
"""How long a command may take."""


class CommandServer:
    """A process that runs commands of `authhost`. ``how`` are arguments of `subprocess.Popen`."""

    def __init__(self, environment: Mapping[str, str], **how: Any) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env={**environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **how,
        )

    def run(
        self,
        arguments: Sequence[str],
        folder: str | os.PathLike[str],
        environment: Mapping[str, str],
        *,
        columns: int | None = None,
        interrupt: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run one command in ``folder`` with exactly this environment.

        ``columns``: on a terminal of this width, which gets both outputs.
        ``interrupt``: with Ctrl-C at one of `INTERRUPTS`.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {
            "arguments": list(arguments),
            "folder": str(folder),
            "environment": dict(environment),
            "columns": columns,
            "interrupt": interrupt,
        }
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], SECONDS)[0]:
            self.close()
            _shared.cache_clear()
            raise TimeoutError(f"authhost {' '.join(arguments)} has not ended after {SECONDS} seconds")
        return subprocess.CompletedProcess(list(arguments), **json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@cache
def _shared() -> CommandServer:
    return CommandServer(inherited())


def inherited() -> dict[str, str]:
    """The environment of the tests without the settings of authhost."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AUTHHOST_")}


def run_command(
    *arguments: str,
    folder: str | os.PathLike[str] = ".",
    columns: int | None = None,
    interrupt: str | None = None,
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """Run ``authhost`` with ``arguments``; ``environment`` are the only settings of authhost in it."""
    return _shared().run(
        arguments,
        Path(folder).absolute(),
        {**inherited(), **environment},
        columns=columns,
        interrupt=interrupt,
    )


# The process itself.

WARM_UP = (
    "db upgrade",
    "check",
    "hooks",
    "plugins list",
    "users create warm-up@example.org",
    "audit search",
    "email outbox",
    "analytics report",
)
"""Commands that import together what commands import."""


def serve() -> None:
    """Run the commands that standard input describes, one after the other."""
    path = [each for each in sys.path if each != str(Path(__file__).parent)]
    for module in _imported_by_commands():
        with suppress(ImportError):
            import_module(module)
    gc.freeze()
    for line in sys.stdin:
        print(json.dumps(_run_child(json.loads(line), path)), flush=True)


def _imported_by_commands() -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "AUTHHOST_SECRET_KEY": "of-the-tests-" * 4,
            "AUTHHOST_DATABASE_URL": f"sqlite:///{folder}/warm-up.sqlite3",
        }
        commands = [each.split() for each in WARM_UP]
        done = _run_child({"arguments": commands, "folder": folder, "environment": environment}, sys.path)
        return [str(name) for name in json.loads(done["stdout"].splitlines()[-1])]


def _run_child(request: Mapping[str, Any], path: Sequence[str]) -> dict[str, Any]:
    if request.get("columns"):
        return _run_on_terminal(request, path)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if not child:
            _become_command(request, path, out.fileno(), err.fileno())
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        texts = [(file.seek(0), file.read().decode(errors="replace"))[1] for file in (out, err)]
    return {"returncode": code, "stdout": texts[0], "stderr": texts[1]}


def _run_on_terminal(request: Mapping[str, Any], path: Sequence[str]) -> dict[str, Any]:
    terminal, end = os.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, request["columns"], 0, 0))
    child = os.fork()
    if not child:
        _become_command(request, path, end, end)
    os.close(end)
    output = b""
    with suppress(OSError):  # Linux raises EIO once the command has ended
        while read := os.read(terminal, 65536):
            output += read
    os.close(terminal)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    text = output.decode(errors="replace").replace("\r\n", "\n")
    return {"returncode": code, "stdout": text, "stderr": ""}


INTERRUPTS = ("start", "statement", "write", "commit")
"""When Ctrl-C arrives: as the command starts, or before its first such use of the database."""


def _interrupt_at(moment: str) -> None:
    """Send SIGINT to this process once, at one of `INTERRUPTS`."""
    import click
    from sqlalchemy import Engine, event

    signal.signal(signal.SIGINT, signal.default_int_handler)
    sent = False

    def send(*_: Any) -> None:
        nonlocal sent
        if not sent:
            sent = True
            os.kill(os.getpid(), signal.SIGINT)

    def on_statement(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if moment == "statement" or statement.split()[0] in ("INSERT", "UPDATE", "DELETE"):
            send()

    if moment == "commit":
        event.listen(Engine, "commit", send)
    elif moment != "start":
        event.listen(Engine, "before_cursor_execute", on_statement)
    else:
        invoke = click.Context.invoke

        def patched(*arguments: Any, **options: Any) -> Any:
            send()
            return invoke(*arguments, **options)

        click.Context.invoke = patched  # type: ignore[assignment]


def _become_command(request: Mapping[str, Any], path: Sequence[str], out: int, err: int) -> NoReturn:
    gc.enable()
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    if request.get("columns"):  # the streams of this process are of files, in which one can seek
        sys.stdout, sys.stderr = (open(number, "w", buffering=1, closefd=False) for number in (1, 2))  # noqa: SIM115
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    own = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    sys.path[:] = [request["folder"], *own, *path]
    from authhost.cli import main

    if request.get("interrupt"):
        _interrupt_at(request["interrupt"])
    if isinstance(request["arguments"][0], str):
        sys.argv = ["authhost", *request["arguments"]]
        main()
    for arguments in request["arguments"]:
        sys.argv = ["authhost", *arguments]
        with suppress(SystemExit):
            main()
    print(json.dumps([name for name in sys.modules if name not in ("__main__", "__mp_main__")]))
    sys.exit()


if __name__ == "__main__":
    serve()
