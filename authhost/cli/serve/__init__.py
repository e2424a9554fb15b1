"""``authhost serve``: the pages and the API as a site of their own, or as a demo."""

from __future__ import annotations

import re

import click

from authhost.base_errors import ConfigurationError
from authhost.cli.lazy_host import LazyHost
from authhost.telemetry.logs import json_config

SERVERS = ("waitress", "gunicorn", "uvicorn")
"""The servers in the order in which an installed one is chosen."""


ADDRESS = re.compile(r"[0-9A-Za-z._:%-]{1,255}")
"""Names and IP addresses; what else is wrong with them, the server finds."""


def _address_callback(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    if not ADDRESS.fullmatch(value):
        raise click.BadParameter("name an IP address or a host name, such as 0.0.0.0")
    return value


@click.command("serve")
@click.option(
    "--host",
    "address",
    default="127.0.0.1",
    show_default=True,
    callback=_address_callback,
    help="The address to listen on.",
)
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0: any free port."
)
@click.option("--server", type=click.Choice(SERVERS), help="Default: the first of these that is installed.")
@click.option(
    "--demo", is_flag=True, help="A complete site with mails and a provider, in a temporary folder."
)
@click.pass_context
def serve(ctx: click.Context, address: str, port: int, server: str | None, demo: bool) -> None:
    """Serve the pages and the JSON API, without an application of your own.

    With --demo, everything runs from a temporary folder: sign up, read the mail, confirm it, log in with a
    local provider, and look at the audit trail and the analytics. Ctrl-C removes it all.

    Examples:

      authhost serve --demo

      authhost serve --port 8080 --server gunicorn
    """
    try:
        from authhost.cli.serve import demo as demo_site, servers
    except ImportError as error:
        raise ConfigurationError(
            f"the pages need {error.name}; run `pip install 'authhost[serve]'`"
        ) from error
    console = LazyHost.of(ctx).console
    if demo:
        demo_site.run(console, address, port)
        return
    settings = LazyHost.of(ctx).settings()
    log_config = json_config() if ctx.find_root().params["log_format"] == "json" else None
    servers.run(console, settings, address, port, server, log_config)
