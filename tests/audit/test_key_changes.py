"""The change of the key that signs seals: the chain stays intact, also with processes of two phases."""

from __future__ import annotations

import pytest
from authhost_audit.key_changes import change_key, key_states
from conftest import PASSWORD

from audit.trail import ANN, PUBLIC, SIGNING, run_login, seal_all, violations


def states(host):
    return [(each.status, each.values) for each in key_states(host)]


@pytest.fixture
def change(make):
    """Apply a phase; return the settings, and a host that was started with them."""

    def change(host, settings, phase=None):
        made = change_key(host, phase)
        settings = {**settings, **made.settings}
        return made.phase, settings, make(audit=settings)

    return change


def test_the_chain_is_intact_in_all_phases_for_processes_before_and_after(make, run, change):
    settings = {"signing_key": SIGNING}
    host = make(audit=settings)
    run(host, "signup", email=ANN, password=PASSWORD)
    seal_all(host)
    assert states(host) == [("active", 1)]
    phases = []
    for _ in range(3):
        phase, settings, after = change(host, settings)
        phases.append(phase)
        # Processes of both phases seal. After the last phase only those with the new key are left.
        for each in (host, after):
            run_login(each)
            seal_all(each)
            assert violations(host) == violations(after) == [], phase
        host = after
    assert phases == ["distribute", "activate", "close"]
    assert "@" in settings["former_keys"]
    assert settings["former_keys"].startswith(PUBLIC)


def test_a_closed_key_signs_no_more_batches(make, run, change):
    settings = {"signing_key": SIGNING}
    host = stolen = make(audit=settings)
    run(host, "signup", email=ANN, password=PASSWORD)
    seal_all(host)
    for _ in range(3):
        _, settings, host = change(host, settings)
    run_login(host)
    seal_all(stolen)
    (found,) = violations(host)
    assert "was retired before" in found.why


def test_the_first_key_is_active_at_once(make):
    change = change_key(make(audit={"signing_key": ""}), None)
    assert (change.phase, set(change.settings)) == ("activate", {"signing_key"})
    assert change.settings["signing_key"] not in repr(change)


@pytest.mark.parametrize(
    ("phase", "remedy"),
    [("activate", "--phase distribute"), ("close", "keys list"), ("remove", "the phases")],
)
def test_a_phase_that_is_not_possible_has_a_remedy(make, phase, remedy):
    with pytest.raises(ValueError, match=remedy):
        change_key(make(), phase)


def test_a_batch_of_an_unknown_key_is_listed(make, run, change):
    host = make()
    run(host, "signup", email=ANN, password=PASSWORD)
    seal_all(host)
    _, settings, _ = change(make(audit={"signing_key": ""}), {})
    (active, missing) = key_states(make(audit=settings))
    assert (active.status, missing.status, missing.values) == ("active", "missing", 1)
    assert "former_keys" in missing.to_do
