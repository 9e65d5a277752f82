"""What the canonical view promises: one size, one pace, no bars, the same frames however the windows are cut."""

import numpy as np
import pytest

from detectors.canonical import FRAMES, SIDE, Box, CanonicalView, centre_box, coded, decoded
from provenance.video import Clip, Window


def moving_clip(frames: int, rate: float, height: int = 240, width: int = 320) -> Clip:
    """A textured picture that drifts to the right, one pixel per frame."""
    noise = np.random.default_rng(5).uniform(0, 255, (height // 8 + 1, width // 8 + frames // 8 + 2))
    wide = np.kron(noise, np.ones((8, 8)))
    stack = np.stack([wide[:height, t : t + width] for t in range(frames)])
    return Clip.at_rate(np.repeat(stack[..., None], 3, axis=-1).astype(np.uint8), rate)


def views_of(clip: Clip, window: int = 16, frame_count: int | None = None):
    collector = CanonicalView(clip.frames_per_second, frame_count)
    for start in range(0, len(clip), window):
        if collector.see(Window.of(clip.select(slice(start, start + window)))):
            break
    return collector.views()


def test_shows_sixteen_frames_of_192_pixels_at_about_eight_a_second():
    (view,) = views_of(moving_clip(60, 24.0), frame_count=60)
    assert view.rgb.shape == (FRAMES, SIDE, SIDE, 3)
    assert view.end_seconds - view.start_seconds == pytest.approx(15 * 3 / 24, abs=1e-6)


def test_takes_two_views_of_a_longer_clip_one_after_the_other():
    first, second = views_of(moving_clip(120, 24.0), frame_count=120)
    assert second.start_seconds == pytest.approx(first.end_seconds + 3 / 24)


@pytest.mark.parametrize("frame_count", [None, 120])
def test_does_not_depend_on_how_windows_are_cut_or_on_the_stated_length(frame_count):
    clip = moving_clip(120, 24.0)
    usual, odd = views_of(clip, 16, 120), views_of(clip, 7, frame_count)
    assert len(usual) == len(odd) == 2
    for a, b in zip(usual, odd, strict=True):
        assert a.start_seconds == b.start_seconds
        assert np.array_equal(a.rgb, b.rgb)


def test_shortens_the_stride_for_a_clip_too_short_for_it_and_gives_up_below_sixteen_frames():
    (view,) = views_of(moving_clip(20, 24.0), frame_count=20)
    assert view.end_seconds - view.start_seconds == pytest.approx(15 / 24)
    assert views_of(moving_clip(15, 24.0), frame_count=15) == []


def test_goes_by_the_times_of_frames_where_the_stated_rate_is_absurd():
    clip = moving_clip(60, 24.0)
    collector = CanonicalView(1000.0, 2500)
    any(collector.see(Window.of(clip.select(slice(start, start + 16)))) for start in range(0, 60, 16))
    (view,) = collector.views()
    assert np.array_equal(view.rgb, views_of(clip, 16, 60)[0].rgb)


def test_stops_asking_for_frames_after_four_seconds():
    clip = moving_clip(16, 24.0)
    collector = CanonicalView(24.0, 4000)
    seen = 0
    while not collector.see(Window.of(clip)):
        seen += 16
    assert seen < 4.1 * 24


def test_trims_black_bars_and_a_tenth_of_every_side():
    luma = np.full((4, 300, 400), 120, np.uint8)
    luma[:, :50] = luma[:, 250:] = 5
    assert centre_box(luma) == Box(top=50 + 20, left=(400 - 160) // 2, side=160)


def test_a_dark_clip_is_no_bar_and_a_black_one_has_no_box():
    assert centre_box(np.zeros((4, 200, 200), np.uint8)) is None
    dark = np.full((4, 200, 200), 40, np.uint8)
    assert centre_box(dark) == Box(20, 20, 160)


def test_starts_with_the_first_window_that_shows_something():
    clip = moving_clip(80, 8.0)
    black = Clip.at_rate(np.zeros((16, 240, 320, 3), np.uint8), 8.0)
    collector = CanonicalView(8.0, 96)
    assert not collector.see(Window.of(black))
    collector.see(Window.of(Clip(clip.frames, clip.times + 2.0)))
    assert collector.views()[0].start_seconds == pytest.approx(2.0)


def test_a_stream_decodes_to_the_same_frames_and_resembles_what_was_coded():
    frames = moving_clip(16, 8.0, 192, 192).frames
    stream = coded(frames)
    assert np.array_equal(decoded(stream), decoded(stream))
    assert coded(frames) == stream
    assert np.abs(decoded(stream).astype(float) - frames).mean() < 12
