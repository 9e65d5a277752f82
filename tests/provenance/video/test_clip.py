"""Frames in memory: luma is exact, whatever way it is worked out."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from provenance.video.clip import LUMA_WEIGHTS, luma_of


def test_luma_is_the_weighed_sum_to_the_nearest_level() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 9, 16, 3), dtype=np.uint8)
    weights = [Fraction(round(weight * 65536), 65536) for weight in LUMA_WEIGHTS]
    exact = [
        int(sum(weight * int(level) for weight, level in zip(weights, pixel, strict=True)) + Fraction(1, 2))
        for pixel in frames.reshape(-1, 3)
    ]
    assert luma_of(frames).ravel().tolist() == exact


@pytest.mark.parametrize("level", [0, 1, 128, 254, 255])
def test_grey_keeps_its_level(level: int) -> None:
    assert (luma_of(np.full((1, 4, 4, 3), level, np.uint8)) == level).all()


@pytest.mark.parametrize("shape", [(0, 4, 6, 3), (4, 6, 3), (2, 3, 4, 6, 3)])
def test_any_number_of_frames_has_its_luma(shape: tuple[int, ...]) -> None:
    assert luma_of(np.zeros(shape, np.uint8)).shape == shape[:-1]
