"""Check that no hook and no callback of a plugin fails."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from authhost.pluginhost.plugin import AFTER_COMMIT
from authhost.pluginhost.results import UnusableResult
from authhost.testing.conformance.context import CheckContext
from authhost.testing.conformance.hook_call import HookCall
from authhost.testing.conformance.report import Fault


def failures(context: CheckContext) -> Iterator[Fault]:
    """No hook raises an exception, except `Refused` and `StopFlow` in the hooks that allow them."""
    run = context.with_plugin
    seen = set()
    for call, step in zip(run.calls, run.step_of_call, strict=True):
        if call.error is None:
            continue
        location = context.checked.location(call.error.__traceback__)
        if (call.hook, type(call.error), location) not in seen:
            seen.add((call.hook, type(call.error), location))
            text = f"raised {error_text(call.error)}"
            yield Fault(f"{text} in {step!r}", call.hook, location, cause=text if location else "")
    yield from dict.fromkeys(fault for call in run.calls for fault in callback_faults(call, context))
    raised = {(hook, kind.__name__) for hook, kind, _ in seen}
    yield from _broken_sessions(run.logged, context.checked.name, raised)
    yield from unstored_row_faults(run.logged, context.checked.name)
    yield from dict.fromkeys(_failed_jobs(run.logged, context.checked.name))


UNREACHABLE = r"\b(URLError|Connect(ion)?\w*Error|ConnectTimeout|TimeoutError|gaierror)\b"
"""Errors of jobs if a server does not answer. Its address may be an example of the operator."""


def _failed_jobs(records: Iterable[logging.LogRecord], plugin_name: str) -> Iterator[Fault]:
    """Jobs of `Request.in_background` that failed or hang, as the host has logged."""
    for record in records:
        job = _arguments(record)[:1]
        if record.name != "authhost.plugins" or not job or f"of plugin {plugin_name}" not in str(job[0]):
            continue
        text = re.sub(r" \(request [^)]*\)$", "", record.getMessage())
        location = re.search(r"(\S+\.py)\D+(\d+)", text)
        unreachable = re.search(UNREACHABLE, text) is not None
        where = f"{Path(location[1]).name}:{location[2]}" if location else None
        yield Fault(text, None, where, note=unreachable)


def error_text(error: BaseException) -> str:
    """The type and the first 200 characters of an error, with a remedy for a locked database."""
    text = traceback.format_exception_only(error)[-1].strip()[:200]
    if "database is locked" in text:
        text += "; it writes through its own connection: use request.insert or request.db"
    return text


def callback_faults(call: HookCall, context: CheckContext) -> Iterator[Fault]:
    """What a callback that the call registered has raised."""
    if call.callback_error is not None:
        location = context.checked.location(call.callback_error.__traceback__)
        error = error_text(call.callback_error)
        yield Fault(f"a callback of request.on_commit raised {error}", call.hook, location)


def _broken_sessions(
    records: Iterable[logging.LogRecord], plugin_name: str, raised: set[tuple[str, str]]
) -> Iterator[Fault]:
    """Failures that the guard logged although the hook raised nothing: its writes could not be stored."""
    reported: set[tuple[str, str]] = set()
    for record in records:
        if record.name == "authhost.plugins" and record.msg.startswith("plugin %s failed in"):
            plugin, hook, kind = _arguments(record)[:3]
            if hook == AFTER_COMMIT or kind == UnusableResult.__name__:
                continue  # other checks report these
            if plugin == plugin_name and (hook, kind) not in raised | reported:
                reported.add((hook, kind))
                yield Fault(
                    f"leaves request.db unusable ({kind}); end only transactions that the plugin has begun",
                    hook,
                )


def unstored_row_faults(records: Iterable[logging.LogRecord], plugin_name: str) -> Iterator[Fault]:
    """Rows of `Request.insert` that the host could not store, as it has logged."""
    reported = set()
    for record in records:
        if record.name not in ("authhost", "authhost.plugins"):
            continue
        if not record.msg.startswith("rows of plugin") or _arguments(record)[0] != plugin_name:
            continue
        message = f"rows of request.insert were not stored: {_arguments(record)[1]}"
        if message not in reported:
            reported.add(message)
            yield Fault(message)


def _arguments(record: logging.LogRecord) -> tuple[Any, ...]:
    return record.args if isinstance(record.args, tuple) else ()
