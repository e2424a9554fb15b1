"""Discover the plugins' commands and their help texts without importing a plugin.

A distribution declares its commands in the entry point group
``authhost.commands``: the name is the name of the command, the value refers to the
click object. The help text is read from the source of that module. If it is not
found there, the summary of the distribution is used.

A plugin whose distribution has no such group is listed under its own name if its
source defines `register_commands`.

The result is used for help and shell completion only. To run a command, the plugins
are loaded, and `PluginRegistry.commands` has the commands that were accepted. To complete
the options of a command, only its module is imported, see `import_command`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import Distribution, EntryPoint, EntryPoints, entry_points
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from typing import Any

import click

PLUGINS = "authhost"
COMMANDS = "authhost.commands"
REGISTER_COMMANDS = re.compile(r"^\s*(def\s+register_commands\b|register_commands\s*[:=])", re.MULTILINE)
COMMAND_DECORATORS = frozenset({"command", "group"})
"""The decorators of click that create a command from a function; their arguments can contain its help."""


def discover_commands(is_excluded: Callable[[str], bool]) -> dict[str, click.Command]:
    """Return a stub for each command that a plugin declares, by name. A stub has only the help text.

    ``is_excluded`` returns whether the settings exclude the plugin of that name. Its
    commands are not listed.
    """
    found: dict[str, click.Command] = {}
    installed = entry_points()
    declared = _by_distribution(installed.select(group=COMMANDS))
    for distribution, plugins in _by_distribution(installed.select(group=PLUGINS)).items():
        names = [each.name for each in plugins]
        used = [each for each in plugins if not is_excluded(each.name)]
        if distribution in declared:
            for command in declared[distribution]:
                if command.name in names and is_excluded(command.name):
                    continue
                if used:
                    found.setdefault(command.name, _stub_command(command, distribution))
            continue
        for plugin in used:
            if _defines_commands(plugin):
                found.setdefault(plugin.name, _stub_from_summary(plugin.name, distribution))
    return found


def import_command(name: str) -> click.Command | None:
    """Import a declared command without its plugin, to complete its options and arguments in a shell.

    The package's own ``__init__`` is not executed, because it imports the plugin. The imported
    modules are forgotten afterwards, so that a later import is a complete one. Returns None if no
    distribution declares the command, or if its module cannot be imported in this way.
    """
    declared = next(iter(entry_points(group=COMMANDS, name=name)), None)
    if declared is None:
        return None
    package = declared.module.partition(".")[0]
    if package == declared.module or package in sys.modules:
        return _load(declared)
    spec = find_spec(package)
    if spec is None:
        return None
    sys.modules[package] = module_from_spec(spec)
    try:
        return _load(declared)
    finally:
        for module in [each for each in sys.modules if each.partition(".")[0] == package]:
            del sys.modules[module]


def _load(declared: EntryPoint) -> click.Command | None:
    with suppress(Exception):  # an error in a plugin must not disturb the shell
        command = declared.load()
        return command if isinstance(command, click.Command) else None
    return None


def _by_distribution(found: EntryPoints) -> dict[Distribution | None, list[EntryPoint]]:
    """Group entry points by their distribution, sorted by name."""
    grouped: dict[Distribution | None, list[EntryPoint]] = {}
    for each in sorted(found, key=lambda each: each.name):
        grouped.setdefault(each.dist, []).append(each)
    return grouped


def _stub_command(command: EntryPoint, distribution: Distribution | None) -> click.Command:
    with suppress(Exception):  # a broken installation must not prevent the help
        for source in _sources(_spec(command.module), whole_package=False):
            options = _click_options(source, command.attr)
            if options is not None:
                return click.Command(command.name, **options)
    return _stub_from_summary(command.name, distribution)


def _stub_from_summary(name: str, distribution: Distribution | None) -> click.Command:
    summary = None
    with suppress(Exception):
        summary = distribution.metadata["Summary"] if distribution is not None else None
    return click.Command(name, help=summary or f"Commands of the plugin {name}.")


def _defines_commands(plugin: EntryPoint) -> bool:
    with suppress(Exception):
        sources = _sources(_spec(plugin.module), whole_package=True)
        return any(REGISTER_COMMANDS.search(source) for source in sources)
    return False


def _spec(module: str) -> ModuleSpec | None:
    """Find a module without importing its parent package, in contrast to `find_spec`."""
    top, *rest = module.split(".")
    spec = find_spec(top)
    for part in rest:
        if spec is None:
            return None
        spec = PathFinder.find_spec(f"{spec.name}.{part}", spec.submodule_search_locations or ())
    return spec


def _sources(spec: ModuleSpec | None, *, whole_package: bool) -> Iterator[str]:
    """Yield the source of a module. With ``whole_package``, also those of all modules in the package."""
    if spec is None:
        return
    loader: Any = spec.loader
    yield loader.get_source(spec.name) or ""
    for folder in (spec.submodule_search_locations or ()) if whole_package else ():
        for path in sorted(Path(folder).rglob("*.py")):
            yield path.read_text(encoding="utf-8", errors="replace")


def _click_options(source: str, function: str) -> dict[str, Any] | None:
    """Return the click options of the command ``function``, or None if it is not in ``source``.

    Parses only the function: to parse a whole module takes as long as importing click.
    """
    import ast

    lines = source.splitlines()
    start = next((n for n, line in enumerate(lines) if re.match(rf"def {function}\b", line)), None)
    if start is None:
        return None
    end = next((n for n in range(start + 1, len(lines)) if re.match(r"[^\s)#]", lines[n])), len(lines))
    while start and lines[start - 1].strip():
        start -= 1
    try:
        tree = ast.parse("\n".join(lines[start:end]))
    except SyntaxError:  # a multi-line text that starts in the first column
        tree = ast.parse(source)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            arguments: dict[str | None, Any] = {
                word.arg: word.value.value
                for decorator in node.decorator_list
                if isinstance(decorator, ast.Call) and _last_name(decorator.func) in COMMAND_DECORATORS
                for word in decorator.keywords
                if isinstance(word.value, ast.Constant)
            }
            options: dict[str, Any] = {"help": arguments.get("help") or ast.get_docstring(node)}
            options |= {
                key: arguments[key] for key in ("short_help", "hidden", "deprecated") if key in arguments
            }
            return options
    return None


def _last_name(function: Any) -> str | None:
    """Return ``command`` for both ``click.command`` and ``command``."""
    name: str | None = getattr(function, "attr", getattr(function, "id", None))
    return name
