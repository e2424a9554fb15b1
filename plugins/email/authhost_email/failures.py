"""Sentences about failed deliveries, for the outbox, the log and the commands."""

from __future__ import annotations

from authhost_hookspecs import CannotOpen
from jinja2 import TemplateNotFound, TemplateSyntaxError

from authhost_email.errors import InvalidAddress, Permanent
from authhost_email.redaction import redact

MAX_LENGTH = 255
"""Of the column ``last_error``, in characters."""


def describe_failure(transport: str, error: Exception) -> str:
    """Return one line that says why a transport did not accept a message.

    It contains the name of the transport and the words of its error, which for a
    server are host, port, reply code and answer. Links and keys are removed.
    """
    return _limit(f"{transport}: {_words(error)}")


def describe_compose_failure(kind: str, language: str, error: Exception) -> str:
    """Return one line that says why a message cannot be composed, with the file and line of a wrong template.

    The text of the error is not included, because it may quote the message.
    """
    where = ""
    if isinstance(error, TemplateSyntaxError):
        where = f" in {error.filename or error.name}, line {error.lineno}"
    elif isinstance(error, TemplateNotFound):
        where = f", there is no template {error.name}"
    elif isinstance(error, InvalidAddress):
        where = f": {error}"
    return _limit(f"{kind} ({language}) cannot be composed: {type(error).__name__}{where}")


def describe_decryption_failure(error: CannotOpen) -> str:
    """Return one line about a link or text that no key decrypts, with the remedy."""
    return _limit(
        f"the link or text cannot be decrypted: {error} Put the former key back into encryption_keys "
        "and run `authhost email retry ID`, or let the person ask again"
    )


def describe_invalid_row(error: Exception) -> str:
    """Return one line about a row of the outbox that cannot be read."""
    return f"the stored data cannot be read: {type(error).__name__}"


def _words(error: Exception) -> str:
    """Return the text of an error of a transport. All other errors may quote the message."""
    if isinstance(error, (Permanent, OSError, InvalidAddress)) and str(error).strip():
        return str(error)
    return f"failed with {type(error).__name__}, whose text is not shown because it may quote the message"


def _limit(text: str) -> str:
    return redact(text, longest=MAX_LENGTH)
