"""A call of a hook in a thread of its own that can be paused at any of its lines."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from authhost.errors import PLUGIN_FAILURES
from authhost.request import Request
from authhost.testing.conformance.checked_plugin import CheckedPlugin

MAX_PAUSE = 10.0
"""Seconds after which a paused call continues by itself."""


@dataclass(eq=False)
class PausableCall:
    """One call of a hook. It pauses at its position number ``pause_at``; 0 means never.

    A position is a line of the plugin's code that is about to run, or a use of
    the request within a line.
    """

    checked: CheckedPlugin
    function: Callable[..., Any]
    arguments: dict[str, Any]
    request: Request
    pause_at: int = 0
    positions: list[tuple[str, bool]] = field(default_factory=list)
    """The positions so far, in order: file and line, and whether it is a use of the request."""
    location: str = ""
    """File and line at which it paused."""
    request_used_at: set[int] = field(default_factory=set)
    """The numbers of the positions at which the request was used."""
    foreign_uses: set[str] = field(default_factory=set)
    """File and line of each use of the request in another thread."""
    error: BaseException | None = None
    database_used: bool = False
    """Whether it has used ``request.db``. It may hold a lock of the database then, so it does not pause."""
    paused: threading.Event = field(default_factory=threading.Event)
    """Set when it pauses, and when it ends."""
    resume: threading.Event = field(default_factory=threading.Event)

    def start(self) -> threading.Thread:
        """Start the call."""
        thread = threading.Thread(target=self._run, daemon=True)
        self.thread = thread
        thread.start()
        return thread

    def _run(self) -> None:
        values = {
            name: _RequestProxy(self, self.request) if name == "request" else value
            for name, value in self.arguments.items()
        }
        sys.settrace(self._trace)
        try:
            self.function(*values.values())
        except PLUGIN_FAILURES as error:
            self.error = error
        finally:
            sys.settrace(None)
            self.paused.set()

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        if not self.checked.owns(frame.f_code.co_filename):
            return None
        frame.f_trace = self._trace_line
        return self._trace_line

    def _trace_line(self, frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            self._reach(f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}", uses_request=False)
        return self._trace_line

    def _reach(self, location: str, *, uses_request: bool) -> None:
        self.positions.append((location, uses_request))
        if len(self.positions) == self.pause_at and not self.database_used:
            self.location = location
            self.paused.set()
            self.resume.wait(MAX_PAUSE)

    def record_use(self, attribute: str) -> None:
        """Note that an attribute of the request was used."""
        location = self.checked.location(sys._getframe()) or "?"
        self.request_used_at.add(len(self.positions))
        if threading.current_thread() is self.thread:
            self._reach(location, uses_request=True)
            self.request_used_at.add(len(self.positions))
        else:
            self.foreign_uses.add(location)
        self.database_used = self.database_used or attribute == "db"


class _RequestProxy:
    """A request that reports each use to its call."""

    def __init__(self, call: PausableCall, request: Request) -> None:
        object.__setattr__(self, "_call", call)
        object.__setattr__(self, "_request", request)

    def __getattr__(self, name: str) -> Any:
        self._call.record_use(name)
        return getattr(self._request, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._request, name, value)
