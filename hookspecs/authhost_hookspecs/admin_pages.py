"""What plugins add to an administrator's page of a user, as values. Since 1.1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from authhost_hookspecs.pages import Field, Page, Section, Values, check_path
from authhost_hookspecs.protocols import Request, User


@dataclass(frozen=True, slots=True)
class AdminPage:
    """A page about one user for administrators, at ``/NAME`` and ``path`` below the prefix of the web layer.

    ``show`` gets the user whom the page is about, and the ``fields`` that the query of the address has,
    such as those of a `Form` with ``search``. The logged-in user, ``request.user``, is the administrator.
    The ``id`` of the `Page` gets the prefix ``admin_``. Raises ``ValueError``.
    """

    path: str
    show: Callable[[Request, User, Values], Page]
    fields: tuple[Field, ...] = ()

    def __post_init__(self) -> None:
        check_path(self.path)


@dataclass(frozen=True, slots=True)
class AdminAction:
    """What an administrator does with one user: a form, and a JSON endpoint for POST.

    ``run`` gets the user and the validated ``fields``. It runs in the unit of work of the web request, and
    leads back to the page of the user. `Refused` and `FlowError` are shown there, and the changes are rolled
    back. ``summary`` describes it in the OpenAPI document. Raises ``ValueError``.
    """

    path: str
    run: Callable[[Request, User, Values], None]
    summary: str
    fields: tuple[Field, ...] = ()

    def __post_init__(self) -> None:
        check_path(self.path)
        if any(each.name == "id" for each in self.fields):
            raise ValueError("the field id is that of the user")


@dataclass(frozen=True, slots=True)
class AdminPanel:
    """A section of an administrator's page of a user, from `register_panels`.

    ``show`` gets the user whom the page is about, and returns the `Section`, or None to show nothing.
    The forms and links of the section, and those of ``pages``, lead to paths of ``actions`` and ``pages``:
    the web layer adds which user they are about. It lets nobody but administrators in, who have logged in
    lately, with a second factor if they have one.
    """

    show: Callable[[Request, User], Section | None]
    pages: tuple[AdminPage, ...] = ()
    actions: tuple[AdminAction, ...] = ()
