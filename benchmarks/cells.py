"""Rows by cell: what one watermark or detector did in one arm, and which family of attacks the arm belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from benchmarks.attacks import parse_chain
from benchmarks.attacks.chain import FAMILIES
from benchmarks.runs import Row
from provenance.errors import UsageError

NO_ATTACK, SEVERAL, UNKNOWN = "none", "chains", "other"
FAMILY_ORDER = (NO_ATTACK, *(name for name in FAMILIES if name != SEVERAL), SEVERAL, UNKNOWN)
DETECTOR_TASKS = "detectors"
"""What the names of tasks of `bench detectors` begin with, as in ``detectors/CLIP``; their arms are DETECTOR/CHAIN."""
_FACTS = ("clip", "source", "lineage", "label", "sha256")  # of a task, whatever the arm


@cache
def family_of(chain: str) -> str:
    """Return the family of a chain: that of all its steps, or ``chains`` where they are of several.

    ``none`` is a family of its own; ``other`` are chains whose attacks are not known here, as in rows of another
    version.
    """
    try:
        steps = parse_chain(chain).steps
    except UsageError:
        return UNKNOWN
    families = {next(name for name, attacks in FAMILIES.items() if step.name in attacks) for step in steps}
    return NO_ATTACK if not steps else families.pop() if len(families) == 1 else SEVERAL


def spelled(chain: str) -> str:
    """Return the one spelling of a chain; unknown chains stay as they are."""
    try:
        return str(parse_chain(chain))
    except UsageError:
        return chain


def completed(rows: Iterable[Row]) -> list[Row]:
    """Return the rows with what a failed one lacks: what its arm says, and the clip's facts from the task's other rows.

    Where no row of a task names its source, the clip's name stands for it; where none names a lineage, the source.
    """
    known: dict[str, Row] = {}
    listed = list(rows)
    for row in listed:
        known.setdefault(row["task"], {}).update({name: row[name] for name in _FACTS if row.get(name) is not None})
    return [_complete(row, known[row["task"]]) for row in listed]


def _complete(row: Row, known: Row) -> Row:
    subject, _, clip = row["task"].partition("/")
    first, slash, chain = row["arm"].partition("/")
    if subject == DETECTOR_TASKS:
        facts: Row = {"detector": first, "chain": chain}
    elif "detector" in row:
        facts = {"chain": row["arm"]}
    else:
        facts = {"watermark": subject, "kind": first, "chain": chain if slash else first}
    facts |= {"clip": clip or subject, **known}
    facts.setdefault("source", facts["clip"])
    facts.setdefault("lineage", facts["source"])
    return {**facts, **{name: value for name, value in row.items() if value is not None or name not in facts}}


def subject_of(row: Row) -> str:
    """Return the watermark or detector of a completed row."""
    return str(row.get("detector") or row["watermark"])


def arm_of(row: Row) -> str:
    """Return the arm of a completed row without its detector: KIND/CHAIN for watermarks, CHAIN for detectors."""
    return row["chain"] if "detector" in row else f"{row['kind']}/{row['chain']}"


@dataclass(frozen=True)
class Cells:
    """Completed rows by (watermark or detector, arm), in the order in which they first appear."""

    by_cell: dict[tuple[str, str], list[Row]]

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Cells:
        """Complete rows and sort them into their cells."""
        cells: dict[tuple[str, str], list[Row]] = {}
        for row in completed(rows):
            cells.setdefault((subject_of(row), arm_of(row)), []).append(row)
        return cls(cells)

    def subjects(self, order: Sequence[str] = ()) -> list[str]:
        """The watermarks or detectors that have rows, those of `order` first."""
        present = dict.fromkeys(subject for subject, _ in self.by_cell)
        return [*(name for name in dict.fromkeys(order) if name in present), *(n for n in present if n not in order)]

    def cell(self, subject: str, arm: str) -> list[Row]:
        """The rows of one cell, one a clip; none where it was not measured."""
        return self.by_cell.get((subject, arm), [])

    def all_of(self, subject: str, kind: str | None = None) -> list[Row]:
        """All rows of a watermark or detector; of one kind of arm where it is named."""
        parts = (rows for (name, _), rows in self.by_cell.items() if name == subject)
        return [row for rows in parts for row in rows if kind is None or row.get("kind") == kind]

    def chains(self) -> list[str]:
        """The chains of the rows, in the order in which they first appear."""
        return list(dict.fromkeys(rows[0]["chain"] for rows in self.by_cell.values()))

    def failures(self) -> list[Row]:
        """The rows that failed."""
        return [row for rows in self.by_cell.values() for row in rows if "error" in row]


def sources(rows: Iterable[Row]) -> list[Any]:
    """What the trials of completed rows hang together by: the lineage, which is the source where rows name none."""
    return [row["lineage"] for row in rows]
