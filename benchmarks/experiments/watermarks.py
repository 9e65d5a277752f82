"""`bench watermarks`: how much of a watermark survives which attack, and how often it is seen where there is none.

Each clip is marked once, attacked in memory by every chain of the suite, and read blindly. Some clips (a fixed balanced
choice per chain) are also read under another key and, unmarked, under the right one: the false alarms beside the hits.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks import picture_quality
from benchmarks.attacks import attack_clip
from benchmarks.design import balanced_design
from benchmarks.marks import (
    MARKS,
    Mark,
    MarkReading,
    Twins,
    bench_key,
    bench_message,
    built_in_model,
    mark_named,
    weights_digests,
)
from benchmarks.report import write_report
from benchmarks.runs import Progress, Row, Task, reason_of, run_tasks, seed_of
from benchmarks.samples import closest_looks, worst_samples
from benchmarks.suites import Suite, planned
from benchmarks.tables import watermark_report
from benchmarks.videos import Subject, balanced, fingerprint_of, of_lines, scene_subjects, subjects
from provenance.errors import NeedsExtra
from provenance.quality import psnr, ssim
from provenance.verdict import DETECTED_LOG10_P
from provenance.video import Clip
from provenance.video.write import write_clip
from provenance.watermarks.payload import Origin

SIZE_CRF = 23
"""The quality at which files with and without watermark are compared."""


def run_watermarks(
    *,
    suite: str = "quick",
    videos: str | Path | None = None,
    out: Path,
    watermarks: Sequence[str | Mark] | None = None,
    chains: Sequence[str] | None = None,
    clips: int | None = None,
    workers: int = 1,
    ray_address: str | None = None,
    seconds_per_task: float | None = None,
    seed: int = 0,
    use: str | None = None,
    corpus: Path | None = None,
    seconds: float | None = None,
    lines: tuple[int, int | None] | None = None,
    samples: int = 3,
    progress: Progress | None = None,
) -> list[Row]:
    """Measure, and write rows.jsonl, results.json, report.md and report.html into `out`; returns the rows.

    videos: see `benchmarks.videos.subjects`; None renders scenes. The latent watermark is always measured on clips
    that the built-in model makes. watermarks: names, or marks themselves; None takes the suite's, without the peers
    that are not installed, which the report names. chains: instead of the suite's. clips: at most so many.
    seconds: of every clip, instead of the suite's; a shorter one is played to and fro. lines: only clips whose shorter
    side has at least, and where that is said at most, so many pixels.
    samples: how many of the worst cells the page plays, of rendered scenes only; with none, no close look either.
    A run that was stopped goes on where it was.
    Raises UnknownName for a suite, watermark or attack, NeedsExtra for a peer that was named and is not installed,
    UsageError and CannotRead for the videos, WeightsError.
    """
    plan = planned(suite, chains, seconds)
    marks, missing = _marks(plan, watermarks)
    if any(mark.name == "latent" for mark in marks):
        built_in_model()  # what is wrong with the weights is wrong with every clip: say so at once
    source = str(videos) if videos is not None else f"scenes:{plan.clips}"
    finished = any(mark.name != "latent" for mark in marks)
    found = subjects(source, use=use, seed=seed, shape=plan.shape, corpus=corpus) if finished else []
    if lines is not None and found:
        found = of_lines(found, *lines)
    if plan.lengthens:
        found = [replace(one, least_seconds=plan.seconds) for one in found]
    made = scene_subjects(plan.generated, seed=seed, shape=plan.shape)
    if clips is not None:
        found, made = balanced(found, clips), made[:clips]
    tasks = [task for mark in marks for task in _tasks(mark, made if mark.name == "latent" else found, plan, seed)]
    settings = {
        "experiment": "watermarks", "suite": suite, "seed": seed, "videos": source.rstrip("/").rsplit("/", 1)[-1],
        "use": use, "chains": list(plan.chains), "watermarks": [mark.name for mark in marks], "seconds": plan.seconds,
        "search": {mark.name: mark.search for mark in marks}, "bits": {mark.name: mark.bits for mark in marks},
        "lengthens": plan.lengthens, "not_measured": missing, "subjects": fingerprint_of(found + made),
    }  # fmt: skip
    if any(mark.name == "latent" for mark in marks):
        settings["weights"] = weights_digests()
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
    known = {task.name: task for task in tasks}

    def remake(row: Row) -> tuple[Clip, Clip, Clip]:
        return remade(known[row["task"]], row)

    played = worst_samples(rows, remake, count=samples) if samples else ()
    looks = closest_looks(rows, remake) if samples else ()
    write_report(watermark_report(rows, settings, played, looks), out)
    return rows


def _marks(plan: Suite, chosen: Sequence[str | Mark] | None) -> tuple[list[Mark], dict[str, str]]:
    """Return the marks to measure, and those of the suite that cannot be, with the reason."""
    if chosen is not None:
        return [mark_named(one) if isinstance(one, str) else one for one in chosen], {}
    marks, missing = [], {}
    for name in plan.watermarks:
        try:
            marks.append(mark_named(name))
        except NeedsExtra as error:
            missing[name] = f"{error} ({error.hint})"
    return marks, missing


def _tasks(mark: Mark, clips: Sequence[Subject], plan: Suite, seed: int) -> list[Task]:
    names, sources = [one.name for one in clips], [one.source for one in clips]
    marked = balanced_design(names, plan.chains, plan.per_chain, seed, sources)
    checked = balanced_design(names, plan.chains, plan.negatives, seed + 1, sources)
    tasks = []
    for subject in clips:
        arms = [
            f"{kind}/{chain}"
            for chain in plan.chains
            for kind, design in (("marked", marked), ("wrong-key", checked), ("unmarked", checked))
            if chain in design[subject.name] or (kind, chain) == ("marked", "none")
        ]
        name = f"{mark.name}/{subject.name}"
        arguments = {"mark": mark, "subject": subject, "seconds": plan.seconds, "seed": seed}
        facts = {"watermark": mark.name, "clip": subject.name, "source": subject.source, "sha256": subject.sha256}
        tasks.append(Task(name, tuple(arms), arguments, seed_of(name, seed), facts))
    return tasks


def measure(task: Task) -> list[Row]:
    """Mark one clip, attack and read it; one row per arm."""
    mark: Mark = task.arguments["mark"]
    subject: Subject = task.arguments["subject"]
    key, other = bench_key(task.arguments["seed"]), bench_key(task.arguments["seed"], "other")
    message, strange = (bench_message(mark, task.seed + turn, _origin(mark)) for turn in (0, 1))
    twins = mark.twins(subject, message, key, task.seed, task.arguments["seconds"])
    facts = {**task.facts, "width": twins.marked.width, "height": twins.marked.height, "frames": len(twins.marked)}
    if twins.lengthened:
        facts["to_and_fro"] = True
    attacked: tuple[str, bool, Clip] | None = None  # the newest only: clips are large
    rows = []
    for arm in task.arms:
        kind, _, chain = arm.partition("/")
        started = time.perf_counter()
        row = {**facts, "arm": arm, "kind": kind, "chain": chain}
        try:
            clip = twins.unmarked if kind == "unmarked" else twins.marked
            if attacked is None or attacked[:2] != (chain, kind == "unmarked"):
                attacked = chain, kind == "unmarked", attack_clip(clip, chain, task.seed)
            reading_started = time.perf_counter()
            asked, expected = (other, strange) if kind == "wrong-key" else (key, message)
            reading = mark.read(attacked[2], asked, expected, (clip.height, clip.width))
            row["read_seconds"] = round(time.perf_counter() - reading_started, 2)
            row |= _said(mark, reading, expected, kind)
            if kind == "marked":
                row["attacked"] = left_over(clip, attacked[2])
            if arm == "marked/none":
                row |= _cost(twins)
        except Exception as error:  # one arm that breaks is a row, and the others go on
            rows.append({**facts, "arm": arm, "kind": kind, "chain": chain, "error": reason_of(error)})
            continue
        rows.append({**row, "seconds": round(time.perf_counter() - started, 2)})
    return rows


def remade(task: Task, row: Row) -> tuple[Clip, Clip, Clip]:
    """Make the clips behind a row once more: unmarked, marked, attacked."""
    mark: Mark = task.arguments["mark"]
    message = bench_message(mark, task.seed, _origin(mark))
    key = bench_key(task.arguments["seed"])
    twins = mark.twins(task.arguments["subject"], message, key, task.seed, task.arguments["seconds"])
    return twins.unmarked, twins.marked, attack_clip(twins.marked, row["chain"], task.seed)


def _origin(mark: Mark) -> Origin:
    return Origin.GENERATED if mark.name == "latent" else Origin.CAPTURED


def _said(mark: Mark, reading: MarkReading, expected: int, kind: str) -> Row:
    """What a reading says, beside what it should."""
    found = reading.log10_p is not None and reading.log10_p <= DETECTED_LOG10_P
    gated = mark.name in MARKS  # ours name an id only with a chance; others say what they read, come what may
    read = reading.message if found or not gated else None
    right = mark.bits / 2 if read is None or reading.bits_right is None else reading.bits_right  # silence is guessing
    digits = -(-mark.bits // 4)
    return {
        "found": found,
        "exact": kind == "marked" and read == expected,
        "wrong_id": read is not None and (kind != "marked" or read != expected),
        "id": f"{expected:0{digits}x}",
        "read_id": None if read is None else f"{read:0{digits}x}",
        "log10_p": None if reading.log10_p is None else round(reading.log10_p, 2),
        "bits": mark.bits,
        "bit_accuracy": round(right / mark.bits, 4),
        "seconds_marked": [[round(begin, 2), round(end, 2)] for begin, end in reading.spans],
    }


def left_over(clip: Clip, attacked: Clip) -> Row | None:
    """PSNR and SSIM of an attacked clip against the one before, in luma; None where frames do not correspond."""
    if clip.frames.shape != attacked.frames.shape or not np.allclose(clip.times, attacked.times, atol=1e-3):
        return None
    every = slice(None, None, max(1, len(clip) // 8))
    level = psnr(clip.luma[every], attacked.luma[every])
    return {
        "psnr_db": round(min(level, 100.0), 2),
        "ssim": round(ssim(clip.luma[every], attacked.luma[every]), 4),
    }


def _cost(twins: Twins) -> Row:
    """What the watermark does to the pictures, and to a file at one quality; nothing where twins are two clips."""
    if not twins.comparable:
        return {}
    quality = picture_quality.compare(twins.unmarked, twins.marked)
    return {
        "psnr_db": round(min(quality.psnr_db, 100.0), 3),
        "ssim": round(quality.ssim, 5),
        "vmaf": _rounded(quality.vmaf, 2),
        "flicker": _rounded(quality.flicker.ratio, 4),
        "flicker_levels": _rounded(quality.flicker.levels, 4),
        "embed_seconds": _rounded(twins.embed_seconds, 2),
        "size_ratio": round(_bytes(twins.marked) / _bytes(twins.unmarked), 4),
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _bytes(clip: Clip) -> int:
    with tempfile.TemporaryDirectory(prefix="countermark-size-") as name:
        path = Path(name) / "clip.mp4"
        write_clip(clip, path, crf=SIZE_CRF)
        return path.stat().st_size
