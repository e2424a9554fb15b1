"""Who is stopped, and what is remembered."""

from __future__ import annotations

from datetime import timedelta

import pytest
from authhost_geo_velocity import plugin
from authhost_geo_velocity.atlas import Atlas, Place
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


class Moody:
    """Another plugin, which stops or refuses when told to."""

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
def moody():
    return Moody()


@pytest.fixture
def authhost_plugins(moody):
    return {"geovelocity": plugin, "moody": moody}


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
def come(run_flow):
    def come(ip_address):
        run_flow.forget()
        run_flow.ip_address = ip_address
        return run_flow.social(**BOB)

    return come


@pytest.fixture
def pass_time(auth_host):
    """Move what is remembered into the past: a provider's tokens bear the time of its own clock."""

    def pass_time(**by):
        for row in places(auth_host):
            earlier = update(place_table).where(place_table.c.person == row.person)
            with auth_host.engine.begin() as connection:
                connection.execute(earlier.values(seen_at=row.seen_at - timedelta(**by)))

    return pass_time


def places(host):
    with host.reader.connect() as connection:
        return connection.execute(select(place_table)).all()


def test_an_impossible_journey_is_stopped(auth_host, pass_time, come):
    assert come(IN_BERLIN).login.authenticated
    pass_time(hours=2)
    result = come(IN_AUCKLAND)
    assert result.stopped
    assert result.login is None
    assert result.response["code"] == "impossible_travel"


def test_a_stop_is_not_remembered_as_a_place(auth_host, pass_time, come):
    come(IN_BERLIN)
    pass_time(hours=2)
    for _ in range(2):  # the second try does not come from nearby
        assert come(IN_AUCKLAND).stopped
    assert come(IN_BERLIN).login.authenticated


def test_a_possible_journey_is_not(pass_time, come):
    come(IN_BERLIN)
    pass_time(hours=24)
    assert come(IN_AUCKLAND).login.authenticated
    pass_time(hours=2)
    assert come(IN_BERLIN).stopped


def test_the_clock_may_stand_still_or_go_back(pass_time, come):
    come(IN_BERLIN)
    assert come(IN_BERLIN).login.authenticated
    assert come(IN_POTSDAM).login.authenticated  # within what is known of networks
    assert come(IN_AUCKLAND).stopped
    pass_time(hours=-5)
    assert come(IN_BERLIN).login.authenticated


@pytest.mark.parametrize("address", [None, NOWHERE, "10.0.0.1", "::1", "fe80::1"])
def test_an_address_that_says_nothing_stops_nobody_and_is_not_remembered(auth_host, come, address):
    come(address)
    assert places(auth_host) == []
    come(IN_BERLIN)
    assert come(address).login.authenticated
    assert come(IN_AUCKLAND).stopped


def test_one_place_is_kept_under_a_hash(auth_host, pass_time, come):
    come(IN_BERLIN)
    pass_time(hours=1)
    come(IN_POTSDAM)
    [row] = places(auth_host)
    assert (round(row.latitude, 2), round(row.longitude, 2)) == POTSDAM
    assert "bob" not in row.person
    assert len(row.person) == 64


@pytest.mark.parametrize("error", [StopFlow("other"), Refused("no", "No.")])
def test_a_login_that_others_end_is_not_remembered(auth_host, come, moody, error):
    moody.error = error
    try:
        come(IN_AUCKLAND)
    except Vetoed:
        assert isinstance(error, Refused)
    assert places(auth_host) == []
    moody.error = None
    assert come(IN_BERLIN).login.authenticated


@pytest.mark.parametrize("verification", ["mandatory"])
def test_a_login_that_waits_is_not_remembered(auth_host, run_flow):
    run_flow.ip_address = IN_BERLIN
    assert run_flow.social(sub="carl", email="carl@example.org").login.waits_for
    assert places(auth_host) == []


def test_whoever_is_logged_in_connects_from_anywhere(come, run_flow):
    come(IN_BERLIN)
    run_flow.ip_address = IN_AUCKLAND
    assert not run_flow.social(process="connect", **BOB).stopped


def test_another_login_is_not_taken_for_it(auth_host, run_flow):
    """Connecting is no login; a password is no provider."""
    run_flow.ip_address = IN_BERLIN
    run_flow("signup", email="ann@example.org", password=PASSWORD)
    run_flow.social(process="connect", **BOB)
    run_flow.forget()
    run_flow("login", identifier="ann@example.org", password=PASSWORD)
    assert places(auth_host) == []


def test_the_smallest_network_counts(networks):
    atlas = Atlas.read(networks)
    assert atlas.find(IN_BERLIN) == BERLIN
    assert atlas.find(IN_POTSDAM) == POTSDAM
    assert atlas.find(f"::ffff:{IN_AUCKLAND}") == AUCKLAND
    assert atlas.find("2001:db8::1") == BERLIN
    assert atlas.find(NOWHERE) is atlas.find(None) is None


def test_distances():
    assert BERLIN.km_to(BERLIN) == 0
    assert BERLIN.km_to(AUCKLAND) == pytest.approx(17_800, abs=100)
    assert Place(0, 0).km_to(Place(0, 180)) == pytest.approx(20_015, abs=1)
    assert Place(0, 179.5).km_to(Place(0, -179.5)) == pytest.approx(111, abs=1)


@pytest.mark.parametrize(
    "line", ["192.0.2.0/24,91,0", "192.0.2.0/24,nan,0", "192.0.2.0/24,1", "192.0.2.1/24,1,1", "x,1,1"]
)
def test_a_wrong_file_keeps_the_host_from_starting(tmp_path, line):
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
