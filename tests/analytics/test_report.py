"""The report in a terminal, and as a page."""

from __future__ import annotations

import re
from contextlib import redirect_stdout
from datetime import date, timedelta
from io import BytesIO, StringIO, TextIOWrapper

import html5lib
import pytest
from authhost_analytics.comparison import read_comparison
from authhost_analytics.languages import LANGUAGES, language
from authhost_analytics.page import render_page
from authhost_analytics.queries import read_report
from authhost_analytics.spans import Span
from authhost_analytics.terminal import ASCII_BARS, BARS, percentage, print_report, sparkline
from hypothesis import given, strategies as st

from analytics.support import at, document, login, row, run_roll_up, settings_of, signup, store
from authhost.testing import CommandContext

SVG = "http://www.w3.org/2000/svg"
XLINK = "{http://www.w3.org/1999/xlink}href"
NASTY = "<script>alert(1)</script>&\"'[bold]"


@pytest.fixture
def busy(make, clock):
    """A host with events of each kind."""
    host = make(site_name="Teapots & Sons")
    clock.now = at("2026-02-11")
    rows = []
    for who in range(40):
        day = f"2026-01-{1 + who % 28:02}"
        rows += [
            signup(host, f"{day} 10:00", who),
            row(host, f"{day} 10:00", "email_confirmation_sent", who, flow="signup"),
            row(host, f"{day} 10:{who % 20 + 1:02}", "email_confirmed", who),
            login(host, f"{day} 10:{who % 20 + 1:02}", who, day, method="email_confirmation"),
            login(host, "2026-02-03 09:00", who, day),
            row(host, "2026-02-03 09:00", "social_login_begun", flow="login", provider="corp"),
            row(host, "2026-02-03 09:01", "flow_refused", flow="login", outcome="rate_limited"),
        ]
    store(host, *rows)
    run_roll_up(host, everything=True)
    return host


def made(host, grain="day", by=("event",), smallest=None, language_tag="en"):
    span = Span(date(2026, 1, 1), date(2026, 2, 10), grain)
    smallest = settings_of(host).smallest_count if smallest is None else smallest
    return render_page(
        read_report(host, span, by),
        site_name=host.settings.site_name,
        made_at=host.now,
        smallest=smallest,
        language_tag=language_tag,
        comparison=read_comparison(host, span),
    )


def terminal(host, since="2026-01-01", until="2026-02-10", grain="day", by=("event",)):
    """Return the tables as a command prints them into a pipe."""
    span = Span(date.fromisoformat(since), date.fromisoformat(until), grain)
    with redirect_stdout(StringIO()) as printed:
        print_report(CommandContext(host).console, read_report(host, span, by))
    return printed.getvalue()


@given(st.lists(st.integers(0, 10**9), max_size=500))
def test_a_sparkline_is_short_and_its_highest_is_full(counts):
    line = sparkline(counts)
    assert len(line) <= 28
    assert set(line) <= set(BARS)
    assert bool(line) == bool(counts)
    if any(counts):
        assert BARS[-1] in line


def test_the_last_bar_of_a_sparkline_is_an_average_too():
    assert set(sparkline([7] * 92)) == {BARS[-1]}


def test_a_percentage():
    assert [percentage(1, 3), percentage(0, 3), percentage(3, 0), percentage(101, 100)] == [
        "33%",
        "0%",
        "-",
        "100%",
    ]


def test_a_terminal_shows_every_table(busy):
    text = terminal(busy)
    for title in ("events", "unique users", "signup", "social login", "time to confirm", "retention"):
        assert title in text
    assert re.search(r"user_signed_up +│ +40 ", text)
    assert re.search(r"login +│ +40 +│ +40 +│ +50\.0% +│ +50\.0%", text)
    assert any(bar in text for bar in BARS[1:])


def test_a_terminal_shows_labels_as_they_are(busy):
    store(busy, row(busy, "2026-02-10 10:00", "pre_social_login", provider="[red]x"))
    run_roll_up(busy)
    assert "[red]x" in terminal(busy, by=("provider", "event"))


def test_a_report_without_events(host):
    assert "no events" in terminal(host)
    tree(made(host))
    assert "Nothing happened in this period." in made(host, smallest=1)


def tree(text):
    """Parse a page as a browser does; a syntax error raises."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)


@pytest.mark.parametrize("grain", ["hour", "day", "week", "month"])
@pytest.mark.parametrize("by", [("event",), ("provider", "outcome")])
def test_the_page_is_html(busy, grain, by):
    found = tree(made(busy, grain, by))
    assert found.find(".//h1").text == "Teapots & Sons: accounts and logins"
    assert len(found.findall(".//figure")) == 5


def test_the_page_loads_no_other_file(busy):
    text, loading = made(busy), {"script", "link", "iframe", "img", "object", "embed", "base"}
    for element in tree(text).iter():
        assert str(element.tag).rpartition("}")[2] not in loading
        for name, value in element.attrib.items():
            if name in ("href", "src", "action", "data", XLINK):
                assert value.startswith("#")
            assert not name.startswith("on")
            if value != SVG:
                assert "//" not in value
    assert set(re.findall(r"https?://[^\"'<> ]*", text)) == set()
    assert "@import" not in text
    assert "url(" not in text.replace("url(#", "")


def test_each_chart_has_its_numbers_beside_it(busy):
    found = tree(made(busy, smallest=1))
    for grain, day, number in (
        ("By day", "Feb 3, 2026", "40"),
        ("By week", "Feb 2, 2026", "40"),
        ("By month", "Jan 2026", "40"),
    ):
        [table] = [
            each.find(".//table")
            for each in found.iter("details")
            if each.find("summary").text == f"Numbers: {grain}"
            and [head.text for head in each.iter("th")][1] == "Users"
        ]
        assert [day, number] in [[cell.text for cell in line] for line in table.iter("tr")]
    shown = {"day": False, "week": True, "month": True}
    assert [("open" in each.attrib) for each in found.iter("details")][1:4] == list(shown.values())


def test_a_flow_without_a_success_signal_has_no_share(busy):
    store(
        busy,
        *[row(busy, "2026-02-10", "flow_refused", flow="reauthenticate", outcome="invalid_credentials")] * 7,
    )
    run_roll_up(busy)
    assert re.search(r"reauthenticate +│ +- +│ +7 +│ +- +│ +- ", terminal(busy))
    [rate] = [each for each in document(busy)["rates"] if each["flow"] == "reauthenticate"]
    assert (rate["succeeded"], rate["refused"], rate["share"]) == (None, 7, None)
    assert re.search(
        r"Confirm one&#39;s identity</th><td[^>]*>–</td><td[^>]*>5</td><td[^>]*></td>", made(busy)
    )


def test_a_chart_has_tooltips_with_the_values(busy):
    shown = {each.text for each in tree(made(busy, "month")).iter(f"{{{SVG}}}title")}
    assert {"Jan 2026: 40", "Feb 2026: 40"} <= shown


def test_the_page_escapes(make, clock):
    host = make(site_name=NASTY, analytics={"smallest_count": 1})
    clock.now = at("2026-02-11")
    store(host, row(host, "2026-02-10 10:00", "pre_social_login", provider=NASTY))
    run_roll_up(host)
    text = made(host, by=("provider",))
    assert "<script" not in text
    assert any(NASTY in (element.text or "") for element in tree(text).iter("td"))


def test_a_page_without_counts_to_show_says_so(busy):
    text = made(busy, smallest=50)
    tree(text)
    assert "There are no numbers of 1,000 or more in this period." in made(busy, smallest=1000)
    assert "There are no numbers" not in made(busy, smallest=40)
    assert re.search(r">40<", made(busy, smallest=1))


def test_labels_of_periods(busy):
    assert [Span(date(2026, 1, 31), date(2026, 2, 1), "month").label(start) for start in (20454, 20485)] == [
        "2026-01",
        "2026-02",
    ]
    hours = Span(date(2026, 1, 1), date(2026, 1, 1), "hour")
    assert len(hours.starts) == 24
    assert hours.label(hours.starts[-1]) == "2026-01-01 23:00"
    assert Span(date(2026, 1, 1), date(2026, 1, 12), "week").starts == [20451, 20458, 20465]


def sections(text):
    """Return the text of a page by its headings."""
    parts = re.split(
        r"<h2>(.*?)</h2>", re.sub(r"<style>.*?</style>|<title>.*?</title>", "", text, flags=re.S)
    )
    plain = [re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", each)).strip() for each in parts]
    return dict(zip(plain[1::2], plain[2::2], strict=True))


def test_the_times_to_confirm_are_cumulative(busy):
    text = sections(made(busy, smallest=1))["How long it takes to confirm the address"]
    assert "Half of those who confirm do it within 15 minutes." in text
    assert "Within 5 minutes 10 (25%) Within 15 minutes 30 (75%) Within 1 hour 40 (100%)" in text
    assert re.search(r"5 min *│ +10 │ +25% │.*\n│ 15 min *│ +30 │ +75% │", terminal(busy))


def test_a_funnel_shows_the_conversion_from_step_to_step(make, clock):
    host = make()
    clock.now = at("2026-02-11")
    for who in range(40):
        store(host, signup(host, "2026-01-10 10:00", who))
        if who < 30:
            store(host, row(host, "2026-01-10 10:00", "email_confirmation_sent", who, flow="signup"))
        if who < 15:
            store(host, row(host, "2026-01-10 11:00", "email_confirmed", who))
        if who < 2:
            store(host, login(host, "2026-01-10 12:00", who, "2026-01-10"))
    run_roll_up(host, everything=True)
    text = made(host)
    assert (
        "Created an account 40 ↓ 75% of the step before Confirmation sent 30 "
        "↓ 50% of the step before Confirmed the address 15 ↓ Logged in &lt; 5"
    ) in sections(text)["From the new account to the first login"]
    widths = re.findall(r'class="bar (\w+)"(?: style="width:([\d.]+)%")?', text.partition("How long")[0])
    assert widths == [("complete", "100.0"), ("complete", "75.0"), ("complete", "37.5"), ("unknown", "")]


def test_signups_through_a_provider_have_no_missing_bars(make, clock):
    host = make()
    clock.now = at("2026-02-11")
    for who in range(10):
        labels = {"method": "socialaccount", "provider": "corp"}
        store(
            host,
            row(host, "2026-01-10", "user_signed_up", who, "2026-01-10", **labels),
            row(host, "2026-01-10", "user_logged_in", who, "2026-01-10", **labels),
        )
    run_roll_up(host, everything=True)
    text = sections(made(host))["From the new account to the first login"]
    assert "Created an account 10 ↓ 100% of the step before Logged in 10 Without a confirmation" in text


def test_a_suppressed_count_is_drawn_as_unknown_and_not_as_zero(busy):
    text = made(busy)
    charts = text.partition("<h2>Active users</h2>")[0].split('<div class="chart">')
    [signups] = [each for each in charts if each.startswith("<h3><span>New accounts</span>")]
    assert "<path" not in signups
    assert '<i class="unknown" style="left:0.0%;width:100.0%"></i>' in signups
    assert "Fewer than 5: not shown" in text
    assert "Fewer than" not in made(busy, smallest=1)
    assert '<i class="unknown"' not in made(busy, smallest=1)


def test_it_says_that_only_the_most_frequent_are_drawn(busy):
    assert "are drawn" not in made(busy)
    store(busy, *[row(busy, "2026-02-09", "password_set", 1)] * 5)
    run_roll_up(busy)
    text = made(busy)
    assert "The 6 most frequent of 7 are drawn. The table shows all." in text
    assert sections(text)["What happened"].count("First passwords set") == 1


def test_plain_labels_and_no_names_of_hooks(busy):
    text = re.sub(r"<style>.*?</style>", "", made(busy), flags=re.S)
    assert not re.search(r"user_|flow_|social_|socialaccount|email_conf", text)


def test_many_cohorts_are_summarised_by_a_line(make, clock):
    host = make(analytics={"keep_days": 60})
    clock.now = at("2026-06-01")
    for week in range(20):
        monday = date(2026, 1, 5) + timedelta(weeks=week)
        for who in range(20):
            number = week * 20 + who
            store(host, signup(host, f"{monday} 10:00", number))
            if who < 10:
                store(host, login(host, f"{monday + timedelta(days=7)} 10:00", number, str(monday)))
    run_roll_up(host, everything=True)
    clock.now = at("2026-06-02")
    span = Span(date(2026, 4, 6), date(2026, 5, 31), "week")
    text = render_page(read_report(host, span), site_name="Site", made_at=host.now, smallest=5)
    assert "On average, 50% come back in the week after the new account." in sections(text)["Who comes back"]


@pytest.mark.parametrize("tag", LANGUAGES)
def test_the_page_in_each_language(busy, tag):
    text = made(busy, language_tag=tag)
    found = tree(text)
    assert found.find(".").attrib == {"lang": tag, "dir": "rtl" if tag == "ar" else "ltr"}
    assert language(tag).gettext("At a glance") in text
    assert tag == "en" or "At a glance" not in text


def test_a_terminal_of_another_encoding(busy, monkeypatch):
    output = TextIOWrapper(BytesIO(), encoding="latin-1")
    monkeypatch.setattr("sys.stdout", output)
    print_report(CommandContext(busy).console, read_report(busy, Span(date(2026, 1, 1), date(2026, 2, 10))))
    output.flush()
    assert any(bar * 2 in output.buffer.getvalue().decode("latin-1") for bar in ASCII_BARS)


def test_the_tables_fit_80_columns(busy, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = terminal(busy).splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("│ user_logged_in ") for line in lines)
