"""Challenges: bound to their purpose, for five minutes, once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, uuid4

import pytest
from authhost_mfa.webauthn import (
    ChallengeExpired,
    ChallengeUsed,
    InvalidCredential,
    add_used_challenge_table,
    delete_expired_challenges,
    new_challenge,
    open_challenge,
    purpose_of_login,
    purpose_of_pending_login,
    purpose_of_reauthentication,
    purpose_of_registration,
    purpose_of_signup,
    use_challenge,
    verify_authentication,
)
from authhost_mfa.webauthn.responses import encode
from sqlalchemy import MetaData, func, select

from authhost.testing import Clock, Mailbox, open_host
from authhost.testing.authenticator import VirtualAuthenticator
from mfa.webauthn.ceremonies import HANDLE, ORIGINS, RP_ID, get, register, with_client_data

metadata = MetaData()
USED = add_used_challenge_table(metadata)
ANN, BOB, SESSION = uuid4(), uuid4(), uuid4()


@dataclass
class Pending:
    user: object
    started: datetime


@dataclass
class Person:
    id: UUID


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def host(tmp_path, clock):
    host = open_host(
        f"sqlite:///{tmp_path / 'site.sqlite3'}",
        {"mailbox": Mailbox()},
        clock=clock,
        base_url="https://example.org",
    )
    metadata.create_all(host.engine)
    yield host
    host.close()


@pytest.fixture
def authenticator():
    found = VirtualAuthenticator()
    register(found)
    return found


def challenge_for(host, purpose):
    with host.request() as request:
        return new_challenge(request, purpose)


def use(host, response, purpose):
    with host.request() as request:
        challenge = open_challenge(request, USED, response, purpose)
        use_challenge(request, USED, challenge)
        return challenge


def used(host):
    with host.engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(USED)).scalar_one()


def test_a_challenge_is_random_and_sealed(host):
    found = {challenge_for(host, purpose_of_login()) for _ in range(10)}
    assert len(found) == 10
    assert used(host) == 0


def test_it_is_accepted_once(host, authenticator):
    challenge = challenge_for(host, purpose_of_login())
    response = get(authenticator, challenge=challenge)
    assert use(host, response, purpose_of_login()) == challenge
    with pytest.raises(ChallengeUsed) as caught:
        use(host, response, purpose_of_login())
    assert caught.value.code == "challenge_used"
    assert used(host) == 1


def test_another_response_to_it_is_refused_too(host, authenticator):
    challenge = challenge_for(host, purpose_of_login())
    use(host, get(authenticator, challenge=challenge), purpose_of_login())
    with pytest.raises(ChallengeUsed):
        use(host, get(authenticator, challenge=challenge), purpose_of_login())


def test_of_requests_at_the_same_time_one_is_accepted(host, authenticator):
    response = get(authenticator, challenge=challenge_for(host, purpose_of_login()))

    def attempt(_):
        with suppress(ChallengeUsed):
            return use(host, response, purpose_of_login())

    with ThreadPoolExecutor(8) as pool:
        accepted = [each for each in pool.map(attempt, range(16)) if each]
    assert len(accepted) == 1


def test_a_flow_that_is_refused_uses_nothing(host, authenticator):
    response = get(authenticator, challenge=challenge_for(host, purpose_of_login()))
    with suppress(RuntimeError), host.request() as request:
        use_challenge(request, USED, open_challenge(request, USED, response, purpose_of_login()))
        raise RuntimeError
    assert used(host) == 0
    assert use(host, response, purpose_of_login())


@pytest.mark.parametrize(("seconds", "error"), [(299, None), (301, ChallengeExpired)])
def test_it_is_accepted_for_five_minutes(host, clock, authenticator, seconds, error):
    response = get(authenticator, challenge=challenge_for(host, purpose_of_login()))
    clock.forward(seconds=seconds)
    if error is None:
        assert use(host, response, purpose_of_login())
    else:
        with pytest.raises(error):
            use(host, response, purpose_of_login())
        assert used(host) == 0


@pytest.mark.parametrize(("seconds", "accepted"), [(-50, True), (-120, False)])
def test_the_clocks_of_servers_may_differ_by_a_minute(host, clock, authenticator, seconds, accepted):
    clock.forward(seconds=120)
    response = get(authenticator, challenge=challenge_for(host, purpose_of_login()))
    clock.forward(seconds=seconds)
    if accepted:
        assert use(host, response, purpose_of_login())
    else:
        with pytest.raises(InvalidCredential):
            use(host, response, purpose_of_login())


def test_a_record_is_kept_until_its_challenge_is_refused_by_its_age(host, clock, authenticator):
    response = get(authenticator, challenge=challenge_for(host, purpose_of_login()))
    use(host, response, purpose_of_login())
    for seconds, left in ((299, 1), (62, 0)):
        clock.forward(seconds=seconds)
        with host.request() as request:
            delete_expired_challenges(request.db, USED, request.now)
        assert used(host) == left
    with pytest.raises(ChallengeExpired):
        use(host, response, purpose_of_login())


def test_every_purpose_differs():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    purposes = [
        purpose_of_login(),
        purpose_of_signup(HANDLE),
        purpose_of_signup(bytes(64)),
        purpose_of_pending_login(Pending(Person(ANN), now)),
        purpose_of_pending_login(Pending(Person(ANN), now + timedelta(microseconds=1))),
        purpose_of_pending_login(Pending(Person(BOB), now)),
        *(
            function(user, session)
            for function in (purpose_of_registration, purpose_of_reauthentication)
            for user, session in ((ANN, SESSION), (BOB, SESSION), (ANN, ANN))
        ),
    ]
    assert len(set(purposes)) == len(purposes) == 12
    assert all(each.startswith("mfa ") for each in purposes)
    elsewhere = now.astimezone(timezone(timedelta(hours=2)))
    assert purpose_of_pending_login(Pending(Person(ANN), elsewhere)) == purposes[3]


@pytest.mark.parametrize("challenge", [b"", b"x", b"\xff" * 32, b"x" * 2000, b"gAAAAAB0"])
def test_a_challenge_of_somebody_else_is_refused(host, authenticator, challenge):
    response = with_client_data(get(authenticator), challenge=encode(challenge))
    with pytest.raises(InvalidCredential):
        use(host, response, purpose_of_login())


class TestReauthentication:
    """Flask-Security GHSA-f66q-9rf6-8795: a reauthentication by WebAuthn did not prove freshness."""

    PURPOSE = purpose_of_reauthentication(ANN, SESSION)

    @pytest.mark.parametrize(
        "other",
        [
            purpose_of_reauthentication(BOB, SESSION),
            purpose_of_reauthentication(ANN, uuid4()),
            purpose_of_registration(ANN, SESSION),
            purpose_of_login(),
        ],
        ids=["another user", "another session", "a registration", "a login"],
    )
    def test_it_is_bound_to_this_user_this_session_and_this_action(self, host, authenticator, other):
        response = get(authenticator, challenge=challenge_for(host, other))
        with pytest.raises(InvalidCredential):
            use(host, response, self.PURPOSE)
        assert used(host) == 0

    def test_it_is_bound_to_this_challenge(self, host, authenticator):
        stored = register(authenticator)
        old = get(authenticator, stored, challenge=challenge_for(host, self.PURPOSE))
        new = get(authenticator, stored, challenge=challenge_for(host, self.PURPOSE))
        challenge = use(host, new, self.PURPOSE)
        with pytest.raises(InvalidCredential):
            verify_authentication(old, challenge, RP_ID, ORIGINS, stored)

    def test_it_proves_freshness_once(self, host, clock, authenticator):
        response = get(authenticator, challenge=challenge_for(host, self.PURPOSE))
        use(host, response, self.PURPOSE)
        clock.forward(seconds=60)
        with pytest.raises(ChallengeUsed):
            use(host, response, self.PURPOSE)
        clock.forward(minutes=10)
        with pytest.raises(ChallengeExpired):
            use(host, response, self.PURPOSE)
