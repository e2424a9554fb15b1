"""``authhost analytics prometheus`` and ``textfile``."""

from __future__ import annotations

import json
from pathlib import Path

import click
from authhost_hookspecs import CommandContext

from authhost_analytics.commands.options import json_option, output_option, settings_of, update
from authhost_analytics.commands.repeating import repeat

SUFFIX = ".prom"


@click.command()
@click.option("--address", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=9464, show_default=True, help="The TCP port.")
@click.option(
    "--every", type=click.FloatRange(min=1), default=60, show_default=True, help="Seconds between roll-ups."
)
@json_option
@click.pass_obj
def prometheus(context: CommandContext, /, address: str, port: int, every: float, as_json: bool) -> None:
    """Serve metrics for Prometheus at /metrics.

    Prints the address, and runs the roll-up regularly. Ctrl-C ends the command.

    Example: authhost analytics prometheus --port 9464
    """
    from prometheus_client import start_http_server

    from authhost_analytics.exporting import registry

    host = context()
    update(host, context.console)
    try:
        server, _ = start_http_server(port, address, registry(host, settings_of(host)))
    except (OSError, UnicodeError) as error:  # UnicodeError: the host name is not valid.
        reason = getattr(error, "strerror", error)
        raise click.ClickException(
            f"cannot listen at {address}:{port}: {reason}; choose another with --address and --port"
        ) from None
    url = f"http://{address}:{server.server_port}/metrics"
    context.console.print(json.dumps({"url": url}) if as_json else url)
    repeat(context.console, every, lambda: update(host, context.console))


def _prom_file(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if not value.endswith(SUFFIX):
        raise click.BadParameter(
            f"node_exporter reads only files whose names end in {SUFFIX}; "
            f"write {Path(value).with_suffix(SUFFIX).name if Path(value).name else 'authhost.prom'} instead"
        )
    return value


@click.command()
@output_option("The file to write; its name ends in .prom.", required=True, callback=_prom_file)
@json_option
@click.pass_obj
def textfile(context: CommandContext, /, output: str, as_json: bool) -> None:
    """Write the metrics to a file, for the textfile collector of node_exporter.

    An existing file is replaced in one step.

    Example: authhost analytics textfile --output /var/lib/node_exporter/authhost.prom
    """
    from prometheus_client import write_to_textfile

    from authhost_analytics.exporting import registry

    host = context()
    update(host, context.console)
    try:
        write_to_textfile(output, registry(host, settings_of(host)))
        text = Path(output).read_text(encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"cannot write {output}: {error.strerror}") from None
    count = sum(not line.startswith("#") for line in text.splitlines())
    context.console.print(
        json.dumps({"file": output, "metrics": count}) if as_json else f"wrote {count:,} metrics to {output}"
    )
