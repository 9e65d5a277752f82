"""What a run could not measure: trials that failed, and watermarks or detectors that were not there."""

from __future__ import annotations

from benchmarks.cells import Cells, subject_of
from benchmarks.report import Table
from benchmarks.runs import Row

MOST_FAILURES = 60
"""Reasons of failed trials that are listed; the others are counted."""


def failure_sentences(cells: Cells, settings: Row) -> list[str]:
    """Say how many trials failed, and what of the suite was not measured at all and why."""
    missing = (settings.get("not_measured") or {}).items()
    said = [f"Not measured: {name} ({reason})." for name, reason in missing]
    failed, total = len(cells.failures()), sum(map(len, cells.by_cell.values()))
    if not failed:
        return [*said, f"All {total} trials could be measured."]
    return [*said, f"{failed} of {total} trials failed; they stay in every denominator and are listed below."]


def failure_tables(cells: Cells) -> list[Table]:
    """One table of the trials that failed, equal reasons of one watermark or detector together; none without them."""
    reasons: dict[tuple[str, str], list[Row]] = {}
    for row in cells.failures():
        reasons.setdefault((subject_of(row), row["error"]), []).append(row)
    if not reasons:
        return []
    ordered = sorted(reasons.items(), key=lambda entry: (-len(entry[1]), entry[0]))
    lines = [
        (subject, str(len(rows)), f"{rows[0]['clip']}, {rows[0]['arm']}", reason)
        for (subject, reason), rows in ordered[:MOST_FAILURES]
    ]
    more = sum(len(rows) for _, rows in ordered[MOST_FAILURES:])
    note = f"{more} more failed for other reasons; rows.jsonl has them." if more else ""
    return [Table("Trials that failed", ("of", "trials", "the first", "reason"), tuple(lines), note)]
