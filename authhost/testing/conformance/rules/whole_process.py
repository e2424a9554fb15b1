"""Rules about what the whole process shares: output, interrupts, modules and settings."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from authhost.pluginhost.hooks import SPEC_ARGUMENTS
from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.rules.reach import in_flows, raises_again
from authhost.testing.conformance.source import (
    UNKNOWN,
    PluginSource,
    Reached,
    dotted,
    own_nodes,
    parse,
)

EXITS = frozenset({"sys.exit", "os._exit", "os.abort", "exit", "quit", "builtins.exit", "builtins.quit"})


PROCESS_WIDE_BY_MODULE = {
    "random": "seed",
    "atexit": "register",
    "signal": "signal alarm",
    "sys": "setrecursionlimit settrace setprofile setswitchinterval",
    "gc": "disable freeze set_threshold",
    "warnings": "simplefilter filterwarnings",
    "logging": "basicConfig disable captureWarnings setLoggerClass setLogRecordFactory",
    "locale": "setlocale",
    "socket": "setdefaulttimeout",
    "os": "chdir umask putenv unsetenv",
    "environ": "update",
    "time": "tzset",
    "asyncio": "set_event_loop_policy set_event_loop",
    "multiprocessing": "set_start_method",
    "threading": "setprofile settrace stack_size",
    "resource": "setrlimit",
    "faulthandler": "enable",
    "mimetypes": "add_type",
    "codecs": "register",
    "copyreg": "pickle",
}


PROCESS_WIDE = frozenset(
    f"{module}.{name}" for module, names in PROCESS_WIDE_BY_MODULE.items() for name in names.split()
)
"""Functions that change the whole process, by module and name."""


BROAD = frozenset({"BaseException", "KeyboardInterrupt"})


def caught_interrupts(source: PluginSource) -> Iterator[Fault]:
    text = "catches {}, so Ctrl-C does not reach the host; catch Exception, or raise it again"
    for reached in in_flows(source):
        for node in own_nodes(reached.node):
            if isinstance(node, ast.ExceptHandler) and not raises_again(node):
                kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
                names = {"BaseException" if kind is None else dotted(kind) for kind in kinds}
                for name in sorted(names & (BROAD | {"SystemExit"})):
                    yield Fault(text.format(name), reached.hook, reached.at(node))
            if isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] == "suppress":
                for name in sorted({dotted(each) for each in node.args} & (BROAD | {"SystemExit"})):
                    yield Fault(text.format(name), reached.hook, reached.at(node))


def exits(source: PluginSource) -> Iterator[Fault]:
    for reached in in_flows(source):
        for node in own_nodes(reached.node):
            ends = isinstance(node, ast.Call) and dotted(node.func) in EXITS
            if isinstance(node, ast.Call) and dotted(node.func) == "os.kill" and node.args:
                ends = ends or "getpid" in dotted(node.args[0])
            if isinstance(node, ast.Raise) and node.exc is not None:
                ends = ends or "SystemExit" in dotted(node.exc)
            if ends:
                yield Fault(
                    "ends the process of the application; raise an exception of your own, or log it",
                    reached.hook,
                    reached.at(node),
                )


def prints(source: PluginSource) -> Iterator[Fault]:
    for reached in in_flows(source):
        for node in own_nodes(reached.node):
            if not isinstance(node, ast.Call):
                continue
            written = dotted(node.func)
            to_file = any(each.arg == "file" for each in node.keywords)
            to_stream = any(
                each.arg == "file" and dotted(each.value) in ("sys.stdout", "sys.stderr")
                for each in node.keywords
            )
            prints = written in ("print", "pprint", "pprint.pprint") and (not to_file or to_stream)
            prints = prints and reached.value(node.func) is not UNKNOWN
            if prints or written in (
                "sys.stdout.write",
                "sys.stderr.write",
                "traceback.print_exc",
                "click.echo",
            ):
                yield Fault(
                    f"prints ({written}), which breaks the JSON output of commands; use the module logging",
                    reached.hook,
                    reached.at(node),
                )


def process_wide(source: PluginSource) -> Iterator[Fault]:
    """Calls that change the whole process."""
    for reached in in_flows(source):
        for node in own_nodes(reached.node):
            name = dotted(node.func) if isinstance(node, ast.Call) else ""
            module, _, function = name.rpartition(".")
            found = (
                f"{module.rpartition('.')[2]}.{function}" if module else f"{_home(reached, node)}.{function}"
            )
            if found in PROCESS_WIDE:
                yield Fault(
                    f"changes the whole process ({name}), which the application and other plugins share; "
                    "remove this call",
                    reached.hook,
                    reached.at(node),
                )


def _home(reached: Reached, node: ast.AST) -> str:
    """The module of a function that is called by its bare name."""
    value = reached.value(node.func) if isinstance(node, ast.Call) else None
    return str(getattr(value, "__module__", "") or "").lstrip("_")


def patches(source: PluginSource) -> Iterator[Fault]:
    """Assignments to attributes of modules and classes that do not belong to the plugin."""
    for reached in in_flows(source):
        for node in own_nodes(reached.node):
            targets: list[ast.expr] = []
            if isinstance(node, ast.Assign):
                targets = list(node.targets)
            elif isinstance(node, ast.AugAssign | ast.Delete):
                targets = [node.target] if isinstance(node, ast.AugAssign) else list(node.targets)
            elif (
                isinstance(node, ast.Call)
                and dotted(node.func) in ("setattr", "delattr")
                and len(node.args) > 1
            ):
                yield from _patch(source, reached, node, node.args[0], dotted(node.args[1]).strip("'\""))
            for target in targets:
                if isinstance(target, ast.Attribute):
                    yield from _patch(source, reached, node, target.value, target.attr)
    yield from _patches_at_import(source)


def _patch(
    source: PluginSource, reached: Reached, node: ast.AST, holder: ast.expr, name: str
) -> Iterator[Fault]:
    fault = _patch_fault(source, reached.value(holder), f"{dotted(holder)}.{name}")
    if fault is not None:
        yield Fault(fault, reached.hook, reached.at(node))


def _patch_fault(source: PluginSource, value: Any, shown: str) -> str | None:
    if not isinstance(value, ModuleType | type):
        return None
    name = value.__name__ if isinstance(value, ModuleType) else value.__module__
    file = getattr(sys.modules.get(name), "__file__", None)
    if file is not None and source.checked.owns(file):
        return None
    return f"changes {shown} of the whole process, which other code uses; remove this change"


def _patches_at_import(source: PluginSource) -> Iterator[Fault]:
    for filename, module in _modules(source):
        tree = parse(filename)
        for node in tree.body if tree is not None else ():
            for target in node.targets if isinstance(node, ast.Assign) else ():
                if isinstance(target, ast.Attribute):
                    holder = _at_module(module, target.value)
                    text = _patch_fault(source, holder, dotted(target))
                    if text is not None:
                        yield Fault(text, None, f"{filename.rpartition('/')[2]}:{node.lineno}")


def _modules(source: PluginSource) -> list[tuple[str, dict[str, Any]]]:
    """The modules with functions that the plugin's hooks reach: file and names."""
    found = {each.filename: each.function.__globals__ for each in source.reached}
    return sorted(found.items(), key=lambda each: each[0])


def _at_module(names: dict[str, Any], node: ast.expr) -> Any:
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        return getattr(_at_module(names, node.value), node.attr, None)
    return None


def settings_at_import(source: PluginSource) -> Iterator[Fault]:
    """Settings that are read once for the whole process, when the module is imported."""
    for filename, _names in _modules(source):
        tree = parse(filename)
        for node in _import_time_nodes(tree) if tree is not None else ():
            read = isinstance(node, ast.Call) and dotted(node.func) in (
                "os.getenv",
                "os.environ.get",
                "getenv",
            )
            read = read or (
                isinstance(node, ast.Subscript) and dotted(node.value) in ("os.environ", "environ")
            )
            if read and isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
                yield Fault(
                    "reads a setting from the environment when it is imported, so all hosts share it and the "
                    "operator's configuration does not apply; declare it with register_settings",
                    None,
                    f"{filename.rpartition('/')[2]}:{node.lineno}",  # type: ignore[attr-defined]
                )


def _import_time_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a module that run when it is imported."""
    waiting = list(ast.iter_child_nodes(tree))
    while waiting:
        node = waiting.pop(0)
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))


def forced_changes(source: PluginSource) -> Iterator[Fault]:
    """Changes of arguments that are immutable."""
    for reached in source.reached:
        arguments = SPEC_ARGUMENTS.get(reached.hook, ())
        for node in own_nodes(reached.node):
            if not isinstance(node, ast.Call) or dotted(node.func) not in FORCING or not node.args:
                continue
            changed = dotted(node.args[0]).partition(".")[0]
            if changed in arguments:
                yield Fault(
                    f"changes its argument {changed} with {dotted(node.func)}, although it is immutable, and "
                    "other plugins and the flow use it too; make a copy with dataclasses.replace",
                    reached.hook,
                    reached.at(node),
                )


FORCING = frozenset({"object.__setattr__", "object.__delattr__"})
