"""Reports of a run: results.json for machines, report.md for documents, report.html for people, all from one `Report`.

The page stands alone: pictures are drawn into it as SVG, nothing is fetched, and it follows light and dark.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provenance.files import written_beside

COLOURS = ("#2563c9", "#c2571a", "#2f8f57", "#8b4fb8")


@dataclass(frozen=True)
class Table:
    """A table; every cell is text as it is to be read. The first column names the row."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    def __post_init__(self) -> None:
        if any(len(row) != len(self.header) for row in self.rows):
            raise ValueError(f"table {self.title!r}: a row has not as many cells as the header")

    def markdown(self) -> str:
        """Return the table in Markdown."""
        lines = [_markdown_row(self.header), _markdown_row(["---"] * len(self.header)), *map(_markdown_row, self.rows)]
        return "\n".join([f"### {self.title}", "", *lines, *(["", self.note] if self.note else []), ""])


@dataclass(frozen=True)
class Curve:
    """A rate over a parameter: points of (parameter, share, low, high), shares from 0 to 1."""

    label: str
    points: tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True)
class Panel:
    """One plot of a figure: curves that share a parameter."""

    title: str
    parameter: str
    curves: tuple[Curve, ...]


@dataclass(frozen=True)
class Report:
    """What a run says. summary: plain sentences. settings: what the rows depended on. results: the JSON form."""

    title: str
    summary: tuple[str, ...]
    tables: tuple[Table, ...]
    panels: tuple[Panel, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)


def write_report(report: Report, folder: Path) -> None:
    """Write results.json, report.md and report.html into a folder, replacing older ones. CannotWrite."""
    results = {"title": report.title, "settings": report.settings, **report.results}
    texts = {
        "results.json": json.dumps(results, indent=1, sort_keys=True, allow_nan=False) + "\n",
        "report.md": markdown(report),
        "report.html": html(report),
    }
    for name, text in texts.items():
        with written_beside(folder / name, force=True) as part:
            part.write_text(text, encoding="utf-8")


def markdown(report: Report) -> str:
    """Return the report in Markdown, without pictures."""
    parts = [f"## {report.title}", "", *report.summary, "", *(table.markdown() for table in report.tables)]
    return "\n".join(parts)


def html(report: Report) -> str:
    """Return the report as one page that needs nothing else. All text is escaped."""
    import jinja2
    import markupsafe

    environment = jinja2.Environment(loader=jinja2.PackageLoader("benchmarks", "."), autoescape=True)
    figure = markupsafe.Markup(figure_svg(report.panels)) if report.panels else ""
    settings = json.dumps(report.settings, indent=1, sort_keys=True)
    return environment.get_template("report.html").render(report=report, figure=figure, settings=settings)


def figure_svg(panels: Sequence[Panel]) -> str:
    """Draw the panels side by side, three a row, and return an SVG element; the same panels give the same bytes."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    across = min(3, len(panels))
    down = -(-len(panels) // across)
    with rc_context({"svg.hashsalt": "countermark", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure = Figure(figsize=(3.7 * across, 2.9 * down), layout="constrained")
        FigureCanvasSVG(figure)
        colours = {label: COLOURS[i % len(COLOURS)] for i, label in enumerate(_labels(panels))}
        for number, panel in enumerate(panels):
            _draw(figure.add_subplot(down, across, number + 1), panel, colours, legend=number == 0)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _draw(axes: Any, panel: Panel, colours: dict[str, str], *, legend: bool) -> None:
    for curve in panel.curves:
        x, share, low, high = zip(*sorted(curve.points), strict=True)
        colour = colours[curve.label]
        axes.fill_between(x, [100 * v for v in low], [100 * v for v in high], color=colour, alpha=0.15, linewidth=0)
        axes.plot(x, [100 * v for v in share], marker="o", markersize=3.5, color=colour, label=curve.label)
    axes.set_ylim(-3, 103)
    axes.set_title(panel.title, fontsize=10)
    axes.set_xlabel(panel.parameter, fontsize=8)
    axes.set_ylabel("exact id, %", fontsize=8)
    axes.tick_params(labelsize=8, colors="#7a7a7a")
    axes.grid(alpha=0.25)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if legend:
        axes.legend(fontsize=8, frameon=False)


def _labels(panels: Sequence[Panel]) -> list[str]:
    return list(dict.fromkeys(curve.label for panel in panels for curve in panel.curves))


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
