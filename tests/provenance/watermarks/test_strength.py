"""Choosing the strength: what is needed stays, what costs too much follows the detail, what is spare is saved."""

from collections.abc import Callable

import numpy as np
import pytest

from provenance.keys import KeyStream
from provenance.video import Clip
from provenance.watermarks import payload, strength
from provenance.watermarks.marking import MOST_LEVELS, STRONGEST_DB, Strength
from provenance.watermarks.pixel import PixelWatermark
from provenance.watermarks.strength import Sample, chosen, sample_times, samples_of

ID = payload.compose_id(payload.Origin.EDITED, 0x123456789ABCDEF)


def chosen_for(clip: Clip, stream: KeyStream) -> Strength:
    return chosen(samples_of(clip), stream, ID, clip.seconds)


def test_a_small_clip_needs_all_there_is(stream: KeyStream, scene: Clip) -> None:
    assert chosen_for(scene, stream) == Strength()


def test_a_clip_too_short_to_try_gets_the_strongest(stream: KeyStream, scene: Clip) -> None:
    assert chosen_for(scene.select(slice(0, 8)), stream) == Strength()
    assert chosen([], stream, ID, None) == Strength()


def test_the_choice_is_the_same_every_time(stream: KeyStream, scene: Clip) -> None:
    assert chosen_for(scene, stream) == chosen_for(scene, stream)


@pytest.mark.parametrize("goal", [150.0, 30.0])
def test_what_a_reader_does_not_need_is_saved(
    stream: KeyStream, render: Callable[..., Clip], monkeypatch: pytest.MonkeyPatch, goal: float
) -> None:
    clip = render(848, 480, seconds=2.0)
    monkeypatch.setattr(strength, "LEAST_ENERGY", 1e9)  # costs aside
    monkeypatch.setattr(strength, "ENOUGH_ENERGY", goal)
    saved = chosen_for(clip, stream)
    assert STRONGEST_DB < saved.decibels <= strength.WEAKEST_DB
    assert PixelWatermark(stream).read(PixelWatermark(stream, saved).embed(clip, ID)).watermark_id == ID


def test_what_costs_too_much_becomes_weaker(stream: KeyStream, scene: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strength, "LEAST_ENERGY", 0.0)
    monkeypatch.setattr(strength, "MOST_GROWTH", 1.0)  # no watermark costs nothing
    assert STRONGEST_DB + 1 < chosen_for(scene, stream).decibels <= strength.WEAKEST_FOR_COST_DB


def test_smooth_pictures_get_less_than_busy_ones(stream: KeyStream) -> None:
    smooth = np.tile(np.linspace(90, 140, 320).astype(np.uint8), (240, 1))
    busy = np.random.default_rng(1).integers(40, 200, (240, 320), dtype=np.uint8)
    embedder = PixelWatermark(stream, Strength()).embedder(320, 240, 24.0, ID)
    changes = [embedder.mark(luma, 0.15).astype(float) - luma for luma in (smooth, busy)]
    assert changes[0].std() == pytest.approx(MOST_LEVELS, rel=0.15)
    assert changes[1].std() == pytest.approx(255 * 10 ** (-STRONGEST_DB / 20), rel=0.02)


@pytest.mark.parametrize("black", [0, 16])
def test_a_black_border_stays_nearly_black(stream: KeyStream, black: int) -> None:
    luma = np.random.default_rng(2).integers(60, 190, (240, 320), dtype=np.uint8)
    luma[:60] = black
    change = PixelWatermark(stream, Strength()).embedder(320, 240, 24.0, ID).mark(luma, 0.15).astype(int) - luma
    assert np.abs(change[:50]).mean() < 0.25 * np.abs(change[70:]).mean()


def test_two_samples_of_a_long_clip_and_one_of_a_short_one() -> None:
    assert sample_times(100.0) == ((10.0, 11.0), (pytest.approx(55.0), pytest.approx(56.0)))
    assert sample_times(1.5) == ((0.0, 2.0),)
    assert sample_times(None) == ((0.0, 2.0),)


def test_samples_stay_small_however_large_the_frames() -> None:
    frames = (np.zeros((2160, 3841), np.uint8) for _ in range(5))
    sample = Sample.of(frames, [0.0, 0.1, 0.2, 0.3, 0.4], 10.0)
    assert len(sample.luma) == 5
    assert sample.luma[0].size <= strength.MOST_PIXELS
    assert sample.luma.shape[1] % 2 == sample.luma.shape[2] % 2 == 0


def test_layers_share_a_strength() -> None:
    one, both = Strength(42.0).of_one_layer, Strength(42.0, layers=2).of_one_layer
    assert [level**2 for level in one] == pytest.approx([2 * level**2 for level in both])
