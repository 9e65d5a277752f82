"""`bench watermarks`: how much of a watermark survives which attack, and how often it is seen where there is none.

Each clip is marked once, attacked in memory by every chain of the suite, and read blindly. Some clips (a fixed balanced
choice per chain) are also read under another key and, unmarked, under the right one: the false alarms beside the hits.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.attacks import attack_clip, parse_chain
from benchmarks.marks import MARKS, Twins, bench_id, bench_key, built_in_model, weights_digests
from benchmarks.report import write_report
from benchmarks.runs import Progress, Row, Task, run_tasks, seed_of
from benchmarks.tables import watermark_report
from benchmarks.videos import SceneShape, Subject, fingerprint_of, scene_subjects, subjects
from provenance.errors import UnknownName, UsageError
from provenance.quality import psnr, ssim
from provenance.verdict import DETECTED_LOG10_P
from provenance.video import Clip
from provenance.watermarks.payload import Origin, format_id

QUICK_CHAINS = (
    "none", "strip", "x264:23", "x264:28", "x264:35", "x264:40", "x265:28", "resize:.5", "resize:.71", "crop:.9",
    "crop:.71", "brightness:.5", "drop:.2", "flip", "trim:.5", "resize:.5+x264:28", "crop:.71+brightness:.5+x264:40",
)  # fmt: skip
STANDARD_CHAINS = (
    *QUICK_CHAINS, "x264:18", "x264:30", "x264:45", "x265:23", "x265:35", "x265:40", "vp9:31", "vp9:41", "av1:35",
    "av1:45", "resize:.32", "resize:1.5", "crop:.8", "crop:.55", "brightness:1.5", "contrast:.5", "contrast:1.5",
    "noise:.02", "noise:.05", "fps:15", "fps:30", "drop:.5", "crop:.9+x264:28", "x264:28+av1:45",
)  # fmt: skip


@dataclass(frozen=True)
class Suite:
    """What a run measures.

    clips, generated: how many scenes are rendered where no videos are named, and how many clips the model makes.
    negatives: how many clips, per chain and kind, are read where there is nothing to find. seconds: of longer videos
    only so many are measured. shape: of rendered scenes.
    """

    chains: tuple[str, ...]
    clips: int
    generated: int
    negatives: int
    seconds: float
    shape: SceneShape


SUITES = {
    "quick": Suite(QUICK_CHAINS, 8, 4, 2, 2.0, SceneShape(360, 640, 2.0)),
    "standard": Suite(STANDARD_CHAINS, 24, 24, 4, 4.0, SceneShape(480, 848, 2.0)),
}


def run_watermarks(
    *,
    suite: str = "quick",
    videos: str | Path | None = None,
    out: Path,
    watermarks: Sequence[str] = ("pixel", "latent"),
    chains: Sequence[str] | None = None,
    workers: int = 1,
    seed: int = 0,
    use: str | None = None,
    corpus: Path | None = None,
    progress: Progress | None = None,
) -> list[Row]:
    """Measure, and write rows.jsonl, results.json, report.md and report.html into `out`; returns the rows.

    videos: see `benchmarks.videos.subjects`; None renders scenes. The latent watermark is always measured on clips
    that the built-in model makes. chains: instead of the suite's. A run that was stopped goes on where it was.
    Raises UnknownName for a suite, watermark or attack, UsageError and CannotRead for the videos, WeightsError.
    """
    plan = planned(suite, chains)
    for name in watermarks:
        if name not in MARKS:
            raise UnknownName("watermark", name, MARKS)
    if "latent" in watermarks:
        built_in_model()  # what is wrong with the weights is wrong with every clip: say so at once
    source = str(videos) if videos is not None else f"scenes:{plan.clips}"
    clips = {
        "pixel": subjects(source, use=use, seed=seed, shape=plan.shape, corpus=corpus) if "pixel" in watermarks else [],
        "latent": scene_subjects(plan.generated, seed=seed, shape=plan.shape),
    }
    tasks = [task for name in watermarks for task in _tasks(name, clips[name], plan, seed)]
    settings = {
        "experiment": "watermarks", "suite": suite, "seed": seed, "videos": source.rsplit("/", 1)[-1], "use": use,
        "chains": list(plan.chains), "watermarks": list(watermarks), "seconds": plan.seconds,
    }  # fmt: skip
    settings["subjects"] = fingerprint_of(clips["pixel"] + clips["latent"])
    if "latent" in watermarks:
        settings["weights"] = weights_digests()
    rows = run_tasks(tasks, measure, out, settings=settings, workers=workers, progress=progress)
    write_report(watermark_report(rows, settings), out)
    return rows


def planned(suite: str, chains: Sequence[str] | None) -> Suite:
    """Return the suite of that name, with other chains if some are given; all in canonical spelling."""
    if suite not in SUITES:
        raise UnknownName("suite", suite, SUITES)
    spelled = tuple(dict.fromkeys(str(parse_chain(chain)) for chain in chains or SUITES[suite].chains))
    if not spelled:
        raise UsageError("there is no attack to measure", hint="name some, or leave --attacks away")
    return replace(SUITES[suite], chains=spelled)


def _tasks(mark: str, clips: Sequence[Subject], plan: Suite, seed: int) -> list[Task]:
    tasks = []
    for position, subject in enumerate(clips):
        checked = [
            chain
            for number, chain in enumerate(plan.chains)
            if (position - number * plan.negatives) % max(len(clips), 1) < plan.negatives
        ]
        kinds = {
            chain: ("marked", "wrong-key", "unmarked") if chain in checked else ("marked",) for chain in plan.chains
        }
        arms = [f"{kind}/{chain}" for chain in plan.chains for kind in kinds[chain]]
        name = f"{mark}/{subject.name}"
        arguments = {"mark": mark, "subject": subject, "seconds": plan.seconds, "seed": seed}
        tasks.append(Task(name, tuple(arms), arguments, seed_of(name, seed)))
    return tasks


def measure(task: Task) -> list[Row]:
    """Mark one clip, attack and read it; one row per arm."""
    mark, subject, seed = MARKS[task.arguments["mark"]], task.arguments["subject"], task.arguments["seed"]
    key, other = bench_key(seed), bench_key(seed, "other")
    origin = Origin.GENERATED if mark.name == "latent" else Origin.CAPTURED
    watermark_id = bench_id(task.seed, origin)
    twins = mark.twins(subject, watermark_id, key, task.seed, task.arguments["seconds"])
    facts = {"watermark": mark.name, "clip": subject.name, "source": subject.source, "sha256": subject.sha256}
    facts |= {"width": twins.marked.width, "height": twins.marked.height, "frames": len(twins.marked)}
    quality = _quality(twins)
    attacked: tuple[str, bool, Clip] | None = None  # the newest only: clips are large
    rows = []
    for arm in task.arms:
        kind, chain = arm.split("/", 1)
        started = time.perf_counter()
        row = {**facts, "arm": arm, "kind": kind, "chain": chain}
        try:
            if attacked is None or attacked[:2] != (chain, kind == "unmarked"):
                clip = twins.unmarked if kind == "unmarked" else twins.marked
                attacked = chain, kind == "unmarked", attack_clip(clip, chain, task.seed)
            reading = mark.read(attacked[2], other if kind == "wrong-key" else key)
        except Exception as error:  # one arm that breaks is a row, and the others go on
            rows.append({**row, "error": f"{type(error).__name__}: {error}"[:300]})
            continue
        found = reading.log10_p <= DETECTED_LOG10_P
        read_id = reading.watermark_id if found else None
        rows.append(
            {
                **row,
                "found": found,
                "exact": kind == "marked" and read_id == watermark_id,
                "wrong_id": read_id is not None and (kind != "marked" or read_id != watermark_id),
                "id": format_id(watermark_id),
                "read_id": format_id(read_id) if read_id is not None else None,
                "log10_p": round(reading.log10_p, 2),
                "seconds": round(time.perf_counter() - started, 2),
                **(quality if arm == "marked/none" else {}),
            }
        )
    return rows


def _quality(twins: Twins) -> Row:
    if not twins.comparable:
        return {}
    every = slice(None, None, max(1, len(twins.marked) // 8))
    return {
        "psnr_db": round(psnr(twins.unmarked.luma, twins.marked.luma), 3),
        "ssim": round(ssim(twins.unmarked.luma[every], twins.marked.luma[every]), 5),
    }
