"""The pixel watermark end to end: what is embedded is read back, and nothing else is."""

import math
import time
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from provenance.errors import CannotCarry
from provenance.keys import KeyStream
from provenance.quality import psnr
from provenance.verdict import judge
from provenance.video import Clip, Window
from provenance.watermarks import Watermark, payload
from provenance.watermarks.capacity import ENOUGH_ENERGY, expected_energy, refuse_too_short
from provenance.watermarks.chunk import TRACE_SECONDS, Geometry, Trace
from provenance.watermarks.examining import Found
from provenance.watermarks.marking import STRONGEST_DB, Strength
from provenance.watermarks.payload import Origin
from provenance.watermarks.pixel import PixelWatermark, PixelWatermarkCheck
from provenance.watermarks.reading import KeyReader
from provenance.watermarks.spans import clearest_of, rivals_of, scores_of, spans_of, strongest_of

ID = payload.compose_id(Origin.EDITED, 0x123456789ABCDEF)
DETECTED = -9


@pytest.fixture(scope="module")
def watermark(stream: KeyStream) -> PixelWatermark:
    return PixelWatermark(stream)


@pytest.fixture(scope="module")
def marked(watermark: PixelWatermark, scene: Clip) -> Clip:
    return watermark.embed(scene, ID)


def resized(clip: Clip, width: int, height: int) -> Clip:
    frames = [cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) for frame in clip.frames]
    return Clip(np.stack(frames), clip.times)


def cropped(clip: Clip, left: int, top: int, width: int, height: int) -> Clip:
    return Clip(np.ascontiguousarray(clip.frames[:, top : top + height, left : left + width]), clip.times)


def test_it_is_a_watermark(watermark: PixelWatermark) -> None:
    assert isinstance(watermark, Watermark)


def test_a_marked_clip_stays_at_42_decibels(scene: Clip, marked: Clip) -> None:
    assert 42.0 <= psnr(scene.luma, marked.luma) < 47.0
    assert marked.times is scene.times or np.array_equal(marked.times, scene.times)


def test_the_id_is_read_back_with_its_time_and_place(watermark: PixelWatermark, marked: Clip) -> None:
    reading = watermark.read(marked)
    assert reading.watermark_id == ID
    assert reading.log10_p <= DETECTED
    assert reading.spans == ((0.0, pytest.approx(2.0, abs=0.05)),)
    assert reading.alignment is not None
    assert reading.alignment.start_seconds == pytest.approx(0.0)
    assert not reading.alignment.mirrored
    period = math.sqrt(marked.width * marked.height) / reading.alignment.tiles_across
    assert reading.alignment.matrix[0] == pytest.approx((1 / period, 0, 0))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda clip: clip, id="x264:28"),
        pytest.param(lambda clip: clip.select(np.delete(np.arange(len(clip)), [5, 6, 17, 30, 31])), id="drop+x264:28"),
        pytest.param(lambda clip: Clip((clip.frames * 0.6).astype(np.uint8), clip.times), id="brightness:.6+x264:28"),
    ],
)
def test_it_survives(
    watermark: PixelWatermark, marked: Clip, encode: Callable[[Clip, int], Clip], change: Callable[[Clip], Clip]
) -> None:
    attacked = change(marked)
    coded = Clip(encode(attacked, 28).frames, attacked.times)
    assert watermark.read(coded).watermark_id == ID


def test_it_survives_half_size(
    watermark: PixelWatermark, render: Callable[..., Clip], encode: Callable[[Clip, int], Clip]
) -> None:
    large = watermark.embed(render(768, 432, seconds=1.5), ID)
    assert watermark.read(encode(resized(large, 384, 216), 28)).watermark_id == ID


def test_a_crop_is_found_and_mapped_back(
    watermark: PixelWatermark, marked: Clip, encode: Callable[[Clip, int], Clip]
) -> None:
    left, top = 30, 10
    reading = watermark.read(encode(cropped(marked, left, top, 432, 244), 26))
    assert reading.watermark_id == ID
    assert reading.alignment is not None
    (scale, _, shift), (_, _, down), _ = reading.alignment.matrix
    period = math.sqrt(marked.width * marked.height) / reading.alignment.tiles_across
    assert 1 / scale == pytest.approx(period, rel=0.004)
    assert (shift * period - left + period / 2) % period - period / 2 == pytest.approx(0, abs=1.0)
    assert (down * period - top + period / 2) % period - period / 2 == pytest.approx(0, abs=1.0)


def test_a_crop_scaled_back_with_another_aspect_is_found(watermark: PixelWatermark, marked: Clip) -> None:
    assert watermark.read(resized(cropped(marked, 20, 12, 440, 230), 480, 272)).watermark_id == ID


def test_a_mirror_image_is_found_and_said_to_be_one(watermark: PixelWatermark, marked: Clip) -> None:
    reading = watermark.read(Clip(np.ascontiguousarray(marked.frames[:, :, ::-1]), marked.times))
    assert reading.watermark_id == ID
    assert reading.alignment is not None
    assert reading.alignment.mirrored


def turned(degrees: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(frame: np.ndarray) -> np.ndarray:
        height, width = frame.shape[:2]
        return cv2.warpAffine(frame, cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0), (width, height))

    return change


def tilted(*inwards: float) -> Callable[[np.ndarray], np.ndarray]:
    """Each corner moved towards the middle by a share of half the sides."""

    def change(frame: np.ndarray) -> np.ndarray:
        height, width = frame.shape[:2]
        corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
        moved = corners + (np.array((width, height)) / 2 - corners) * np.array(inwards)[:, None]
        matrix = cv2.getPerspectiveTransform(corners, moved.astype(np.float32))
        return cv2.warpPerspective(frame, matrix, (width, height))

    return change


def squeezed(width: int, height: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda frame: cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(turned(2), id="2-degrees"),
        pytest.param(turned(-7), id="7-degrees-back"),
        pytest.param(turned(33), id="33-degrees"),
        pytest.param(np.rot90, id="quarter-turn"),
        pytest.param(lambda frame: np.rot90(frame, 2), id="half-turn"),
        pytest.param(np.transpose, id="quarter-turn-mirrored"),
        pytest.param(lambda frame: turned(5)(frame)[:, ::-1], id="5-degrees-mirrored"),
        pytest.param(squeezed(360, 272), id="squeezed-to-4:3"),
        pytest.param(squeezed(240, 424), id="squeezed-to-9:16"),
        pytest.param(tilted(0.1, 0.02, 0.08, 0.0), id="tilted"),
        pytest.param(tilted(0.25, 0.1, 0.0, 0.2), id="tilted-more"),
        pytest.param(lambda frame: cv2.copyMakeBorder(frame, 24, 24, 0, 0, cv2.BORDER_CONSTANT), id="letterbox"),
    ],
)
def test_a_turned_squeezed_or_tilted_picture_is_read_and_mapped_back(
    watermark: PixelWatermark, marked: Clip, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    def of_each(frames: np.ndarray) -> np.ndarray:
        return np.stack([np.repeat(change(frame)[..., None], 3, axis=2) for frame in frames])

    y, x = np.mgrid[: marked.height, : marked.width].astype(np.float32) + 0.5
    changed = Clip(of_each(marked.luma), marked.times)
    reading = watermark.read(changed)
    assert reading.watermark_id == ID
    assert reading.log10_p <= DETECTED
    assert reading.alignment is not None
    at_x, at_y = (change(np.ascontiguousarray(place)) for place in (x, y))  # where each pixel comes from
    inside = cv2.erode(change(np.ones_like(x)), np.ones((9, 9))) > 0.999
    down, across = np.nonzero(inside)
    place = np.array(reading.alignment.matrix) @ np.stack([across + 0.5, down + 0.5, np.ones(len(down))])
    period = math.sqrt(marked.width * marked.height) / reading.alignment.tiles_across
    for found, true in zip(place[:2] / place[2] * period, (at_x[inside], at_y[inside]), strict=True):
        off = (found - true + period / 2) % period - period / 2
        assert np.quantile(np.abs(off), 0.9) < 2.5  # pixels; whole tiles are not told apart


def test_a_trim_is_located_in_time(watermark: PixelWatermark, marked: Clip) -> None:
    rest = marked.select(slice(18, None))
    reading = watermark.read(Clip(rest.frames, rest.times - rest.times[0]))
    assert reading.watermark_id == ID
    assert reading.alignment is not None
    assert reading.alignment.start_seconds == pytest.approx(0.75, abs=0.08)


def test_only_the_marked_seconds_are_named(watermark: PixelWatermark, scene: Clip, marked: Clip) -> None:
    frames = np.concatenate([scene.frames, marked.frames, scene.frames[:36]])
    spans = watermark.read(Clip.at_rate(frames, 24.0)).spans
    assert spans == ((pytest.approx(2.0, abs=0.5), pytest.approx(4.0, abs=0.5)),)


def test_unmarked_and_wrong_key_give_nothing(
    watermark: PixelWatermark, other_stream: KeyStream, scene: Clip, marked: Clip
) -> None:
    for reader, clip in ((watermark, scene), (PixelWatermark(other_stream), marked)):
        reading = reader.read(clip)
        assert reading.watermark_id is None
        assert reading.log10_p > -6


def test_two_layers_are_both_read(watermark: PixelWatermark, other_stream: KeyStream, marked: Clip) -> None:
    second = payload.compose_id(Origin.GENERATED, 99)
    both = PixelWatermark(other_stream).embed(marked, second)
    check = PixelWatermarkCheck([watermark.stream, other_stream])
    check.begin(both.width, both.height, 24.0, both.seconds)
    check.see(Window.of(both))
    found = {row.key: (row.watermark_id, row.origin) for row in check.evidence()}
    assert found == {"mine": (ID, "edited"), "other": (second, "generated")}


def test_windows_of_any_size_give_the_same_evidence(watermark: PixelWatermark, marked: Clip) -> None:
    rows = []
    for size in (7, 48):
        check = PixelWatermarkCheck([watermark.stream])
        check.begin(marked.width, marked.height, 24.0, marked.seconds)
        for first in range(0, len(marked), size):
            assert check.see(Window.of(marked.select(slice(first, first + size)), first)) is False
        rows.append(check.evidence())
    assert rows[0] == rows[1]


def test_without_a_key_nothing_is_examined(scene: Clip) -> None:
    check = PixelWatermarkCheck([])
    check.begin(scene.width, scene.height, 24.0, 2.0)
    assert check.see(Window.of(scene)) is True
    (row,) = check.evidence()
    assert row.reason == "no key"


@pytest.mark.parametrize("level", [0, 128, 255])
def test_flat_frames_give_nothing_and_no_number_that_is_none(watermark: PixelWatermark, level: int) -> None:
    flat = Clip.at_rate(np.full((30, 90, 160, 3), level, np.uint8), 25.0)
    reading = watermark.read(flat)
    assert reading.watermark_id is None
    assert reading.log10_p == 0.0


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_few_frames_are_no_reason_to_fail(watermark: PixelWatermark, marked: Clip, count: int) -> None:
    assert math.isfinite(watermark.read(marked.select(slice(0, count))).log10_p)


@pytest.mark.parametrize(("width", "height"), [(272, 480), (431, 251)])
def test_portrait_and_odd_sizes_carry_it(
    watermark: PixelWatermark, render: Callable[..., Clip], width: int, height: int
) -> None:
    assert watermark.read(watermark.embed(render(width, height, seconds=1.5), ID)).watermark_id == ID


def test_ten_bit_luma_is_marked_as_strongly(watermark: PixelWatermark, scene: Clip) -> None:
    luma = scene.luma[0].astype(np.uint16) * 4
    marked = watermark.embedder(scene.width, scene.height, 24.0, ID).mark(luma, 0.1, bit_depth=10)
    assert marked.dtype == np.uint16
    assert marked.max() <= 1023
    assert psnr(luma, marked, peak=1020.0) == pytest.approx(STRONGEST_DB, abs=0.1)


def test_a_frame_of_another_size_is_refused(watermark: PixelWatermark) -> None:
    with pytest.raises(ValueError, match="announced"):
        watermark.embedder(64, 64, 24.0, ID).mark(np.zeros((64, 65), np.uint8), 0.0)


def test_a_stream_for_another_purpose_is_refused(stream: KeyStream) -> None:
    with pytest.raises(ValueError, match="pixel/1"):
        PixelWatermark(stream.derive("x"))


def test_marking_keeps_up_with_video(watermark: PixelWatermark) -> None:
    """100 frames per second of 1280 x 720 on one core, by processor time; the limit leaves room for slow machines."""
    embedder = watermark.embedder(1280, 720, 24.0, ID)
    luma = np.random.default_rng(0).integers(0, 255, (720, 1280), dtype=np.uint8)
    begin = time.process_time()
    for number in range(10):
        embedder.mark(luma, number / 24)
    assert (time.process_time() - begin) / 10 < 0.1


def test_room_grows_with_size_and_length_and_none_is_refused_with_a_hint() -> None:
    assert expected_energy(1280, 720, 2.0) > ENOUGH_ENERGY
    assert expected_energy(320, 180, 1.0) < ENOUGH_ENERGY
    assert expected_energy(320, 180, 1.0, strength_db=STRONGEST_DB - 3) == pytest.approx(
        2 * expected_energy(320, 180, 1.0), rel=0.01
    )
    refuse_too_short(640, 360, 1.0)
    with pytest.raises(CannotCarry) as error:
        refuse_too_short(128, 128, 0.5)
    assert "at this size" in error.value.hint


def examined_by(stream: KeyStream, clip: Clip, duration_seconds: float | None) -> PixelWatermarkCheck:
    check = PixelWatermarkCheck([stream])
    check.begin(clip.width, clip.height, clip.frames_per_second, duration_seconds)
    for first in range(0, len(clip), 16):
        check.see(Window.of(clip.select(slice(first, first + 16)), first))
    return check


def test_two_shots_with_ids_of_one_key_are_told_apart(watermark: PixelWatermark, render: Callable[..., Clip]) -> None:
    ids = [payload.compose_id(Origin.EDITED, number) for number in (5, 6)]
    scenes = [render(480, 272, 4.8, 12.0, seed=number) for number in (3, 5)]
    shots = [watermark.embed(scene, watermark_id) for scene, watermark_id in zip(scenes, ids, strict=True)]
    check = examined_by(watermark.stream, Clip.at_rate(np.concatenate([shot.frames for shot in shots]), 12.0), 9.6)
    spans = {row.watermark_id: row.spans for row in check.evidence()}
    assert spans[ids[0]][-1][1] <= 5.9
    assert spans[ids[1]][0][0] >= 3.7


def test_a_mirrored_film_of_short_shots_is_examined_where_it_was_seen_as_such(
    watermark: PixelWatermark, render: Callable[..., Clip]
) -> None:
    shots = [render(640, 360, seconds, 12.0, seed=seed).frames for seconds, seed in ((3.5, 3), (2.5, 5), (2.0, 9))]
    film = watermark.embed(Clip.at_rate(np.concatenate([np.zeros_like(shots[0]), *shots]), 12.0), ID)
    mirrored = Clip(film.frames[:, :, ::-1], film.times)
    found = examined_by(watermark.stream, mirrored, mirrored.seconds).evidence()[0]
    assert found.watermark_id == ID  # the search is not spent on what is black
    assert all(any(begin <= low and high <= end for begin, end in found.spans) for low, high in found.examined)


def test_short_shots_are_read_apart_and_their_seconds_are_those_of_the_cuts(
    watermark: PixelWatermark, render: Callable[..., Clip]
) -> None:
    ids = [payload.compose_id(Origin.EDITED, number) for number in (5, 6, 7)]
    shots = [
        watermark.embed(render(640, 360, seconds, 12.0, seed=seed), watermark_id).frames
        for seconds, seed, watermark_id in zip((2.5, 2.0, 2.25), (3, 5, 9), ids, strict=True)
    ]
    check = examined_by(watermark.stream, Clip.at_rate(np.concatenate(shots), 12.0), 6.75)
    spans = {row.watermark_id: row.spans for row in check.evidence()}
    expected = [(0.0, 2.5), (2.5, 4.5), (4.5, 6.75)]
    assert [spans[one] for one in ids] == [(pytest.approx(span, abs=0.1),) for span in expected]


def test_an_id_that_another_one_resembles_by_chance_is_not_said_to_last(watermark: PixelWatermark) -> None:
    steps = np.arange(32) * TRACE_SECONDS
    reader, tile = KeyReader(watermark.stream), KeyReader(watermark.stream).tile
    noise = np.random.default_rng(0).normal(size=(2, 2, 32, 368))
    signs = reader.sequence.amplitudes(steps + TRACE_SECONDS / 2, np.arange(256), 0.0)
    weak, strong = (Found(number, 3, 9, Geometry.identity(640, 360), -9.0) for number in (5, 6))
    patterns = [tile.coefficients(one.watermark_id, one.nonce) for one in (weak, strong)]
    leaking = 0.03 * patterns[0] + patterns[1]  # as much of the weak one as may come by chance
    values = [
        signs[9][:, None] * (30 * pattern) + part[0] + 1j * part[1]
        for pattern, part in zip((patterns[0], leaking), noise, strict=True)
    ]
    traces = [
        Trace(steps + begin, steps + begin + TRACE_SECONDS, part.astype(np.complex64))
        for begin, part in zip((0.0, 19.2), values, strict=True)
    ]
    first = [scores_of(traces, reader, one, [9]) for one in (weak, strong)]
    assert first[0][1].level > 7
    assert strongest_of(first) == [0, 1]
    scores = [
        scores_of(traces, reader, one, [9], rivals_of(number, first, patterns, [0, 1]))
        for number, one in enumerate((weak, strong))
    ]
    spans = spans_of(scores, clearest_of(scores))
    assert [span[0][0] for span in spans] == [0.0, pytest.approx(19.2)]
    assert len(spans[0]) == len(spans[1]) == 1


def test_a_mirrored_clip_of_unknown_length_counts_as_marked_throughout(
    watermark: PixelWatermark, render: Callable[..., Clip]
) -> None:
    generated = payload.compose_id(Origin.GENERATED, 77)
    marked = watermark.embed(render(480, 272, 12.0, 12.0), generated)
    mirrored = Clip(np.ascontiguousarray(marked.frames[:, :, ::-1]), marked.times)
    evidence = examined_by(watermark.stream, mirrored, None).evidence()
    assert evidence[0].watermark_id == generated
    assert judge(evidence)[1].finding == "generated"


@pytest.mark.parametrize("number", range(8))
def test_a_lone_frame_is_marked_in_full_wherever_its_clip_starts(
    watermark: PixelWatermark, scene: Clip, number: int
) -> None:
    """A frame beside a change of sign is softened against flicker; before the first there is nothing to flicker."""
    watermark_id = payload.compose_id(Origin.EDITED, 1000 + number)
    marked = PixelWatermark(watermark.stream, Strength()).embed(scene.select(slice(0, 1)), watermark_id)
    assert psnr(scene.luma[0], marked.luma[0]) < STRONGEST_DB + 1
