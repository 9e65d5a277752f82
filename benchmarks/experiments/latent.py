"""Are the watermarks read from clips that the built-in model makes?

Clips of all scenes are sampled from marked noise (first draw), marked in their luma too, and both watermarks are read
after encoding.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.attacks import attack_clip
from benchmarks.marks import (
    LATENT_PURPOSE,
    MARKS,
    PIXEL_PURPOSE,
    SAMPLING_STEPS,
    bench_id,
    bench_key,
    built_in_model,
    prompt_of,
    weights_digests,
)
from benchmarks.report import Report, Table, write_report
from benchmarks.runs import Progress, Row, Task, run_tasks, seed_of
from benchmarks.tables import rate, rate_json, where
from benchmarks.videos import SceneShape, scene_subjects
from provenance.quality import psnr
from provenance.verdict import DETECTED_LOG10_P
from provenance.watermarks.latent import LatentWatermark
from provenance.watermarks.payload import Origin, format_id
from provenance.watermarks.pixel import PixelWatermark

CLIP_ARMS = (
    "latent/none", "latent/x264:23", "latent/x264:30", "pixel/none", "pixel/strip+x264:28",
    "latent-wrong-key/x264:23", "pixel-wrong-key/strip+x264:28",
)  # fmt: skip


def run_clips(
    out: Path, *, clips: int = 24, workers: int = 1, seed: int = 0, progress: Progress | None = None
) -> Report:
    """Sample `clips` clips, the scenes in turn, and read both watermarks; rows and report go into `out`."""
    built_in_model()  # what is wrong with the weights is wrong with every clip: say so at once
    tasks = [
        Task(f"latent/{subject.name}", CLIP_ARMS, {"subject": subject, "seed": seed}, seed_of(subject.name, seed))
        for subject in scene_subjects(clips, seed=seed, shape=SceneShape())
    ]
    settings = {"experiment": "latent-clips", "seed": seed, "clips": clips, "steps": SAMPLING_STEPS}
    settings["weights"] = weights_digests()
    rows = run_tasks(tasks, measure_clip, out, settings=settings, workers=workers, progress=progress)
    report = clips_report(rows, settings)
    write_report(report, out)
    return report


def measure_clip(task: Task) -> list[Row]:
    """Sample one clip from marked noise, mark its luma, and read both watermarks arm by arm."""
    subject, seed = task.arguments["subject"], task.arguments["seed"]
    key, other = bench_key(seed), bench_key(seed, "other")
    watermark_id = bench_id(task.seed, Origin.GENERATED)
    model, prompt = built_in_model(), prompt_of(subject)
    started = time.perf_counter()
    noise = LatentWatermark(key.stream(LATENT_PURPOSE), model.noise_shape).noise(
        watermark_id, np.random.default_rng(task.seed)
    )
    sampled = model.sample(noise, prompt, steps=SAMPLING_STEPS)
    took = round(time.perf_counter() - started, 2)
    clip = PixelWatermark(key.stream(PIXEL_PURPOSE)).embed(sampled, watermark_id)
    facts: Row = {"clip": subject.name, "prompt": prompt, "id": format_id(watermark_id)}
    rows = []
    for arm in task.arms:
        what, chain = arm.split("/", 1)
        mark = MARKS[what.removesuffix("-wrong-key")]
        started = time.perf_counter()
        reading = mark.read(attack_clip(clip, chain, task.seed), other if what.endswith("-wrong-key") else key)
        found = reading.log10_p is not None and reading.log10_p <= DETECTED_LOG10_P
        rows.append(
            {
                **facts,
                "arm": arm,
                "found": found,
                "exact": found and reading.watermark_id == watermark_id,
                "wrong_id": found and reading.watermark_id not in (None, watermark_id),
                "log10_p": None if reading.log10_p is None else round(reading.log10_p, 2),
                "seconds": round(time.perf_counter() - started, 2),
            }
        )
    rows[0] |= {"sampling_seconds": took, "psnr_db": round(psnr(sampled.luma, clip.luma), 3)}
    return rows


def clips_report(rows: Sequence[Row], settings: Row) -> Report:
    """Summarise the rows of `run_clips`."""
    lines = []
    results: dict[str, Any] = {}
    for arm in CLIP_ARMS:
        mine = where(rows, arm=arm)
        results[arm] = {field: rate_json(rate(mine, field)) for field in ("exact", "found", "wrong_id")}
        lines.append((arm.replace("/", " after "), str(rate(mine, "exact")), str(rate(mine, "found"))))
    note = "Shares of all clips with Wilson's 95 % interval; with another key, found should be 0."
    table = Table("Generated clips, both watermarks in each", ("reading", "exact id", "found"), tuple(lines), note)
    sentence = f"{settings['clips']} clips of 2 s, all scenes in turn, first draw, {settings['steps']} sampling steps."
    return Report("Watermarks in generated clips", (sentence,), (table,), (), settings, {"arms": results})
