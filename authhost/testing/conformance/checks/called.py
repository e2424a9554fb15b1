"""Check that each implementation is called, and that its body can run."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from difflib import get_close_matches
from types import ModuleType

from authhost.pluginhost.attributes import MARKER_ATTRIBUTES
from authhost.pluginhost.hooks import SPEC_ARGUMENTS
from authhost.testing.conformance.checks.edges import edges
from authhost.testing.conformance.context import CheckContext
from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.rules.coverage import never_run
from authhost.testing.conformance.rules.registration import hidden, location, not_registered, place
from authhost.testing.conformance.rules.vocabulary import impossible_comparisons
from authhost.testing.conformance.source import (
    PluginSource,
    plain_function,
)

NEAR = 0.85
"""How similar an unknown name must be to that of a hook to be a typing error."""


def called(context: CheckContext) -> Iterator[Fault]:
    """Each implementation is called, and its body can run: nothing hides it, and no condition prevents it."""
    source = PluginSource(context.checked)
    yield from _mistyped_hooks(context)
    yield from hidden(context, source)
    yield from not_registered(context)
    yield from dict.fromkeys(impossible_comparisons(source))
    run = context.with_plugin
    if run.stopped_after is None:
        list(edges(context))  # more lines run in it
        yield from never_run(context, source)
    else:
        yield Fault(
            f"the flows after {run.stopped_after.title!r} could not run, so this check does not know which "
            "implementations they call; give settings with --set that accept the test accounts",
            note=True,
        )


def _mistyped_hooks(context: CheckContext) -> Iterator[Fault]:
    """Optional hooks and unmarked functions whose names look like those of hooks."""
    checked = context.checked
    known = {**SPEC_ARGUMENTS, **{name: each.arguments for name, each in checked.published.items()}}
    kind = checked.plugin if isinstance(checked.plugin, ModuleType) else type(checked.plugin)
    for name in dir(kind):
        function, _ = plain_function(inspect.getattr_static(kind, name))
        if function is None or not checked.owns(place(function)[0]):
            continue
        near = get_close_matches(name, known, 1, NEAR)
        marks = [vars(function)[each] for each in MARKER_ATTRIBUTES if each in vars(function)]
        named = [mark["specname"] for mark in marks if isinstance(mark, dict) and mark.get("specname")]
        if named:
            near = get_close_matches(named[0], known, 1, NEAR)
            name = named[0]
        if not near or name in known:
            continue
        parameters = [each for each in inspect.signature(function).parameters if each != "self"]
        is_helper = not marks and (not parameters or not set(parameters) <= set(known[near[0]]))
        if not is_helper:
            yield Fault(
                f"is never called, since there is no hook {name!r}; did you mean {near[0]!r}? "
                "`authhost hooks` lists all hooks",
                name,
                location(place(function)),
            )
