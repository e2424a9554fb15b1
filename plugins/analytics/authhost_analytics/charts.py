"""Charts as inline SVG without scripts and references, in colours for light and dark pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

import pygal
from markupsafe import Markup
from pygal.style import Style

Series = Mapping[str, Sequence[int]]
SVG = "http://www.w3.org/2000/svg"
WIDTH, HEIGHT = 900, 300
CHARACTER_WIDTH = 7
"""Average width of a character of a label, in pixels."""
MAX_BARS = 60
"""A chart with more bars is drawn as an area."""
GRID_COLOR = "#8886"
STYLE = Style(
    background="transparent",
    plot_background="transparent",
    foreground="currentColor",
    foreground_strong="currentColor",
    foreground_subtle="currentColor",
    guide_stroke_color=GRID_COLOR,
    guide_stroke_dasharray="none",
    major_guide_stroke_color=GRID_COLOR,
    major_guide_stroke_dasharray="none",
    opacity=".85",
    opacity_hover="1",
    transition="0s",
    font_family="system-ui, sans-serif",
    label_font_size=12,
    major_label_font_size=12,
    legend_font_size=13,
    colors=("#2f6fdb", "#d9622b", "#2b9a66", "#a04fc4", "#c2950c", "#c23b58"),
)
ElementTree.register_namespace("", SVG)


def line_chart(title: str, names: Sequence[str], series: Series) -> Markup:
    """Return a chart with a line for each series."""
    chart = pygal.Line(**_options(names, series), show_dots=len(names) <= MAX_BARS, dots_size=2)
    return _svg(chart, title, names, series)


def bar_chart(title: str, names: Sequence[str], series: Series) -> Markup:
    """Return a chart with a group of bars for each name."""
    if len(names) > MAX_BARS:
        return _svg(pygal.Line(**_options(names, series), show_dots=False, fill=True), title, names, series)
    return _svg(pygal.Bar(**_options(names, series)), title, names, series)


def _options(names: Sequence[str], series: Series) -> dict[str, Any]:
    longest = max(map(len, names), default=1)
    every = -(-len(names) * (longest + 3) * CHARACTER_WIDTH // WIDTH)
    return {
        "style": STYLE,
        "x_labels_major": names[:: max(1, every)],
        "show_minor_x_labels": False,
        "width": WIDTH,
        "height": HEIGHT,
        "margin": 8,
        "margin_right": longest * CHARACTER_WIDTH // 2,
        "show_legend": len(series) > 1,
        "legend_at_bottom": True,
        "legend_at_bottom_columns": min(3, len(series)),
        "legend_box_size": 10,
        "truncate_label": -1,
        "truncate_legend": -1,
        "min_scale": 3,
        "max_scale": 6,
        "zero": 0,
        "include_x_axis": True,
        "value_formatter": lambda count: f"{count:,.0f}",
        "explicit_size": False,
    }


def _svg(chart: Any, title: str, names: Sequence[str], series: Series) -> Markup:
    """Return the chart as SVG. A ``title`` element shows the value of the point under the pointer.

    ElementTree escapes all text.
    """
    if not names:
        return Markup("")
    chart.x_labels = names
    for name, counts in series.items():
        chart.add(name, counts)
    root = ElementTree.fromstring(chart.render())  # noqa: S314
    root.set("role", "img")
    root.set("aria-label", title)
    for parent in list(root.iter()):
        notes = {}
        for child in list(parent):
            if child.tag == f"{{{SVG}}}script":
                parent.remove(child)
            elif child.tag == f"{{{SVG}}}desc":
                notes[child.get("class")] = child.text
                parent.remove(child)
        if "value" in notes:
            tooltip = ElementTree.SubElement(parent, f"{{{SVG}}}title")
            tooltip.text = f"{notes.get('x_label') or title}: {notes['value']}"
    return Markup(ElementTree.tostring(root, encoding="unicode"))  # noqa: S704
