"""Part of `bench forgery`: copied watermarks through the product. A clip is signed as *captured* under a key of one's
own, its watermark is carried over to another clip, and that is verified where the manifest is known.

`leaked`: a thief has the derived stream of the pixel watermark alone, neither key nor signer nor repository, and marks
the other clip with the id of the signed one, or (`leaked-new`) with one that nobody registered.

An id is read there. What must not happen is that the signed manifest's content is said to fit, or that anything but
*conflict* is established. `intact` and `stripped` are the controls: the signed clip with and without its metadata.
"""

from __future__ import annotations

import functools
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from benchmarks.attacks import attack_file
from benchmarks.attacks import forgery as attacks
from benchmarks.experiments.chain import Checks, row_of
from benchmarks.marks import PIXEL_PURPOSE, bench_id, bench_key
from benchmarks.runs import Row, Task, tried
from benchmarks.videos import Subject, load, save
from provenance.credentials.authority import own_authority_pem
from provenance.credentials.signing import open_signer
from provenance.credentials.trust import load_trust
from provenance.repository import ManifestRepository
from provenance.sign import SigningPlan, SignReport, sign
from provenance.verify import verify
from provenance.video import Clip, Video
from provenance.video.transform import resized
from provenance.video.write import write_clip
from provenance.watermarks.payload import Origin, format_id
from provenance.watermarks.pixel import PixelWatermark

VERDICTS = (
    *("verdict/intact", "verdict/stripped", "verdict/whole/true", "verdict/whole/estimated"),
    *("verdict/lattice/estimated", "verdict/grey/true"),
    *("verdict/leaked/true", "verdict/leaked-new/true"),
)
SECONDS = 2.0


def measure_verdicts(task: Task) -> list[Row]:
    """Sign one clip, forge with it, verify; one row per arm."""
    facts = {**task.facts, "watermark": task.arguments["mark"].name}
    with tempfile.TemporaryDirectory(prefix="countermark-forgery-") as folder:
        owner = _Owner(Path(folder), task.arguments["subject"], task.arguments["other"], task.seed)
        return [tried({**facts, "arm": arm}, functools.partial(owner.verdict, arm)) for arm in task.arms]


@dataclass(frozen=True)
class _Owner:
    """Whoever holds the key, the signer and the repository; and the attacker's clip, `other`."""

    folder: Path
    subject: Subject
    other: Subject
    seed: int

    @cached_property
    def repository(self) -> ManifestRepository:
        return ManifestRepository(self.folder / "repository.sqlite")

    @cached_property
    def _signed(self) -> tuple[Path, SignReport]:
        source = self.folder / f"source{self.subject.path.suffix if self.subject.path else '.mp4'}"
        save(self.subject, source, SECONDS)
        return source, self._sign(source, "signed", self.seed)

    def _sign(self, source: Path, name: str, seed: int) -> SignReport:
        plan = SigningPlan(
            origin="captured",
            streams=(bench_key(self.seed, "own").stream(PIXEL_PURPOSE),),
            watermark_id=bench_id(seed, Origin.CAPTURED),
        )
        signer = open_signer(None, self.folder / "authority").signer
        return sign(source, self.folder / f"{name}.mp4", signer=signer, repository=self.repository, plan=plan)

    def verdict(self, arm: str) -> Row:
        """Make the arm's file, verify it, and say whether anybody would be deceived by a copy."""
        report = self._signed[1]
        _, what, *estimate = arm.split("/")
        path, watermark_id = self.folder / f"{what}.mp4", report.watermark_id or 0
        if what == "intact":
            path = report.path
        elif what == "stripped":
            attack_file(report.path, path, "strip", self.seed, force=True)
        else:
            clip, watermark_id = self._forged(what, estimate[0])
            _write(clip, path)
        row = self._row(path, watermark_id)
        if not estimate:  # the controls are what they say they are
            return row
        established = row["grade"] == "established" and row["finding"] != "conflict"
        return {**row, "deceived": row["content"] == "fits" or established}

    def _forged(self, what: str, estimate: str) -> tuple[Clip, int]:
        """The other clip with a watermark that is not its own, and the id that it shows."""
        source, report = self._signed
        victim = report.watermark_id or 0
        if what.startswith("leaked"):
            shown = victim if what == "leaked" else bench_id(self.seed + 2, Origin.CAPTURED)
            stolen = bench_key(self.seed, "own").stream(PIXEL_PURPOSE)
            return PixelWatermark(stolen).embed(load(self.other, SECONDS), shown), shown
        if what == "grey":
            report, residual = self._grey()
            return self._on_other(residual), report.watermark_id or 0
        residual = _residual(Video(source).read(), Video(report.path).read(), what, estimate)
        return self._on_other(residual), victim

    def _grey(self) -> tuple[SignReport, np.ndarray]:
        """The owner signs an even grey clip for the attacker, who takes what that shows."""
        grey = attacks.grey_like(Video(self._signed[0]).read())
        _write(grey, self.folder / "grey-source.mp4")
        report = self._sign(self.folder / "grey-source.mp4", "grey-signed", self.seed + 1)
        return report, attacks.true_residual(Video(report.path).read(), Video(self.folder / "grey-source.mp4").read())

    def _on_other(self, residual: np.ndarray) -> Clip:
        other = resized(load(self.other, SECONDS), residual.shape[2], residual.shape[1])
        count = min(len(other), len(residual))
        return attacks.with_added(other.select(slice(count)), attacks.at_strength(residual[:count]))

    def _row(self, path: Path, watermark_id: int) -> Row:
        trust = load_trust(None, own_authority_pem(self.folder / "authority"))
        checks = Checks(trust, (bench_key(self.seed, "own").stream(PIXEL_PURPOSE),))
        said = verify(path, checks, recover=self.repository, keyframes=0).to_json()
        row = row_of(said, format_id(watermark_id), None, "none other")
        return {name: row[name] for name in ("found", "exact", "log10_p", "content", "finding", "grade")}


def _residual(original: Clip, marked: Clip, what: str, estimate: str) -> np.ndarray:
    count = min(len(original), len(marked))
    original, marked = original.select(slice(count)), marked.select(slice(count))
    seen = attacks.true_residual(marked, original) if estimate == "true" else attacks.estimated_residual(marked)
    return attacks.moving(*attacks.lattice_leading(seen)) if what == "lattice" else seen


def _write(clip: Clip, path: Path) -> None:
    even = clip.frames[:, : clip.height // 2 * 2, : clip.width // 2 * 2]
    write_clip(Clip(np.ascontiguousarray(even), clip.times), path, crf=18, preset="veryfast", force=True)
