"""The report of authhost-analytics: nothing is cut, legends are complete, axe-core finds nothing."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("authhost_analytics", reason="SKIPPED: run `pip install authhost-analytics`")

from authhost_analytics.comparison import read_comparison
from authhost_analytics.page import render_page
from authhost_analytics.queries import read_report
from authhost_analytics.spans import Span
from sqlalchemy import create_engine

from browser.conftest import violations

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "analytics.py"
SIZES = [(360, 740), (768, 1024), (1280, 800), (1920, 1080)]
VARIANTS = [("en", "light"), ("ar", "dark")]
SPANS = {
    "large": Span(date(2025, 2, 1), date(2025, 12, 17), "week"),
    "small": Span(date(2025, 1, 2), date(2025, 1, 31)),
    "empty": Span(date(2024, 1, 1), date(2024, 1, 31)),
}
MEASURE = """() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const start = each => each.outerHTML.slice(0, 90);
  const box = each => each.getBoundingClientRect();
  const inside = (inner, outer) => inner.left >= outer.left - 1 && inner.right <= outer.right + 1
    && inner.top >= outer.top - 1 && inner.bottom <= outer.bottom + 1;
  const scrolls = all("*").filter(each =>
    each.scrollWidth > each.clientWidth + 1 && getComputedStyle(each).overflowX !== "visible");
  const signed = each => each.matches(".scroll[tabindex='0']")
    && getComputedStyle(each).backgroundImage.includes("gradient");
  const drawn = ".legend li, .chart h3, .plot svg, .plot .limit, .ticks span, .bar";
  const kinds = ["complete", "incomplete", "unknown"];
  return {
    width: document.documentElement.scrollWidth,
    scrolls_without_sign: scrolls.filter(each => !signed(each)).map(start),
    outside: all(drawn).filter(each => !inside(box(each), box(each.closest("figure")))).map(start),
    legends: all(".charts").map(charts => [
      kinds.filter(kind => charts.querySelector(`.plot .${kind}`)),
      kinds.filter(kind => charts.parentElement.querySelector(`.legend .${kind}`)),
    ]),
    charts: all(".plot svg").length,
    requests: performance.getEntriesByType("resource").length,
  };
}"""
OPEN_ALL = "document.querySelectorAll('details').forEach(each => each.open = true)"


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The pages by their names and languages, of a simulated year that is still running."""
    folder = tmp_path_factory.mktemp("pages")
    database = f"sqlite:///{folder}/year.sqlite3"
    command = [sys.executable, str(SCRIPT), "--users", "700", "--events", "12000", "--database", database]
    subprocess.run(command, check=True, capture_output=True)
    engine = create_engine(database)
    found = {}
    for name, span in SPANS.items():
        now = datetime(span.until.year, span.until.month, span.until.day, 12, tzinfo=UTC)
        host = SimpleNamespace(engine=engine, reader=engine, now=now)
        report, comparison = read_report(host, span), read_comparison(host, span)
        for tag, _ in VARIANTS:
            text = render_page(
                report,
                site_name="Teapots",
                made_at=now,
                smallest=5,
                language_tag=tag,
                comparison=comparison,
            )
            file = folder / f"{name}-{tag}.html"
            file.write_text(text, encoding="utf-8")
            found[name, tag] = file.as_uri()
    engine.dispose()
    return found


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize(("tag", "scheme"), VARIANTS)
def test_nothing_is_cut(pages, new_page, size, tag, scheme):
    page = new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    for name in SPANS:
        page.goto(pages[name, tag])
        page.evaluate(OPEN_ALL)
        found = page.evaluate(MEASURE)
        assert found["width"] <= size[0], name
        assert (found["scrolls_without_sign"], found["outside"]) == ([], []), name
        assert found["requests"] == 0, name
        assert found["charts"] == (0 if name == "empty" else 9), name
        assert all(drawn == explained for drawn, explained in found["legends"]), found["legends"]
        assert len(found["legends"]) == (0 if name == "empty" else 2)


@pytest.mark.parametrize(
    ("tag", "scheme", "size"),
    [(*variant, size) for variant, size in zip(VARIANTS, (SIZES[0], SIZES[-1]), strict=True)],
)
def test_no_violations(pages, new_page, axe, size, tag, scheme):
    """At the smallest and the largest size: what axe checks depends on the width only in the layout."""
    page = new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    found = []
    for name in SPANS:
        page.goto(pages[name, tag])
        page.evaluate(OPEN_ALL)
        found += violations(page, axe)
    assert found == []


def test_a_print_hides_no_chart_and_scrolls_nothing(pages, new_page):
    page = new_page(viewport={"width": 700, "height": 1000})
    page.emulate_media(media="print")
    page.goto(pages["large", "en"])
    assert page.evaluate("getComputedStyle(document.querySelector('.scroll')).overflowX") == "visible"
    assert page.locator(".plot svg").first.is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 700
