"""``authhost providers``."""

from __future__ import annotations

import sys
from typing import Any

import click

from authhost.cli.completion import provider_names
from authhost.cli.lazy_host import LazyHost
from authhost.cli.suggestions import suggestion
from authhost.operations.console import json_option


@click.group("providers")
def providers() -> None:
    """List and check the providers of social login."""


@providers.command("list")
@click.option("--all", "everything", is_flag=True, help="Also list providers that are not configured.")
@json_option
@click.pass_obj
def providers_list(lazy_host: LazyHost, everything: bool, as_json: bool) -> None:
    """List the configured providers, or all available ones.

    Example: authhost providers list --all --json
    """
    from authhost.cli.provider_check import kind_of
    from authhost.providers.registry import all_declarations

    host = lazy_host.plugins_only()
    rows: list[dict[str, Any]] = []
    for app in host.services.providers:
        with host.request() as request:
            uri = request.build_url("social_callback", provider=app.id)
        rows.append(
            {
                "name": app.id,
                "provider": app.declaration.id,
                "protocol": kind_of(app.declaration),
                "scopes": " ".join(app.scopes),
                "redirect_uri": uri,
            }
        )
    if everything:
        used = {app.id for app in host.services.providers}
        rows += [
            {
                "name": None,
                "provider": each.id,
                "protocol": kind_of(each),
                "scopes": " ".join(getattr(each, "scopes", ())),
                "redirect_uri": None,
            }
            for each in all_declarations(host.registry.providers()).values()
            if each.id not in used
        ]
    lazy_host.console.print_rows(
        rows, as_json=as_json, empty="no provider is configured; see `authhost providers list --all`"
    )


@providers.command("check")
@click.argument("name", shell_complete=provider_names)
@json_option
@click.pass_obj
def providers_check(lazy_host: LazyHost, name: str, as_json: bool) -> None:
    """Check the configuration of a provider with requests to it. Exits with 1 if there is an error.

    Sends an invalid code to its token endpoint, to learn whether it knows the client.

    Example: authhost providers check google
    """
    from authhost.cli.provider_check import findings
    from authhost.errors import ProviderNotFound

    host = lazy_host.host(check=False)
    try:
        app = host.services.providers.app(name)
    except ProviderNotFound:
        hint = suggestion(name, [each.id for each in host.services.providers])
        raise click.ClickException(
            f"the provider {name!r} is not configured.{hint} See `authhost providers list`."
        ) from None
    rows = [finding._asdict() for finding in findings(host, app)]
    lazy_host.console.print_rows(rows, as_json=as_json)
    if any(row["result"] == "error" for row in rows):
        sys.exit(1)


@providers.command("rotate", hidden=True)
@click.pass_context
def providers_rotate(ctx: click.Context) -> None:
    """Encrypt all encrypted values again: the former name of `authhost keys rotate --phase re-encrypt`."""
    from authhost.cli.keys import keys_rotate

    options = {"phase": "re-encrypt", "print_only": False, "yes": True, "as_json": False}
    ctx.invoke(keys_rotate, name="encryption_keys", **options)
