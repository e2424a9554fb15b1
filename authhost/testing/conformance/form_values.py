"""Values for the fields of a plugin's pages and endpoints, and what a page that is shown consists of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from authhost_hookspecs import Field

EMAIL = "ivy@example.org"
HOSTILE = "<img src=x onerror=alert(1)>\"'&"


def inputs(fields: tuple[Field, ...]) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield values for fields, with what is special about them."""
    yield {each.name: _valid(each) for each in fields}, "usual values"
    yield {each.name: _longest(each) for each in fields}, "the longest values"
    yield {each.name: HOSTILE if _is_free(each) else _valid(each) for each in fields}, "values with HTML"
    yield {each.name: _valid(each) for each in fields if each.required}, "no optional values"
    yield {}, "no values"


def _is_free(field: Field) -> bool:
    return not field.choices and field.type not in ("checkbox", "date") and field.max_length >= len(HOSTILE)


def _valid(field: Field) -> str | bool:
    if field.type == "checkbox":
        return True
    if field.choices:
        return field.choices[0].value
    return {"email": EMAIL, "code": "123456", "date": "2030-01-31"}.get(field.type, "text")[
        : field.max_length
    ]


def _longest(field: Field) -> str | bool:
    return "é" * field.max_length if _is_free(field) else _valid(field)


def as_form(value: str | bool) -> str:
    """Return a value as a browser sends it."""
    return "on" if value is True else str(value or "")


def query(values: dict[str, Any]) -> str:
    """Return values as the query of an address."""
    return "?" + urlencode({name: as_form(value) for name, value in values.items()})


def forms(page: dict[str, Any]) -> Iterator[tuple[str, set[str]]]:
    """Yield the action and the names of the fields of each form of a page."""
    for part in _parts(page):
        for form in part.get("forms", ()):
            yield form["action"], {each["name"] for each in form["fields"]}


def targets(page: dict[str, Any]) -> Iterator[str]:
    """Yield the targets of the links of a page."""
    return (link["target"] for part in _parts(page) for link in part.get("links", ()))


def _parts(page: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a page with its sections and their rows."""
    parts = [page, *page.get("sections", ())]
    return [*parts, *(row for part in parts for row in part.get("rows", ()))]
