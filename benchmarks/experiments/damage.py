"""`bench damage`: what happens to whoever examines files that are broken at random?

Small files of every container are damaged in one of seven ways and verified as `countermark verify` does, in the warm
worker. A trial ends well with a report or with one clear error. It ends badly when the caller gets any other exception
(*traceback*), when it takes longer than the limit (*hang*), or when a file stays behind (*leftover*). Where the worker
died, the caller has its clear error; *worker ended* counts those apart.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.experiments.chain import Checks
from benchmarks.report import Report, Table, write_report
from benchmarks.runs import Progress, Row, Task, run_tasks, seed_of
from provenance.credentials.authority import own_authority_pem
from provenance.credentials.signing import open_signer
from provenance.credentials.trust import load_trust
from provenance.errors import CountermarkError
from provenance.keys import PUBLIC
from provenance.repository import ManifestRepository
from provenance.sign import SigningPlan, sign
from provenance.verify import verify
from provenance.video import Clip
from provenance.video.write import write_clip, write_still
from provenance.watermarks.pixel import PURPOSE

FILES = 5000
BATCH = 50
LIMIT_SECONDS = 60.0
CODECS = {
    ".mp4": "libx264",
    ".mov": "libx265",
    ".mkv": "libx264",
    ".webm": "libvpx-vp9",
    ".avi": "mpeg4",
    ".ts": "libx264",
}
ENDS = ("report", "clear error", "worker ended", "traceback", "hang", "leftover")

Damage = Callable[[bytearray, np.random.Generator], bytearray]


def flipped(data: bytearray, random: np.random.Generator) -> bytearray:
    """A few bytes anywhere get other values."""
    for place in random.integers(0, len(data), int(random.integers(1, 60))):
        data[place] = int(random.integers(256))
    return data


def flipped_early(data: bytearray, random: np.random.Generator) -> bytearray:
    """A few bytes of the first kilobyte get other values: headers and boxes."""
    for place in random.integers(0, min(1024, len(data)), int(random.integers(1, 20))):
        data[place] = int(random.integers(256))
    return data


def cut_off(data: bytearray, random: np.random.Generator) -> bytearray:
    """The end is missing."""
    return data[: int(random.integers(0, len(data)))]


def beheaded(data: bytearray, random: np.random.Generator) -> bytearray:
    """The beginning is missing."""
    return data[int(random.integers(1, len(data))) :]


def emptied(data: bytearray, random: np.random.Generator) -> bytearray:
    """A stretch is all zeros, as after a disk failure."""
    start = int(random.integers(0, len(data)))
    stop = min(len(data), start + int(random.integers(1, 8192)))
    data[start:stop] = bytes(stop - start)
    return data


def inserted(data: bytearray, random: np.random.Generator) -> bytearray:
    """Bytes that do not belong there."""
    start = int(random.integers(0, len(data)))
    return data[:start] + bytearray(random.bytes(int(random.integers(1, 4096)))) + data[start:]


def swapped(data: bytearray, random: np.random.Generator) -> bytearray:
    """Two stretches have changed places."""
    first, second, third = sorted(int(place) for place in random.integers(0, len(data), 3))
    return data[:first] + data[second:third] + data[first:second] + data[third:]


DAMAGES: dict[str, Damage] = {
    "bytes changed": flipped,
    "header changed": flipped_early,
    "end missing": cut_off,
    "beginning missing": beheaded,
    "zeros": emptied,
    "bytes inserted": inserted,
    "stretches swapped": swapped,
}


def run_damage(
    out: Path, *, files: int = FILES, workers: int = 1, seed: int = 0, progress: Progress | None = None
) -> Report:
    """Verify `files` damaged files; rows and report go into `out`. A run that was stopped goes on where it was."""
    batches = -(-files // BATCH)
    tasks = [
        Task(f"damage/{n}", ("damage",), {"count": min(BATCH, files - n * BATCH)}, seed_of(f"{n}", seed))
        for n in range(batches)
    ]
    settings: Row = {"experiment": "damage", "files": files, "seed": seed}
    rows = run_tasks(tasks, measure_damage, out, settings=settings, workers=workers, progress=progress)
    report = damage_report(rows, settings)
    write_report(report, out)
    return report


def measure_damage(task: Task) -> list[Row]:
    """Damage and verify one batch of files."""
    random = np.random.default_rng(task.seed)
    ends: Counter[str] = Counter()
    worst, said = 0.0, []
    with tempfile.TemporaryDirectory(prefix="countermark-damage-") as name:
        folder = Path(name)
        sources = _sources(folder / "whole")
        trust = load_trust(None, own_authority_pem(folder / "whole" / "authority"))
        checks = Checks(trust, (PUBLIC.stream(PURPOSE),))
        place = folder / "damaged"
        place.mkdir()
        for _ in range(task.arguments["count"]):
            source = sources[int(random.integers(len(sources)))]
            kind = list(DAMAGES)[int(random.integers(len(DAMAGES)))]
            path = place / f"clip{source.suffix}"
            path.write_bytes(DAMAGES[kind](bytearray(source.read_bytes()), random))
            started = time.monotonic()
            end, note = _verified(path, checks)
            took = time.monotonic() - started
            path.unlink()
            if took > LIMIT_SECONDS:
                end = "hang"
            if list(place.iterdir()):
                end, note = "leftover", str([one.name for one in place.iterdir()])
            ends[end] += 1
            worst = max(worst, took)
            if end not in ("report", "clear error"):  # each of the others is worth a look
                said.append(f"{kind}, {source.suffix}: {note}"[:300])
    return [{"arm": "damage", **{end: ends[end] for end in ENDS}, "said": said, "most_seconds": round(worst, 2)}]


def _verified(path: Path, checks: Checks) -> tuple[str, str]:
    try:
        verify(path, checks, keyframes=0)
    except CountermarkError as error:
        if "\n" in str(error) or not error.hint:
            return "traceback", str(error)
        return ("worker ended" if "crashed the worker" in str(error) else "clear error"), str(error)
    except Exception as error:  # whatever else reaches the caller is what is being counted
        return "traceback", f"{type(error).__name__}: {error}"
    return "report", ""


def _sources(folder: Path) -> list[Path]:
    """Small whole files: one per container, a GIF, two pictures, and a signed clip."""
    folder.mkdir()
    y, x = np.mgrid[:96, :128]
    frames = np.stack([128 + 60 * np.sin((x + 3 * t) / 9) + 30 * np.cos(y / 7) for t in range(12)])
    clip = Clip.at_rate(np.repeat(frames.clip(0, 255).astype(np.uint8)[..., None], 3, axis=-1), 12)
    found = []
    for suffix, codec in CODECS.items():
        found.append(folder / f"whole{suffix}")
        write_clip(clip, found[-1], codec=codec, preset="ultrafast", crf=30)
    for suffix in (".png", ".jpg"):
        found.append(folder / f"whole{suffix}")
        write_still(clip.frames[0], found[-1])
    signer = open_signer(None, folder / "authority").signer
    signed = folder / "signed.mp4"
    repository = ManifestRepository(folder / "repository.sqlite")
    sign(found[0], signed, signer=signer, repository=repository, plan=SigningPlan(streams=()))
    return [*found, signed]


def damage_report(rows: Sequence[Row], settings: Row) -> Report:
    """Summarise the rows."""
    good = [row for row in rows if "error" not in row]
    totals = {end: sum(row[end] for row in good) for end in ENDS}
    worst = max((row["most_seconds"] for row in good), default=0.0)
    bad = [note for row in good for note in row["said"]]
    summary = (
        f"{sum(totals.values())} of {settings['files']} damaged files; {len(rows) - len(good)} batches failed.",
        f"The slowest took {worst:.1f} s.",
    )
    tables = [Table("How it ended", ("end", "files"), tuple((end, str(count)) for end, count in totals.items()))]
    if bad:
        tables.append(Table("What went wrong", ("damage, container: what was said",), tuple((note,) for note in bad)))
    results = {"ends": totals, "failed": len(rows) - len(good), "most_seconds": worst}
    return Report("Damaged files", summary, tuple(tables), (), settings, results)
