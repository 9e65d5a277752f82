"""Part of `bench forgery`: the latent watermark carried over to other content by whoever has the model and no key.

A clip of the built-in model is inverted to its noise, and that noise is sampled again with another prompt, as it is
(``latent/inverted``) or brought back to unit variance (``latent/transplant``): the reprompting of Mueller et al., CVPR
2025, arXiv 2412.03283. ``latent/own``, the clip itself, is the control. The id is in the noise and goes along; that the
content is another is for the fingerprint in the manifest to say.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from benchmarks.marks import SAMPLING_STEPS, LatentMark, bench_id, bench_key, built_in_model
from benchmarks.runs import Row, Task, tried
from provenance.keys import Key
from provenance.verdict import DETECTED_LOG10_P
from provenance.video import Clip
from provenance.watermarks.latent import PURPOSE, Generator, LatentWatermark
from provenance.watermarks.payload import Origin

TRANSPLANTS = ("latent/own", "latent/inverted", "latent/transplant")
PROMPTS = (
    ("slow waves on the ocean at sunset", "falling snow at night"),
    ("falling snow", "a round ball bounces"),
    ("clouds over mountains at dawn", "a fire at night"),
    ("stars over a lake at night", "smoke by day"),
)
"""Of the clip that is made, and of the one that its noise is used for."""


def measure_transplants(task: Task) -> list[Row]:
    """Make a marked clip, invert it, sample other content from the estimate; one row per arm."""
    victim, key = bench_id(task.seed, Origin.GENERATED), bench_key(task.arguments["seed"])
    thief = _Thief(built_in_model(), key, victim, task.arguments["prompts"], task.seed)
    facts = {**task.facts, "watermark": LatentMark().name}
    return [tried({**facts, "arm": arm}, functools.partial(thief.row, arm)) for arm in task.arms]


@dataclass(frozen=True)
class _Thief:
    """Whoever saw one clip that was made from marked noise; prompts: of that clip, and of the thief's own."""

    model: Generator
    key: Key
    victim: int
    prompts: tuple[str, str]
    seed: int

    @cached_property
    def own(self) -> Clip:
        watermark = LatentWatermark(self.key.stream(PURPOSE), self.model.noise_shape)
        noise = watermark.noise(self.victim, np.random.default_rng(self.seed))
        return self.model.sample(noise, self.prompts[0], steps=SAMPLING_STEPS)

    @cached_property
    def estimate(self) -> np.ndarray:
        return self.model.invert(self.own)

    def clip(self, arm: str) -> Clip:
        """The clip of an arm."""
        if arm == "latent/own":
            return self.own
        scale = self.estimate.std() if arm == "latent/transplant" else np.float32(1)
        return self.model.sample(self.estimate / scale, self.prompts[1], steps=SAMPLING_STEPS)

    def row(self, arm: str) -> Row:
        """Whose id is read in the clip of an arm."""
        said = LatentMark().read(self.clip(arm), self.key, self.victim)
        return {
            "found": said.log10_p is not None and said.log10_p <= DETECTED_LOG10_P,
            "exact": said.message == self.victim,
            "nobody": said.message not in (None, self.victim),
            "log10_p": round(said.log10_p, 2) if said.log10_p is not None else None,
        }
