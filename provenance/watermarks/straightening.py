"""Straightening a tilted frame: from a map that is right in its middle to the homography of all of it.

The signs of the sequence taken off, the sum of the frames shows the pilot's ten waves wherever the map is nearly right.
How far it is off shows in their phases, place by place: the homography that takes all places' differences away is
fitted, and the trusted part of the frame grows from its middle to its corners.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from provenance.watermarks.reading import KeyReader
from provenance.watermarks.tile import harmonics

_GROWTH = (0.5, 0.65, 0.8, 1.0, 1.0, 1.0)
"""Share of the frame's sides, around its middle, whose differences are believed, turn by turn."""

_WINDOW = 0.45  # standard deviation of what counts as one place, in periods
_PLACES = (9, 13)  # down and across
_FARTHEST, _FINEST = 0.12, 0.01  # differences that are looked for, in periods
_CLEAR = 4.5  # standard deviations
_FEWEST = 8
_OUTLIER = 0.03  # periods


def straightened(
    image: np.ndarray, scale: tuple[float, float], reader: KeyReader, matrix: np.ndarray
) -> tuple[np.ndarray, float]:
    """Return the homography (3, 3) from whole-frame periods to tile coordinates, and the pilot's score under it.

    image: float32 (h, w), the sum of the frames with their signs taken off. scale: whole-frame periods per pixel, in x
    and y. matrix: (3, 3), right in the middle.
    """
    height, width = image.shape
    places = np.stack(np.meshgrid((np.arange(width) + 0.5) * scale[0], (np.arange(height) + 0.5) * scale[1]), axis=-1)
    rows = np.linspace(0, height - 1, _PLACES[0]).round().astype(int)
    columns = np.linspace(0, width - 1, _PLACES[1]).round().astype(int)
    grid = places[np.ix_(rows, columns)].reshape(-1, 2)
    far = np.abs(grid / (places[-1, -1] + places[0, 0]) - 0.5).max(axis=1) * 2
    down, across = _windows(height, rows, _WINDOW / scale[1]), _windows(width, columns, _WINDOW / scale[0]).T
    best = (matrix, -math.inf)
    for share in (*_GROWTH, None):
        waves = _demodulated(image, places, reader, matrix)
        score = _score(waves)
        if score > best[1]:
            best = matrix, score
        if share is None:
            break
        local = (down @ waves @ across).reshape(len(waves), -1).T
        moves, clear = _differences(local, reader)
        known = (clear >= _CLEAR) & (far <= share)
        if known.sum() < _FEWEST:
            break
        fitted, _ = cv2.findHomography(grid[known], mapped(matrix, grid[known]) + moves[known], cv2.RANSAC, _OUTLIER)
        if fitted is None:
            break
        matrix = fitted
    return best


def mapped(matrix: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return where a homography (3, 3) takes places (..., 2)."""
    ahead = places @ matrix[:, :2].T + matrix[:, 2]
    return np.asarray(ahead[..., :2] / ahead[..., 2:])


def _demodulated(image: np.ndarray, places: np.ndarray, reader: KeyReader, matrix: np.ndarray) -> np.ndarray:
    """Return complex64 (10, h, w): the image times each pilot wave's conjugate; constant where the map is right."""
    turns = harmonics()[reader.tile.pilots] @ mapped(matrix, places).reshape(-1, 2).T
    phase = (2 * np.pi * (turns - np.rint(turns)) + reader.tile.pilot_phases[:, None]).astype(np.float32)
    waves = np.empty((len(phase), *image.shape), np.complex64)
    waves.real = image * np.cos(phase).reshape(waves.shape)
    waves.imag = -image * np.sin(phase).reshape(waves.shape)
    return waves


def _score(waves: np.ndarray) -> float:
    """The real sum of all waves, in standard deviations if pixels were independent, which normalised ones are not."""
    power = (np.abs(waves) ** 2).sum(axis=(1, 2))
    return float((waves.real.sum(axis=(1, 2)) / np.sqrt(np.maximum(power, 1e-30) / 2)).sum() / math.sqrt(len(waves)))


def _windows(count: int, chosen: np.ndarray, deviation: float) -> np.ndarray:
    """Return complex64 (chosen, count): Gaussian weights around some of `count` pixels, of sum 1."""
    weights = np.exp(-(((np.arange(count) - chosen[:, None]) / deviation) ** 2) / 2)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.complex64)


def _differences(local: np.ndarray, reader: KeyReader) -> tuple[np.ndarray, np.ndarray]:
    """Return by place the difference (n, 2) in periods that explains its waves (n, 10) best, and how clearly (n,)."""
    steps = np.arange(-_FARTHEST, _FARTHEST + _FINEST / 2, _FINEST)
    tried = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
    k = harmonics()[reader.tile.pilots]
    noise = np.sqrt(np.median(np.abs(local) ** 2, axis=0) / math.log(2))
    sums = (local / np.maximum(noise, 1e-30) @ np.exp(-2j * np.pi * k @ tried.T)).real
    best = sums.argmax(axis=1)
    return tried[best], sums[np.arange(len(local)), best] / math.sqrt(len(k) / 2)
