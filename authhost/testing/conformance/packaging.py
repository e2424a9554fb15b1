"""Checks of what a plugin is before it is called: accepted, self-sufficient, with tables that fit."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path
from typing import Any

import authhost_hookspecs as contract
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from authhost.errors import PLUGIN_FAILURES, ConfigurationError
from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.subject import Subject
from authhost.testing.conformance.trial import Trial, quiet

NAME = re.compile(r"[a-z][a-z0-9_]*")
OWN_COMMANDS = frozenset({"check", "db", "hooks", "plugins", "providers", "tour"})
"""Those of authhost itself."""
TIMEOUT = 60
"""Seconds for an import."""


def accepted(trial: Trial) -> Iterator[Fault]:
    """The host accepts it: it imports, and implements hooks that exist with arguments that exist."""
    if not NAME.fullmatch(trial.subject.name):
        yield Fault(
            f"its name {trial.subject.name!r} cannot be part of a table's or an environment variable's name; "
            "name the entry point in small letters, digits and _"
        )
    if trial.subject.refusal is not None:
        yield _refused(trial, trial.subject.refusal)
        return
    try:
        with quiet(), trial.host({trial.subject.name: trial.subject.plugin}) as (host, _):
            refused = next(each for each in host.registry.records if each.name == trial.subject.name)
            if refused.status != "loaded":
                yield _refused(trial, str(refused.reason))
            for hook in refused.unknown_hooks:
                yield Fault(
                    "is left out: it is optional, and this contract does not have it", hook, note=True
                )
    except ConfigurationError as error:
        yield Fault(str(error))
    except PLUGIN_FAILURES as error:
        yield Fault(f"the host does not start with it: {type(error).__name__}: {error}")


def _refused(trial: Trial, reason: str) -> Fault:
    """A refusal, with the place of the hook that it names."""
    names = re.findall(r"\w+", reason.replace("its setting", "register_settings"))
    return Fault(reason, where=next(filter(None, map(trial.subject.begins, names)), None))


# A clean environment.

IMPORT = """
import importlib, json, logging, os, sys
from importlib.metadata import packages_distributions
value, allowed, sys.path[:] = json.loads(sys.stdin.read())

class Undeclared:
    # Modules of distributions that the plugin has not declared are not there.
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


def independent(trial: Trial) -> Iterator[Fault]:
    """It loads with the contract and what it declares alone, and never imports authhost itself."""
    subject = trial.subject
    for path, line, name in _imports(subject.root):
        if name.partition(".")[0] == "authhost":
            yield Fault(
                f"imports {name}; depend on the contract (authhost_hookspecs) alone",
                where=f"{path.name}:{line}",
            )
    for path, line, name in _undeclared(subject):
        yield Fault(
            f"imports {name}, which {subject.distribution} does not declare; name it among the dependencies",
            where=f"{path.name}:{line}",
        )
    if subject.distribution is None or subject.entry_point is None:
        return
    declared = _closure(subject.distribution)
    if "authhost" in declared:
        yield Fault(f"{subject.distribution} depends on authhost; depend on authhost-hookspecs in its place")
    if "authhost-hookspecs" not in declared:
        yield Fault(f"{subject.distribution} does not declare authhost-hookspecs, such as >=1.0,<2")
    given = json.dumps([subject.entry_point, sorted(declared), sys.path])
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", IMPORT],
        input=given,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["it ended without a word"]
        yield Fault(
            f"{subject.entry_point} does not import where only the contract and what it declares is "
            f"installed: {last[0]}; declare it among the dependencies and install the plugin again"
        )
        return
    said, _, changed = done.stdout.strip().rpartition("\n")
    if said.strip():
        yield Fault(
            f"prints {said.strip()[:60]!r} when it is imported, into what commands print for programs; log it"
        )
    for each in json.loads(changed):
        yield Fault(f"changes {each} of the whole process when it is imported; do it in no plugin")


def _imports(root: Path | None, *, needed: bool = False) -> Iterator[tuple[Path, int, str]]:
    """Every import in the plugin's code, those within functions too; or those that it cannot do without."""
    for path in [root] if root and root.is_file() else sorted(root.rglob("*.py") if root else ()):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        spared = {id(inner) for node in ast.walk(tree) if _spares(node) for inner in ast.walk(node)}
        for node in ast.walk(tree):
            if needed and id(node) in spared:
                continue
            if isinstance(node, ast.Import):
                yield from ((path, node.lineno, each.name) for each in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield path, node.lineno, node.module


def _spares(node: ast.AST) -> bool:
    """Whether what is imported here may be missing: it is tried, or for type checkers alone."""
    return isinstance(node, ast.Try) or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))


def _undeclared(subject: Subject) -> Iterator[tuple[Path, int, str]]:
    """Imports of installed distributions that the plugin does not ask for, not as an extra either."""
    if subject.distribution is None:
        return
    declared, owners = _closure(subject.distribution, extras=True), packages_distributions()
    for path, line, name in _imports(subject.root, needed=True):
        of = {canonicalize_name(each) for each in owners.get(name.partition(".")[0], ())}
        if of and not of & declared and "authhost" not in of:
            yield path, line, name


def _closure(name: str, *, extras: bool = False) -> set[str]:
    """A distribution and all that it needs, by their normalised names, with its extras or without."""
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


# What it brings.


def declarations(trial: Trial) -> Iterator[Fault]:
    """Its commands, providers, tables and migrations are of the right kind, and fit each other."""
    with quiet(), trial.host({trial.subject.name: trial.subject.plugin}) as (host, _):
        (record,) = (each for each in host.registry.loaded() if each.name == trial.subject.name)
        brought = trial.subject.implementations
        if "register_commands" in record.hooks:
            yield from _commands(brought["register_commands"])
        if "register_providers" in record.hooks:
            yield from _providers(brought["register_providers"])
        if "register_checks" in record.hooks:
            yield from _checks(brought["register_checks"], host)
        if record.tables is not None:
            yield from _tables(host, record.tables, trial.subject.name)


def _commands(register: Any) -> Iterator[Fault]:
    import click

    try:
        commands = register()
    except PLUGIN_FAILURES as error:
        yield Fault(f"failed: {type(error).__name__}: {error}", "register_commands")
        return
    if not isinstance(commands, list | tuple):
        yield Fault(f"must return a list of commands, not a {type(commands).__name__}", "register_commands")
        return
    for command in commands:
        if not isinstance(command, click.Command):
            yield Fault(f"returns a {type(command).__name__} that is no click.Command", "register_commands")
        elif command.name in OWN_COMMANDS:
            yield Fault(f"command {command.name!r} is authhost's own; rename it", "register_commands")


def _providers(register: Any) -> Iterator[Fault]:
    try:
        providers = list(register())
    except PLUGIN_FAILURES as error:
        yield Fault(f"failed: {type(error).__name__}: {error}", "register_providers")
        return
    for each in providers:
        if not isinstance(each, contract.Provider):
            yield Fault(f"returns a {type(each).__name__} that declares no provider", "register_providers")


def _checks(register: Any, host: Any) -> Iterator[Fault]:
    try:
        for function in list(register()):
            for each in function(host):
                if not isinstance(each, contract.Finding):
                    yield Fault(f"finds a {type(each).__name__}, which is no Finding", "register_checks")
    except PLUGIN_FAILURES as error:
        yield Fault(f"failed: {type(error).__name__}: {error}", "register_checks")


def _tables(host: Any, tables: contract.PluginTables, name: str) -> Iterator[Fault]:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    metadata: Any = tables.metadata
    prefix = f"authhost_{name}"
    for table in metadata.tables:
        if not table.startswith(prefix):
            yield Fault(f"table {table} may be somebody else's; let its name begin with {prefix}_")

    def own(item: Any, label: str | None, kind: str, *_: Any) -> bool:
        return kind != "table" or label in metadata.tables

    with host.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": own})
        for change in compare_metadata(context, metadata):
            yield Fault(
                f"the migrations do not make what the metadata says: {_told(change)}", "register_tables"
            )


def _told(change: Any) -> str:
    if isinstance(change, list):
        change = change[0]
    words = [getattr(part, "name", part) for part in change if isinstance(part, str) or hasattr(part, "name")]
    return " ".join(map(str, words))
