"""Functions that return a changed copy of a page or section: plain texts, moved paths, a shown refusal."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass, replace
from typing import TypeVar, cast
from uuid import UUID

from authhost_hookspecs import Field, Form, Link, Page, PageMessage, Section, Values
from authhost_hookspecs.pages import CREDENTIAL_TYPES, PATH

from authhost.pluginhost.results import UnusableResult
from authhost.web.inputs import UNUSABLE

SECRET_TYPES = ("password", "new_password", "code", "hidden", *CREDENTIAL_TYPES)
"""The types of fields whose values are not shown again."""
T = TypeVar("T")


def plain(value: T) -> T:
    """Return a page or section whose texts are nothing but text.

    A subclass of str such as `markupsafe.Markup` would be shown as HTML. Raises
    `UnusableResult` for what is no text, or cannot be sent.
    """
    if isinstance(value, str):
        if UNUSABLE.search(value):
            raise UnusableResult("a text of its page has characters that are no Unicode text")
        return cast("T", str.__str__(value))
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, tuple):
        return cast("T", tuple(map(plain, value)))
    if is_dataclass(value) and not isinstance(value, type):
        texts = {each.name: plain(getattr(value, each.name)) for each in fields(value)}
        return replace(value, **texts)
    raise UnusableResult(f"a text of its page is a {type(value).__name__}, not a str")


def moved_page(page: Page, base: str) -> Page:
    """Return the page of a plugin with paths below the prefix instead of below the plugin's own."""
    return replace(
        page,
        forms=tuple(_moved_form(each, base) for each in page.forms),
        links=tuple(_moved_link(each, base) for each in page.links),
        sections=tuple(moved_section(each, base) for each in page.sections),
    )


def with_query(page: Page, query: str) -> Page:
    """Return the page with ``query`` after the paths of its forms and links that have none."""
    return replace(
        page,
        forms=_forms_with(query, page.forms),
        sections=tuple(section_with_query(each, query) for each in page.sections),
        links=_links_with(query, page.links),
    )


def section_with_query(section: Section, query: str) -> Section:
    """Return the section with ``query`` after the paths of its forms and links that have none."""
    rows = tuple(
        replace(each, forms=_forms_with(query, each.forms), target=_target_with(query, each.target))
        for each in section.rows
    )
    forms, links = _forms_with(query, section.forms), _links_with(query, section.links)
    return replace(section, rows=rows, forms=forms, links=links)


def _forms_with(query: str, forms: tuple[Form, ...]) -> tuple[Form, ...]:
    return tuple(each if "?" in each.action else replace(each, action=each.action + query) for each in forms)


def _links_with(query: str, links: tuple[Link, ...]) -> tuple[Link, ...]:
    return tuple(replace(each, target=_target_with(query, each.target)) for each in links)


def _target_with(query: str, target: str) -> str:
    return target + query if re.fullmatch("/[^?#]*", target) else target


def page_about(page: Page, user_id: UUID) -> Page:
    """Return a page whose forms and links say which user they are about; see `section_about`."""
    return replace(
        page,
        forms=_forms_about(page.forms, user_id),
        sections=tuple(section_about(each, user_id) for each in page.sections),
        links=_links_about(page.links, user_id),
    )


def section_about(section: Section, user_id: UUID) -> Section:
    """Return a section whose forms and links say which user they are about: in the query, as ``id``.

    The forms also have it as a hidden field: browsers drop the query of a form that is sent by GET.
    """
    rows = tuple(
        replace(each, forms=_forms_about(each.forms, user_id), target=_target_about(each.target, user_id))
        for each in section.rows
    )
    forms, links = _forms_about(section.forms, user_id), _links_about(section.links, user_id)
    return replace(section, rows=rows, forms=forms, links=links)


def _forms_about(forms: tuple[Form, ...], user_id: UUID) -> tuple[Form, ...]:
    field = Field("id", type="hidden", value=str(user_id))
    return tuple(
        replace(each, action=_target_about(each.action, user_id), fields=(field, *each.fields))
        for each in forms
    )


def _links_about(links: tuple[Link, ...], user_id: UUID) -> tuple[Link, ...]:
    return tuple(replace(each, target=_target_about(each.target, user_id)) for each in links)


def _target_about(target: str, user_id: UUID) -> str:
    if not target.startswith("/"):
        return target
    path, _, query = target.partition("?")
    return f"{path}?id={user_id}" + (f"&{query}" if query else "")


def with_passkeys(page: Page) -> Page:
    """Return the page with passkeys in the autofill of the username, if a section of it offers them."""
    fields = [each for section in page.sections for form in section.forms for each in form.fields]
    if not any(each.type == "public_key_get" and each.autocomplete == "webauthn" for each in fields):
        return page
    return replace(page, forms=tuple(map(_with_passkeys, page.forms)))


def _with_passkeys(form: Form) -> Form:
    shown = (
        replace(each, autocomplete="username webauthn") if each.autocomplete == "username" else each
        for each in form.fields
    )
    return replace(form, fields=tuple(shown))


def moved_section(section: Section, base: str) -> Section:
    """Return the section of a plugin with paths below the prefix."""
    rows = tuple(
        replace(
            row,
            forms=tuple(_moved_form(each, base) for each in row.forms),
            target=_moved_target(row.target, base) if row.target else "",
        )
        for row in section.rows
    )
    return replace(
        section,
        rows=rows,
        forms=tuple(_moved_form(each, base) for each in section.forms),
        links=tuple(_moved_link(each, base) for each in section.links),
    )


def _moved_form(form: Form, base: str) -> Form:
    return replace(form, action=_own_path(form.action, base))


def _moved_link(link: Link, base: str) -> Link:
    return replace(link, target=_moved_target(link.target, base))


def _moved_target(target: str, base: str) -> str:
    return target if target.startswith(("https://", "http://")) else _own_path(target, base)


def _own_path(path: str, base: str) -> str:
    """Return a path of a plugin below its ``base``, with its query.

    Raises `UnusableResult` for another path: with ``/../`` or without the first slash it would
    lead to a page of the core, or of another plugin.
    """
    if not PATH.fullmatch(re.split("[?#]", path, maxsplit=1)[0]):
        raise UnusableResult(f"{path!r} is not a path of the plugin, such as /preferences")
    return base + path


def with_refusal(page: Page, action: str, values: Values, field: object, text: str, code: str) -> Page:
    """Return a page with what was typed in the form of ``action``, and with the refusal at its field.

    If there is no such visible field, the refusal is the first message of the page. What
    is secret or hidden is not shown again.
    """
    placed = False

    def filled(form: Form) -> Form:
        nonlocal placed
        if form.action.partition("?")[0] != action:
            return form
        shown = []
        for each in form.fields:
            if each.type not in SECRET_TYPES and each.name in values:
                value = values[each.name]
                each = replace(each, value="on" if value is True else str(value or ""))
            if each.name == field and each.type != "hidden" and not placed:
                each, placed = replace(each, error=text), True
            shown.append(each)
        return replace(form, fields=tuple(shown))

    def filled_section(section: Section) -> Section:
        rows = tuple(replace(row, forms=tuple(map(filled, row.forms))) for row in section.rows)
        return replace(section, rows=rows, forms=tuple(map(filled, section.forms)))

    forms = tuple(map(filled, page.forms))
    sections = tuple(map(filled_section, page.sections))
    first = () if placed else (PageMessage("error", text, code),)
    return replace(page, forms=forms, sections=sections, messages=(*first, *page.messages))
