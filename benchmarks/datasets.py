"""Labelled sets of clips: manifests, and folders laid out as FaceForensics++ or GenVidBench are.

FaceForensics++ (Rössler et al., ICCV 2019; the layout of its download script): real clips in
``original_sequences/{youtube,actors}/COMPRESSION/videos``, manipulated ones in
``manipulated_sequences/METHOD/COMPRESSION/videos``, named ``TARGET_SOURCE.mp4`` after the real clips that they were
made of; COMPRESSION is raw, c23 or c40.

GenVidBench (Ni et al., AAAI 2026): ``Pair1`` and ``Pair2`` with a folder per generator and one of real clips, and
tables ``Pair1_labels.txt``, ``Pair2_labels.txt`` of lines ``PATH LABEL``, 1 for generated. In Pair2 names begin with
the number of the scene that a real clip and its generated ones share.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from provenance.errors import CannotRead, UsageError
from provenance.inputs import expand

GENERATED, FILMED = "generated", "filmed"
_LABELS = {
    **dict.fromkeys(("generated", "ai", "fake", "synthetic", "1"), GENERATED),
    **dict.fromkeys(("filmed", "real", "camera", "0"), FILMED),
}
_REAL_FOLDERS = frozenset({"vript", "hd_vg_130m"})
_GENERATORS = frozenset({"pika", "vc2", "ms", "t2vz", "svd", "musev", "mora", "cogvideo"})


@dataclass(frozen=True)
class Entry:
    """One clip of a set. name: unique in it. source: what clips share that are not independent. lineage: the family of
    generators or cameras. label: generated, filmed or None. sha256: as the set states it. fold: 0 or more.
    """

    name: str
    path: Path
    source: str
    label: str | None = None
    lineage: str | None = None
    sha256: str | None = None
    fold: int | None = None


def label_of(text: str) -> str | None:
    """Return generated or filmed for the words and numbers that data sets use, None for nothing. Raises UsageError."""
    word = text.strip().lower()
    if word and word not in _LABELS:
        raise UsageError(f"{text!r} is no label", hint=f"one of {', '.join(_LABELS)}")
    return _LABELS.get(word)


def read_table(path: Path) -> list[dict[str, str]]:
    """Read a CSV table with a header. Raises CannotRead."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            return [{name: value or "" for name, value in row.items() if name} for row in csv.DictReader(stream)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CannotRead(f"{path}: cannot be read as a table ({error})", hint="is the name right?") from error


def manifest(path: Path, rows: Sequence[Mapping[str, str]]) -> list[Entry]:
    """Return the clips of a manifest: a table with a column ``file`` or ``path``, relative to its folder, and where it
    has them label, source (or family), lineage, sha256 and fold. Raises UsageError and CannotRead.
    """
    column = next((name for name in ("file", "path") if rows and name in rows[0]), None)
    if column is None:
        raise CannotRead(f"{path}: is neither a manifest nor a split", hint="a manifest has a column file or path")
    found = []
    for number, row in enumerate(rows, 2):
        if not row[column].strip():
            continue
        try:
            label, fold = label_of(row.get("label", "")), int(row["fold"]) if row.get("fold") else None
        except (UsageError, ValueError) as error:
            raise UsageError(
                f"{path}, line {number}: {error}", hint="label: generated or filmed; fold: a number"
            ) from None
        file = Path(row[column])
        source = row.get("source") or row.get("family") or file.parent.name or file.name
        name = file.name if file.is_absolute() else str(file)
        lineage, sha256 = row.get("lineage") or None, (row.get("sha256") or "").lower() or None
        found.append(Entry(name, path.parent / file, source, label, lineage, sha256, fold))
    return found


def known_layout(folder: Path) -> list[Entry] | None:
    """Return the clips of a folder laid out as one of the sets above, None for any other folder."""
    if any((folder / name).is_dir() for name in ("original_sequences", "manipulated_sequences")):
        return _face_forensics(folder)
    for root in (folder, folder / "GenVidBench"):
        inside = {one.name for pair in ("Pair1", "Pair2") if (root / pair).is_dir() for one in (root / pair).iterdir()}
        if inside & (_REAL_FOLDERS | _GENERATORS):
            return _gen_vid_bench(root)
    return None


def _face_forensics(folder: Path) -> list[Entry]:
    found = []
    for kind, label in (("original_sequences", FILMED), ("manipulated_sequences", GENERATED)):
        for path in _clips(folder / kind):
            relative = path.relative_to(folder)
            lineage = relative.parts[1]
            # 000_003 is the face of 003 on the clip 000; those of actors are numbered apart
            people = "actors" if lineage in ("actors", "DeepFakeDetection") else "youtube"
            target = path.stem.split("_")[0]
            found.append(Entry(str(relative), path, f"{people}/{target}", label, lineage))
    return found


def _gen_vid_bench(root: Path) -> list[Entry]:
    labels = {name: label for pair in ("Pair1", "Pair2") for name, label in _label_lines(root / f"{pair}_labels.txt")}
    found = []
    for path in [one for pair in ("Pair1", "Pair2") for one in _clips(root / pair)]:
        relative = path.relative_to(root)
        maker = relative.parts[1]
        known = FILMED if maker in _REAL_FOLDERS else GENERATED if maker in _GENERATORS else None
        source = _scene_of(relative.parts[0], maker, path.stem)
        found.append(Entry(str(relative), path, source, labels.get(relative.as_posix(), known), maker))
    return found


def _scene_of(pair: str, maker: str, stem: str) -> str:
    if numbered := re.match(r"(\d+)___", stem):
        return f"{pair}/{numbered[1]}"
    if cut := re.match(r"(.+)-Scene-\d+", stem):  # Vript: scenes of one film
        return f"{maker}/{cut[1]}"
    return f"{pair}/{stem.removeprefix(f'{maker}-')}"  # one prompt, several generators


def _label_lines(path: Path) -> Iterable[tuple[str, str | None]]:
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    parts = (line.strip().rsplit(None, 1) for line in lines)
    return [(part[0], label_of(part[1])) for part in parts if len(part) == 2]


def _clips(folder: Path) -> list[Path]:
    return [path for path in expand([folder]) if path.is_file()] if folder.is_dir() and any(folder.iterdir()) else []


def spread(entries: Sequence[Entry], count: int) -> list[Entry]:
    """Return at most `count` clips: labels in turn, of each the lineages in turn, of each the sources in turn."""
    return _turns(list(entries), ["label", "lineage", "source"])[:count]


def _turns(entries: list[Entry], fields: list[str]) -> list[Entry]:
    if not fields:
        return entries
    groups: dict[str | None, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(getattr(entry, fields[0]), []).append(entry)
    ordered = [_turns(group, fields[1:]) for group in groups.values()]
    longest = max(map(len, ordered), default=0)
    return [group[turn] for turn in range(longest) for group in ordered if turn < len(group)]
