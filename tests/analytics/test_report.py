"""The report in a terminal, and as a page."""

from __future__ import annotations

import re
from datetime import date

import html5lib
import pytest
from authhost_analytics.page import render_page
from authhost_analytics.queries import read_report
from authhost_analytics.spans import Span
from authhost_analytics.terminal import BARS, percentage, render, sparkline
from hypothesis import given, strategies as st
from rich.console import Console

from analytics.support import at, document, login, row, run_roll_up, settings_of, signup, store

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


def made(host, grain="day", by=("event",), smallest=None):
    span = Span(date(2026, 1, 1), date(2026, 2, 10), grain)
    smallest = settings_of(host).smallest_count if smallest is None else smallest
    return render_page(
        read_report(host, span, by), site_name=host.settings.site_name, made_at=host.now, smallest=smallest
    )


def terminal(host, since="2026-01-01", until="2026-02-10", grain="day", by=("event",)):
    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(
        render(read_report(host, Span(date.fromisoformat(since), date.fromisoformat(until), grain), by))
    )
    return console.export_text()


@given(st.lists(st.integers(0, 10**9), max_size=500))
def test_a_sparkline_is_short_and_its_highest_is_full(counts):
    line = sparkline(counts)
    assert len(line) <= 40
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
    assert "There are no events." in made(host, smallest=1)


def tree(text):
    """Parse a page as a browser does; a syntax error raises."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)


@pytest.mark.parametrize("grain", ["hour", "day", "week", "month"])
@pytest.mark.parametrize("by", [("event",), ("provider", "outcome")])
def test_the_page_is_html(busy, grain, by):
    found = tree(made(busy, grain, by))
    assert found.find(".//h1").text == "Teapots & Sons: authentication report"
    assert len(found.findall(".//figure")) == 7


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
    assert set(re.findall(r"https?://[^\"'<> ]*", text)) == {SVG}
    assert "@import" not in text
    assert "url(" not in text.replace("url(#", "")


def test_each_chart_has_its_numbers_beside_it(busy):
    found = tree(made(busy, smallest=1))
    for grain, day, number in (
        ("day", "2026-02-03", "40"),
        ("week", "2026-02-02", "40"),
        ("month", "2026-01", "40"),
    ):
        [table] = [
            each
            for each in found.iter("table")
            if [head.text for head in each.iter("th")][:2] == [grain, "users"]
        ]
        assert [day, number] in [[cell.text for cell in line] for line in table.iter("tr")]
    shown = {"day": False, "week": True, "month": True}
    assert [("open" in each.attrib) for each in found.iter("details")][1:4] == list(shown.values())
    text = [[cell.text for cell in line] for line in found.iter("tr")]
    assert ["within", "users"] in text
    assert ["15 min", "20"] in text


def test_a_flow_without_a_success_signal_has_no_share(busy):
    store(
        busy,
        *[row(busy, "2026-02-10", "flow_refused", flow="reauthenticate", outcome="invalid_credentials")] * 7,
    )
    run_roll_up(busy)
    assert re.search(r"reauthenticate +│ +- +│ +7 +│ +- +│ +- ", terminal(busy))
    [rate] = [each for each in document(busy)["rates"] if each["flow"] == "reauthenticate"]
    assert (rate["succeeded"], rate["refused"], rate["share"]) == (None, 7, None)
    assert "<td>reauthenticate</td><td>-</td><td>5</td><td></td><td></td>" in made(busy)


def test_a_chart_has_tooltips_with_the_values(busy):
    shown = {each.text for each in tree(made(busy, "month")).iter(f"{{{SVG}}}title")}
    assert {"2026-01: 40", "2026-02: 40", "15 min: 20"} <= shown


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
    assert "There are no counts of 1000 or more." in made(busy, smallest=1000)
    assert "There are no" not in made(busy, smallest=40)
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
