"""Attacks that need more than one clip: what a watermark adds is estimated, taken out of a clip or put into another.

No `Clip -> Clip` chain can hold them: averaging and copying need clips of the same key, collusion needs clips of the
same content. All are plain functions of their arguments alone, draw nothing at random, and never change their input.
A *residual* is float32 (time, height, width), in levels of luma: what the attacker believes the watermark to be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from provenance.video.clip import Clip
from provenance.watermarks.tile import harmonics, period_of, render

STRENGTH_DB = 42.2
"""Luma PSNR of the watermark that attackers expect: the default of ours."""
GREY = 128
_WINDOW_SHARE = 1 / 20
"""Side of the denoiser's window in sqrt(width * height): two of the tile's harmonics of middling wavelength."""


def level_of(psnr_db: float) -> float:
    """Return the root mean square change, in levels of 8 bits, that a PSNR stands for."""
    return 255 * 10 ** (-psnr_db / 20)


def true_residual(marked: Clip, original: Clip) -> np.ndarray:
    """Return what marking changed: the attacker has the original. ValueError where the clips differ in shape."""
    if marked.frames.shape != original.frames.shape:
        raise ValueError(f"clips of {marked.frames.shape} and {original.frames.shape} cannot be compared")
    return marked.luma.astype(np.float32) - original.luma


def estimated_residual(marked: Clip, strength_db: float = STRENGTH_DB) -> np.ndarray:
    """Return a marked clip minus a denoised one: the attacker has no original.

    The copy attack of Kutter, Voloshynovskiy and Herrigel (SPIE 3971, 2000): the denoiser is the adaptive Wiener filter
    (Lee 1980), which keeps of each pixel's distance from the local mean the share that the watermark cannot explain.
    strength_db: the luma PSNR that the attacker expects the watermark to have.
    """
    noise = level_of(strength_db) ** 2
    side = 2 * round(math.sqrt(marked.width * marked.height) * _WINDOW_SHARE / 2) + 1
    residual = np.empty(marked.luma.shape, np.float32)
    for index, luma in enumerate(marked.luma):
        frame = luma.astype(np.float32)
        mean = cv2.blur(frame, (side, side))
        variance = np.maximum(cv2.sqrBoxFilter(frame, cv2.CV_32F, (side, side)) - mean * mean, noise)
        residual[index] = (frame - mean) * (noise / variance)
    return residual


class MeanResidual:
    """The mean of residuals of one shape, frame by frame; only their sum is held."""

    def __init__(self) -> None:
        self._sum: np.ndarray | None = None
        self._count = 0

    def add(self, residual: np.ndarray) -> None:
        """Take in the residual of one more clip."""
        self._sum = residual.astype(np.float64) if self._sum is None else self._sum + residual
        self._count += 1

    @property
    def value(self) -> np.ndarray:
        """float32, of the residuals' shape. ValueError before the first."""
        if self._sum is None:
            raise ValueError("the mean of no residuals")
        return np.asarray(self._sum / self._count, dtype=np.float32)


class CommonPattern:
    """What patterns (height, width) have in common though each comes with either sign; only their sum is held.

    Each is turned to agree with the sum so far: that finds what does not depend on the id, whatever its signs in time.
    """

    def __init__(self) -> None:
        self._sum: np.ndarray | None = None

    def add(self, pattern: np.ndarray) -> None:
        """Take in the pattern of one more clip, as `leading` gives it."""
        if self._sum is None:
            self._sum = pattern.astype(np.float64)
        else:
            self._sum = self._sum + (pattern if float((self._sum * pattern).sum()) >= 0 else -pattern)

    @property
    def value(self) -> np.ndarray:
        """float32 (height, width), of unit mean square. ValueError before the first."""
        if self._sum is None:
            raise ValueError("the common pattern of none")
        return np.asarray(self._sum / max(float(np.sqrt(np.square(self._sum).mean())), 1e-12), dtype=np.float32)


def still(residual: np.ndarray) -> np.ndarray:
    """Return the mean over the frames of one clip, (height, width): what a watermark that stands still would show."""
    return np.asarray(residual.mean(axis=0, dtype=np.float64), dtype=np.float32)


def leading(residual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the one pattern (height, width) of unit mean square and its amplitudes (time,) that explain most.

    The first principal component over time, after taking off the temporal mean: it finds a tile whose sign changes from
    frame to frame, without any key. Of the two signs of a pattern, the one whose largest value is positive.
    """
    rows = residual.reshape(len(residual), -1)
    rows = rows - rows.mean(axis=0)
    _, vectors = np.linalg.eigh((rows @ rows.T).astype(np.float64))
    pattern = vectors[:, -1].astype(np.float32) @ rows
    return _turned(pattern.reshape(residual.shape[1:]), residual)


def lattice_leading(residual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `leading`, by an attacker who has read `provenance.watermarks.tile`: on the tile's harmonics alone.

    Each frame is projected on the lattice of harmonics, which is the same for every key; the keyed phases are not
    needed. Against the pixel watermark only.
    """
    height, width = residual.shape[1:]
    k, turn = harmonics(), -2j * np.pi / period_of(width, height)
    x = np.exp(turn * np.outer(np.arange(width) + 0.5, np.unique(k[:, 0]))).astype(np.complex64)
    y = np.exp(turn * np.outer(np.unique(k[:, 1]), np.arange(height) + 0.5)).astype(np.complex64)
    places = (np.searchsorted(np.unique(k[:, 1]), k[:, 1]), np.searchsorted(np.unique(k[:, 0]), k[:, 0]))
    lines = np.stack([(y @ frame @ x)[places] for frame in residual])  # (time, harmonics)
    rows = np.concatenate([lines.real, lines.imag], axis=1)
    _, _, found = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    return _turned(render(found[0, : len(k)] + 1j * found[0, len(k) :], width, height), residual)


def _turned(pattern: np.ndarray, residual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A pattern at unit mean square and with its largest value positive, and how much of it each frame holds."""
    pattern = pattern / max(float(np.sqrt(np.square(pattern).mean())), 1e-12)
    pattern = (pattern * np.sign(pattern.flat[np.abs(pattern).argmax()])).astype(np.float32)
    return pattern, amplitudes(residual, pattern)


def amplitudes(residual: np.ndarray, pattern: np.ndarray) -> np.ndarray:
    """Return float32 (time,): how much of a pattern (height, width) of unit mean square each frame holds."""
    return np.asarray(np.tensordot(residual, pattern, 2) / pattern.size, dtype=np.float32)


def moving(pattern: np.ndarray, amplitude: np.ndarray) -> np.ndarray:
    """Return the residual whose frames are a pattern (height, width) times their amplitudes (time,)."""
    return np.asarray(amplitude[:, None, None] * pattern, dtype=np.float32)


def at_strength(residual: np.ndarray, psnr_db: float = STRENGTH_DB) -> np.ndarray:
    """Scale a residual, or a pattern, to the root mean square that a luma PSNR stands for; zeros stay zeros."""
    power = math.sqrt(float(np.square(residual, dtype=np.float64).mean()))
    return np.asarray(residual * np.float32(level_of(psnr_db) / max(power, 1e-9)))


def with_added(clip: Clip, residual: np.ndarray, gain: float = 1.0) -> Clip:
    """Add a residual, `gain` times, to red, green and blue alike; a negative gain subtracts.

    residual: of the clip's shape or (height, width), or longer in time, when its first frames are taken.
    """
    change = residual if residual.ndim == 2 else residual[: len(clip), ..., None]
    change = change[None, ..., None] if residual.ndim == 2 else change
    if change.shape[1:3] != clip.frames.shape[1:3] or len(change) not in (1, len(clip)):
        raise ValueError(f"a residual of {residual.shape} does not fit {clip!r}")
    frames = np.empty_like(clip.frames)
    for index, frame in enumerate(clip.frames):
        changed = frame + np.float32(gain) * change[index % len(change)]
        frames[index] = np.clip(np.rint(changed), 0, 255).astype(np.uint8)
    return Clip(frames, clip.times)


def grey_like(clip: Clip) -> Clip:
    """Return a clip of that shape and those times in even grey: the picture in which a watermark shows best.

    An attacker has it marked and blends what it then shows, `true_residual`, into a picture of choice.
    """
    return Clip(np.full_like(clip.frames, GREY), clip.times)


def colluded(clips: Sequence[Clip], how: str) -> Clip:
    """Make one clip of the same content that several holders own, each marked for its holder.

    how: a name in `COLLUSIONS`. ValueError for clips of different shapes.
    """
    if len({clip.frames.shape for clip in clips}) != 1:
        raise ValueError("colluders need clips of one shape")
    frames = np.stack([COLLUSIONS[how](np.stack(those)) for those in zip(*(c.frames for c in clips), strict=True)])
    return Clip(frames, clips[0].times)


def _mean(frames: np.ndarray) -> np.ndarray:
    return np.rint(frames.mean(axis=0, dtype=np.float32)).astype(np.uint8)


def _median(frames: np.ndarray) -> np.ndarray:
    return np.rint(np.median(frames, axis=0)).astype(np.uint8)


def _min_max(frames: np.ndarray) -> np.ndarray:
    return np.rint((frames.min(axis=0).astype(np.float32) + frames.max(axis=0)) / 2).astype(np.uint8)


COLLUSIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"mean": _mean, "median": _median, "min-max": _min_max}
"""Averaging, and two of the order statistics of Zhao, Wu, Wang and Liu (IEEE Trans. Image Process. 14, 2005, 646)."""
