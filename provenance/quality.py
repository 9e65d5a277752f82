"""Picture quality against a reference: PSNR and SSIM."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np


def psnr(reference: np.ndarray, other: np.ndarray, peak: float = 255.0) -> float:
    """Return the peak signal-to-noise ratio in dB over two arrays of one shape; inf where they are equal."""
    return psnr_of_error(mean_squared_error(reference, other), peak)


def mean_squared_error(reference: np.ndarray, other: np.ndarray) -> float:
    """Return the mean of the squared differences of two arrays of one shape."""
    if reference.shape != other.shape:
        raise ValueError(f"shapes differ: {reference.shape} and {other.shape}")
    difference = reference.astype(np.float32) - other.astype(np.float32)
    return float(np.mean(np.square(difference), dtype=np.float64))


def psnr_of_error(error: float, peak: float = 255.0) -> float:
    """Return the PSNR in dB that a mean squared error stands for; inf for none."""
    return math.inf if error <= 0 else 10 * math.log10(peak**2 / error)


def ssim(reference: np.ndarray, other: np.ndarray, peak: float = 255.0) -> float:
    """Return the mean structural similarity of two luma pictures (height, width), or of two stacks of them.

    Wang, Bovik, Sheikh and Simoncelli 2004, equation 13, with the authors' 11 x 11 Gaussian window of sigma 1.5 and
    K1 = .01, K2 = .03, taken where the window lies wholly inside the picture.
    """
    if reference.shape != other.shape:
        raise ValueError(f"shapes differ: {reference.shape} and {other.shape}")
    if reference.ndim == 3:
        return float(np.mean([ssim(a, b, peak) for a, b in zip(reference, other, strict=True)]))
    if min(reference.shape) < 11:
        raise ValueError(f"pictures of {reference.shape} are smaller than the window of 11 x 11")
    x, y = reference.astype(np.float64), other.astype(np.float64)
    mean_x, mean_y = _window(x), _window(y)
    var_x = _window(x * x) - mean_x**2
    var_y = _window(y * y) - mean_y**2
    covariance = _window(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    similarity = ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)) / (
        (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    )
    return float(similarity[5:-5, 5:-5].mean())


def _window(picture: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(picture, (11, 11), 1.5)


@dataclass
class QualityMeter:
    """PSNR of a video, summed frame by frame: the mean squared error of all samples, as encoders report it."""

    peak: float = 255.0
    squares: float = 0.0
    samples: int = 0
    worst_db: float = math.inf

    def see(self, reference: np.ndarray, other: np.ndarray) -> None:
        """Take in one frame and its changed version."""
        error = mean_squared_error(reference, other)
        self.squares += error * reference.size
        self.samples += reference.size
        self.worst_db = min(self.worst_db, psnr_of_error(error, self.peak))

    @property
    def psnr_db(self) -> float:
        """PSNR over everything seen; inf when nothing differed."""
        return psnr_of_error(self.squares / self.samples, self.peak) if self.samples else math.inf
