"""Which hooks each flow calls, in order: recorded while every flow runs once."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from authhost.testing.life import SETTINGS, Life, Step
from authhost.testing.openid import LocalProvider
from authhost.testing.recording import Mailbox
from authhost.testing.stage import open_host


def hook_order() -> list[dict[str, Any]]:
    """Live a `Life` on a host of its own; for each flow its title, its name and its hooks."""
    called: list[str] = []
    flows: list[dict[str, Any]] = []

    def after(step: Step) -> None:
        flows.append({"title": step.title, "flow": step.flow, "hooks": called.copy()})
        called.clear()

    mailbox = Mailbox()
    with tempfile.TemporaryDirectory(prefix="authhost-order-") as folder, LocalProvider() as provider:
        provider.start()
        url = f"sqlite:///{Path(folder) / 'order.sqlite3'}"
        given = {"providers": provider.settings, **SETTINGS}
        with open_host(url, {"mailbox": mailbox}, clock=lambda: datetime.now(UTC), **given) as host:
            host.registry.manager.add_hookcall_monitoring(
                lambda name, *_: called.append(name), lambda *_: None
            )
            Life(host, mailbox, provider, after=after).live()
    return flows
