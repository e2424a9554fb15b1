"""Sends one message with sample data at once, without the outbox, to test the transport."""

from __future__ import annotations

from contextlib import closing
from uuid import UUID

from authhost_hookspecs import Host

from authhost_email.errors import NotAccepted, UnknownTransport
from authhost_email.failures import describe_compose_failure, describe_failure
from authhost_email.rendering import compose, render
from authhost_email.samples import samples_for_host
from authhost_email.settings import EmailSettings
from authhost_email.transports import create_transport

SAMPLE_KIND = "email_confirmation"
"""The kind of message that is sent if none is named."""


def send_sample(
    host: Host, settings: EmailSettings, to: str, kind: str = SAMPLE_KIND, language: str = "en"
) -> UUID:
    """Send a message of a kind to an address. Returns the identifier, which is part of the Message-ID.

    Raises `NotAccepted` if it cannot be composed or the transport does not accept it.
    """
    identifier = host.new_id()
    try:
        transport = create_transport(settings)
    except UnknownTransport as error:
        raise NotAccepted(str(error)) from None
    with closing(transport):
        try:
            rendered = render(settings, kind, to, language, samples_for_host(host)(kind))
            message = compose(settings, rendered, identifier, to, host.now)
        except Exception as error:  # a template may raise any error
            raise NotAccepted(describe_compose_failure(kind, language, error)) from None
        try:
            transport.send(identifier, to, message)
        except Exception as error:  # a transport may raise any error
            raise NotAccepted(describe_failure(settings.transport, error)) from None
    return identifier
