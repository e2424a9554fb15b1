"""The step, its page and its endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from authhost_hookspecs import (
    ApiRoute,
    Field,
    Form,
    Link,
    LoginStep,
    Page,
    PageRoute,
    PluginTables,
    Request,
    User,
    Values,
    hookimpl,
    utc,
)
from sqlalchemy import delete, insert, select

from authhost_terms.tables import acceptance_table, metadata

NAME, STEP, PATH = "terms", "accept", "/accept"
FIELDS = (Field("accept", "I accept the terms", "checkbox"),)


@dataclass(frozen=True)
class TermsSettings:
    """Which terms must be accepted; nothing is asked without a version."""

    version: str = ""
    url: str = "https://example.org/terms"


def has_accepted(request: Request, user_id: UUID, version: str) -> bool:
    """Return whether a user has accepted a version."""
    of_user = (acceptance_table.c.user_id == user_id) & (acceptance_table.c.version == version)
    return request.db.execute(select(acceptance_table.c.version).where(of_user)).first() is not None


class Terms:
    """Asks every user for the current version once."""

    @hookimpl
    def register_settings(self) -> type[TermsSettings]:
        return TermsSettings

    @hookimpl
    def register_tables(self) -> PluginTables:
        return PluginTables(metadata, "authhost_terms.migrations")

    @hookimpl
    def login_steps(self, request: Request, user: User) -> list[LoginStep]:
        version = request.plugin_settings(NAME).version
        if not version or has_accepted(request, user.id, version):
            return []
        return [LoginStep(STEP, PATH, ("accept",))]

    @hookimpl
    def register_routes(self) -> list[PageRoute | ApiRoute]:
        return [
            PageRoute(PATH, self.show, self.accept, FIELDS, step=STEP),
            ApiRoute("POST", PATH, self.accept_by_program, "Accept the terms.", FIELDS, step=STEP),
        ]

    @hookimpl
    def user_deleted(self, request: Request, user: User) -> None:
        request.db.execute(delete(acceptance_table).where(acceptance_table.c.user_id == user.id))

    @hookimpl
    def export_user(self, request: Request, user: User) -> dict[str, Any]:
        rows = request.db.execute(select(acceptance_table).where(acceptance_table.c.user_id == user.id))
        return {"terms": {row.version: utc(row.accepted_at).isoformat() for row in rows}}

    def show(self, request: Request) -> Page:
        """Ask for the terms."""
        settings = request.plugin_settings(NAME)
        text = (f"Our terms have changed. Please accept version {settings.version} to continue.",)
        form = Form(PATH, "Continue", FIELDS)
        return Page("terms", "New terms", text, forms=(form,), links=(Link("Read the terms", settings.url),))

    def accept(self, request: Request, values: Values) -> None:
        """Store that the terms are accepted, and continue the login."""
        pending = request.logins.pending
        assert pending is not None  # the route is only for a login that waits
        version = request.plugin_settings(NAME).version
        row = {"user_id": pending.user.id, "version": version, "accepted_at": request.now}
        request.db.execute(insert(acceptance_table), row)
        request.logins.complete_step(f"{NAME}.{STEP}")

    def accept_by_program(self, request: Request, values: Values) -> Mapping[str, object]:
        """Do the same for a program; the host adds who is logged in to the result."""
        self.accept(request, values)
        return {}


plugin = Terms()
