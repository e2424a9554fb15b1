"""The step, the pages and the endpoints."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from authhost_hookspecs import (
    ApiRoute,
    Field,
    Form,
    LoginStep,
    Page,
    PageRoute,
    PluginTables,
    Refused,
    Request,
    User,
    Values,
    hookimpl,
)
from sqlalchemy import delete, insert, select

from authhost_pin.attempts import count_attempt, forget_attempts
from authhost_pin.tables import metadata, pin_table

NAME, STEP = "pin", "enter"
ENTER, CHOOSE = "/enter", "/choose"
FIELDS = (Field("pin", "PIN", "password", max_length=12),)
SHORTEST = 6
PURPOSE = "authhost-pin"


class Pin:
    """Asks for the PIN at each login to an account that has one."""

    @hookimpl
    def register_tables(self) -> PluginTables:
        return PluginTables(metadata, "authhost_pin.migrations")

    @hookimpl
    def login_steps(self, request: Request, user: User) -> list[LoginStep]:
        return [LoginStep(STEP, ENTER, ("pin",))] if NAME in user.login_guards else []

    @hookimpl
    def register_routes(self) -> list[PageRoute | ApiRoute]:
        return [
            PageRoute(ENTER, self.ask, self.enter, FIELDS, step=STEP),
            ApiRoute("POST", ENTER, self.enter_by_program, "Enter the PIN.", FIELDS, step=STEP),
            PageRoute(CHOOSE, self.offer, self.choose, FIELDS, recent_login=True),
        ]

    @hookimpl
    def user_reactivated(self, request: Request, user: User) -> None:
        forget_attempts(request, user.id)

    @hookimpl
    def remove_factors(self, request: Request, user: User, reason: str) -> int:
        request.logins.unguard(NAME, user.id)
        deleted = request.db.execute(delete(pin_table).where(pin_table.c.user_id == user.id))
        return int(deleted.rowcount)

    @hookimpl
    def user_deleted(self, request: Request, user: User) -> None:
        request.db.execute(delete(pin_table).where(pin_table.c.user_id == user.id))

    @hookimpl
    def export_user(self, request: Request, user: User) -> dict[str, Any]:
        return {"has_pin": NAME in user.login_guards}

    def ask(self, request: Request) -> Page:
        """Ask for the PIN."""
        return Page("pin", "Your PIN", forms=(Form(ENTER, "Continue", FIELDS),))

    def enter(self, request: Request, values: Values) -> None:
        """Count the attempt, check the PIN, and continue the login."""
        pending = request.logins.pending
        assert pending is not None  # the route is only for a login that waits
        user_id = pending.user.id
        count_attempt(request, user_id)
        stored = select(pin_table.c.sealed).where(pin_table.c.user_id == user_id)
        sealed = request.db.execute(stored).scalar_one()
        right = request.open(sealed, f"{PURPOSE} {user_id}")
        if not hmac.compare_digest(right.encode(), str(values["pin"]).encode()):
            raise Refused("wrong_pin", "The PIN is not right.", "pin")
        request.logins.lock(user_id)
        forget_attempts(request, user_id)
        request.logins.complete_step(f"{NAME}.{STEP}", method="pin", factors=("knowledge",))

    def enter_by_program(self, request: Request, values: Values) -> Mapping[str, object]:
        """Do the same for a program; the host adds who is logged in to the result."""
        self.enter(request, values)
        return {}

    def offer(self, request: Request) -> Page:
        """Offer to choose a PIN."""
        return Page("pin_choose", "Choose a PIN", forms=(Form(CHOOSE, "Save", FIELDS),))

    def choose(self, request: Request, values: Values) -> None:
        """Store the PIN, and ask for it at each login from now on."""
        user, pin = request.user, str(values["pin"])
        assert user is not None  # the route needs a login
        if len(pin) < SHORTEST:
            raise Refused("short_pin", f"A PIN has at least {SHORTEST} characters.", "pin")
        request.logins.lock(user.id)
        request.db.execute(delete(pin_table).where(pin_table.c.user_id == user.id))
        sealed = request.seal(pin, f"{PURPOSE} {user.id}")
        request.db.execute(insert(pin_table).values(user_id=user.id, sealed=sealed, failures=0))
        request.logins.guard(NAME, user.id)


plugin = Pin()
