"""The locations of networks, from a file of the operator."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from math import asin, cos, radians, sin, sqrt
from pathlib import Path
from typing import NamedTuple

EARTH_KM = 6371.0


class Place(NamedTuple):
    """A point on Earth. Latitude and longitude are in degrees."""

    latitude: float
    longitude: float

    def km_to(self, other: Place) -> float:
        """The great-circle distance in kilometres (haversine formula)."""
        lat, other_lat = radians(self.latitude), radians(other.latitude)
        half = sin((other_lat - lat) / 2) ** 2
        half += cos(lat) * cos(other_lat) * sin(radians(other.longitude - self.longitude) / 2) ** 2
        return 2 * EARTH_KM * asin(sqrt(min(1.0, half)))


class NetworkLocations:
    """Networks and their places. If several networks contain an address, the smallest one counts."""

    def __init__(self, places: Mapping[IPv4Network | IPv6Network, Place]) -> None:
        self._places = places
        self._lengths = {
            version: sorted({each.prefixlen for each in places if each.version == version}, reverse=True)
            for version in (4, 6)
        }

    @classmethod
    def read(cls, path: Path) -> NetworkLocations:
        """Read a CSV file with the columns network, latitude and longitude. Raises ``ValueError``."""
        places = {}
        try:
            with path.open(encoding="utf-8", newline="") as file:
                for row in csv.DictReader(file):
                    place = Place(float(row["latitude"]), float(row["longitude"]))
                    if not (abs(place.latitude) <= 90 and abs(place.longitude) <= 180):
                        raise ValueError("no such place on Earth")
                    places[ip_network(row["network"])] = place
        except (OSError, LookupError, TypeError, ValueError) as error:
            raise ValueError(f"networks cannot be read: {error} (after {len(places)} networks)") from error
        return cls(places)

    def find(self, address: str | None) -> Place | None:
        """The place of an IP address. None if there is no address or its network is not in the file."""
        if address is None:
            return None
        parsed = ip_address(address)
        parsed = getattr(parsed, "ipv4_mapped", None) or parsed
        for length in self._lengths[parsed.version]:
            place = self._places.get(ip_network(f"{parsed}/{length}", strict=False))
            if place is not None:
                return place
        return None
