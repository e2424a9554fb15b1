"""Tests of which logins are stopped, and which places are stored."""

from __future__ import annotations

from datetime import timedelta

import pytest
from authhost_geo_velocity import plugin
from authhost_geo_velocity.locations import NetworkLocations, Place
from authhost_geo_velocity.tables import place_table
from authhost_hookspecs import Refused, StopFlow, hookimpl
from sqlalchemy import select, update

from authhost import AuthHost, AuthHostError, Settings
from authhost.errors import Vetoed
from authhost.testing import PASSWORD

BERLIN, POTSDAM, AUCKLAND = Place(52.52, 13.40), Place(52.39, 13.06), Place(-36.85, 174.76)
IN_BERLIN, IN_POTSDAM, IN_AUCKLAND, NOWHERE = "192.0.2.1", "192.0.2.200", "198.51.100.1", "203.0.113.1"
CSV = """network,latitude,longitude
192.0.2.0/24,52.52,13.40
192.0.2.192/26,52.39,13.06
198.51.100.0/24,-36.85,174.76
2001:db8::/32,52.52,13.40
"""
BOB = {"sub": "bob", "email": "bob@example.org", "email_verified": True}


class RaisesOnDemand:
    """Another plugin, which raises the error that a test sets."""

    error: Exception | None = None

    @hookimpl(trylast=True)
    def pre_social_login(self):
        if isinstance(self.error, StopFlow):
            raise self.error

    @hookimpl
    def before_login(self):
        if isinstance(self.error, Refused):
            raise self.error


@pytest.fixture
def raising():
    return RaisesOnDemand()


@pytest.fixture
def authhost_plugins(raising):
    return {"geovelocity": plugin, "raising": raising}


@pytest.fixture
def networks(tmp_path):
    path = tmp_path / "networks.csv"
    path.write_text(CSV)
    return path


@pytest.fixture
def verification():
    return "none"


@pytest.fixture
def authhost_settings(networks, verification):
    given = {"geovelocity": {"networks": str(networks)}}
    return {"plugin_settings": given, "email_verification": verification}


@pytest.fixture
def log_in_from(run_flow):
    def log_in_from(ip_address):
        run_flow.forget()
        run_flow.ip_address = ip_address
        return run_flow.social(**BOB)

    return log_in_from


@pytest.fixture
def pass_time(auth_host):
    """Move the stored places into the past. The host's clock must agree with the provider's tokens."""

    def pass_time(**by):
        for row in places(auth_host):
            earlier = update(place_table).where(place_table.c.person == row.person)
            with auth_host.engine.begin() as connection:
                connection.execute(earlier.values(seen_at=row.seen_at - timedelta(**by)))

    return pass_time


def places(host):
    with host.reader.connect() as connection:
        return connection.execute(select(place_table)).all()


def test_impossible_travel_is_stopped(auth_host, pass_time, log_in_from):
    assert log_in_from(IN_BERLIN).login.authenticated
    pass_time(hours=2)
    result = log_in_from(IN_AUCKLAND)
    assert result.stopped
    assert result.login is None
    assert result.response["code"] == "impossible_travel"


def test_place_of_a_stopped_login_is_not_stored(auth_host, pass_time, log_in_from):
    log_in_from(IN_BERLIN)
    pass_time(hours=2)
    for _ in range(2):  # the first attempt has not stored its place
        assert log_in_from(IN_AUCKLAND).stopped
    assert log_in_from(IN_BERLIN).login.authenticated


def test_possible_travel_is_not_stopped(pass_time, log_in_from):
    log_in_from(IN_BERLIN)
    pass_time(hours=24)
    assert log_in_from(IN_AUCKLAND).login.authenticated
    pass_time(hours=2)
    assert log_in_from(IN_BERLIN).stopped


def test_clock_that_stands_still_or_is_set_back(pass_time, log_in_from):
    log_in_from(IN_BERLIN)
    assert log_in_from(IN_BERLIN).login.authenticated
    assert log_in_from(IN_POTSDAM).login.authenticated  # within the tolerance
    assert log_in_from(IN_AUCKLAND).stopped
    pass_time(hours=-5)
    assert log_in_from(IN_BERLIN).login.authenticated


@pytest.mark.parametrize("address", [None, NOWHERE, "10.0.0.1", "::1", "fe80::1"])
def test_unknown_address_is_not_stopped_and_not_stored(auth_host, log_in_from, address):
    log_in_from(address)
    assert places(auth_host) == []
    log_in_from(IN_BERLIN)
    assert log_in_from(address).login.authenticated
    assert log_in_from(IN_AUCKLAND).stopped


def test_last_place_is_stored_under_a_keyed_hash(auth_host, pass_time, log_in_from):
    log_in_from(IN_BERLIN)
    pass_time(hours=1)
    log_in_from(IN_POTSDAM)
    [row] = places(auth_host)
    assert (round(row.latitude, 2), round(row.longitude, 2)) == POTSDAM
    assert "bob" not in row.person
    assert len(row.person) == 64


@pytest.mark.parametrize("error", [StopFlow("other"), Refused("no", "No.")])
def test_login_that_another_plugin_ends_is_not_stored(auth_host, log_in_from, raising, error):
    raising.error = error
    try:
        log_in_from(IN_AUCKLAND)
    except Vetoed:
        assert isinstance(error, Refused)
    assert places(auth_host) == []
    raising.error = None
    assert log_in_from(IN_BERLIN).login.authenticated


@pytest.mark.parametrize("verification", ["mandatory"])
def test_pending_login_is_not_stored(auth_host, run_flow):
    run_flow.ip_address = IN_BERLIN
    assert run_flow.social(sub="carl", email="carl@example.org").login.waits_for
    assert places(auth_host) == []


def test_connect_is_never_stopped(log_in_from, run_flow):
    log_in_from(IN_BERLIN)
    run_flow.ip_address = IN_AUCKLAND
    assert not run_flow.social(process="connect", **BOB).stopped


def test_connect_and_password_login_are_not_stored(auth_host, run_flow):
    """Only a social login stores a place."""
    run_flow.ip_address = IN_BERLIN
    run_flow("signup", email="ann@example.org", password=PASSWORD)
    run_flow.social(process="connect", **BOB)
    run_flow.forget()
    run_flow("login", identifier="ann@example.org", password=PASSWORD)
    assert places(auth_host) == []


def test_smallest_network_counts(networks):
    locations = NetworkLocations.read(networks)
    assert locations.find(IN_BERLIN) == BERLIN
    assert locations.find(IN_POTSDAM) == POTSDAM
    assert locations.find(f"::ffff:{IN_AUCKLAND}") == AUCKLAND
    assert locations.find("2001:db8::1") == BERLIN
    assert locations.find(NOWHERE) is locations.find(None) is None


def test_distances():
    assert BERLIN.km_to(BERLIN) == 0
    assert BERLIN.km_to(AUCKLAND) == pytest.approx(17_800, abs=100)
    assert Place(0, 0).km_to(Place(0, 180)) == pytest.approx(20_015, abs=1)
    assert Place(0, 179.5).km_to(Place(0, -179.5)) == pytest.approx(111, abs=1)


@pytest.mark.parametrize(
    "line", ["192.0.2.0/24,91,0", "192.0.2.0/24,nan,0", "192.0.2.0/24,1", "192.0.2.1/24,1,1", "x,1,1"]
)
def test_host_does_not_start_with_a_wrong_file(tmp_path, line):
    path = tmp_path / "wrong.csv"
    path.write_text(f"network,latitude,longitude\n{line}\n")
    settings = Settings(
        secret_key="k" * 48,
        database_url=f"sqlite:///{tmp_path / 'test.sqlite3'}",
        email_verification="none",
        plugin_settings={"geovelocity": {"networks": str(path)}},
    )
    with pytest.raises(AuthHostError, match="networks cannot be read"):
        AuthHost(settings, plugins={"geovelocity": plugin}, discover=False)
