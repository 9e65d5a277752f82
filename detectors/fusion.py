"""Late fusion: channels' log-likelihood ratios, weighed and added.

The weights are not negative: a channel may be ignored, never believed in reverse. They are learned from clips of
generators and cameras that no channel saw, so a channel that overfits is trusted less.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.calibration import InconclusiveBand, PlattScale, Values, logistic_fit


@dataclass(frozen=True)
class Fusion:
    """fused log-likelihood ratio = offset + sum of weight * the channel's."""

    channels: tuple[str, ...]
    """Names, in the order of `weights`."""
    weights: tuple[float, ...]
    """One per channel, at least 0."""
    offset: float

    def __post_init__(self) -> None:
        if len(self.channels) != len(self.weights) or min(self.weights) < 0:
            raise ValueError("one weight per channel, none below 0")

    def log_likelihood_ratio(self, ratios: Values) -> Values:
        """(…, channels) -> (…)."""
        return np.asarray(ratios @ np.asarray(self.weights) + self.offset)


def fusion_of(
    channels: tuple[str, ...], ratios: Values, generated: NDArray[np.bool_], weights: Values, ridge: float = 0.02
) -> Fusion:
    """The fusion that fits unseen clips' ratios (rows, channels) best."""
    found, offset = logistic_fit(ratios, generated, weights, ridge)
    return Fusion(channels, tuple(float(w) for w in found), offset)


@dataclass(frozen=True)
class Head:
    """What turns channels' logits into one score: a scale for each, the fusion, the band."""

    scales: Mapping[str, PlattScale]
    """By name of channel, in the order of the fusion."""
    fusion: Fusion
    band: InconclusiveBand

    def __post_init__(self) -> None:
        if tuple(self.scales) != self.fusion.channels:
            raise ValueError("scales stand in the order of the fusion")

    def ratios(self, logits: Mapping[str, Values]) -> Values:
        """(clips, channels) calibrated log-likelihood ratios."""
        return np.stack([scale.log_likelihood_ratio(logits[name]) for name, scale in self.scales.items()], axis=-1)

    def fused(self, logits: Mapping[str, Values]) -> Values:
        """(clips,) fused log-likelihood ratio."""
        return self.fusion.log_likelihood_ratio(self.ratios(logits))
