"""``authhost email preview`` and ``send-test``: messages with sample data."""

from __future__ import annotations

from contextlib import closing, suppress

import click
from authhost_hookspecs import CommandContext

from authhost_email.commands.options import bare_address_callback, language_option, settings_of
from authhost_email.errors import UnknownTransport
from authhost_email.failures import describe_failure
from authhost_email.rendering import KINDS, compose, render
from authhost_email.samples import RECIPIENT, samples_for_host
from authhost_email.transports import create_transport, describe_transport


@click.command()
@click.argument("kind", type=click.Choice(KINDS), required=False)
@language_option
@click.option("--html", is_flag=True, help="Print the HTML part.")
@click.option("--serve", is_flag=True, help="Show all messages in a browser.")
@click.option("--port", type=click.IntRange(0, 65535), default=8025, show_default=True)
@click.pass_obj
def preview(
    context: CommandContext, /, kind: str | None, language: str, html: bool, serve: bool, port: int
) -> None:
    """Show messages with sample data.

    Examples:

      authhost email preview password_reset --language de

      authhost email preview --serve
    """
    host = context()
    settings, context_for = settings_of(host), samples_for_host(host)
    if serve:
        from authhost_email.preview import server

        try:
            running = server(settings, port, context_for)
        except OSError as error:
            raise click.ClickException(
                f"cannot listen on port {port}: {error.strerror}; choose another one with --port"
            ) from None
        with running, suppress(KeyboardInterrupt):
            context.console.print(f"http://127.0.0.1:{running.server_port}/ until Ctrl-C")
            running.serve_forever()
        return
    if kind is None:
        raise click.UsageError(f"name a kind of message, or use --serve; the kinds are {', '.join(KINDS)}")
    rendered = render(settings, kind, RECIPIENT, language, context_for(kind))
    click.echo(rendered.html if html else f"{rendered.subject}\n\n{rendered.text}", nl=False)


@click.command("send-test")
@click.argument("to", callback=bare_address_callback)
@click.option("--kind", type=click.Choice(KINDS), default="email_confirmation", show_default=True)
@language_option
@click.pass_obj
def send_test(context: CommandContext, /, to: str, kind: str, language: str) -> None:
    """Send a message with sample data at once, to test the transport.

    Example: authhost email send-test me@example.org
    """
    host = context()
    settings = settings_of(host)
    identifier = host.new_id()
    try:
        transport = create_transport(settings)
        rendered = render(settings, kind, to, language, samples_for_host(host)(kind))
        with closing(transport):
            transport.send(identifier, to, compose(settings, rendered, identifier, to, host.now))
    except UnknownTransport as error:
        raise click.ClickException(str(error)) from None
    except Exception as error:  # templates and transports may raise any error
        raise click.ClickException(describe_failure(settings.transport, error)) from None
    context.console.print(f"{settings.transport} accepted the message ({describe_transport(settings)})")
