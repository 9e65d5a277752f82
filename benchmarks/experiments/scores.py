"""`bench detectors --videos ...`: any detectors on any labelled clips, as they are and after attacks.

Each clip is attacked once per chain, into a file that all detectors are given and that is gone before the next one is
made. A detector that abstains gives a row without a score; one that fails gives a row with its error. The suite that
ships is never scored on a clip that its weights were trained on: such a clip gives an error, and counts as one.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.attacks import attack_file, parse_chain
from benchmarks.judges import Judge
from benchmarks.report import write_report
from benchmarks.runs import Progress, Row, Task, reason_of, run_tasks, seed_of
from benchmarks.tables import detector_report
from benchmarks.videos import Subject, balanced, fingerprint_of, save, subjects
from provenance.errors import UsageError

CHAINS = ("none", "x264:28", "x264:35", "resize:.5+x264:33", "crop:.8+x264:28", "av1:45", "noise:.02+x264:28", "social")
"""The attacks when none are named: what delivery and light editing do to a clip."""
SECONDS = 4.0
"""The first seconds that detectors see: our suite looks at no more."""


def run_scores(
    out: Path,
    judges: Sequence[Judge],
    *,
    videos: str | Path,
    chains: Sequence[str] | None = None,
    use: str | None = None,
    corpus: Path | None = None,
    clips: int | None = None,
    workers: int = 1,
    ray_address: str | None = None,
    seconds_per_task: float | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Row]:
    """Score all clips by all judges; writes rows.jsonl and the reports into `out` and returns the rows.

    videos: as in `benchmarks.videos.subjects`; every clip needs a label. clips: at most so many, sources in turn.
    Raises UsageError where a label is missing or one of the two classes is, UnknownName for an attack.
    """
    spelled = tuple(dict.fromkeys(str(parse_chain(chain)) for chain in chains or CHAINS))
    found = subjects(videos, use=use, seed=seed, corpus=corpus, clips=clips)
    found = found if clips is None else balanced(found, clips)
    _refuse_unlabelled(found, str(videos))
    arms = tuple(f"{judge.name}/{chain}" for chain in spelled for judge in judges)
    tasks = [
        Task(
            f"detectors/{one.name}",
            arms,
            {"subject": one, "judges": tuple(judges)},
            seed_of(one.name, seed),
            {"clip": one.name, "source": one.source, "lineage": one.lineage, "label": one.label, "sha256": one.sha256},
        )
        for one in found
    ]
    settings = {
        "experiment": "detectors", "seed": seed, "videos": str(videos).rstrip("/").rsplit("/", 1)[-1], "use": use,
        "chains": list(spelled), "detectors": [judge.name for judge in judges], "seconds": SECONDS,
        "subjects": fingerprint_of(found), "labels": [one.label for one in found],
        "digests": {judge.name: judge.digest for judge in judges if judge.digest},
    }  # fmt: skip
    rows = run_tasks(
        tasks,
        measure,
        out,
        settings=settings,
        workers=workers,
        ray_address=ray_address,
        seconds_per_task=seconds_per_task,
        progress=progress,
    )
    write_report(detector_report(rows, settings), out)
    return rows


def _refuse_unlabelled(found: Sequence[Subject], videos: str) -> None:
    bare = [one.name for one in found if one.label is None]
    if bare:
        raise UsageError(
            f"{videos}: nothing says whether {bare[0]} was generated or filmed ({len(bare)} clips have no label)",
            hint="a .csv manifest with the columns file and label (generated or filmed) does",
        )
    if len({one.label for one in found}) == 1:
        raise UsageError(f"{videos}: all clips are {found[0].label}", hint="a detector needs clips of both kinds")


def measure(task: Task) -> list[Row]:
    """Attack one clip by every chain and score each result by every judge; one row per arm."""
    subject: Subject = task.arguments["subject"]
    judges: dict[str, Judge] = {judge.name: judge for judge in task.arguments["judges"]}
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="countermark-scores-") as name:
        source, attacked = Path(name) / "source.mkv", Path(name) / "attacked.mkv"
        save(subject, source, SECONDS)
        made, fault = "", ""
        for arm in task.arms:
            who, _, chain = arm.partition("/")
            row = {**task.facts, "arm": arm, "detector": who, "chain": chain}
            if made != chain:  # once for all detectors, whether it ends well or not
                made, fault = chain, ""
                try:
                    attack_file(source, attacked, chain, task.seed, force=True)
                except Exception as error:
                    fault = reason_of(error)
            try:
                rows.append({**row, "error": fault} if fault else {**row, **_scored(judges[who], attacked, subject)})
            except Exception as error:  # one arm that breaks is a row, and the others go on
                rows.append({**row, "error": reason_of(error)})
    return rows


def _scored(judge: Judge, path: Path, subject: Subject) -> Row:
    judge.refuse_trained_on(subject.sha256)
    started = time.perf_counter()
    said = judge.score(path)
    return {
        "score": said.score,
        "log_likelihood_ratio": said.log_likelihood_ratio,
        "decided": said.decided,
        "reason": said.reason,
        "seconds": round(time.perf_counter() - started, 2),
    }
