"""Who is best at what: every watermark against every family of attacks, and what it costs.

Trials are (clip, chain) pairs. The best is marked only where it is ahead of every other watermark by a paired
difference, over the clips that both were measured on, whose 95 % interval excludes zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.cells import FAMILY_ORDER, NO_ATTACK, Cells, family_of, sources
from benchmarks.metrics import Estimate, paired_difference
from benchmarks.pooling import PooledRate, pooled_mean
from benchmarks.report import Table
from benchmarks.runs import Row
from provenance.verdict import DETECTED_LOG10_P

LOOSER_LOG10_P = -6.0
FEWEST_SOURCES = 6
"""With fewer, no paired test at 5 % can speak: the sign test's least p is 2 / 2^5 = .06 on five."""
EVERY_ATTACK = "all attacks"


@dataclass(frozen=True)
class Measure:
    """What is measured on one trial.

    of: a row that did not fail -> a number, None where the row does not say. share: a yes or no (1, 0), where a failed
    trial is a miss. higher: whether more is better. digits: decimals that tables show.
    """

    name: str
    title: str
    of: Callable[[Row], float | None]
    share: bool = True
    higher: bool = True
    digits: int = 1


def seen_at(log10_p: float) -> Callable[[Row], float | None]:
    """Return whether a row states a p-value at most so high; rows from before p-values stood in them say *found*."""

    def seen(row: Row) -> float | None:
        if row.get("log10_p") is not None:
            return float(row["log10_p"] <= log10_p)
        return float(bool(row["found"])) if log10_p == DETECTED_LOG10_P and "log10_p" not in row else None

    return seen


def _field(name: str) -> Callable[[Row], float | None]:
    return lambda row: None if row.get(name) is None else float(row[name])


def _both(row: Row) -> float | None:
    seen = seen_at(LOOSER_LOG10_P)(row)
    return None if seen is None else float(bool(row["exact"]) and bool(seen))


EXACT = Measure("exact", "exact id", _field("exact"))
SEEN_LOOSER = Measure("seen_1e-6", "seen at p <= 1e-6", seen_at(LOOSER_LOG10_P))
SEEN = Measure("seen_1e-9", "seen at p <= 1e-9", seen_at(DETECTED_LOG10_P))
WRONG = Measure("wrong_id", "wrong ids", _field("wrong_id"), higher=False)
BITS = Measure("bit_accuracy", "message bits right", _field("bit_accuracy"), share=False, digits=3)
SURE = Measure("exact_1e-6", "exact id and p <= 1e-6", _both)
READING = (EXACT, SURE, SEEN_LOOSER, SEEN, WRONG, BITS)
COSTS = (
    Measure("psnr_db", "luma PSNR, dB", _field("psnr_db"), share=False, digits=2),
    Measure("ssim", "luma SSIM", _field("ssim"), share=False, digits=4),
    Measure("vmaf", "VMAF", _field("vmaf"), share=False, digits=1),
    Measure("flicker", "flicker, times the original's", _field("flicker"), share=False, higher=False, digits=3),
    Measure("size_ratio", "file size, times the original's", _field("size_ratio"), share=False, higher=False, digits=3),
)  # fmt: skip
FALSE_ALARM = Measure("found", "found", _field("found"), higher=False)


@dataclass(frozen=True)
class Standing:
    """One measure of one watermark on some rows: a rate or a mean, None where the rows do not say."""

    measure: Measure
    value: PooledRate | Estimate | None

    @property
    def number(self) -> float:
        """The value alone; not a number where there is none."""
        if self.value is None:
            return math.nan
        return self.value.share if isinstance(self.value, PooledRate) else self.value.value

    def __str__(self) -> str:
        """Value, interval and count, as tables print them."""
        if self.value is None:
            return "not stated"
        if isinstance(self.value, PooledRate):
            return str(self.value)
        digits, interval = self.measure.digits, self.value.interval
        text = f"{self.value.value:.{digits}f} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"
        text += f" n={self.value.count}"
        return text if self.value.coverage == 1 else f"{text}, coverage {100 * self.value.coverage:.0f} %"

    def json(self) -> dict[str, Any]:
        """The same as results.json holds it."""
        if self.value is None:
            return {"value": None}
        low, high = self.value.interval.low, self.value.interval.high
        trials = self.value.trials if isinstance(self.value, PooledRate) else self.value.count
        numbers = {"value": self.number, "low": low, "high": high, "coverage": self.value.coverage}
        return {"trials": trials, **{name: round(number, 5) for name, number in numbers.items()}}


def standing(measure: Measure, rows: Sequence[Row]) -> Standing:
    """Measure rows; a rate where the measure is a share, else a mean with the coverage that failed rows lower."""
    values = [None if "error" in row else measure.of(row) for row in rows]
    if all(value is None for value in values) and not (measure.name == EXACT.name and rows):
        return Standing(measure, None)
    if measure.share:  # a reader that stated no p-value here, though it does elsewhere, saw nothing
        outcomes = [None if "error" in row else bool(value) for row, value in zip(rows, values, strict=True)]
        return Standing(measure, PooledRate.pool(outcomes, sources(rows)))
    return Standing(measure, pooled_mean(values, sources(rows)))


def leader(measure: Measure, rows_of: dict[str, Sequence[Row]]) -> str | None:
    """Return the watermark that is ahead of every other beyond noise, None where there is none."""
    standings = {mark: standing(measure, rows) for mark, rows in rows_of.items()}
    known = [mark for mark, one in standings.items() if one.value is not None]
    if len(known) < 2:
        return None
    sign = 1 if measure.higher else -1
    first = max(known, key=lambda mark: sign * standings[mark].number)
    ahead = (lead(measure, rows_of[first], rows_of[other]) for other in known if other != first)
    return first if all(one is not None and sign_excludes_zero(one, sign) for one in ahead) else None


def sign_excludes_zero(difference: Estimate, sign: int) -> bool:
    """Whether a difference's interval lies wholly on the side of `sign`."""
    return difference.interval.low > 0 if sign > 0 else difference.interval.high < 0


def lead(measure: Measure, rows: Sequence[Row], others: Sequence[Row]) -> Estimate | None:
    """Return the paired difference of two watermarks over the (clip, chain) pairs that both have.

    The chains of a clip are averaged first: they are the same for all and not drawn. None where fewer than
    `FEWEST_SOURCES` sources are common.
    """
    mine, theirs = _trials(measure, rows), _trials(measure, others)
    pairs: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for row in rows:
        trial = row["clip"], row["chain"]
        if trial in mine and trial in theirs:
            pairs.setdefault((sources([row])[0], row["clip"]), []).append((mine[trial], theirs[trial]))
    groups = [source for source, _ in pairs]
    if len(set(groups)) < FEWEST_SOURCES:
        return None
    means = np.array([np.mean(values, axis=0) for values in pairs.values()])
    return paired_difference(means[:, 0].tolist(), means[:, 1].tolist(), [groups])


def _trials(measure: Measure, rows: Iterable[Row]) -> dict[tuple[str, str], float]:
    """Value by (clip, chain): a failed trial, or one that says nothing, is a miss of a share and no value of a mean."""
    trials = {}
    for row in rows:
        value = None if "error" in row else measure.of(row)
        if value is not None or measure.share:
            trials[row["clip"], row["chain"]] = value or 0.0
    return trials


@dataclass(frozen=True)
class Line:
    """One line of a board: a measure over some rows of each watermark."""

    part: str
    label: str
    measure: Measure
    family: str
    rows: dict[str, Sequence[Row]]


def families(cells: Cells, marks: Sequence[str]) -> dict[str, dict[str, Sequence[Row]]]:
    """The marked rows by family of attacks and watermark, and those of all attacks together."""
    found: dict[str, dict[str, Sequence[Row]]] = {}
    marked = {mark: cells.all_of(mark, "marked") for mark in marks}
    for family in FAMILY_ORDER:
        rows: dict[str, Sequence[Row]] = {
            mark: [row for row in marked[mark] if family_of(row["chain"]) == family] for mark in marks
        }
        if any(rows.values()):
            found[family] = rows
    attacked: dict[str, Sequence[Row]] = {
        mark: [row for row in marked[mark] if family_of(row["chain"]) != NO_ATTACK] for mark in marks
    }
    if len(found) > 1 and any(attacked.values()):
        found[EVERY_ATTACK] = attacked
    return found


def board_lines(cells: Cells, marks: Sequence[str]) -> list[Line]:
    """What a reader sees first: exact ids by family, how sure the readings are, false alarms, and the cost."""
    by_family = families(cells, marks)
    lines = [Line("exact id after attacks", _family(name), EXACT, name, rows) for name, rows in by_family.items()]
    widest = list(by_family)[-1:]
    for name in widest:
        lines += [Line(f"how it was seen, {name}", m.title, m, name, by_family[name]) for m in READING[1:]]
    for kind, words in (("unmarked", "unmarked clips"), ("wrong-key", "marked clips, another key")):
        rows: dict[str, Sequence[Row]] = {mark: cells.all_of(mark, kind) for mark in marks}
        if any(rows.values()):
            lines.append(Line("found where nothing is, at p <= 1e-9", words, FALSE_ALARM, kind, rows))
    plain: dict[str, Sequence[Row]] = {mark: cells.cell(mark, f"marked/{NO_ATTACK}") for mark in marks}
    costs = [Line("what marking costs", cost.title, cost, "cost", plain) for cost in COSTS]
    return lines + [line for line in costs if any(line.measure.of(r) is not None for rs in plain.values() for r in rs)]


def family_lines(cells: Cells, marks: Sequence[str]) -> list[Line]:
    """The same families, by every other measure of reading."""
    by_family = families(cells, marks)
    return [
        Line(measure.title, _family(name), measure, name, rows)
        for measure in READING[1:]
        for name, rows in by_family.items()
    ]


def _family(name: str) -> str:
    return {NO_ATTACK: "unattacked", "chains": "several attacks in a row"}.get(name, name)


@dataclass(frozen=True)
class Board:
    """Lines, what each watermark has in them, and who leads."""

    lines: tuple[Line, ...]
    standings: tuple[dict[str, Standing], ...]
    leaders: tuple[str | None, ...]

    @classmethod
    def of(cls, lines: Sequence[Line]) -> Board:
        """Measure all lines."""
        standings = tuple({mark: standing(line.measure, rows) for mark, rows in line.rows.items()} for line in lines)
        return cls(tuple(lines), standings, tuple(leader(line.measure, line.rows) for line in lines))

    def table(self, title: str, marks: Sequence[str], note: str) -> Table:
        """The board as a table: a column per watermark."""
        rows, best, parts = [], set(), {}
        for number, (line, standings, first) in enumerate(zip(self.lines, self.standings, self.leaders, strict=True)):
            if number == 0 or line.part != self.lines[number - 1].part:
                parts[number] = line.part
            rows.append((line.label, *(str(standings[mark]) for mark in marks)))
            if first is not None:
                best.add((number, 1 + list(marks).index(first)))
        return Table(title, ("", *marks), tuple(rows), note, frozenset(best), parts)

    def json(self) -> list[dict[str, Any]]:
        """The board as results.json holds it."""
        return [
            {"measure": line.measure.name, "over": line.family, "watermark": mark, "best": mark == first, **one.json()}
            for line, standings, first in zip(self.lines, self.standings, self.leaders, strict=True)
            for mark, one in standings.items()
        ]

    def sentence(self) -> str:
        """Who leads in which family by exact ids, in words; empty for a single watermark."""
        exact = [(line.label, first) for line, first in zip(self.lines, self.leaders, strict=True)
                 if line.measure is EXACT and len(line.rows) > 1]  # fmt: skip
        ahead: dict[str, list[str]] = {}
        for label, first in sorted(exact, key=lambda entry: entry[1] is None):
            ahead.setdefault(first or "nobody", []).append(label)
        said = [f"{mark} in {', '.join(labels)}" for mark, labels in ahead.items()]
        return f"Ahead in exact ids beyond noise: {'; '.join(said)}." if said else ""
