"""What a plugin's command gets as ``ctx.obj``: the host, and a console like that of authhost's commands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar, overload

from authhost_hookspecs.declarations import Actor
from authhost_hookspecs.protocols.accounts import User
from authhost_hookspecs.protocols.host import Host

T = TypeVar("T")


class Progress(Protocol):
    """The progress of a long operation, shown on standard error."""

    def advance(self, count: int = 1) -> None:
        """Add ``count`` to what is done."""


class Console(Protocol):
    """Prints the results of a command, shows its progress, and asks for confirmation."""

    def print(self, text: str = "") -> None:
        """Print one line to standard output. On a terminal it is wrapped, unless it is JSON."""

    def error(self, text: str) -> None:
        """Print one line to standard error. The command continues: to end it, raise click's exceptions."""

    def print_rows(
        self,
        rows: Iterable[Mapping[str, Any]],
        *,
        headers: Mapping[str, str] | None = None,
        as_json: bool = False,
        empty: str = "",
        header: bool = True,
    ) -> None:
        """Print rows as a table for people, or with ``as_json`` as JSON lines for programs.

        ``headers`` selects and orders the columns: the title of each name. Without it,
        the columns are the names in the first row. A table that does not fit the terminal is
        printed as one block of lines for each row, so that nothing is cut. ``empty`` is
        printed instead of an empty table. ``header=False`` omits the titles, to
        continue an earlier table. Control characters are replaced. Times are in UTC.
        """

    @overload
    def progress(self, work: int | None, label: str) -> AbstractContextManager[Progress]: ...

    @overload
    def progress(self, work: Iterable[T], label: str) -> Iterable[T]: ...

    def progress(self, work: int | Iterable[T] | None, label: str) -> Any:
        """Show the progress of ``work`` on standard error, if that is a terminal.

        With an iterable, the result yields its items: ``for row in
        console.progress(rows, "records"):``. With the total, or None if it is unknown, the
        result is a context manager: ``with console.progress(count, "records") as bar:``
        and ``bar.advance()``. It is drawn at most ten times a second.
        """

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask ``question``, and end the command unless the answer is yes.

        With ``yes``, which is the option ``--yes`` of the command, it does not ask.
        Without a terminal it ends the command, and names that option.
        """


class CommandContext(Protocol):
    """The object ``ctx.obj`` of a command (``@click.pass_obj``)."""

    @property
    def console(self) -> Console:
        """The console."""

    def __call__(self, *, background: bool = False) -> Host:
        """Return the host. It is opened by the first call, and closed when the command ends.

        `host_started` is called only with ``background=True``.
        """

    def find_user(self, name: str) -> User:
        """Return the account that an argument names: identifier, beginning of it, address or username.

        An address is that of the account that claims it, verified or not; `authhost users` finds
        accounts in the same way. Raises click's ``ClickException`` if there is no such account, or
        if several identifiers begin so: the command ends with the exit code 1. Since 1.1.
        """

    def operator(self, name: str | None = None) -> Actor:
        """Return who runs the command, for ``host.request(actor=…)`` and so for the audit trail.

        ``name`` is what an option ``--actor`` was given, by default the name of the operating system's
        user. Raises click's ``BadParameter`` if there can be no such name. Since 1.1.
        """
