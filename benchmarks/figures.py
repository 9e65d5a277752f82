"""Figures of a report, drawn as SVG that takes its colours from the page: light and dark need no second picture."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

COLOURS = ("#1f6fc4", "#c75000", "#00795c", "#8a4bb5", "#97690a", "#b8316a", "#4a5a6a", "#0a7f9c")
"""Of curves, in order. Each has a marker and a dash pattern of its own, so that no reader depends on colour."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (5, 1.5, 1, 1.5)))
_INK, _SOFT, _LINE = "#1b1f24", "#5c6670", "#c4cad0"
_VARIABLES = {_INK: "ink", _SOFT: "soft", _LINE: "grid", **{c: f"series-{n}" for n, c in enumerate(COLOURS)}}


@dataclass(frozen=True)
class Curve:
    """A share over something: points of (x, share, low, high), shares from 0 to 1."""

    label: str
    points: tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True)
class Panel:
    """One plot: curves that share their axes.

    parameter: what x is. share: what y is. part: the heading under which it stands. steps: the curves are measured
    everywhere, so no markers. diagonal: draw the line where share and x agree.
    """

    title: str
    parameter: str
    curves: tuple[Curve, ...]
    share: str = "exact id, %"
    part: str = "Robustness by strength of attack"
    steps: bool = False
    diagonal: bool = False


@dataclass(frozen=True)
class Spot:
    """A point with an interval on either axis: (value, low, high) of x in its own unit and of y, a share."""

    label: str
    x: tuple[float, float, float]
    y: tuple[float, float, float]


@dataclass(frozen=True)
class Scatter:
    """Spots against two axes; y is a share, shown in percent."""

    title: str
    x: str
    y: str
    spots: tuple[Spot, ...]


def series(panels: Iterable[Panel], scatters: Iterable[Scatter] = ()) -> dict[str, int]:
    """Give every label of the figures its number, which decides colour, marker and dashes on the whole page."""
    labels = [curve.label for panel in panels for curve in panel.curves]
    labels += [spot.label for scatter in scatters for spot in scatter.spots]
    return {label: number for number, label in enumerate(dict.fromkeys(labels))}


def panel_svg(panel: Panel, places: dict[str, int]) -> str:
    """Draw a panel and return an SVG element; the same panel gives the same bytes."""
    with _drawing(panel.title, panel.parameter, panel.share) as (axes, buffer):
        if panel.diagonal:
            axes.plot((0, 1), (0, 100), color=_SOFT, linewidth=0.8, dashes=(3, 3))
        for curve in panel.curves:
            x, share, low, high = zip(*sorted(curve.points), strict=True)
            look = _look(places[curve.label])
            if any(a < b for a, b in zip(low, high, strict=True)):
                band = [100 * v for v in low], [100 * v for v in high]
                axes.fill_between(x, *band, color=look["color"], alpha=0.14, linewidth=0)
            if panel.steps:
                look["marker"] = ""
            axes.plot(x, [100 * v for v in share], markersize=4, linewidth=1.5, **look)
        axes.set_ylim(-3, 103)
    return _element(buffer, panel.title)


def scatter_svg(scatter: Scatter, places: dict[str, int]) -> str:
    """Draw a scatter with its intervals and labels, and return an SVG element."""
    with _drawing(scatter.title, scatter.x, scatter.y) as (axes, buffer):
        middle = sum(extreme(spot.x[0] for spot in scatter.spots) for extreme in (min, max)) / 2
        for spot in scatter.spots:
            look = _look(places[spot.label])
            errors = [[[spot.x[0] - spot.x[1]], [spot.x[2] - spot.x[0]]], _percent_errors(spot.y)]
            axes.errorbar(
                spot.x[0], 100 * spot.y[0], xerr=errors[0], yerr=errors[1], markersize=6, elinewidth=1, capsize=2,
                color=look["color"], marker=look["marker"], linestyle="none",
            )  # fmt: skip
            place = (spot.x[0], 100 * spot.y[0])
            right = spot.x[0] > middle  # the label stays inside the axes
            axes.annotate(
                spot.label, place, (-6 if right else 6, 6), textcoords="offset points", fontsize=9, color=_INK,
                ha="right" if right else "left",
            )  # fmt: skip
        axes.set_ylim(-3, 108)
        axes.margins(x=0.25)
    return _element(buffer, scatter.title)


def _percent_errors(share: tuple[float, float, float]) -> list[list[float]]:
    return [[100 * (share[0] - share[1])], [100 * (share[2] - share[0])]]


def _look(place: int) -> dict[str, Any]:
    """Colour, marker and dashes of a series; after 8 of them colours come again, with other dashes."""
    turn = place // len(COLOURS)
    return {
        "color": COLOURS[place % len(COLOURS)],
        "marker": MARKERS[(place + turn) % len(MARKERS)],
        "linestyle": DASHES[(place + turn) % len(DASHES)],
    }


def swatch(place: int) -> str:
    """Draw the line and marker of a series for a legend, as an SVG element."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    buffer = io.StringIO()
    with matplotlib.rc_context(_settings()):
        figure = Figure(figsize=(0.42, 0.18))
        FigureCanvasSVG(figure)
        axes = figure.add_axes((0, 0, 1, 1), frame_on=False)
        axes.plot((0, 0.5, 1), (0, 0, 0), markevery=[1], markersize=5, linewidth=1.5, **_look(place))
        axes.set_xlim(0, 1)
        axes.set_axis_off()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _element(buffer, "")


@contextmanager
def _drawing(title: str, x: str, y: str) -> Iterator[tuple[Any, io.StringIO]]:
    """Give axes to draw on, and a buffer that holds the SVG afterwards."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    buffer = io.StringIO()
    with matplotlib.rc_context(_settings()):
        figure = Figure(figsize=(3.7, 2.9))
        FigureCanvasSVG(figure)
        axes = figure.add_axes((0.145, 0.165, 0.835, 0.735))
        yield axes, buffer
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axes.set_title(title, fontsize=10)
        axes.set_xlabel(x, fontsize=9)
        axes.set_ylabel(y, fontsize=9)
        axes.grid()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})


def _settings() -> Any:
    return {
        "svg.hashsalt": "countermark", "svg.fonttype": "none", "font.family": "sans-serif", "text.parse_math": False,
        "text.color": _INK, "axes.labelcolor": _SOFT, "axes.edgecolor": _SOFT, "grid.color": _LINE,
        "xtick.color": _SOFT, "ytick.color": _SOFT, "xtick.labelsize": 8, "ytick.labelsize": 8,
        "grid.linewidth": 0.6, "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
    }  # fmt: skip


def _element(buffer: io.StringIO, title: str) -> str:
    """The SVG element alone, its colours replaced by the page's, without the names of groups that repeat on a page."""
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'<g id="[^"]*">', "<g>", text)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"#[0-9a-f]{6}", _variable, text)
    return re.sub(r"\s*\n\s*", "\n", text)


def _variable(match: re.Match[str]) -> str:
    name = _VARIABLES.get(match[0])
    return f"var(--{name}, {match[0]})" if name else match[0]
