"""Converts records to the export formats: JSON Lines, CSV, OCSF and the OWASP logging vocabulary."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from typing import Any

from authhost_audit.authentications import AUTHENTICATIONS, as_text, ocsf_fields
from authhost_audit.search import COLUMNS, Record
from authhost_audit.vocabulary import API_ACTIVITY, AUTHENTICATION, classify


def as_json(record: Record) -> str:
    """Return one line of JSON."""
    return json.dumps(record, ensure_ascii=False)


def as_csv(record: Record) -> str:
    """Return one line of CSV (RFC 4180) with all values in quotes.

    A value that a spreadsheet would run as a formula is escaped (see `_cell`).
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="", quoting=csv.QUOTE_ALL)
    writer.writerow([_cell(record[name]) for name in COLUMNS])
    return buffer.getvalue()


def csv_header() -> str:
    """Return the header line of the CSV format."""
    return ",".join(COLUMNS)


def _cell(value: Any) -> str:
    """Return a value as text. A leading apostrophe makes a spreadsheet show a formula as text."""
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    text = "" if value is None else str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def as_ocsf(record: Record) -> Record:
    """Return an event of the Open Cybersecurity Schema Framework, version 1.3."""
    classification = classify(record["event"], record["reason"])
    refused = record["outcome"] != "success"
    time = datetime.fromisoformat(record["time"])
    event: Record = {
        "class_uid": classification.ocsf_class,
        "category_uid": classification.ocsf_class // 1000,
        "activity_id": classification.ocsf_activity,
        "type_uid": classification.ocsf_class * 100 + classification.ocsf_activity,
        "time": int(time.timestamp() * 1000),
        "severity_id": 2 if refused else 1,
        "status_id": 2 if refused else 1,
        "status_detail": record["reason"],
        "metadata": {
            "version": "1.3.0",
            "uid": record["id"],
            "correlation_uid": record["request_id"],
            "event_code": record["event"],
            "product": {"name": "authhost", "vendor_name": "authhost", "version": record["version"]},
        },
        "user": {"uid": record["user_id"] or "unknown"},
        "actor": {"user": {"uid": record["actor_id"] or "unknown"}},
        "src_endpoint": {"ip": record["ip_address"]},
        "unmapped": {
            name: record[name]
            for name in (
                "flow",
                "session_ref",
                "identifier",
                "uid",
                "plugin",
                "changes",
                "data",
                "user_agent",
            )
            if record[name]
        },
    }
    if classification.ocsf_class == AUTHENTICATION:
        event["auth_protocol"] = record["provider"] or record["method"] or "unknown"
        event["service"] = {"name": "authhost"}
        event |= ocsf_fields(record["data"].get(AUTHENTICATIONS, []))
    if classification.ocsf_class == API_ACTIVITY:
        event["api"] = {"operation": record["event"]}
    return event


def as_owasp(record: Record) -> Record:
    """Return an event of the OWASP logging vocabulary."""
    classification = classify(record["event"], record["reason"])
    subject = record["user_id"] or record["identifier"] or ""
    proofs = as_text(record["data"].get(AUTHENTICATIONS, []))
    return {
        "datetime": record["time"],
        "appid": "authhost",
        "event": f"{classification.owasp}:{subject}",
        "level": "WARN" if record["outcome"] != "success" else "INFO",
        "description": record["reason"] or record["event"] + (f" by {proofs}" if proofs else ""),
        "useragent": record["user_agent"],
        "source_ip": record["ip_address"],
    }
