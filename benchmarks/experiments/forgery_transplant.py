"""Part of `bench forgery`: the latent watermark carried over to other content by whoever has the model and no key.

A clip of the built-in model is inverted to its noise, and that noise is sampled again with another prompt. The id is in
the noise, so it goes along; that the content is another is for the fingerprint in the manifest to say.
"""

from __future__ import annotations

import time

import numpy as np

from benchmarks.marks import SAMPLING_STEPS, Mark, bench_id, bench_key, built_in_model, mark_named
from benchmarks.runs import Row, Task
from provenance.keys import Key
from provenance.verdict import DETECTED_LOG10_P
from provenance.video import Clip
from provenance.watermarks.latent import PURPOSE, LatentWatermark
from provenance.watermarks.payload import Origin

TRANSPLANTS = ("latent/own", "latent/transplant")
PROMPTS = (
    ("waves roll slowly over the ocean at sunset", "a city street at night"),
    ("snow falls on a forest", "a ball bounces in a room"),
    ("clouds drift over mountains in the morning", "a fire burns at night"),
    ("a city street at noon", "waves roll over the ocean at night"),
)
"""Of the clip that is made, and of the one that its noise is used for."""


def measure_transplants(task: Task) -> list[Row]:
    """Make a marked clip, invert it, sample other content from the estimate; one row per arm."""
    mark, key = mark_named("latent"), bench_key(task.arguments["seed"])
    model, random = built_in_model(), np.random.default_rng(task.seed)
    victim = bench_id(task.seed, Origin.GENERATED)
    prompt, other = task.arguments["prompts"]
    noise = LatentWatermark(key.stream(PURPOSE), model.noise_shape).noise(victim, random)
    own = model.sample(noise, prompt, steps=SAMPLING_STEPS)
    rows = []
    for arm in task.arms:
        started, clip = time.perf_counter(), own
        if arm == "latent/transplant":
            estimate = model.invert(own)
            clip = model.sample((estimate / estimate.std()).astype(np.float32), other, steps=SAMPLING_STEPS)
        row = {**task.facts, "arm": arm, "watermark": mark.name, **_read(mark, clip, key, victim)}
        rows.append({**row, "seconds": round(time.perf_counter() - started, 2)})
    return rows


def _read(mark: Mark, clip: Clip, key: Key, victim: int) -> Row:
    said = mark.read(clip, key, victim, (clip.height, clip.width))
    return {
        "found": said.log10_p is not None and said.log10_p <= DETECTED_LOG10_P,
        "exact": said.message == victim,
        "log10_p": None if said.log10_p is None else round(said.log10_p, 2),
    }
