"""No personal data is in a table, and no user can be identified in an export."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from authhost_analytics.comparison import Value, compare, figures, read_comparison
from authhost_analytics.exporting import as_csv, as_json, registry, rows
from authhost_analytics.page import render_page
from authhost_analytics.periods import day_of, month_of
from authhost_analytics.pseudonyms import pseudonym
from authhost_analytics.queries import read_report
from authhost_analytics.report import as_document
from authhost_analytics.spans import Span
from authhost_analytics.suppression import round_count, suppress_small_counts
from authhost_analytics.tables import metadata
from authhost_hookspecs import hookimpl
from conftest import OTHER_PASSWORD, PASSWORD
from hypothesis import given, strategies as st
from prometheus_client import generate_latest
from sqlalchemy import select

from analytics.support import ANN, BOB, at, login, row, run_roll_up, settings_of, signup, store, stored, user
from authhost.errors import AuthError


def everything(host):
    """Yield all values of the plugin's tables as text."""
    with host.reader.connect() as connection:
        for table in metadata.sorted_tables:
            for each in connection.execute(select(table)):
                yield from (
                    value.decode("latin-1") if isinstance(value, bytes) else str(value) for value in each
                )


def exports(host, grain="day"):
    """Yield all exports as text."""
    span = Span(host.now.date() - timedelta(days=3), host.now.date(), grain)
    found = read_report(host, span, ("event", "provider", "outcome", "method", "flow"))
    settings = settings_of(host)
    yield render_page(
        found,
        site_name="Site",
        made_at=host.now,
        smallest=settings.smallest_count,
        comparison=read_comparison(host, span),
    )
    yield str(as_document(found))
    yield generate_latest(registry(host, settings)).decode()
    for line in rows(host, settings, span):
        yield as_json(line)
        yield as_csv(line)


def test_flows_store_and_export_no_personal_data(make, run, recorder, clock):
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
    run_roll_up(host)
    assert found_in(host, secrets) == []


def found_in(host, secrets):
    """Return which of the words occur in a table or an export."""
    texts = [*everything(host), *exports(host), *exports(host, "hour")]
    assert len(texts) > 50
    words = re.compile("|".join(rf"\b{re.escape(each)}\b" for each in secrets))
    return [match[0] for text in texts if (match := words.search(text))]


def test_a_social_login_stores_and_exports_no_personal_data(make, openid, arrive, clock):
    clock.now = datetime.now(UTC)
    corp = {"server": openid.url, "client_id": "site", "client_secret": "of-the-site", "trust_emails": True}
    host = make(analytics={"smallest_count": 1}, providers={"corp": {"provider": "openid_connect", **corp}})
    person = openid.person("uid-of-zoe", email="zoe@example.org", email_verified=True, name="Zoe Zebra")
    result = arrive(host, "corp", lambda url: openid.agree(url, person))
    arrive(host, "corp", lambda url: openid.agree(url, person))
    with pytest.raises(AuthError):
        arrive(host, "corp", openid.deny)
    run_roll_up(host)
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


def test_a_pseudonym_cannot_be_computed_from_the_hash_of_a_typed_identifier(make, run):
    """A typed identifier is hashed with the secret key too, and the audit trail stores that hash."""
    typed_hashes = []

    class Trail:
        @hookimpl
        def flow_refused(self, request):
            if request.identifier_digest:
                typed_hashes.append(request.identifier_digest)

    host = make({"trail": Trail()})
    ann, hashed = run(host, "signup", email=ANN, password=PASSWORD).user, []
    month = month_of(day_of(host.now))
    pseudonym(lambda value: hashed.append(value) or host.keyed_hashes(value), month, ann.id)
    for typed in hashed:
        with pytest.raises(AuthError):
            run(host, "login", identifier=typed, password="wrong")
    assert typed_hashes
    guessed = {pseudonym(lambda _, known=known: (known,), month, ann.id) for known in typed_hashes}
    assert not guessed & {each.person for each in stored(host)}


def test_no_two_months_and_no_two_users_share_a_pseudonym(host):
    seen = set()
    for month in range(1, 13):
        for number in range(50):
            made = row(host, f"2026-{month:02}-15", "password_set", number)
            seen.add(made["person"])
    assert len(seen) == 600


@given(st.integers(0, 10_000), st.integers(1, 1000))
def test_a_count_is_rounded_or_zero(count, smallest):
    shown = round_count(count, smallest)
    assert shown % smallest == 0
    if count < smallest:
        assert shown == (count if smallest == 1 else 0)
    else:
        assert shown >= smallest
        assert abs(shown - count) <= smallest / 2


@pytest.mark.parametrize("smallest", [5, 10])
def test_a_small_count_cannot_be_computed_from_a_total_and_the_other_count(smallest):
    """For each pair of shown counts there are at least two possible small counts."""
    fits, end = defaultdict(set), 20 * smallest + (smallest + 1) // 2
    for small, large in product(range(smallest), range(smallest, end)):
        fits[round_count(large, smallest), round_count(small + large, smallest)].add(small)
    assert all(len(each) > 1 for each in fits.values())


def test_all_exported_counts_are_multiples(make, clock):
    host = make()
    clock.now = at("2026-01-12")
    for who in range(23):
        store(host, signup(host, "2026-01-05 10:00", who), login(host, "2026-01-05", who, "2026-01-05"))
    store(host, row(host, "2026-01-06 10:00", "password_set", 3))
    store(host, *(row(host, "2026-01-07", "password_changed", who) for who in range(4)))
    store(host, *(row(host, f"2026-01-0{day}", "user_logged_out", 1) for day in range(1, 8)))
    refused = row(host, "2026-01-08", "flow_refused", flow="login", outcome="invalid_credentials")
    store(host, *[refused] * 3)
    run_roll_up(host)
    span = Span(at("2026-01-01").date(), at("2026-01-12").date())
    found = suppress_small_counts(read_report(host, span), 5)
    counts = {line.labels["event"]: (line.total, max(line.counts)) for line in found.events}
    assert counts == {"user_signed_up": (25, 25), "user_logged_in": (25, 25), "user_logged_out": (5, 0)}
    assert {count for each in found.people.values() for count in each.values()} == {0, 25}
    assert found.rates[0].refused == 0
    assert all(count % 5 == 0 for count in found.cohorts[0].active)
    text = generate_latest(registry(host, settings_of(host))).decode()
    assert "password_" not in text
    assert all(int(float(line.rpartition(" ")[2])) % 5 == 0 for line in text.splitlines() if line[0] != "#")
    assert {each["count"] % 5 for each in rows(host, settings_of(host), span)} == {0}
    shown = render_page(read_report(host, span), site_name="Site", made_at=host.now, smallest=5)
    values = re.findall(r"<title>[^<]+: ([\d,]+)</title>", shown)
    assert values
    assert {int(each.replace(",", "")) % 5 for each in values} == {0}
    assert "First passwords set" not in shown
    assert "Passwords changed" not in shown
    drawing = r"<svg.*?</svg>|<style>.*?</style>|style=\"[^\"]*\""
    assert "23" not in re.sub(drawing, "", shown, flags=re.DOTALL)


def test_equal_rounded_counts_are_sorted_by_name(make, clock):
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
    run_roll_up(host)
    span = Span(at("2026-01-05").date(), at("2026-01-05").date())
    week = Span(at("2026-01-05").date(), at("2026-01-11").date())
    assert read_report(host, span).events[0].labels["event"] == "user_logged_out"
    assert [
        line.labels["event"] for line in suppress_small_counts(read_report(host, span), 5).events
    ] == sorted(often)
    assert [each["event"] for each in rows(host, settings_of(host), span)] == sorted(often)
    assert [
        each.flow for each in suppress_small_counts(read_report(host, week), 5).rates if each.refused
    ] == [
        "login",
        "signup",
    ]
    assert [each.name for each in suppress_small_counts(read_report(host, week), 5).social] == [
        "corp",
        "github",
    ]


def test_a_scrape_after_each_login_shows_no_single_login(make, clock):
    host = make()
    clock.now = at("2026-01-02")
    seen = []
    for who in range(12):
        store(host, login(host, "2026-01-01 10:00", who, "2025-12-01"))
        run_roll_up(host)
        text = generate_latest(registry(host, settings_of(host))).decode()
        seen.append([int(float(each)) for each in re.findall(r'event="user_logged_in".* ([\d.e+]+)', text)])
    assert seen == [[]] * 4 + [[5]] * 3 + [[10]] * 5


def test_exact_counts_if_the_operator_wants_them(make, clock):
    host = make(analytics={"smallest_count": 1})
    clock.now = at("2026-01-02")
    store(host, signup(host, "2026-01-01", 1))
    run_roll_up(host)
    [line] = rows(host, settings_of(host), Span(at("2026-01-01").date(), at("2026-01-01").date()))
    assert line["count"] == 1
    assert user(1).hex not in str(line)


@pytest.mark.parametrize("smallest", [5, 10])
def test_the_headlines_are_the_same_for_all_exact_counts_with_one_rounding(make, clock, smallest):
    """A comparison reveals no more than the two rounded counts: it is computed from them alone."""
    host = make(analytics={"keep_days": 60})
    clock.now = at("2026-03-01 12:00")
    span = Span(at("2026-02-15").date(), at("2026-03-01").date())
    seen = defaultdict(set)
    for number in range(3 * smallest):
        store(
            host,
            row(host, "2026-02-20 10:00", "user_logged_in", number, "2025-12-01", method="password"),
            row(host, "2026-02-05 10:00", "user_logged_in", number, "2025-12-01", method="password"),
        )
        run_roll_up(host, everything=True)
        found = tuple(figures(read_comparison(host, span), smallest))
        seen[round_count(number + 1, smallest)].add(found)
    assert {rounded: len(each) for rounded, each in seen.items()} == {
        0: 1,
        smallest: 1,
        2 * smallest: 1,
        3 * smallest: 1,
    }
    for rounded, [found] in seen.items():
        assert [(each.now.count, each.change) for each in found if each.label == "Logins"] == [
            (rounded or None, None)
        ]


@given(st.integers(0, 3000), st.integers(0, 3000), st.sampled_from([5, 10, 50]))
def test_a_change_is_never_shown_for_a_small_count(now, before, smallest):
    shown = [Value(round_count(count, smallest) or None) for count in (now, before)]
    figure = compare("x", *shown, smallest, more_is_better=True)
    if min(now, before) < smallest:
        assert (figure.change, figure.verdict) == (None, "unknown")
    if figure.change:
        assert (now > before) == (figure.change > 0)


@pytest.mark.parametrize("smallest", [5, 10])
def test_a_small_count_cannot_be_computed_from_the_counts_within_two_limits(smallest):
    """Every small count of the interval between the limits is one of at least two that are possible."""
    fits = defaultdict(set)
    for below, between in product(range(10 * smallest + smallest // 2), range(3 * smallest)):
        fits[round_count(below, smallest), round_count(below + between, smallest)].add(between)
    small = [each for each in fits.values() if min(each) < smallest]
    assert small
    assert all(len(each) > 1 for each in small)
