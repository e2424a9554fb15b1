"""The trace of hook calls for development (``AUTHHOST_TRACE=1``): each plugin, its time and its outcome.

Arguments are summarised: a trace contains no secret and no complete e-mail address.
"""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from functools import wraps
from time import perf_counter_ns
from typing import Any

from authhost_hookspecs import Message, Refused, StopFlow

from authhost.errors import PLUGIN_FAILURES
from authhost.pluginhost.hooks import SECRET_ARGUMENTS, SPEC_ARGUMENTS
from authhost.records import EmailAddress, EmailConfirmation, SocialAccount, User

NOT_SHOWN = frozenset({"request", "host"})


@dataclass(frozen=True, slots=True)
class TracedCall:
    """The call of one plugin's implementation."""

    plugin: str
    milliseconds: float
    outcome: str
    """``ok``, ``taken``, ``passed``, ``refused CODE``, ``stopped`` or ``failed TYPE``.

    Without the code if the hook gets a secret: the code could contain it by mistake.
    """


@dataclass(slots=True)
class TracedHook:
    """One call of a hook, with the implementations in the order of their calls."""

    hook: str
    arguments: dict[str, str]
    calls: list[TracedCall] = field(default_factory=list)

    def __str__(self) -> str:
        given = ", ".join(f"{name}={value}" for name, value in self.arguments.items())
        lines = [f"{self.hook}({given})"]
        width = max((len(call.plugin) for call in self.calls), default=0)
        for call in self.calls:
            lines.append(f"    {call.plugin:<{width}}  {call.milliseconds:8.3f} ms  {call.outcome}")
        return "\n".join(lines)


def _to_stderr(traced: TracedHook) -> None:
    sys.stderr.write(f"{traced}\n")


class Trace:
    """The trace of one host. `write` gets each call of a hook after it has ended."""

    def __init__(self) -> None:
        self.write: Callable[[TracedHook], None] = _to_stderr
        self._local = threading.local()

    @property
    def _open(self) -> list[TracedHook]:
        """The hook calls of this thread that have not ended. They can be nested: a hook may call a flow."""
        opened: list[TracedHook] | None = getattr(self._local, "open", None)
        if opened is None:
            opened = self._local.open = []
        return opened

    def before(self, hook: str, _: Any, arguments: Mapping[str, Any]) -> None:
        """Callback of ``PluginManager.add_hookcall_monitoring``."""
        summary = _summary if hook in SPEC_ARGUMENTS else _summary_for_plugin
        shown = {
            name: "***" if name in SECRET_ARGUMENTS else summary(value)
            for name, value in arguments.items()
            if name not in NOT_SHOWN
        }
        self._open.append(TracedHook(hook, shown))

    def after(self, outcome: Any, hook: str, _: Any, arguments: Mapping[str, Any]) -> None:
        """Callback of ``PluginManager.add_hookcall_monitoring``."""
        self.write(self._open.pop())

    def traced(self, plugin: str, hook: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``function``, so that each call is added to the trace."""
        secret = not SECRET_ARGUMENTS.isdisjoint(SPEC_ARGUMENTS.get(hook, ()))

        def ended(started: int, outcome: str) -> None:
            if self._open:  # empty if pluggy is not the caller
                took = (perf_counter_ns() - started) / 1e6
                self._open[-1].calls.append(TracedCall(plugin, took, outcome))

        @wraps(function)
        def called(*values: Any) -> Any:
            started = perf_counter_ns()
            try:
                result = function(*values)
            except PLUGIN_FAILURES as error:
                ended(started, "refused" if secret and isinstance(error, Refused) else _raised(error))
                raise
            ended(started, ("taken" if result else "passed") if hook == "deliver_message" else "ok")
            return result

        @wraps(function)
        def wrapped(*values: Any) -> Generator[None, Any, Any]:
            started = perf_counter_ns()
            try:
                return (yield from function(*values))
            finally:
                ended(started, "wrapped the others")

        return wrapped if inspect.isgeneratorfunction(function) else called


def _raised(error: BaseException) -> str:
    if isinstance(error, Refused):
        return f"refused {error.code}"
    return "stopped" if isinstance(error, StopFlow) else f"failed {type(error).__name__}"


def _summary(value: Any) -> str:
    """Return a short text for a value, without secrets."""
    match value:
        case None | bool():
            return repr(value)
        case str():
            return masked(value) if "@" in value else value
        case User():
            return f"<User …{str(value.id)[-6:]}>"
        case EmailAddress():
            marks = [name for name in ("verified", "primary") if getattr(value, name)]
            return f"<{' '.join(['EmailAddress', masked(value.email), *marks])}>"
        case EmailConfirmation():
            return f"<EmailConfirmation of {masked(value.email_address.email)}>"
        case SocialAccount():
            return f"<SocialAccount at {value.provider}>"
        case Message():
            return f"<Message {value.kind} to {masked(value.recipient)}>"
        case BaseException():
            return str(getattr(value, "code", type(value).__name__))
    process = getattr(value, "process", None)
    account = getattr(value, "account", None)
    if process is not None and account is not None:
        return f"<SocialLogin {process} at {account.provider}{'' if account.id else ', new'}>"
    return f"<{type(value).__name__}>"


def _summary_for_plugin(value: Any) -> str:
    """Return a short text for an argument of a plugin's own hook: any text may be a secret."""
    return f"<{type(value).__name__}>" if isinstance(value, str | bytes) else _summary(value)


def masked(address: str) -> str:
    """Return an address as ``a***@example.org``."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}***@{domain}"
