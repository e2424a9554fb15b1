"""The plugin that the suite checks, and which files belong to it."""

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
from authhost.pluginhost.attributes import Implementation
from authhost.pluginhost.discovery import PluginRegistry
from authhost.pluginhost.hooks import SPEC_ARGUMENTS
from authhost.pluginhost.implementations import marked
from authhost.pluginhost.published import PublishedHook
from authhost.settings import Settings
from authhost.testing.conformance.published_hooks import hooks_of_others, stand_ins

SECRET = "of-the-conformance-suite-" * 2


class NoSuchPlugin(LookupError):
    """No installed plugin has this name."""


@dataclass(eq=False)
class CheckedPlugin:
    """A plugin with its name and the settings that an operator would set for it."""

    name: str
    plugin: object
    settings: Mapping[str, Any] = field(default_factory=dict)
    refusal: str | None = None
    """Why the host does not accept it."""
    distribution: str | None = None
    version: str | None = None
    entry_point: str | None = None
    _owned: dict[str, bool] = field(default_factory=dict)
    """A cache of `owns`, which is called for each line that runs."""
    _published: Mapping[str, PublishedHook] | None = None

    @property
    def implementations(self) -> dict[str, Callable[..., Any]]:
        """Its hook implementations by the name of the hook."""
        return {each.hook: each.function for each in self.marked()}

    def marked(self) -> list[Implementation]:
        """Its hook implementations with their options. Empty if the plugin cannot be inspected."""
        try:
            found = list(marked(self.plugin))
        except PLUGIN_FAILURES:
            return []
        return [each for each in found if each.hook in SPEC_ARGUMENTS or each.hook in self.published]

    @property
    def published(self) -> Mapping[str, PublishedHook]:
        """The hooks that other installed plugins publish. Empty if it needs none of them."""
        if self._published is None:
            try:
                needed = any(each.hook not in SPEC_ARGUMENTS for each in marked(self.plugin))
            except PLUGIN_FAILURES:
                needed = False
            self._published = hooks_of_others(self.name, self.plugin) if needed else {}
        return self._published

    @property
    def root(self) -> Path | None:
        """The folder of its package, or the file of its module."""
        if self.entry_point is not None:
            # Several distributions may share a namespace package, which has no file of its own.
            # The plugin's own package is the first one that has a file.
            names = list(accumulate(self.entry_point.partition(":")[0].split("."), "{}.{}".format))
        else:
            named = issubclass(type(self.plugin), ModuleType)
            names = [str(self.plugin.__name__ if named else type(self.plugin).__module__)]  # type: ignore[attr-defined]
        for module in map(sys.modules.get, names):
            if isinstance(module, ModuleType) and module.__file__ is not None:
                path = Path(module.__file__).resolve()
                return path.parent if path.name == "__init__.py" else path
        return None

    def attributes(self) -> dict[str, Any]:
        """The attributes of the plugin, of its class and of its module, by name."""
        kind = self.plugin if isinstance(self.plugin, ModuleType) else type(self.plugin)
        module = sys.modules.get(getattr(kind, "__module__", ""), kind)
        return {
            name: value
            for holder in (module, kind, self.plugin)
            for name, value in getattr(holder, "__dict__", {}).items()
        }

    def definition(self, hook: str) -> str | None:
        """File and line of the function that implements a hook, or of the function with this name."""
        function = self.implementations.get(hook) or inspect.getattr_static(self.plugin, hook, None)
        code = getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None
        return f"{Path(code.co_filename).name}:{code.co_firstlineno}" if code is not None else None

    def owns(self, filename: str) -> bool:
        """Whether a file belongs to the plugin."""
        if filename not in self._owned:
            root, path = self.root, Path(filename)
            if root is None or not path.is_absolute():
                return False
            path = path.resolve()
            self._owned[filename] = path == root or root in path.parents
        return self._owned[filename]

    def location(self, at: TracebackType | FrameType | None) -> str | None:
        """File and line of the innermost frame of the plugin's own code, in a traceback or in a stack."""
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


def find_plugin(name: str, settings: Mapping[str, Any] | None = None) -> CheckedPlugin:
    """The installed plugin whose entry point has this name. Raises `NoSuchPlugin`."""
    registry = PluginRegistry(Settings(secret_key=SECRET, plugins=(name,)), {})
    records = [record for record in registry.records if record.name == name]
    if any(record.status == "refused" and record.plugin is not None for record in records):
        # It may need a hook of a plugin that is not loaded here.
        others = stand_ins(CheckedPlugin(name, records[0].plugin).published)
        registry = PluginRegistry(Settings(secret_key=SECRET, plugins=(name, *others)), others)
        records = [record for record in registry.records if record.name == name]
    if not records:
        installed = ", ".join(sorted(record.name for record in registry.records)) or "none"
        raise NoSuchPlugin(
            f"no installed plugin is named {name!r} (installed plugins: {installed}); "
            f"`pip install` its wheel, which needs an entry point {name!r} in group {contract.PROJECT_NAME!r}"
        )
    record = next((each for each in records if each.status == "refused"), records[0])
    return CheckedPlugin(
        name,
        record.plugin,
        settings or {},
        record.reason,
        record.distribution,
        record.version,
        record.entry_point,
    )
