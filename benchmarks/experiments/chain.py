"""The whole chain on camera clips: sign, lose the metadata, verify, and see whether the way back is found.

Every clip is signed with ``--origin captured`` under the key `public`, attacked, and verified, all through the command
line as a person would, in a home of its own that nothing else was signed in. Arms:

* ``intact``: the signed file as it is.
* ``strip`` and ``strip+...``: metadata dropped, then the attack; the manifest can come back through the watermark only.
* ``unmarked``: the clip before signing.
* ``wrong-key``: the clip marked under a key of one's own, read by somebody whose key of that name is another.
* ``pasted``: the signed clip's change of luma, as its file shows it, added to another clip of another source.

Clips are cut to their first seconds by copying packets; nothing is encoded before signing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.attacks import attack_file
from benchmarks.marks import bench_id
from benchmarks.metrics import mean_estimate
from benchmarks.report import Report, Table, write_report
from benchmarks.runs import Progress, Row, Task, run_tasks, seed_of
from benchmarks.tables import rate, rate_json, where
from benchmarks.videos import SceneShape, Subject, balanced, load, save, subjects
from provenance.errors import CountermarkError
from provenance.video import Clip, Video
from provenance.video.clip import luma_of
from provenance.video.transform import resized
from provenance.video.write import write_clip
from provenance.watermarks.payload import Origin, format_id

CHAINS = ("strip", "strip+x264:28", "strip+resize:0.5", "strip+crop:0.9")
ARMS = ("intact", *CHAINS, "unmarked", "wrong-key", "pasted")
CHECKS = "credentials,pixel-watermark,fingerprint"
CUT_SECONDS = 6.0
SCENES = SceneShape(360, 640, 3.0)
COMMAND_SECONDS = 900
_MAIN = "from countermark.cli import main; main()"


def run_chain(
    *,
    videos: str | Path,
    out: Path,
    use: str | None = "table",
    corpus: Path | None = None,
    clips: int | None = None,
    seconds: float = CUT_SECONDS,
    workers: int = 1,
    seed: int = 0,
    progress: Progress | None = None,
) -> Report:
    """Measure the chain and write rows and report into `out`; a run that was stopped goes on where it was.

    videos, use, corpus: see `benchmarks.videos.subjects`. clips: at most so many, the sources in turn.
    """
    found = subjects(videos, use=use, seed=seed, shape=SCENES, corpus=corpus)
    found = balanced(found, clips) if clips is not None else found
    tasks = [_task(subject, _other(found, position), seconds, seed) for position, subject in enumerate(found)]
    settings = {
        "experiment": "chain", "videos": Path(str(videos)).name, "use": use, "clips": len(found), "seconds": seconds,
        "seed": seed, "checks": CHECKS,
    }  # fmt: skip
    rows = run_tasks(tasks, measure, out, settings=settings, workers=workers, progress=progress)
    report = chain_report(rows, settings)
    write_report(report, out)
    return report


def _task(subject: Subject, other: Subject, seconds: float, seed: int) -> Task:
    arguments = {"subject": subject, "other": other, "seconds": seconds}
    return Task(f"chain/{subject.name}", ARMS, arguments, seed_of(subject.name, seed))


def _other(found: Sequence[Subject], position: int) -> Subject:
    """The next clip of another source; the next one where all have the same."""
    turn = [found[(position + step) % len(found)] for step in range(1, len(found) + 1)]
    return next((one for one in turn if one.source != found[position].source), turn[0])


@dataclass(frozen=True)
class _Bench:
    """The files of one task."""

    folder: Path
    subject: Subject
    other: Subject
    seconds: float
    seed: int

    @property
    def watermark_id(self) -> str:
        return format_id(bench_id(self.seed, Origin.CAPTURED))

    def file(self, name: str) -> Path:
        return self.folder / f"{name}.mp4"


def measure(task: Task) -> list[Row]:
    """Take one clip through all arms."""
    with tempfile.TemporaryDirectory(prefix="countermark-chain-") as folder:
        bench = _Bench(Path(folder), **task.arguments, seed=task.seed)
        source = bench.folder / f"source{_suffix(bench.subject)}"
        save(bench.subject, source, bench.seconds)
        info = Video(source).info
        facts = {"clip": bench.subject.name, "source": bench.subject.source, "sha256": bench.subject.sha256}
        facts |= {"width": info.width, "height": info.height, "frame_rate": round(float(info.frame_rate), 3)}
        failed = _signed(bench, source)
        rows = []
        for arm in task.arms:
            started = time.perf_counter()
            row = {**facts, "arm": arm}
            try:
                if failed is not None and arm != "unmarked":
                    raise failed
                row |= _arm(bench, source, arm)
            except (CountermarkError, _CommandError, OSError, ValueError) as error:
                row["error"] = " ".join(str(error).split())[:300]
            rows.append({**row, "seconds": round(time.perf_counter() - started, 2)})
    return rows


def _signed(bench: _Bench, source: Path) -> _CommandError | None:
    """Sign under `public`; returns the failure, for the arms that need a signed clip."""
    try:
        _run(
            bench,
            "home",
            "sign",
            source,
            "-o",
            bench.file("signed"),
            "--origin",
            "captured",
            "--id",
            bench.watermark_id,
        )
    except _CommandError as error:
        return error
    return None


def _arm(bench: _Bench, source: Path, arm: str) -> Row:
    signed = bench.file("signed")
    if arm == "intact":
        return _verified(bench, "home", signed) | {"psnr_db": _psnr(bench)}
    if arm == "unmarked":
        return _verified(bench, "home", source)
    if arm == "wrong-key":
        return _wrong_key(bench, source)
    if arm == "pasted":
        _paste(bench, source, signed, bench.file("pasted"))
        return _verified(bench, "home", bench.file("pasted"))
    attacked = bench.file(arm.replace("+", "-").replace(":", "-"))
    attack_file(signed, attacked, arm, bench.seed)
    return _verified(bench, "home", attacked)


def _wrong_key(bench: _Bench, source: Path) -> Row:
    """Mark under one person's key `mine`, and read as another person, who has a key of that name too."""
    for home in ("maker", "stranger"):
        _run(bench, home, "keys", "new", "mine")
    _run(bench, "maker", "sign", source, "-o", bench.file("mine"), "--key", "mine", "--origin", "captured")
    attack_file(bench.file("mine"), bench.file("mine-stripped"), "strip", bench.seed)
    return _verified(bench, "stranger", bench.file("mine-stripped"))


def _paste(bench: _Bench, source: Path, signed: Path, target: Path) -> None:
    """Add the difference between the signed and the source luma to another clip, and store it at H.264, CRF 18."""
    before, after = Video(source).read(), Video(signed).read()
    other = resized(load(bench.other, bench.seconds), before.width, before.height)
    count = min(len(before), len(after), len(other))
    change = luma_of(after.frames[:count]).astype(np.int16) - luma_of(before.frames[:count])
    frames = np.clip(other.frames[:count].astype(np.int16) + change[..., None], 0, 255).astype(np.uint8)
    even = frames[:, : before.height // 2 * 2, : before.width // 2 * 2]
    write_clip(Clip(even, before.times[:count]), target, crf=18)


def _verified(bench: _Bench, home: str, path: Path) -> Row:
    output = _run(bench, home, "verify", path, "--json", "--checks", CHECKS)
    return row_of(json.loads(output.splitlines()[-1]), bench.watermark_id)


def row_of(report: dict[str, Any], watermark_id: str) -> Row:
    """Return what a row keeps of verify's JSON: what was read, recovered and concluded."""
    if "error" in report:
        raise ValueError(report["error"])
    marks = [one for one in report["evidence"] if one["check"] == "pixel-watermark"]
    found = [one for one in marks if one["found"]]
    right = next((one for one in found if one["watermark_id"] == watermark_id), None)
    manifests = [one for one in report["evidence"] if one["check"] == "credentials"]
    recovered = [one for one in manifests if one["status"] == "recovered"]
    mine = [one for one in recovered if right is not None and one.get("manifest") == right["manifest"]]
    return {
        "found": bool(found),
        "exact": right is not None,
        "wrong_id": any(one["watermark_id"] != watermark_id for one in found),
        "log10_p": min((one.get("log10_p", 0.0) for one in marks), default=0.0),
        "statuses": sorted(one["status"] for one in manifests),
        "manifest": bool(mine),
        "origin": any(one.get("origin") == "captured" for one in mine),
        "content": right["content"] if right is not None else None,
        "finding": report["verdict"]["finding"],
        "grade": report["verdict"]["grade"],
    }


class _CommandError(Exception):
    """A command of ours left with another exit status than 0; says its first line."""


def _run(bench: _Bench, home: str, *arguments: str | Path) -> str:
    environment = {**os.environ, "COUNTERMARK_HOME": str(bench.folder / home), "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-c", _MAIN, *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()[-1:]
        raise _CommandError(f"{arguments[0]} left with {done.returncode}: {' '.join(lines)[:240]}")
    return done.stdout


def _psnr(bench: _Bench) -> float | None:
    """Luma PSNR of the marked frames before encoding, as signing itself would measure it, taken again here."""
    raise NotImplementedError


def _suffix(subject: Subject) -> str:
    return subject.path.suffix if subject.path is not None else ".mp4"


def chain_report(rows: Sequence[Row], settings: Row) -> Report:
    """Summarise the rows."""
    lines = []
    results: dict[str, Any] = {}
    for arm in ARMS:
        mine = where(rows, arm=arm)
        results[arm] = {field: rate_json(rate(mine, field)) for field in ("found", "exact", "manifest", "origin")}
        lines.append(_line(arm, mine))
    quality = [row.get("psnr_db") for row in where(rows, arm="intact")]
    header = ("arm", "exact id", "manifest recovered", "origin known", "content differs", "finding, grade")
    note = "Shares of all clips with Wilson's 95 % interval; a clip that failed in an arm counts as a miss there."
    table = Table("Sign, attack, verify", header, tuple(lines), note)
    known = [value for value in quality if value is not None]
    which = f"{settings['videos']}, {settings['use'] or 'all'}"
    sentence = f"{settings['clips']} clips ({which}), at most their first {settings['seconds']:g} s."
    least = f" Luma PSNR before encoding {mean_estimate(quality)} dB, least {min(known):.2f}." if known else ""
    return Report("The whole chain", (sentence + least,), (table,), (), settings, {"arms": results})


def _line(arm: str, rows: Sequence[Row]) -> tuple[str, ...]:
    counts: dict[str, int] = {}
    for row in rows:
        said = f"{row['finding']}, {row['grade']}" if "error" not in row else "failed"
        counts[said] = counts.get(said, 0) + 1
    findings = "; ".join(f"{said} {count}" for said, count in sorted(counts.items(), key=lambda item: -item[1]))
    judged = [row for row in rows if row.get("content") is not None]
    differs = rate([{**row, "differs": row["content"] == "differs"} for row in judged], "differs")
    if arm in ("unmarked", "wrong-key"):
        return arm, f"found: {rate(rows, 'found')}", "", "", "", findings
    return arm, str(rate(rows, "exact")), str(rate(rows, "manifest")), str(rate(rows, "origin")), str(differs), findings
