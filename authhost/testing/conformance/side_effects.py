"""What a plugin does outside its unit of work: network, processes, files, and other tables and databases.

Network, processes and files are seen through an audit hook of CPython (PEP 578),
which cannot be removed once it is installed. SQL statements are seen through
an event of SQLAlchemy.
"""

from __future__ import annotations

import os
import secrets
import sys
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from authhost.host import AuthHost
from authhost.request import Request
from authhost.testing.conformance.checked_plugin import CheckedPlugin
from authhost.testing.conformance.hook_call import current_call
from authhost.testing.conformance.plugin_tables import emptied_table, written_host_table

WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
SECRET_BYTES = 16
"""Random bytes that are too many to be guessed."""

_written_files: dict[CheckedPlugin, dict[str, str]] = {}
_installed = False


def install_audit_hook() -> None:
    """Install the audit hook of this process. May be called again."""
    global _installed
    if not _installed:
        _installed = True
        sys.addaudithook(_audit)


@contextmanager
def files_written_by(plugin: CheckedPlugin) -> Iterator[dict[str, str]]:
    """Collect the files that a plugin writes, in any thread, before and after a commit.

    The dictionary has the plugin's file and line by absolute path.
    """
    install_audit_hook()
    files = _written_files[plugin] = {}
    try:
        yield files
    finally:
        del _written_files[plugin]


@contextmanager
def random_texts_of(plugin: CheckedPlugin) -> Iterator[set[str]]:
    """Collect the texts of the random bytes that a plugin gets from `secrets`, of 16 bytes or more."""
    texts: set[str] = set()
    original = secrets.token_bytes

    def token_bytes(nbytes: int | None = None) -> bytes:
        found = original(nbytes)
        if len(found) >= SECRET_BYTES and plugin.location(sys._getframe(1)) is not None:
            texts.update((found.hex(), urlsafe_b64encode(found).rstrip(b"=").decode()))
        return found

    secrets.token_bytes = token_bytes  # `token_hex` and `token_urlsafe` call it by this name
    try:
        yield texts
    finally:
        secrets.token_bytes = original


def record_statement(host: AuthHost, statement: str) -> None:
    """Note in the current call whether ``statement``, which goes to ``host``, is one that is not allowed."""
    current = current_call()
    if current is None:
        return
    plugin, call = current
    request, table = call.arguments.get("request"), written_host_table(statement)
    other_host = isinstance(request, Request) and request.host is not host
    emptied = emptied_table(statement)
    if emptied is not None:
        call.emptied_tables.add(emptied)
    if table is None and not other_host:
        return
    at: FrameType | None = sys._getframe(1)
    while at is not None and not plugin.owns(at.f_code.co_filename):
        module = at.f_globals.get("__name__", "")
        if module.startswith("authhost.") and not module.startswith("authhost.testing."):
            return  # the host itself executes it, for example in `sociallogin.connect`
        at = at.f_back
    if at is not None and table is not None:
        call.host_tables.setdefault(table, plugin.location(at))
    if at is not None and other_host:
        call.other_host = plugin.location(at)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    current = current_call()
    effect = side_effect(event, arguments) if _written_files or current is not None else None
    if effect == "writes a file" and isinstance(arguments[0], str | bytes | os.PathLike):
        for plugin, files in list(_written_files.items()):
            location = plugin.location(sys._getframe())
            if location is not None:
                files.setdefault(os.path.abspath(os.fsdecode(arguments[0])), location)
    if effect is not None and current is not None:
        plugin, call = current
        call.side_effects.setdefault(effect, plugin.location(sys._getframe()))


def side_effect(event: str, arguments: tuple[Any, ...]) -> str | None:
    """What an audit event means for the world outside the process, or None if it means nothing.

    Files below ``__pycache__`` are left out: an import writes them.
    """
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        return "uses the network"
    if event in ("subprocess.Popen", "os.system", "os.posix_spawn", "os.exec", "os.fork"):
        return "starts a process"
    if event in ("os.remove", "os.rename", "os.mkdir", "os.rmdir"):
        return None if "__pycache__" in str(arguments[0]) else "changes files"
    if event == "open":
        path, _, flags = arguments  # the mode is None for `os.open`
        writes = isinstance(flags, int) and flags & WRITE_FLAGS
        return "writes a file" if writes and "__pycache__" not in str(path) else None
    return "sleeps" if event == "time.sleep" else None
