"""The report on a terminal: finding and grade, one sentence, the evidence line by line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from countermark.report.lines import Line, Mark, lines_of, printable

if TYPE_CHECKING:
    from provenance.verify import Report

STATEMENT_LIMIT = 2000
_SIGNS: dict[Mark, tuple[str, str]] = {
    "found": ("●", "bold blue"),
    "warns": ("▲", "bold red"),
    "open": ("◐", "yellow"),
    "absent": ("○", "dim"),
}
_GRADE_STYLE = {
    "established": "bold white on blue",
    "recovered": "bold white on dark_cyan",
    "declared": "bold black on white",
    "suspected": "bold black on yellow",
    "none": "dim reverse",
}


def show(console: Console, report: Report, *, details: bool = False) -> None:
    """Print one report; `details` adds what stands behind each line."""
    console.print(_head(report))
    console.print(Padding(Text(printable(report.verdict.statement, STATEMENT_LIMIT)), (0, 0, 0, 2), expand=False))
    console.print(Padding(_evidence(lines_of(report.evidence), details), (0, 0, 0, 2)))
    for item in report.not_examined:
        console.print(
            Padding(Text(f"not examined: {printable(item.what)} ({printable(item.why)})", "dim"), (0, 0, 0, 2))
        )
    for warning in report.warnings:
        console.print(Padding(Text(f"▲ {printable(warning)}", style="red"), (0, 0, 0, 2)))
    console.print()


def show_table(console: Console, reports: Iterable[Report]) -> None:
    """Print one row per report: file, finding, grade, because."""
    table = Table("file", "finding", "grade", "because", box=None, pad_edge=False, header_style="bold")
    for report in reports:
        verdict = report.verdict
        table.add_row(
            Text(printable(report.file)),
            Text(_words(verdict.finding), style=finding_style(verdict.finding)),
            Text(verdict.grade),
            Text(_words(verdict.because or "")),
        )
    console.print(table)


def finding_style(finding: str) -> str:
    """The colour of a finding: none stands for true or false, red only for contradiction."""
    return {"conflict": "bold red", "no_evidence": "dim", "inconclusive": "yellow"}.get(finding, "bold")


def _head(report: Report) -> Text:
    verdict = report.verdict
    line = Text(printable(report.file), style="bold")
    line.append("  ").append(_words(verdict.finding).upper(), style=finding_style(verdict.finding))
    if verdict.grade != "none":
        line.append("  ").append(f" {verdict.grade} ", style=_GRADE_STYLE.get(verdict.grade, "reverse"))
    return line


def _evidence(lines: list[Line], details: bool) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    table.add_column(width=1)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for line in lines:
        sign, style = _SIGNS[line.mark]
        said: RenderableType = Text(line.text)
        if details and line.details:
            said = Group(said, *(Text(f"{name}: {text}", style="dim") for name, text in line.details))
        table.add_row(Text(sign, style=style), Text(line.label, style="bold"), said)
    return table


def _words(name: str) -> str:
    return name.replace("_", " ").replace("-", " ")
