"""Check of a plugin's source code for mistakes on paths that the flows of the suite may not take."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator
from types import FunctionType, ModuleType
from typing import Any

from authhost_hookspecs import Refused, Request, StopFlow

from authhost.pluginhost.hooks import NOTIFICATIONS, STOPS, VETOES
from authhost.testing.conformance.context import CheckContext
from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.source import (
    UNKNOWN,
    PluginSource,
    Reached,
    dotted,
    node_of,
    own_nodes,
    parse,
    plain_function,
)

OUTSIDE_FLOWS = frozenset({"register_commands", "register_checks", "register_health", "register_metrics"})
"""Hooks whose functions run outside of flows, such as commands: they may print, exit and wait."""
NETWORK = frozenset(
    {"requests", "httpx", "urllib3", "smtplib", "ftplib", "imaplib", "poplib", "telnetlib", "aiohttp"}
)
"""Packages in which each function or method uses the network."""
REQUEST_METHODS = frozenset(
    name
    for name, value in vars(Request).items()
    if isinstance(value, FunctionType) and not name.startswith("_")
)
EXITS = frozenset({"sys.exit", "os._exit", "os.abort", "exit", "quit", "builtins.exit", "builtins.quit"})
BROAD = frozenset({"BaseException", "KeyboardInterrupt"})


def code(context: CheckContext) -> Iterator[Fault]:
    """Its code has no mistake that these flows may not reach: refusals that refuse nothing, and the like."""
    source = PluginSource(context.checked)
    faults = [fault for rule in RULES for fault in rule(source)]
    known = {(fault.message, fault.where): fault for fault in reversed(faults)}
    yield from sorted(known.values(), key=lambda fault: (str(fault.where), fault.message))


def _in_flows(source: PluginSource) -> Iterator[Reached]:
    return (each for each in source.reached if each.hook not in OUTSIDE_FLOWS)


# Refusals.


def _veto_returns(source: PluginSource) -> Iterator[Fault]:
    for reached in source.reached:
        if reached.hook not in VETOES or reached.function is not _own_function(source, reached.hook):
            continue
        if isinstance(reached.node, ast.Lambda) or not reached.at_once:
            continue
        for node in own_nodes(reached.node):
            shown = _refuses_nothing(source, reached, node.value) if isinstance(node, ast.Return) else None
            if shown:
                yield Fault(
                    f"returns {shown}, which the host counts as a failure of the plugin; "
                    "`raise Refused(code, message)` to refuse, and return None to let it pass",
                    reached.hook,
                    reached.at(node),
                )


def _own_function(source: PluginSource, hook: str) -> Any:
    found = source.of_hook(hook)
    return found.function if found is not None else None


def _refuses_nothing(
    source: PluginSource, reached: Reached, value: ast.expr | None, depth: int = 0
) -> str | None:
    """What is wrong with a value that a veto returns, or None if it is None or cannot be known."""
    if value is None or depth > 3 or (isinstance(value, ast.Constant) and value.value is None):
        return None
    if isinstance(value, ast.IfExp):
        both = (value.body, value.orelse)
        return next(filter(None, (_refuses_nothing(source, reached, each, depth + 1) for each in both)), None)
    if isinstance(value, ast.Name):
        for node in own_nodes(reached.node):
            if isinstance(node, ast.Assign) and any(dotted(each) == value.id for each in node.targets):
                found = _refuses_nothing(source, reached, node.value, depth + 1)
                if found:
                    return found
        return None
    if isinstance(value, ast.Call):
        called = reached.value(value.func)
        if isinstance(called, type):
            return f"{called.__name__}(…)" if called not in (type(None),) else None
        function, owner = plain_function(called)
        called_node = node_of(function) if function is not None else None
        if function is None or called_node is None or not source.checked.owns(_file(function)):
            return None
        inner = Reached(reached.hook, called_node, function, owner, True)
        for each in own_nodes(called_node):
            found = (
                _refuses_nothing(source, inner, each.value, depth + 1)
                if isinstance(each, ast.Return)
                else None
            )
            if found:
                return f"the result of {dotted(value.func)}, which returns {found}"
        return None
    if isinstance(
        value,
        ast.Constant
        | ast.JoinedStr
        | ast.Compare
        | ast.BoolOp
        | ast.UnaryOp
        | ast.Tuple
        | ast.List
        | ast.Dict,
    ):
        text = ast.unparse(value)
        return text if len(text) <= 40 else f"{text[:37]}…"
    return None


def _file(function: Any) -> str:
    filename: str = function.__code__.co_filename
    return filename


def _is_refusal(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Refused | StopFlow)


def _dropped_refusals(source: PluginSource) -> Iterator[Fault]:
    """``Refused(…)`` that nobody raises."""
    for reached in _in_flows(source):
        for node in own_nodes(reached.node):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                kind = reached.value(node.value.func)
                if _is_refusal(kind):
                    yield Fault(
                        f"creates {kind.__name__}(…) and does not raise it, so it refuses nothing; "
                        "write `raise` before it",
                        reached.hook,
                        reached.at(node),
                    )


def _refusals_elsewhere(source: PluginSource) -> Iterator[Fault]:
    """Refusals in hooks that cannot refuse."""
    for reached in source.reached:
        if not reached.at_once or reached.guarded or reached.hook not in NOTIFICATIONS | {"deliver_message"}:
            continue
        for node, kind in _raised(reached):
            if issubclass(kind, STOPS.get(reached.hook, ())):
                continue
            where = (
                "in pre_social_login only"
                if issubclass(kind, StopFlow)
                else f"in {', '.join(sorted(VETOES))}"
            )
            yield Fault(
                f"raises {kind.__name__}, which stops nothing here and counts as a failure; raise it {where}",
                reached.hook,
                reached.at(node),
            )


def _raised(reached: Reached) -> Iterator[tuple[ast.Raise, type]]:
    for node in own_nodes(reached.node):
        if isinstance(node, ast.Raise) and node.exc is not None:
            kind = reached.value(node.exc.func if isinstance(node.exc, ast.Call) else node.exc)
            if _is_refusal(kind):
                yield node, kind


def _swallowed_refusals(source: PluginSource) -> Iterator[Fault]:
    """A refusal that the plugin's own ``except`` catches."""
    refusing = {id(each.node) for each in source.reached for _ in _raised(each)}
    for reached in source.reached:
        if reached.hook not in VETOES | STOPS.keys() or not reached.at_once:
            continue
        for node in own_nodes(reached.node):
            if not isinstance(node, ast.Try):
                continue
            handler = _catching(reached, node)
            if handler is None or _raises_again(handler):
                continue
            inside = [inner for statement in node.body for inner in ast.walk(statement)]
            raised = any(each in inside for each, _ in _raised(reached))
            for each in inside:
                function, _ = (
                    plain_function(reached.value(each.func)) if isinstance(each, ast.Call) else (None, None)
                )
                raised = raised or (function is not None and id(node_of(function)) in refusing)
            if raised:
                yield Fault(
                    "catches its own refusal, so it refuses nothing; raise Refused outside of this `try`, or "
                    "catch only the errors that the statements before it raise",
                    reached.hook,
                    reached.at(handler),
                )


def _catching(reached: Reached, node: ast.Try) -> ast.ExceptHandler | None:
    """The first handler that catches a refusal."""
    for handler in node.handlers:
        kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        for kind in kinds:
            value = BaseException if kind is None else reached.value(kind)
            if isinstance(value, type) and (_is_refusal(value) or value in (Exception, BaseException)):
                return handler
    return None


def _raises_again(handler: ast.ExceptHandler) -> bool:
    """Whether a handler raises something, or passes the error on to a future."""
    return any(
        isinstance(node, ast.Raise)
        or (isinstance(node, ast.Call) and dotted(node.func).endswith((".set_exception", ".throw")))
        for statement in handler.body
        for node in ast.walk(statement)
    )


# What ends or changes the process.


def _caught_interrupts(source: PluginSource) -> Iterator[Fault]:
    text = "catches {}, so Ctrl-C does not reach the host; catch Exception, or raise it again"
    for reached in _in_flows(source):
        for node in own_nodes(reached.node):
            if isinstance(node, ast.ExceptHandler) and not _raises_again(node):
                kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
                names = {"BaseException" if kind is None else dotted(kind) for kind in kinds}
                for name in sorted(names & (BROAD | {"SystemExit"})):
                    yield Fault(text.format(name), reached.hook, reached.at(node))
            if isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] == "suppress":
                for name in sorted({dotted(each) for each in node.args} & (BROAD | {"SystemExit"})):
                    yield Fault(text.format(name), reached.hook, reached.at(node))


def _exits(source: PluginSource) -> Iterator[Fault]:
    for reached in _in_flows(source):
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


def _prints(source: PluginSource) -> Iterator[Fault]:
    for reached in _in_flows(source):
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


def _patches(source: PluginSource) -> Iterator[Fault]:
    """Assignments to attributes of modules and classes that do not belong to the plugin."""
    for reached in _in_flows(source):
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


# Locks, clocks and what leaves the process.


def _locks(source: PluginSource) -> Iterator[Fault]:
    """A lock that is acquired without a ``finally`` that releases it."""
    for reached in _in_flows(source):
        if reached.name in ("acquire", "__enter__", "__exit__", "release"):
            continue
        nodes = own_nodes(reached.node)
        released = {
            dotted(inner.func.value)
            for node in nodes
            if isinstance(node, ast.Try)
            for statement in node.finalbody
            for inner in ast.walk(statement)
            if isinstance(inner, ast.Call)
            and isinstance(inner.func, ast.Attribute)
            and inner.func.attr == "release"
        }
        for node in nodes:
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            lock = node.func.value
            if node.func.attr == "enter_context" or node.func.attr != "acquire" or dotted(lock) in released:
                continue
            if "Semaphore" in type(reached.value(lock)).__name__ and dotted(lock):
                continue  # a limit of jobs is released by the job
            yield Fault(
                f"acquires {dotted(lock)} and does not release it in `finally`, so an exception or a refusal "
                f"leaves it locked; write `with {dotted(lock)}:`",
                reached.hook,
                reached.at(node),
            )


def _naive_times(source: PluginSource) -> Iterator[Fault]:
    for reached in _in_flows(source):
        for node in own_nodes(reached.node):
            if not isinstance(node, ast.Call):
                continue
            name, words = dotted(node.func), node.args + [each.value for each in node.keywords]
            naive = name.endswith(("datetime.utcnow", "datetime.utcfromtimestamp", "datetime.today"))
            naive = naive or (name.endswith("datetime.now") and not words)
            naive = naive or (name.endswith("datetime.fromtimestamp") and len(words) == 1)
            naive = naive or name.endswith(("date.today",))
            naive = naive or any(
                each.arg == "tzinfo" and isinstance(each.value, ast.Constant) and each.value.value is None
                for each in node.keywords
                if name.endswith(".replace") and name.startswith("request.now")
            )
            if naive:
                yield Fault(
                    f"takes a time without a zone ({name}), which is another time on each server; "
                    "use request.now, or datetime.now(UTC)",
                    reached.hook,
                    reached.at(node),
                )


def _outside(source: PluginSource) -> Iterator[Fault]:
    """What leaves the process before the commit, also where these flows do not come."""
    for reached in source.reached:
        if not reached.at_once or reached.hook not in NOTIFICATIONS | VETOES | {"deliver_message"}:
            continue
        for node in own_nodes(reached.node):
            effect = _effect(reached, node) if isinstance(node, ast.Call) else None
            if effect is None or (effect == "uses the network" and reached.hook == "check_password"):
                continue
            yield Fault(
                f"{effect} before the commit ({dotted(node.func)}); do it after the commit "  # type: ignore[attr-defined]
                "(request.on_commit), or store a row for a worker",
                reached.hook,
                reached.at(node),
            )


def _effect(reached: Reached, node: ast.Call) -> str | None:
    name, value = dotted(node.func), reached.value(node.func)
    if value is UNKNOWN:
        return None
    if name in ("time.sleep", "sleep") and getattr(value, "__module__", getattr(value, "__name__", "")) in (
        "time",
        "sleep",
    ):
        return "sleeps"
    home = str(getattr(value, "__module__", "") or "")
    if name == "urlopen" or name.endswith(".urlopen") or home.partition(".")[0] in NETWORK:
        is_error = isinstance(value, type) and issubclass(value, BaseException)
        return None if is_error else "uses the network"
    if name in ("socket.create_connection", "socket.socket", "socket.gethostbyname", "socket.getaddrinfo"):
        return "uses the network"
    if home == "subprocess" or name in ("os.system", "os.popen", "os.fork"):
        return "starts a process"
    return None


def _background(source: PluginSource) -> Iterator[Fault]:
    """Jobs that use the request, and jobs that start before the commit."""
    for reached in _in_flows(source):
        nodes = own_nodes(reached.node)
        inner = {each.name: each for each in nodes if isinstance(each, ast.FunctionDef)}
        for node in nodes:
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if node.func.attr != "in_background":
                continue
            holder = dotted(node.func.value)
            in_flow = reached.at_once and reached.hook in NOTIFICATIONS | VETOES | {"deliver_message"}
            if in_flow and holder.rpartition(".")[2] in ("host", "_host"):
                yield Fault(
                    f"starts a job before the commit ({dotted(node.func)}), also if the flow is rolled back; "
                    "use request.in_background",
                    reached.hook,
                    reached.at(node),
                )
            for each in node.args:
                if _uses_request(inner.get(dotted(each), each)):
                    yield Fault(
                        "uses the request in a job, which runs after the request; read what the job needs "
                        "before, and open a request of its own there (host.request)",
                        reached.hook,
                        reached.at(each),
                    )
                    break


def _uses_request(job: ast.AST) -> bool:
    """Whether an argument of `in_background` refers to the request when the job runs."""
    if isinstance(job, ast.Lambda | ast.FunctionDef):
        body = job.body if isinstance(job.body, list) else [job.body]
        return any(
            isinstance(each, ast.Name) and each.id == "request" for part in body for each in ast.walk(part)
        )
    if isinstance(job, ast.Call) and dotted(job.func).rpartition(".")[2] == "partial":
        return any(map(_uses_request, job.args))
    return dotted(job) in ("request", "request.db", *(f"request.{each}" for each in REQUEST_METHODS))  # type: ignore[arg-type]


def _hooks_of_its_own(source: PluginSource) -> Iterator[Fault]:
    """Hooks that the plugin publishes and calls nowhere."""
    register = source.checked.implementations.get("register_hookspecs")
    if register is None:
        return
    root = source.checked.root
    files = [root] if root is not None and root.is_file() else sorted(root.rglob("*.py") if root else ())
    text = "\n".join(each.read_text(encoding="utf-8") for each in files)
    for spec in register():
        name = spec.__name__
        if not re.search(rf"call_hook\(\s*['\"]{name}['\"]", text):
            yield Fault(
                f"publishes the hook {name}, which its code calls nowhere; call it with "
                f"request.call_hook({name!r}, …)",
                "register_hookspecs",
                f"{spec.__code__.co_filename.rpartition('/')[2]}:{spec.__code__.co_firstlineno}",
                note=True,
            )


def _settings_at_import(source: PluginSource) -> Iterator[Fault]:
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


RULES: tuple[Callable[[PluginSource], Iterator[Fault]], ...] = (
    _veto_returns,
    _dropped_refusals,
    _refusals_elsewhere,
    _swallowed_refusals,
    _caught_interrupts,
    _exits,
    _prints,
    _patches,
    _locks,
    _naive_times,
    _outside,
    _background,
    _hooks_of_its_own,
    _settings_at_import,
)
