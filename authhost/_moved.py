"""The former names of modules, until version 0.3: importing one warns and returns the renamed module."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

MOVED = {
    "authhost.check": "authhost.cli.checks",
    "authhost.declared": "authhost.pluginhost.declarations",
    "authhost.providers.check": "authhost.cli.provider_check",
    "authhost.testing.plugin": "authhost.testing.pytest_plugin",
    "authhost.testing.stage": "authhost.testing.host",
    **{
        f"authhost.{name}": f"authhost.pluginhost.{name}"
        for name in ("discovery", "dispatch", "guard", "implementations", "reference", "trace")
    },
    **{
        f"authhost.{name}": f"authhost.security.{name}"
        for name in (
            "characters",
            "counters",
            "devices",
            "encryption",
            "ids",
            "inputs",
            "keys",
            "passwords",
            "ratelimits",
            "refusals",
        )
    },
}


class _MovedModule:
    # Importing the base classes of `importlib.abc` would take longer than the rest of `import authhost`.
    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = import_module(MOVED[spec.name])
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec  # the import system has replaced it


class _Finder:
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in MOVED:
            return None
        warnings.warn(
            f"{name} is {MOVED[name]} now; the former name is removed in version 0.3",
            DeprecationWarning,
            stacklevel=2,
        )
        loader: Any = _MovedModule()
        return ModuleSpec(name, loader)


def install() -> None:
    """Let the former names be imported. The finder is asked last, so that no other import gets slower."""
    if not any(isinstance(each, _Finder) for each in sys.meta_path):
        sys.meta_path.append(_Finder())
