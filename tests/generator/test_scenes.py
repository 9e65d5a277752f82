"""Scenes: captioned, moving, and the same everywhere."""

from fractions import Fraction

import numpy as np
import pytest

from generator.scenes import ATTRIBUTES, SCENES, Caption, deal_caption, render, render_clips


@pytest.mark.parametrize("scene", SCENES)
def test_a_scene_is_captioned_and_moves(scene):
    frames, caption = render(3, scene, 64, 8)
    assert frames.shape == (8, 64, 64, 3)
    assert frames.dtype == np.uint8
    assert caption.attributes["scene"] == scene
    assert caption.text
    change = np.abs(frames[0].astype(int) - frames[-1].astype(int)).mean()
    assert change > 1.0
    assert frames.std() > 10


def test_the_same_seed_gives_the_same_bytes():
    first, second = (render(11, "smoke", 48, 4)[0] for _ in range(2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, render(12, "smoke", 48, 4)[0])


def test_a_larger_picture_shows_the_same_scene():
    small, _ = render(5, "balls", 64, 2)
    large, _ = render(5, "balls", 128, 2)
    halved = large.reshape(2, 64, 2, 64, 2, 3).mean(axis=(2, 4))
    assert np.abs(halved - small).mean() < 4


def test_a_wide_picture_extends_the_square_one():
    square, _ = render(5, "mountains", (64, 64), 1)
    wide, _ = render(5, "mountains", (64, 96), 1)
    assert np.abs(wide[:, :, 16:80].astype(int) - square.astype(int)).max() <= 1


def test_frames_do_not_depend_on_how_many_are_rendered():
    short, _ = render(9, "fire", (96, 160), 3)
    long, _ = render(9, "fire", (96, 160), 6)
    assert np.abs(long[:3].astype(int) - short.astype(int)).max() <= 1


def test_the_frame_rate_samples_the_same_motion():
    slow, _ = render(2, "ocean", 48, 2, frames_per_second=Fraction(8))
    fast, _ = render(2, "ocean", 48, 4, frames_per_second=Fraction(24))
    assert np.abs(fast[3].astype(int) - slow[1].astype(int)).max() <= 1


def test_clips_go_round_all_scenes():
    captions = [caption for _, caption in render_clips(len(SCENES), height=32, width=48, frames=1)]
    assert [caption.attributes["scene"] for caption in captions] == list(SCENES)


def test_seeds_deal_every_value_of_every_attribute():
    dealt = [deal_caption(seed).attributes for seed in range(300)]
    for name, values in ATTRIBUTES.items():
        assert {attributes[name] for attributes in dealt} == set(values)


def test_an_attribute_shows_in_the_picture():
    attributes = dict(deal_caption(4, "balls").attributes, time="day", camera="still")
    red, _ = render(4, size=64, frames=1, caption=Caption.of({**attributes, "colour": "red"}))
    blue, _ = render(4, size=64, frames=1, caption=Caption.of({**attributes, "colour": "blue"}))
    changed = np.abs(red.astype(int) - blue.astype(int)).max(axis=-1) > 40
    assert 0.02 < changed.mean() < 0.3
    assert red[changed][:, 0].mean() > blue[changed][:, 0].mean() + 50


@pytest.mark.parametrize(("size", "frames"), [(8, 4), ((64, 8), 4), (64, 0)])
def test_what_cannot_be_rendered_is_refused(size, frames):
    with pytest.raises(ValueError, match="cannot render"):
        render(1, "snow", size, frames)


def test_a_caption_with_an_unknown_value_is_refused():
    with pytest.raises(ValueError, match="no such attribute"):
        Caption("x", {"scene": "desert"})
