"""Compiles the guard of one implementation from a template, with exactly the implementation's parameters.

pluggy calls an implementation by the names of its parameters. So the guard must
have the same names, with the request as the first one, whether the
implementation asks for it or not. Compiling a function for each implementation
saves one frame on the path of every hook, compared with ``*args``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache, update_wrapper
from time import perf_counter_ns
from types import CodeType
from typing import Any

from authhost.errors import PLUGIN_FAILURES
from authhost.pluginhost.results import check_ran

CALL = """
def guarded({parameters}):
    return _call(request, {arguments})
"""
CALL_WITHOUT_REQUEST = """
def guarded({arguments}):
    return _call({arguments})
"""


@lru_cache(1024)
def _code(source: str, filename: str) -> CodeType:
    """Compile a guard. Those of two hosts, or of two plugins for one hook, have the same code."""
    return compile(source, filename, "exec")


def compiled(template: str, function: Callable[..., Any], **names: Any) -> Callable[..., Any]:
    """Return the function ``guarded`` of ``template``, named like ``function``.

    ``{parameters}`` in the template becomes ``request`` and the other parameters
    of ``function``, ``{arguments}`` the parameters of ``function`` in its own order.
    ``names`` are what the template uses, there with a leading underscore, so that an
    argument of a plugin's own hook cannot have the same name. The registry has
    checked the parameters.
    """
    arguments = list(inspect.signature(function).parameters)
    parameters = ["request", *(name for name in arguments if name != "request")]
    source = template.format(parameters=", ".join(parameters), arguments=", ".join(arguments))
    used = {
        "PLUGIN_FAILURES": PLUGIN_FAILURES,
        "perf_counter_ns": perf_counter_ns,
        "check_ran": check_ran,
        "function": function,
        **names,
    }
    namespace = {f"_{name}": value for name, value in used.items()}
    exec(_code(source, f"<guard of {function.__name__}>"), namespace)  # noqa: S102
    guarded: Callable[..., Any] = update_wrapper(namespace["guarded"], function)
    del guarded.__wrapped__  # type: ignore[attr-defined]
    guarded.__qualname__ = guarded.__name__
    return guarded
