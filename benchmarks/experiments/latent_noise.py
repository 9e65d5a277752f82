"""Does noise that carries ids under one key look like noise?

Three questions: can a linear classifier that saw thousands of examples tell it from plain noise, do the frames of a
clip resemble each other, do clips resemble each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.marks import LATENT_PURPOSE, bench_key, built_in_model
from benchmarks.metrics import Estimate, Interval, Rate, bootstrap
from benchmarks.report import Report, Table, write_report
from benchmarks.runs import Progress, Row, Task, run_tasks, seed_of
from provenance.watermarks.latent import LatentWatermark
from provenance.watermarks.payload import Origin

TRAINING_NOISES, TEST_NOISES = 5000, 2500
PENALTIES = (1e-4, 1e-3, 1e-2)
CORRELATED = 400


def run_noise(
    out: Path,
    *,
    shape: tuple[int, int, int, int] | None = None,
    training: int = TRAINING_NOISES,
    test: int = TEST_NOISES,
    seed: int = 0,
    progress: Progress | None = None,
) -> Report:
    """Measure the noise of one key against plain noise; rows and report go into `out`. Takes some minutes."""
    shape = shape or built_in_model().noise_shape
    arguments = {"shape": list(shape), "training": training, "test": test}
    tasks = [
        Task(f"noise/{name}", (name,), arguments, seed_of(name, seed))
        for name in ("classifier", "energies", "correlation")
    ]
    settings = {"experiment": "latent-noise", "seed": seed, **arguments}
    rows = run_tasks(tasks, measure_noise, out, settings=settings, progress=progress)
    report = noise_report(rows, settings)
    write_report(report, out)
    return report


def measure_noise(task: Task) -> list[Row]:
    """One question about the noise of one key."""
    arm, shape = task.arms[0], tuple(task.arguments["shape"])
    random = np.random.default_rng(task.seed)
    if arm == "correlation":
        return [{"arm": arm, **_correlations(shape, random)}]
    training, test = task.arguments["training"], task.arguments["test"]
    seen = [_noises(shape, training, random), _plain(shape, training, random)]
    unseen = [_noises(shape, test, random), _plain(shape, test, random)]
    if arm == "energies":
        seen, unseen = ([noises**2 - 1 for noises in both] for both in (seen, unseen))
    hits = _linear_hits(seen, unseen)
    return [{"arm": arm, "hits": hits, "trials": 2 * test, "training": 2 * training}]


def _noises(shape: tuple[int, ...], count: int, random: np.random.Generator) -> np.ndarray:
    """Marked noises float32 (count, values), each with an id of its own, all under one key."""
    watermark = LatentWatermark(bench_key(0).stream(LATENT_PURPOSE), shape)  # type: ignore[arg-type]
    ids = random.integers(0, 1 << 61, count)
    return np.stack([watermark.noise(int(Origin.GENERATED) << 61 | int(i), random).ravel() for i in ids])


def _plain(shape: tuple[int, ...], count: int, random: np.random.Generator) -> np.ndarray:
    return random.standard_normal((count, int(np.prod(shape))), dtype=np.float32)


def _linear_hits(seen: Sequence[np.ndarray], unseen: Sequence[np.ndarray]) -> int:
    """Fit logistic regressions (marked against plain), keep the penalty that does best on a fifth of the training
    examples, and count how many unseen examples it names rightly."""
    from sklearn.linear_model import LogisticRegression

    kept = len(seen[0]) * 4 // 5
    fit, truth = _joined([part[:kept] for part in seen])
    held, held_truth = _joined([part[kept:] for part in seen])
    models = [LogisticRegression(C=c, max_iter=60, tol=1e-3).fit(fit, truth) for c in PENALTIES]
    best = max(models, key=lambda model: model.score(held, held_truth))
    examples, answers = _joined(unseen)
    return int((best.predict(examples) == answers).sum())


def _joined(parts: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate(parts), np.repeat([1, 0], [len(parts[0]), len(parts[1])])


def _correlations(shape: tuple[int, ...], random: np.random.Generator) -> Row:
    """Root mean square correlations in units of what independent values would show, with 95 % intervals."""
    marked = _noises(shape, CORRELATED, random).reshape(CORRELATED, *shape)
    plain = _plain(shape, CORRELATED, random).reshape(CORRELATED, *shape)
    watermark = LatentWatermark(bench_key(0).stream(LATENT_PURPOSE), shape)  # type: ignore[arg-type]
    one_id = np.stack([watermark.noise(int(Origin.GENERATED) << 61 | 1, random) for _ in range(CORRELATED)])
    row: Row = {}
    for name, noises in (("marked", marked), ("one-id", one_id), ("plain", plain)):
        row[f"{name}/frames"] = _root(_between_frames(noises))
        row[f"{name}/clips"] = _root(_between_clips(noises))
    return row


def _between_frames(noises: np.ndarray) -> np.ndarray:
    """Squared correlation of the frames of each clip (n, C, t, h, w), times the number of values: (n,)."""
    frames = noises.transpose(0, 2, 1, 3, 4).reshape(len(noises), noises.shape[2], -1)
    between = [
        np.mean([_correlation(clip[a], clip[b]) ** 2 for a in range(len(clip)) for b in range(a)]) for clip in frames
    ]
    return np.array(between) * frames.shape[-1]


def _between_clips(noises: np.ndarray) -> np.ndarray:
    """The same of each clip (n, C, t, h, w) and its neighbour, two by two: (n / 2,)."""
    pairs = noises.reshape(len(noises) // 2, 2, -1)
    return np.array([_correlation(first, second) ** 2 for first, second in pairs]) * pairs.shape[-1]


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.corrcoef(first, second)[0, 1])


def _root(squares: np.ndarray) -> list[float]:
    """The root of the mean, and its 95 % interval: [value, low, high]."""
    interval = bootstrap(lambda index: float(np.sqrt(squares[index].mean())), [range(len(squares))], draws=500)
    return [round(float(v), 4) for v in (np.sqrt(squares.mean()), interval.low, interval.high)]


def noise_report(rows: Sequence[Row], settings: Row) -> Report:
    """Summarise the rows of `run_noise`."""
    lines = []
    for row in rows:
        if "error" in row:
            lines.append((row["arm"], f"failed: {row['error']}", ""))
        elif row["arm"] == "correlation":
            lines += [_correlation_line(name, value) for name, value in row.items() if "/" in name]
        else:
            accuracy = Rate(row["hits"], row["trials"])
            what = "the noise itself" if row["arm"] == "classifier" else "its squares"
            lines.append(
                (f"linear classifier on {what}: accuracy", str(accuracy), f"{row['training']} noises trained on")
            )
    note = "Correlations are root mean squares in units of what independent values show: 1 is plain noise."
    table = Table("Marked noise against plain noise, one key", ("measure", "value", "sample"), tuple(lines), note)
    shape = " x ".join(map(str, settings["shape"]))
    sentence = (
        f"Noise of {shape} (channels, frames, height, width); every marked noise has an id and a nonce of its own."
    )
    return Report("The latent watermark's noise", (sentence,), (table,), (), settings, {"rows": list(rows)})


def _correlation_line(name: str, value: Sequence[float]) -> tuple[str, str, str]:
    which, where_ = name.split("/")
    words = {"marked": "marked noise", "one-id": "marked noise, all with one id", "plain": "plain noise"}[which]
    count = CORRELATED if where_ == "frames" else CORRELATED // 2
    estimate = Estimate(value[0], Interval(value[1], value[2]), count)
    return (
        f"correlation between {where_}, {words}",
        str(estimate),
        f"{count} {'clips' if where_ == 'frames' else 'pairs'}",
    )
