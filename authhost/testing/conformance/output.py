"""Capture what is logged and printed while a plugin runs."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field


@dataclass
class _RecordList(logging.Handler):
    records: list[logging.LogRecord] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(logging.DEBUG)

    __hash__ = object.__hash__

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextmanager
def captured_logs() -> Iterator[list[logging.LogRecord]]:
    """Collect log records of every level. No other handler of the root logger receives them meanwhile."""
    root, handler = logging.getLogger(), _RecordList()
    handlers, level = root.handlers, root.level
    sqlalchemy = logging.getLogger("sqlalchemy")
    sqlalchemy_level = sqlalchemy.level
    root.handlers = [handler]
    root.setLevel(1)  # below DEBUG, so that a plugin that sets a level changes something
    sqlalchemy.setLevel(logging.WARNING)  # otherwise it logs every statement
    try:
        yield handler.records
    finally:
        sqlalchemy.setLevel(sqlalchemy_level)
        root.handlers = handlers
        root.setLevel(level)


@contextmanager
def captured_print() -> Iterator[io.StringIO]:
    """Collect what is written to standard output and standard error."""
    text = io.StringIO()
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(text))
        stack.enter_context(redirect_stderr(text))
        yield text


@contextmanager
def silenced() -> Iterator[None]:
    """Discard what is logged and printed."""
    with captured_logs(), captured_print():
        yield


@contextmanager
def output_restored() -> Iterator[None]:
    """Restore logging and printing at the end, even if a thread that captures them has not returned."""
    root, sqlalchemy = logging.getLogger(), logging.getLogger("sqlalchemy")
    before = sys.stdout, sys.stderr, root.handlers, root.level, sqlalchemy.level
    try:
        yield
    finally:
        sys.stdout, sys.stderr, root.handlers = before[:3]
        root.setLevel(before[3])
        sqlalchemy.setLevel(before[4])
