"""PSNR and SSIM."""

from __future__ import annotations

import math

import numpy as np
import pytest

from provenance.quality import QualityMeter, psnr, ssim

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (64, 80)).astype(np.uint8)


def test_equal_pictures_have_no_error() -> None:
    assert psnr(PICTURE, PICTURE) == math.inf
    assert ssim(PICTURE, PICTURE) == pytest.approx(1)


def test_psnr_follows_its_definition() -> None:
    assert psnr(np.zeros((8, 8), np.uint8), np.full((8, 8), 255, np.uint8)) == 0
    assert psnr(np.full((8, 8), 100, np.uint8), np.full((8, 8), 102, np.uint8)) == pytest.approx(42.11, abs=0.01)
    assert psnr(np.zeros((8, 8), np.uint16), np.full((8, 8), 8, np.uint16), 1023) == pytest.approx(42.14, abs=0.01)


def test_ssim_falls_with_noise_and_is_negative_for_the_negative() -> None:
    smooth = np.tile(np.linspace(20, 230, 80).astype(np.uint8), (64, 1))
    values = [ssim(smooth, (smooth + RNG.normal(0, s, smooth.shape)).clip(0, 255).astype(np.uint8)) for s in (2, 8, 32)]
    assert values == sorted(values, reverse=True)
    assert ssim(PICTURE, 255 - PICTURE) < 0


def test_ssim_of_a_stack_is_the_mean_of_its_pictures() -> None:
    other = np.roll(PICTURE, 3, axis=1)
    both = ssim(np.stack([PICTURE, PICTURE]), np.stack([PICTURE, other]))
    assert both == pytest.approx((1 + ssim(PICTURE, other)) / 2)


def test_shapes_must_agree() -> None:
    for measure in (psnr, ssim):
        with pytest.raises(ValueError, match="shapes differ"):
            measure(PICTURE, PICTURE[:-1])


def test_a_meter_sums_over_frames() -> None:
    meter, other = QualityMeter(), (PICTURE // 2).astype(np.uint8)
    meter.see(PICTURE, PICTURE)
    meter.see(PICTURE, other)
    assert meter.psnr_db == pytest.approx(psnr(np.stack([PICTURE, PICTURE]), np.stack([PICTURE, other])))
    assert meter.worst_db == pytest.approx(psnr(PICTURE, other))
