"""What each plugin costs a flow by itself, with a trivially cheap hash."""

from __future__ import annotations

from contextlib import ExitStack
from importlib import import_module
from typing import Any

from common import CHEAP_HASH, PLUGINS, Deliverer, Options, Report, databases, make_host, progress
from flows import all_flows
from peers.measure import FLOWS, Laps, run

NONE = "none"


def measure(options: Options) -> Report:
    """Medians in ms, and each plugin's as a ratio to none at all, an account each in turn."""
    rounds, warm_up = options.rounds(300, 30), options.rounds(30, 5)
    rows: list[dict[str, Any]] = []
    for database, server in options.servers.items():
        progress(f"plugins: {database}")
        laps = {name: Laps() for name in (NONE, *PLUGINS)}
        with ExitStack() as stack:
            urls = stack.enter_context(databases(server, *laps))
            hosts = {
                name: stack.enter_context(make_host(url, plugins=False, extra=_extra(name), **CHEAP_HASH))
                for name, url in zip(laps, urls, strict=True)
            }

            def each(_: Laps, email: str, hosts: Any = hosts, laps: Any = laps) -> None:
                for name, host in hosts.items():
                    all_flows(host, laps[name], email)

            run(each, Laps(), 0, warm_up)
            for lap in laps.values():
                lap.clear()
            run(each, Laps(), rounds, 0)
        for flow in FLOWS:
            none = laps[NONE].median(flow)
            row: dict[str, Any] = {"database": database, "flow": flow, "none ms": none}
            for name in PLUGINS:
                took = laps[name].median(flow)
                row[f"{name} / none"] = none and took and took / none
            rows.append(row)
    return Report("Each plugin alone", "Ratios to a host without plugins, measured in turn.", rows)


def _extra(name: str) -> dict[str, object]:
    plugins = {} if name == NONE else {name: import_module(f"authhost_{name}").plugin}
    return plugins if name == "email" else {**plugins, "deliverer": Deliverer()}
