"""Where a peer's reader looks: the sizes, places and mirror images in which it is shown the frames of an attacked clip.

Peers have no search of their own. They get that of ours as far as it can be listed: the size that was marked (which
ours must find out), crops about the centre, and the three mirror images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

Size = tuple[int, int]
"""Height and width."""
Mirror = Literal["", "left and right", "top and bottom", "both"]


@dataclass(frozen=True)
class Candidate:
    """One way to show the frames.

    share: None leaves the size as it is; else the frames are scaled to this share of each side that was marked.
    placed: whether they are then laid on a canvas of the marked size, where a crop about the centre was; what is
        missing around them is their mirror image, since a reader takes a black border for so many votes for 0.
    """

    share: float | None = None
    placed: bool = False
    mirror: Mirror = ""

    def __post_init__(self) -> None:
        if self.share is not None and not 0 < self.share <= 1:
            raise ValueError(f"a share lies in 0 .. 1, not {self.share}")


CANDIDATES = (
    Candidate(),
    Candidate(share=1.0),  # resized, or resized after the aspect changed
    Candidate(placed=True),  # cropped
    *(Candidate(share, placed=True) for share in (0.9, 0.8, 0.71, 0.55)),  # cropped, and resized in any way
    *(Candidate(mirror=mirror) for mirror in ("left and right", "top and bottom", "both")),
    *(Candidate(share=1.0, mirror=mirror) for mirror in ("left and right", "top and bottom", "both")),
    *(Candidate(placed=True, mirror=mirror) for mirror in ("left and right", "top and bottom", "both")),
)  # fmt: skip
"""In the order in which they are tried; the first, as it is, carries half of the chance of a false alarm."""


def distinct(size: Size, marked: Size | None) -> list[Candidate]:
    """Return the candidates that show frames of this size differently; without the marked size, those that need none.

    A candidate that would have to be laid on a smaller canvas is left out.
    """
    found: dict[tuple[Size, Size, Mirror], Candidate] = {}
    for candidate in CANDIDATES:
        if marked is None and (candidate.share is not None or candidate.placed):
            continue
        scaled = _scaled(size, candidate.share, marked)
        canvas = marked if candidate.placed and marked is not None else scaled
        if scaled[0] <= canvas[0] and scaled[1] <= canvas[1]:
            found.setdefault((scaled, canvas, candidate.mirror), candidate)
    return list(found.values())


def shown(frames: np.ndarray, candidate: Candidate, marked: Size | None) -> np.ndarray:
    """Return uint8 (time, height, width, 3): the frames as the candidate shows them."""
    size = frames.shape[1:3]
    scaled = _scaled((size[0], size[1]), candidate.share, marked)
    if scaled != size:
        method = cv2.INTER_AREA if scaled[0] < size[0] else cv2.INTER_CUBIC
        frames = np.stack([cv2.resize(frame, (scaled[1], scaled[0]), interpolation=method) for frame in frames])
    frames = _mirrored(frames, candidate.mirror)
    if not candidate.placed or marked is None:
        return frames
    top, left = ((whole - part) // 2 for whole, part in zip(marked, scaled, strict=True))
    bottom, right = marked[0] - scaled[0] - top, marked[1] - scaled[1] - left
    return np.stack([cv2.copyMakeBorder(one, top, bottom, left, right, cv2.BORDER_REFLECT_101) for one in frames])


def spread(count: int, wanted: int) -> Sequence[int]:
    """Return the places of at most `wanted` frames, spread evenly over `count`, first and last included."""
    return [int(place) for place in np.unique(np.rint(np.linspace(0, count - 1, min(wanted, count))))]


def _scaled(size: Size, share: float | None, marked: Size | None) -> Size:
    if share is None or marked is None:
        return size
    if share == 1.0:
        return marked
    height, width = (2 * round(side * share / 2) for side in marked)  # even sides, as the attacks keep
    return height, width


def _mirrored(frames: np.ndarray, mirror: Mirror) -> np.ndarray:
    if mirror in ("top and bottom", "both"):
        frames = frames[:, ::-1]
    return frames[:, :, ::-1] if mirror in ("left and right", "both") else frames
