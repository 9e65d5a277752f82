"""Scores of clips whose generator and camera the scoring model never saw.

Clips stand in five folds of generators' lineages and five folds of camera sources. A *cell* holds out one of each:
its model learns from the other four times four, and scores the two it did not see. Calibration and fusion of a cell
are learned inside its training clips in the same way, with two folds of each held out. So a score that is reported
comes from a chain that saw neither the generator nor the camera at any step.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.calibration import Values, inconclusive_band, platt_scale
from detectors.channels import Channel
from detectors.classifier import LinearClassifier, TreeClassifier
from detectors.extraction import Progress
from detectors.fitting import Fit, linear_fit, tree_fit
from detectors.fusion import Head, fusion_of
from detectors.table import FeatureTable

FOLDS = 5
TREES = 120
SMALLEST_LEAF = 4
FUSED = "fused"
"""Name of the fused score beside the channels' names."""
Cell = tuple[frozenset[int], frozenset[int]]
"""Held-out folds of generators, and of cameras."""


@dataclass(frozen=True)
class OutOfFold:
    """Scores of clips by models that saw neither their generator nor their camera."""

    table: FeatureTable
    scores: Mapping[str, Values]
    """By channel, and "fused": (clips, 5) log-likelihood ratios. Of a generated clip, column c comes from the cell that
    holds out its own fold and camera fold c; of a filmed one, column a from the cell of AI fold a and its own."""
    degraded: Mapping[str, Mapping[str, Values]]
    """The same after each degradation, by its name; NaN where a degraded clip could not be scored."""
    decided: NDArray[np.bool_]
    """(clips, 5) whether the fused score lies outside the band that its cell learned."""
    called_generated: NDArray[np.bool_]
    """(clips, 5) whether the fused score lies at or above the upper edge of that band."""


def fit_of(channel: Channel) -> Fit:
    """How the channel's classifier is trained."""
    return tree_fit(TREES, SMALLEST_LEAF) if channel.trees else linear_fit(channel.penalty)


def trained_classifier(
    table: FeatureTable, name: str, fit: Fit, held_out: Cell = (frozenset(), frozenset())
) -> LinearClassifier | TreeClassifier:
    """The channel's classifier from all clips outside the held-out folds."""
    rows = table.rows[name]
    use = ~np.isin(table.folds, list(held_out[0])) & table.generated
    use |= ~np.isin(table.folds, list(held_out[1])) & ~table.generated
    chosen = use[rows.clip]
    weights = rows.weights(table.weights)
    return fit(rows.values[chosen], table.generated[rows.clip[chosen]], weights[chosen])


def cells() -> list[Cell]:
    """The 25 outer cells and the 100 inner ones."""
    sets = [frozenset(s) for size in (1, 2) for s in itertools.combinations(range(FOLDS), size)]
    return [(a, c) for a in sets for c in sets if len(a) == len(c)]


@dataclass(frozen=True)
class CellLogits:
    """Uncalibrated scores of all clips by the model of every cell."""

    plain: Mapping[Cell, Mapping[str, Values]]
    """Cell -> channel -> (clips,)."""
    degraded: Mapping[str, Mapping[Cell, Mapping[str, Values]]]
    """Degradation -> outer cell -> channel -> (clips,)."""


def cell_logits(
    table: FeatureTable,
    fits: Mapping[str, Fit],
    degraded: Mapping[str, FeatureTable],
    progress: Progress | None = None,
) -> CellLogits:
    """Train every channel in every cell and score all clips with it."""
    plain: dict[Cell, dict[str, Values]] = {cell: {} for cell in cells()}
    after: dict[str, dict[Cell, dict[str, Values]]] = {name: {cell: {} for cell in plain} for name in degraded}
    places = {name: _places(table, other) for name, other in degraded.items()}
    for number, (cell, channel) in enumerate(itertools.product(plain, fits), 1):
        classifier = trained_classifier(table, channel, fits[channel], cell)
        rows = table.rows[channel]
        plain[cell][channel] = rows.per_clip(classifier.logits(rows.values), len(table.clips))
        for name, other in degraded.items():
            if len(cell[0]) == 1 and channel in other.rows:
                rows = other.rows[channel]
                scores = rows.per_clip(classifier.logits(rows.values), len(other.clips))
                after[name][cell][channel] = np.append(scores, np.nan)[places[name]]
        if progress:
            progress(number, len(plain) * len(fits))
    return CellLogits(plain, after)


def _places(table: FeatureTable, other: FeatureTable) -> NDArray[np.intp]:
    """(clips of table,) index of the same clip in `other`; one past its end where it is missing."""
    at = {clip.sha256: index for index, clip in enumerate(other.clips)}
    return np.array([at.get(clip.sha256, len(other.clips)) for clip in table.clips], np.intp)


@dataclass(frozen=True)
class UnseenScores:
    """Scores from which a head is learned: every clip once per model that did not see it."""

    logits: Mapping[str, Values]
    """By channel: (rows,)."""
    clip: NDArray[np.intp]
    """(rows,)."""


def unseen_scores(table: FeatureTable, logits: CellLogits, outer: tuple[int, int] | None) -> UnseenScores:
    """Scores of clips in folds a', c' by models that lack these and the outer cell's; all cells without one."""
    parts: dict[str, list[Values]] = {}
    clips = []
    pairs = [(a, c) for a in range(FOLDS) for c in range(FOLDS) if outer is None or (a != outer[0] and c != outer[1])]
    for a, c in pairs:
        cell = (frozenset({a} | ({outer[0]} if outer else set())), frozenset({c} | ({outer[1]} if outer else set())))
        own = np.flatnonzero(np.where(table.generated, table.folds == a, table.folds == c))
        clips.append(own)
        for name, scores in logits.plain[cell].items():
            parts.setdefault(name, []).append(scores[own])
    return UnseenScores({name: np.concatenate(p) for name, p in parts.items()}, np.concatenate(clips))


def head_of(table: FeatureTable, channels: Sequence[str], unseen: UnseenScores) -> Head:
    """Calibration, fusion and band from scores of unseen clips."""
    generated, weights = table.generated[unseen.clip], table.weights[unseen.clip]
    scales = {name: platt_scale(unseen.logits[name], generated, weights) for name in channels}
    ratios = np.stack([scale.log_likelihood_ratio(unseen.logits[name]) for name, scale in scales.items()], axis=-1)
    fusion = fusion_of(tuple(channels), ratios, generated, weights)
    band = inconclusive_band(fusion.log_likelihood_ratio(ratios), generated, weights)
    return Head(scales, fusion, band)


def out_of_fold(
    table: FeatureTable, names: Sequence[str], logits: CellLogits, degraded: Sequence[str] = ()
) -> OutOfFold:
    """Calibrated, fused scores of every clip by the five outer cells that did not see it."""
    scores = _no_scores(names, len(table.clips))
    after = {name: _no_scores(names, len(table.clips)) for name in degraded}
    decided, above = (np.zeros((len(table.clips), FOLDS), bool) for _ in range(2))
    for a, c in itertools.product(range(FOLDS), range(FOLDS)):
        head = head_of(table, names, unseen_scores(table, logits, (a, c)))
        cell = (frozenset({a}), frozenset({c}))
        own = np.flatnonzero(np.where(table.generated, table.folds == a, table.folds == c))
        column = np.where(table.generated[own], c, a)
        _enter(scores, head, logits.plain[cell], own, column)
        for name in degraded:
            _enter(after[name], head, logits.degraded[name][cell], own, column)
        fused = scores[FUSED][own, column]
        above[own, column] = fused >= head.band.high
        decided[own, column] = (fused <= head.band.low) | above[own, column]
    return OutOfFold(table, scores, after, decided, above)


def _no_scores(names: Sequence[str], clips: int) -> dict[str, Values]:
    return {name: np.full((clips, FOLDS), np.nan) for name in [*names, FUSED]}


def _enter(
    scores: Mapping[str, Values],
    head: Head,
    logits: Mapping[str, Values],
    own: NDArray[np.intp],
    column: NDArray[np.intp],
) -> None:
    ratios = head.ratios(logits)[own]
    for index, name in enumerate(head.scales):
        scores[name][own, column] = ratios[:, index]
    scores[FUSED][own, column] = head.fusion.log_likelihood_ratio(ratios)
