"""Check of secrets: passwords, keys and tokens of a whole life are nowhere to be found."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.trial import Trial

OF_MESSAGES = "the key of a message"


def secrets(trial: Trial) -> Iterator[Fault]:
    """No password, key or token is in its tables, its files, its log lines or what it prints."""
    lived = trial.within
    delivers = "deliver_message" in trial.subject.implementations
    for table, rows in lived.rows.items():
        for column, what in sorted({found for row in rows for found in _in_row(row, lived.secrets)}):
            # A deliverer has to keep a link until it is sent, and contract 1.0 had no way to seal it.
            keeps = delivers and what == OF_MESSAGES
            remedy = "seal it by request.seal" if keeps else "store a digest, or nothing"
            yield Fault(f"{what} is stored in {table}.{column}; {remedy}", note=keeps)
    for record in lived.logged:
        if trial.subject.owns(record.pathname):
            # All that a handler may write: the text, what came by ``extra``, an exception.
            for what in _in(record.getMessage() + str(vars(record)), lived.secrets):
                yield Fault(f"{what} is logged", where=f"{record.filename}:{record.lineno}")
    for call in lived.calls:
        for what in _in(str(call.error or ""), lived.secrets):
            place = trial.subject.place(call.error.__traceback__) if call.error else None
            yield Fault(f"{what} is in the text of an error, which others log", call.hook, place)
    for what in _in(lived.printed, lived.secrets):
        yield Fault(f"{what} is printed")
    for path, (place, text) in lived.files.items():
        for what in _in(text, lived.secrets):
            # A deliverer may deliver into a folder, for those who develop.
            yield Fault(f"{what} is written to {path}", None, place, note=delivers and what == OF_MESSAGES)


def _in_row(row: Mapping[str, Any], secrets: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for column, value in row.items():
        text = value.decode("latin-1") + value.hex() if isinstance(value, bytes) else str(value)
        for what in _in(text, secrets):
            yield column, what


PART = 12
"""Characters of a secret that are a part worth having, of a random one."""


ALIKE = ("eyJ", "gAAAA")
"""How tokens of two kinds begin, whatever is in them: JWT and Fernet."""


def _in(text: str, secrets: Mapping[str, str]) -> list[str]:
    return sorted(
        {what for secret, what in secrets.items() if any(each in text for each in _forms(secret, what))}
    )


@lru_cache(maxsize=256)
def _forms(secret: str, what: str) -> tuple[str, ...]:
    """A secret as it is, and as it may be written by who thinks that hides it."""
    raw = secret.encode()
    # Where it begins in a longer text tells how it looks; its ends depend on what is beside it.
    encoded = [b64encode(bytes(skipped) + raw).decode()[4 if skipped else 0 : -4] for skipped in range(3)]
    forms = [secret, quote(secret), secret[::-1], raw.hex(), *encoded]
    if what == "a password":  # people choose it, so a quick hash is guessed
        forms += [hashlib.new(kind, raw).hexdigest() for kind in ("md5", "sha1", "sha256")]
    else:
        forms.append(secret[-PART:])
        if not secret.startswith(ALIKE):
            forms.append(secret[:PART])
    return tuple(forms)


def redacted(fault: Fault, secrets: Mapping[str, str]) -> Fault:
    """A fault without the secrets that the text of an error may have brought into it."""
    message = fault.message
    for secret, what in secrets.items():
        message = message.replace(secret, f"[{what}]")
    return replace(fault, message=message)
