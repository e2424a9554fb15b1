"""Builds the row of a record from a hook call, in the form that the privacy settings allow."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple
from uuid import UUID

from authhost_hookspecs import Actor, Request

from authhost_audit.settings import AuditSettings
from authhost_audit.tables import SCHEMA

TRUNCATED_PREFIX_LENGTHS = {4: 24, 6: 48}
"""Prefix length in bits of a truncated IP address, by IP version."""
EVENTS_WITH_IDENTIFIER = frozenset({"flow_refused", "password_reset_requested"})
"""Events whose records contain a keyed hash of the username or address that was typed."""
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


class AuditEvent(NamedTuple):
    """The fields of a record that depend on the event. The other fields come from the request."""

    event: str
    user_id: UUID | None = None
    outcome: str = "success"
    reason: str | None = None
    flow: str | None = None
    method: str | None = None
    provider: str | None = None
    plugin: str | None = None
    uid: str | None = None
    changes: Mapping[str, Any] | None = None
    data: Mapping[str, Any] | None = None


def request_row(
    request: Request, settings: AuditSettings, audit_event: AuditEvent, actor: Actor | None = None
) -> dict[str, Any]:
    """Return the row of an event that happened in a flow. ``actor`` is by default who acts in the request."""
    actor, session = actor or request.actor, request.session
    if actor is not None and actor.id is None:
        named = {"kind": actor.kind, "name": actor.name}
        audit_event = audit_event._replace(data={**(audit_event.data or {}), "actor": named})
    return {
        **_row(request.new_id(), request.now, audit_event),
        "actor_id": actor.id if actor else None,
        "session_ref": session_ref(session.id) if session else None,
        "request_id": request.id,
        "ip_address": mask_ip_address(request.ip_address, settings.ip_addresses),
        "user_agent": request.user_agent or None,
        "identifier": request.identifier_digest if audit_event.event in EVENTS_WITH_IDENTIFIER else None,
    }


def trail_row(identifier: UUID, now: datetime, event: str, **data: Any) -> dict[str, Any]:
    """Return the row of an operation on the trail itself, such as sealing or pruning."""
    empty = dict.fromkeys(("actor_id", "session_ref", "request_id", "ip_address", "user_agent", "identifier"))
    return {**_row(identifier, now, AuditEvent(event, data=data)), **empty}


def _row(identifier: UUID, now: datetime, audit_event: AuditEvent) -> dict[str, Any]:
    return {
        "id": identifier,
        "time": now,
        "schema": SCHEMA,
        "version": plugin_version(),
        "event": audit_event.event,
        "outcome": audit_event.outcome,
        "reason": audit_event.reason,
        "flow": audit_event.flow,
        "user_id": audit_event.user_id,
        "method": audit_event.method,
        "provider": audit_event.provider,
        "plugin": audit_event.plugin,
        "data": canonical_json(audit_event.data or {}),
        "salt": os.urandom(16),
        "uid": audit_event.uid,
        "changes": canonical_json(audit_event.changes) if audit_event.changes else None,
    }


def canonical_json(value: Mapping[str, Any]) -> str:
    """Return JSON in its canonical form (RFC 8785)."""
    return _encode(value)


def session_ref(session_id: UUID) -> str:
    """Return the SHA-256 of a session's identifier as hexadecimal digits, to link its records."""
    return hashlib.sha256(session_id.bytes).hexdigest()


def mask_email(email: str, mode: str) -> str | None:
    """Return an address in the form that ``mode`` demands.

    ``masked`` returns ``a***@example.org`` for ``ann@example.org``, ``full`` the
    address itself, and ``off`` None.
    """
    if mode == "masked":
        local, _, domain = email.rpartition("@")
        return f"{local[:1]}***@{domain}"
    return email if mode == "full" else None


def mask_ip_address(address: str | None, mode: str) -> str | None:
    """Return an IP address in the form that ``mode`` demands.

    ``full`` returns the address itself, ``truncated`` the address of its network
    (see `TRUNCATED_PREFIX_LENGTHS`), and ``off`` None.
    """
    if address is None or mode == "off":
        return None
    if mode == "truncated":
        parsed = ipaddress.ip_address(address)
        network = ipaddress.ip_network(f"{address}/{TRUNCATED_PREFIX_LENGTHS[parsed.version]}", strict=False)
        return str(network.network_address)
    return address


@cache
def plugin_version() -> str:
    """Return the version of this plugin."""
    try:
        return version("authhost-audit")
    except PackageNotFoundError:  # imported from a folder without being installed
        return "0"


# Old names, which are removed in version 0.3.
Said = AuditEvent
of_request = request_row
of_trail = trail_row
shown_email = mask_email
shown_ip = mask_ip_address
