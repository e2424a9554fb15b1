"""Checks that require a host, but not its database: plugins, providers, rate limits."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING

from authhost.cli.checks.problem import Problem
from authhost.pluginhost.hooks import VETOES
from authhost.settings import Settings

if TYPE_CHECKING:
    from authhost.host import AuthHost

REFUSED = {
    "before_signup": "signups",
    "before_login": "logins",
    "before_change": "changes",
    "check_password": "new passwords",
}
"""What a plugin can refuse by each of the hooks of `VETOES`."""


def check_plugin_names(host: AuthHost) -> Iterator[Problem]:
    """Find names in the settings that no plugin of the host has."""
    return name_problems(host.settings, [record.name for record in host.registry.records])


def name_problems(settings: Settings, known: list[str]) -> Iterator[Problem]:
    """Yield names in the settings that are not in ``known``. The application may pass further plugins."""
    for setting, names, effect in (
        ("blocked_plugins names", settings.blocked_plugins, "nothing is blocked by it"),
        ("plugins names", settings.plugins or (), "nothing is loaded by it"),
        ("there are settings of", settings.plugin_settings, "they have no effect"),
    ):
        for name in names:
            if name in known:
                continue
            near = get_close_matches(name, known, 1)
            do = f"install authhost-{name}, or remove the name, unless the application passes this plugin"
            yield Problem(
                "error" if near else "warning",
                f"{setting} {name!r}, but no plugin of that name is installed: {effect}",
                f"did you mean {near[0]!r}?" if near else do,
            )


def check_refused_plugins(host: AuthHost) -> Iterator[Problem]:
    """Find plugins that the host has refused to load."""
    for record in host.registry.records:
        if record.status == "refused":
            yield Problem("error", f"plugin {record.name} was refused", record.reason or "")


def check_delivery(host: AuthHost) -> Iterator[Problem]:
    """Check that exactly one plugin delivers e-mail."""
    deliverers = [each.name for each in host.registry.loaded() if "deliver_message" in each.hooks]
    if not deliverers:
        required = host.settings.email_verification != "none"
        yield Problem(
            "error" if required else "warning",
            "no plugin delivers e-mail, so that a lost password cannot be reset"
            + (f", and email_verification is {host.settings.email_verification}" if required else ""),
            "`pip install authhost-email`" + (", or set email_verification to none" if required else ""),
        )
    if len(deliverers) > 1:
        yield Problem(
            "warning",
            f"{' and '.join(deliverers)} all deliver e-mail; only the first that accepts a message sends it",
            "block all but one",
        )


def check_vetoes(host: AuthHost) -> Iterator[Problem]:
    """Find plugins that can refuse a flow. If such a plugin fails, the flow fails for everybody."""
    for record in host.registry.loaded():
        vetoes = [hook for hook in record.hooks if hook in VETOES]
        if vetoes:
            flows = " and ".join(REFUSED[hook] for hook in vetoes)
            failures = sum(record.stats[hook].failures for hook in vetoes)
            failed = f", and failed {failures} times so far" if failures else ""
            yield Problem(
                "hint",
                f"plugin {record.name} can refuse {flows} ({', '.join(vetoes)}){failed}",
                f"if this is not intended, add {record.name} to blocked_plugins",
            )


def check_providers(host: AuthHost) -> Iterator[Problem]:
    """Check the settings of social login."""
    settings = host.settings
    if not settings.providers:
        return
    if "{provider}" not in settings.page_urls["social_callback"]:
        yield Problem(
            "error",
            "all providers use the same callback, so that one can impersonate another (RFC 9700, 4.4)",
            "add {provider} to urls.social_callback",
        )
    if settings.store_social_tokens and not settings.encryption_keys:
        yield Problem(
            "warning",
            "tokens of providers are encrypted by secret_key: when it changes, they must be rotated, too",
            "set encryption_keys",
        )
    for app in host.services.providers:
        if app.settings.login_by_email and not app.trusts_emails:
            yield Problem(
                "warning",
                f"providers.{app.id} has login_by_email, but is not trusted to verify addresses: no effect",
                "set trust_emails to true if it verifies addresses, or login_by_email to false",
            )


def check_rate_limits(host: AuthHost) -> Iterator[Problem]:
    """Check that rate limits are on and shared by all processes."""
    settings = host.settings
    if settings.rate_limits is False:
        yield Problem("error", "rate limits are off", "set rate_limits to true")
    elif settings.redis_url is None:
        yield Problem(
            "warning",
            "each process counts rate limits separately",
            "if there are several processes, set redis_url",
        )
    elif not host.services.limits.reachable():
        yield Problem(
            "error", "the Redis server of redis_url does not answer", "start the server, or correct redis_url"
        )
