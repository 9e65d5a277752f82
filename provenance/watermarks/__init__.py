"""Invisible watermarks: `pixel` in the luma of any video, `latent` in the initial noise of a diffusion sampler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from provenance.evidence import Alignment, Span
from provenance.video import Clip


@dataclass(frozen=True)
class Reading:
    """What a watermark's reader says of a clip.

    watermark_id: None when no id was read. log10_p: as in `provenance.evidence.WatermarkEvidence`.
    """

    watermark_id: int | None
    log10_p: float
    spans: tuple[Span, ...] = ()
    alignment: Alignment | None = None


@runtime_checkable
class Watermark(Protocol):
    """A watermark that marks and reads finished clips; peers in benchmarks satisfy it too."""

    name: str

    def embed(self, clip: Clip, watermark_id: int) -> Clip:
        """Return a marked copy; CannotCarry when the clip is too short or too small."""

    def read(self, clip: Clip) -> Reading:
        """Return the likeliest id, or None, with the chance of an unmarked clip looking so."""


__all__ = ["Reading", "Watermark"]
