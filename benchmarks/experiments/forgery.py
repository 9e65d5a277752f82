"""`bench forgery`: can a watermark be averaged away, carried over to another clip, or claimed by finding a key for it?

Every clip is brought to 48 frames, shown at 24 a second, of 360 lines (180 where many clips are averaged), marked
there, forged in memory, and read blindly under the key that marked it. Arms:

* ``average-remove/WHAT/ESTIMATE/N/xGAIN``: what N other clips of the key have in common, each with an id of its own,
  is subtracted from a marked clip; ``average-add/...``: added to an unmarked one, which must not be detected. WHAT is
  ``by-frame``, the mean residual of frames of equal number, or ``pattern``, what the clips' leading patterns share.
* ``remove/...``: the same out of the frames of one clip alone: their mean (``still``), their first principal component
  (``leading``), and that on the tile's harmonics, by an attacker who has read the code (``lattice``).
* ``copy/...``: one clip's residual, or one of the above, on another clip; ``copy/grey``: the owner marks an even grey
  clip for the attacker. An id is read there, as it should be: what becomes of that is the verdict's part.
* ``collusion/HOW/K``: K holders of the same content, each with an id of its own, put their clips together.
* ``remark/...``: marked again, under another key, under the same key with another id, and by peers that can run here.
* ``claim/...``: keys that marked nothing, tried until one fits (`benchmarks.experiments.forgery_claims`).
* ``learn/...``: attackers who ask a reader, learn from clips, or hold the key
  (`benchmarks.experiments.forgery_learning`).
* ``verdict/...``: copies through `sign` and `verify` (`benchmarks.experiments.forgery_verdicts`).
* ``latent/...``: the noise of a marked clip of the built-in model, used for other content
  (`benchmarks.experiments.forgery_transplant`).

An attacker has an ``estimated`` residual, a marked clip minus a denoised one, or the originals and the ``true`` one.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from benchmarks.attacks import forgery as attacks
from benchmarks.experiments.forgery_claims import CLAIMS, TRIES, measure_claims
from benchmarks.experiments.forgery_learning import LEARNERS, LEARNT_FROM, QUERIES, Learner
from benchmarks.experiments.forgery_report import forgery_report
from benchmarks.experiments.forgery_transplant import PROMPTS, TRANSPLANTS, measure_transplants
from benchmarks.experiments.forgery_verdicts import VERDICTS, measure_verdicts
from benchmarks.marks import PIXEL_PURPOSE, Mark, PixelMark, bench_key, bench_message, mark_named
from benchmarks.report import write_report
from benchmarks.runs import Progress, Row, Task, run_tasks, seed_of, tried
from benchmarks.videos import SceneShape, Subject, balanced, fingerprint_of, load, subjects
from provenance.errors import CountermarkError, UnknownName
from provenance.evidence import WatermarkEvidence
from provenance.keys import Key
from provenance.quality import psnr
from provenance.verdict import DETECTED_LOG10_P
from provenance.video import Clip, Window
from provenance.video.transform import resized
from provenance.watermarks.payload import Origin
from provenance.watermarks.pixel import PixelWatermarkCheck

CLIPS, SCENES = 4, "scenes:12"
"""How many clips are attacked, and where clips come from, when nothing is said."""
COUNTS = (10, 100, 1000)
MOST_SOURCES = 24
FRAMES, RATE = 48, 24.0
SIZE, SMALL = (640, 360), (320, 180)
"""(width, height) of all arms, and of those that average many clips."""
ESTIMATES = ("true", "estimated")
WAYS = {
    "average-remove/by-frame": (1.0, 2.0, 4.0), "average-remove/pattern": (0.5, 1.0, 2.0),
    "average-add/by-frame": (1.0, 2.0, 4.0), "average-add/pattern": (1.0, 2.0, 4.0),
}  # fmt: skip
"""The gains of each way, in strengths of the watermark."""
PATTERNS = ("still", "leading", "lattice")
COLLUDERS = (2, 5, 10)
KINDS = ("average", "clip", "claim", "verdict", "learn", "latent")
"""Kinds of work; ``clip`` is what is done to one clip alone: remove, copy, collusion, remark."""


def run_forgery(
    out: Path,
    *,
    videos: str | Path | None = None,
    use: str | None = None,
    corpus: Path | None = None,
    clips: int = CLIPS,
    watermark: str = "pixel",
    kinds: Sequence[str] | None = None,
    counts: Sequence[int] = COUNTS,
    tries: int = TRIES,
    queries: int = QUERIES,
    workers: int = 1,
    ray_address: str | None = None,
    seconds_per_task: float | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Row]:
    """Forge, and write rows.jsonl, results.json, report.md and report.html into `out`; returns the rows.

    videos: see `benchmarks.videos.subjects`; None renders 12 scenes. clips: so many are attacked, sources in turn; what
    is averaged comes from the others. watermark: a name that `mark_named` knows; claims by keys and verdicts are
    measured for ours alone. kinds: of work, all of `KINDS` where none is named. counts: how many clips are averaged.
    tries: keys tried per clip. queries: questions that an attacker asks a reader, per arm.
    A run that was stopped goes on where it was. Raises UsageError and CannotRead for the videos, and UnknownName and
    NeedsExtra for the watermark and the kinds.
    """
    for kind in kinds or ():
        if kind not in KINDS:
            raise UnknownName("kind of forgery", kind, KINDS)
    kinds = [kind for kind in KINDS if not kinds or kind in kinds]
    mark = mark_named(watermark)
    source = str(videos) if videos is not None else SCENES
    found = subjects(source, use=use, seed=seed, shape=SceneShape(360, 640, FRAMES / RATE), corpus=corpus)
    targets = balanced(found, clips)
    donors = balanced([one for one in found if one not in targets], MOST_SOURCES) or targets
    peers = _peers(mark)
    given = {"mark": mark, "seed": seed, "queries": queries}
    tasks = [_averages(count, targets, donors, given) for count in counts]
    for position, subject in enumerate(targets):
        tasks += _of_clip(subject, (donors + targets)[position], peers, tries, given | {"donors": donors})
    if isinstance(mark, PixelMark):
        tasks += [_transplant(number, seed) for number in range(min(clips, len(PROMPTS)))]
    tasks = [task for task in tasks if task.name.split("/")[0] in kinds]
    settings = {
        "experiment": "forgery", "kinds": kinds, "seed": seed, "use": use,
        "videos": source.rstrip("/").rsplit("/", 1)[-1],
        "watermark": mark.name, "clips": len(targets), "sources": len(donors), "counts": list(counts), "tries": tries,
        "queries": queries, "peers": peers, "subjects": fingerprint_of(found),
    }  # fmt: skip
    rows = run_tasks(
        tasks, measure, out, settings=settings, workers=workers, ray_address=ray_address,
        seconds_per_task=seconds_per_task, progress=progress,
    )  # fmt: skip
    write_report(forgery_report(rows, settings), out)
    return rows


def _peers(mark: Mark) -> list[str]:
    """The peers that can run here, of each the shortest message."""
    from benchmarks.peers.environment import available_peers

    able = [name for name, reason in available_peers().items() if reason is None]
    return [name for name in able if not name.endswith("-64") and name != mark.name]


def _averages(count: int, targets: Sequence[Subject], donors: Sequence[Subject], given: Row) -> Task:
    arms = [
        f"{way}/{estimate}/{count}/x{gain:g} on {subject.name}"
        for subject in targets
        for way, gains in WAYS.items()
        for estimate in ESTIMATES
        for gain in gains
    ]
    arguments = given | {"what": "average", "count": count, "targets": list(targets), "donors": list(donors)}
    return Task(f"average/{count}", tuple(arms), arguments, seed_of(f"average/{count}", given["seed"]))


def _of_clip(subject: Subject, other: Subject, peers: Sequence[str], tries: int, given: Row) -> list[Task]:
    """What is done to one clip: forged alone and, for our own watermark, claimed and judged."""
    ours = isinstance(given["mark"], PixelMark)
    patterns = PATTERNS if ours else PATTERNS[:-1]
    arms = [
        *(f"remove/{what}/{estimate}" for what in patterns for estimate in ESTIMATES),
        *(f"copy/{what}/{estimate}" for what in ("whole", *patterns) for estimate in ESTIMATES),
        "copy/grey/true",
        *(f"collusion/{how}/{k}" for how in attacks.COLLUSIONS for k in COLLUDERS),
        *(f"remark/{who}" for who in ("other-key", "same-key", *peers)),
    ]
    work = {"clip": arms} | (
        {"claim": list(CLAIMS), "verdict": list(VERDICTS), "learn": list(LEARNERS)} if ours else {}
    )
    facts = {"clip": subject.name, "source": subject.source, "sha256": subject.sha256}
    arguments = given | {"subject": subject, "other": other, "tries": tries}
    return [
        Task(
            f"{what}/{subject.name}",
            tuple(arms),
            arguments | {"what": what},
            seed_of(f"{what}/{subject.name}", given["seed"]),
            facts,
        )
        for what, arms in work.items()
    ]


def _transplant(number: int, seed: int) -> Task:
    arguments = {"what": "latent", "prompts": PROMPTS[number], "seed": seed}
    facts = {"clip": f"prompt-{number}", "source": f"prompt-{number}"}
    return Task(f"latent/{number}", TRANSPLANTS, arguments, seed_of(f"latent/{number}", seed), facts)


@dataclass(frozen=True)
class Forged:
    """A clip that an attacker made.

    start: what it is compared with. victim: the id that was to go, or that is copied; None where none is there.
    taking_part: ids that others who took part hold.
    """

    clip: Clip
    start: Clip
    victim: int | None
    taking_part: frozenset[int] = frozenset()


def studied(subject: Subject, size: tuple[int, int]) -> Clip:
    """Return a subject's first 48 frames at a size (width, height), shown at 24 a second; a short one to and fro."""
    clip = load(subject, FRAMES / RATE)
    there = np.arange(len(clip))
    order = np.resize(np.concatenate([there, there[-2:0:-1]]), FRAMES)
    return Clip.at_rate(resized(clip, *size).frames[order], RATE)


def measure(task: Task) -> list[Row]:
    """All arms of one task."""
    what, arguments = task.arguments["what"], task.arguments
    if what == "average":
        return list(_averaged(task))
    if what == "verdict":
        return measure_verdicts(task)
    if what == "latent":
        return measure_transplants(task)
    if what == "learn":
        return _learned(task)
    clip = studied(arguments["subject"], SIZE)
    if what == "claim":
        return measure_claims(task, clip)
    case = _Case(arguments["mark"], bench_key(arguments["seed"]), clip, studied(arguments["other"], SIZE), task.seed)
    return [_tried(task.facts, arm, case.mark, functools.partial(case.row, arm)) for arm in task.arms]


def _learned(task: Task) -> list[Row]:
    mark, key = task.arguments["mark"], bench_key(task.arguments["seed"])
    victim = _message(mark, task.seed, 0)
    marked = mark.embed(studied(task.arguments["subject"], SMALL), victim, key)
    learner = Learner(
        mark,
        key,
        marked,
        victim,
        lambda clip: _reading(mark, clip, key, victim, searches=False)[1],
        lambda: _pairs(task),
        task.arguments["queries"],
        task.seed,
    )

    def row_of(arm: str) -> Row:
        forged, extra = learner.forge(arm)
        return _judged(mark, key, Forged(forged, marked, victim)) | extra

    return [_tried(task.facts, arm, mark, functools.partial(row_of, arm)) for arm in task.arms]


def _pairs(task: Task) -> list[tuple[Clip, Clip]]:
    """Other clips at the small size, marked under the key with ids of their own, and as they were."""
    mark, key = task.arguments["mark"], bench_key(task.arguments["seed"])
    plain = _donor_clips(task, LEARNT_FROM)
    return [(mark.embed(one, _message(mark, task.seed, number), key), one) for number, one in enumerate(plain, 1)]


def _tried(facts: Row, arm: str, mark: Mark, row_of: Callable[[], Row]) -> Row:
    return tried({**facts, "arm": arm, "watermark": mark.name}, row_of)


def _averaged(task: Task) -> Iterator[Row]:
    """Estimate once what the key's clips have in common, then attack every target with it."""
    mark, key = task.arguments["mark"], bench_key(task.arguments["seed"])
    ids = [_message(mark, task.seed, number) for number in range(task.arguments["count"])]
    means = _means(mark, key, _donor_clips(task, len(ids)), ids)
    arms = iter(task.arms)
    for number, subject in enumerate(task.arguments["targets"]):
        target = _Target(mark, key, subject, _message(mark, task.seed, -1 - number))
        facts = {"clip": subject.name, "source": subject.source, "sha256": subject.sha256}
        for way, gains in WAYS.items():
            for estimate in ESTIMATES:
                change = means[way.partition("/")[2], estimate]
                for gain in gains:
                    row_of = functools.partial(target.row, way, estimate, change, gain, frozenset(ids))
                    yield _tried(facts, next(arms), mark, row_of)


@dataclass(frozen=True)
class _Target:
    """A clip that the average of others is used against: taken out of it where it is marked, put into it where not."""

    mark: Mark
    key: Key
    subject: Subject
    victim: int

    @cached_property
    def plain(self) -> Clip:
        return studied(self.subject, SMALL)

    @cached_property
    def marked(self) -> Clip:
        return self.mark.embed(self.plain, self.victim, self.key)

    def row(self, way: str, estimate: str, change: np.ndarray, gain: float, ids: frozenset[int]) -> Row:
        if way.startswith("average-add/"):
            forged = attacks.with_added(self.plain, attacks.at_strength(change), gain)
            return _judged(self.mark, self.key, Forged(forged, self.plain, None, ids))
        if way == "average-remove/pattern":  # as much of it as each frame seems to hold
            seen = _residual(self.marked, self.plain, estimate)
            change = attacks.moving(change, attacks.amplitudes(seen, change))
        forged = attacks.with_added(self.marked, attacks.at_strength(change), -gain)
        return _judged(self.mark, self.key, Forged(forged, self.marked, self.victim, ids))


def _residual(marked: Clip, original: Clip, estimate: str) -> np.ndarray:
    if estimate == "true":
        return attacks.true_residual(marked, original)
    return attacks.estimated_residual(marked)


def _donor_clips(task: Task, count: int) -> Iterator[Clip]:
    """Yield as many clips as are averaged: few sources give many, mirrored, reversed and shifted by any distance."""
    random = np.random.default_rng(task.seed)
    donors, left = task.arguments["donors"], count
    for position, subject in enumerate(donors):
        share = -(-left // (len(donors) - position))
        try:
            clip = studied(subject, SMALL)
        except CountermarkError:  # what cannot be read is made up for by the next
            continue
        left -= share
        for _ in range(share):
            turns = [slice(None, None, int(step)) for step in random.choice([-1, 1], 3)]
            shift = (int(random.integers(clip.height)), int(random.integers(clip.width)))
            yield Clip(np.ascontiguousarray(np.roll(clip.frames[tuple(turns)], shift, (1, 2))), clip.times)


def _means(mark: Mark, key: Key, clips: Iterator[Clip], ids: Sequence[int]) -> dict[tuple[str, str], np.ndarray]:
    """(what, estimate) -> the mean residual by frame, and what the leading patterns have in common."""
    means = {estimate: attacks.MeanResidual() for estimate in ESTIMATES}
    commons = {estimate: attacks.CommonPattern() for estimate in ESTIMATES}
    find = attacks.lattice_leading if isinstance(mark, PixelMark) else attacks.leading
    for plain, message in zip(clips, ids, strict=True):
        marked = mark.embed(plain, message, key)
        for estimate in ESTIMATES:
            residual = _residual(marked, plain, estimate)
            means[estimate].add(residual)
            commons[estimate].add(find(residual)[0])
    return {("by-frame", estimate): mean.value for estimate, mean in means.items()} | {
        ("pattern", estimate): common.value for estimate, common in commons.items()
    }


@dataclass(frozen=True)
class _Case:
    """One clip, marked, and another that was not; all arms that need no more."""

    mark: Mark
    key: Key
    plain: Clip
    other: Clip
    seed: int

    @cached_property
    def victim(self) -> int:
        return _message(self.mark, self.seed, 0)

    @cached_property
    def marked(self) -> Clip:
        return self.mark.embed(self.plain, self.victim, self.key)

    def row(self, arm: str) -> Row:
        family, how, *rest = arm.split("/")
        if family == "remark":
            return self._marked_again(how)
        if family == "collusion":
            return _judged(self.mark, self.key, self._colluded(how, int(rest[0])))
        return _judged(self.mark, self.key, self._carried(family, how, rest[0]))

    def _carried(self, family: str, how: str, estimate: str) -> Forged:
        if how == "grey":
            grey = attacks.grey_like(self.plain)
            residual = attacks.true_residual(self.mark.embed(grey, self.victim, self.key), grey)
        else:
            residual = _residual(self.marked, self.plain, estimate)
        if how == "still":
            residual = attacks.still(residual)
        elif how in PATTERNS:
            residual = attacks.moving(*(attacks.leading if how == "leading" else attacks.lattice_leading)(residual))
        start, gain = (self.marked, -1.0) if family == "remove" else (self.other, 1.0)
        return Forged(attacks.with_added(start, attacks.at_strength(residual), gain), start, self.victim)

    def _colluded(self, how: str, count: int) -> Forged:
        ids = [_message(self.mark, self.seed, number) for number in range(count)]
        clips = [self.mark.embed(self.plain, message, self.key) for message in ids]
        return Forged(attacks.colluded(clips, how), self.plain, None, frozenset(ids))

    def _marked_again(self, who: str) -> Row:
        """`exact` says whether the first id is still read, `second` whether the new one is."""
        mark = self.mark if who in ("other-key", "same-key") else mark_named(who)
        key = bench_key(self.seed, "another") if who == "other-key" else self.key
        second = _message(mark, self.seed, 1)
        forged = Forged(mark.embed(self.marked, second, key), self.marked, self.victim, frozenset({second}))
        row = _judged(self.mark, self.key, forged)
        if who == "same-key":
            return {**row, "second": row["taking_part"] == 1}
        return {**row, "second": second in _reading(mark, forged.clip, key, second)[0]}


def _message(mark: Mark, seed: int, number: int) -> int:
    return bench_message(mark, seed + number, Origin.UNSTATED)


def _judged(mark: Mark, key: Key, forged: Forged) -> Row:
    """Read a forged clip, and say whose ids stand in it."""
    started = time.perf_counter()
    expected = forged.victim if forged.victim is not None else min(forged.taking_part)
    ids, log10_p = _reading(mark, forged.clip, key, expected)
    seconds = time.perf_counter() - started
    quality = psnr(forged.start.luma, forged.clip.luma)
    return {
        "found": log10_p is not None and log10_p <= DETECTED_LOG10_P,
        "exact": forged.victim in ids,
        "taking_part": len(forged.taking_part & set(ids)),
        "nobody": bool(set(ids) - forged.taking_part - {forged.victim}),
        "log10_p": round(log10_p, 2) if log10_p is not None else None,
        "psnr_db": round(quality, 2) if np.isfinite(quality) else None,
        "read_seconds": round(seconds, 2),
    }


def _reading(
    mark: Mark, clip: Clip, key: Key, expected: int, *, searches: bool = True
) -> tuple[set[int], float | None]:
    """Return all ids that a reader finds, and the log10 of the least chance that it states.

    searches: whether ours looks for crops, mirror images and tilts, too.
    """
    if not isinstance(mark, PixelMark):
        said = mark.read(clip, key, expected, (clip.height, clip.width))
        found = said.message is not None and said.log10_p is not None and said.log10_p <= DETECTED_LOG10_P
        return {said.message} if found and said.message is not None else set(), said.log10_p
    check = PixelWatermarkCheck([key.stream(PIXEL_PURPOSE)], searches=searches)
    check.begin(clip.width, clip.height, clip.frames_per_second, clip.seconds)
    for first in range(0, len(clip), 16):
        check.see(Window.of(clip.select(slice(first, first + 16)), first))
    said_all: list[WatermarkEvidence] = check.evidence()
    ids = {one.watermark_id for one in said_all if one.watermark_id is not None}
    return ids, min((one.log10_p for one in said_all if one.log10_p is not None), default=None)
