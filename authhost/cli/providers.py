"""``authhost providers``."""

from __future__ import annotations

import sys
from typing import Any

import click

from authhost.cli.operator import Operator
from authhost.cli.output import emit, json_option
from authhost.errors import ProviderNotFound


@click.group("providers")
def providers() -> None:
    """See, check and maintain the providers of social login."""


@providers.command("list")
@click.option("--all", "everything", is_flag=True, help="Also those that are not set up.")
@json_option
@click.pass_obj
def providers_list(operator: Operator, everything: bool, as_json: bool) -> None:
    """List the providers that are set up, or all that there are.

    Example: authhost providers list --all --json
    """
    from authhost.cli.provider_check import kind_of
    from authhost.providers.registry import all_declarations

    host = operator.plugins_only()
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
    emit(rows, as_json, "no provider is set up; see `authhost providers list --all`")


@providers.command("check")
@click.argument("name")
@json_option
@click.pass_obj
def providers_check(operator: Operator, name: str, as_json: bool) -> None:
    """Ask a provider whether it is set up right, and say what to do. Exits 1 where it is not.

    Sends a made-up code to its token endpoint, to see whether it knows the client.

    Example: authhost --config authhost.toml providers check google
    """
    from authhost.cli.provider_check import findings

    host = operator.host(check=False)
    try:
        app = host.services.providers.app(name)
    except ProviderNotFound:
        raise click.ClickException(f"{name!r} is not set up; see `authhost providers list`") from None
    rows = [finding._asdict() for finding in findings(host, app)]
    emit(rows, as_json, "")
    if any(row["result"] == "error" for row in rows):
        sys.exit(1)


@providers.command("rotate")
@click.pass_obj
def providers_rotate(operator: Operator) -> None:
    """Encrypt all kept tokens anew with the first of encryption_keys.

    Put the new key first, run this, then take the old key out.

    Example: authhost --config authhost.toml providers rotate
    """
    from authhost.security.encryption import Undecipherable
    from authhost.socialaccount.tokens import count, rotate

    services = operator().services
    done, total = 0, count(services)
    try:
        with click.progressbar(length=total, label="tokens", file=sys.stderr) as bar:
            for batch in rotate(services):
                done += batch
                bar.update(batch)
    except Undecipherable as error:
        raise click.ClickException(f"{error} ({done} of {total} were done)") from None
    click.echo(f"{done} tokens are under the first key")
