"""Two small classifiers as plain arrays: a standardised linear one and an ensemble of trees.

Both are trained elsewhere (`detectors.fitting`) and evaluated here with numpy alone, so that weights are data and
nothing has to be unpickled. Both give a *logit*: a number that grows with the chance that the clip was generated,
not yet calibrated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from provenance.errors import WeightsError

Arrays = Mapping[str, NDArray[np.generic]]
"""Named arrays, as weights are stored."""
STANDARD_LIMIT = 6.0
"""Standardised values are clipped to this many standard deviations: one freak value shall not decide."""


class Classifier(Protocol):
    """Turns rows of features into logits."""

    def logits(self, rows: NDArray[np.floating]) -> NDArray[np.float64]:
        """(rows, values) -> (rows,)."""
        ...

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The classifier as named arrays."""
        ...


@dataclass(frozen=True)
class LinearClassifier:
    """Logistic regression on standardised values."""

    centre: NDArray[np.float64]
    """(values,) mean of the training rows."""
    scale: NDArray[np.float64]
    """(values,) standard deviation of the training rows, above 0."""
    weights: NDArray[np.float64]
    """(values,)."""
    bias: float

    def __post_init__(self) -> None:
        if not self.centre.shape == self.scale.shape == self.weights.shape or not (self.scale > 0).all():
            raise ValueError("centre, scale and weights have one length, and scales are above 0")

    def standardised(self, rows: NDArray[np.floating]) -> NDArray[np.float64]:
        """(rows, values) in standard deviations from the mean, clipped."""
        return np.clip((rows - self.centre) / self.scale, -STANDARD_LIMIT, STANDARD_LIMIT)

    def logits(self, rows: NDArray[np.floating]) -> NDArray[np.float64]:
        """(rows, values) -> (rows,)."""
        return np.asarray(self.standardised(rows) @ self.weights + self.bias)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """centre, scale, weights (values,) and bias (1,), 32 bits each."""
        single = {"centre": self.centre, "scale": self.scale, "weights": self.weights, "bias": np.array([self.bias])}
        return {name: value.astype(np.float32) for name, value in single.items()}


@dataclass(frozen=True)
class TreeClassifier:
    """An ensemble of binary trees; every leaf holds a share of generated clips, and shares are averaged.

    All trees stand one after the other in the same arrays; a leaf's children are itself.
    """

    roots: NDArray[np.int32]
    """(trees,) index of each tree's root."""
    feature: NDArray[np.int32]
    """(nodes,) value that is compared."""
    threshold: NDArray[np.float32]
    """(nodes,) at most this much: to the left."""
    left: NDArray[np.int32]
    """(nodes,) next node."""
    right: NDArray[np.int32]
    """(nodes,) next node."""
    share: NDArray[np.float32]
    """(nodes,) share of generated clips among the training clips that came here, 0 to 1."""
    depth: int
    """Steps after which every row has reached its leaf."""

    def shares(self, rows: NDArray[np.floating]) -> NDArray[np.float64]:
        """(rows, values) -> (rows,) mean share over the trees, 0 to 1."""
        values = rows.astype(np.float32)
        node = np.broadcast_to(self.roots, (len(values), len(self.roots)))
        at = np.arange(len(values))[:, None]
        for _ in range(self.depth):
            goes_left = values[at, self.feature[node]] <= self.threshold[node]
            node = np.where(goes_left, self.left[node], self.right[node])
        return np.asarray(self.share[node].astype(np.float64).mean(axis=1))

    def logits(self, rows: NDArray[np.floating]) -> NDArray[np.float64]:
        """(rows, values) -> (rows,) log odds of the mean share, between -4 and 4."""
        share = np.clip(self.shares(rows), 0.018, 0.982)
        return np.asarray(np.log(share) - np.log1p(-share))

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The fields by name; depth as (1,)."""
        names = ("roots", "feature", "threshold", "left", "right", "share")
        return {**{name: getattr(self, name) for name in names}, "depth": np.array([self.depth], np.int32)}


def classifier_from(arrays: Arrays) -> LinearClassifier | TreeClassifier:
    """The classifier that its `arrays()` describe. WeightsError if they describe none."""
    try:
        if "roots" in arrays:
            trees = {name: arrays[name] for name in ("roots", "feature", "threshold", "left", "right", "share")}
            return TreeClassifier(**trees, depth=int(arrays["depth"][0]))  # type: ignore[arg-type]
        wide = {name: arrays[name].astype(np.float64) for name in ("centre", "scale", "weights")}
        return LinearClassifier(**wide, bias=float(arrays["bias"][0]))
    except (KeyError, ValueError) as error:
        raise WeightsError(f"the weights of a detector are damaged ({error})", hint="reinstall Countermark") from error
