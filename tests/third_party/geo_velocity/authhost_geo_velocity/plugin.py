"""Compares the place of a social login with the place of the last one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from authhost_hookspecs import PluginTables, Request, SocialLogin, StopFlow, hookimpl
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from authhost_geo_velocity.locations import NetworkLocations, Place
from authhost_geo_velocity.tables import metadata, place_table

NAME = "geovelocity"
SLACK_KM = 100.0
"""Tolerance, since networks are located only roughly and a phone changes its network."""
RESPONSE = {
    "code": "impossible_travel",
    "message": "This login comes from very far away. Please try again later.",
}


@dataclass(frozen=True, eq=False)
class GeoVelocitySettings:
    """``networks`` is a CSV file (network,latitude,longitude). Without it no login is stopped."""

    networks: str = ""
    max_kmh: float = 900.0

    def __post_init__(self) -> None:
        if not self.max_kmh > 0:
            raise ValueError("max_kmh must be more than 0")
        _ = self.locations  # a wrong file raises now, so that the host does not start

    @cached_property
    def locations(self) -> NetworkLocations:
        """The locations of networks. The file is read once for each host."""
        return NetworkLocations.read(Path(self.networks)) if self.networks else NetworkLocations({})


class PendingPlace(NamedTuple):
    """The user and place of a social login that has not succeeded yet."""

    person: str
    place: Place


class GeoVelocity:
    """Compares at `pre_social_login` and stores the place at `user_logged_in`.

    `social_account_updated` would be too early: it is called before `pre_social_login`, and what it
    stores is kept when the flow is stopped. The next attempt would then seem to come from nearby.
    """

    @hookimpl
    def pre_social_login(self, request: Request, sociallogin: SocialLogin) -> None:
        local = request.local(NAME)
        local.clear()
        settings: GeoVelocitySettings = request.plugin_settings(NAME)
        place = settings.locations.find(request.ip_address)
        if place is None or sociallogin.process != "login":
            return
        account = sociallogin.account
        person = request.keyed_hash(json.dumps([NAME, account.provider, account.uid]))
        last = request.db.execute(select(place_table).where(place_table.c.person == person)).first()
        if last is not None:
            # No division, since no time may have passed, and the clock may have been set back.
            hours = max(0.0, (request.now - utc(last.seen_at)).total_seconds() / 3600)
            if place.km_to(Place(last.latitude, last.longitude)) > SLACK_KM + settings.max_kmh * hours:
                raise StopFlow(response=dict(RESPONSE))
        local["pending"] = PendingPlace(person, place)

    @hookimpl
    def user_logged_in(self, request: Request) -> None:
        pending: PendingPlace | None = request.local(NAME).pop("pending", None)
        if pending is None or request.provider is None:
            return
        values = {**pending.place._asdict(), "seen_at": request.now}
        known = place_table.c.person == pending.person
        if not request.db.execute(update(place_table).where(known).values(values)).rowcount:
            try:
                with request.db.begin_nested():
                    request.db.execute(insert(place_table).values(person=pending.person, **values))
            except IntegrityError:
                return  # of two first logins at the same time, the other one is stored

    @hookimpl
    def register_settings(self) -> type[GeoVelocitySettings]:
        return GeoVelocitySettings

    @hookimpl
    def register_tables(self) -> PluginTables:
        return PluginTables(metadata, "authhost_geo_velocity.migrations")


def utc(time: datetime) -> datetime:
    """A time with its zone. SQLite and MariaDB return times without one."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


plugin = GeoVelocity()
