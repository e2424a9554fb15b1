"""Who is called in each flow, in which order: traced while every flow runs, drawn as Mermaid diagrams."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stderr
from pathlib import Path
from typing import NamedTuple

from authhost.pluginhost.trace import TracedHook
from authhost.testing.life import SETTINGS, Life, Step
from authhost.testing.openid import LocalProvider
from authhost.testing.recording import MAILBOX, Mailbox
from authhost.testing.stage import Clock, open_host

LEAVING = ": leave"


class Sequence(NamedTuple):
    """One flow and the hooks that it called."""

    step: Step
    hooks: tuple[TracedHook, ...]


def sequences(plugins: tuple[str, ...]) -> list[Sequence]:
    """Every flow of a life with some installed plugins."""
    found: list[Sequence] = []
    traced: list[TracedHook] = []
    with LocalProvider() as provider, tempfile.TemporaryDirectory(prefix="authhost-sequences-") as folder:
        mailbox, url = Mailbox(), f"sqlite:///{Path(folder) / 'host.sqlite3'}"
        settings = {
            **SETTINGS,
            "providers": provider.settings,
            "trace": True,
            "plugins": (*plugins, MAILBOX),
            "plugin_settings": {"email": {"transport": "file", "directory": folder}},
        }
        with (
            redirect_stderr(io.StringIO()),  # the start of the host is no flow
            open_host(url, {MAILBOX: mailbox}, clock=Clock(), discover=True, **settings) as host,
        ):
            assert host.registry.trace is not None
            host.registry.trace.write = traced.append

            def after(step: Step) -> None:
                found.append(Sequence(step, tuple(traced)))
                traced.clear()

            traced.clear()
            Life(host, mailbox, provider, before=lambda *_: traced.clear(), after=after).live()
    return found


def diagram(sequence: Sequence, plugins: tuple[str, ...]) -> str:
    """A Mermaid sequence diagram."""
    return "\n".join(["sequenceDiagram", *(f"    {line}" for line in _lines(sequence, plugins))])


def _lines(sequence: Sequence, plugins: tuple[str, ...]) -> Iterator[str]:
    step = sequence.step
    called = {call.plugin for hook in sequence.hooks for call in hook.calls}
    yield "participant app as application"
    yield "participant host as authhost"
    yield from (f"participant {name}" for name in plugins if name in called)
    yield f"app->>host: {step.flow}"
    for hook in sequence.hooks:
        if hook.hook == "flow_refused":
            yield "Note over host: what the flow wrote is undone"
        given = f"({', '.join(hook.arguments)})"
        receivers = [call.plugin for call in hook.calls if call.plugin in plugins]
        if not receivers:
            yield f"host->>host: {hook.hook}{given}"
        for name in receivers:
            yield f"host->>{name}: {hook.hook}{given}"
    yield "Note over host: commit"
    if step.outcome.startswith("done"):
        yield f"host-->>app: {step.outcome}"
    else:
        yield f"host--xapp: {step.outcome.partition(' ')[0]}"
