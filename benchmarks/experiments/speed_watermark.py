"""Part of `bench speed`: what the pixel watermark costs by itself, frames in memory: nothing decoded or encoded.

A rendered clip of 720 lines and 10 s is marked, changed, and read; each row gives seconds by the clock and of the
processors, with as many threads as there are processors, save for marking, which gets one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from functools import lru_cache

import cv2
import numpy as np

from benchmarks.attacks import attack_clip
from benchmarks.marks import PIXEL_PURPOSE, bench_id, bench_key
from benchmarks.runs import Row
from benchmarks.videos import SceneShape, load, scene_subjects
from provenance.keys import KeyStream
from provenance.video import Clip, Window
from provenance.watermarks.marking import Strength
from provenance.watermarks.payload import Origin
from provenance.watermarks.pixel import PixelWatermark, PixelWatermarkCheck

SECONDS = 10.0
READINGS = {
    "read, as it was marked": "none",
    "read after x264:28": "x264:28",
    "read after crop:.8+x264:28": "crop:.8+x264:28",
    "read after rotate:5+x264:28": "rotate:5+x264:28",
}
"""What is done to the marked clip before one key is looked for. Two keys are looked for in the unmarked clip."""
UNMARKED = "read, unmarked, two keys"
MARKING = "mark, one thread"
ARMS = (MARKING, *READINGS, UNMARKED)


def measure_watermark(arm: str, seconds: float = SECONDS) -> Row:
    """Time one of `ARMS` once. Raises ValueError where a reading does not end as it should."""
    clip = _scene(seconds)
    key, watermark_id = bench_key(0).stream(PIXEL_PURPOSE), bench_id(0, Origin.UNSTATED)
    watermark = PixelWatermark(key, Strength())
    if arm == MARKING:
        return _timed(clip, lambda luma: _mark(watermark, clip, luma, watermark_id), threads=1)
    if arm == UNMARKED:
        streams = [key, bench_key(0, "other").stream(PIXEL_PURPOSE)]
        return _timed(clip, lambda luma: _read(clip, luma, streams, set()))
    attacked = attack_clip(watermark.embed(clip, watermark_id), READINGS[arm], 0)
    return _timed(attacked, lambda luma: _read(attacked, luma, [key], {watermark_id}))


@lru_cache(maxsize=1)
def _scene(seconds: float) -> Clip:
    """Rendering takes longer than all that is timed."""
    (subject,) = scene_subjects(1, seed=0, shape=SceneShape(720, 1280, seconds))
    return load(subject, seconds)


def _timed(clip: Clip, work: Callable[[np.ndarray], None], threads: int | None = None) -> Row:
    luma, before = clip.luma, cv2.getNumThreads()
    cv2.setNumThreads(threads or os.cpu_count() or 1)
    try:
        wall, cpu = time.perf_counter(), time.process_time()
        work(luma)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    finally:
        cv2.setNumThreads(before)
    return {
        "clip_seconds": round(clip.seconds, 2),
        "wall_seconds": round(wall, 2),
        "cpu_seconds": round(cpu, 2),
        "frames_per_cpu_second": round(len(clip) / max(cpu, 1e-9), 1),
    }


def _mark(watermark: PixelWatermark, clip: Clip, luma: np.ndarray, watermark_id: int) -> None:
    embedder = watermark.embedder(clip.width, clip.height, clip.frames_per_second, watermark_id)
    for frame, seconds in zip(luma, clip.times, strict=True):
        embedder.mark(frame, float(seconds))


def _read(clip: Clip, luma: np.ndarray, streams: Sequence[KeyStream], expected: set[int]) -> None:
    check = PixelWatermarkCheck(streams)
    check.begin(clip.width, clip.height, clip.frames_per_second, clip.seconds)
    for first in range(0, len(clip), 16):
        part = slice(first, first + 16)
        check.see(Window(clip.times[part], lambda part=part: luma[part], lambda part=part: clip.frames[part], first))  # type: ignore[misc]
    found = {one.watermark_id for one in check.evidence() if one.watermark_id is not None}
    if found != expected:
        raise ValueError(f"{len(found)} ids were read where there should be {len(expected)}")
