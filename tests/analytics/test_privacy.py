"""Nothing of a person is in a table or in what leaves the host."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from authhost_analytics.discretion import discreet, rounded
from authhost_analytics.exporting import as_csv, as_json, registry, rows
from authhost_analytics.figures import as_document
from authhost_analytics.page import page
from authhost_analytics.periods import day_of, month_of
from authhost_analytics.persons import pseudonym
from authhost_analytics.reading import figures
from authhost_analytics.spans import Span
from authhost_analytics.tables import metadata
from authhost_hookspecs import hookimpl
from conftest import OTHER_PASSWORD, PASSWORD
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest
from sqlalchemy import select

from analytics.door import ANN, BOB, at, login, rolled, row, settings_of, signup, store, stored, user
from authhost.errors import AuthError


def everything(host):
    """All that is in the plugin's tables, as text."""
    with host.reader.connect() as connection:
        for table in metadata.sorted_tables:
            for each in connection.execute(select(table)):
                yield from (
                    value.decode("latin-1") if isinstance(value, bytes) else str(value) for value in each
                )


def exports(host, grain="day"):
    """All that leaves the host, as text."""
    span = Span(host.now.date() - timedelta(days=3), host.now.date(), grain)
    found = figures(host, span, ("event", "provider", "outcome", "method", "flow"))
    settings = settings_of(host)
    yield page(found, site_name="Site", made_at=host.now, smallest=settings.smallest_count)
    yield str(as_document(found))
    yield generate_latest(registry(host, settings)).decode()
    for line in rows(host, settings, span):
        yield as_json(line)
        yield as_csv(line)


def test_a_life_of_flows_leaves_no_trace_of_who(make, run, recorder, clock):
    host = make(analytics={"smallest_count": 1})
    secrets = {ANN, BOB, "ann", "bob", "203.0.113.9", "Firefox", PASSWORD, OTHER_PASSWORD}
    with host.request(ip_address="203.0.113.9", user_agent="Firefox") as request:
        result = host.account.signup(request, email=ANN, password=PASSWORD)
    token, identifier = result.session_token, result.user.id
    run(host, "confirm_email", token, key=recorder.key())
    run(host, "add_email", token, email=BOB)
    run(host, "confirm_email", token, key=recorder.key())
    run(host, "make_primary", token, email=BOB)
    run(host, "remove_email", token, email=ANN)
    token = run(
        host, "change_password", token, current_password=PASSWORD, new_password=OTHER_PASSWORD
    ).session_token
    for typed in (ANN, BOB, "203.0.113.9", PASSWORD):
        with pytest.raises(AuthError):
            run(host, "login", identifier=typed, password="wrong")
    run(host, "request_password_reset", email=BOB)
    secrets |= {message.key for message in recorder.messages if message.key}
    run(host, "logout", token)
    secrets |= {str(identifier), identifier.hex, str(identifier.int), token}
    rolled(host)
    assert found_in(host, secrets) == []


def found_in(host, secrets):
    """Which of them, as words, are in a table or leave the host."""
    texts = [*everything(host), *exports(host), *exports(host, "hour")]
    assert len(texts) > 50
    words = re.compile("|".join(rf"\b{re.escape(each)}\b" for each in secrets))
    return [match[0] for text in texts if (match := words.search(text))]


def test_a_social_login_leaves_no_trace_of_who(make, openid, arrive, clock):
    clock.now = datetime.now(UTC)
    corp = {"server": openid.url, "client_id": "site", "client_secret": "of-the-site", "trust_emails": True}
    host = make(analytics={"smallest_count": 1}, providers={"corp": {"provider": "openid_connect", **corp}})
    person = openid.person("uid-of-zoe", email="zoe@example.org", email_verified=True, name="Zoe Zebra")
    result = arrive(host, "corp", lambda url: openid.agree(url, person))
    arrive(host, "corp", lambda url: openid.agree(url, person))
    with pytest.raises(AuthError):
        arrive(host, "corp", openid.deny)
    rolled(host)
    assert {each.event for each in stored(host)} >= {
        "social_login_begun",
        "pre_social_login",
        "user_signed_up",
        "social_account_updated",
        "flow_refused",
    }
    assert {each.provider for each in stored(host)} <= {"corp", ""}
    secrets = {"uid-of-zoe", "zoe@example.org", "zoe", "Zoe", "Zebra", openid.url, "of-the-site"}
    secrets |= {str(result.account.user_id), result.account.user_id.hex}
    assert found_in(host, secrets) == []


def test_nobody_comes_at_a_pseudonym_by_what_is_typed(make, run):
    """What is typed at a login is hashed under the secret key, and the audit trail stores that."""
    typed_hashes = []

    class Trail:
        @hookimpl
        def flow_refused(self, request):
            if request.identifier_digest:
                typed_hashes.append(request.identifier_digest)

    host = make({"trail": Trail()})
    ann, hashed = run(host, "signup", email=ANN, password=PASSWORD).user, []
    month = month_of(day_of(host.now))
    pseudonym(lambda value: hashed.append(value) or host.keyed_hash(value), month, ann.id)
    for typed in hashed:
        with pytest.raises(AuthError):
            run(host, "login", identifier=typed, password="wrong")
    assert typed_hashes
    guessed = {pseudonym(lambda _, known=known: known, month, ann.id) for known in typed_hashes}
    assert not guessed & {each.person for each in stored(host)}


def test_no_two_months_and_no_two_users_share_a_pseudonym(host):
    seen = set()
    for month in range(1, 13):
        for number in range(50):
            made = row(host, f"2026-{month:02}-15", "password_set", number)
            seen.add(made["person"])
    assert len(seen) == 600


@given(st.integers(0, 10_000), st.integers(1, 1000))
def test_a_number_is_rounded_or_none(count, smallest):
    shown = rounded(count, smallest)
    assert shown % smallest == 0
    if count < smallest:
        assert shown == (count if smallest == 1 else 0)
    else:
        assert shown >= smallest
        assert abs(shown - count) <= smallest / 2


@pytest.mark.parametrize("smallest", [5, 10])
def test_a_total_less_what_is_beside_it_gives_no_small_number_away(smallest):
    """Whatever the small part was, another one fits all that is shown."""
    fits, end = defaultdict(set), 20 * smallest + (smallest + 1) // 2
    for small, large in product(range(smallest), range(smallest, end)):
        fits[rounded(large, smallest), rounded(small + large, smallest)].add(small)
    assert all(len(each) > 1 for each in fits.values())


def test_what_leaves_is_made_of_multiples(make, clock):
    host = make()
    clock.now = at("2026-01-12")
    for who in range(23):
        store(host, signup(host, "2026-01-05 10:00", who), login(host, "2026-01-05", who, "2026-01-05"))
    store(host, row(host, "2026-01-06 10:00", "password_set", 3))
    store(host, *(row(host, "2026-01-07", "password_changed", who) for who in range(4)))
    store(host, *(row(host, f"2026-01-0{day}", "user_logged_out", 1) for day in range(1, 8)))
    refused = row(host, "2026-01-08", "flow_refused", flow="login", outcome="invalid_credentials")
    store(host, *[refused] * 3)
    rolled(host)
    span = Span(at("2026-01-01").date(), at("2026-01-12").date())
    found = discreet(figures(host, span), 5)
    counts = {line.labels["event"]: (line.total, max(line.counts)) for line in found.events}
    assert counts == {"user_signed_up": (25, 25), "user_logged_in": (25, 25), "user_logged_out": (5, 0)}
    assert {count for each in found.people.values() for count in each.values()} == {0, 25}
    assert found.rates[0].refused == 0
    assert all(count % 5 == 0 for count in found.cohorts[0].came)
    text = generate_latest(registry(host, settings_of(host))).decode()
    assert "password_" not in text
    assert all(int(float(line.rpartition(" ")[2])) % 5 == 0 for line in text.splitlines() if line[0] != "#")
    assert {each["count"] % 5 for each in rows(host, settings_of(host), span)} == {0}
    shown = page(figures(host, span), site_name="Site", made_at=host.now, smallest=5)
    values = re.findall(r"<title>[^<]+: ([\d,]+)</title>", shown)
    assert values
    assert {int(each.replace(",", "")) % 5 for each in values} == {0}
    assert "password_set" not in shown
    assert "23" not in re.sub(r"<svg.*?</svg>|<style>.*?</style>", "", shown, flags=re.DOTALL)


def test_what_is_shown_alike_stands_by_its_name(make, clock):
    host = make()
    clock.now = at("2026-01-12")
    often = {"user_logged_out": 12, "email_added": 8, "email_removed": 11}
    for event, number in often.items():
        store(host, *[row(host, "2026-01-05 10:00", event, 1)] * number)
    for flow, number in {"signup": 12, "login": 8}.items():
        store(host, *[row(host, "2026-01-06", "flow_refused", flow=flow, outcome="rate_limited")] * number)
    for provider, number in {"github": 12, "corp": 8}.items():
        there = row(host, "2026-01-07", "social_login_begun", flow="login", provider=provider)
        store(host, *[there] * number)
    rolled(host)
    span = Span(at("2026-01-05").date(), at("2026-01-05").date())
    week = Span(at("2026-01-05").date(), at("2026-01-11").date())
    assert figures(host, span).events[0].labels["event"] == "user_logged_out"
    assert [line.labels["event"] for line in discreet(figures(host, span), 5).events] == sorted(often)
    assert [each["event"] for each in rows(host, settings_of(host), span)] == sorted(often)
    assert [each.flow for each in discreet(figures(host, week), 5).rates if each.refused] == [
        "login",
        "signup",
    ]
    assert [each.name for each in discreet(figures(host, week), 5).social] == ["corp", "github"]


def test_a_scrape_after_each_login_tells_nobody_apart(make, clock):
    host = make()
    clock.now = at("2026-01-02")
    seen = []
    for who in range(12):
        store(host, login(host, "2026-01-01 10:00", who, "2025-12-01"))
        rolled(host)
        text = generate_latest(registry(host, settings_of(host))).decode()
        seen.append([int(float(each)) for each in re.findall(r'event="user_logged_in".* ([\d.e+]+)', text)])
    assert seen == [[]] * 4 + [[5]] * 3 + [[10]] * 5


def test_exact_where_the_operator_wants_it(make, clock):
    host = make(analytics={"smallest_count": 1})
    clock.now = at("2026-01-02")
    store(host, signup(host, "2026-01-01", 1))
    rolled(host)
    [line] = rows(host, settings_of(host), Span(at("2026-01-01").date(), at("2026-01-01").date()))
    assert line["count"] == 1
    assert user(1).hex not in str(line)
