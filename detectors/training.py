"""`train detectors`: from a folder of labelled clips to weights with a record of what they learned from."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from detectors.channels import CHANNELS, Channel
from detectors.classifier import LinearClassifier
from detectors.corpus import CorpusClip, few_per_family, read_corpus
from detectors.extraction import Degradation, kept_views
from detectors.folds import (
    FOLDS,
    FUSED,
    CellLogits,
    OutOfFold,
    cell_logits,
    fit_of,
    head_of,
    out_of_fold,
    trained_classifier,
    unseen_scores,
)
from detectors.suite import FORM, RECORD, WEIGHTS, Suite, oddness_of, save_suite
from detectors.table import FeatureTable, feature_table
from provenance.files import written_beside

log = logging.getLogger(__name__)
Report = Callable[[str, int, int], None]
"""Called with (step, done, all)."""
DEGRADED_PER_FAMILY = 2
"""So many clips of each family are scored after a degradation."""
ORDINARY_SHARE = 0.995
"""Share of training clips that must not be called odd."""


@dataclass(frozen=True)
class CorpusFeatures:
    """The main track of a corpus, measured."""

    clips: tuple[CorpusClip, ...]
    """All clips of the main track, the ones that could not be seen included."""
    unseen: Mapping[str, str]
    """Digest -> why a clip could not be seen."""
    table: FeatureTable
    """Features of all others."""
    degraded: Mapping[str, FeatureTable]
    """Features after each degradation, by its name."""
    degraded_wanted: Mapping[str, frozenset[str]]
    """Digests of the clips that were to be scored after each degradation."""


@dataclass(frozen=True)
class Trained:
    """What `train_detectors` made."""

    suite: Suite
    scores: OutOfFold
    weights: Path
    record: Path


def _silent(step: str, done: int, of: int) -> None:
    """Reports nothing."""


def corpus_features(
    corpus: Path,
    split: Path,
    cache: Path,
    degradations: Mapping[str, Degradation] | None = None,
    extra: tuple[Channel, ...] = (),
    report: Report = _silent,
) -> CorpusFeatures:
    """See and measure all clips of the main track, plain and degraded; kept in `cache`, safe to interrupt and resume.

    `extra` channels (probes) are measured on plain clips only.
    """
    clips = tuple(clip for clip in read_corpus(corpus, split) if clip.side_track is None)
    paths = {clip.sha256: clip.path for clip in clips}
    seen = kept_views(paths, cache, progress=partial(report, "canonical views"))
    table = feature_table(clips, seen, [*CHANNELS, *extra], cache, progress=partial(report, "features"))
    degraded, wanted = {}, {}
    bare = [replace(channel, colour_jitter=False) for channel in CHANNELS]
    for name, degradation in (degradations or {}).items():
        few = few_per_family(clips, DEGRADED_PER_FAMILY)
        wanted[name] = frozenset(clip.sha256 for clip in few)
        after = kept_views({c.sha256: c.path for c in few}, cache, name, degradation, partial(report, name))
        degraded[name] = feature_table(few, after, bare, cache, name)
    unseen = {digest: clip.reason for digest, clip in seen.items() if not clip.views}
    return CorpusFeatures(clips, unseen, table, degraded, wanted)


def unseen_clip_scores(features: CorpusFeatures, report: Report = _silent) -> tuple[CellLogits, OutOfFold]:
    """The fused channels' scores of all clips by models that saw neither their generator nor their camera."""
    fits = {channel.name: fit_of(channel) for channel in CHANNELS}
    logits = cell_logits(features.table, fits, features.degraded, partial(report, "cells"))
    return logits, out_of_fold(features.table, list(fits), logits, list(features.degraded))


def final_suite(table: FeatureTable, logits: CellLogits) -> Suite:
    """Classifiers from all clips; calibration, fusion and band from out-of-fold scores."""
    classifiers = {c.name: trained_classifier(table, c.name, fit_of(c)) for c in CHANNELS}
    head = head_of(table, [channel.name for channel in CHANNELS], unseen_scores(table, logits, None))
    limits = {}
    for name, classifier in classifiers.items():
        if isinstance(classifier, LinearClassifier):
            rows = table.rows[name]
            by_clip = [rows.values[(rows.clip == i) & rows.plain] for i in range(len(table.clips))]
            odd = [oddness_of(classifier, values) for values in by_clip]
            limits[name] = float(np.quantile(odd, ORDINARY_SHARE))
    return Suite(classifiers, head, limits)


def train_detectors(
    corpus: Path,
    split: Path,
    cache: Path,
    weights: Path = WEIGHTS,
    degradations: Mapping[str, Degradation] | None = None,
    report: Report = _silent,
) -> Trained:
    """Train on the whole main track and write the weights (safetensors) with their record (JSON) beside them."""
    features = corpus_features(corpus, split, cache, degradations, report=report)
    logits, scores = unseen_clip_scores(features, report)
    suite = final_suite(features.table, logits)
    digest = save_suite(suite, weights)
    record = RECORD if weights == WEIGHTS else weights.with_suffix(".json")
    with written_beside(record, force=True) as part:
        part.write_text(json.dumps(training_record(features, suite, scores, digest), indent=1, sort_keys=True) + "\n")
    return Trained(suite, scores, weights, record)


def training_record(features: CorpusFeatures, suite: Suite, scores: OutOfFold, digest: str) -> dict[str, Any]:
    """What the weights are, which clips they saw, and their mean out-of-fold score by family."""
    table = features.table
    means = np.nanmean(scores.scores[FUSED], axis=1)
    families = sorted({(clip.generated, clip.family) for clip in table.clips})
    rows = []
    for generated, family in families:
        own = np.array([c.family == family and c.generated == generated for c in table.clips])
        label = "generated" if generated else "filmed"
        rows.append(
            {
                "label": label,
                "family": family,
                "clips": int(own.sum()),
                "mean_ratio": round(float(means[own].mean()), 2),
            }
        )
    return {
        "form": FORM,
        "weights_sha256": digest,
        "channels": {c.name: {"form": c.form, "trees": c.trees, "penalty": c.penalty} for c in CHANNELS},
        "folds": FOLDS,
        "fusion": asdict(suite.head.fusion),
        "band": asdict(suite.head.band),
        "not_seen": dict(sorted(features.unseen.items())),
        "out_of_fold_families": rows,
        "trained_on_sha256": sorted(clip.sha256 for clip in table.clips),
    }
