"""Pages and JSON endpoints as values. The web layer renders and serves them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, get_args

from authhost_hookspecs.errors import ROUTE_PATH
from authhost_hookspecs.protocols import MessageLevel, Request

FieldType = Literal[
    "text",
    "email",
    "password",
    "new_password",
    "code",
    "checkbox",
    "select",
    "textarea",
    "hidden",
    "date",
    "public_key_create",
    "public_key_get",
]
"""The types of fields. ``password`` is the current password; ``code`` is a one-time code; the value of
``date`` is a day such as ``2026-12-31``.

``public_key_create`` registers a passkey or security key, ``public_key_get`` uses one: see `Field`.
"""
CREDENTIAL_TYPES: tuple[FieldType, ...] = ("public_key_create", "public_key_get")
"""The types of fields whose value comes from ``navigator.credentials`` of the browser."""
HttpMethod = Literal["GET", "POST"]
PanelPage = Literal["account", "login", "signup", "reauthenticate"]
"""The pages of the core on which plugins can show sections."""
InputValue: TypeAlias = str | bool
"""A checkbox is True or False, any other field is a str. An optional field that is missing is ``""``."""
Values: TypeAlias = Mapping[str, InputValue]
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
PATH = ROUTE_PATH
MAX_IMAGE_LENGTH = 50_000
"""The greatest length of an SVG document in characters."""
FIELD_LENGTH, MAX_FIELD_LENGTH, MAX_CREDENTIAL_LENGTH = 1000, 10_000, 20_000
"""The default and the greatest ``max_length`` in characters, and both for a credential."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One option of a field of the type ``select``."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Field:
    """One input of a form, or of the JSON body of an endpoint.

    ``name`` consists of lower-case letters, digits and ``_``. ``value`` is the value that the
    form shows at first; ``"on"`` selects a checkbox. ``autocomplete`` has the tokens of the
    HTML standard; ``email``, ``password``, ``new_password`` and ``code`` have a suitable one.
    ``max_length`` is in characters: by default 1000, at most 10,000. ``hint`` is shown below the
    label, ``error`` is what is wrong with the value. All texts are plain text. Raises
    ``ValueError``.

    The types ``public_key_create`` and ``public_key_get`` are not shown. When the person presses the
    button of the form, the page calls ``navigator.credentials.create`` or ``get`` of the browser
    (https://www.w3.org/TR/webauthn-3/). ``value`` is the JSON of its options:
    PublicKeyCredentialCreationOptionsJSON or PublicKeyCredentialRequestOptionsJSON. The form
    sends the JSON of the credential: RegistrationResponseJSON or AuthenticationResponseJSON, of at
    most 20,000 characters. Without JavaScript or WebAuthn the form is not shown, but a text that says
    so. ``autocomplete="webauthn"`` of ``public_key_get`` also offers passkeys in the
    autofill of the username (conditional mediation).
    """

    name: str
    label: str = ""
    type: FieldType = "text"
    required: bool = True
    value: str = field(default="", repr=False)
    hint: str = ""
    autocomplete: str = ""
    choices: tuple[Choice, ...] = ()
    max_length: int = 0
    """0 stands for the default."""
    error: str = ""

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError("the name of a field must consist of lower-case letters, digits and _")
        if self.type not in get_args(FieldType):
            raise ValueError(f"type must be one of {', '.join(get_args(FieldType))}")
        if not self.label and self.type not in ("hidden", *CREDENTIAL_TYPES):
            raise ValueError(f"the field {self.name} needs a label")
        if (self.type == "select") is not bool(self.choices):
            raise ValueError("a field of the type select needs choices, and no other field has any")
        is_credential = self.type in CREDENTIAL_TYPES
        longest = MAX_CREDENTIAL_LENGTH if is_credential else MAX_FIELD_LENGTH
        if not self.max_length:
            object.__setattr__(self, "max_length", longest if is_credential else FIELD_LENGTH)
        if not 0 < self.max_length <= longest:
            raise ValueError(f"max_length must be 1 to {longest} characters")
        if is_credential and self.value and not _is_json_object(self.value):
            raise ValueError(f"the value of the field {self.name} must be a JSON object: the options")


@dataclass(frozen=True, slots=True)
class Form:
    """A form, or a single button if it has no visible fields. It is sent to ``action`` by POST.

    ``action`` is a path of the same plugin, such as ``/preferences``: that of a
    `PageRoute` with an action. ``danger`` marks what cannot be undone. A form with ``search`` changes
    nothing: it is sent by GET, and its values are in the address. A form has at most one field
    of the types ``public_key_create`` and ``public_key_get``. Raises ``ValueError``.
    """

    action: str
    submit: str
    fields: tuple[Field, ...] = ()
    title: str = ""
    text: str = ""
    danger: bool = False
    search: bool = False

    def __post_init__(self) -> None:
        if sum(each.type in CREDENTIAL_TYPES for each in self.fields if isinstance(each, Field)) > 1:
            raise ValueError("a form can ask the browser for one credential only")


@dataclass(frozen=True, slots=True)
class Link:
    """A link. ``target`` is a path of the same plugin, or an absolute URL with ``https`` or ``http``."""

    label: str
    target: str


@dataclass(frozen=True, slots=True)
class Row:
    """One entry of a list, with details and its own forms."""

    title: str
    details: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    """Short states, such as ``Primary``."""
    forms: tuple[Form, ...] = ()
    target: str = ""
    """Where the title leads: a path or URL as in `Link`. Empty: nowhere."""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page with its own heading."""

    title: str
    text: tuple[str, ...] = ()
    """Paragraphs."""
    rows: tuple[Row, ...] = ()
    forms: tuple[Form, ...] = ()
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class Image:
    """An image, such as a QR code: an SVG document as text. ``alt`` replaces it for those who cannot see it.

    Browsers run no scripts in it and load nothing for it. Give it a ``viewBox``, and a background of
    its own, since pages may be dark. Raises ``ValueError``.
    """

    svg: str = field(repr=False)
    alt: str

    def __post_init__(self) -> None:
        if not self.svg.startswith("<svg") or not 0 < len(self.svg) <= MAX_IMAGE_LENGTH:
            raise ValueError(f"svg must begin with <svg, and have at most {MAX_IMAGE_LENGTH:,} characters")
        if not self.alt.strip():
            raise ValueError("an image needs the text alt")


@dataclass(frozen=True, slots=True)
class PageMessage:
    """A message at the top of a page. ``code`` is stable, for programs and tests."""

    level: MessageLevel
    text: str
    code: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A page as a value. All texts are plain text, which the web layer escapes.

    ``id`` is stable, and identifies the page in tests and templates.
    """

    id: str
    title: str
    text: tuple[str, ...] = ()
    """Paragraphs."""
    forms: tuple[Form, ...] = ()
    sections: tuple[Section, ...] = ()
    links: tuple[Link, ...] = ()
    messages: tuple[PageMessage, ...] = ()
    image: Image | None = None
    """Shown below the paragraphs."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A section of a page of the core, from `register_panels`.

    ``show`` returns the `Section`, or None to show nothing. On ``login`` and ``signup`` nobody is logged in.
    ``reauthenticate`` asks the logged-in user for a proof, before a sensitive change. There the sections
    come after the forms of the core. The forms and links of the section keep where the person wanted to
    go: an action that calls ``request.logins.log_in`` or ``request.logins.reauthenticate`` leads
    there. Raises ``ValueError``.
    """

    page: PanelPage
    show: Callable[[Request], Section | None]

    def __post_init__(self) -> None:
        if self.page not in get_args(PanelPage):
            raise ValueError(f"page must be one of {', '.join(get_args(PanelPage))}")


@dataclass(frozen=True, slots=True)
class PageRoute:
    """A page of a plugin, at ``/NAME`` and ``path`` below the prefix of the web layer.

    ``path`` begins with ``/`` and has lower-case words. ``show`` returns the page for
    GET. ``action`` gets the validated ``fields`` of a form that was sent by POST, and
    changes something. It returns a page to show, or None for a redirect to this page.
    Both run in the unit of work of the web request. If ``action`` raises `Refused`, or a
    flow that it calls raises `FlowError`, the message is shown on the page, at the field that
    it names, and the changes of the action are rolled back. ``login``: a visitor who is
    not logged in must log in first. ``recent_login``: and must have done so within
    ``reauthentication_timeout``. ``step``: the page is only for a pending login that waits for
    this `LoginStep` of the plugin, and ``login`` does not count; if ``action`` returns None, the
    person goes on to the next step, or is logged in. So they do if ``action`` of any route has called
    ``request.logins.log_in`` or ``request.logins.reauthenticate``. While an administrator works in the
    account of somebody else (``request.session.actor``), ``action`` is refused with ``impersonated``, and
    so is a page with ``recent_login``. Raises ``ValueError``.
    """

    path: str
    show: Callable[[Request], Page]
    action: Callable[[Request, Values], Page | None] | None = None
    fields: tuple[Field, ...] = ()
    login: bool = True
    recent_login: bool = False
    step: str = ""

    def __post_init__(self) -> None:
        check_path(self.path)


@dataclass(frozen=True, slots=True)
class ApiRoute:
    """A JSON endpoint of a plugin, at ``/api/NAME`` and ``path`` below the prefix of the web layer.

    ``run`` gets the validated ``fields``: the query of GET, the JSON object of POST. It
    returns a mapping for JSON, or None for an empty object. Use POST if it changes
    something. ``login``, ``recent_login`` and ``step`` are those of `PageRoute`; the response of a
    route with ``step``, or that has called ``request.logins.log_in`` or ``request.logins.reauthenticate``,
    also says who is logged in, and what is still needed. It runs in the unit of
    work of the web request. `Refused` and `FlowError` become
    error responses (RFC 9457), and the changes are rolled back. ``response`` is the JSON schema
    of the result, for the OpenAPI document. Raises ``ValueError``.
    """

    method: HttpMethod
    path: str
    run: Callable[[Request, Values], Mapping[str, Any] | None]
    summary: str
    fields: tuple[Field, ...] = ()
    login: bool = True
    recent_login: bool = False
    step: str = ""
    response: Mapping[str, Any] = field(default_factory=dict[str, Any], hash=False)

    def __post_init__(self) -> None:
        check_path(self.path)
        if self.method not in get_args(HttpMethod):
            raise ValueError(f"method must be one of {', '.join(get_args(HttpMethod))}")
        object.__setattr__(self, "response", MappingProxyType(dict(self.response)))


def check_path(path: str) -> None:
    """Raise ``ValueError`` unless a path has the form of those of routes."""
    if not PATH.fullmatch(path):
        raise ValueError("path must begin with / and consist of lower-case words, such as /preferences")


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
