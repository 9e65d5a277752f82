"""The pattern of form pixel/1, in space and in time. What is fixed here can never change."""

import numpy as np
import pytest

from provenance.keys import KeyStream
from provenance.watermarks import tile
from provenance.watermarks.front import Projector
from provenance.watermarks.sync import GROUP_SECONDS, SignSequence
from provenance.watermarks.tile import Tile


def test_every_harmonic_serves_one_purpose(stream: KeyStream) -> None:
    layout = Tile(stream)
    places = [layout.pilots, layout.nonce_places, layout.payload_places, layout.verification_places]
    assert [len(p) for p in places] == [10, 32, 256, 70]
    assert sorted(np.concatenate(places)) == list(range(len(tile.harmonics())))


def test_the_band_is_closed_under_reflection() -> None:
    held = {tuple(k) for k in tile.harmonics().tolist()}
    mirrored = [(-kx, ky) if ky > 0 else (kx, ky) for kx, ky in held]
    assert set(mirrored) == held


def test_pilots_stand_in_ten_directions(stream: KeyStream) -> None:
    k = tile.harmonics()[Tile(stream).pilots]
    sectors = np.floor(np.arctan2(k[:, 1], k[:, 0]) / np.pi * 10).astype(int)
    assert sorted(sectors) == list(range(10))
    assert np.abs(k).min() >= 2


def test_keys_ids_and_nonces_change_everything_but_what_they_should(stream: KeyStream, other_stream: KeyStream) -> None:
    mine, other = Tile(stream), Tile(other_stream)
    assert not np.array_equal(mine.payload_places, other.payload_places)
    one, two = mine.coefficients(5, 7), mine.coefficients(5, 8)
    same = np.isclose(one, two)
    assert same[mine.pilots].all()
    for places in (mine.nonce_places, mine.verification_places, mine.payload_places):
        assert same[places].mean() < 0.5


def test_the_form_is_final(stream: KeyStream) -> None:
    layout = Tile(stream)
    phases = np.round(np.angle(layout.coefficients(0x2A5D01C07BE49F36, 7)) / (np.pi / 4)).astype(int) % 8
    assert layout.pilots.tolist() == [129, 226, 99, 179, 175, 244, 227, 119, 232, 72]
    assert (phases[:24].tolist(), int(phases @ np.arange(len(phases)) % 10007)) == (
        [5, 1, 5, 7, 5, 5, 3, 3, 7, 1, 1, 3, 5, 1, 5, 7, 5, 5, 7, 5, 7, 3, 3, 5],
        7499,
    )
    assert SignSequence(stream).signs[:16].tolist() == [-1, -1, 1, 1, -1, 1, 1, 1, -1, 1, -1, 1, -1, 1, -1, -1]


@pytest.mark.parametrize(("width", "height"), [(640, 360), (270, 480), (333, 251)])
def test_a_frame_gives_back_the_coefficients_it_was_filled_with(stream: KeyStream, width: int, height: int) -> None:
    wanted = Tile(stream).coefficients(9, 3)
    pattern = tile.render(wanted, width, height)
    assert pattern.std() == pytest.approx(1, abs=0.05)
    frames = np.rint(np.clip(pattern * 20, -127, 127)).astype(np.int8)[None]
    found = Projector.identity((height, width)).project(frames).along(1, 1, (0.0, 0.0))[0]
    similarity = np.abs(np.vdot(wanted, found)) / np.linalg.norm(wanted) / np.linalg.norm(found)
    assert similarity > 0.97


def test_signs_are_balanced_over_every_couple_of_seconds(stream: KeyStream) -> None:
    signs = SignSequence(stream).signs
    assert signs.sum() == 0
    running = np.cumsum(np.tile(signs, 2))
    assert np.abs(running).max() <= 2
    assert max(abs(int(signs @ np.roll(signs, shift))) for shift in range(1, 64)) <= 24


def test_frames_at_a_change_of_sign_are_softened_at_high_rates_only(stream: KeyStream) -> None:
    sequence = SignSequence(stream)
    at_30 = sequence.amplitudes(np.arange(600) / 30, np.array([0]), 30.0)[0]
    at_12 = sequence.amplitudes(np.arange(240) / 12, np.array([0]), 12.0)[0]
    changes = int((np.diff(sequence.signs) != 0).sum())
    assert (np.abs(at_30[: 64 * 9]) < 1).sum() == pytest.approx(2 * changes, abs=2)
    assert (np.abs(at_12) == 1).all()


def test_the_sequence_repeats_and_starts_shift_it(stream: KeyStream) -> None:
    sequence = SignSequence(stream)
    times = np.arange(64) * GROUP_SECONDS + 0.1
    here, later = sequence.amplitudes(times, np.array([0, 4]), 10.0)
    assert np.array_equal(later, np.roll(here, -1))
    assert np.array_equal(sequence.amplitudes(times + 19.2, np.array([0]), 10.0)[0], here)


def test_averaging_many_clips_of_one_key_adds_up_to_nothing(stream: KeyStream) -> None:
    """Frames of equal number in 100 clips: what remains of each purpose's lines is what independent ones leave."""
    layout, sequence = Tile(stream), SignSequence(stream)
    ids = np.random.default_rng(2).integers(0, 2**61, 100)
    total = np.zeros(len(tile.harmonics()), complex)
    for watermark_id in ids.tolist():
        sign = sequence.amplitudes(np.array([1.0]), np.array([layout.start_of(watermark_id)]), 0.0)[0, 0]
        total += sign * layout.coefficients(watermark_id, layout.nonce_of(watermark_id))
    one = np.abs(layout.coefficients(0, 0))
    for places in (layout.pilots, layout.nonce_places, layout.payload_places, layout.verification_places):
        left = np.sqrt((np.abs(total[places] / one[places] / 100) ** 2).mean())
        assert left < 0.25
    assert np.sqrt((np.abs(total / one / 100) ** 2).mean()) == pytest.approx(0.1, abs=0.02)
