"""The channels of the suite: what each measures, and how it learns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.canonical import CanonicalFrames
from detectors.features.colour import colour_features, colour_names
from detectors.features.motion import motion_features, motion_names
from detectors.features.residual_spectrum import residual_spectrum_features, residual_spectrum_names

Feature = Callable[[CanonicalFrames], NDArray[np.float32]]
"""Canonical frames -> (values,)."""


def _backbone_features(view: CanonicalFrames) -> NDArray[np.float32]:
    from detectors.features.backbone import backbone_features  # torch: only when it is needed

    return backbone_features(view)


def _backbone_names() -> tuple[str, ...]:
    from detectors.features.backbone import backbone_names

    return backbone_names()


@dataclass(frozen=True)
class Channel:
    """One family of features with the classifier that reads it."""

    name: str
    """Stands in evidence and in tables."""
    form: str
    """Changes whenever the feature would give other values for the same frames."""
    features: Feature
    names: Callable[[], tuple[str, ...]]
    """Names of the values."""
    trees: bool
    """Read by trees rather than by a linear classifier."""
    penalty: float
    """Ridge of the linear classifier; unused by trees."""
    colour_jitter: bool
    """Whether copies with changed colours are added in training."""


CHANNELS = (
    Channel("residual-spectrum", "1", residual_spectrum_features, residual_spectrum_names, False, 0.3, False),
    Channel("motion", "1", motion_features, motion_names, True, 0.0, False),
    Channel("backbone", "1", _backbone_features, _backbone_names, False, 0.3, True),
)
"""The channels that are fused into the score."""
COLOUR_PROBE = Channel("probe: colour and exposure", "1", colour_features, colour_names, False, 1.0, False)
"""Printed beside the score, never part of it."""
