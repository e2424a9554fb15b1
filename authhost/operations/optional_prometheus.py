"""Loads `authhost.operations.prometheus`, which needs the extra ``authhost[metrics]``."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from authhost.errors import ConfigurationError


def prometheus_text() -> ModuleType:
    """Return the module with the text format of Prometheus; raises `ConfigurationError` without the extra."""
    try:
        return import_module("authhost.operations.prometheus")
    except ImportError as error:
        raise ConfigurationError(
            "the text format of Prometheus needs prometheus_client; run `pip install 'authhost[metrics]'`"
        ) from error
