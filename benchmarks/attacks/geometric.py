"""Attacks on where pixels stand: size, cut, mirror. Sides stay even, as 4:2:0 video needs."""

from __future__ import annotations

import cv2
import numpy as np

from benchmarks.attacks.attack import Attack, Range, each_frame

SMALLEST_SIDE = 16


def resize(frame: np.ndarray, scale: float, random: np.random.Generator) -> np.ndarray:
    """Scale both sides and keep the new size: area averaging downwards, bicubic upwards."""
    height, width = (_even(side * scale) for side in frame.shape[:2])
    return cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def crop(frame: np.ndarray, side: float, random: np.random.Generator) -> np.ndarray:
    """Keep the centre: `side` is the share of each side that stays; the cut frame is not scaled back."""
    height, width = (min(_even(length * side), length) for length in frame.shape[:2])
    top, left = ((whole - kept) // 2 for whole, kept in zip(frame.shape[:2], (height, width), strict=True))
    return frame[top : top + height, left : left + width].copy()


def flip(frame: np.ndarray, value: float, random: np.random.Generator) -> np.ndarray:
    """Mirror left and right."""
    return frame[:, ::-1].copy()


def _even(length: float) -> int:
    return max(SMALLEST_SIDE, 2 * round(length / 2))


GEOMETRIC: dict[str, Attack] = {
    "resize": Attack(
        "scale both sides, keep the new size", Range("the scale", 0.1, 4.0, default=0.5), each_frame(resize)
    ),
    "crop": Attack(
        "cut out the centre, keep the new size",
        Range("the share of each side kept", 0.1, 1.0, default=0.9),
        each_frame(crop),
    ),
    "flip": Attack("mirror left and right", None, each_frame(flip)),
}
