"""Errors that are not refusals of a flow. This module imports nothing, not even the contract.

`authhost.errors` re-exports them. The command line imports this module, so that its help is fast.
"""

from __future__ import annotations

PLUGIN_FAILURES = (Exception, SystemExit)
"""The exceptions of plugins that are caught. A plugin cannot end the process, but Ctrl-C can."""


class AuthHostError(Exception):
    """The base class of all errors of authhost."""


class ConfigurationError(AuthHostError):
    """The settings, the plugins or the database are not usable; the message says what to do."""


class RequiredPluginMissing(ConfigurationError):
    """A plugin of the setting ``required_plugins`` is not loaded. ``plugin`` is its name."""

    def __init__(self, message: str, plugin: str) -> None:
        super().__init__(message)
        self.plugin = plugin


class PluginNotBlockable(AuthHostError):
    """A plugin cannot be blocked at run time: it is required or unknown; the message says what to do."""


class UnitOfWorkClosed(AuthHostError, RuntimeError):
    """A request was used outside its ``with`` block; the message says what to do."""


class HostClosed(AuthHostError, RuntimeError):
    """A host was used after `AuthHost.close`."""

    def __init__(self) -> None:
        super().__init__("this host is closed; make a new AuthHost, and close it when the application ends")


class NestedTooDeep(AuthHostError, RuntimeError):
    """Calls of hooks are nested too deep, because a hook repeats the flow or change that calls it.

    It counts as a failure of the plugin.
    """

    def __init__(self, depth: int) -> None:
        super().__init__(
            f"hooks that call flows or changes are nested {depth} deep; "
            "a hook must not repeat the change that calls it"
        )


class RequiredPluginFailed(AuthHostError):
    """A plugin that the operator requires failed in a hook; the whole unit of work is rolled back."""

    raised_by_host = False
    """Whether the guard has raised it: then it passes through the hooks that called the failed one."""

    def __init__(self, plugin: str, hook: str) -> None:
        super().__init__(f"required plugin {plugin!r} failed in {hook}; nothing was stored")
        self.plugin = plugin
        self.hook = hook
