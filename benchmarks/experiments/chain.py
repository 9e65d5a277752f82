"""The whole chain on camera clips: sign, lose the metadata, verify, and see whether the way back is found.

Every clip is signed with the origin *captured* under the key `public`, by a signer of its own and into a repository of
its own, attacked as a file, and verified: through `sign` and `verify` of the library, in one warm sandbox worker per
process, which is what the commands call. Verification runs the credentials, the pixel watermark and the fingerprint,
under `public`; ``unmarked`` and ``strip`` also try a key that marked nothing, whose finds are the wrong-key column.
Arms:

* ``intact``: the signed file as it is.
* ``strip`` and ``strip+...``: metadata dropped, then the attack; the manifest can come back through the watermark only.
* ``unmarked``: the clip before signing.
* ``pasted``: the signed clip's change of luma, as its file shows it, added to another clip of another source.

Clips are cut to their first seconds by copying packets; nothing is encoded before signing.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.attacks import attack_file
from benchmarks.marks import PIXEL_PURPOSE, bench_id, bench_key
from benchmarks.metrics import Rate, mean_estimate
from benchmarks.report import Report, Table, write_report
from benchmarks.runs import Progress, Row, Task, reason_of, run_tasks, seed_of
from benchmarks.tables import rate, rate_json, where
from benchmarks.videos import SceneShape, Subject, balanced, fingerprint_of, load, save, subjects
from provenance.credentials.authority import own_authority_pem
from provenance.credentials.check import CredentialsCheck
from provenance.credentials.signing import open_signer
from provenance.credentials.trust import Trust, load_trust
from provenance.errors import CountermarkError
from provenance.keys import PUBLIC, KeyStream
from provenance.repository import ManifestRepository
from provenance.repository.fingerprint import FingerprintCheck
from provenance.sign import SigningPlan, SignReport, sign
from provenance.verify import verify
from provenance.video import Clip, Video
from provenance.video.transform import resized
from provenance.video.write import write_clip
from provenance.watermarks.payload import Origin, format_id
from provenance.watermarks.pixel import PixelWatermarkCheck

CHAINS = ("strip", "strip+x264:28", "strip+resize:0.5", "strip+crop:0.9")
ARMS = ("intact", *CHAINS, "unmarked", "pasted")
PASTED = 24
"""At least so many clips, the sources in turn, are pasted on another; half of them where that is more."""
CUT_SECONDS = 4.0
SCENES = SceneShape(360, 640, 2.0)


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
    pasted = set(balanced(found, max(PASTED, len(found) // 2)))
    tasks = [
        _task(subject, _other(found, position), seconds, seed, pasting=subject in pasted)
        for position, subject in enumerate(found)
    ]
    settings = {
        "experiment": "chain", "videos": Path(str(videos)).name, "use": use, "clips": len(found), "seconds": seconds,
        "seed": seed, "subjects": fingerprint_of(found),
    }  # fmt: skip
    rows = run_tasks(tasks, measure, out, settings=settings, workers=workers, progress=progress)
    report = chain_report(rows, settings)
    write_report(report, out)
    return report


def _task(subject: Subject, other: Subject, seconds: float, seed: int, *, pasting: bool) -> Task:
    arguments = {"subject": subject, "other": other, "seconds": seconds}
    return Task(f"chain/{subject.name}", ARMS if pasting else ARMS[:-1], arguments, seed_of(subject.name, seed))


def _other(found: Sequence[Subject], position: int) -> Subject:
    """The next clip of another source; the next one where all have the same."""
    turn = [found[(position + step) % len(found)] for step in range(1, len(found) + 1)]
    return next((one for one in turn if one.source != found[position].source), turn[0])


@dataclass(frozen=True)
class Checks:
    """The recipe of checks that verification runs here; picklable."""

    trust: Trust
    streams: tuple[KeyStream, ...] = field(repr=False)

    def __call__(self) -> list[Any]:
        """Return fresh checks for one file."""
        return [CredentialsCheck(self.trust), PixelWatermarkCheck(self.streams), FingerprintCheck()]


class _Bench:
    """One clip, its signer and its repository, and the files that are made of it."""

    def __init__(self, folder: Path, subject: Subject, other: Subject, seconds: float, seed: int) -> None:
        self.folder, self.subject, self.other, self.seconds, self.seed = folder, subject, other, seconds, seed
        suffix = subject.path.suffix if subject.path is not None else ".mp4"
        self.source, self.signed = folder / f"source{suffix}", folder / "signed.mp4"
        self.signer = open_signer(None, folder / "authority").signer
        self.trust = load_trust(None, own_authority_pem(folder / "authority"))
        self.repository = ManifestRepository(folder / "repository.sqlite")
        self.watermark_id = bench_id(seed, Origin.CAPTURED)
        self.other_key = bench_key(seed, "other")
        self.report: SignReport | None = None
        save(subject, self.source, seconds)

    def sign(self) -> None:
        """Sign the clip, as `countermark sign --origin captured` does."""
        plan = SigningPlan(origin="captured", watermark_id=self.watermark_id)
        self.report = sign(self.source, self.signed, signer=self.signer, repository=self.repository, plan=plan)

    def verify(self, path: Path, *, wrong_key: bool = False) -> Row:
        """Verify a file under `public`, and on request a key that marked nothing; keep what a row needs."""
        keys = (PUBLIC, self.other_key) if wrong_key else (PUBLIC,)
        checks = Checks(self.trust, tuple(key.stream(PIXEL_PURPOSE) for key in keys))
        report = verify(path, checks, recover=self.repository, keyframes=0)
        manifest = self.report.manifest_id if self.report is not None else None
        row = row_of(report.to_json(), format_id(self.watermark_id), manifest, self.other_key.name)
        return row if wrong_key else {**row, "wrong_key": None}

    def attacked(self, chain: str) -> Path:
        """Attack the signed file."""
        target = self.folder / "attacked.mp4"
        attack_file(self.signed, target, chain, self.seed, force=True)
        return target

    def pasted(self) -> Path:
        """Add what signing changed in the luma to another clip, and store that with H.264 at CRF 18, veryfast."""
        before, after = Video(self.source).read(), Video(self.signed).read()
        other = resized(load(self.other, self.seconds), before.width, before.height)
        count = min(len(before), len(after), len(other))
        change = after.luma[:count].astype(np.int16) - before.luma[:count]
        frames = np.clip(other.frames[:count] + change[..., None], 0, 255).astype(np.uint8)
        even = frames[:, : before.height // 2 * 2, : before.width // 2 * 2]
        target = self.folder / "pasted.mp4"
        write_clip(Clip(even, before.times[:count]), target, crf=18, preset="veryfast", force=True)
        return target


def measure(task: Task) -> list[Row]:
    """Take one clip through all arms."""
    with tempfile.TemporaryDirectory(prefix="countermark-chain-") as folder:
        bench = _Bench(Path(folder), **task.arguments, seed=task.seed)
        info = Video(bench.source).info
        facts: Row = {"clip": bench.subject.name, "source": bench.subject.source, "sha256": bench.subject.sha256}
        facts |= {"width": info.width, "height": info.height, "frame_rate": round(float(info.frame_rate), 3)}
        failed: CountermarkError | None = None
        try:
            bench.sign()
        except CountermarkError as error:  # what cannot be signed fails in every arm that needs it signed
            failed = error
        rows = []
        for arm in task.arms:
            started = time.perf_counter()
            row = {**facts, "arm": arm}
            try:
                if failed is not None and arm != "unmarked":
                    raise failed
                row |= _arm(bench, arm)
            except (CountermarkError, OSError, ValueError) as error:
                row["error"] = reason_of(error)
            rows.append({**row, "seconds": round(time.perf_counter() - started, 2)})
    return rows


def _arm(bench: _Bench, arm: str) -> Row:
    if arm == "unmarked":
        return bench.verify(bench.source, wrong_key=True)
    if arm == "intact":
        assert bench.report is not None
        signing = {"psnr_db": bench.report.psnr_db, "sign_seconds": round(bench.report.seconds, 2)}
        return bench.verify(bench.signed) | signing
    if arm == "pasted":
        return bench.verify(bench.pasted()) | {"pasted_on": bench.other.name}
    return bench.verify(bench.attacked(arm), wrong_key=arm == "strip")


def row_of(report: dict[str, Any], watermark_id: str, manifest: str | None, other_key: str) -> Row:
    """Return what a row keeps of verify's JSON object.

    watermark_id, manifest: what was signed. exact: this id was read. manifest: the signed manifest stands in the
    evidence, intact or recovered. origin: it says *captured*. content: its fingerprint against this file. wrong_key:
    something was found under `other_key`, which marked nothing.
    """
    marks = [one for one in report["evidence"] if one["check"] == "pixel-watermark"]
    found = [one for one in marks if one["found"]]
    right = [one for one in found if one["watermark_id"] == watermark_id]
    mine = [one for one in report["evidence"] if one["check"] == "credentials" and one.get("manifest") == manifest]
    authentic = [one for one in mine if manifest is not None and one["status"] in ("intact", "recovered")]
    return {
        "found": bool(found),
        "exact": bool(right),
        "wrong_id": len(found) > len(right),
        "wrong_key": any(one["key"] == other_key for one in found),
        "log10_p": min((one.get("log10_p", 0.0) for one in marks), default=0.0),
        "manifest": bool(authentic),
        "origin": any(one.get("origin") == "captured" for one in authentic),
        "content": right[0]["content"] if right else None,
        "finding": report["verdict"]["finding"],
        "grade": report["verdict"]["grade"],
    }


def chain_report(rows: Sequence[Row], settings: Row) -> Report:
    """Summarise the rows."""
    lines = []
    results: dict[str, Any] = {}
    for arm in ARMS:
        mine = where(rows, arm=arm)
        results[arm] = {field: rate_json(rate(mine, field)) for field in ("found", "exact", "manifest", "origin")}
        results[arm]["wrong_key"] = rate_json(rate(_tried(mine), "wrong_key"))
        lines.append(_line(arm, mine))
    quality = [row.get("psnr_db") for row in where(rows, arm="intact")]
    header = ("arm", "exact id", "signed manifest", "its origin", "content", "wrong key", "finding, grade")
    note = "Shares of all clips with Wilson's 95 % interval; a clip that failed in an arm counts as a miss there."
    table = Table("Sign, attack, verify", header, tuple(lines), note)
    known = [value for value in quality if value is not None]
    which = f"{settings['videos']}, {settings['use'] or 'all'}"
    sentence = f"{settings['clips']} clips ({which}), at most their first {settings['seconds']:g} s."
    least = f" Luma PSNR before encoding {mean_estimate(quality)} dB, least {min(known):.2f}." if known else ""
    genuine, pasted = _differs([row for row in rows if row["arm"] in CHAINS]), _differs(where(rows, arm="pasted"))
    results["differs"] = {"genuine": rate_json(genuine), "pasted": rate_json(pasted)}
    judged = f"Genuine attacked clips called *differs*: {genuine}; watermarks pasted on another clip: {pasted}."
    return Report("The whole chain", (sentence + least, judged), (table,), (), settings, {"arms": results})


def _differs(rows: Sequence[Row]) -> Rate:
    """How many of all trials the fingerprint calls different; where no id was read, nothing is called anything."""
    return Rate.of([None if "error" in row else row["content"] == "differs" for row in rows])


def _line(arm: str, rows: Sequence[Row]) -> tuple[str, ...]:
    counts: dict[str, int] = {}
    for row in rows:
        concluded = f"{row['finding']}, {row['grade']}" if "error" not in row else "failed"
        counts[concluded] = counts.get(concluded, 0) + 1
    findings = "; ".join(f"{said} {count}" for said, count in sorted(counts.items(), key=lambda item: -item[1]))
    contents = [str(row["content"]) for row in rows if row.get("content") is not None]
    said = "; ".join(f"{content} {contents.count(content)}" for content in sorted(set(contents)))
    wrong = str(rate(_tried(rows), "wrong_key")) if _tried(rows) else ""
    if arm == "unmarked":
        return arm, f"found: {rate(rows, 'found')}", "", "", "", wrong, findings
    fields = (str(rate(rows, field)) for field in ("exact", "manifest", "origin"))
    return arm, *fields, said, wrong, findings


def _tried(rows: Sequence[Row]) -> list[Row]:
    """The rows of which the wrong key was tried."""
    return [row for row in rows if row.get("wrong_key") is not None]
