"""Names that the shell completes. They are found without importing a plugin and without a database."""

from __future__ import annotations

from contextlib import suppress
from importlib.metadata import entry_points

import click

from authhost.base_errors import ConfigurationError
from authhost.cli.command_discovery import PLUGINS
from authhost.cli.lazy_host import LazyHost


def plugin_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the installed plugins that begin with ``incomplete``."""
    return sorted(each for each in entry_points(group=PLUGINS).names if each.startswith(incomplete))


def hook_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the hooks of the contract that begin so. Those that plugins publish are not included."""
    from authhost.pluginhost.hooks import SPEC_ARGUMENTS

    return [each for each in SPEC_ARGUMENTS if each.startswith(incomplete)]


def provider_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the configured providers that begin so; none if the configuration is wrong."""
    names: list[str] = []
    with suppress(ConfigurationError):
        names = sorted(LazyHost.of(ctx.find_root()).settings(any_secret=True).providers)
    return [each for each in names if each.startswith(incomplete)]
