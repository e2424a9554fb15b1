"""Charts as SVG that stands in the page: no script, no reference, colours that suit light and dark."""

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
LETTER = 7
"""Of a label, with some space about it."""
MANY = 60
"""More bars than these are drawn as an area."""
FAINT = "#8886"
STYLE = Style(
    background="transparent",
    plot_background="transparent",
    foreground="currentColor",
    foreground_strong="currentColor",
    foreground_subtle="currentColor",
    guide_stroke_color=FAINT,
    guide_stroke_dasharray="none",
    major_guide_stroke_color=FAINT,
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


def lines(title: str, names: Sequence[str], series: Series) -> Markup:
    """A line for each series."""
    chart = pygal.Line(**_look(names, series), show_dots=len(names) <= MANY, dots_size=2)
    return _drawn(chart, title, names, series)


def bars(title: str, names: Sequence[str], series: Series) -> Markup:
    """A group of bars for each name."""
    if len(names) > MANY:
        return _drawn(pygal.Line(**_look(names, series), show_dots=False, fill=True), title, names, series)
    return _drawn(pygal.Bar(**_look(names, series)), title, names, series)


def _look(names: Sequence[str], series: Series) -> dict[str, Any]:
    longest = max(map(len, names), default=1)
    every = -(-len(names) * (longest + 3) * LETTER // WIDTH)
    return {
        "style": STYLE,
        "x_labels_major": names[:: max(1, every)],
        "show_minor_x_labels": False,
        "width": WIDTH,
        "height": HEIGHT,
        "margin": 8,
        "margin_right": longest * LETTER // 2,
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


def _drawn(chart: Any, title: str, names: Sequence[str], series: Series) -> Markup:
    """Its own SVG, whose writer escapes what is in it; a number is shown to who points at it."""
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
            said = ElementTree.SubElement(parent, f"{{{SVG}}}title")
            said.text = f"{notes.get('x_label') or title}: {notes['value']}"
    return Markup(ElementTree.tostring(root, encoding="unicode"))  # noqa: S704
