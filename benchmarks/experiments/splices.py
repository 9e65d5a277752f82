"""`bench splices`: shots with an id each, joined to one film: which ids are found, and in which seconds?

The shots of a film come from different sources, have one size and one rate, and are marked under one key before they
are joined; the film is then attacked and read blindly.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from benchmarks.attacks import attack_clip
from benchmarks.marks import PIXEL_PURPOSE, bench_id, bench_key
from benchmarks.metrics import Rate
from benchmarks.report import Report, Table, write_report
from benchmarks.runs import Progress, Row, Task, run_tasks, seed_of
from benchmarks.tables import rate, rate_json, where
from benchmarks.videos import SceneShape, Subject, fingerprint_of, lengthened, load, subjects
from provenance.errors import UsageError
from provenance.evidence import Span
from provenance.verdict import DETECTED_LOG10_P
from provenance.video import Clip
from provenance.watermarks.payload import Origin, format_id
from provenance.watermarks.pixel import PixelWatermark

FILMS = 100
SHOTS = 3
CHAINS = ("none", "x264:28")
SHOT_SECONDS = (2.0, 6.0)
"""Shots are between so many seconds long; a clip that has less is played to and fro."""

SIZE, FRAMES_PER_SECOND = (854, 480), 24.0
CLOSE_SECONDS = 0.5
"""How far the seconds that are named for an id may be off."""

SHOWN = 30
"""Films that are not right, named one by one, at most."""


def run_splices(
    out: Path,
    *,
    videos: str | Path | None = None,
    use: str | None = None,
    corpus: Path | None = None,
    films: int = FILMS,
    workers: int = 1,
    ray_address: str | None = None,
    seconds_per_task: float | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Row]:
    """Mark, join, attack and read `films` films of three shots; rows and report go into `out`. Returns the rows.

    videos: as in `benchmarks.videos.subjects`, from at least three sources; None renders scenes.
    Raises UsageError for fewer sources, and what `subjects` raises.
    """
    source = str(videos) if videos is not None else "scenes:24"
    found = subjects(source, use=use, seed=seed, shape=_shape(), corpus=corpus)
    tasks = []
    for number in range(films):
        name = f"splices/{number:03d}"
        shots = _drawn(found, seed_of(name, seed))
        facts = {"clip": name, "source": "+".join(shot.source for shot in shots)}
        tasks.append(Task(name, CHAINS, {"shots": shots, "seed": seed}, seed_of(name, seed), facts))
    settings = {
        "experiment": "splices", "seed": seed, "films": films, "use": use, "subjects": fingerprint_of(found),
        "videos": source.rstrip("/").rsplit("/", 1)[-1], "shot_seconds": list(SHOT_SECONDS), "size": list(SIZE),
        "frames_per_second": FRAMES_PER_SECOND,
    }  # fmt: skip
    rows = run_tasks(
        tasks,
        measure,
        out,
        settings=settings,
        workers=workers,
        ray_address=ray_address,
        seconds_per_task=seconds_per_task,
        progress=progress,
    )
    write_report(splices_report(rows, settings), out)
    return rows


def _shape() -> SceneShape:
    """Of the scenes that are rendered where no videos are named."""
    return SceneShape(SIZE[1], SIZE[0], SHOT_SECONDS[1], round(FRAMES_PER_SECOND))


def _drawn(found: Sequence[Subject], seed: int) -> tuple[Subject, ...]:
    """Draw the shots of one film, no two from one source."""
    sources = sorted({one.source for one in found})
    if len(sources) < SHOTS:
        raise UsageError(f"{len(sources)} sources make no film of {SHOTS} shots", hint="name clips of more sources")
    random = np.random.default_rng(seed)
    chosen = random.choice(sources, SHOTS, replace=False)
    members = [[one for one in found if one.source == source] for source in chosen]
    return tuple(several[random.integers(len(several))] for several in members)


def measure(task: Task) -> list[Row]:
    """Make one film and read it arm by arm."""
    random = np.random.default_rng(task.seed)
    watermark = PixelWatermark(bench_key(task.arguments["seed"]).stream(PIXEL_PURPOSE))
    truth: dict[int, Span] = {}
    frames: list[np.ndarray] = []
    for number, subject in enumerate(task.arguments["shots"]):
        shot = _shot(subject, float(random.uniform(*SHOT_SECONDS)))
        watermark_id = bench_id(task.seed + number, Origin.CAPTURED)
        begin = sum(map(len, frames)) / FRAMES_PER_SECOND
        truth[watermark_id] = begin, begin + len(shot) / FRAMES_PER_SECOND
        frames.append(watermark.embed(shot, watermark_id).frames)
    film = Clip.at_rate(np.concatenate(frames), FRAMES_PER_SECOND)
    facts = {**task.facts, "shots": [[format_id(one), *map(_hundredths, span)] for one, span in truth.items()]}
    rows = []
    for chain in task.arms:
        started = time.perf_counter()
        read = _read(attack_clip(film, chain, task.seed), watermark)
        errors = {one: span_error(read.get(one, ()), span) for one, span in truth.items()}
        rows.append(
            {
                **facts,
                "arm": chain,
                "ids": sum(one in read for one in truth),
                "all_ids": all(one in read for one in truth),
                "wrong_id": any(one not in truth for one in read),
                "worst_seconds": _hundredths(max(errors.values())) if all(one in read for one in truth) else None,
                "close": max(errors.values()) <= CLOSE_SECONDS,
                "read": [[format_id(one), [list(map(_hundredths, span)) for span in of]] for one, of in read.items()],
                "seconds": round(time.perf_counter() - started, 2),
            }
        )
    return rows


def _hundredths(value: float) -> float:
    return round(value, 2)


def _shot(subject: Subject, seconds: float) -> Clip:
    """The first seconds of a clip in the film's size and rate, cut at the sides or at top and bottom to its aspect."""
    clip = lengthened(load(subject, seconds), seconds)
    wanted = np.arange(round(seconds * FRAMES_PER_SECOND)) / FRAMES_PER_SECOND
    nearest = np.abs(clip.times[None] - clip.times[0] - wanted[:, None]).argmin(axis=1)
    width = min(clip.width, round(clip.height * SIZE[0] / SIZE[1]))
    height = min(clip.height, round(clip.width * SIZE[1] / SIZE[0]))
    left, top = (clip.width - width) // 2, (clip.height - height) // 2
    inside = clip.frames[:, top : top + height, left : left + width]
    way = cv2.INTER_AREA if width > SIZE[0] else cv2.INTER_CUBIC
    scaled = {index: cv2.resize(inside[index], SIZE, interpolation=way) for index in np.unique(nearest)}
    return Clip.at_rate(np.stack([scaled[index] for index in nearest]), FRAMES_PER_SECOND)


def _read(film: Clip, watermark: PixelWatermark) -> dict[int, tuple[Span, ...]]:
    return {
        found.watermark_id: found.spans
        for found in watermark.examine(film)
        if found.watermark_id is not None and found.log10_p is not None and found.log10_p <= DETECTED_LOG10_P
    }


def span_error(claimed: Sequence[Span], true: Span) -> float:
    """Return by how many seconds what is claimed is off at worst: at its beginning, its end, or in a gap between."""
    if not claimed:
        return float("inf")
    ordered = sorted(claimed)
    gaps = [after[0] - before[1] for before, after in itertools.pairwise(ordered)]
    return max([abs(ordered[0][0] - true[0]), abs(ordered[-1][1] - true[1]), *gaps])


def splices_report(rows: Sequence[Row], settings: Mapping[str, object]) -> Report:
    """Summarise the rows of `run_splices`."""
    lines, results = [], {}
    for chain in CHAINS:
        mine = where(rows, arm=chain)
        ids = Rate.of([None if "error" in row else number < row["ids"] for row in mine for number in range(SHOTS)])
        results[chain] = {field: rate_json(rate(mine, field)) for field in ("all_ids", "close", "wrong_id")}
        results[chain]["ids"] = rate_json(ids)
        known = [row["worst_seconds"] for row in mine if row.get("worst_seconds") is not None]
        worst = f"{np.median(known):.2f}; {max(known):.2f}" if known else "–"
        lines.append((chain, *(str(rate(mine, name)) for name in ("all_ids", "close")), str(ids), worst,
                      str(rate(mine, "wrong_id"))))  # fmt: skip
    header = (
        "attack", "all three ids", f"all of them within {CLOSE_SECONDS:g} s", "ids", "seconds off: median; worst",
        "wrong ids",
    )  # fmt: skip
    note = "Off: the largest distance between where an id begins and ends and where its seconds do, or a gap between."
    sentence = (
        f"{settings['films']} films of {SHOTS} shots of {SHOT_SECONDS[0]:g} to {SHOT_SECONDS[1]:g} s, {SIZE[0]} x "
        f"{SIZE[1]}, each shot from another source and marked with an id of its own under one key."
    )
    table = Table("Films of three marked shots", header, tuple(lines), note)
    return Report("Spliced films", (sentence,), (table, *_off(rows)), (), dict(settings), {"arms": results})


def _off(rows: Sequence[Row]) -> tuple[Table, ...]:
    """The films in which an id or its seconds are not right, shot by shot; no table where there is none."""
    lines = []
    for row in rows:
        if "error" in row or (row["close"] and not row["wrong_id"]):
            continue
        read = dict(row["read"])
        shots = [(name, f"{begin:g}-{end:g}", read.pop(name, [])) for name, begin, end in row["shots"]]
        said = [f"{true}: {_seconds(spans)}" for _, true, spans in shots]
        said += [f"no shot: {_seconds(spans)}" for spans in read.values()]
        lines.append((row["clip"], row["arm"], "; ".join(said)))
    note = f"Seconds of each shot: those that were said of its id. Not more than {SHOWN} are shown."
    header = ("film", "attack", "seconds")
    return (Table("Films that are not right", header, tuple(lines[:SHOWN]), note),) if lines else ()


def _seconds(spans: Sequence[Sequence[float]]) -> str:
    return ", ".join(f"{begin:g}-{end:g}" for begin, end in spans) or "not read"


__all__ = ["CHAINS", "FILMS", "measure", "run_splices", "span_error", "splices_report"]
