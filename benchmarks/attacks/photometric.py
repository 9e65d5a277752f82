"""Attacks on the values of pixels: exposure, contrast, sensor-like noise."""

from __future__ import annotations

import cv2
import numpy as np

from benchmarks.attacks.attack import Attack, Range, each_frame

MID_GREY = 127.5


def brightness(frame: np.ndarray, factor: float, random: np.random.Generator) -> np.ndarray:
    """Multiply all values by `factor`; what leaves 0 .. 255 is clipped."""
    return cv2.LUT(frame, _table(np.arange(256) * factor))


def contrast(frame: np.ndarray, factor: float, random: np.random.Generator) -> np.ndarray:
    """Stretch values about mid grey by `factor`; what leaves 0 .. 255 is clipped."""
    return cv2.LUT(frame, _table(MID_GREY + (np.arange(256) - MID_GREY) * factor))


def noise(frame: np.ndarray, sigma: float, random: np.random.Generator) -> np.ndarray:
    """Add independent normal noise to every value; `sigma` is a share of the full range."""
    grain = random.standard_normal(frame.shape, dtype=np.float32) * np.float32(255 * sigma)
    return np.clip(np.rint(frame + grain), 0, 255).astype(np.uint8)


def _table(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


PHOTOMETRIC: dict[str, Attack] = {
    "brightness": Attack(
        "multiply all pixel values", Range("the factor", 0.05, 4.0, default=0.5), each_frame(brightness)
    ),
    "contrast": Attack(
        "stretch values about mid grey", Range("the factor", 0.05, 4.0, default=0.5), each_frame(contrast)
    ),
    "noise": Attack(
        "add normal noise", Range("sigma, as a share of full range,", 0.0, 0.5, default=0.02), each_frame(noise)
    ),
}
