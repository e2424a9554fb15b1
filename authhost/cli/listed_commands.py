"""The names of the plugins' commands, with the line that ``--help`` shows of each; no plugin is imported.

A distribution declares its commands in the entry point group
``authhost.commands``: the name is that of the command, the value says where the
click object is. The line is read from the source of that module. Where it is
not found there, it is the summary of the distribution.

A plugin whose distribution has no such group is listed under its own name, if its
source defines `register_commands`.

This is only a list. Which command runs is decided when one is invoked: then the
plugins are loaded, and `PluginRegistry.commands` has those that were accepted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import Distribution, EntryPoint, EntryPoints, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

PLUGINS = "authhost"
COMMANDS = "authhost.commands"
DEFINES_COMMANDS = re.compile(r"^\s*(def\s+register_commands\b|register_commands\s*[:=])", re.MULTILINE)
MAKES_COMMAND = frozenset({"command", "group"})
"""The decorators of click that make a command of a function, with its help among their arguments."""


def listed_commands(leaves_out: Callable[[str], bool]) -> dict[str, click.Command]:
    """Return a command for each that a plugin declares, by name: it has the help, and does nothing.

    ``leaves_out`` says of a plugin's name whether the settings leave it out: its
    commands are not listed.
    """
    found: dict[str, click.Command] = {}
    installed = entry_points()
    declared = _by_distribution(installed.select(group=COMMANDS))
    for distribution, plugins in _by_distribution(installed.select(group=PLUGINS)).items():
        names = [each.name for each in plugins]
        used = [each for each in plugins if not leaves_out(each.name)]
        if distribution in declared:
            for command in declared[distribution]:
                if command.name in names and leaves_out(command.name):
                    continue
                if used:
                    found.setdefault(command.name, _listed(command, distribution))
            continue
        for plugin in used:
            if _defines_commands(plugin):
                found.setdefault(plugin.name, _of_summary(plugin.name, distribution))
    return found


def _by_distribution(found: EntryPoints) -> dict[Distribution | None, list[EntryPoint]]:
    """Entry points by their distribution, in the order of their names."""
    grouped: dict[Distribution | None, list[EntryPoint]] = {}
    for each in sorted(found, key=lambda each: each.name):
        grouped.setdefault(each.dist, []).append(each)
    return grouped


def _listed(command: EntryPoint, distribution: Distribution | None) -> click.Command:
    with suppress(Exception):  # of an installation that is broken: its help is no reason to fail
        for source in _sources(_spec(command.module), whole_package=False):
            described = _described(source, command.attr)
            if described is not None:
                return click.Command(command.name, **described)
    return _of_summary(command.name, distribution)


def _of_summary(name: str, distribution: Distribution | None) -> click.Command:
    summary = None
    with suppress(Exception):
        summary = distribution.metadata["Summary"] if distribution is not None else None
    return click.Command(name, help=summary or f"Commands of the plugin {name}.")


def _defines_commands(plugin: EntryPoint) -> bool:
    with suppress(Exception):
        sources = _sources(_spec(plugin.module), whole_package=True)
        return any(DEFINES_COMMANDS.search(source) for source in sources)
    return False


def _spec(module: str) -> ModuleSpec | None:
    """Find a module without importing the package that it is in, as `find_spec` would."""
    top, *rest = module.split(".")
    spec = find_spec(top)
    for part in rest:
        if spec is None:
            return None
        spec = PathFinder.find_spec(f"{spec.name}.{part}", spec.submodule_search_locations or ())
    return spec


def _sources(spec: ModuleSpec | None, *, whole_package: bool) -> Iterator[str]:
    """Yield the source of a module; with ``whole_package``, of all modules in it where it is a package."""
    if spec is None:
        return
    loader: Any = spec.loader
    yield loader.get_source(spec.name) or ""
    for folder in (spec.submodule_search_locations or ()) if whole_package else ():
        for path in sorted(Path(folder).rglob("*.py")):
            yield path.read_text(encoding="utf-8", errors="replace")


def _described(source: str, function: str) -> dict[str, Any] | None:
    """What click would know of the command that ``function`` is made into; None where it is not defined here.

    The function alone is parsed: the whole of a module takes as long as importing click.
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
    except SyntaxError:  # a text over several lines that begins at the margin
        tree = ast.parse(source)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            given: dict[str | None, Any] = {
                word.arg: word.value.value
                for decorator in node.decorator_list
                if isinstance(decorator, ast.Call) and _last_name(decorator.func) in MAKES_COMMAND
                for word in decorator.keywords
                if isinstance(word.value, ast.Constant)
            }
            described: dict[str, Any] = {"help": given.get("help") or ast.get_docstring(node)}
            described |= {key: given[key] for key in ("short_help", "hidden", "deprecated") if key in given}
            return described
    return None


def _last_name(function: Any) -> str | None:
    """``command`` of ``click.command``, and of ``command``."""
    name: str | None = getattr(function, "attr", getattr(function, "id", None))
    return name
