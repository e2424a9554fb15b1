"""What an endpoint declares: one flow, as a form of a page and as a JSON endpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from authhost_hookspecs import Field, PageMessage, Values

if TYPE_CHECKING:
    from authhost.web.visit import Visit


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a flow: for programs ``body`` and ``status``, for people the rest.

    ``to`` is the next page, below the prefix; ``location`` replaces it with a path of this
    site, ``provider_url`` with the URL of a provider. With ``download``, the name of a file, people get
    ``body`` as that file.
    """

    body: Mapping[str, Any] = field(default_factory=dict[str, Any])
    status: int = 200
    to: str = "/"
    location: str = ""
    provider_url: str = ""
    message: PageMessage | None = None
    download: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A flow that a form starts by POST to ``path``, and a program by POST to ``api`` and ``path``.

    ``page`` is the page that has the form: a refusal is shown there. ``result`` names the
    schema of the JSON result in `authhost.web.schemas`, ``refusals`` are the codes that the
    OpenAPI document lists beside the general ones.
    """

    path: str
    summary: str
    run: Callable[[Visit, Values], Outcome]
    page: str
    fields: tuple[Field, ...] = ()
    result: str = "Empty"
    refusals: tuple[str, ...] = ()
    login: bool = False
    """Whether a visitor who is not logged in is refused."""
    administrator: bool = False
    """Whether everybody but administrators is refused, as if there were no such endpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """A JSON endpoint for GET, which changes nothing."""

    path: str
    summary: str
    run: Callable[[Visit], Mapping[str, Any]]
    result: str
    fields: tuple[Field, ...] = ()
    """What the query can have."""
    refusals: tuple[str, ...] = ()
    login: bool = False
    administrator: bool = False
