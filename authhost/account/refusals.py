"""Records counted refusals, each in its own unit of work."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from authhost.errors import PLUGIN_FAILURES
from authhost.request import Request
from authhost.security.refusals import Refusal
from authhost.services import Services

log = logging.getLogger("authhost")


def record_expired(services: Services) -> None:
    """Record the refusals of expired windows, a few at a time."""
    _record(services, services.refusals.take_expired(services.clock()))


def record_all(services: Services) -> None:
    """Record all counted refusals, before the host is closed."""
    _record(services, services.refusals.take_all())


def _record(services: Services, counted: Iterable[tuple[Refusal, int]]) -> None:
    for refusal, count in counted:
        try:
            with Request(
                services,
                ip_address=refusal.ip_address,
                user_agent=refusal.user_agent,
                language=refusal.language,
                actor=refusal.actor,
            ) as request:
                request.identifier_digest, request.provider = refusal.identifier_digest, refusal.provider
                request.refused(refusal.flow, refusal.error, refusal.user, count)
        except PLUGIN_FAILURES as error:
            log.error(
                "%d repeated refusals (%s: %s) were not recorded: %s",
                count,
                refusal.flow,
                refusal.error.code,
                type(error).__name__,
            )
