"""The hook reference, read from the docstrings of the specifications and from `hook_order.json`.

The parts of a docstring, in this order: a sentence that says when the hook is
called, further paragraphs, ``Stored:`` with what the database contains at that
moment (if flows call the hook), ``.. versionadded::`` and ``Example::``.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from textwrap import dedent
from typing import Any, NamedTuple

from authhost.pluginhost.hooks import (
    ANSWERS,
    EXPORTS,
    LIFECYCLE,
    REMOVALS,
    SPEC_ARGUMENTS,
    SPEC_MODULES,
    STEPS,
    STOPS,
    VETOES,
)

IN_FLOWS = frozenset({"notification", "veto", "step", "delivery", "export", "answer", "removal"})
"""The kinds of hooks that flows call."""
ISOLATED = (
    "it is logged and counted, the writes of that call are rolled back, and the flow continues. "
    "If the plugin is required, the flow ends."
)
SINCE = re.compile(r"\.\. versionadded:: (\d+\.\d+)")


class CalledFlow(NamedTuple):
    """A flow and the hooks that it calls, in order."""

    title: str
    """What happens, such as "Log in with a wrong password"."""
    flow: str
    hooks: tuple[str, ...]


class Place(NamedTuple):
    """Where a flow calls a hook."""

    title: str
    flow: str
    number: int
    """The position in ``hooks``, starting at 1."""
    hooks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HookReference:
    """The reference of one hook, for authors of plugins."""

    name: str
    signature: str
    kind: str
    """``notification``, ``veto``, ``step``, ``answer``, ``delivery``, ``export``, ``lifecycle`` or
    ``registration``.
    """
    when: str
    about: str
    """May be empty."""
    stored: str | None
    """None if no flow calls the hook."""
    failure: str
    """What happens if an implementation raises an exception."""
    since: str
    """The version of the contract, or of the plugin that publishes the hook."""
    example: str


def references() -> list[HookReference]:
    """Return all hooks, in the order of the contract."""
    return [reference(name) for name in SPEC_ARGUMENTS]


def reference(name: str) -> HookReference:
    """Return one hook; raise `LookupError` for a name that the contract does not have."""
    for module in SPEC_MODULES:
        if name in SPEC_ARGUMENTS and name in vars(module):
            return parse(name, vars(module)[name])
    raise LookupError(f"there is no hook {name!r}")


def parse(name: str, spec: Callable[..., Any]) -> HookReference:
    """Parse the docstring of a specification; raise ``ValueError`` with the parts that are missing."""
    prose, _, example = inspect.cleandoc(spec.__doc__ or "").partition("Example::\n")
    when, *about = prose.rstrip().split("\n\n")
    stored = next((each for each in (when, *about) if each.startswith("Stored: ")), None)
    since = next((found[1] for each in about if (found := SINCE.fullmatch(each))), "")
    kind, failure = kind_of(name)
    needs = {
        "a sentence that says when": when.endswith(".") and when != stored,
        "'Stored: …'": stored is not None or kind not in IN_FLOWS,
        "'.. versionadded:: …'": since,
        "'Example::'": example.strip(),
    }
    if lacks := [need for need, there in needs.items() if not there]:
        raise ValueError(f"the docstring of {name} lacks {', '.join(lacks)}")
    return HookReference(
        name=name,
        signature=f"def {name}{inspect.signature(spec)}".replace("'", ""),
        kind=kind,
        when=_flowing(when),
        about="\n\n".join(_flowing(each) for each in about if each != stored and not SINCE.match(each)),
        stored=_flowing(stored.removeprefix("Stored: ")) if stored is not None else None,
        failure=failure,
        since=since,
        example=dedent(example).strip("\n"),
    )


def kind_of(name: str) -> tuple[str, str]:
    """Return the kind of a hook, and what happens if an implementation raises an exception."""
    if name in VETOES:
        return (
            "veto",
            "`Refused` refuses the flow with its message. Any other exception refuses it, too.",
        )
    if name == "deliver_message":
        return "delivery", "it ends the flow, since the message would never be delivered."
    if name in STEPS:
        return "step", "it refuses the flow: nobody is logged in."
    if name in ANSWERS:
        return "answer", "it refuses what depends on the answer."
    if name in EXPORTS:
        return "export", "it ends the export, with an error that names the plugin."
    if name in REMOVALS:
        return "removal", "it ends the removal, with an error that names the plugin; nothing is removed."
    if name in LIFECYCLE:
        ends = (
            "For a required plugin the host does not start." if name == "host_started" else "The host closes."
        )
        return "lifecycle", f"it is logged and counted. {ends}"
    if name in ("register_tables", "register_settings", "register_hookspecs"):
        return "registration", "the plugin is refused as a whole; `authhost plugins list` says why."
    if name.startswith("register_"):
        return "registration", "it is logged, and the plugin provides none of these."
    if name in STOPS:
        return "notification", f"`StopFlow` ends the flow. Any other exception does not: {ISOLATED}"
    return "notification", ISOLATED


@cache
def called_flows() -> tuple[CalledFlow, ...]:
    """Return the flows of `authhost.testing.scenario`, and the hooks that each one calls."""
    text = files("authhost.pluginhost").joinpath("hook_order.json").read_text(encoding="utf-8")
    return tuple(CalledFlow(each["title"], each["flow"], tuple(each["hooks"])) for each in json.loads(text))


def places(name: str) -> list[Place]:
    """Return the flows that call a hook, with its position in each."""
    return [
        Place(title, flow, number, hooks)
        for title, flow, hooks in called_flows()
        for number, hook in enumerate(hooks, start=1)
        if hook == name
    ]


def _flowing(paragraph: str) -> str:
    return " ".join(paragraph.split())
