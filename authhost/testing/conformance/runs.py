"""What a run of the scenario with the plugin leaves behind, and how it is observed."""

from __future__ import annotations

import logging
import sys
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from authhost_hookspecs import Message

from authhost.host import AuthHost
from authhost.records import User
from authhost.request import Request
from authhost.testing.conformance.checked_plugin import CheckedPlugin
from authhost.testing.conformance.hook_call import HookCall
from authhost.testing.conformance.plugin_tables import Rows
from authhost.testing.scenario import Step

MAX_FILE_BYTES = 10_000_000
"""How much of a file is read, from its end."""


@dataclass(slots=True)
class ScenarioRun:
    """One run of the scenario with the plugin, and everything that it left behind."""

    steps: list[Step]
    stopped_after: Step | None
    """The last step, if the later ones could not run."""
    calls: list[HookCall]
    secrets: dict[str, str]
    """Each secret of the run, with its kind."""
    rows: Rows
    logged: list[logging.LogRecord]
    printed: str
    files: dict[str, tuple[str, str]]
    """The plugin's file and line that wrote each file, and the file's content."""
    stored_requests: dict[str, str]
    """What the plugin still stores of requests that have ended, by the name of its attribute."""
    step_of_call: list[str]
    """The title of the step in which each call was made."""
    deleted: User | None
    """The user whose account the last step has deleted."""
    rows_before_deletion: Rows
    """What the plugin's tables contained before that step."""
    given: list[tuple[str, str | None]]
    """Each text that the plugin has passed to ``host.request(given=…)``, with its file and line."""
    held_locks: dict[str, str]
    """The locks that were locked after a flow had ended, with the title of its step."""
    labels: dict[str, set[str]]
    """The labels of the plugin's metrics, each with all values that it had after a step."""
    random_texts: frozenset[str]
    """The texts of random bytes that the plugin has asked for: 16 bytes or more."""
    messages: list[Message]
    """The messages that were delivered."""
    not_called: dict[str, str]
    """The hooks of other plugins that could not be called, each with the reason."""


@dataclass(slots=True)
class RepeatedRun:
    """The scenario, run again on a host that has run flows before, so that nothing is loaded any more."""

    calls: list[tuple[str, HookCall]]
    """Each call with the title of its step."""
    host_nanoseconds: int
    """The median of the host's own work in one step."""
    sizes: list[dict[str, int]]
    """The sizes of what the plugin keeps in memory, before and after."""
    held_locks: list[str]
    """The locks that were locked after a login that another plugin has refused."""


def recorded_given(host: Any, checked: CheckedPlugin) -> list[tuple[str, str | None]]:
    """Make a host note the texts that the plugin gives to the requests that it opens itself."""
    found: list[tuple[str, str | None]] = []
    request = host.request

    def recorded(*args: Any, given: Mapping[str, str] | None = None, **values: Any) -> Request:
        location = checked.location(sys._getframe(1))
        if location is not None and given:
            found.extend((text, location) for text in given.values())
        opened: Request = request(*args, given=given, **values)
        return opened

    host.request = recorded
    return found


def metric_labels(host: AuthHost, checked: CheckedPlugin) -> dict[str, set[str]]:
    """The values of the labels of a plugin's metrics, by metric and label."""
    found: dict[str, set[str]] = {}
    if "register_metrics" not in checked.implementations:
        return found
    with suppress(Exception):  # another check reports it
        for collect in checked.implementations["register_metrics"]():
            for metric in collect(host):
                for label, value in metric.labels.items():
                    found.setdefault(f"{metric.name}{{{label}}}", set()).add(str(value))
    return found


def stored_requests(checked: CheckedPlugin, calls: list[HookCall]) -> dict[str, str]:
    """The attributes of the plugin that still hold a request, or the ``id()`` of one."""
    requests = [call.arguments["request"] for call in calls if "request" in call.arguments]
    numbers, found = {id(each) for each in requests}, {}
    for name, value in checked.attributes().items():
        items = [value]
        if isinstance(value, list | dict | set | frozenset | tuple | deque):
            items = [*value, *(value.values() if isinstance(value, dict) else ())]
        if any(isinstance(each, Request) for each in items):
            found[name] = "requests"
        elif any(type(each) is int and each in numbers for each in items):
            found[name] = "id(request), which another request may have by now"
    return found


def end_of_file(path: Path) -> str:
    """The end of a file, or an empty string if there is no such file."""
    return path.read_bytes()[-MAX_FILE_BYTES:].decode("latin-1") if path.is_file() else ""
