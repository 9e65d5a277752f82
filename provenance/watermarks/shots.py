"""Where one shot ends and the next begins: shots are read apart, since what one holds is only noise to another."""

from __future__ import annotations

import math
from collections import deque

import cv2
import numpy as np

_THUMBNAIL = (32, 18)
_UNLIKE = 0.5  # of the contrast: pictures that have nothing in common come to 1 and more
_SUDDEN = 2.0  # times the largest change shortly before: a wild shot is no row of cuts
_REMEMBERED = 12  # changes: half a second; clips of few pictures a second repeat some of them
_LEAST_CONTRAST = 2.0  # levels


def thumbnail_of(luma: np.ndarray) -> np.ndarray:
    """Return what a cut is seen by: float32 (18, 32) for uint8 (height, width)."""
    return cv2.resize(luma, _THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.float32)


class CutFinder:
    """Looks at frames in their order, and tells which of them begins another shot."""

    def __init__(self) -> None:
        self._before: np.ndarray | None = None
        self._changes: deque[float] = deque(maxlen=_REMEMBERED)

    def begins_shot(self, small: np.ndarray) -> bool:
        """Whether a frame's thumbnail has so little to do with the one before that there was a cut."""
        before, self._before = self._before, small
        if before is None:
            return False
        contrast = (_deviation(small) + _deviation(before)) / 2 + _LEAST_CONTRAST
        change = float(np.abs(small - before).mean()) / contrast
        is_cut = change > _UNLIKE and change > _SUDDEN * max(self._changes, default=math.inf)
        if not is_cut:
            self._changes.append(change)
        return is_cut


def _deviation(picture: np.ndarray) -> float:
    return float(np.abs(picture - picture.mean()).mean())
