"""The hooks of the plugin, its page and its endpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from uuid import UUID

from authhost_hookspecs import (
    ApiRoute,
    Choice,
    Field,
    Form,
    Link,
    Page,
    PageRoute,
    PluginTables,
    Refused,
    Request,
    Section,
    User,
    Values,
    hookimpl,
)
from sqlalchemy import delete, insert, select, update

from authhost_newsletter.tables import metadata, preference_table

PATH = "/preferences"
FREQUENCIES = (Choice("never", "Never"), Choice("monthly", "Every month"), Choice("weekly", "Every week"))
LABELS = {each.value: each.label for each in FREQUENCIES}
FIELDS = (
    Field("frequency", "How often?", "select", choices=FREQUENCIES),
    Field("about_products", "Also about products", "checkbox", required=False),
)
RESULT = {
    "type": "object",
    "properties": {"frequency": {"type": "string"}, "about_products": {"type": "boolean"}},
    "required": ["frequency", "about_products"],
}


class Preference(NamedTuple):
    """What a user has chosen."""

    frequency: str = "never"
    about_products: bool = False


def preference_of(request: Request, user_id: UUID) -> Preference:
    """Return what a user has chosen, or the default."""
    columns = preference_table.c.frequency, preference_table.c.about_products
    row = request.db.execute(select(*columns).where(preference_table.c.user_id == user_id)).first()
    return Preference(*row) if row is not None else Preference()


def store(request: Request, user_id: UUID, chosen: Preference) -> None:
    """Store what a user has chosen."""
    values = {**chosen._asdict(), "changed_at": request.now}
    of_user = preference_table.c.user_id == user_id
    if not request.db.execute(update(preference_table).where(of_user).values(**values)).rowcount:
        request.db.execute(insert(preference_table), {"user_id": user_id, **values})


def chosen_by(request: Request, values: Values) -> Preference:
    """Store the validated values of a form or a program for the logged-in user; return them."""
    assert request.user is not None  # the routes require a login
    chosen = Preference(str(values["frequency"]), bool(values["about_products"]))
    if chosen.about_products and chosen.frequency == "never":
        raise Refused("never", "Choose how often, or leave out the products.", field="frequency")
    store(request, request.user.id, chosen)
    return chosen


class Newsletter:
    """Its routes are below ``/newsletter``, the name of the plugin."""

    @hookimpl
    def register_tables(self) -> PluginTables:
        return PluginTables(metadata, "authhost_newsletter.migrations")

    @hookimpl
    def register_routes(self) -> list[PageRoute | ApiRoute]:
        return [
            PageRoute(PATH, self.show, self.change, FIELDS),
            ApiRoute("GET", PATH, self.read, "Return the preferences.", response=RESULT),
            ApiRoute("POST", PATH, self.write, "Change the preferences.", FIELDS, response=RESULT),
        ]

    @hookimpl
    def register_panels(self) -> list[Callable[[Request], Section | None]]:
        return [self.panel]

    @hookimpl
    def user_deleted(self, request: Request, user: User) -> None:
        request.db.execute(delete(preference_table).where(preference_table.c.user_id == user.id))

    @hookimpl
    def export_user(self, request: Request, user: User) -> dict[str, Any]:
        return {"newsletter": preference_of(request, user.id)._asdict()}

    def show(self, request: Request) -> Page:
        """Show the form, with what the user has chosen."""
        assert request.user is not None
        chosen = preference_of(request, request.user.id)
        frequency, about_products = FIELDS
        shown = (
            Field(frequency.name, frequency.label, "select", value=chosen.frequency, choices=FREQUENCIES),
            Field(
                about_products.name,
                about_products.label,
                "checkbox",
                required=False,
                value="on" if chosen.about_products else "",
            ),
        )
        return Page("newsletter", "Newsletter", forms=(Form(PATH, "Save", shown),))

    def change(self, request: Request, values: Values) -> None:
        """Store what the user has chosen in the form."""
        chosen_by(request, values)
        request.answer.message("success", "Your preferences are saved.")

    def read(self, request: Request, values: Values) -> Mapping[str, object]:
        """Return what the user has chosen."""
        assert request.user is not None
        return preference_of(request, request.user.id)._asdict()

    def write(self, request: Request, values: Values) -> Mapping[str, object]:
        """Store what a program sends."""
        return chosen_by(request, values)._asdict()

    def panel(self, request: Request) -> Section:
        """Show the choice on the account page."""
        assert request.user is not None
        chosen = preference_of(request, request.user.id)
        return Section("Newsletter", (LABELS[chosen.frequency],), links=(Link("Change", PATH),))


plugin = Newsletter()
