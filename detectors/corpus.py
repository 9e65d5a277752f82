"""Which clips the detectors learn from: the corpus of labelled clips and its folds.

The corpus is a folder with `manifest.csv` (what each clip is) and the clips; a split (by digest) says which fold a
clip stands in. A fold keeps a generator's whole lineage, or a camera's source, together.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from provenance.errors import CannotRead

SIDE_TRACKS = {
    "lumiere_edit": "partly filmed pixels",
    "wan_vace": "partly filmed pixels",
    "floor33": "eleven frames",
    "phenaki": "eleven frames",
}
"""Families that are not scored in the main track, and why. Animated GIFs are left out too (palette)."""
SOURCE_CAP = 8.0
"""A family's or source's clips weigh together at most as much as this many clips."""
RECORDING_CAP = 3.0
"""Clips of one recording (or one prompt) weigh together at most as much as this many clips."""


@dataclass(frozen=True)
class CorpusClip:
    """One labelled clip of the corpus."""

    sha256: str
    """Digest of the file, lower-case hexadecimal."""
    path: Path
    """The file."""
    generated: bool
    """True: made by a generator; False: filmed."""
    family: str
    """Generator, or source of filmed clips."""
    lineage: str
    """Joins the generators of one model line; a source for filmed clips."""
    group: str
    """Clips of one recording, prompt or start image share it, on both sides of a matched pair."""
    fold: int
    """0 to 4."""

    def __post_init__(self) -> None:
        if not 0 <= self.fold < 5:
            raise ValueError(f"folds are 0 to 4, not {self.fold}")

    @property
    def side_track(self) -> str | None:
        """Why the clip is not scored in the main track; None if it is."""
        if self.path.suffix.lower() == ".gif":
            return "palette of an animated GIF"
        return SIDE_TRACKS.get(self.family)


def read_corpus(folder: Path, split: Path) -> list[CorpusClip]:
    """All clips of the corpus that the split knows, in order of digest. CannotRead if a table is missing."""
    described = {row["sha256"]: row for row in _table(folder / "manifest.csv")}
    clips = []
    for row in _table(split):
        about = described.get(row["sha256"])
        if about is None:
            continue
        clips.append(
            CorpusClip(
                sha256=row["sha256"],
                path=folder / about["file"],
                generated=about["label"] == "ai",
                family=row["family"],
                lineage=row["lineage"] or row["family"],
                group=about["group"] or f"{row['family']}:{row['sha256']}",
                fold=int(row["fold"]),
            )
        )
    if not clips:
        raise CannotRead(f"{split}: names no clip of {folder}", hint="use the split that belongs to this corpus")
    return sorted(clips, key=lambda clip: clip.sha256)


def few_per_family(clips: Sequence[CorpusClip], most: int) -> list[CorpusClip]:
    """The first clips of each family by digest, at most so many: a fixed balanced choice for costly rows."""
    taken: Counter[tuple[bool, str]] = Counter()
    chosen = []
    for clip in sorted(clips, key=lambda clip: clip.sha256):
        if taken[clip.generated, clip.family] < most:
            taken[clip.generated, clip.family] += 1
            chosen.append(clip)
    return chosen


def _table(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except OSError as error:
        raise CannotRead(
            f"{path}: {error.strerror}", hint="COUNTERMARK_CORPUS names the folder with manifest.csv and the clips"
        ) from error


def capped_weights(clips: Sequence[CorpusClip]) -> NDArray[np.float64]:
    """(clips,) weights such that no recording weighs more than 3 clips and no family more than 8."""
    groups = Counter((clip.family, clip.group) for clip in clips)
    weights = np.array([min(1.0, RECORDING_CAP / groups[clip.family, clip.group]) for clip in clips])
    families = np.array([clip.family for clip in clips])
    for family in set(families.tolist()):
        own = families == family
        weights[own] *= min(1.0, SOURCE_CAP / weights[own].sum())
    return weights
