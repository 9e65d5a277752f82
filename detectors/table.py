"""Features of many clips as one table, with the copies that training adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detectors.canonical import CanonicalFrames
from detectors.channels import Channel
from detectors.corpus import CorpusClip, capped_weights
from detectors.extraction import Progress, SeenClip
from provenance.files import written_beside

VIEWS_LEARNED = 2
"""So many views of each clip are learned from and scored, as in use."""
JITTERED_COPIES = 1
"""Copies with changed colours of each of these views, for channels that ask for them."""


@dataclass(frozen=True)
class ChannelRows:
    """One channel's values: a row per canonical view, and per copy made for training."""

    values: NDArray[np.float32]
    """(rows, values)."""
    clip: NDArray[np.intp]
    """(rows,) index of the clip in the table."""
    plain: NDArray[np.bool_]
    """(rows,) False for copies that serve training only."""

    def weights(self, of_clips: NDArray[np.float64]) -> NDArray[np.float64]:
        """(rows,) the clip's weight divided among its rows."""
        return of_clips[self.clip] / np.bincount(self.clip, minlength=len(of_clips))[self.clip]

    def per_clip(self, logits: NDArray[np.float64], clips: int) -> NDArray[np.float64]:
        """(clips,) mean of a row-wise score over a clip's plain rows; NaN where it has none."""
        own = self.clip[self.plain]
        with np.errstate(invalid="ignore"):
            return np.bincount(own, logits[self.plain], clips) / np.bincount(own, minlength=clips)


@dataclass(frozen=True)
class FeatureTable:
    """Everything that training needs to know of the clips."""

    clips: tuple[CorpusClip, ...]
    rows: Mapping[str, ChannelRows]
    """By name of channel."""

    @cached_property
    def generated(self) -> NDArray[np.bool_]:
        """(clips,)."""
        return np.array([clip.generated for clip in self.clips])

    @cached_property
    def folds(self) -> NDArray[np.intp]:
        """(clips,) 0 to 4."""
        return np.array([clip.fold for clip in self.clips])

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """(clips,) capped per recording and per family."""
        return capped_weights(self.clips)


def recoloured(view: CanonicalFrames, random: np.random.Generator) -> CanonicalFrames:
    """The view with saturation, contrast, brightness, gamma and white balance drawn anew."""
    x = view.rgb.astype(np.float32) / 255
    x = x ** np.float32(random.uniform(0.75, 1.35)) * random.uniform(0.9, 1.1, 3).astype(np.float32)
    grey = x.mean(axis=-1, keepdims=True)
    x = grey + (x - grey) * np.float32(random.uniform(0.3, 1.5))
    x = 0.5 + (x - 0.5) * np.float32(random.uniform(0.7, 1.25)) + np.float32(random.uniform(-0.08, 0.08))
    return replace(view, rgb=np.clip(np.rint(x * 255), 0, 255).astype(np.uint8))


def feature_table(
    clips: Sequence[CorpusClip],
    seen: Mapping[str, SeenClip],
    channels: Sequence[Channel],
    cache: Path,
    variant: str = "plain",
    progress: Progress | None = None,
) -> FeatureTable:
    """Features of all clips that have views. Values are kept under `cache/features`, and made once."""
    scored = tuple(clip for clip in clips if seen[clip.sha256].views)
    rows: dict[str, list[tuple[NDArray[np.float32], int, bool]]] = {channel.name: [] for channel in channels}
    for index, clip in enumerate(scored):
        for channel in channels:
            plain, copies = _clip_values(clip.sha256, seen[clip.sha256], channel, cache / "features" / variant)
            rows[channel.name] += [(value, index, True) for value in plain] + [(v, index, False) for v in copies]
        if progress:
            progress(index + 1, len(scored))
    return FeatureTable(scored, {name: _joined(parts) for name, parts in rows.items()})


def _joined(parts: Sequence[tuple[NDArray[np.float32], int, bool]]) -> ChannelRows:
    values, clip, plain = zip(*parts, strict=True)
    return ChannelRows(np.stack(values), np.array(clip, np.intp), np.array(plain, bool))


def _clip_values(
    digest: str, seen: SeenClip, channel: Channel, cache: Path
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(views, values) of the clip, and (copies, values) of its recoloured copies."""
    kept = cache / f"{_file_name(channel)}" / f"{digest}.npz"
    if kept.exists():
        with np.load(kept, allow_pickle=False) as stored:
            return stored["plain"], stored["copies"]
    learned = seen.views[:VIEWS_LEARNED]
    plain = np.stack([channel.features(view) for view in learned])
    copies = plain[:0]
    if channel.colour_jitter:
        random = np.random.default_rng(int(digest[:16], 16))
        views = [recoloured(view, random) for view in learned for _ in range(JITTERED_COPIES)]
        copies = np.stack([channel.features(view) for view in views])
    kept.parent.mkdir(parents=True, exist_ok=True)
    with written_beside(kept, force=True) as part, part.open("wb") as file:
        np.savez(file, plain=plain, copies=copies)
    return plain, copies


def _file_name(channel: Channel) -> str:
    return "".join(c if c.isalnum() else "-" for c in channel.name) + f"-{channel.form}"
