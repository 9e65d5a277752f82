"""Training of the two classifiers with scikit-learn, and their translation into plain arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression

from detectors.calibration import Values, balanced
from detectors.classifier import STANDARD_LIMIT, LinearClassifier, TreeClassifier

Fit = Callable[[NDArray[np.floating], NDArray[np.bool_], Values], LinearClassifier | TreeClassifier]
"""(rows, values), generated (rows,), weights (rows,) -> classifier."""


def linear_fit(penalty: float) -> Fit:
    """Logistic regression; `penalty` times half the squared weights is added to the mean loss."""

    def fit(rows: NDArray[np.floating], generated: NDArray[np.bool_], weights: Values) -> LinearClassifier:
        share = balanced(weights, generated)
        centre = share @ rows
        scale = np.sqrt(share @ (rows - centre) ** 2) + 1e-6
        standard = np.clip((rows - centre) / scale, -STANDARD_LIMIT, STANDARD_LIMIT)
        model = LogisticRegression(C=1 / penalty, max_iter=400, tol=1e-3)
        model.fit(standard, generated, sample_weight=share)
        return LinearClassifier(centre, scale, model.coef_[0].astype(np.float64), float(model.intercept_[0]))

    return fit


def tree_fit(trees: int, smallest_leaf: int, seed: int = 0) -> Fit:
    """Extremely randomised trees (Geurts et al., "Extremely randomized trees", Machine Learning 63, 2006)."""

    def fit(rows: NDArray[np.floating], generated: NDArray[np.bool_], weights: Values) -> TreeClassifier:
        model = ExtraTreesClassifier(trees, min_samples_leaf=smallest_leaf, random_state=seed, n_jobs=1)
        model.fit(rows.astype(np.float32), generated, sample_weight=balanced(weights, generated) * len(rows))
        return as_arrays(model)

    return fit


def as_arrays(model: ExtraTreesClassifier) -> TreeClassifier:
    """The same trees as arrays; thresholds are rounded down to 32 bits, which changes no comparison."""
    roots: list[int] = []
    parts: list[dict[str, NDArray[Any]]] = []
    depth = 0
    for estimator in model.estimators_:
        tree, first = estimator.tree_, sum(len(part["feature"]) for part in parts)
        leaf, own = tree.children_left < 0, np.arange(tree.node_count)
        counts = tree.value[:, 0, :]
        roots.append(first)
        parts.append(
            {
                "feature": np.where(leaf, 0, tree.feature).astype(np.int32),
                "threshold": _rounded_down(np.where(leaf, 0.0, tree.threshold)),
                "left": (first + np.where(leaf, own, tree.children_left)).astype(np.int32),
                "right": (first + np.where(leaf, own, tree.children_right)).astype(np.int32),
                "share": (counts[:, 1] / counts.sum(axis=1)).astype(np.float32),
            }
        )
        depth = max(depth, int(tree.max_depth))
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return TreeClassifier(roots=np.array(roots, np.int32), depth=depth, **joined)


def _rounded_down(values: Values) -> NDArray[np.float32]:
    single = values.astype(np.float32)
    return np.where(single > values, np.nextafter(single, np.float32(-np.inf)), single).astype(np.float32)
