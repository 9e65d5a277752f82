"""`bench watermarks`: how much of a watermark survives which attack, and how often it is seen where there is none.

Each clip is marked once, attacked in memory by every chain of the suite, and read blindly. Some clips (a fixed balanced
choice per chain) are also read under another key and, unmarked, under the right one: the false alarms beside the hits.
"""

from __future__ import annotations

import math
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
FULL_CHAINS = (
    *STANDARD_CHAINS,
    # codecs; bitrates have the bits per pixel that 4, 2, 1 and .5 Mb/s have at 1080 lines
    "x264:50", "x264-veryfast:28", "x264-rgb:30", "x264-rate:800", "x264-rate:400", "x264-rate:200", "x264-rate:100",
    "x265:30", "x265:45", "x265:50", "x265-10bit:28+x264:28", "vp9:51", "av1:30", "av1:55", "av1:63", "mpeg4:5",
    "mpeg4:10", "mjpeg:5", "jpeg:90", "jpeg:80", "jpeg:60", "jpeg:40", "jpeg:20", "gif",
    # geometry
    "flip-vertical", "turn:1", "turn:2", "rotate:1", "rotate:2", "rotate:5", "rotate:10", "rotate:30", "rotate:45",
    "rotate-crop:5", "rotate-crop:10", "resize:.55", "resize:2", "resize-restored:.32", "resize-restored:.5",
    "resize-restored:.71", "crop:.32", "crop-restored:.9", "crop-restored:.71", "crop-restored:.55", "crop-random:.8",
    "crop-random:.55", "crop-random-restored:.9", "crop-random-restored:.71", "aspect:1.3333", "aspect:.5625",
    "perspective:.1", "perspective:.3", "perspective:.5", "translate:50", "letterbox:.12", "picture-in-picture:.5",
    "jitter:.01", "zoom:.02",
    # time, for clips of two seconds
    "drop:.05", "drop-burst:6", "keep-every:4", "trim:1", "trim:1.5", "trim-end:.5", "trim-end:1", "trim-end:1.5",
    "trim-middle:.5", "trim-middle:1", "insert:13", "insert:29", "insert:61", "replace:15", "replace:31", "replace:46",
    "swap:.1", "swap:.2", "reorder:4", "reverse", "fps:12", "fps:60", "fps-blend:15", "fps-blend:30", "fps-blend:60",
    "speed:.5", "speed:.8", "speed:1.25", "speed:2", "average:3", "average:5", "freeze:.5", "splice:2", "splice:3",
    "single-frame:0",
    # values
    "brightness:.25", "brightness:2", "saturation:0", "saturation:.5", "saturation:1.5", "hue:.1", "hue:-.1", "hue:.25",
    "gamma:.7", "gamma:1.5", "lut:1", "noise:.01", "noise:.1", "noise:.15", "noise:.2", "salt-pepper:.05", "blur:.5",
    "blur:1", "blur:1.5", "blur:3", "blur-kernel:9", "blur-kernel:17", "median:3", "median:5", "median:9", "sharpen:1",
    "denoise-nlmeans:6", "denoise-temporal:8", "posterise:4", "moire:.1",
    # edits
    "titles:.1", "logo:.02", "logo:.1", "overlay:.2", "region:.1", "region:.25",
    # several after one another
    "crop:.71+brightness:.5+x264:23", "crop:.71+brightness:.5+x264:30", "crop:.71+brightness:.5+x264:50",
    "rotate:5+crop:.8+x264:30", "crop:.8+drop:.2", "social", "screen-capture", "youtube", "whatsapp", "tiktok", "x",
    # regeneration
    "autoencoder:1", "autoencoder:4", "diffusion:.1", "diffusion:.2", "diffusion:.3", "diffusion:.5",
    "diffusion:.2+diffusion:.2", "super-resolution",
)  # fmt: skip
"""Section 13 of our reference page on watermarks, save what needs another watermark, an optimiser or many clips."""
VIDEOMARKBENCH_CHAINS = (
    "noise:.01", "noise:.05", "noise:.1", "noise:.15", "noise:.2",
    "blur:.1", "blur:.5", "blur:1", "blur:1.5",
    "jpeg:90", "jpeg:80", "jpeg:60", "jpeg:40", "jpeg:20",
    *(f"crop-random-restored:{math.sqrt(area)}" for area in (0.98, 0.96, 0.94, 0.92, 0.90)),
    "average:1", "average:2", "average:3", "average:4", "average:5",
    "swap:0", "swap:.05", "swap:.1", "swap:.15", "swap:.2",
    "drop:0", "drop:.05", "drop:.1", "drop:.15", "drop:.2",
)  # fmt: skip
"""VideoMarkBench's 34 common perturbations outside codecs (Jiang et al., arXiv 2505.21620), after its published code.

The code gives the methods; the values are those of the AIGC Identification Toolkit's run of it (34 arms: five each,
four of blur). Crops keep a share of the area, at a random place, and are scaled back. As there, three arms change
nothing (average of 1, swap and drop at 0). Assumed or unlike: its blur cuts the kernel off at 5 x 5 pixels, ours at
three sigma (a little stronger at 1.5); its swap takes either neighbour, ours the next; the first frame is never
dropped here.
"""


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
    "full": Suite(FULL_CHAINS, 24, 24, 4, 4.0, SceneShape(480, 848, 2.0)),
    "videomarkbench": Suite(VIDEOMARKBENCH_CHAINS, 24, 24, 4, 4.0, SceneShape(480, 848, 2.0)),
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
