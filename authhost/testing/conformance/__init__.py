"""The conformance suite checks whether a plugin does what the contract asks.

A fault can harm a site. A note is something that the plugin's author should know.
"""

from typing import Any

from authhost.testing.conformance.checked_plugin import CheckedPlugin, NoSuchPlugin, find_plugin
from authhost.testing.conformance.report import Fault, Report, Verdict
from authhost.testing.conformance.runner import CHECKS, check

__all__ = [
    "CHECKS",
    "CheckedPlugin",
    "Fault",
    "NoSuchPlugin",
    "Report",
    "Verdict",
    "check",
    "find_plugin",
]

_RENAMED = {"Subject": "CheckedPlugin", "subject_of": "find_plugin"}
"""Former names, until the next minor version."""


def __getattr__(name: str) -> Any:
    """Return a public name by its former name, with a `DeprecationWarning`."""
    import warnings

    if name not in _RENAMED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    new = _RENAMED[name]
    text = f"{__name__}.{name} is now {new}; import {new} from {__name__}"
    warnings.warn(text, DeprecationWarning, stacklevel=2)
    return globals()[new]
