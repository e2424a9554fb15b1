"""A simulated year of events: each count of the report is compared with the expected one.

python tests/benchmarks/analytics.py --users 1000000 --events 20000000 --database sqlite:////tmp/year.sqlite3

The expected counts are computed with sets and counters while the events are
generated. Exits 1 if a count is wrong, or if an estimated number of users
deviates by more than four standard errors.
"""

from __future__ import annotations

import argparse
import bisect
import hashlib
import hmac
import json
import os
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from authhost_analytics.events import EXACT_SECOND_EVENTS
from authhost_analytics.pseudonyms import pseudonym_pair
from authhost_analytics.queries import read_report
from authhost_analytics.report import as_document
from authhost_analytics.rollup import roll_up
from authhost_analytics.settings import AnalyticsSettings
from authhost_analytics.sketches import COHORT_STANDARD_ERROR, STANDARD_ERROR
from authhost_analytics.spans import Span
from authhost_analytics.tables import event_table, metadata
from sqlalchemy import insert

from authhost.security.ids import Identifiers
from authhost.store.engine import make_engine
from authhost.store.sqlite import create_sqlite_file

FIRST, DAYS = date(2025, 1, 1), 365
CHUNK = 20_000
WIDTH = 40
MAX_STANDARD_ERRORS = 4
CLASSES = (60, 300, 900, 3600, 6 * 3600, 86400, 3 * 86400, 7 * 86400)
PROVIDERS = ("github", "google", "corp")
OTHER_EVENTS = ("user_logged_out", "password_changed", "email_added", "email_removed", "email_changed")


def progress(label: str, done: int, total: int) -> None:
    if sys.stderr.isatty() or done >= total:
        done = min(done, total)
        bar = "█" * (WIDTH * done // total)
        end = "" if done < total else "\n"
        print(f"\r{label} {bar:░<{WIDTH}} {done:,} of {total:,}", end=end, file=sys.stderr, flush=True)


class Expected:
    """The expected counts, computed from the simulated events."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self.by_day: Counter[tuple[str, str]] = Counter()
        self.refused: Counter[str] = Counter()
        self.limited: Counter[str] = Counter()
        self.passwords = 0
        self.people: dict[str, dict[str, set[int]]] = {
            grain: defaultdict(set) for grain in ("day", "week", "month")
        }
        self.cohorts: defaultdict[tuple[str, int], set[int]] = defaultdict(set)
        self.signup: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.social: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.durations: Counter[int | None] = Counter()
        self.weeks: Counter[str] = Counter()


class Year:
    """Users sign up, confirm, log in, mistype passwords, and use social login."""

    def __init__(self, users: int, events: int, seed: int) -> None:
        self.chance = random.Random(seed)
        self.expected = Expected()
        self.users, self.events = users, events
        self.joined: list[int] = []
        self.method: list[str] = []
        self.ready: list[int] = []
        self.waiting: defaultdict[int, list[tuple[int, int, str]]] = defaultdict(list)

    def day(self, day: int) -> list[tuple[int, str, str, str, str, str, int | None]]:
        """``(second, event, flow, outcome, provider, method, user)`` of a day."""
        chance, made = self.chance, list[Any]()
        for _ in range(self.users // DAYS + (day < self.users % DAYS)):
            made.extend(self._signup(day))
        for second, user, event in self.waiting.pop(day, ()):
            made.extend(self._arrive(day, second, user, event))
        while len(made) < self.events // DAYS + (day < self.events % DAYS) and self.ready:
            kind, second = chance.random(), chance.randrange(86400)
            # Younger accounts are active more often.
            user = self.ready[-1 - int(len(self.ready) * chance.random() ** 2)]
            if kind < 0.12:
                limited = kind < 0.02
                outcome = "rate_limited" if limited else "invalid_credentials"
                self._count(day, "flow_refused")
                self.expected.refused["login"] += 1
                self.expected.limited["login"] += limited
                made.append((second, "flow_refused", "login", outcome, "", "", None))
            elif kind < 0.25:
                made.append(self._done(day, second, chance.choice(OTHER_EVENTS), user))
            elif self.method[user] == "password":
                made.append(self._login(day, second, user, "password", ""))
            else:
                made.extend(self._social(day, second, user))
        return made

    def _signup(self, day: int) -> Iterator[Any]:
        chance, user = self.chance, len(self.joined)
        method = "socialaccount" if chance.random() < 0.2 else "password"
        second = chance.randrange(80000)
        self.joined.append(day)
        self.method.append(method)
        funnel = self.expected.signup[method]
        funnel["signed_up"] += 1
        self.expected.weeks[_week(day)] += 1
        if method == "socialaccount":
            provider = PROVIDERS[user % 3]
            yield from self._at_provider(day, second, provider, None)
            self.expected.social[provider]["new"] += 1
            yield self._done(day, second, "user_signed_up", user, provider=provider, method=method)
            funnel["logged_in"] += 1
            self.ready.append(user)
            yield self._login(day, second, user, method, provider)
            return
        yield self._done(day, second, "user_signed_up", user, method=method)
        funnel["sent"] += 1
        yield self._done(day, second, "email_confirmation_sent", user, flow="signup")
        if chance.random() < 0.8:
            # Half within about six minutes, few after days, none after 20 days.
            lasted = min(int(chance.lognormvariate(6, 2.5)), 20 * 86400)
            then, at = divmod(day * 86400 + second + lasted, 86400)
            if then < DAYS:
                funnel["confirmed"] += 1
                funnel["logged_in"] += 1
                place = bisect.bisect_left(CLASSES, lasted)
                self.expected.durations[CLASSES[place] if place < len(CLASSES) else None] += 1
                if then == day:
                    yield from self._arrive(day, at, user, "email_confirmed")
                else:
                    self.waiting[then].append((at, user, "email_confirmed"))

    def _arrive(self, day: int, second: int, user: int, event: str) -> Iterator[Any]:
        self.ready.append(user)
        yield self._done(day, second, event, user)
        yield self._login(day, second, user, "email_confirmation", "")

    def _social(self, day: int, second: int, user: int) -> Iterator[Any]:
        provider = PROVIDERS[user % 3]
        if self.chance.random() < 0.1:  # The user does not return from the provider.
            self.expected.social[provider]["begun"] += 1
            self._count(day, "social_login_begun")
            yield second, "social_login_begun", "login", "success", provider, "", None
            return
        yield from self._at_provider(day, second, provider, user)
        yield self._login(day, second, user, "socialaccount", provider)

    def _at_provider(self, day: int, second: int, provider: str, user: int | None) -> Iterator[Any]:
        self.expected.social[provider]["begun"] += 1
        self.expected.social[provider]["came_back"] += 1
        self._count(day, "social_login_begun")
        yield second, "social_login_begun", "login", "success", provider, "", None
        yield self._done(day, second, "pre_social_login", user, flow="login", provider=provider)

    def _login(self, day: int, second: int, user: int, method: str, provider: str) -> Any:
        self.expected.passwords += method == "password"
        return self._done(day, second, "user_logged_in", user, provider=provider, method=method)

    def _done(
        self,
        day: int,
        second: int,
        event: str,
        user: int | None,
        *,
        flow: str = "",
        provider: str = "",
        method: str = "",
    ) -> Any:
        self._count(day, event)
        if user is not None:
            self.expected.people["day"][_iso(day)].add(user)
            self.expected.people["week"][_week(day)].add(user)
            self.expected.people["month"][_iso(day)[:7]].add(user)
            if event in ("user_logged_in", "user_signed_up"):
                cohort, week = _week(self.joined[user]), _week(day)
                weeks = (date.fromisoformat(week) - date.fromisoformat(cohort)).days // 7
                self.expected.cohorts[cohort, weeks].add(user)
        return second, event, flow, "success", provider, method, user

    def _count(self, day: int, event: str) -> None:
        self.expected.events[event] += 1
        self.expected.by_day[_iso(day), event] += 1


DATES = [FIRST + timedelta(days=number) for number in range(DAYS)]
ISO = [each.isoformat() for each in DATES]
WEEKS = [(each - timedelta(days=each.weekday())).isoformat() for each in DATES]


def _iso(day: int) -> str:
    return ISO[day]


def _week(day: int) -> str:
    return WEEKS[day]


def load(host: Any, settings: AnalyticsSettings, year: Year, seconds: Counter[str]) -> int:
    """Store the events of each day as the plugin does, and run the roll-up at its end."""
    statement, stored = insert(event_table), 0
    zero = int(datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC).timestamp())
    monday = {iso: _number(iso) for iso in set(WEEKS)}
    known: dict[int, tuple[int, int]] = {}
    for day in range(DAYS):
        today = DATES[day]
        month = _number(today.replace(day=1).isoformat())
        if today.day == 1:
            known.clear()
        rows: list[dict[str, Any]] = []
        for second, event, flow, outcome, provider, method, user in year.day(day):
            person = before = cohort = None
            if user is not None:
                if user not in known:
                    known[user] = pseudonym_pair(host.keyed_hashes, month, UUID(int=user))
                person, before = known[user]
                if event in ("user_logged_in", "user_signed_up"):
                    cohort = monday[_week(year.joined[user])]
            hour, rest = divmod(zero + day * 86400 + second, 3600)
            rows.append(
                {
                    "hour": hour,
                    "second": rest if event in EXACT_SECOND_EVENTS else 0,
                    "event": event,
                    "flow": flow,
                    "outcome": outcome,
                    "provider": provider,
                    "method": method,
                    "person": person,
                    "person_before": before,
                    "cohort": cohort,
                }
            )
        begun = time.perf_counter()
        for start in range(0, len(rows), CHUNK):
            with host.engine.begin() as connection:
                connection.execute(statement, rows[start : start + CHUNK])
        written = time.perf_counter()
        host.now = datetime(today.year, today.month, today.day, tzinfo=UTC) + timedelta(days=1)
        for _ in roll_up(host, settings):
            pass
        seconds["write"] += written - begun  # type: ignore[assignment]
        seconds["roll up"] += time.perf_counter() - written  # type: ignore[assignment]
        stored += len(rows)
        progress("events", stored, year.events)
    return stored


def _number(iso: str) -> int:
    return (date.fromisoformat(iso) - date(1970, 1, 1)).days


def check(found: dict[str, Any], expected: Expected) -> tuple[list[str], list[tuple[str, int, float]]]:
    """Return the wrong counts, and the largest deviation of each kind of estimated count."""
    wrong: list[str] = []

    def same(what: str, seen: Any, wanted: Any) -> None:
        if seen != wanted:
            wrong.append(f"{what}: {str(seen)[:300]} instead of {str(wanted)[:300]}")

    same("events", {each["event"]: each["total"] for each in found["events"]}, dict(expected.events))
    by_day = {
        (day, each["event"]): count
        for each in found["events"]
        for day, count in zip(found["periods"], each["counts"], strict=True)
        if count
    }
    same("events by day", by_day, dict(expected.by_day))
    signup = {
        method: {step: counts[step] for step in ("signed_up", "sent", "confirmed", "logged_in")}
        for method, counts in expected.signup.items()
    }
    same("signup", found["signup"], signup)
    social = {
        provider: {step: counts[step] for step in ("begun", "came_back", "new")}
        for provider, counts in expected.social.items()
    }
    same("social", found["social"], social)
    limits = {each["within_seconds"]: each["count"] for each in found["time_to_confirm"]}
    same("time to confirm", {key: count for key, count in limits.items() if count}, dict(expected.durations))
    rate = next(each for each in found["rates"] if each["flow"] == "login")
    login = expected.passwords, expected.refused["login"], expected.limited["login"]
    same("refusals", (rate["succeeded"], rate["refused"], rate["rate_limited"]), login)
    deviations: list[tuple[str, int, float]] = []

    def near(what: str, pairs: list[tuple[int, int]], error: float) -> None:
        largest = max((abs(seen - real) / real for seen, real in pairs if real), default=0.0)
        deviations.append((what, len(pairs), largest))
        if largest > MAX_STANDARD_ERRORS * error:
            wrong.append(f"{what}: deviates by {largest:.2%}")

    for grain, sets in expected.people.items():
        seen = found["people"][grain]
        keys = {key if grain != "month" else key + "-01": len(people) for key, people in sets.items()}
        same(f"the {grain}s with users", sorted(key for key in seen if seen[key]), sorted(keys))
        near(f"unique users by {grain}", [(seen[key], count) for key, count in keys.items()], STANDARD_ERROR)
    came = {
        (each["week"], number): count
        for each in found["cohorts"]
        for number, count in enumerate(each["came"])
    }
    same("cohorts", {each["week"]: each["signed_up"] for each in found["cohorts"]}, dict(expected.weeks))
    pairs = [(count, len(expected.cohorts.get(key, ()))) for key, count in came.items()]
    near("cohorts", pairs, COHORT_STANDARD_ERROR)
    return wrong, deviations


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = action()
    return time.perf_counter() - started, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--database", required=True, help="the plugin's tables in this database are dropped")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    engine = make_engine(options.database)
    create_sqlite_file(engine.url)
    metadata.drop_all(engine)
    metadata.create_all(engine)
    key = b"benchmark" * 4
    host = SimpleNamespace(
        engine=engine,
        reader=engine,
        now=datetime(FIRST.year, 1, 1, tzinfo=UTC),
        keyed_hashes=lambda value: (hmac.digest(key, value.encode(), hashlib.sha256).hex(),),
    )
    host.new_id = Identifiers(lambda: host.now).new
    settings = AnalyticsSettings()
    year, seconds = Year(options.users, options.events, options.seed), Counter[str]()
    stored = load(host, settings, year, seconds)
    rows: list[tuple[str, float, str]] = [
        ("write", float(seconds["write"]), f"{stored:,} events"),
        ("roll up", float(seconds["roll up"]), "day by day"),
    ]
    last = DATES[-1]
    took, found = timed(lambda: as_document(read_report(host, Span(FIRST, last))))
    rows.append(("report of the year, by day", took, ""))
    for label, span, by in (
        ("report of the year, by week and provider", Span(FIRST, last, "week"), ("provider",)),
        ("report of the last month, by hour", Span(last - timedelta(days=29), last, "hour"), ("event",)),
        ("report of the last week, by day", Span(last - timedelta(days=6), last), ("event",)),
    ):
        took, _ = timed(lambda span=span, by=by: read_report(host, span, by))
        rows.append((label, took, ""))
    wrong, deviations = check(found, year.expected)
    engine.dispose()
    if options.json:
        print(json.dumps({"steps": rows, "off": deviations, "wrong": wrong, "events": stored}))
    else:
        print(
            f"\n{engine.dialect.name}, {options.users:,} users, {stored:,} events, {os.cpu_count()} cores\n"
        )
        print("| step | seconds | |\n| --- | --- | --- |")
        for label, took, note in rows:
            print(f"| {label} | {took:.3f} | {note} |")
        print("\n| unique users | numbers | largest deviation |\n| --- | --- | --- |")
        for label, count, largest in deviations:
            print(f"| {label} | {count:,} | {largest:.2%} |")
        print("\nall counts are correct" if not wrong else "\n" + "\n".join(wrong))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
