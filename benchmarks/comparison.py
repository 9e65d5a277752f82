"""What moved between two runs, beyond noise; and failures that nobody expected.

Rows are paired by watermark or detector, arm and clip. Four kinds of things are compared: single cells of watermarks
(McNemar's exact test, and for detectors whether there is a score), families of attacks and the cost of marking
(paired differences over sources), and the AUC of detectors (paired bootstrap). Within each kind the p-values are held
to a false discovery rate of 5 % (Benjamini and Hochberg, J. R. Stat. Soc. B 57 (1995) 289); those of an interval take
its draws as normal. What is gone, and trials that fail now and did not before, count as worse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy.stats import false_discovery_control, norm

from benchmarks.board import COSTS, EXACT, families, lead, standing
from benchmarks.cells import NO_ATTACK, Cells, spelled
from benchmarks.detector_tables import labelled, paired_auc
from benchmarks.metrics import Estimate, Rate, mcnemar
from benchmarks.pooling import NORMAL_QUANTILE
from benchmarks.report import Table
from benchmarks.runs import Row, read_rows
from provenance.errors import CannotRead, UsageError

FALSE_DISCOVERIES = 0.05


@dataclass(frozen=True)
class Move:
    """A cell or a family that differs. old, new: in words. better: in which direction."""

    what: str
    old: str
    new: str
    better: bool


@dataclass(frozen=True)
class Comparison:
    """What moved, and what is there in one run only; cells are named WATERMARK or DETECTOR, then the arm."""

    moved: tuple[Move, ...]
    gone: tuple[str, ...]
    added: tuple[str, ...]
    failing: tuple[str, ...]
    compared: int

    @property
    def regressions(self) -> tuple[str, ...]:
        """What got worse, in words."""
        worse = [f"{one.what}: {one.old}, now {one.new}" for one in self.moved if not one.better]
        return (*worse, *(f"{one}: gone" for one in self.gone), *self.failing)

    def markdown(self) -> str:
        """All of it as a table."""
        rows: list[tuple[str, ...]] = [
            (one.what, one.old, one.new, "better" if one.better else "worse") for one in self.moved
        ]
        rows += [(one, "measured", "gone", "worse") for one in self.gone]
        rows += [(*one.split(": ", 1), "", "worse") for one in self.failing]
        rows += [(one, "", "measured", "new") for one in self.added]
        note = f"{self.compared} cells compared; false discovery rate {FALSE_DISCOVERIES:.0%}."
        if not rows:
            return f"### Since the older run\n\nNothing moved beyond noise. {note}\n"
        return Table("Since the older run", ("what", "before", "now", ""), tuple(rows), note).markdown()

    def json(self) -> dict[str, Any]:
        """The same for machines."""
        return {
            "moved": [vars(one) for one in self.moved], "gone": list(self.gone), "added": list(self.added),
            "failing": list(self.failing), "compared": self.compared, "regressions": list(self.regressions),
        }  # fmt: skip


def compare_runs(old: Path, new: Path) -> Comparison:
    """Compare two runs: folders, or the rows.jsonl or results.json in them. Raises CannotRead without rows."""
    before, after = Cells.of(rows_of(old)), Cells.of(rows_of(new))
    common = [cell for cell in before.by_cell if cell in after.by_cell]
    moved = [*_moved_cells(before, after, common), *_moved_families(before, after)]
    moved += _moved_areas(before, after, common)
    failing, gone = [], [f"{subject} {arm}" for subject, arm in before.by_cell if (subject, arm) not in after.by_cell]
    for subject, arm in common:
        lost = _clips(before.cell(subject, arm)) - _clips(after.cell(subject, arm))
        if lost:
            gone.append(f"{subject} {arm} on {len(lost)} clips ({min(lost)})")
        broken = _broken(after.cell(subject, arm)) - _broken(before.cell(subject, arm))
        if broken:
            failing.append(f"{subject} {arm}: {len(broken)} trials fail that did not ({min(broken)})")
    return Comparison(
        tuple(moved),
        tuple(gone),
        tuple(f"{subject} {arm}" for subject, arm in after.by_cell if (subject, arm) not in before.by_cell),
        tuple(failing),
        len(common),
    )


def rows_of(path: Path) -> list[Row]:
    """Return the rows of a run: its folder, its rows.jsonl, or a results.json with the rows beside it. CannotRead."""
    file = path / "rows.jsonl" if path.is_dir() else path.with_name("rows.jsonl") if path.suffix == ".json" else path
    try:
        rows = [row for row in read_rows(file) if isinstance(row, dict) and {"task", "arm"} <= row.keys()]
    except OSError as error:
        raise CannotRead(f"{file}: cannot be read ({error.strerror})", hint="name the folder of a run") from error
    if not rows:
        raise CannotRead(f"{file}: holds no rows of a run", hint="name the folder of a run, with its rows.jsonl")
    return rows


def _beyond_noise(tested: Sequence[tuple[Move, float]]) -> list[Move]:
    """The moves that stay, each with its p-value, at the false discovery rate over all of them."""
    if not tested:
        return []
    corrected = false_discovery_control([p for _, p in tested])
    return [move for (move, _), q in zip(tested, corrected, strict=True) if q <= FALSE_DISCOVERIES]


def chance(difference: Estimate) -> float:
    """Two-sided p-value that a difference is none, its interval taken as that of a normal distribution."""
    if difference.value == 0:
        return 1.0
    half = (difference.interval.high - difference.interval.low) / 2
    return float(2 * norm.sf(abs(difference.value) / half * NORMAL_QUANTILE)) if half else 0.0


def _moved_cells(before: Cells, after: Cells, common: Sequence[tuple[str, str]]) -> list[Move]:
    tested = []
    for subject, arm in common:
        old, new = _outcomes(before.cell(subject, arm)), _outcomes(after.cell(subject, arm))
        clips = [clip for clip in old if clip in new]
        if clips:
            pair = [old[clip] for clip in clips], [new[clip] for clip in clips]
            first, second = Rate.of(pair[0]), Rate.of(pair[1])
            move = Move(f"{subject} {arm}", str(first), str(second), second.share > first.share)
            tested.append((move, mcnemar(*pair)))
    return _beyond_noise(tested)


def _moved_families(before: Cells, after: Cells) -> list[Move]:
    """Families of attacks by exact ids, and the cost of marking."""
    marks = [mark for mark in before.subjects() if before.all_of(mark, "marked") and after.all_of(mark, "marked")]
    old, new = families(before, marks), families(after, marks)
    pairs = [
        (f"{mark}, {family}", EXACT, old[family][mark], new[family][mark])
        for family in old if family in new and family != NO_ATTACK for mark in marks
    ]  # fmt: skip
    plain = f"marked/{NO_ATTACK}"
    pairs += [(mark, cost, before.cell(mark, plain), after.cell(mark, plain)) for mark in marks for cost in COSTS]
    tested = []
    for what, measure, first, second in pairs:
        change = lead(measure, second, first)
        if change is not None:
            better = (change.value > 0) == measure.higher
            states = str(standing(measure, first)), str(standing(measure, second))
            tested.append((Move(f"{what}: {measure.title}", *states, better), chance(change)))
    return _beyond_noise(tested)


def _moved_areas(before: Cells, after: Cells, common: Sequence[tuple[str, str]]) -> list[Move]:
    """Detectors by the area under the ROC curve over the clips of both runs."""
    tested = []
    for subject, arm in common:
        first, second = before.cell(subject, arm), after.cell(subject, arm)
        if "detector" not in first[0]:
            continue
        try:
            change = paired_auc(second, first)
            areas = [f"AUC {labelled(rows, 'score').auc()}" for rows in (first, second)]
        except ValueError:  # one class is missing, or no clip is common
            continue
        tested.append((Move(f"{subject} {arm}", areas[0], areas[1], change.value > 0), chance(change)))
    return _beyond_noise(tested)


def _outcomes(rows: Sequence[Row]) -> dict[str, bool | None]:
    """Whether each trial went well; None where it failed. Finding something where nothing is did not."""
    return {row["clip"]: None if "error" in row else _went_well(row) for row in rows}


def _went_well(row: Row) -> bool:
    if "detector" in row:
        return row.get("score") is not None
    return bool(row["exact"]) if row["kind"] == "marked" else not row["found"]


def _clips(rows: Sequence[Row]) -> set[str]:
    return {row["clip"] for row in rows}


def _broken(rows: Sequence[Row]) -> set[str]:
    return {row["clip"] for row in rows if "error" in row}


@dataclass(frozen=True)
class KnownFailures:
    """A run against a list of what may fail. unexpected: cells that fail and are not listed. passing: lines that no
    longer fail and can be struck off."""

    unexpected: tuple[str, ...]
    passing: tuple[str, ...]

    def markdown(self) -> str:
        """Both lists."""
        lines = ["### Known failures", ""]
        lines += [f"* fails and is not listed: {one}" for one in self.unexpected]
        lines += [f"* listed and passes now: {one}" for one in self.passing]
        return "\n".join(lines if len(lines) > 2 else [*lines, "Nothing fails but what is listed."]) + "\n"


def known_failures_of(path: Path, run: Path) -> KnownFailures:
    """Hold a run against a list of what may fail: lines ``WATERMARK CHAIN`` or ``WATERMARK CHAIN CLIP``; # comments.

    A cell fails where one of its clips is not read, or anything is found where nothing is (which no line excuses).
    Raises CannotRead for the files, UsageError for a line of another form.
    """
    listed = _listed(path)
    failed: dict[tuple[str, str, str], str] = {}
    seen: set[tuple[str, str, str]] = set()
    for (subject, arm), rows in Cells.of(rows_of(run)).by_cell.items():
        for row in rows:
            trial = (subject, row["chain"] if row.get("kind", "marked") == "marked" else arm, row["clip"])
            seen.add(trial)
            if "error" in row or not _went_well(row):
                failed[trial] = " ".join(trial)
    excused = {line: [t for t in failed if line in (t, t[:2])] for line in listed}
    covered = {trial for trials in excused.values() for trial in trials}
    passing = [" ".join(line) for line in listed if not excused[line] and any(line in (t, t[:2]) for t in seen)]
    return KnownFailures(tuple(words for trial, words in failed.items() if trial not in covered), tuple(passing))


def _listed(path: Path) -> list[tuple[str, ...]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CannotRead(f"{path}: cannot be read ({error})", hint="lines of WATERMARK CHAIN") from error
    listed = []
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if words and len(words) not in (2, 3):
            raise UsageError(
                f"{path}, line {number}: {line.strip()!r}", hint="write WATERMARK CHAIN, or a clip after it"
            )
        if words:
            listed.append((words[0], spelled(words[1]), *words[2:]))
    return listed
