"""``authhost email preview`` and ``send-test``: messages with sample data."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import click
from authhost_hookspecs import CommandContext, Console

from authhost_email.commands.options import (
    bare_address_callback,
    complete_kind,
    host_without_database,
    json_option,
    kind_callback,
    language_option,
    print_result,
    settings_of,
)
from authhost_email.errors import NotAccepted
from authhost_email.failures import describe_compose_failure
from authhost_email.rendering import KINDS, Context, RenderedMessage, render, sender
from authhost_email.sample_delivery import SAMPLE_KIND, send_sample
from authhost_email.samples import RECIPIENT, samples_for_host
from authhost_email.settings import EmailSettings
from authhost_email.transports import describe_transport


@click.command()
@click.argument(
    "kind", metavar="[MESSAGE]", callback=kind_callback, shell_complete=complete_kind, required=False
)
@language_option
@click.option("--html", is_flag=True, help="Print the HTML part.")
@click.option("--serve", is_flag=True, help="Show all messages in a browser.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8025,
    show_default=True,
    help="Of --serve, on this machine only.",
)
@json_option
@click.pass_obj
def preview(
    context: CommandContext,
    /,
    kind: str | None,
    language: str,
    html: bool,
    serve: bool,
    port: int,
    as_json: bool,
) -> None:
    """Show messages with sample data, with the name, the sender and the links of the site.

    Needs neither the database nor secret_key. MESSAGE is a name such as welcome or
    password_reset; --serve lists all. With --json and without MESSAGE, all messages
    are printed.

    Examples:

      authhost email preview password_reset --language de

      authhost email preview --serve

      authhost email preview --json | jq -r .subject
    """
    host = host_without_database(context)
    settings, context_for = settings_of(host), samples_for_host(host)
    if serve:
        _serve(context.console, settings, port, context_for)
        return
    if as_json:
        for each in (kind,) if kind else KINDS:
            rendered = _render(settings, each, language, context_for)
            row = {"kind": each, "language": language, "from": str(sender(settings))}
            row |= {"subject": rendered.subject, "text": rendered.text, "html": rendered.html or ""}
            context.console.print_rows([row], as_json=True)
        return
    if kind is None:
        raise click.UsageError(f"name a message, or use --serve; the messages are {', '.join(KINDS)}")
    rendered = _render(settings, kind, language, context_for)
    click.echo(rendered.html if html else f"{rendered.subject}\n\n{rendered.text}", nl=False)


def _serve(
    console: Console, settings: EmailSettings, port: int, context_for: Callable[[str], Context]
) -> None:
    from authhost_email.preview import server

    try:
        running = server(settings, port, context_for)
    except OSError as error:
        raise click.ClickException(
            f"cannot listen on port {port}: {error.strerror}; choose another one with --port"
        ) from None
    with running, suppress(KeyboardInterrupt):
        console.print(f"http://127.0.0.1:{running.server_port}/ until Ctrl-C")
        running.serve_forever()


def _render(
    settings: EmailSettings, kind: str, language: str, context_for: Callable[[str], Context]
) -> RenderedMessage:
    try:
        return render(settings, kind, RECIPIENT, language, context_for(kind))
    except Exception as error:  # a template may raise any error
        raise click.ClickException(describe_compose_failure(kind, language, error)) from None


@click.command("send-test")
@click.argument("to", metavar="ADDRESS", callback=bare_address_callback)
@click.option(
    "--kind",
    metavar="MESSAGE",
    callback=kind_callback,
    shell_complete=complete_kind,
    default=SAMPLE_KIND,
    show_default=True,
    help="The message, such as welcome.",
)
@language_option
@json_option
@click.pass_obj
def send_test(context: CommandContext, /, to: str, kind: str, language: str, as_json: bool) -> None:
    """Send a message with sample data at once, to test the transport.

    An error names the transport, the server and its answer. `authhost email doctor`
    tests each step.

    Example: authhost email send-test me@example.org
    """
    host = context()
    settings = settings_of(host)
    result = {"transport": settings.transport, "recipient": to, "accepted": False, "error": None}
    try:
        identifier = send_sample(host, settings, to, kind, language)
    except NotAccepted as error:
        if as_json:
            context.console.print_rows([{**result, "error": str(error)}], as_json=True)
            raise SystemExit(1) from None
        raise click.ClickException(str(error)) from None
    sentence = f"{settings.transport} accepted the message ({describe_transport(settings)})"
    result |= {"accepted": True, "id": identifier}
    print_result(context.console, result, sentence, as_json=as_json)
