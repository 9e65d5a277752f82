"""A nuisance probe, never evidence: how colourful, bright and contrasty a clip is, in thirty-two numbers.

Generated clips look more saturated and evenly lit than much of what is filmed, today. A detector that reads only
that is worthless tomorrow, so this probe's score is printed beside every score of the detectors.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.canonical import CanonicalFrames

QUANTILES = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
"""Quantiles taken of brightness and of saturation."""


def colour_names() -> tuple[str, ...]:
    """Names of the 32 values of `colour_features`, in their order."""
    quantiles = [f"{name}.q{round(100 * q)}" for name in ("value", "saturation") for q in QUANTILES]
    moments = [f"{channel}.{what}" for channel in "rgb" for what in ("mean", "spread", "skew")]
    rest = ["rg.spread", "yb.spread", "colourfulness", "local_contrast", "clipped_dark", "clipped_bright"]
    return (*quantiles, *moments, *rest, "hue.cos", "hue.sin", "hue.concentration")


def colour_features(view: CanonicalFrames) -> NDArray[np.float32]:
    """(32,) colour and exposure statistics of every fourth frame and second pixel."""
    rgb = view.rgb[::4, ::2, ::2].astype(np.float64) / 255
    value, low = rgb.max(axis=-1), rgb.min(axis=-1)
    saturation = (value - low) / (value + 1e-3)
    rg, yb = rgb[..., 0] - rgb[..., 1], (rgb[..., 0] + rgb[..., 1]) / 2 - rgb[..., 2]
    spread = float(np.hypot(rg.std(), yb.std()))
    colourfulness = spread + 0.3 * float(np.hypot(rg.mean(), yb.mean()))  # Hasler and Suesstrunk 2003, equation 6
    luma = rgb @ np.array([0.299, 0.587, 0.114])
    local = np.mean([np.abs(f - cv2.GaussianBlur(f, (0, 0), 4.0)).mean() for f in luma])
    hue = np.arctan2(np.sqrt(3) * (rgb[..., 1] - rgb[..., 2]), 2 * rgb[..., 0] - rgb[..., 1] - rgb[..., 2])
    direction = (saturation * np.exp(1j * hue)).mean() / (saturation.mean() + 1e-3)
    values = [*np.quantile(value, QUANTILES), *np.quantile(saturation, QUANTILES)]
    for channel in range(3):
        plane = rgb[..., channel]
        values += [plane.mean(), plane.std(), ((plane - plane.mean()) ** 3).mean() / (plane.std() ** 3 + 1e-4)]
    values += [rg.std(), yb.std(), colourfulness, local, (luma < 0.03).mean(), (luma > 0.97).mean()]
    values += [direction.real, direction.imag, abs(direction)]
    return np.asarray(values, np.float32)
