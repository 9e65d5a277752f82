"""Reports of a run: results.json for machines, report.md for documents, report.html for people, all from one `Report`.

The page stands alone: pictures, clips and styles are inside it, nothing is fetched, no script runs, and it follows
light and dark. The same report gives the same bytes.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.figures import Panel, Scatter, panel_svg, scatter_svg, series, swatch
from benchmarks.heat import HeatMap
from benchmarks.samples import AMPLIFIED, Sample
from provenance.files import written_beside


@dataclass(frozen=True)
class Table:
    """A table; every cell is text as it is to be read. The first column names the row.

    best: cells to stand out, as (row, column). parts: rows that begin a part, with the part's name.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    best: frozenset[tuple[int, int]] = frozenset()
    parts: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if any(len(row) != len(self.header) for row in self.rows):
            raise ValueError(f"table {self.title!r}: a row has not as many cells as the header")

    def markdown(self) -> str:
        """Return the table in Markdown."""
        lines = [_markdown_row(self.header), _markdown_row(["---"] * len(self.header))]
        for number, row in enumerate(self.rows):
            if number in self.parts:
                lines.append(_markdown_row([f"*{self.parts[number]}*", *[""] * (len(row) - 1)]))
            lines.append(_markdown_row([f"**{c}**" if (number, i) in self.best else c for i, c in enumerate(row)]))
        return "\n".join([f"### {self.title}", "", *lines, *(["", self.note] if self.note else []), ""])


@dataclass(frozen=True)
class Report:
    """What a run says.

    summary: plain sentences. settings: what the rows depended on. results: the JSON form. boards: tables that a reader
    sees first. samples, looks: what was lost, and where a watermark shows most. In the Markdown form stand the tables
    and boards alone: whatever is drawn is counted there, too.
    """

    title: str
    summary: tuple[str, ...]
    tables: tuple[Table, ...]
    panels: tuple[Panel, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    boards: tuple[Table, ...] = ()
    scatters: tuple[Scatter, ...] = ()
    heat: HeatMap | None = None
    samples: tuple[Sample, ...] = ()
    looks: tuple[Sample, ...] = ()


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
    tables = (table.markdown() for table in (*report.boards, *report.tables))
    return "\n".join([f"## {report.title}", "", *(f"{line}\n" for line in report.summary), *tables])


def html(report: Report) -> str:
    """Return the report as one page that needs nothing else. All text is escaped."""
    import jinja2
    import markupsafe

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("benchmarks", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    places = series(report.panels, report.scatters)
    parts: dict[str, list[tuple[str, markupsafe.Markup]]] = {}
    for panel in report.panels:
        parts.setdefault(panel.part, []).append((panel.title, markupsafe.Markup(panel_svg(panel, places))))
    return environment.get_template("report.html").render(
        report=report,
        series=[(name, markupsafe.Markup(swatch(place))) for name, place in places.items()],
        parts=parts,
        scatters=[markupsafe.Markup(scatter_svg(scatter, places)) for scatter in report.scatters],
        settings=json.dumps(report.settings, indent=1, sort_keys=True),
        data_uri=_data_uri,
        amplified=AMPLIFIED,
    )


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
