"""Counters: exact windows, bounded memory, and no work that grows with the number of keys."""

from __future__ import annotations

import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings, strategies as st
from limits.storage import storage_from_string

from authhost.security import counters
from authhost.security.counters import MAX_DELETED, MAX_KEYS, MemoryCounters, Rate, RedisCounters

FIVE = Rate("login", 5, 300, "ip")


@pytest.fixture
def now(monkeypatch):
    """A clock to be moved: ``now[0] += 60``."""
    at = [1_800_000_000.0]
    monkeypatch.setattr(time, "time", lambda: at[0])
    return at


@pytest.fixture(params=["memory", "redis"])
def counting(request):
    if request.param == "memory":
        yield MemoryCounters()
        return
    yield RedisCounters(storage_from_string(request.getfixturevalue("redis_url")))


def test_a_window_moves(counting, now):
    for _ in range(5):
        assert counting.acquire(FIVE, "ann")
        now[0] += 10
    assert not counting.acquire(FIVE, "ann")
    assert counting.acquire(FIVE, "bob")
    assert counting.retry_after(FIVE, "ann") == pytest.approx(250)
    now[0] += 251
    assert counting.acquire(FIVE, "ann")
    assert not counting.acquire(FIVE, "ann")


def test_what_is_given_back_may_be_taken_again(counting, now):
    for _ in range(5):
        counting.acquire(FIVE, "ann")
    counting.undo(FIVE, "ann")
    assert counting.acquire(FIVE, "ann")
    assert not counting.acquire(FIVE, "ann")
    counting.clear(FIVE, "ann")
    counting.undo(FIVE, "ann")
    assert counting.retry_after(FIVE, "ann") == 0
    assert [counting.acquire(FIVE, "ann") for _ in range(6)] == [True] * 5 + [False]


def test_threads_take_no_more_than_there_is(counting):
    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(lambda _: counting.acquire(FIVE, "ann"), range(100))) == 5


EVENTS = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from(["acquire", "undo", "clear"]), st.integers(0, 200)),
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(EVENTS)
def test_at_most_so_many_in_any_period(events):
    counting, at, taken = MemoryCounters(), [0.0], {"a": [], "b": []}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: at[0])
        for key, what, later in events:
            at[0] += later
            mine = taken[key]
            if what == "acquire":
                free = sum(each > at[0] - FIVE.seconds for each in mine) < FIVE.amount
                assert counting.acquire(FIVE, key) is free
                if free:
                    mine.append(at[0])
            elif what == "undo":
                counting.undo(FIVE, key)
                del mine[-1:]
            else:
                counting.clear(FIVE, key)
                mine.clear()


class Watched(OrderedDict):
    """Counts how many keys are looked at."""

    looked_at = 0

    def items(self):
        for each in super().items():
            Watched.looked_at += 1
            yield each


def test_300_000_keys_leave_neither_memory_nor_work(now, monkeypatch):
    monkeypatch.setattr(counters, "OrderedDict", Watched)
    counting, slow = MemoryCounters(), Rate("login_failed", 100, 30 * 86400, "key")
    for number in range(300_000):
        counting.acquire((FIVE, slow)[number % 2], str(number))
    assert len(counting) == 2 * MAX_KEYS
    now[0] += 31 * 86400
    Watched.looked_at = 0
    for _ in range(50):
        counting.acquire(Rate("signup", 5, 60, "ip"), "ann")
    assert Watched.looked_at <= 50 * (MAX_DELETED + 2)
    assert len(counting) == 1
    Watched.looked_at = 0
    for _ in range(100):
        counting.acquire(FIVE, "ann")
    assert Watched.looked_at <= 300


def test_who_fills_the_memory_forgets_their_own_keys(now, monkeypatch):
    monkeypatch.setattr(counters, "MAX_KEYS", 100)
    counting = MemoryCounters()
    for _ in range(5):
        counting.acquire(FIVE, "ann")
    for number in range(10_000):
        counting.acquire(FIVE, str(number))
    assert not counting.acquire(FIVE, "ann")
    assert len(counting) == 100
