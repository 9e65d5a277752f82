"""`bench false-alarms`: how often the pixel watermark's p-values are small where there is nothing to find.

A trial is a pair of clip and key. Three parts: the *identity* path (the whole frame, all starts, nonces and front
ends), the *full search* (mirror images and crops too), and the *final statistic* alone at random geometries and signs,
of which millions of draws are cheap. What does not depend on the key is computed once per clip. Negatives are of three
kinds: unmarked, marked under another key, marked under two others; each as it is and after x264.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.attacks import attack_clip
from benchmarks.metrics import poisson_band, super_uniform
from benchmarks.report import Report, Table, write_report
from benchmarks.runs import Progress, Row, Task, run_tasks, seed_of
from benchmarks.videos import SceneShape, Subject, fingerprint_of, load, scene_subjects, subjects
from provenance.errors import UnknownName
from provenance.keys import Key, KeyStream
from provenance.video import Clip
from provenance.watermarks import statistics
from provenance.watermarks.chunk import Chunk, Geometry, View
from provenance.watermarks.examining import KeyExaminer, Plan
from provenance.watermarks.front import FrontEnd
from provenance.watermarks.marking import Strength
from provenance.watermarks.payload import Origin, compose_id
from provenance.watermarks.pixel import PURPOSE, PixelWatermark
from provenance.watermarks.search import StepImages
from provenance.watermarks.tile import PAYLOAD_HARMONICS, SECTORS, harmonics

KINDS = ("unmarked", "another key", "two other keys")
CHAINS = ("none", "x264:28")
PARTS = ("identity", "search", "statistic")
LEVELS = (-3, -4, -5)
_BATCH = 20_000
_VERIFICATION = len(harmonics()) - SECTORS - 32 - PAYLOAD_HARMONICS


@dataclass(frozen=True)
class Trials:
    """How many trials each part makes in all."""

    identity: int = 100_000
    search: int = 1_000
    statistic: int = 10_000_000

    def of(self, part: str) -> int:
        """Return the number for one part."""
        return int(getattr(self, part))


def run_false_alarms(
    out: Path,
    *,
    videos: str | Path | None = None,
    trials: Trials | None = None,
    seconds: float = 2.0,
    use: str | None = None,
    corpus: Path | None = None,
    clips: int = 4,
    parts: Sequence[str] | None = None,
    workers: int = 1,
    seed: int = 0,
    progress: Progress | None = None,
) -> Report:
    """Count small p-values; rows and report go into `out`. A run that was stopped goes on where it was.

    videos: see `benchmarks.videos.subjects`; None renders `clips` scenes. clips: how many clips, per kind and chain.
    parts: of `PARTS`, all of them where None. Raises UnknownName for another.
    """
    trials, parts = trials or Trials(), tuple(parts or PARTS)
    for part in parts:
        if part not in PARTS:
            raise UnknownName("part", part, PARTS)
    if videos is None:
        chosen: list[Subject] = scene_subjects(clips, seed=seed, shape=SceneShape(360, 640, seconds))
    else:
        chosen = subjects(videos, use=use, seed=seed, corpus=corpus)[:clips]
    settings: Row = {"experiment": "false-alarms", "seed": seed, "seconds": seconds, "clips": [s.name for s in chosen]}
    settings |= {part: trials.of(part) for part in parts}
    settings["subjects"] = fingerprint_of(chosen)
    cells = [(subject, kind, chain) for subject in chosen for kind in KINDS for chain in CHAINS]
    tasks = [
        Task(
            f"{subject.name}/{kind}/{chain}",
            parts,
            {"subject": subject, "kind": kind, "chain": chain, "seconds": seconds}
            | {part: math.ceil(trials.of(part) / len(cells)) for part in parts},
            seed_of(f"{subject.name}/{kind}/{chain}", seed),
        )
        for subject, kind, chain in cells
    ]
    rows = run_tasks(tasks, measure_false_alarms, out, settings=settings, workers=workers, progress=progress)
    report = false_alarm_report(rows, settings, parts=parts)
    write_report(report, out)
    return report


def measure_false_alarms(task: Task) -> list[Row]:
    """The parts that are asked for, of one clip, kind and chain."""
    random = np.random.default_rng(task.seed)
    clip = load(task.arguments["subject"], task.arguments["seconds"])
    view = _view(_negative(clip, task.arguments["kind"], task.arguments["chain"], task.seed, random))
    images: dict[int, StepImages] = {}
    rows = []
    for part in task.arms:
        count = task.arguments[part]
        if part == "statistic":
            chances, wrong = _statistic(view, count, random), 0
        else:
            pairs = [_trial(view, _stream(random), images if part == "search" else None) for _ in range(count)]
            chances, wrong = np.array([pair[0] for pair in pairs]), sum(pair[1] for pair in pairs)
        counts: Row = {f"below 1e{level}": int((chances <= level).sum()) for level in LEVELS}
        if part == "search":
            counts["log10_p"] = np.round(chances, 2).tolist()
        rows.append(
            {"arm": part, "kind": task.arguments["kind"], "chain": task.arguments["chain"], "trials": count}
            | counts
            | {"ids": wrong, "least_log10_p": round(float(chances.min(initial=0.0)), 2)}
        )
    return rows


def _stream(random: np.random.Generator) -> KeyStream:
    return Key("trial", random.bytes(32)).stream(PURPOSE)


def _negative(clip: Clip, kind: str, chain: str, seed: int, random: np.random.Generator) -> Clip:
    for _ in range(KINDS.index(kind)):
        watermark_id = compose_id(Origin.UNSTATED, int(random.integers(1 << 61)))
        clip = PixelWatermark(_stream(random), Strength()).embed(clip, watermark_id)
    return attack_clip(clip, chain, seed)


def _view(clip: Clip) -> View:
    detail = FrontEnd(clip.width, clip.height).detail(clip.luma)
    chunk = Chunk(clip.times - clip.times[0], detail, (clip.width, clip.height), clip.frames_per_second)
    return chunk.view(Geometry.identity(clip.width, clip.height))


def _trial(view: View, stream: KeyStream, images: dict[int, StepImages] | None) -> tuple[float, int]:
    """Examine one clip under one key as verify would; return log10 p of presence after search, and ids read."""
    seconds = float(view.chunk.times[-1]) + 1 / view.chunk.frame_rate
    examiner = KeyExaminer(stream, Plan.of(seconds, 1), view.geometry)
    examiner.add(view)
    examiner.end_window()
    if images is not None and examiner.may_search:
        examiner.look_elsewhere(view, images)
    return statistics.presence_log10_p(examiner.best, examiner.tests), len(examiner.found)


def _statistic(view: View, count: int, random: np.random.Generator) -> np.ndarray:
    """Draw the keyed part of verification, places and phases, against values at random geometries and signs."""
    chances = []
    for first in range(0, count, _BATCH):
        values = _random_values(view, random)
        places = random.permutation(len(values))[:_VERIFICATION]
        phases = (2 * random.integers(0, 4, (min(_BATCH, count - first), _VERIFICATION)) + 1) * (np.pi / 4)
        chances.append(statistics.log10_phase_sum_tail(values[places], phases))
    return np.concatenate(chances)


def _random_values(view: View, random: np.random.Generator) -> np.ndarray:
    """Complex (368,): sums under a random geometry and random signs over time, weighted as the reader weights them."""
    whole = view.geometry
    scale = np.exp(random.uniform(math.log(0.8), math.log(2.0), 2))
    flips = random.choice([-1, 1], 2)
    shift = tuple(random.random(2).tolist())
    geometry = Geometry(
        whole.period_x * scale[0], whole.period_y * scale[1], int(flips[0]), int(flips[1]), (shift[0], shift[1])
    )
    seen = view.chunk.view(geometry)
    on, off = seen.filtered[int(random.integers(2))]
    signs = random.choice([-1.0, 1.0], len(on))
    return np.asarray(signs @ on / max(float((np.abs(signs @ off) ** 2).mean()), 1e-30))


def false_alarm_report(
    rows: Sequence[Row],
    settings: Row,
    *,
    title: str = "False alarms of the pixel watermark",
    parts: Sequence[str] = PARTS,
    kinds: Sequence[str] = KINDS,
) -> Report:
    """Summarise the rows of `run_false_alarms` and of `run_latent_false_alarms`."""
    good = [row for row in rows if "error" not in row]
    lines, excess = [], 0
    for part in parts:
        for kind in kinds:
            these = [row for row in good if row["arm"] == part and row["kind"] == kind]
            count = sum(row["trials"] for row in these)
            cells = []
            for level in LEVELS:
                seen, most = sum(row[f"below 1e{level}"] for row in these), poisson_band(count * 10.0**level)[1]
                excess += seen > most
                cells.append(f"{seen} (at most {most})")
            ids = str(sum(row["ids"] for row in these)) if part != "statistic" else ""
            lines.append((part, kind, f"{count:,}", *cells, ids))
    wrong, failed = sum(row["ids"] for row in good), len(rows) - len(good)
    summary: tuple[str, ...] = (
        f"{excess} of {len(lines) * len(LEVELS)} counts exceed the exact Poisson 99 % band; "
        f"{wrong} ids were read where there are none; {failed} parts failed.",
        "After search p-values are bounds: counts below the band are expected there.",
    )
    searched = {
        kind: [p for row in good if row["arm"] == "search" and row["kind"] == kind for p in row.get("log10_p", [])]
        for kind in kinds
    }
    likely = [f"{kind} {super_uniform(chances):.2g}, n={len(chances)}" for kind, chances in searched.items() if chances]
    if likely:
        summary += (
            "How likely p-values of the full search that are no smaller than chance allows look as small "
            f"(Kolmogorov-Smirnov, one-sided): {'; '.join(likely)}.",
        )
    table = Table(
        "Small p-values without a watermark under the key",
        ("part", "clip", "trials", *(f"p <= 1e{level}" for level in LEVELS), "ids"),
        tuple(lines),
    )
    results = {"rows": list(rows), "excess": excess, "ids": wrong, "failed": failed}
    return Report(title, summary, (table,), (), settings, results)
