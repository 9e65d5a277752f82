"""From the rows of `bench detectors` to the tables and figures of its report.

Both classes weigh the same, however many clips each has. A clip on which a detector abstained or failed stays in the
denominators as benchmarks/scoring.py says, and lowers the coverage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.cells import NO_ATTACK, Cells
from benchmarks.failures import failure_sentences, failure_tables
from benchmarks.figures import Curve, Panel
from benchmarks.metrics import Estimate, Interval, Rate, bootstrap, roc_area
from benchmarks.report import Report, Table
from benchmarks.runs import Row, versions
from benchmarks.scoring import LabelledScores, flip_rate

_BOARD_NOTE = (
    "Area under the ROC curve [95 % interval]; .5 is chance. Bold: ahead of every other detector by a paired "
    "difference over the same clips whose 95 % interval excludes zero."
)
_NOTE = (
    "Intervals from a hierarchical bootstrap over lineage, source and clip; both classes weigh the same. FPR: share of "
    "filmed clips that raise an alarm. Calibration error: debiased root mean square; slope: 1 is right, below 1 "
    "overconfident. Flips: clips that are decided otherwise than without an attack. A dash: the detector states no "
    "log-likelihood ratio or decision, or there are too few clips for the number to exist."
)


@dataclass(frozen=True)
class ScoreMeasure:
    """One number of a detector: its name, and how it comes from scores (or from log-likelihood ratios)."""

    name: str
    of: Callable[[LabelledScores], Estimate]
    ratios: bool = False


MEASURES = (
    ScoreMeasure("AUC", LabelledScores.auc),
    ScoreMeasure("AP", LabelledScores.average_precision),
    ScoreMeasure("found at 5 % FPR", lambda scores: scores.detection_rate(0.05)),
    ScoreMeasure("found at 1 % FPR", lambda scores: scores.detection_rate(0.01)),
    ScoreMeasure("calibration error", LabelledScores.calibration_error, ratios=True),
    ScoreMeasure("calibration slope", LabelledScores.calibration_slope, ratios=True),
    ScoreMeasure("Brier", LabelledScores.brier, ratios=True),
    ScoreMeasure("error on the surest 50 %", lambda scores: scores.selective_error_at(0.5), ratios=True),
    ScoreMeasure("error on the surest 80 %", lambda scores: scores.selective_error_at(0.8), ratios=True),
)


@dataclass(frozen=True)
class Scored:
    """One detector after one chain. numbers: by the name of the measure; those that do not exist are left out."""

    detector: str
    chain: str
    rows: Sequence[Row]
    numbers: dict[str, Estimate]
    flips: Rate | None

    @property
    def coverage(self) -> Rate:
        """The clips that have a score, of all."""
        return Rate(sum(row.get("score") is not None for row in self.rows), len(self.rows))


def detector_report(rows: Sequence[Row], settings: Row) -> Report:
    """Summarise the rows of `bench detectors` on labelled clips."""
    cells = Cells.of(rows)
    names = cells.subjects(settings.get("detectors", ()))
    chains = list(dict.fromkeys([*settings.get("chains", ()), *cells.chains()]))
    scored = [
        measured(cells, name, chain)
        for name in names
        for chain in chains
        if any(row.get("label") for row in cells.cell(name, chain))
    ]
    leaders = {chain: _leader([one for one in scored if one.chain == chain]) for chain in chains}
    return Report(
        f"Detectors on {settings.get('videos', 'labelled clips')}",
        tuple(_sentences(cells, names, leaders, settings)),
        (*(_table(name, [one for one in scored if one.detector == name]) for name in names), *failure_tables(cells)),
        score_panels(scored),
        settings,
        {"versions": versions(), "cells": [_json(one, leaders) for one in scored], "failed": len(cells.failures())},
        boards=(_board(names, chains, scored, leaders),),
    )


def labelled(rows: Sequence[Row], field: str) -> LabelledScores:
    """Take one field of completed rows; those without a label are left out. ValueError where a class is missing."""
    return LabelledScores.of_rows([row for row in rows if row.get("label")], field, even_prior=True)


def measured(cells: Cells, detector: str, chain: str) -> Scored:
    """Measure one detector after one chain."""
    rows = [row for row in cells.cell(detector, chain) if row.get("label")]
    calibrated = any(row.get("log_likelihood_ratio") is not None for row in rows)
    numbers = {}
    for measure in MEASURES:
        if measure.ratios and not calibrated:
            continue
        try:
            field = "log_likelihood_ratio" if measure.ratios else "score"
            numbers[measure.name] = measure.of(labelled(rows, field))
        except ValueError:  # the number does not exist on these clips, and the table says so
            continue
    return Scored(detector, chain, rows, numbers, _flips(cells, detector, rows))


def _flips(cells: Cells, detector: str, rows: Sequence[Row]) -> Rate | None:
    before = {row["clip"]: row.get("decided") for row in cells.cell(detector, NO_ATTACK)}
    both = [(before[row["clip"]], row.get("decided")) for row in rows if row["clip"] in before]
    if all(a is None and b is None for a, b in both):
        return None
    return flip_rate([a for a, _ in both], [b for _, b in both])


def paired_auc(rows: Sequence[Row], others: Sequence[Row]) -> Estimate:
    """Return the difference of two areas under the ROC curve over the clips that both rows have, with its interval.

    Every resample takes both scores of a clip. ValueError where a class is missing or nothing is common.
    """
    theirs = {row["clip"]: row for row in others if row.get("label")}
    common = [row for row in rows if row.get("label") and row["clip"] in theirs]
    first = labelled(common, "score")
    second = labelled([theirs[row["clip"]] for row in common], "score")

    def difference(index: np.ndarray) -> float:
        truth = first.generated[index]
        return roc_area(first.scores[index], truth) - roc_area(second.scores[index], truth)

    interval = bootstrap(difference, first.levels, strata=first.generated.tolist(), draws=400)
    value = difference(np.arange(len(common)))
    return Estimate(value, Interval(min(value, interval.low), max(value, interval.high)), len(common), first.coverage)


def _leader(scored: Sequence[Scored]) -> str | None:
    known = [one for one in scored if "AUC" in one.numbers]
    if len(known) < 2:
        return None
    first = max(known, key=lambda one: one.numbers["AUC"].value)
    others = [one for one in known if one is not first]
    return first.detector if all(paired_auc(first.rows, one.rows).interval.low > 0 for one in others) else None


def _sentences(cells: Cells, names: Sequence[str], leaders: dict[str, str | None], settings: Row) -> list[str]:
    said = []
    if len(names) > 1:
        ahead: dict[str, list[str]] = {}
        for chain, first in leaders.items():
            ahead.setdefault(first or "nobody", []).append(chain)
        parts = [f"{name} after {', '.join(of)}" for name, of in ahead.items()]
        said.append(f"Ahead in AUC beyond noise: {'; '.join(parts)}.")
    clips = {row["clip"]: row.get("label") for name in names for row in cells.all_of(name)}
    counts = {label: sum(of == label for of in clips.values()) for label in ("generated", "filmed")}
    lineages = len({row["lineage"] for name in names for row in cells.all_of(name)})
    said.append(f"{counts['generated']} generated and {counts['filmed']} filmed clips of {lineages} lineages.")
    bare = len(clips) - sum(counts.values())
    if bare:
        said.append(f"{bare} clips failed before their label was known: they stand among the failures alone.")
    return said + failure_sentences(cells, settings)


def _board(names: Sequence[str], chains: Sequence[str], scored: Sequence[Scored], leaders: dict[str, Any]) -> Table:
    found = {(one.detector, one.chain): one.numbers.get("AUC") for one in scored}
    lines = [(chain, *(_text(found.get((name, chain))) for name in names)) for chain in chains]
    best = {(row, 1 + list(names).index(leaders[c])) for row, c in enumerate(chains) if leaders[c] is not None}
    return Table("Who tells generated from filmed", ("after", *names), tuple(lines), _BOARD_NOTE, frozenset(best))


def _table(name: str, scored: Sequence[Scored]) -> Table:
    header = ("after", *(measure.name for measure in MEASURES), "flips", "clips with a score")
    lines = [
        (one.chain, *(_text(one.numbers.get(m.name)) for m in MEASURES), str(one.flips or "–"), str(one.coverage))
        for one in scored
    ]
    return Table(f"Detector {name}", header, tuple(lines), _NOTE)


def _text(estimate: Estimate | None) -> str:
    return "–" if estimate is None else str(estimate)


def _json(one: Scored, leaders: dict[str, str | None]) -> dict[str, Any]:
    numbers = {measure.name: _number(one.numbers.get(measure.name)) for measure in MEASURES}
    flips = None
    if one.flips is not None:
        ends = one.flips.interval
        flips = {"value": round(one.flips.share, 5), "low": round(ends.low, 5), "high": round(ends.high, 5)}
        flips |= {"count": one.flips.trials, "coverage": round(one.flips.coverage, 5)}
    facts = {"detector": one.detector, "chain": one.chain, "best": leaders[one.chain] == one.detector}
    return {**facts, **numbers, "flips": flips, "scored": one.coverage.hits, "clips": one.coverage.trials}


def _number(of: Estimate | None) -> dict[str, float] | None:
    if of is None:
        return None
    numbers = {"value": of.value, "low": of.interval.low, "high": of.interval.high, "coverage": of.coverage}
    return {"count": of.count, **{name: round(number, 5) for name, number in numbers.items()}}


def score_panels(scored: Sequence[Scored]) -> tuple[Panel, ...]:
    """ROC curves, reliability and selective error, a panel of each per chain."""
    chains = list(dict.fromkeys(one.chain for one in scored))
    makers = (
        ("ROC curves", "filmed clips that raise an alarm", "generated clips found, %", _roc),
        ("Reliability", "stated probability of being generated", "share that is generated, %", _reliability),
        ("Error among the surest", "share of all clips that is decided", "called wrongly, %", _selective),
    )
    drawn = []
    for part, x, y, make in makers:
        for chain in chains:
            curves = [make(one) for one in scored if one.chain == chain]
            kept = tuple(curve for curve in curves if curve is not None and curve.points)
            if kept:
                shape = {"steps": make is not _reliability, "diagonal": make is not _selective}
                drawn.append(Panel(chain, x, kept, y, part, **shape))
    return tuple(drawn)


def _roc(one: Scored) -> Curve | None:
    if "AUC" not in one.numbers:
        return None
    passed, found = labelled(one.rows, "score").roc()
    return Curve(
        one.detector, tuple((float(x), float(y), float(y), float(y)) for x, y in zip(passed, found, strict=True))
    )


def _reliability(one: Scored) -> Curve | None:
    if "Brier" not in one.numbers:
        return None
    try:
        bins = labelled(one.rows, "log_likelihood_ratio").reliability()
    except ValueError:
        return None
    return Curve(one.detector, tuple((b.forecast, b.share, b.interval.low, b.interval.high) for b in bins))


def _selective(one: Scored) -> Curve | None:
    if "Brier" not in one.numbers:
        return None
    curve = labelled(one.rows, "log_likelihood_ratio").selective_error()
    pairs = zip(curve.coverage, curve.error, strict=True)
    return Curve(one.detector, tuple((float(x), float(y), float(y), float(y)) for x, y in pairs))
