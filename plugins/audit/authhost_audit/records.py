"""How a record is made: what is written down of a hook call, and in which form."""

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

from authhost_hookspecs import Request

from authhost_audit.settings import AuditSettings
from authhost_audit.tables import SCHEMA

TRUNCATED = {4: 24, 6: 48}
"""Bits of an address that are kept where it is truncated."""
TYPED = frozenset({"flow_refused", "password_reset_requested"})
"""The events whose records hold a keyed hash of the name or address that was typed."""


_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


class Said(NamedTuple):
    """What one event says beside who, when and from where."""

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


def of_request(request: Request, settings: AuditSettings, said: Said) -> dict[str, Any]:
    """The row of an event within a flow."""
    actor, session = request.user, request.session
    return {
        **_row(request.new_id(), request.now, said),
        "actor_id": actor.id if actor else None,
        "session_ref": session_ref(session.id) if session else None,
        "request_id": request.id,
        "ip_address": shown_ip(request.ip_address, settings.ip_addresses),
        "user_agent": request.user_agent or None,
        "identifier": request.identifier_digest if said.event in TYPED else None,
    }


def of_trail(identifier: UUID, now: datetime, event: str, **data: Any) -> dict[str, Any]:
    """The row of something that was done to the trail itself."""
    nobody = dict.fromkeys(
        ("actor_id", "session_ref", "request_id", "ip_address", "user_agent", "identifier")
    )
    return {**_row(identifier, now, Said(event, data=data)), **nobody}


def _row(identifier: UUID, now: datetime, said: Said) -> dict[str, Any]:
    return {
        "id": identifier,
        "time": now,
        "schema": SCHEMA,
        "version": plugin_version(),
        "event": said.event,
        "outcome": said.outcome,
        "reason": said.reason,
        "flow": said.flow,
        "user_id": said.user_id,
        "method": said.method,
        "provider": said.provider,
        "plugin": said.plugin,
        "data": as_text(said.data or {}),
        "salt": os.urandom(16),
        "uid": said.uid,
        "changes": as_text(said.changes) if said.changes else None,
    }


def as_text(value: Mapping[str, Any]) -> str:
    """JSON in its canonical form (RFC 8785)."""
    return _encode(value)


def session_ref(session_id: UUID) -> str:
    """A session, so that its records can be found together (SHA-256 of its identifier, as hex)."""
    return hashlib.sha256(session_id.bytes).hexdigest()


def shown_email(email: str, how: str) -> str | None:
    """``ann@example.org`` as ``a***@example.org``, as it is, or not at all."""
    if how == "masked":
        local, _, domain = email.rpartition("@")
        return f"{local[:1]}***@{domain}"
    return email if how == "full" else None


def shown_ip(address: str | None, how: str) -> str | None:
    """An IP address as it is, as its network, or not at all."""
    if address is None or how == "off":
        return None
    if how == "truncated":
        parsed = ipaddress.ip_address(address)
        network = ipaddress.ip_network(f"{address}/{TRUNCATED[parsed.version]}", strict=False)
        return str(network.network_address)
    return address


@cache
def plugin_version() -> str:
    """The version of this plugin."""
    try:
        return version("authhost-audit")
    except PackageNotFoundError:  # not installed, only imported
        return "0"
