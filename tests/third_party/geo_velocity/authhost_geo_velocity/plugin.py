"""Compares where a person comes from with where they came from last."""

from __future__ import annotations

import json
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from authhost_hookspecs import PluginTables, Request, SocialLogin, StopFlow, hookimpl
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from authhost_geo_velocity.atlas import Atlas, Place
from authhost_geo_velocity.tables import metadata, place_table

NAME = "geovelocity"
SLACK_KM = 100.0
"""What networks are known to is a town or so; and a phone that leaves its wireless LAN jumps."""
RESPONSE = {
    "code": "impossible_travel",
    "message": "This login comes from very far away. Please try again later.",
}


@dataclass(frozen=True, eq=False)
class GeoVelocitySettings:
    """``networks`` is a CSV file (network,latitude,longitude); without it nobody is stopped."""

    networks: str = ""
    max_kmh: float = 900.0

    def __post_init__(self) -> None:
        if not self.max_kmh > 0:
            raise ValueError("max_kmh must be more than 0")
        _ = self.atlas  # so that a wrong file keeps the host from starting

    @cached_property
    def atlas(self) -> Atlas:
        """The networks, read once for each host."""
        return Atlas.read(Path(self.networks)) if self.networks else Atlas({})


class Arrival(NamedTuple):
    """Who has come from where in a unit of work, until it is known that they were let in."""

    request_id: UUID
    person: str
    place: Place


# `user_logged_in` does not say which account at the provider it was. Bound to the unit of work by
# its id, so that an arrival that led to nothing is nobody else's.
arrivals: ContextVar[Arrival | None] = ContextVar("authhost_geovelocity_arrival", default=None)


class GeoVelocity:
    """Judges at `pre_social_login`, remembers at `user_logged_in`.

    `social_account_updated` would be too early: it comes before `pre_social_login`, and what it
    stores stays when the flow is stopped there. The next try would seem to come from nearby.
    """

    @hookimpl
    def pre_social_login(self, request: Request, sociallogin: SocialLogin) -> None:
        arrivals.set(None)
        settings: GeoVelocitySettings = request.plugin_settings(NAME)
        place = settings.atlas.find(request.ip_address)
        if place is None or sociallogin.process != "login":
            return
        account = sociallogin.account
        person = request.keyed_hash(json.dumps([NAME, account.provider, account.uid]))
        last = request.db.execute(select(place_table).where(place_table.c.person == person)).first()
        if last is not None:
            # A product in place of a quotient: the clock may stand still, or go back.
            hours = max(0.0, (request.now - utc(last.seen_at)).total_seconds() / 3600)
            if place.km_to(Place(last.latitude, last.longitude)) > SLACK_KM + settings.max_kmh * hours:
                raise StopFlow(response=dict(RESPONSE))
        arrivals.set(Arrival(request.id, person, place))

    @hookimpl
    def user_logged_in(self, request: Request) -> None:
        arrival = arrivals.get()
        if arrival is None or arrival.request_id != request.id or request.provider is None:
            return
        arrivals.set(None)
        values = {**arrival.place._asdict(), "seen_at": request.now}
        known = place_table.c.person == arrival.person
        if not request.db.execute(update(place_table).where(known).values(values)).rowcount:
            try:
                with request.db.begin_nested():
                    request.db.execute(insert(place_table).values(person=arrival.person, **values))
            except IntegrityError:
                return  # two first logins at once: the other one is remembered

    @hookimpl
    def register_settings(self) -> type[GeoVelocitySettings]:
        return GeoVelocitySettings

    @hookimpl
    def register_tables(self) -> PluginTables:
        return PluginTables(metadata, "authhost_geo_velocity.migrations")


def utc(time: datetime) -> datetime:
    """SQLite and MariaDB hand back a time without its zone."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


plugin = GeoVelocity()
