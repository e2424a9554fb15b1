"""Checks of a plugin's distribution: the host accepts it, and it imports only what it declares."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from authhost.errors import PLUGIN_FAILURES, ConfigurationError
from authhost.testing.conformance.checked_plugin import CheckedPlugin
from authhost.testing.conformance.context import CheckContext
from authhost.testing.conformance.output import silenced
from authhost.testing.conformance.published_hooks import OF_OUR_PLUGINS
from authhost.testing.conformance.report import Fault

NAME = re.compile(r"[a-z][a-z0-9_]*")
IMPORT_TIMEOUT = 60
"""Seconds."""


def accepted(context: CheckContext) -> Iterator[Fault]:
    """The host accepts it: it can be imported, and its hooks and their arguments exist in the contract."""
    checked = context.checked
    if not NAME.fullmatch(checked.name):
        yield Fault(
            f"its name {checked.name!r} cannot be part of a table's or an environment variable's name; "
            "use lower-case letters, digits and _ in the entry point's name"
        )
    if checked.refusal is not None:
        yield _refused(checked, checked.refusal)
        return
    try:
        with silenced(), context.host({checked.name: checked.plugin}) as (host, _):
            record = next(each for each in host.registry.records if each.name == checked.name)
            if record.status != "loaded":
                yield _refused(checked, str(record.reason))
            for hook in record.unknown_hooks:
                if hook not in checked.published:
                    yield Fault(_unknown_hook(hook), hook, note=True)
    except ConfigurationError as error:
        yield Fault(str(error))
    except PLUGIN_FAILURES as error:
        yield Fault(f"the host does not start with the plugin: {type(error).__name__}: {error}")


def _unknown_hook(hook: str) -> str:
    text = "is not called: it is an optional hook of neither this contract nor an installed plugin"
    publisher = OF_OUR_PLUGINS.get(hook, "the plugin that publishes it")
    return f"{text}; install {publisher} to check it"


def _refused(checked: CheckedPlugin, reason: str) -> Fault:
    """A refusal, with the file and line of the hook that it names."""
    names = re.findall(r"\w+", reason.replace("its setting", "register_settings"))
    return Fault(reason, where=next(filter(None, map(checked.definition, names)), None))


IMPORT_PROGRAM = """
import importlib, json, logging, os, sys
from importlib.metadata import packages_distributions
value, allowed, sys.path[:] = json.loads(sys.stdin.read())

class Undeclared:
    # Hides the modules of distributions that the plugin does not declare.
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        owners = of.get(top, [])
        if top == "authhost" or (owners and not any(owner in allowed for owner in owners)):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

normal = lambda name: name.lower().replace("_", "-").replace(".", "-")
of = {top: [normal(each) for each in owners] for top, owners in packages_distributions().items()}
sys.meta_path.insert(0, Undeclared())
shared = lambda: {
    "the environment": dict(os.environ),
    "the working folder": os.getcwd(),
    "logging": (logging.root.level, logging.root.handlers[:], logging.root.manager.disable),
}
before = shared()
module, _, name = value.partition(":")
found = importlib.import_module(module)
for part in filter(None, name.split(".")):
    found = getattr(found, part)
after = shared()
print("\\n" + json.dumps([name for name in before if after[name] != before[name]]))
"""


def independent(context: CheckContext) -> Iterator[Fault]:
    """It can be imported with only the contract and its declared dependencies, and never imports authhost."""
    checked = context.checked
    for path, line, name in _imports(checked.root):
        if name.partition(".")[0] == "authhost":
            yield Fault(
                f"imports {name}; import only the contract (authhost_hookspecs)",
                where=f"{path.name}:{line}",
            )
    for path, line, name in _undeclared_imports(checked):
        yield Fault(
            f"imports {name}, which {checked.distribution} does not declare; add it to the dependencies",
            where=f"{path.name}:{line}",
        )
    if checked.distribution is None or checked.entry_point is None:
        return
    declared = _closure(checked.distribution)
    if "authhost" in declared:
        yield Fault(f"{checked.distribution} depends on authhost; depend on authhost-hookspecs instead")
    if "authhost-hookspecs" not in declared:
        yield Fault(
            f"{checked.distribution} does not declare authhost-hookspecs; add it to the dependencies, "
            "for example >=1.0,<2"
        )
    yield from _import_faults(checked.entry_point, declared)


def _import_faults(entry_point: str, declared: set[str]) -> Iterator[Fault]:
    """Import the plugin in a process of its own that hides all other distributions."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", IMPORT_PROGRAM],
        input=json.dumps([entry_point, sorted(declared), sys.path]),
        capture_output=True,
        text=True,
        timeout=IMPORT_TIMEOUT,
        check=False,
    )
    if done.returncode:
        last_line = done.stderr.strip().splitlines()[-1:] or ["the process ended without a message"]
        yield Fault(
            f"{entry_point} cannot be imported with only the contract and its declared dependencies: "
            f"{last_line[0]}; add what is missing to the dependencies and install the plugin again"
        )
        return
    printed, _, changed = done.stdout.strip().rpartition("\n")
    if printed.strip():
        yield Fault(
            f"prints {printed.strip()[:60]!r} when it is imported, which breaks the JSON output of commands; "
            "log it instead"
        )
    for each in json.loads(changed):
        yield Fault(f"changes {each} of the whole process when it is imported; remove this change")


def _imports(root: Path | None, *, required: bool = False) -> Iterator[tuple[Path, int, str]]:
    """Every import in the plugin's code, also in functions, as file, line and module.

    ``required`` leaves out those that may fail.
    """
    for path in [root] if root and root.is_file() else sorted(root.rglob("*.py") if root else ()):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        optional = {
            id(inner) for node in ast.walk(tree) if _is_optional_block(node) for inner in ast.walk(node)
        }
        for node in ast.walk(tree):
            if required and id(node) in optional:
                continue
            if isinstance(node, ast.Import):
                yield from ((path, node.lineno, each.name) for each in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield path, node.lineno, node.module


def _is_optional_block(node: ast.AST) -> bool:
    """Whether an import in this block may fail: it is in a ``try`` or only for type checkers."""
    return isinstance(node, ast.Try) or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))


def _undeclared_imports(checked: CheckedPlugin) -> Iterator[tuple[Path, int, str]]:
    """Imports of installed distributions that are neither a dependency nor an extra of the plugin."""
    if checked.distribution is None:
        return
    declared, owners = _closure(checked.distribution, extras=True), packages_distributions()
    for path, line, name in _imports(checked.root, required=True):
        of = {canonicalize_name(each) for each in owners.get(name.partition(".")[0], ())}
        if of and not of & declared and "authhost" not in of:
            yield path, line, name


def _closure(name: str, *, extras: bool = False) -> set[str]:
    """The normalised names of a distribution and of all its direct and indirect dependencies.

    ``extras`` includes the extras of the distribution itself.
    """
    found: set[str] = set()
    wanted = [name]
    while wanted:
        each = canonicalize_name(wanted.pop())
        if each in found:
            continue
        found.add(each)
        try:
            texts = distribution(each).requires or ()
        except PackageNotFoundError:
            continue
        for need in map(Requirement, texts):
            here = need.marker is None or need.marker.evaluate({"extra": ""})
            if here or (extras and each == canonicalize_name(name) and "extra" in str(need.marker)):
                wanted.append(need.name)
    return found
