"""Rules about locks, threads, clocks, jobs and what leaves the process before the commit."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import PurePath
from types import FunctionType

from authhost_hookspecs import Request

from authhost.testing.conformance.memory import LOCKS
from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.rules.reach import in_flows, runs_in_flows
from authhost.testing.conformance.source import (
    UNKNOWN,
    PluginSource,
    Reached,
    dotted,
    own_nodes,
)

NETWORK = frozenset(
    {"requests", "httpx", "urllib3", "smtplib", "ftplib", "imaplib", "poplib", "telnetlib", "aiohttp"}
)
"""Packages in which each function or method uses the network."""


REQUEST_METHODS = frozenset(
    name
    for name, value in vars(Request).items()
    if isinstance(value, FunctionType) and not name.startswith("_")
)


STARTS_LATER = frozenset(
    {
        "Thread",
        "Timer",
        "submit",
        "put",
        "put_nowait",
        "delay",
        "apply_async",
        "run_in_executor",
        "call_soon_threadsafe",
    }
)
"""Functions and methods that pass their arguments to another thread."""


def unreleased_locks(source: PluginSource) -> Iterator[Fault]:
    """A lock that is acquired without a ``finally`` that releases it."""
    for reached in in_flows(source):
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


def locks_over_other_hooks(source: PluginSource) -> Iterator[Fault]:
    """A wrapper that holds a lock while the hooks of all other plugins run."""
    for reached in in_flows(source):
        if reached is not source.of_hook(reached.hook):
            continue
        for node in own_nodes(reached.node):
            if not isinstance(node, ast.With) or not any(_yields(each) for each in node.body):
                continue
            for item in node.items:
                lock = dotted(item.context_expr)
                if isinstance(reached.value(item.context_expr), LOCKS):
                    yield Fault(
                        f"holds {lock} over its `yield`, while the hooks of all other plugins run, so all "
                        "flows of the process wait for each other; release it before `yield`",
                        reached.hook,
                        reached.at(node),
                    )


def _yields(node: ast.AST) -> bool:
    return any(isinstance(each, ast.Yield) for each in ast.walk(node))


def converted_naive_times(source: PluginSource) -> Iterator[Fault]:
    """``astimezone`` of a time from the database, which is naive on SQLite and MariaDB."""
    for reached in source.reached:
        nodes = own_nodes(reached.node)
        if any("tzinfo" in (getattr(each, "arg", None), getattr(each, "attr", None)) for each in nodes):
            continue
        stores = [each for each in nodes if isinstance(each, ast.Assign | ast.AnnAssign) and each.value]
        read = {
            dotted(target)
            for each in stores
            if _is_read(dotted(each.value))
            for target in (each.targets if isinstance(each, ast.Assign) else [each.target])
        }
        for node in nodes:
            if not isinstance(node, ast.Call) or not dotted(node.func).endswith(".astimezone"):
                continue
            value = dotted(node.func).removesuffix(".astimezone")
            if _is_read(value) or value.partition(".")[0].partition("[")[0] in read:
                yield Fault(
                    f"converts {value[:40]}, which the database returns without a zone on SQLite and "
                    "MariaDB, so it is taken for local time; use authhost_hookspecs.utc",
                    reached.hook,
                    reached.at(node),
                )


def _is_read(text: str) -> bool:
    made_aware = re.search(r"\butc\(", text) is not None
    return not made_aware and any(each in text for each in (".execute(", ".scalar(", ".scalars("))


def naive_times(source: PluginSource) -> Iterator[Fault]:
    for reached in in_flows(source):
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


def effects_before_commit(source: PluginSource) -> Iterator[Fault]:
    """What leaves the process before the commit, also where these flows do not come."""
    for reached in source.reached:
        if not reached.at_once or not runs_in_flows(reached.hook):
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
    if _writes_file(reached, node) and reached.hook != "deliver_message":
        return "writes a file"
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


def _writes_file(reached: Reached, node: ast.Call) -> bool:
    """Whether a call writes a file: ``open`` for writing, or a method of a `pathlib.Path`."""
    modes = [*node.args, *(each.value for each in node.keywords if each.arg == "mode")]
    texts = [str(each.value) for each in modes if isinstance(each, ast.Constant)]
    writing = any(
        len(each) <= 3 and set(each) & set("wax+") and set(each) <= set("rwaxbt+") for each in texts
    )
    if dotted(node.func) == "open":
        return writing and reached.value(node.func) is open
    if not isinstance(node.func, ast.Attribute) or not isinstance(reached.value(node.func.value), PurePath):
        return False
    return node.func.attr in ("write_text", "write_bytes", "touch") or (node.func.attr == "open" and writing)


def jobs(source: PluginSource) -> Iterator[Fault]:
    """Jobs that use the request, and jobs that start before the commit."""
    for reached in in_flows(source):
        nodes = own_nodes(reached.node)
        inner = {each.name: each for each in nodes if isinstance(each, ast.FunctionDef)}
        for node in nodes:
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if node.func.attr != "in_background":
                continue
            holder = dotted(node.func.value)
            in_flow = reached.at_once and runs_in_flows(reached.hook)
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


def threads_with_request(source: PluginSource) -> Iterator[Fault]:
    """Threads and queues that get the request."""
    for reached in in_flows(source):
        nodes = own_nodes(reached.node)
        inner = {each.name: each for each in nodes if isinstance(each, ast.FunctionDef)}
        for node in nodes:
            if not isinstance(node, ast.Call) or dotted(node.func).rpartition(".")[2] not in STARTS_LATER:
                continue
            values = [*node.args, *(each.value for each in node.keywords)]
            parts = [each for value in values for each in getattr(value, "elts", [value])]
            if any(_uses_request(inner.get(dotted(each), each)) for each in parts):
                yield Fault(
                    f"passes the request to another thread ({dotted(node.func)}), which uses it too late; "
                    "read what the thread needs before, and open a request of its own there (host.request)",
                    reached.hook,
                    reached.at(node),
                )


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


def _calls_published(name: str, text: str) -> bool:
    """Whether code calls a published hook: by its name, or by a variable where the name occurs elsewhere."""
    if re.search(rf"call_hook\(\s*['\"]{name}['\"]", text):
        return True
    by_variable = re.search(r"call_hook\(\s*[A-Za-z_]", text) is not None
    return by_variable and re.search(rf"['\"]{name}['\"]|\b{name}\.__name__", text) is not None


def hooks_of_its_own(source: PluginSource) -> Iterator[Fault]:
    """Hooks that the plugin publishes and calls nowhere."""
    register = source.checked.implementations.get("register_hookspecs")
    if register is None:
        return
    root = source.checked.root
    files = [root] if root is not None and root.is_file() else sorted(root.rglob("*.py") if root else ())
    text = "\n".join(each.read_text(encoding="utf-8") for each in files)
    for spec in register():
        name = spec.__name__
        if not _calls_published(name, text):
            yield Fault(
                f"publishes the hook {name}, which its code calls nowhere; call it with "
                f"request.call_hook({name!r}, …)",
                "register_hookspecs",
                f"{spec.__code__.co_filename.rpartition('/')[2]}:{spec.__code__.co_firstlineno}",
                note=True,
            )
