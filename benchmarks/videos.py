"""The clips that a benchmark runs on: a folder, a split or list of files, or scenes that are rendered anywhere."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from benchmarks.runs import digest
from provenance.errors import CannotRead, UsageError
from provenance.inputs import expand
from provenance.video import Clip, Video
from provenance.video.container import opened
from provenance.video.encoding import created
from provenance.video.write import write_clip

_SCENES = re.compile(r"scenes:([1-9][0-9]{0,4})")


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
    `balanced` takes the sources in turn. sha256: of the file.
    """

    name: str
    source: str
    path: Path | None = None
    sha256: str | None = None
    scene_seed: int | None = None
    shape: SceneShape | None = None

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
) -> list[Subject]:
    """Return the clips that `videos` stands for.

    videos: ``scenes:N``; a folder or pattern; or a split (a .csv table such as benchmarks/data/split.csv), whose clips
        are found by their digests under `corpus` (the table's folder when None). use: of a split, the rows that are
        meant for this use, ``development`` or ``table``; a split cannot be read without.
    Raises UsageError where nothing is left, CannotRead where clips are missing.
    """
    match = _SCENES.fullmatch(str(videos))
    if match:
        return scene_subjects(int(match[1]), seed=seed, shape=shape or SceneShape())
    path = Path(videos)
    if path.suffix.lower() == ".csv":
        return _split_subjects(path, corpus or path.parent, use)
    files = expand([path])
    if not any(file.exists() for file in files):
        raise CannotRead(f"{videos}: there is no such file or folder", hint="name a folder, a .csv split or scenes:N")
    base = path if path.is_dir() else Path()
    return [_file_subject(file, str(file.relative_to(base) if file.is_relative_to(base) else file)) for file in files]


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


def _split_subjects(table: Path, corpus: Path, use: str | None) -> list[Subject]:
    rows = [row for row in _rows(table) if row["watermark"] == use]
    if use is None or not rows:
        said = f"no clip is meant for {use!r}" if use else "it must be said which of its clips may be used"
        raise UsageError(f"{table}: {said}", hint="--use development for daily work, --use table for a final table")
    files = {digest(file): file for file in expand([corpus])} if corpus.is_dir() else {}
    found = [
        Subject(f"{row['family']}/{row['sha256'][:8]}", row["family"], path=files[row["sha256"]], sha256=row["sha256"])
        for row in rows
        if row["sha256"] in files
    ]
    if len(found) < len(rows):
        raise CannotRead(
            f"{corpus}: holds {len(found)} of the {len(rows)} clips of {table.name}",
            hint="COUNTERMARK_CORPUS names the folder of the clips",
        )
    return found


def _rows(table: Path) -> list[dict[str, str]]:
    """A split: columns sha256, family (the source) and watermark (the use); others are left alone."""
    try:
        with table.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError) as error:
        raise CannotRead(f"{table}: cannot be read as a split ({error})", hint="is the name right?") from error
    if not rows or not {"sha256", "family", "watermark"} <= rows[0].keys():
        raise CannotRead(f"{table}: is no split", hint="a table with sha256, family and watermark")
    return rows


def _file_subject(path: Path, name: str) -> Subject:
    return Subject(name, path.parent.name or name, path=path, sha256=digest(path) if path.is_file() else None)


def balanced(items: Sequence[Subject], count: int) -> list[Subject]:
    """Return at most `count` subjects, going round the sources in turn, in the order given."""
    rounds: dict[str, int] = {}
    turn = []
    for position, item in enumerate(items):
        rounds[item.source] = rounds.get(item.source, 0) + 1
        turn.append((rounds[item.source], position, item))
    return [item for _, _, item in sorted(turn, key=lambda entry: entry[:2])[:count]]
