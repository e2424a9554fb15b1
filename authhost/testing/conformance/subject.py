"""The plugin that is examined, and where its code is."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from types import FrameType, ModuleType, TracebackType
from typing import Any

import authhost_hookspecs as contract

from authhost.errors import PLUGIN_FAILURES
from authhost.pluginhost.discovery import PluginRegistry
from authhost.pluginhost.implementations import SPEC_ARGUMENTS, Implementation, marked
from authhost.settings import Settings

SECRET = "of-the-conformance-suite-" * 2


class NoSuchPlugin(LookupError):
    """No installed plugin has this name."""


@dataclass(eq=False)
class Subject:
    """A plugin by its name, with what an operator has set for it."""

    name: str
    plugin: object
    settings: Mapping[str, Any] = field(default_factory=dict)
    refusal: str | None = None
    """Why the host does not accept it."""
    distribution: str | None = None
    version: str | None = None
    entry_point: str | None = None
    _owned: dict[str, bool] = field(default_factory=dict)
    """The files that were asked for; it is asked at each line."""

    @property
    def implementations(self) -> dict[str, Callable[..., Any]]:
        """Its functions by hook."""
        return {each.hook: each.function for each in self.marked()}

    def marked(self) -> list[Implementation]:
        """The same with their options; of a plugin that cannot be inspected, none."""
        try:
            return [each for each in marked(self.plugin) if each.hook in SPEC_ARGUMENTS]
        except PLUGIN_FAILURES:
            return []

    @property
    def root(self) -> Path | None:
        """The folder of its package, or the file of its module."""
        if self.entry_point is not None:
            # A namespace package is shared with others: the plugin's is the first that has a file.
            names = list(accumulate(self.entry_point.partition(":")[0].split("."), "{}.{}".format))
        else:
            named = issubclass(type(self.plugin), ModuleType)
            names = [str(self.plugin.__name__ if named else type(self.plugin).__module__)]  # type: ignore[attr-defined]
        for module in map(sys.modules.get, names):
            if isinstance(module, ModuleType) and module.__file__ is not None:
                path = Path(module.__file__).resolve()
                return path.parent if path.name == "__init__.py" else path
        return None

    def memory(self) -> dict[str, Any]:
        """What the plugin keeps on itself, on its class or in its module, by name."""
        kind = self.plugin if isinstance(self.plugin, ModuleType) else type(self.plugin)
        module = sys.modules.get(getattr(kind, "__module__", ""), kind)
        return {
            name: value
            for holder in (module, kind, self.plugin)
            for name, value in getattr(holder, "__dict__", {}).items()
        }

    def begins(self, hook: str) -> str | None:
        """File and line of a function by its name, or of the one that implements a hook."""
        function = self.implementations.get(hook) or inspect.getattr_static(self.plugin, hook, None)
        code = getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None
        return f"{Path(code.co_filename).name}:{code.co_firstlineno}" if code is not None else None

    def owns(self, filename: str) -> bool:
        """Whether a file is the plugin's."""
        if filename not in self._owned:
            root, path = self.root, Path(filename)
            if root is None or not path.is_absolute():
                return False
            path = path.resolve()
            self._owned[filename] = path == root or root in path.parents
        return self._owned[filename]

    def place(self, at: TracebackType | FrameType | None) -> str | None:
        """The innermost place of the plugin's own code in a traceback, or the nearest in a stack."""
        found = None
        while at is not None:
            frame = at.tb_frame if isinstance(at, TracebackType) else at
            line = at.tb_lineno if isinstance(at, TracebackType) else at.f_lineno
            if self.owns(frame.f_code.co_filename):
                found = f"{Path(frame.f_code.co_filename).name}:{line}"
                if isinstance(at, FrameType):
                    return found
            at = at.tb_next if isinstance(at, TracebackType) else at.f_back
        return found


def subject_of(name: str, settings: Mapping[str, Any] | None = None) -> Subject:
    """An installed plugin by the name of its entry point; raises `NoSuchPlugin`."""
    registry = PluginRegistry(Settings(secret_key=SECRET, plugins=(name,)), {})
    records = [record for record in registry.records if record.name == name]
    if not records:
        there = ", ".join(sorted(record.name for record in registry.records)) or "none"
        raise NoSuchPlugin(
            f"no installed plugin is named {name!r} (there are: {there}); "
            f"`pip install` its wheel, which needs an entry point {name!r} in group {contract.PROJECT_NAME!r}"
        )
    record = next((each for each in records if each.status == "refused"), records[0])
    return Subject(
        name,
        record.plugin,
        settings or {},
        record.reason,
        record.distribution,
        record.version,
        record.entry_point,
    )
