"""Attacks on the values of pixels: exposure, colour, noise, blur, and what takes noise and blur away."""

from __future__ import annotations

import math

import cv2
import numpy as np

from benchmarks.attacks.attack import Attack, FrameChange, Range, each_frame, planned_once
from provenance.video.clip import LUMA_WEIGHTS

MID_GREY = 127.5
_SMOOTHED = 0.85
"""The share of the frame written before in what the temporal denoiser writes where nothing moves."""
_FILM_POINTS = (0.0, 0.25, 0.5, 0.75, 1.0)
_FILM = ((0.03, 0.20, 0.51, 0.81, 0.98), (0.02, 0.20, 0.50, 0.79, 0.96), (0.06, 0.23, 0.49, 0.75, 0.90))
"""Red, green and blue after the regrade, at each of `_FILM_POINTS`: lifted bluish shadows, warm highlights."""


def brightness(frame: np.ndarray, factor: float, random: np.random.Generator) -> np.ndarray:
    """Multiply all values by `factor`; what leaves 0 .. 255 is clipped."""
    return cv2.LUT(frame, _table(np.arange(256) * factor))


def contrast(frame: np.ndarray, factor: float, random: np.random.Generator) -> np.ndarray:
    """Stretch values about mid grey by `factor`; what leaves 0 .. 255 is clipped."""
    return cv2.LUT(frame, _table(MID_GREY + (np.arange(256) - MID_GREY) * factor))


def saturation(frame: np.ndarray, factor: float, random: np.random.Generator) -> np.ndarray:
    """Stretch colours about their luma (BT.709) by `factor`: 0 is grey, 1 is nothing."""
    grey = np.tile(np.array(LUMA_WEIGHTS), (3, 1))
    return cv2.transform(frame, factor * np.eye(3) + (1 - factor) * grey)


def hue(frame: np.ndarray, turns: float, random: np.random.Generator) -> np.ndarray:
    """Turn the hue of HSV by so many turns, as editors do: luma changes with it."""
    colours = cv2.cvtColor(frame.astype(np.float32), cv2.COLOR_RGB2HSV)  # hue in degrees
    colours[..., 0] = (colours[..., 0] + 360 * turns) % 360
    return _bytes(cv2.cvtColor(colours, cv2.COLOR_HSV2RGB))


def gamma(frame: np.ndarray, exponent: float, random: np.random.Generator) -> np.ndarray:
    """Raise values, as shares of full range, to a power: above 1 darkens."""
    return cv2.LUT(frame, _table(255 * (np.arange(256) / 255) ** exponent))


def lut(frame: np.ndarray, strength: float, random: np.random.Generator) -> np.ndarray:
    """Regrade with a film-like curve per channel: lifted bluish shadows, more contrast, warm highlights."""
    level = np.arange(256) / 255
    graded = np.stack([np.interp(level, _FILM_POINTS, curve) for curve in _FILM], axis=-1)
    mixed = level[:, None] + strength * (graded - level[:, None])
    return cv2.LUT(frame, _table(255 * mixed)[:, None])


def noise(frame: np.ndarray, sigma: float, random: np.random.Generator) -> np.ndarray:
    """Add independent normal noise to every value; `sigma` is a share of the full range."""
    grain = random.standard_normal(frame.shape, dtype=np.float32) * np.float32(255 * sigma)
    return np.clip(np.rint(frame + grain), 0, 255).astype(np.uint8)


def salt_pepper(frame: np.ndarray, share: float, random: np.random.Generator) -> np.ndarray:
    """Set each pixel, with probability `share`, to black or white, one as likely as the other."""
    drawn = random.random(frame.shape[:2], dtype=np.float32)
    hit = frame.copy()
    hit[drawn < share] = 255
    hit[drawn < share / 2] = 0
    return hit


def blur(frame: np.ndarray, sigma: float, random: np.random.Generator) -> np.ndarray:
    """Gaussian blur; `sigma` in pixels. The kernel reaches three sigma to each side."""
    return cv2.GaussianBlur(frame, (0, 0), sigma)


def blur_kernel(frame: np.ndarray, side: float, random: np.random.Generator) -> np.ndarray:
    """Gaussian blur with a kernel of odd side k; from 9 on sigma is .3 ((k - 1) / 2 - 1) + .8 pixels."""
    return cv2.GaussianBlur(frame, (int(side), int(side)), 0)


def median(frame: np.ndarray, side: float, random: np.random.Generator) -> np.ndarray:
    """Median of each channel over a square of odd side."""
    return cv2.medianBlur(frame, int(side))


def sharpen(frame: np.ndarray, amount: float, random: np.random.Generator) -> np.ndarray:
    """Unsharp mask: add `amount` times what a Gaussian of sigma 1 takes away."""
    return cv2.addWeighted(frame, 1 + amount, cv2.GaussianBlur(frame, (0, 0), 1.0), -amount, 0)


def denoise_nlmeans(frame: np.ndarray, strength: float, random: np.random.Generator) -> np.ndarray:
    """Non-local means of luma and colour, windows of 7 in 21 pixels: some two seconds for a frame of 720 lines."""
    picture = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
    return cv2.cvtColor(cv2.fastNlMeansDenoisingColored(picture, None, strength, strength, 7, 21), cv2.COLOR_BGR2RGB)


def denoise_temporal(shape: tuple[int, int], strength: float, random: np.random.Generator) -> FrameChange:
    """Mix each pixel with what was written before, the more the less it changed; `strength` in levels of 255."""
    before: np.ndarray | None = None

    def change(frame: np.ndarray, seconds: float) -> np.ndarray:
        nonlocal before
        now = frame.astype(np.float32)
        if before is not None:
            moved = cv2.blur(np.abs(now - before).mean(axis=-1), (3, 3))
            still = _SMOOTHED * np.exp(-np.square(moved / strength))
            now += still[..., None] * (before - now)
        before = now
        return _bytes(now)

    return change


def posterise(frame: np.ndarray, bits: float, random: np.random.Generator) -> np.ndarray:
    """Keep so many bits of each value, stretched to full range."""
    levels = 2 ** int(bits)
    return cv2.LUT(frame, _table(np.arange(256) * levels // 256 * (255 / (levels - 1))))


def moire(shape: tuple[int, int], amplitude: float, random: np.random.Generator) -> FrameChange:
    """Multiply by the beat of a screen's grid with a sensor's: coarse coloured waves and a fine grid, half of it each.

    amplitude: the most by which both together change a value, as a share of it.
    Period, angle and phase are drawn once; red, green and blue stand a third of a period apart, as on a screen.
    """
    down, across = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    angle, period = random.uniform(0, math.pi), random.uniform(1 / 12, 1 / 6) * shape[0]
    along = (down * math.sin(angle) + across * math.cos(angle)) / period + random.random()
    grid = np.cos(2 * math.pi * 0.45 * down) * np.cos(2 * math.pi * 0.45 * across)
    waves = [np.cos(2 * math.pi * (along + channel / 3)) for channel in range(3)]
    factor = (1 + amplitude * (np.stack(waves, axis=-1) + grid[..., None]) / 2).astype(np.float32)
    return lambda frame, seconds: _bytes(frame * factor)


def _table(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


PHOTOMETRIC: dict[str, Attack] = {
    "brightness": Attack(
        "multiply all pixel values", Range("the factor", 0.05, 4.0, default=0.5), each_frame(brightness)
    ),
    "contrast": Attack(
        "stretch values about mid grey", Range("the factor", 0.05, 4.0, default=0.5), each_frame(contrast)
    ),
    "saturation": Attack(
        "stretch colours about their luma", Range("the factor", 0.0, 4.0, default=0.5), each_frame(saturation)
    ),
    "hue": Attack("turn the hue (HSV)", Range("the turns", -1.0, 1.0, default=0.1), each_frame(hue)),
    "gamma": Attack("raise values to a power", Range("the exponent", 0.1, 5.0, default=0.7), each_frame(gamma)),
    "lut": Attack("regrade with a film-like curve", Range("the strength", 0.0, 1.0, default=1.0), each_frame(lut)),
    "noise": Attack(
        "add normal noise", Range("sigma, as a share of full range,", 0.0, 0.5, default=0.02), each_frame(noise)
    ),
    "salt-pepper": Attack(
        "set pixels to black or white", Range("the share of pixels", 0.0, 1.0, default=0.05), each_frame(salt_pepper)
    ),
    "blur": Attack("Gaussian blur", Range("sigma in pixels", 0.1, 20.0, default=1.5), each_frame(blur)),
    "blur-kernel": Attack(
        "Gaussian blur, by its kernel", Range("the kernel's side", 3, 99, default=9, odd=True), each_frame(blur_kernel)
    ),
    "median": Attack("median filter", Range("the kernel's side", 3, 31, default=3, odd=True), each_frame(median)),
    "sharpen": Attack("unsharp mask", Range("the amount", 0.0, 5.0, default=1.0), each_frame(sharpen)),
    "denoise-nlmeans": Attack(
        "non-local means (slow)", Range("the strength h", 1.0, 50.0, default=6.0), each_frame(denoise_nlmeans)
    ),
    "denoise-temporal": Attack(
        "mix still pixels with earlier frames",
        Range("the change that counts as still, in levels,", 1.0, 100.0, default=8.0),
        planned_once(denoise_temporal),
    ),
    "posterise": Attack(
        "keep fewer bits of each value", Range("the bits kept", 1, 8, default=4, whole=True), each_frame(posterise)
    ),
    "moire": Attack(
        "waves and grid of a filmed screen",
        Range("the amplitude, as a share of each value,", 0.0, 1.0, default=0.1),
        planned_once(moire),
    ),
}
