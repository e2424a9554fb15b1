"""``authhost email doctor``: checks what a message needs to arrive, one step after the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from authhost_hookspecs import Host

from authhost_email.doctor.configuration import examine_settings
from authhost_email.doctor.domain import create_resolver, examine_domain
from authhost_email.doctor.mail_server import examine_server
from authhost_email.doctor.queue import examine_outbox
from authhost_email.doctor.results import Result
from authhost_email.errors import NotAccepted, UnknownTransport
from authhost_email.rendering import sender
from authhost_email.sample_delivery import send_sample
from authhost_email.settings import EmailSettings
from authhost_email.transports import create_transport, describe_transport

__all__ = ["Result", "examine"]


def examine(host: Host, settings: EmailSettings, to: str | None = None) -> Iterator[Result]:
    """Yield the result of each check as soon as it is known. ``to`` is the address of a test message."""
    if (reason := host.blocked_reason("email")) is not None:
        remedy = "authhost plugins unblock email"
        yield Result("error", "plugin", f"{reason}; flows that send a message are refused", remedy)
    yield from examine_settings(host, settings)
    yield from examine_domain(sender(settings).domain, lambda: create_resolver(settings.timeout))
    works = True
    for result in _examine_transport(settings):
        works = works and result.level != "error"
        yield result
    if to is not None:
        yield _send(host, settings, to, works=works)
    yield from examine_outbox(host, settings)


def _examine_transport(settings: EmailSettings) -> Iterator[Result]:
    if settings.transport == "smtp":
        yield from examine_server(settings)
        return
    try:
        with closing(create_transport(settings)):
            pass
    except UnknownTransport as error:
        yield Result("error", "server", str(error), "set transport under [plugins.email]")
    else:
        yield Result("skipped", "server", f"the transport is {settings.transport}, so no server is tested")


def _send(host: Host, settings: EmailSettings, to: str, *, works: bool) -> Result:
    if not works:
        return Result("skipped", "message", "no test message is sent, because a step before has failed")
    try:
        identifier = send_sample(host, settings, to)
    except NotAccepted as error:
        return Result("error", "message", str(error), "correct what the answer names, then try again")
    where, domain = describe_transport(settings), sender(settings).domain
    return Result("ok", "message", f"accepted for {to} by {where}, Message-ID <{identifier}@{domain}>")
