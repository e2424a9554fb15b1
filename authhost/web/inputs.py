"""Reads the body or the query of a request, and validates the values by the fields that are expected."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from authhost_hookspecs import Field, InputValue, Values

from authhost.errors import InvalidInput
from authhost.web.http import WebRequest
from authhost.web.problems import WebError

FORM_TYPE, JSON_TYPE = "application/x-www-form-urlencoded", "application/json"
MAX_FIELDS = 50
UNUSABLE = re.compile("[\\0\ud800-\udfff]")
"""NUL, which PostgreSQL cannot store, and halves of surrogate pairs, which are no characters."""


def read_form(http: WebRequest, fields: Iterable[Field]) -> Values:
    """Return the values of a form; raises `WebError` and `InvalidInput`. Other names are ignored."""
    if http.mimetype != FORM_TYPE and (http.body or http.mimetype):
        raise WebError("unsupported_media_type")
    return _validate(_pairs(http.body), fields)


def read_query(http: WebRequest, fields: Iterable[Field]) -> Values:
    """Return the values of a query; raises `InvalidInput`. Other names are ignored."""
    return _validate(_pairs(http.query_string), fields)


def read_json(http: WebRequest, fields: Iterable[Field]) -> Values:
    """Return the values of a JSON object; raises `WebError` and `InvalidInput`. Other names are refused."""
    fields = tuple(fields)
    if not http.body and http.mimetype in ("", JSON_TYPE):
        return _validate({}, fields)
    if http.mimetype != JSON_TYPE:
        raise WebError("unsupported_media_type")
    values = _json_object(http.body)
    unknown = sorted(set(values) - {each.name for each in fields})
    if unknown:
        raise InvalidInput("There is no such field.", field=UNUSABLE.sub("?", unknown[0][:64]))
    return _validate(values, fields, strict=True)


def read_given(http: WebRequest, names: Iterable[str]) -> dict[str, str]:
    """Return those parameters of a request that are texts for plugins: from the query, a form or JSON."""
    names = set(names)
    if not names:
        return {}
    found: Mapping[str, Any] = {}
    try:
        if http.mimetype == FORM_TYPE:
            found = _pairs(http.body)
        elif http.mimetype == JSON_TYPE and http.body:
            found = _json_object(http.body)
    except InvalidInput:
        return {}  # the endpoint refuses the body
    given = {**http.args.to_dict(), **found}
    return {name: given[name] for name in names if isinstance(given.get(name), str) and given[name]}


def uuid_of(values: Values, name: str = "id") -> UUID:
    """Return the UUID ``name`` of a form or a JSON object; raises `InvalidInput`."""
    try:
        return UUID(str(values[name]))
    except ValueError:
        raise InvalidInput(f"{name} must be a UUID.", field=name) from None


def _json_object(body: bytes) -> dict[str, Any]:
    """Return the object of a body in UTF-8 (RFC 8259); raises `InvalidInput`.

    A name that occurs twice is refused: a proxy or log in front could have read the other value.
    """
    try:
        found = json.loads(body.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise InvalidInput("The body must be a JSON object.") from None
    if not isinstance(found, dict):
        raise InvalidInput("The body must be a JSON object.")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _pairs(data: bytes) -> dict[str, str]:
    try:
        return dict(
            parse_qsl(
                data.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS
            )
        )
    except ValueError:
        raise InvalidInput("The form cannot be read.") from None


def _validate(values: Mapping[str, Any], fields: Iterable[Field], *, strict: bool = False) -> Values:
    return {each.name: _value(each, values.get(each.name), strict=strict) for each in fields}


def _value(field: Field, value: Any, *, strict: bool) -> InputValue:
    if field.type == "checkbox":
        if strict and value is not None and not isinstance(value, bool):
            raise InvalidInput(f"{field.name} must be true or false.", field=field.name)
        checked = value is True or value == "on"
        if field.required and not checked:
            raise InvalidInput(f"{field.name} is required.", field=field.name, reason="missing")
        return checked
    if value is None:
        value = ""
    if not isinstance(value, str):
        raise InvalidInput(f"{field.name} must be text.", field=field.name)
    if UNUSABLE.search(value):
        raise InvalidInput(f"{field.name} has characters that cannot be used.", field=field.name)
    if not value and field.required:
        raise InvalidInput(f"{field.name} is required.", field=field.name, reason="missing")
    if len(value) > field.max_length:
        raise InvalidInput(f"{field.name} may have at most {field.max_length} characters.", field=field.name)
    if value and field.type == "date" and not _is_day(value):
        raise InvalidInput(f"{field.name} must be a day such as 2026-12-31.", field=field.name)
    if value and field.choices and value not in {each.value for each in field.choices}:
        raise InvalidInput(f"{field.name} must be one of its choices.", field=field.name)
    return value


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
