"""The watermarks under test, behind one interface: make a marked clip and its unmarked twin, read a clip under a key.

Robustness is measured on the first draw: no self-check, no second try.
"""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from benchmarks.runs import digest
from benchmarks.videos import Subject, lengthened, load
from provenance.errors import UnknownName, UsageError
from provenance.evidence import Span, WatermarkEvidence
from provenance.keys import PUBLIC, Key, KeyStream
from provenance.video import Clip, Window
from provenance.watermarks.latent import Generator, LatentWatermark, LatentWatermarkCheck
from provenance.watermarks.payload import ID_BITS, Origin, compose_id
from provenance.watermarks.pixel import PixelWatermark, examine
from provenance.watermarks.strength import chosen, samples_of

PIXEL_PURPOSE, LATENT_PURPOSE = "pixel/1", "latent/1"
SAMPLING_STEPS = 20


@dataclass(frozen=True)
class MarkReading:
    """What a mark's reader says of a clip.

    message: what a blind read gives; None: nothing.
    log10_p: log10 of the chance that a clip without this mark and key looks so, after all search; None: none is stated.
    bits_right: how many bits of the expected message the best candidate has, hard decisions; None: no bits were read,
        or nothing was expected.
    spans: the stretches that carry the mark, in seconds, where the reader names some.
    """

    message: int | None
    log10_p: float | None
    bits_right: int | None
    spans: tuple[Span, ...] = ()

    def __post_init__(self) -> None:
        if self.log10_p is not None and not self.log10_p <= 0.0:
            raise ValueError(f"the logarithm of a chance is at most 0, not {self.log10_p}")

    @property
    def watermark_id(self) -> int | None:
        """The message, where it is one of our ids."""
        return self.message


class Mark(Protocol):
    """A watermark under test."""

    @property
    def name(self) -> str:
        """What rows call it."""

    @property
    def bits(self) -> int:
        """Length of its message, at most 64."""

    @property
    def search(self) -> str:
        """How it is read, in words for the report: what its reader is told, and what it tries."""

    def embed(self, clip: Clip, message: int, key: Key) -> Clip:
        """Return a marked copy of a finished clip, of the same size; UsageError where the mark cannot do that."""

    def read(
        self, clip: Clip, key: Key, expected: int | None = None, marked_size: tuple[int, int] | None = None
    ) -> MarkReading:
        """Read a clip under a key.

        expected: the message that was embedded, from which `bits_right` follows; only peers, which have no test of
            presence, use it for more. marked_size: (height, width) of the clip that was marked; only peers are told.
        """

    def twins(self, subject: Subject, message: int, key: Key, seed: int, seconds: float | None) -> Twins:
        """Make the marked clip and the same clip unmarked; of a subject its first `seconds` only."""


@dataclass(frozen=True)
class Twins:
    """A clip with and without its watermark. `comparable`: whether they differ by the watermark alone, so that PSNR
    between them means something; a latent watermark makes another clip of the same prompt. embed_seconds: what marking
    took, where it can be told from making the clip. lengthened: whether the clip was played to and fro.
    """

    marked: Clip
    unmarked: Clip
    comparable: bool
    embed_seconds: float | None = None
    lengthened: bool = False


def finished_twins(mark: Mark, subject: Subject, message: int, key: Key, seconds: float | None) -> Twins:
    """Mark a subject's own frames; `Mark.twins` of every watermark that marks finished clips."""
    loaded = load(subject, seconds)
    clip = lengthened(loaded, subject.least_seconds)
    started = time.perf_counter()
    marked = mark.embed(clip, message, key)
    took = time.perf_counter() - started
    return Twins(marked, clip, comparable=True, embed_seconds=took, lengthened=len(clip) > len(loaded))


@dataclass(frozen=True)
class PixelMark:
    """The pixel watermark in the luma of finished clips, default strength."""

    name: str = "pixel"
    bits: int = ID_BITS
    search: str = (
        "blind: every start, scale, crop and mirror image that its own search tries, all counted in its chance"
    )

    def embed(self, clip: Clip, message: int, key: Key) -> Clip:
        """Mark the luma."""
        return PixelWatermark(key.stream(PIXEL_PURPOSE)).embed(clip, message)

    def read(
        self, clip: Clip, key: Key, expected: int | None = None, marked_size: tuple[int, int] | None = None
    ) -> MarkReading:
        """Read blindly."""
        reading = PixelWatermark(key.stream(PIXEL_PURPOSE)).read(clip)
        right = bits_right(reading.watermark_id, expected, self.bits)
        return MarkReading(reading.watermark_id, reading.log10_p, right, reading.spans)

    def twins(self, subject: Subject, message: int, key: Key, seed: int, seconds: float | None) -> Twins:
        """Mark the subject's own frames."""
        return finished_twins(self, subject, message, key, seconds)


@dataclass(frozen=True)
class LayeredMark(PixelMark):
    """Two layers of the pixel watermark in one clip, as `sign --key public --key NAME` writes them.

    Both keep to one bound of quality together. Only what both layers say counts, at the worse of their two chances.
    """

    name: str = "pixel-layers"
    search: str = "blind, under the public key and another, all counted in both chances; both have to give the same id"

    def embed(self, clip: Clip, message: int, key: Key) -> Clip:
        """Mark the luma under the public key, then under this one."""
        streams = _layers(key)
        strength = chosen(samples_of(clip), streams[0], message, clip.seconds, len(streams))
        for stream in streams:
            clip = PixelWatermark(stream, strength).embed(clip, message)
        return clip

    def read(
        self, clip: Clip, key: Key, expected: int | None = None, marked_size: tuple[int, int] | None = None
    ) -> MarkReading:
        """Read blindly under both keys."""
        readings = [_likeliest(rows) for rows in _by_key(examine(clip, _layers(key)))]
        ids = {row.watermark_id for row in readings}
        message = ids.pop() if len(ids) == 1 else None
        right = bits_right(message, expected, self.bits)
        return MarkReading(message, max(row.log10_p or 0.0 for row in readings), right, readings[0].spans)


def _layers(key: Key) -> list[KeyStream]:
    return [PUBLIC.stream(PIXEL_PURPOSE), key.stream(PIXEL_PURPOSE)]


def _by_key(evidence: Sequence[WatermarkEvidence]) -> list[list[WatermarkEvidence]]:
    names = dict.fromkeys(row.key for row in evidence)
    return [[row for row in evidence if row.key == name] for name in names]


def _likeliest(rows: Sequence[WatermarkEvidence]) -> WatermarkEvidence:
    return min(rows, key=lambda row: row.log10_p or 0.0)


@dataclass(frozen=True)
class LatentMark:
    """The latent watermark in clips that the built-in model makes of the subject's caption."""

    name: str = "latent"
    bits: int = ID_BITS
    search: str = (
        "blind: the clip is inverted with the null prompt, and all 2^16 pilots are tried; no crop, no mirror image"
    )

    def embed(self, clip: Clip, message: int, key: Key) -> Clip:
        """Refuse: this watermark is in the noise that a clip is made from."""
        raise UsageError(
            "the latent watermark cannot be put into a finished clip", hint="it is measured on clips it made"
        )

    def read(
        self, clip: Clip, key: Key, expected: int | None = None, marked_size: tuple[int, int] | None = None
    ) -> MarkReading:
        """Read blindly, by inversion with the null prompt."""
        check = LatentWatermarkCheck([key.stream(LATENT_PURPOSE)], built_in_model)
        for first in range(0, len(clip), 16):
            check.see(Window.of(clip.select(slice(first, first + 16)), first))
        best = next(row for row in check.evidence() if isinstance(row, WatermarkEvidence))
        right = bits_right(best.watermark_id, expected, self.bits)
        return MarkReading(best.watermark_id, best.log10_p, right, best.spans)

    def twins(self, subject: Subject, message: int, key: Key, seed: int, seconds: float | None) -> Twins:
        """Sample from marked and from plain noise."""
        model = built_in_model()
        random = np.random.default_rng(seed)
        watermark = LatentWatermark(key.stream(LATENT_PURPOSE), model.noise_shape)
        noises = (
            watermark.noise(message, random),
            random.standard_normal(model.noise_shape, dtype=np.float32),
        )
        marked, unmarked = (model.sample(noise, prompt_of(subject), steps=SAMPLING_STEPS) for noise in noises)
        return Twins(marked, unmarked, comparable=False)


MARKS: dict[str, Mark] = {mark.name: mark for mark in (PixelMark(), LayeredMark(), LatentMark())}
"""Our own."""


def mark_named(name: str) -> Mark:
    """Return a watermark by its name: ours, one that an installed package brings along, or a peer.

    Raises UnknownName with the nearest of all these names, NeedsExtra where it is known and cannot run here.
    """
    from benchmarks.entry_points import WATERMARKS, joined_mark, names
    from benchmarks.peers.environment import PEERS
    from benchmarks.peers.peer_mark import peer_mark

    if name in MARKS:
        return MARKS[name]
    if name in PEERS:
        return peer_mark(name)
    joined = names(WATERMARKS)
    if name in joined:
        return joined_mark(name)
    raise UnknownName("watermark", name, [*MARKS, *PEERS, *joined])


def bits_right(message: int | None, expected: int | None, bits: int) -> int | None:
    """Return how many of a message's bits are as expected; None where one of the two is missing."""
    if message is None or expected is None:
        return None
    return bits - (message ^ expected).bit_count()


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


def bench_message(mark: Mark, seed: int, origin: Origin) -> int:
    """Return a message for a mark that depends on the seed alone: an id where it has room for one."""
    if mark.bits == ID_BITS:
        return bench_id(seed, origin)
    return int.from_bytes(hashlib.sha256(f"message {seed}".encode()).digest()[:8], "big") >> (64 - mark.bits)


def bench_id(seed: int, origin: Origin) -> int:
    """Return a watermark id that depends on the seed alone."""
    return compose_id(origin, int.from_bytes(hashlib.sha256(f"id {seed}".encode()).digest()[:8], "big") >> 3)
