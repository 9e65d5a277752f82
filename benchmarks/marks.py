"""The watermarks under test, behind one interface: make a marked clip and its unmarked twin, read a clip under a key.

Robustness is measured on the first draw: no self-check, no second try.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from benchmarks.runs import digest
from benchmarks.videos import Subject, load
from provenance.evidence import WatermarkEvidence
from provenance.keys import Key
from provenance.video import Clip, Window
from provenance.watermarks import Reading
from provenance.watermarks.latent import Generator, LatentWatermark, LatentWatermarkCheck
from provenance.watermarks.payload import Origin, compose_id
from provenance.watermarks.pixel import PixelWatermark

PIXEL_PURPOSE, LATENT_PURPOSE = "pixel/1", "latent/1"
SAMPLING_STEPS = 20


class Mark(Protocol):
    """A watermark under test."""

    @property
    def name(self) -> str:
        """What rows call it."""

    def twins(self, subject: Subject, watermark_id: int, key: Key, seed: int, seconds: float | None) -> Twins:
        """Make the marked clip and the same clip unmarked."""

    def read(self, clip: Clip, key: Key) -> Reading:
        """Read a clip under a key."""


@dataclass(frozen=True)
class Twins:
    """A clip with and without its watermark. `comparable`: whether they differ by the watermark alone, so that PSNR
    between them means something; a latent watermark makes another clip of the same prompt.
    """

    marked: Clip
    unmarked: Clip
    comparable: bool


@dataclass(frozen=True)
class PixelMark:
    """The pixel watermark in the luma of finished clips, default strength."""

    name: str = "pixel"

    def twins(self, subject: Subject, watermark_id: int, key: Key, seed: int, seconds: float | None) -> Twins:
        """Mark the subject's own frames."""
        clip = load(subject, seconds)
        return Twins(PixelWatermark(key.stream(PIXEL_PURPOSE)).embed(clip, watermark_id), clip, comparable=True)

    def read(self, clip: Clip, key: Key) -> Reading:
        """Read blindly."""
        return PixelWatermark(key.stream(PIXEL_PURPOSE)).read(clip)


@dataclass(frozen=True)
class LatentMark:
    """The latent watermark in clips that the built-in model makes of the subject's caption."""

    name: str = "latent"

    def twins(self, subject: Subject, watermark_id: int, key: Key, seed: int, seconds: float | None) -> Twins:
        """Sample from marked and from plain noise."""
        model = built_in_model()
        random = np.random.default_rng(seed)
        watermark = LatentWatermark(key.stream(LATENT_PURPOSE), model.noise_shape)
        noises = (
            watermark.noise(watermark_id, random),
            random.standard_normal(model.noise_shape, dtype=np.float32),
        )
        marked, unmarked = (model.sample(noise, prompt_of(subject), steps=SAMPLING_STEPS) for noise in noises)
        return Twins(marked, unmarked, comparable=False)

    def read(self, clip: Clip, key: Key) -> Reading:
        """Read blindly, by inversion with the null prompt."""
        check = LatentWatermarkCheck([key.stream(LATENT_PURPOSE)], built_in_model)
        for first in range(0, len(clip), 16):
            check.see(Window.of(clip.select(slice(first, first + 16)), first))
        best = next(row for row in check.evidence() if isinstance(row, WatermarkEvidence))
        return Reading(best.watermark_id, best.log10_p, best.spans, best.alignment)


MARKS: dict[str, Mark] = {"pixel": PixelMark(), "latent": LatentMark()}


@functools.cache
def built_in_model() -> Generator:
    """The built-in model with the weights that ship, one per process; imports torch. Raises WeightsError."""
    from generator.model import BuiltInGenerator

    return BuiltInGenerator.load()


def weights_digests() -> dict[str, str]:
    """Return the first 16 digits of the SHA-256 of every file of weights that ships, for the settings of a run."""
    from generator.weights import FOLDER

    return {path.name: digest(path)[:16] for path in sorted(FOLDER.glob("*.safetensors"))}


def prompt_of(subject: Subject) -> str:
    """Return the caption of a scene, for the model to follow. ValueError for a file."""
    from generator.scenes import SCENES, deal_caption

    if subject.scene_seed is None:
        raise ValueError(f"{subject.name} is no scene, so it has no caption")
    return deal_caption(subject.scene_seed, SCENES[subject.scene_seed % len(SCENES)]).text


def bench_key(seed: int, name: str = "bench") -> Key:
    """Return a key that depends on the seed of the run and its name alone; for measurements only."""
    return Key(name, hashlib.sha256(f"countermark benchmark key {seed} {name}".encode()).digest())


def bench_id(seed: int, origin: Origin) -> int:
    """Return a watermark id that depends on the seed alone."""
    return compose_id(origin, int.from_bytes(hashlib.sha256(f"id {seed}".encode()).digest()[:8], "big") >> 3)
