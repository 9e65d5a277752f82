"""How coded pictures are shown: the display matrix of ISO/IEC 14496-12, 8.3.2, as one of eight orientations."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from PIL import Image

_EXIF_TAG = 0x0112
_EXIF = {2: (0, True), 3: (180, False), 4: (180, True), 5: (90, True), 6: (270, False), 7: (270, True), 8: (90, False)}
"""Exif 2.32, 4.6.4, orientation -> (turn, mirrored)."""


@dataclass(frozen=True)
class Orientation:
    """Coded pictures are shown mirrored, left becoming right, if at all, and then turned counter-clockwise.

    rotation_degrees: 0, 90, 180 or 270. matrix: the nine values of the file, as FFmpeg lays them out, for whoever
    writes them again; None where the file states none.
    """

    rotation_degrees: int = 0
    mirrored: bool = False
    matrix: tuple[int, ...] | None = None

    @classmethod
    def of(cls, frame: av.VideoFrame, pieces: Mapping[str, bytes] | None, path: Path) -> Orientation:
        """What a file says of a decoded frame and its side data (`side_data_of`).

        Angles between the four are rounded to the nearest.
        """
        if pieces is None:
            return cls(*_EXIF.get(_exif_orientation(path), (round(frame.rotation / 90) * 90 % 360, False)))
        stated = pieces.get("DISPLAYMATRIX")
        if stated is None:
            return cls()
        matrix = np.frombuffer(stated, "=i4")[:9]
        a, b, c, d = (int(matrix[place]) for place in (0, 1, 3, 4))
        mirrored = a * d - b * c < 0
        if mirrored:
            a, b = -a, -b
        turn = round(-float(np.degrees(np.arctan2(b, a))) / 90) * 90 % 360
        return cls(turn, mirrored, tuple(int(value) for value in matrix))

    @property
    def is_as_coded(self) -> bool:
        """Whether pictures are shown as they are coded."""
        return not self.mirrored and self.rotation_degrees == 0

    @property
    def swaps_sides(self) -> bool:
        """Whether what is coded as width is shown as height."""
        return self.rotation_degrees % 180 != 0

    def coded_size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height as coded of a picture that is shown with these."""
        return (height, width) if self.swaps_sides else (width, height)

    def shown(self, picture: np.ndarray) -> np.ndarray:
        """A coded picture (height, width, ...) as it is shown; a view."""
        return np.rot90(picture[:, ::-1] if self.mirrored else picture, self.rotation_degrees // 90)

    def coded(self, picture: np.ndarray) -> np.ndarray:
        """The inverse of `shown`; a view."""
        turned = np.rot90(picture, -self.rotation_degrees // 90)
        return turned[:, ::-1] if self.mirrored else turned

    def coded_box(self, box: tuple[int, int, int, int], width: int, height: int) -> tuple[int, int, int, int]:
        """A box (left, top, width, height) of the shown picture, which has these sides, in the coded picture."""
        left, top, wide, high = box
        right, bottom = width - left - wide, height - top - high  # what lies beyond the box
        left, top, wide, high, across = {
            0: (left, top, wide, high, width),
            90: (bottom, left, high, wide, height),
            180: (right, bottom, wide, high, width),
            270: (top, right, high, wide, height),
        }[self.rotation_degrees]
        return (across - left - wide if self.mirrored else left), top, wide, high


AS_CODED = Orientation()


def _exif_orientation(path: Path) -> int:
    try:
        with Image.open(path) as picture:
            return int(picture.getexif().get(_EXIF_TAG, 1))
    except (OSError, ValueError, SyntaxError, TypeError, ArithmeticError, struct.error):
        return 1
