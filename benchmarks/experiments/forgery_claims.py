"""Part of `bench forgery`: whoever claims a clip tries keys until one seems to have marked it.

Nothing was marked under any of them. A search of that kind is one more search, which its finder does not own up to:
with `tries` keys, a reader that is wrong once in 1/alpha is wrong with a chance of alpha x tries. What does not depend
on the key, the clip's normalised frames and their sums on the lattice, is computed once per clip; each key is
tried on the whole frame, all starts, nonces and front ends, without crops and mirror images.
"""

from __future__ import annotations

import math
import time

import numpy as np

from benchmarks.marks import PIXEL_PURPOSE, bench_key, bench_message
from benchmarks.runs import Row, Task
from provenance.keys import Key, KeyStream
from provenance.verdict import DETECTED_LOG10_P
from provenance.video import Clip
from provenance.watermarks import statistics
from provenance.watermarks.chunk import Chunk, Geometry, View
from provenance.watermarks.examining import KeyExaminer, Plan
from provenance.watermarks.front import FrontEnd
from provenance.watermarks.payload import Origin

TRIES = 1000
CLAIMS = ("claim/unmarked", "claim/marked")
"""A clip that carries nothing, and one that carries somebody else's watermark."""


def measure_claims(task: Task, clip: Clip) -> list[Row]:
    """Try keys on one clip, unmarked and marked under another key; one row each."""
    mark, tries = task.arguments["mark"], task.arguments["tries"]
    rows = []
    for arm in task.arms:
        started, random = time.perf_counter(), np.random.default_rng(task.seed)
        owner = bench_key(task.arguments["seed"])
        message = bench_message(mark, task.seed, Origin.UNSTATED)
        view = view_of(clip if arm == "claim/unmarked" else mark.embed(clip, message, owner))
        tried = [_presence(view, Key("claim", random.bytes(32)).stream(PIXEL_PURPOSE)) for _ in range(tries)]
        least = min(log10_p for log10_p, _ in tried)
        rows.append(
            {
                **task.facts,
                "arm": arm,
                "watermark": mark.name,
                "tries": tries,
                "least_log10_p": round(least, 2),
                "after_tries_log10_p": round(min(0.0, least + math.log10(tries)), 2),
                "detected": sum(log10_p <= DETECTED_LOG10_P for log10_p, _ in tried),
                "ids": sum(ids for _, ids in tried),
                "seconds": round(time.perf_counter() - started, 2),
            }
        )
    return rows


def view_of(clip: Clip) -> View:
    """Return a clip as the pixel watermark's reader sees it whole, without any key."""
    detail = FrontEnd(clip.width, clip.height).detail(clip.luma)
    chunk = Chunk(clip.times - clip.times[0], detail, (clip.width, clip.height), clip.frames_per_second)
    return chunk.view(Geometry.identity(clip.width, clip.height))


def _presence(view: View, stream: KeyStream) -> tuple[float, int]:
    """Return log10 p of presence under one key, after that key's own search, and how many ids were read."""
    seconds = float(view.chunk.times[-1]) + 1 / view.chunk.frame_rate
    examiner = KeyExaminer(stream, Plan.of(seconds, 1), view.geometry)
    examiner.add(view)
    examiner.end_window()
    ids = len(examiner.found)
    presence = statistics.presence_log10_p(examiner.best, examiner.tests)
    if not ids:
        return presence, 0
    return min(presence, statistics.message_log10_p(examiner.tests, 1, 1)), ids
