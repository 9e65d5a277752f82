"""The clips that a benchmark runs on: a folder, list, manifest or split, or scenes that are rendered anywhere."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from benchmarks.datasets import Entry, known_layout, label_of, manifest, read_table, spread
from benchmarks.runs import digest
from provenance.errors import CannotRead, CountermarkError, UsageError
from provenance.inputs import expand, read_list
from provenance.video import Clip, Video
from provenance.video.container import opened
from provenance.video.encoding import created
from provenance.video.write import write_clip

_SCENES = re.compile(r"scenes:([1-9][0-9]{0,4})")
GENERATED = "generated"
"""The use of a split that takes generated clips."""

_PER_FAMILY = 3
_PARTLY_FILMED = frozenset({"lumiere_edit", "wan_vace"})
_LISTS = frozenset({".txt", ".list", ".lst"})


@dataclass(frozen=True)
class SceneShape:
    """How rendered clips look: sides in pixels, length, and frames per second."""

    height: int = 720
    width: int = 1280
    seconds: float = 4.0
    frames_per_second: int = 24

    @property
    def frames(self) -> int:
        """How many frames a clip has."""
        return max(1, round(self.seconds * self.frames_per_second))


@dataclass(frozen=True)
class Subject:
    """One clip to measure on, picklable: a file, or the number of a scene.

    name: unique in the run. source: clips of one source are not independent, so that
    `balanced` takes the sources in turn. sha256: of the file, None where it cannot be read: measuring it fails then.
    label: generated, filmed, or None where nobody says. lineage: the family of generators or cameras. fold: of a split.
    least_seconds: where something asks for it, a shorter clip is played to and fro to this length (`lengthened`).
    """

    name: str
    source: str
    path: Path | None = None
    sha256: str | None = None
    scene_seed: int | None = None
    shape: SceneShape | None = None
    label: str | None = None
    lineage: str | None = None
    fold: int | None = None
    least_seconds: float | None = None

    def __post_init__(self) -> None:
        if (self.path is None) == (self.scene_seed is None):
            raise ValueError(f"{self.name}: a subject is either a file or a scene")


def fingerprint_of(found: Sequence[Subject]) -> str:
    """Return a digest over names and contents of clips: a run that is taken up again must have the same."""
    named = "\n".join(f"{one.name} {one.sha256 or one.scene_seed}" for one in found)
    return hashlib.sha256(named.encode()).hexdigest()[:16]


def subjects(
    videos: str | Path,
    *,
    use: str | None = None,
    seed: int = 0,
    shape: SceneShape | None = None,
    corpus: Path | None = None,
    clips: int | None = None,
) -> list[Subject]:
    """Return the clips that `videos` stands for.

    videos: ``scenes:N``; a folder or pattern; a folder laid out as FaceForensics++ or GenVidBench; a list (.txt, one
        name a line); a manifest (a .csv table, see `benchmarks.datasets.manifest`); or a split (a .csv table with
        sha256, family and watermark, such as benchmarks/data/split.csv), whose clips are found by their digests under
        `corpus` (the table's folder when None). use: of a split, the rows that are meant for this use, ``development``
        or ``table``, or ``generated``: of every generator the first three clips by digest, without those that hold
        filmed pixels; a split cannot be read without. clips: of other files at most so many, labels, lineages and
        sources in turn; the rest is not even opened.
    A clip that is missing, or cannot be read, is kept: measuring it fails, and the others go on.
    Raises UsageError where nothing is left, CannotRead where all clips are missing, some of a split's are, or a clip is
    not the one whose digest a manifest states.
    """
    match = _SCENES.fullmatch(str(videos))
    if match:
        return scene_subjects(int(match[1]), seed=seed, shape=shape or SceneShape())
    path = Path(videos)
    if path.suffix.lower() == ".csv":
        rows = read_table(path)
        if rows and {"sha256", "family", "watermark"} <= rows[0].keys():
            return _split_subjects(path, rows, corpus or path.parent, use)
        entries = manifest(path, rows)
    else:
        entries = (known_layout(path) if path.is_dir() else None) or _listed(path)
    if not entries:
        raise UsageError(f"{videos}: names no clip", hint="one file a line")
    if not any(entry.path.exists() for entry in entries):
        missing = f"none of its {len(entries)} clips is there" if path.is_file() else "there is no such file or folder"
        raise CannotRead(f"{videos}: {missing}", hint="name a folder, a list, a .csv manifest or split, or scenes:N")
    return [_file_subject(entry) for entry in (entries if clips is None else spread(entries, clips))]


def scene_subjects(count: int, *, seed: int, shape: SceneShape) -> list[Subject]:
    """Return `count` scenes to render, all kinds of scene in turn."""
    return [
        Subject(f"scene-{number:03d}", f"scene-{number:03d}", scene_seed=number, shape=shape)
        for number in range(seed, seed + count)
    ]


def load(subject: Subject, seconds: float | None = None) -> Clip:
    """Return the subject in memory, its first `seconds` only."""
    if subject.path is not None:
        return Video(subject.path).read(0.0, seconds)
    clip = _rendered(subject)
    if seconds is None:
        return clip
    return clip.select(clip.times < seconds - 1e-9)


def lengthened(clip: Clip, seconds: float | None) -> Clip:
    """Return a clip that is played to and fro until it has so many seconds, or itself where it is long enough."""
    if seconds is None or len(clip) < 2:
        return clip
    wanted = math.ceil(seconds * clip.frames_per_second - 1e-6)
    if wanted <= len(clip):
        return clip
    there_and_back = np.concatenate([np.arange(len(clip)), np.arange(len(clip) - 2, 0, -1)])
    order = np.resize(there_and_back, wanted)
    gaps = np.abs(np.diff(clip.times[order]))
    return Clip(clip.frames[order], clip.times[0] + np.concatenate([[0.0], np.cumsum(gaps)]))


def of_lines(found: Sequence[Subject], least: int, most: int | None = None) -> list[Subject]:
    """Return the clips whose shorter side has at least, and at most, so many pixels, as they are shown.

    What cannot be read stays. Raises UsageError where none is left.
    """
    kept = [one for one in found if _has_lines(one, least, most)]
    if not kept:
        asked = f"{least} lines" if most is None else f"{least} to {most} lines"
        raise UsageError(f"no clip has {asked}", hint="ask for others with --lines")
    return kept


def _has_lines(subject: Subject, least: int, most: int | None) -> bool:
    if subject.path is None:
        shape = subject.shape or SceneShape()
        shorter = min(shape.height, shape.width)
    else:
        try:
            info = Video(subject.path).info
        except CountermarkError:
            return True  # it fails where it is measured
        shorter = min(info.width, info.height)
    return shorter >= least and (most is None or shorter <= most)


def save(subject: Subject, target: Path, seconds: float | None = None) -> None:
    """Write the subject to a file: a copy of the first packets of its stream, or the scene at H.264, CRF 12."""
    if subject.path is not None:
        cut(subject.path, target, seconds)
    else:
        write_clip(load(subject, seconds), target, crf=12)


def cut(source: Path, target: Path, seconds: float | None) -> None:
    """Copy the pictures of the first `seconds` into a new file, packet for packet: nothing is encoded again."""
    with opened(source) as reader, created(target) as writer:
        stream = reader.streams.video[0]
        copy = writer.add_stream_from_template(stream)
        for packet in _timed(_first(reader.demux(stream), seconds)):
            packet.stream = copy
            writer.mux(packet)


def _first(packets: Iterable[av.Packet], seconds: float | None) -> list[av.Packet]:
    """Packets in decoding order, up to the first that is shown or decoded `seconds` after the first one."""
    kept: list[av.Packet] = []
    for packet in packets:
        stamp = packet.dts if packet.dts is not None else packet.pts
        if stamp is None or not packet.size:
            continue
        first = kept[0].dts if kept and kept[0].dts is not None else kept[0].pts if kept else stamp
        if seconds is not None and (stamp - (first or 0)) * packet.time_base >= seconds:
            break
        kept.append(packet)
    return kept


def _timed(packets: list[av.Packet]) -> list[av.Packet]:
    """Give all packets decoding times where some lack them, as Matroska's first ones do: the times of display in
    order, early enough that nothing is shown before it is decoded."""
    if all(packet.dts is not None for packet in packets):
        return packets
    shown = [packet.pts or 0 for packet in packets]
    early = max(ordered - own for ordered, own in zip(sorted(shown), shown, strict=True))
    for packet, ordered in zip(packets, sorted(shown), strict=True):
        packet.dts = ordered - early
    return packets


def _rendered(subject: Subject) -> Clip:
    from generator.scenes import SCENES, render

    shape, number = subject.shape or SceneShape(), int(subject.scene_seed or 0)
    frames, _ = render(
        number,
        SCENES[number % len(SCENES)],
        (shape.height, shape.width),
        shape.frames,
        frames_per_second=Fraction(shape.frames_per_second),
    )
    return Clip.at_rate(np.asarray(frames), shape.frames_per_second)


def _listed(path: Path) -> list[Entry]:
    """The files of a folder, list or pattern, named after their places below what they have in common."""
    files = expand(read_list(path) if path.suffix.lower() in _LISTS and path.is_file() else [path])
    base = path if path.is_dir() else Path(os.path.commonpath([file.absolute().parent for file in files]))
    return [
        Entry(os.path.relpath(file.absolute(), base.absolute()), file, file.parent.name or file.name) for file in files
    ]


def _split_subjects(table: Path, split: Sequence[dict[str, str]], corpus: Path, use: str | None) -> list[Subject]:
    rows = _first_of_each(split) if use == GENERATED else [row for row in split if row["watermark"] == use]
    if use is None or not rows:
        said = f"no clip is meant for {use!r}" if use else "it must be said which of its clips may be used"
        raise UsageError(
            f"{table}: {said}", hint=f"--use development for daily work, table or {GENERATED} for a final table"
        )
    files = {digest(file): file for file in expand([corpus])} if corpus.is_dir() else {}
    found = [
        Subject(
            f"{row['family']}/{row['sha256'][:8]}",
            row["family"],
            path=files[row["sha256"]],
            sha256=row["sha256"],
            label=label_of(row.get("label", "")),
            lineage=row.get("lineage") or None,
            fold=int(row["fold"]) if row.get("fold") else None,
        )
        for row in rows
        if row["sha256"] in files
    ]
    if len(found) < len(rows):
        raise CannotRead(
            f"{corpus}: holds {len(found)} of the {len(rows)} clips of {table.name}",
            hint="COUNTERMARK_CORPUS names the folder of the clips",
        )
    return found


def _first_of_each(split: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """The first generated clips of each family by digest."""
    families: dict[str, list[dict[str, str]]] = {}
    for row in sorted(split, key=lambda row: row["sha256"]):
        if row.get("label") == "ai" and row["family"] not in _PARTLY_FILMED:
            families.setdefault(row["family"], []).append(row)
    return [row for rows in families.values() for row in rows[:_PER_FAMILY]]


def _file_subject(entry: Entry) -> Subject:
    found = None
    with contextlib.suppress(OSError):
        found = digest(entry.path)
    if found and entry.sha256 and found != entry.sha256:
        raise CannotRead(
            f"{entry.path}: is not the clip whose digest the manifest states",
            hint=f"its SHA-256 is {found[:16]}…, and not {entry.sha256[:16]}…",
        )
    return Subject(
        entry.name,
        entry.source,
        path=entry.path,
        sha256=found,
        label=entry.label,
        lineage=entry.lineage,
        fold=entry.fold,
    )


def balanced(items: Sequence[Subject], count: int) -> list[Subject]:
    """Return at most `count` subjects, going round the sources in turn, in the order given."""
    rounds: dict[str, int] = {}
    turn = []
    for position, item in enumerate(items):
        rounds[item.source] = rounds.get(item.source, 0) + 1
        turn.append((rounds[item.source], position, item))
    return [item for _, _, item in sorted(turn, key=lambda entry: entry[:2])[:count]]
