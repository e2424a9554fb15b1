"""Record which hooks each flow calls, in order, while the scenario runs."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any, NamedTuple

from authhost.pluginhost.trace import TracedHook
from authhost.testing.host import Clock, open_host
from authhost.testing.lost_factor import LOST_FACTOR, LostFactor
from authhost.testing.mailbox import MAILBOX, Mailbox
from authhost.testing.openid import LocalProvider
from authhost.testing.scenario import SETTINGS, Scenario, Step


class TracedFlow(NamedTuple):
    """One flow, and the hooks that it called."""

    step: Step
    hooks: tuple[TracedHook, ...]


def hook_order() -> list[dict[str, Any]]:
    """The title of each flow of the scenario, its name and the names of its hooks, as values of JSON."""
    return [
        {"title": step.title, "flow": step.flow, "hooks": [each.hook for each in hooks]}
        for step, hooks in traced_flows()
    ]


def traced_flows(plugins: Sequence[str] = ()) -> list[TracedFlow]:
    """Run every flow of the scenario on a new host with these installed plugins, and trace it."""
    flows: list[TracedFlow] = []
    hooks: list[TracedHook] = []
    with LocalProvider() as provider, tempfile.TemporaryDirectory(prefix="authhost-hooks-") as folder:
        provider.start()
        mailbox, url = Mailbox(), f"sqlite:///{Path(folder) / 'host.sqlite3'}"
        own = {MAILBOX: mailbox, LOST_FACTOR: LostFactor()}
        settings = {
            **SETTINGS,
            "providers": provider.settings,
            "trace": True,
            "plugins": (*plugins, MAILBOX, LOST_FACTOR),
        }
        if "email" in plugins:
            settings["plugin_settings"] = {"email": {"transport": "file", "directory": folder}}
        with (
            redirect_stderr(io.StringIO()),  # the trace of the host's start is not part of a flow
            open_host(url, own, clock=Clock(), discover=True, **settings) as host,
        ):
            assert host.registry.trace is not None
            host.registry.trace.write = hooks.append

            def after(step: Step) -> None:
                flows.append(TracedFlow(step, tuple(hooks)))
                hooks.clear()

            Scenario(host, mailbox, provider, before=lambda *_: hooks.clear(), after=after).run()
    return flows
