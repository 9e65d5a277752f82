"""The whole story in one go: make a clip, sign another, lose the metadata, find the way back, say what is not known.

The demonstration has keys, authority and repository of its own, in the folder that it writes: nothing of the user's is
touched, and nothing of it is trusted outside.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.attacks import attack_file
from countermark import wiring
from countermark.settings import Settings
from generator.marked import Wish
from generator.scenes import render
from provenance.files import refuse_clashes, refuse_existing, written_beside
from provenance.video import Clip
from provenance.video.write import write_clip

if TYPE_CHECKING:
    from provenance.verify import Report, Unread

PROMPT = "golden fire at night"
CHAIN = "strip+x264:35"
CAMERA_SECONDS = 2.5
CAMERA_SIZE = (360, 640)
CAMERA_RATE = Fraction(24)
WORKERS = 2
GRAIN = 2.0
"""Deviation of the sensor noise of the camera-like clip, in 8-bit levels."""

Told = Callable[[str], None]


@dataclass(frozen=True)
class Chapter:
    """One clip of the story: its file, what was done to it, and what verify should find."""

    path: Path
    story: str
    expected: tuple[str, ...]


@dataclass(frozen=True)
class Demonstration:
    """What was made, and what verify said of it, clip by clip; `page` is the report to look at."""

    chapters: tuple[Chapter, ...]
    results: tuple[Report | Unread, ...]
    page: Path
    seconds: float


def demonstrate(
    folder: Path, *, video: Path | None = None, force: bool = False, told: Told | None = None
) -> Demonstration:
    """Play the story into `folder`.

    video: a clip to sign instead of the rendered one. told: hears one sentence per step.
    Raises OutputExists where a file of an earlier demonstration is there, unless `force`.
    """
    began = time.monotonic()
    told = told or _silent
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "report.html"
    refuse_existing(page, force=force)
    if video is not None:
        refuse_clashes([video], [page, folder / "generated.mp4", folder / "generated.stripped.mp4"])
    settings = own_settings(folder)
    generated = _generate(settings, folder, force=force, told=told)
    camera, signed = _sign(settings, folder, video, force=force, told=told)
    told(f"Strip the metadata of both and encode them again, badly ({CHAIN}).")
    stripped = [_attacked(path, force=force) for path in (generated, signed)]
    told("Flip a single byte in the signed clip.")
    flipped = _flipped(signed, force=force)
    chapters = (
        Chapter(generated, "made by the built-in model", ("generated",)),
        Chapter(stripped[0], f"the same after {CHAIN}", ("generated",)),
        Chapter(signed, "signed as filmed", ("captured",)),
        Chapter(stripped[1], f"the same after {CHAIN}", ("captured",)),
        Chapter(flipped, "the signed clip with one byte flipped", ("captured",)),
        Chapter(
            camera,
            "before it was signed: no mark, a mere resemblance",
            ("no_evidence", "inconclusive", "likely_generated"),
        ),
    )
    told("Examine all of them, as a stranger to this machine would get them.")
    examine = wiring.examiner(settings)
    results: list[Report | Unread] = []
    paths = [chapter.path for chapter in chapters]
    for chapter, result in zip(chapters, examine.each(paths, keyframes=6, workers=WORKERS), strict=True):
        told(f"  {chapter.path.name}: {chapter.story}")
        results.append(result)
    _write_page(examine, page, results, force=force)
    return Demonstration(chapters, tuple(results), page, time.monotonic() - began)


def own_settings(folder: Path) -> Settings:
    """Settings of a demonstration: everything stands in its folder; public trust lists are the user's."""
    home = folder / "home"
    usual = Settings.from_environment()
    return dataclasses.replace(usual, home=home, repository=str(home / "manifests.sqlite"))


def _generate(settings: Settings, folder: Path, *, force: bool, told: Told) -> Path:
    told(f"Make a clip from “{PROMPT}”: a watermark in its noise, another in its luma, credentials around it.")
    out = folder / "generated.mp4"
    make = wiring.maker(settings, wiring.generator())
    make(Wish(PROMPT, seed=1), out, force=force)
    return out


def _sign(settings: Settings, folder: Path, video: Path | None, *, force: bool, told: Told) -> tuple[Path, Path]:
    """Return the camera-like clip, and the same clip signed."""
    camera = video or folder / "camera.mp4"
    if video is None:
        told("Render a clip that looks as if a camera had filmed it.")
        write_clip(camera_like(), camera, crf=16, force=force)
    told("Sign it as filmed: a watermark that nobody sees, and credentials.")
    signed = folder / f"{camera.stem}.signed.mp4"
    desk = wiring.signing_desk(settings, origin="captured", force=force)
    desk(camera, signed)
    return camera, signed


def camera_like(seed: int = 5) -> Clip:
    """A rendered landscape with the grain of a sensor."""
    count = round(CAMERA_SECONDS * CAMERA_RATE)
    frames, _ = render(seed, "mountains", CAMERA_SIZE, count, frames_per_second=CAMERA_RATE)
    random = np.random.default_rng(seed)
    grain = random.normal(0, GRAIN, (*frames.shape[:3], 1)).astype(np.float32)
    noisy = np.clip(frames + grain, 0, 255).astype(np.uint8)
    return Clip.at_rate(noisy, float(CAMERA_RATE))


def _attacked(path: Path, *, force: bool) -> Path:
    out = path.with_name(f"{path.stem}.stripped.mp4")
    attack_file(path, out, CHAIN, force=force)
    return out


def _flipped(path: Path, *, force: bool) -> Path:
    """Flip one bit of one byte in the middle of the coded pictures of a file."""
    out = path.with_name(f"{path.stem}.flipped.mp4")
    data = bytearray(path.read_bytes())
    start = data.find(b"mdat")
    length = int.from_bytes(data[start - 4 : start], "big")
    data[start + length // 2] ^= 1
    with written_beside(out, force=force) as part:
        part.write_bytes(data)
    return out


def _write_page(examine: wiring.Examiner, page: Path, results: list[Report | Unread], *, force: bool) -> None:
    from countermark.report import write_page
    from provenance.verify import Report, Unread

    reports = [one for one in results if isinstance(one, Report)]
    write_page(
        page,
        reports,
        title="The Countermark demonstration",
        intro="One clip was made and one was signed; then both lost their metadata and were encoded again.",
        pictures={one.file: wiring.pictures_of(examine, one) for one in reports},
        unread=[(one.file, one.error) for one in results if isinstance(one, Unread)],
        force=force,
    )


def _silent(sentence: str) -> None:
    """Say nothing."""


__all__ = ["Chapter", "Demonstration", "camera_like", "demonstrate", "own_settings"]
