"""Choosing the strength: what is needed stays, what costs too much follows the detail, what is spare is saved."""

from collections.abc import Callable

import numpy as np
import pytest

from provenance.keys import KeyStream
from provenance.video import Clip
from provenance.watermarks import payload, strength
from provenance.watermarks.marking import MOST_LEVELS, STRONGEST_DB, Strength
from provenance.watermarks.pixel import PixelWatermark
from provenance.watermarks.strength import Sampler, chosen, sample_times, samples_of

ID = payload.compose_id(payload.Origin.EDITED, 0x123456789ABCDEF)


def chosen_for(clip: Clip, stream: KeyStream, layers: int = 1) -> Strength:
    return chosen(samples_of(clip), stream, ID, clip.seconds, layers)


@pytest.fixture
def generous(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing costs too much, and a reader has enough very soon."""
    monkeypatch.setattr(strength, "LEAST_ENERGY", 1e9)
    monkeypatch.setattr(strength, "ENOUGH_ENERGY", 30.0)


def test_a_small_clip_needs_all_there_is(stream: KeyStream, scene: Clip) -> None:
    assert chosen_for(scene, stream) == Strength()


@pytest.mark.usefixtures("generous")
def test_a_clip_too_short_to_try_gets_the_strongest(stream: KeyStream, render: Callable[..., Clip]) -> None:
    clip = render(848, 480, seconds=2.0)
    assert chosen_for(clip, stream).decibels > STRONGEST_DB
    assert chosen_for(clip.select(slice(0, 8)), stream) == Strength()
    assert chosen([], stream, ID, None) == Strength()


@pytest.mark.usefixtures("generous")
def test_the_choice_is_the_same_every_time_and_layers_need_more(stream: KeyStream, render: Callable[..., Clip]) -> None:
    clip = render(848, 480, seconds=2.0)
    alone, together = chosen_for(clip, stream), chosen_for(clip, stream, layers=4)
    assert alone == chosen_for(clip, stream)
    assert together.layers == 4
    assert STRONGEST_DB <= together.decibels < alone.decibels


@pytest.mark.parametrize("goal", [100.0, 30.0])
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


@pytest.mark.parametrize(("black", "full_range"), [(0, True), (16, False)])
def test_a_black_border_stays_nearly_black(stream: KeyStream, black: int, full_range: bool) -> None:
    luma = np.random.default_rng(2).integers(60, 190, (240, 320), dtype=np.uint8)
    luma[:60] = black
    embedder = PixelWatermark(stream, Strength()).embedder(320, 240, 24.0, ID, full_range=full_range)
    change = embedder.mark(luma, 0.15).astype(int) - luma
    assert np.abs(change[:50]).mean() < 0.25 * np.abs(change[70:]).mean()


def test_two_samples_of_a_long_clip_and_one_of_a_short_one() -> None:
    assert sample_times(20.0) == ((2.0, 3.0), (pytest.approx(11.0), pytest.approx(12.0)))
    assert sample_times(7200.0) == ((5.0, 6.0), (20.0, 21.0))  # all before is decoded
    assert sample_times(1.5) == ((0.0, 2.0),)
    assert sample_times(None) == ((0.0, 2.0),)


@pytest.mark.parametrize(("height", "width"), [(2160, 3841), (66, 20000), (12, 4000)])
def test_samples_stay_small_however_large_the_frames(stream: KeyStream, height: int, width: int) -> None:
    sampler = Sampler(0.5, 10.0)
    assert not sampler.see((np.zeros((height, width), np.uint8) for _ in range(5)), [0.0, 0.1, 0.2, 0.3, 0.4])
    (sample,) = sampler.samples()
    assert len(sample.luma) == 5
    assert sample.luma[0].size <= strength.MOST_PIXELS
    assert sample.luma.shape[1] % 2 == sample.luma.shape[2] % 2 == 0
    assert chosen([sample], stream, ID, 0.5) == Strength()


def test_frames_of_a_fast_camera_are_thinned() -> None:
    sampler = Sampler(4.0, 240.0)
    assert sampler.see((np.zeros((64, 64), np.uint8) for _ in range(960)), (index / 240 for index in range(960)))
    assert [(len(sample.luma), sample.frame_rate) for sample in sampler.samples()] == [(60, 60.0), (60, 60.0)]


def test_limited_range_is_sampled_as_it_will_be_marked() -> None:
    sampler = Sampler(1.0, 10.0, full_range=False)
    sampler.see([np.array([[0, 255]] * 2, np.uint8)], [0.0])
    assert sampler.samples()[0].luma.tolist() == [[[16, 235], [16, 235]]]


def test_layers_share_a_strength() -> None:
    one, both = Strength(42.0).of_one_layer, Strength(42.0, layers=2).of_one_layer
    assert [level**2 for level in one] == pytest.approx([2 * level**2 for level in both])
