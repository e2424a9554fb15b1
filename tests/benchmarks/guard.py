"""The dispatch guard against a bare pluggy call."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from timeit import Timer
from typing import Any

import authhost_hookspecs as contract
import pluggy
from common import Options, Report, databases, make_host, progress

from authhost import User

COUNTS = (0, 1, 3, 10)


class Plugin:
    """Does nothing."""

    @contract.hookimpl
    def user_logged_in(self, request: object, user: object) -> None:
        pass


def bare_manager(count: int) -> pluggy.PluginManager:
    """pluggy by itself, with the same contract and as many plugins."""
    manager = pluggy.PluginManager(contract.PROJECT_NAME)
    manager.add_hookspecs(contract.account)
    for number in range(count):
        manager.register(Plugin(), f"plugin{number}")
    return manager


def measure(options: Options) -> Report:
    """Medians in µs for one call of a hook."""
    repeats, calls = options.rounds(200, 20), options.rounds(1000, 200)
    rows: list[dict[str, Any]] = []
    for count in COUNTS:
        progress(f"guard: {count} implementations")
        bare, guarded, typed = _calls(count, repeats, calls)
        rows.append(
            {
                "implementations": count,
                "pluggy µs": bare,
                "guarded µs": guarded,
                "guarded and typed µs": typed,
                "guarded / pluggy": guarded / bare,
                "typed / pluggy": typed / bare,
            }
        )
    return Report(
        "The dispatch guard, user_logged_in with implementations that do nothing",
        "'guarded' calls pluggy with the host's guarded plugins; 'typed' is Hooks, which flows call.",
        rows,
    )


def _calls(count: int, repeats: int, calls: int) -> list[float]:
    plugins = {f"plugin{number}": Plugin() for number in range(count)}
    with (
        databases(None, "guard") as (url,),
        make_host(url, plugins=False, extra=plugins, email_verification="none") as host,
        host.request() as request,
    ):
        user = User(request.new_id(), None, None, True, True, request.now, None)
        bare = bare_manager(count).hook.user_logged_in
        guarded = host.registry.manager.hook.user_logged_in
        return _medians(
            (
                lambda: bare(request=request, user=user),
                lambda: guarded(request=request, user=user),
                lambda: host.services.hooks.user_logged_in(request, user),
            ),
            repeats,
            calls,
        )


def _medians(functions: tuple[Callable[[], object], ...], repeats: int, calls: int) -> list[float]:
    """The median time of a call in µs; the functions take turns."""
    timers = [Timer(function) for function in functions]
    times = [[timer.timeit(calls) / calls * 1e6 for timer in timers] for _ in range(repeats)]
    return [median(each) for each in zip(*times, strict=True)]
