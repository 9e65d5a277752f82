"""From files to features: canonical views are made once, kept on disk, and every channel is computed from them."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from detectors.canonical import CanonicalFrames, CanonicalView
from provenance.errors import CountermarkError
from provenance.files import written_beside
from provenance.video import Clip, Video, Window

log = logging.getLogger(__name__)

VIEW_FORM = "canonical/1"
"""Changes whenever `detectors.canonical` would give other frames, so that kept views are made anew."""
SECONDS_READ = 3.3
"""How much of a clip is read into memory, for one view, when a degradation is to be applied to it."""
Degradation = Callable[[Clip], Clip]
"""What happens to a clip on its way to us: a re-encoding, a scaling."""
Progress = Callable[[int, int], None]
"""Called with (done, all)."""


@dataclass(frozen=True)
class SeenClip:
    """What the detectors saw of one file: its canonical views, or why there are none."""

    views: tuple[CanonicalFrames, ...]
    """In order of time; empty when the clip is too short, too small or unreadable."""
    reason: str
    """Why there are no views; empty otherwise."""


def views_of(video: Video, degradation: Degradation | None = None) -> SeenClip:
    """The canonical views of a file: two, or one after a degradation if one is given."""
    try:
        info = video.info
        if degradation is None:
            collector = CanonicalView(float(info.frame_rate), info.frame_count, views=2)
            windows: Iterable[Window] = video.windows()
        else:
            clip = degradation(video.read(0.0, SECONDS_READ))
            collector = CanonicalView(clip.frames_per_second, len(clip), views=1)
            windows = [Window.of(clip)]
        for window in windows:
            if collector.see(window):
                break
    except CountermarkError as error:
        return SeenClip((), error.message)
    found = tuple(collector.views())
    why = "" if found else f"{collector.frames_seen} frames, square of {collector.square_pixels} pixels"
    return SeenClip(found, why)


def kept_views(
    clips: Mapping[str, Path],
    cache: Path,
    variant: str = "plain",
    degradation: Degradation | None = None,
    progress: Progress | None = None,
) -> dict[str, SeenClip]:
    """Views of many files by digest, each made once and kept as `cache/variant/DIGEST.npz`; safe to interrupt."""
    folder = cache / VIEW_FORM / variant
    folder.mkdir(parents=True, exist_ok=True)
    seen = {}
    for number, (digest, path) in enumerate(clips.items(), 1):
        kept = folder / f"{digest}.npz"
        seen[digest] = _read(kept) or _make(kept, Video(path), degradation)
        if progress:
            progress(number, len(clips))
    return seen


def _make(kept: Path, video: Video, degradation: Degradation | None) -> SeenClip:
    seen = views_of(video, degradation)
    spans = np.array([[v.start_seconds, v.end_seconds, v.square_pixels] for v in seen.views]).reshape(-1, 3)
    arrays: dict[str, Any] = {f"stream{i}": np.frombuffer(view.stream, np.uint8) for i, view in enumerate(seen.views)}
    with written_beside(kept, force=True) as part, part.open("wb") as file:
        np.savez(file, spans=spans, reason=np.array(seen.reason), **arrays)
    return seen


def _read(kept: Path) -> SeenClip | None:
    try:
        with np.load(kept, allow_pickle=False) as stored:
            spans, reason = stored["spans"], str(stored["reason"])
            streams = [stored[f"stream{i}"].tobytes() for i in range(len(spans))]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return None
    views = [CanonicalFrames.of(s, float(a), float(b), int(n)) for s, (a, b, n) in zip(streams, spans, strict=True)]
    return SeenClip(tuple(views), reason)
