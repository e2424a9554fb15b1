"""Check of secrets: passwords, keys and tokens of a whole life are nowhere to be found."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.trial import Trial

OF_MESSAGES = "the key of a message"


def secrets(trial: Trial) -> Iterator[Fault]:
    """No password, key or token is in its tables, its log lines or what it prints."""
    lived = trial.within
    delivers = "deliver_message" in trial.subject.implementations
    for table, rows in lived.rows.items():
        for column, what in sorted({found for row in rows for found in _in_row(row, lived.secrets)}):
            if not (delivers and what == OF_MESSAGES):  # it has to keep a link until it is sent
                yield Fault(f"{what} is stored in {table}.{column}; store a digest, or nothing")
    for record in lived.logged:
        if trial.subject.owns(record.pathname):
            for what in _in(
                record.getMessage() + str(record.exc_text or record.exc_info or ""), lived.secrets
            ):
                yield Fault(f"{what} is logged", where=f"{record.filename}:{record.lineno}")
    for call in lived.calls:
        for what in _in(str(call.error or ""), lived.secrets):
            place = trial.subject.place(call.error.__traceback__) if call.error else None
            yield Fault(f"{what} is in the text of an error, which others log", call.hook, place)
    for what in _in(lived.printed, lived.secrets):
        yield Fault(f"{what} is printed")


def _in_row(row: Mapping[str, Any], secrets: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for column, value in row.items():
        text = value.decode("latin-1") + value.hex() if isinstance(value, bytes) else str(value)
        for what in _in(text, secrets):
            yield column, what


def _in(text: str, secrets: Mapping[str, str]) -> list[str]:
    return sorted({what for secret, what in secrets.items() if any(each in text for each in _forms(secret))})


def _forms(secret: str) -> tuple[str, ...]:
    """A secret as it is, and as it may be written by who thinks that hides it."""
    encoded = b64encode(secret.encode())
    # The last characters depend on what comes behind.
    return secret, encoded[: len(encoded) // 4 * 4 - 4].decode(), secret.encode().hex()


def redacted(fault: Fault, secrets: Mapping[str, str]) -> Fault:
    """A fault without the secrets that the text of an error may have brought into it."""
    message = fault.message
    for secret, what in secrets.items():
        message = message.replace(secret, f"[{what}]")
    return replace(fault, message=message)
