"""Check that passwords, keys and tokens of the whole scenario are stored, logged and printed nowhere."""

from __future__ import annotations

import ast
import hashlib
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from logging import LogRecord
from pathlib import Path
from typing import Any
from urllib.parse import quote

import authhost
from authhost.testing.conformance.context import CheckContext
from authhost.testing.conformance.report import Fault
from authhost.testing.conformance.rules.secret_values import LOGGING, secrets_passed_on
from authhost.testing.conformance.runs import ScenarioRun
from authhost.testing.conformance.source import PluginSource, own_nodes
from authhost.testing.conformance.writes import stored_at

HOST = Path(authhost.__file__).parent
HOST_LOGGERS = frozenset(
    {"authhost", "authhost.migrate", "authhost.plugins", "authhost.providers.client", "authhost.request"}
)
MESSAGE_KEY = "the key of a message"
GIVEN_TEXT = "a text of request.given"
PART = 12
"""Characters of a random secret that are enough to be a fault."""
COMMON_PREFIXES = ("eyJ", "gAAAA")
"""All JWT and all Fernet tokens begin with these, so the beginning of such a token is no secret."""


def secrets(context: CheckContext) -> Iterator[Fault]:
    """No password, key or token is in its tables, files, log records, output, cookies or `given`."""
    run = context.with_plugin
    source = PluginSource(context.checked)
    yield from dict.fromkeys(secrets_passed_on(source))
    delivers = "deliver_message" in context.checked.implementations
    for table, rows in run.rows.items():
        for column, kind in sorted({found for row in rows for found in _in_row(row, run.secrets)}):
            # A plugin that delivers must keep a link until it is sent. Contract 1.0 had no way to seal it.
            queued = delivers and kind == MESSAGE_KEY
            remedy = "seal it with request.seal" if queued else "store a digest, or do not store it"
            hook, where = stored_at(source, table)
            yield Fault(f"{kind} is stored in {table}.{column}; {remedy}", hook, where, note=queued)
    yield from dict.fromkeys(_plain_tokens(context, source))
    for record in run.logged:
        if not (context.checked.owns(record.pathname) or _is_from_callback(record)):
            continue
        # A handler may write the text, values of ``extra`` and the exception.
        for kind in _in(record.getMessage() + str(vars(record)), run.secrets):
            own = f"{record.filename}:{record.lineno}" if context.checked.owns(record.pathname) else None
            yield Fault(f"{kind} is logged; leave it out", where=own or _logged_at(source))
    for call in run.calls:
        for kind in _in(str(call.error or ""), run.secrets):
            location = context.checked.location(call.error.__traceback__) if call.error else None
            yield Fault(f"{kind} is in the text of an error, which others may log", call.hook, location)
    for text, location in run.given:
        for kind in _in(text, run.secrets):
            if kind != GIVEN_TEXT:
                yield Fault(
                    f"{kind} is passed on in `given`, which is kept with signups and social logins; "
                    "pass an identifier, or seal it with host.seal",
                    where=location,
                )
    yield from dict.fromkeys(_in_answers(run))
    for kind in _in(run.printed, run.secrets):
        yield Fault(f"{kind} is printed")
    for path, (location, text) in run.files.items():
        for kind in _in(text, run.secrets):
            # For development, a plugin may deliver messages into a folder.
            yield Fault(f"{kind} is written to {path}", None, location, note=delivers and kind == MESSAGE_KEY)


def _is_from_callback(record: LogRecord) -> bool:
    """Whether the host has called a method of a plugin's logger, as a callback of `Request.on_commit`."""
    return HOST in Path(record.pathname).parents and record.name not in HOST_LOGGERS


def _logged_at(source: PluginSource) -> str | None:
    """File and line that pass a method of a logger on, such as to `Request.on_commit`."""
    for reached in source.reached:
        nodes = own_nodes(reached.node)
        called = {id(each.func) for each in nodes if isinstance(each, ast.Call)}
        for node in nodes:
            if isinstance(node, ast.Attribute) and node.attr in LOGGING and id(node) not in called:
                return reached.at(node)
    return None


def _plain_tokens(context: CheckContext, source: PluginSource) -> Iterator[Fault]:
    """Random tokens that the plugin gives people, and stores as they are."""
    run = context.with_plugin
    shown = "\n".join(_shown_to_people(run))
    tokens = {token: "a random token that people get" for token in run.random_texts if token in shown}
    for table, rows in run.rows.items():
        for column in sorted({name for row in rows for name, value in row.items() if str(value) in tokens}):
            hook, where = stored_at(source, table)
            yield Fault(
                f"a random token that people get is stored as it is in {table}.{column}; store a digest "
                "(request.keyed_hash), or seal it with request.seal",
                hook,
                where,
            )


def _shown_to_people(run: ScenarioRun) -> Iterator[str]:
    """What people get from the plugin: cookies, messages, redirects and mails of its own."""
    for call in run.calls:
        answer = getattr(call.arguments.get("request"), "answer", None)
        if answer is not None:
            yield from (str(each.value) for each in answer.cookies)
            yield from (each.text for each in answer.messages)
            yield answer.location or ""
    for message in run.messages:
        yield from filter(None, (message.text, message.html, message.link))


def _in_answers(run: ScenarioRun) -> Iterator[Fault]:
    """Secrets in the cookies, messages and redirects of `Request.answer`."""
    for call in run.calls:
        answer = getattr(call.arguments.get("request"), "answer", None)
        if answer is None:
            continue
        parts = {f"the cookie {each.name}": str(each.value) for each in answer.cookies}
        parts |= {f"the message {number}": each.text for number, each in enumerate(answer.messages, 1)}
        parts["the redirect"] = answer.location or ""
        for part, text in parts.items():
            for kind in _in(text, run.secrets):
                if not (kind == GIVEN_TEXT and part.startswith("the cookie")):
                    yield Fault(
                        f"{kind} is in {part} of request.answer; seal it with request.seal",
                        call.hook,
                    )


def _in_row(row: Mapping[str, Any], secrets: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for column, value in row.items():
        text = value.decode("latin-1") + value.hex() if isinstance(value, bytes) else str(value)
        for kind in _in(text, secrets):
            yield column, kind


def _in(text: str, secrets: Mapping[str, str]) -> list[str]:
    """The kinds of the secrets that a text contains in some form."""
    return sorted(
        {kind for secret, kind in secrets.items() if any(each in text for each in _forms(secret, kind))}
    )


@lru_cache(maxsize=256)
def _forms(secret: str, kind: str) -> tuple[str, ...]:
    """A secret as it is, and encoded in ways that do not protect it."""
    raw = secret.encode()
    # The base64 form depends on the secret's position in the text modulo 3. The first and last
    # characters also depend on the neighbours, so they are left out.
    encoded = [b64encode(bytes(skipped) + raw).decode()[4 if skipped else 0 : -4] for skipped in range(3)]
    forms = [secret, quote(secret), secret[::-1], raw.hex(), *encoded]
    if kind == "a password":  # people choose it, so a fast hash of it can be guessed
        forms += [hashlib.new(name, raw).hexdigest() for name in ("md5", "sha1", "sha256")]
    else:
        forms.append(secret[-PART:])
        if not secret.startswith(COMMON_PREFIXES):
            forms.append(secret[:PART])
    return tuple(forms)


def redacted(fault: Fault, secrets: Mapping[str, str]) -> Fault:
    """A fault without the secrets that the text of an error may have brought into its message."""
    message = fault.message
    for secret, kind in secrets.items():
        message = message.replace(secret, f"[{kind}]")
    return replace(fault, message=message)
