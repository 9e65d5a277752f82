"""`bench latent-false-alarms`: how often the latent watermark's p-values are small where there is nothing to find.

A trial is a pair of clip and key. Two parts: the *reading* (all 2^16 pilots searched, the best nonces verified and,
behind the gate, decoded) under a fresh key each, of noise that was estimated from the clip once; and the *final
statistic* alone, of which millions of draws are cheap: fair signs, drawn anew, against carriers weighted as the reader
weights them. Clips are made by the built-in model, of three kinds: from plain noise, from noise marked under another
key, and such a clip with a pixel watermark under a third; each as it is and after x264.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.attacks import attack_clip
from benchmarks.experiments.false_alarms import CHAINS, LEVELS, false_alarm_report
from benchmarks.marks import LATENT_PURPOSE, PIXEL_PURPOSE, SAMPLING_STEPS, built_in_model, prompt_of, weights_digests
from benchmarks.report import Report, write_report
from benchmarks.runs import Progress, Row, Task, run_tasks, seed_of
from benchmarks.videos import SceneShape, Subject, scene_subjects
from provenance.evidence import WatermarkEvidence
from provenance.keys import Key, KeyStream
from provenance.video import Clip, Window
from provenance.watermarks import statistics
from provenance.watermarks.latent import NONCE_CANDIDATES, LatentWatermark, LatentWatermarkCheck, Stretch
from provenance.watermarks.marking import Strength
from provenance.watermarks.payload import Origin, compose_id
from provenance.watermarks.pixel import PixelWatermark

KINDS = ("unmarked", "another key", "another key, pixels too")
PARTS = ("reading", "statistic")
_BATCH = 10_000
_WORTH = 2.5
"""Standard deviations below which Chernoff's bound cannot come near 1e-3, so that it need not be computed."""


@dataclass(frozen=True)
class LatentTrials:
    """How many trials each part makes in all."""

    reading: int = 100_000
    statistic: int = 10_000_000


def run_latent_false_alarms(
    out: Path,
    *,
    trials: LatentTrials | None = None,
    clips: int = 4,
    workers: int = 1,
    seed: int = 0,
    progress: Progress | None = None,
) -> Report:
    """Count small p-values; rows and report go into `out`. A run that was stopped goes on where it was.

    clips: how many clips, the scenes in turn, per kind and chain.
    """
    built_in_model()  # what is wrong with the weights is wrong with every clip: say so at once
    trials = trials or LatentTrials()
    chosen = scene_subjects(clips, seed=seed, shape=SceneShape())
    cells = [(subject, kind, chain) for subject in chosen for kind in KINDS for chain in CHAINS]
    share = {part: math.ceil(getattr(trials, part) / len(cells)) for part in PARTS}
    tasks = [
        Task(
            f"{subject.name}/{kind}/{chain}",
            PARTS,
            {"subject": subject, "kind": kind, "chain": chain, **share},
            seed_of(f"{subject.name}/{kind}/{chain}", seed),
        )
        for subject, kind, chain in cells
    ]
    settings: Row = {"experiment": "latent-false-alarms", "seed": seed, "clips": [s.name for s in chosen], **share}
    settings["weights"] = weights_digests()
    rows = run_tasks(tasks, measure_latent_false_alarms, out, settings=settings, workers=workers, progress=progress)
    title = "False alarms of the latent watermark"
    report = false_alarm_report(rows, settings, title=title, parts=PARTS, kinds=KINDS)
    write_report(report, out)
    return report


def measure_latent_false_alarms(task: Task) -> list[Row]:
    """Both parts for one clip, kind and chain."""
    random = np.random.default_rng(task.seed)
    clip = _negative(task.arguments["subject"], task.arguments["kind"], random)
    stretches = _estimates(attack_clip(clip, task.arguments["chain"], task.seed))
    rows: list[Row] = []
    for part in PARTS:
        count = task.arguments[part]
        pairs = _readings(stretches, count, random) if part == "reading" else _draws(stretches[0], count, random)
        chances, ids = (np.concatenate(column) for column in zip(*pairs, strict=True))
        counts = {f"below 1e{level}": int((chances <= level).sum()) for level in LEVELS}
        rows.append(
            {"arm": part, "kind": task.arguments["kind"], "chain": task.arguments["chain"], "trials": len(chances)}
            | counts
            | {"ids": int(ids.sum()), "least_log10_p": round(float(chances.min(initial=0.0)), 2)}
        )
    return rows


def _stream(random: np.random.Generator, purpose: str) -> KeyStream:
    return Key("trial", random.bytes(32)).stream(purpose)


def _negative(subject: Subject, kind: str, random: np.random.Generator) -> Clip:
    model, watermark_id = built_in_model(), compose_id(Origin.GENERATED, int(random.integers(1 << 61)))
    if kind == "unmarked":
        noise = random.standard_normal(model.noise_shape, dtype=np.float32)
    else:
        noise = LatentWatermark(_stream(random, LATENT_PURPOSE), model.noise_shape).noise(watermark_id, random)
    clip = model.sample(noise, prompt_of(subject), steps=SAMPLING_STEPS)
    if kind != KINDS[2]:
        return clip
    return PixelWatermark(_stream(random, PIXEL_PURPOSE), Strength()).embed(clip, watermark_id)


def _estimates(clip: Clip) -> list[Stretch]:
    """What the reader inverts the clip to, before any key is needed."""
    check = LatentWatermarkCheck([Key("none", bytes(32)).stream(LATENT_PURPOSE)], built_in_model)
    for first in range(0, len(clip), 16):
        check.see(Window.of(clip.select(slice(first, first + 16)), first))
    return check.stretches()


def _readings(
    stretches: list[Stretch], count: int, random: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Read under fresh keys as verify would: log10 p (1,) of each reading's best evidence, and its ids (1,)."""
    for _ in range(count):
        found = LatentWatermark(_stream(random, LATENT_PURPOSE), stretches[0].noise.shape).read(stretches)
        yield np.array([min(_chance(each) for each in found)]), np.array([sum(_has_id(each) for each in found)])


def _chance(evidence: WatermarkEvidence) -> float:
    return 0.0 if evidence.log10_p is None else evidence.log10_p


def _has_id(evidence: WatermarkEvidence) -> bool:
    return evidence.watermark_id is not None


def _draws(stretch: Stretch, count: int, random: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Draw signs (n, carriers) against weighted carriers, one key and one of its likeliest nonces per batch.

    Yields log10 p (n,) and ids (n,).
    """
    for first in range(0, count, _BATCH):
        size = min(_BATCH, count - first)
        watermark = LatentWatermark(_stream(random, LATENT_PURPOSE), stretch.noise.shape)
        carriers = watermark.layout.to_carriers(stretch.noise)
        likeliest = np.argsort(watermark.layout.nonce_scores(carriers))[-NONCE_CANDIDATES:]
        heard = watermark.weighted(carriers, int(random.choice(likeliest)))[watermark.layout.verification]
        bits = np.unpackbits(random.integers(0, 256, (size, math.ceil(len(heard) / 8)), dtype=np.uint8), axis=1)
        signs = bits[:, : len(heard)].astype(np.float32)
        totals = 2 * (signs @ heard.astype(np.float32)).astype(np.float64) - heard.sum()
        worth = totals > _WORTH * np.sqrt((heard**2).sum())
        chances = np.zeros(size)
        chances[worth] = statistics.log10_sign_sum_tail(
            totals[worth], np.broadcast_to(np.abs(heard), (int(worth.sum()), len(heard)))
        )
        yield chances, np.zeros(size, dtype=int)
