"""Reading over a simulated channel: what is added up over a file, and how tests are planned and counted."""

import math

import numpy as np
import pytest

from provenance.keys import KeyStream
from provenance.watermarks import payload, statistics
from provenance.watermarks.chunk import Chunk, Geometry, View
from provenance.watermarks.examining import CHUNK_SECONDS, GEOMETRIES_TRIED, STARTS_TRIED, KeyExaminer, Plan
from provenance.watermarks.front import FrontEnd, Projector, Spectra
from provenance.watermarks.reading import FRONTS
from provenance.watermarks.search import POSITIONS
from provenance.watermarks.sync import SignSequence
from provenance.watermarks.tile import Tile, harmonics

ID = payload.compose_id(payload.Origin.GENERATED, 77)
WHOLE = Geometry.identity(64, 64)
FRAMES, RATE = 48, 10.0


def received(stream: KeyStream, energy: float, number: int, watermark_id: int = ID) -> View:
    """Chunk `number` of a clip whose 512 signs arrive with a total energy over unit noise."""
    rng = np.random.default_rng(100 + number)
    tile = Tile(stream)
    times = number * FRAMES / RATE + np.arange(FRAMES) / RATE
    signs = SignSequence(stream).amplitudes(times, np.array([tile.start_of(watermark_id)]), RATE)[0]
    wanted = tile.coefficients(watermark_id, tile.nonce_of(watermark_id))
    amplitude = np.sqrt(energy / (512 * FRAMES)) / np.abs(wanted[tile.payload_places[0]])
    blank = Projector.identity((64, 64)).project(np.zeros((FRAMES, 64, 64), np.int8))
    noise = [(rng.normal(size=a.shape) + 1j * rng.normal(size=a.shape)) / np.sqrt(2) for a in (blank.grid, blank.off)]
    k = harmonics()
    noise[0][:, k[:, 1], k[:, 0] + 16] += amplitude * signs[:, None] * wanted
    frames = FrontEnd(64, 64).detail(np.zeros((FRAMES, 64, 64), np.uint8))
    spectra = Spectra(noise[0].astype(np.complex64), noise[1].astype(np.complex64))
    return View(Chunk(times, frames, (64, 64), RATE), WHOLE, spectra, spectra)


def examined(reader: KeyStream, views: list[View], keys: int = 1) -> KeyExaminer:
    examiner = KeyExaminer(reader, Plan.of(len(views) * FRAMES / RATE, keys), WHOLE)
    for view in views:
        examiner.add(view)
        examiner.end_window()
    return examiner


def test_a_strong_chunk_is_read_at_its_start(stream: KeyStream) -> None:
    found = examined(stream, [received(stream, 300, 0)]).found[ID]
    assert found.start == Tile(stream).start_of(ID)
    assert found.verification_log10_p < -6


def test_weak_chunks_add_up_over_the_file(stream: KeyStream) -> None:
    examiner = examined(stream, [received(stream, 80, number) for number in range(5)])
    assert not examiner.found
    examiner.end_file()
    assert list(examiner.found) == [ID]


def test_another_key_reads_nothing_however_strong(stream: KeyStream, other_stream: KeyStream) -> None:
    examiner = examined(other_stream, [received(stream, 3000, number) for number in range(2)])
    examiner.end_file()
    assert not examiner.found
    assert statistics.presence_log10_p(examiner.best, examiner.tests) > -3


def test_noise_alone_gives_nothing(stream: KeyStream) -> None:
    examiner = examined(stream, [received(stream, 0.0, number) for number in range(3)])
    examiner.end_file()
    assert not examiner.found


def test_two_ids_in_one_file_are_both_read(stream: KeyStream) -> None:
    second = payload.compose_id(payload.Origin.EDITED, 78)
    views = [received(stream, 400, 0), received(stream, 400, 1, second)]
    assert set(examined(stream, views).found) == {ID, second}


@pytest.mark.parametrize("seconds", [0.5, 10.0, 600.0, 36_000.0, None])
@pytest.mark.parametrize("keys", [1, 2, 8, 20])
def test_no_plan_exceeds_the_tests_that_detection_allows(seconds: float | None, keys: int) -> None:
    plan = Plan.of(seconds, keys)
    windows = plan.windows + math.ceil(plan.splits / plan.chunks_per_window)
    geometries = POSITIONS + GEOMETRIES_TRIED * (2 if plan.windows <= 2 else 1)  # the former are searched in both ways
    rows = len(FRONTS) * (windows * (STARTS_TRIED + 1) + plan.searches * geometries * 2)
    assert plan.nonces >= 1
    assert keys * rows * plan.nonces <= statistics.MAX_TESTS


@pytest.mark.parametrize("seconds", [120.0, 240.0, 300.0, 480.0])
@pytest.mark.parametrize("keys", [1, 2, 3])
def test_films_of_some_minutes_have_splits_for_every_second_chunk(seconds: float, keys: int) -> None:
    plan = Plan.of(seconds, keys)
    assert plan.splits >= seconds / CHUNK_SECONDS / 2 - 1 or plan.nonces <= 4


def test_splits_are_spread_over_the_file() -> None:
    plan = Plan.of(96.0, 1)
    allowed = [plan.splits_by(seconds) for seconds in np.arange(0.0, 97.0, 4.8)]
    assert allowed[0] < allowed[10] < allowed[-1] == plan.splits
    assert max(np.diff(allowed)) <= 2


def test_every_test_is_counted(stream: KeyStream) -> None:
    examiner = examined(stream, [received(stream, 0.0, 0)])
    assert examiner.tests == (STARTS_TRIED + 1) * len(FRONTS) * Plan.of(FRAMES / RATE, 1).nonces


def test_a_clip_whose_pilot_was_taken_out_is_read_by_its_nonce(stream: KeyStream) -> None:
    view = received(stream, 600, 0)
    k = harmonics()[Tile(stream).pilots]
    view.spectra.grid[:, k[:, 1], k[:, 0] + 16] = 0
    assert list(examined(stream, [view]).found) == [ID]
