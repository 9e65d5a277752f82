"""The content fingerprint tells a mistreated clip from another one, within bounded memory."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest

from provenance.evidence import Alignment, FingerprintEvidence
from provenance.repository.fingerprint import (
    BITS,
    SKETCH_FRAMES,
    Fingerprint,
    FingerprintCheck,
    Sketch,
    compare,
    sketch_of,
)
from provenance.repository.shelf import Shelf
from provenance.verdict import content_of
from provenance.video import Clip, Window
from provenance.video.transform import roundtrip

RATE = 12
TILES_ACROSS = 120 / 32
IDENTITY = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def scene(seed: int, frames: int = 36, width: int = 320, height: int = 180) -> Clip:
    """A landscape of smooth shapes that pans slowly, brighter above than below as filmed ones are."""
    random = np.random.default_rng(seed)
    shapes = random.random((8, 12)).astype(np.float32)
    wide = cv2.resize(shapes, (width + frames, height), interpolation=cv2.INTER_CUBIC)
    sky = np.linspace(60, 0, height)[:, None]
    field = np.clip(30 + 120 * wide + sky + random.normal(0, 3, wide.shape), 0, 255).astype(np.uint8)
    luma = np.stack([field[:, number : number + width] for number in range(frames)])
    return Clip.at_rate(np.repeat(luma[..., None], 3, axis=3), RATE)


def sketch(clip: Clip) -> Sketch:
    return sketch_of([Window.of(clip)])


def aligned(matrix: np.ndarray, width: int = 320, height: int = 180) -> Alignment:
    """The alignment of a frame whose pixels `matrix` maps to those of a marked one; whole tiles forgotten."""
    tiles = matrix * TILES_ACROSS / math.sqrt(width * height)
    tiles[:, 2] -= np.floor(tiles[:, 2])
    return Alignment((*map(tuple, tiles), (0.0, 0.0, 1.0)), TILES_ACROSS)  # type: ignore[arg-type]


def cut(clip: Clip, x: int, y: int, width: int, height: int) -> Clip:
    return Clip(clip.frames[:, y : y + height, x : x + width], clip.times)


def resized(clip: Clip, width: int, height: int) -> Clip:
    frames = [cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) for frame in clip.frames]
    return Clip(np.stack(frames), clip.times)


def x264(clip: Clip, crf: int) -> Clip:
    return roundtrip(clip, codec="libx264", crf=crf, preset="veryfast")


MISTREATMENTS: dict[str, tuple[Callable[[Clip], Clip], np.ndarray]] = {
    "nothing": (lambda clip: clip, IDENTITY),
    "x264:35": (lambda clip: x264(clip, 35), IDENTITY),
    "half the size, x264:28": (lambda clip: x264(resized(clip, 160, 90), 28), 2 * IDENTITY),
    "crop .9": (lambda clip: cut(clip, 20, 8, 288, 162), np.array([[1.0, 0, 20], [0, 1, 8]])),
    "crop .71, x264:28": (lambda clip: x264(cut(clip, 80, 40, 228, 128), 28), np.array([[1.0, 0, 80], [0, 1, 40]])),
    "crop .55": (lambda clip: cut(clip, 60, 30, 176, 98), np.array([[1.0, 0, 60], [0, 1, 30]])),
    "mirrored": (
        lambda clip: Clip(np.ascontiguousarray(clip.frames[:, :, ::-1]), clip.times),
        np.array([[-1.0, 0, 320], [0, 1, 0]]),
    ),
    "letterboxed": (
        lambda clip: Clip(np.pad(clip.frames, ((0, 0), (30, 30), (0, 0), (0, 0))), clip.times),
        np.array([[1.0, 0, 0], [0, 1, -30]]),
    ),
    "darker": (lambda clip: Clip((clip.frames * 0.5).astype(np.uint8), clip.times), IDENTITY),
    "every second frame": (lambda clip: clip.select(slice(None, None, 2)), IDENTITY),
    "trimmed": (lambda clip: Clip(clip.frames[9:30], clip.times[9:30] - clip.times[9]), IDENTITY),
}


@pytest.mark.parametrize("name", MISTREATMENTS)
def test_a_mistreated_clip_fits_and_another_one_treated_alike_differs(name: str) -> None:
    mistreat, matrix = MISTREATMENTS[name]
    reference = Fingerprint.of(sketch(scene(1)))
    genuine = compare(reference, sketch(mistreat(scene(1))), aligned(matrix))
    pasted = compare(reference, sketch(mistreat(scene(2))), aligned(matrix))
    assert content_of(genuine) == "fits", genuine
    assert content_of(pasted) == "differs", pasted


def test_the_shift_in_time_is_found() -> None:
    reference = Fingerprint.of(sketch(scene(1, frames=60)))
    late = scene(1, frames=60).select(slice(18, 48))
    found = compare(reference, sketch(Clip(late.frames, late.times - late.times[0])), aligned(IDENTITY))
    assert found.start_seconds == pytest.approx(1.5, abs=0.26)


def test_only_the_spans_that_carry_the_watermark_are_compared() -> None:
    first, second = scene(1), scene(2)
    joined = Clip.at_rate(np.concatenate([first.frames, second.frames]), RATE)
    reference = Fingerprint.of(sketch(second))
    assert content_of(compare(reference, sketch(joined), aligned(IDENTITY), ((3.0, 6.0),))) == "fits"
    assert content_of(compare(reference, sketch(joined), aligned(IDENTITY), ((0.0, 2.9),))) == "differs"
    assert compare(reference, sketch(joined), aligned(IDENTITY), ((90.0, 91.0),)).distance is None


def test_without_an_alignment_the_whole_frame_is_taken_as_it_is_or_mirrored() -> None:
    reference = Fingerprint.of(sketch(scene(1)))
    mirrored = Clip(np.ascontiguousarray(scene(1).frames[:, :, ::-1]), scene(1).times)
    assert content_of(compare(reference, sketch(scene(1)), None)) == "fits"
    assert content_of(compare(reference, sketch(mirrored), None)) == "fits"


@pytest.mark.parametrize("level", [0, 128, 255])
def test_flat_pictures_say_nothing(level: int) -> None:
    flat = Clip.at_rate(np.full((24, 90, 160, 3), level, np.uint8), RATE)
    assert compare(Fingerprint.of(sketch(scene(1))), sketch(flat), aligned(IDENTITY)).distance is None
    assert compare(Fingerprint.of(sketch(flat)), sketch(scene(1)), aligned(IDENTITY)).distance is None
    assert content_of(compare(Fingerprint.of(sketch(flat)), sketch(flat), None)) == "unknown"


def test_an_impossible_alignment_says_nothing() -> None:
    reference, here = Fingerprint.of(sketch(scene(1))), sketch(scene(1))
    for bad in (0.0, float("nan"), float("inf")):
        assert compare(reference, here, Alignment(((bad, 0, 0), (0, bad, 0), (0, 0, 1)), TILES_ACROSS)).distance is None
    enormous = Alignment(((1e9, 0, 0), (0, 1e9, 0), (0, 0, 1)), TILES_ACROSS)
    assert compare(reference, here, enormous).distance is None


def test_a_still_picture_has_a_fingerprint_too() -> None:
    still = scene(1, frames=1)
    reference = Fingerprint.of(sketch(still))
    assert len(reference.signs) == 1
    assert content_of(compare(reference, sketch(x264(still, 28)), aligned(IDENTITY))) == "fits"
    assert content_of(compare(reference, sketch(scene(2, frames=1)), aligned(IDENTITY))) == "differs"


def test_a_fingerprint_is_small_and_survives_its_bytes() -> None:
    fingerprint = Fingerprint.of(sketch(scene(1)))
    data = fingerprint.to_bytes()
    assert len(data) == 18 + 66 * len(fingerprint.signs)
    again = Fingerprint.from_bytes(data)
    assert (again.signs == fingerprint.signs).all()
    assert (again.reliable == fingerprint.reliable).all()
    assert (again.width, again.height, again.interval_seconds) == (320, 180, 0.5)


def test_hostile_bytes_are_refused() -> None:
    data = Fingerprint.of(sketch(scene(1))).to_bytes()
    bad = [b"", data[:10], data[:-1], data + b"x", b"XXXX" + data[4:]]
    bad.append(data[:4] + bytes(4) + data[8:])  # no width
    bad.append(data[:8] + bytes(4) + data[12:])  # no height
    bad.append(data[:12] + bytes(4) + data[16:])  # no interval
    bad.append(data[:16] + b"\xff\xff" + bytes(66 * 65535))  # frames without end
    for one in bad:
        with pytest.raises(ValueError):
            Fingerprint.from_bytes(one)


@pytest.mark.parametrize("interval_seconds", [1e-3, 4e6])
def test_a_hostile_interval_is_not_searched(interval_seconds: float) -> None:
    """Trying every shift would take hours."""
    examined = sketch(scene(1))
    hour = replace(examined, times_seconds=examined.times_seconds * 1200)
    reference = Fingerprint.of(examined)
    many = np.repeat(reference.signs, 100, axis=0)
    hostile = Fingerprint.from_bytes(Fingerprint(many, many, 320, 180, interval_seconds).to_bytes())
    assert compare(hostile, hour, None).distance is None


def long_window(first_second: float, seconds: float, rate: float) -> Window:
    times = first_second + np.arange(round(seconds * rate)) / rate
    luma = np.random.default_rng(round(first_second)).integers(0, 255, (1, 18, 32), dtype=np.uint8)
    return Window(times, lambda: np.broadcast_to(luma, (len(times), 18, 32)), lambda: np.zeros(0))


def test_memory_and_size_are_bounded_whatever_the_length() -> None:
    check = FingerprintCheck()
    for minute in range(90):
        check.see(long_window(60.0 * minute, 60.0, 8))
    kept = check.sketch()
    assert kept is not None
    assert SKETCH_FRAMES / 2 <= len(kept.times_seconds) <= SKETCH_FRAMES
    assert np.diff(kept.times_seconds).min() == pytest.approx(kept.interval_seconds, rel=0.02)
    fingerprint = Fingerprint.of(kept)
    assert len(fingerprint.to_bytes()) < 17_000
    assert fingerprint.interval_seconds * len(fingerprint.signs) == pytest.approx(5400, rel=0.05)
    began = time.process_time()
    assert compare(fingerprint, kept, None).distance == 0
    assert time.process_time() - began < 30  # under 1 s on an idle machine


def test_windows_of_any_size_give_the_same_sketch() -> None:
    clip = scene(1)
    parts = [clip.select(slice(start, start + 5)) for start in range(0, len(clip), 5)]
    pieces = sketch_of(Window.of(part) for part in parts)
    whole = sketch(clip)
    assert (pieces.times_seconds == whole.times_seconds).all()
    assert (pieces.thumbnails == whole.thumbnails).all()


def test_the_check_starts_anew_for_every_video() -> None:
    check = FingerprintCheck()
    assert check.evidence() == []
    check.see(Window.of(scene(1)))
    (evidence,) = check.evidence()
    assert isinstance(evidence, FingerprintEvidence)
    assert evidence.to_json() == {"check": "fingerprint", "matches": []}
    check.start(info=None)  # type: ignore[arg-type]
    assert check.sketch() is None


def test_a_search_among_many_finds_the_mistreated_clip_quickly() -> None:
    shelf = Shelf()
    random = np.random.default_rng(3)
    filler = Fingerprint.of(sketch(scene(5)))
    for number in range(2000):
        signs = random.random((20, BITS)) < 0.5
        shelf.add(number, f"filler {number}", replace(filler, signs=signs, reliable=np.ones_like(signs)).to_bytes())
    shelf.add(5000, "wanted", Fingerprint.of(sketch(scene(1))).to_bytes())
    mirrored = x264(Clip(np.ascontiguousarray(scene(1).frames[:, :, ::-1]), scene(1).times), 35)
    began = time.process_time()
    found = shelf.nearest(Fingerprint.of(sketch(mirrored)), limit=3)
    assert time.process_time() - began < 15  # a tenth of a second on an idle machine
    assert found[0][0] == "wanted"
    assert found[0][1] < 20
    assert found[1][1] > 60
    assert shelf.last_number == 5000


def test_rates_are_irrelevant() -> None:
    """The same motion at another frame rate has nearly the same fingerprint."""
    clip = scene(1, frames=48)
    slow = clip.select(slice(None, None, 3))
    assert Fraction(len(slow), len(clip)) == Fraction(1, 3)
    assert (compare(Fingerprint.of(sketch(clip)), sketch(slow), None).distance or 0) < 20
