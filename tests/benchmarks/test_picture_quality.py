"""Picture quality against values by hand, published ones, and an encoder whose settings say what is worse."""

import os
import shutil
import sys

import numpy as np
import pytest

from benchmarks.attacks import attack_clip
from benchmarks.picture_quality import Flicker, bd_rate, comparable, compare, flicker, vmaf
from provenance.errors import CountermarkError, NeedsExtra
from provenance.video import Clip

ANCHOR = list(zip([686.76, 309.58, 157.11, 85.95], [40.28, 37.18, 34.24, 31.42], strict=True))
TEST = list(zip([893.34, 407.8, 204.93, 112.75], [40.39, 37.21, 34.17, 31.24], strict=True))
"""Two curves in common use as an example."""


def grey(luma):
    """A clip of 25 frames/s from luma (time, height, width)."""
    return Clip.at_rate(np.repeat(np.asarray(luma).round().clip(0, 255).astype(np.uint8)[..., None], 3, axis=-1), 25)


def textured(frames=6, height=96, width=128, drift=1):
    """A smooth texture with grain that drifts to the left."""
    grain = np.random.default_rng(3).normal(0, 8, (height, width + drift * frames))
    x, y = np.meshgrid(np.arange(grain.shape[1]), np.arange(height))
    scene = 128 + 60 * np.sin(x / 9) * np.cos(y / 11) + grain
    return grey([scene[:, drift * t : drift * t + width] for t in range(frames)])


@pytest.fixture
def libvmaf():
    try:
        import imageio_ffmpeg
    except ImportError:
        assert "vmaf" not in os.environ.get("COUNTERMARK_PROMISED", ""), "vmaf was promised"
        pytest.skip("imageio-ffmpeg is not installed")
    return imageio_ffmpeg


class TestCompare:
    def test_a_clip_equals_itself(self):
        clip = textured(3)
        quality = compare(clip, clip)
        assert (quality.psnr_db, quality.ssim) == (float("inf"), 1)
        assert quality.vmaf is None or quality.vmaf > 97

    def test_psnr_of_one_grey_level_by_hand(self):
        still = np.full((2, 32, 48), 100)
        assert compare(grey(still), grey(still + 1)).psnr_db == pytest.approx(48.13, abs=0.005)  # 20 log10 255

    def test_only_frames_that_can_be_paired_are_compared(self):
        clip = textured(3)
        shorter, smaller = clip.select([0, 1]), textured(3, height=80)
        assert comparable(clip, textured(3))
        for other in (shorter, smaller):
            assert not comparable(clip, other)
            for measure in (compare, flicker, vmaf):
                with pytest.raises(ValueError, match="cannot be compared"):
                    measure(clip, other)
        assert not comparable(clip.select([]), clip.select([]))

    def test_pictures_too_small_for_vmaf_have_the_rest(self):
        clip = textured(2, height=16)
        assert compare(clip, clip).vmaf is None
        with pytest.raises(ValueError, match="17"):
            vmaf(clip, clip)

    def test_without_the_package_vmaf_is_missing_and_nothing_else(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
        clip = textured(2)
        with pytest.raises(NeedsExtra) as caught:
            vmaf(clip, clip)
        assert "countermark[bench]" in caught.value.hint
        assert compare(clip, clip).vmaf is None


@pytest.mark.usefixtures("libvmaf")
class TestVmaf:
    def test_falls_as_the_encoder_gets_coarser(self):
        clip = textured()
        scores = [vmaf(clip, clip), *(vmaf(clip, attack_clip(clip, f"x264:{crf}")) for crf in (18, 30, 45))]
        assert 97 < scores[0] <= 100
        assert scores == sorted(scores, reverse=True)
        assert scores[3] < scores[1] - 20

    def test_the_second_clip_is_the_one_judged(self):
        clip = textured()
        coarse = attack_clip(clip, "x264:40")
        assert vmaf(clip, coarse) < vmaf(coarse, clip) - 1  # as a copy of the coarse one, the fine one lost nothing

    @pytest.mark.parametrize(("height", "width"), [(17, 17), (49, 65), (50, 65), (49, 66)])
    def test_pictures_of_odd_size_are_whole(self, height, width):
        clip = textured(3, height, width)
        assert vmaf(clip, clip) > 95

    def test_the_last_line_of_an_odd_picture_counts(self):
        clip = textured(3, 33, 64)
        frames = clip.frames.copy()
        frames[:, -1] = 255 - frames[:, -1]
        assert vmaf(clip, Clip(frames, clip.times)) < vmaf(clip, clip) - 1

    def test_a_program_that_fails_says_so(self, libvmaf, monkeypatch):
        monkeypatch.setattr(libvmaf, "get_ffmpeg_exe", lambda: shutil.which("false"))
        with pytest.raises(CountermarkError, match="VMAF failed"):
            vmaf(textured(2), textured(2))


class TestFlicker:
    def test_a_pattern_that_stands_still_adds_nothing(self):
        still = np.tile(np.random.default_rng(0).integers(50, 200, (32, 48)), (5, 1, 1))
        pattern = np.random.default_rng(1).choice([-3, 3], (32, 48))
        assert flicker(grey(still), grey(still + pattern)).levels == 0

    def test_a_pattern_that_changes_sign_every_frame_is_seen_at_twice_its_size(self):
        still = np.full((6, 32, 48), 120)
        sign = np.array([1, -1] * 3)[:, None, None]
        seen = flicker(grey(still), grey(still + 2 * sign))
        assert (seen.static_share, seen.original_levels, seen.levels) == (1, 0, 4)
        assert seen.ratio is None  # nothing can be divided by a perfectly still original

    def test_ratio_to_the_noise_that_was_there(self):
        random = np.random.default_rng(2)
        original = 120 + random.normal(0, 1, (10, 64, 64))
        seen = flicker(grey(original), grey(original + random.normal(0, np.sqrt(3), original.shape)))
        assert seen.ratio == pytest.approx(2, rel=0.1)  # variances of 1 and 3 add up to 4

    def test_what_moves_in_the_original_is_left_out(self):
        frames = np.full((4, 32, 64), 100.0)
        frames[:, :, 32:] += 40 * np.arange(4)[:, None, None]
        changed = frames.copy()
        changed[::2, :, 32:] += 15
        seen = flicker(grey(frames), grey(changed))
        assert (seen.static_share, seen.levels) == (0.5, 0)

    def test_without_anything_still_there_is_no_number(self):
        moving, single = grey(np.arange(4)[:, None, None] * np.full((32, 32), 30)), textured(1)
        for clip in (moving, single):
            seen = flicker(clip, clip)
            assert seen == Flicker(0.0, None, None)
            assert (seen.ratio, seen.levels) == (None, None)


class TestBdRate:
    def test_half_the_rate_at_every_quality(self):
        assert bd_rate(ANCHOR, [(rate / 2, quality) for rate, quality in ANCHOR]) == pytest.approx(-50)
        assert bd_rate(ANCHOR, ANCHOR) == pytest.approx(0)

    def test_straight_lines_in_log_rate_by_hand(self):
        anchor = [(10**k, 10.0 * k) for k in range(1, 5)]
        test = [(1.1 * 10 ** (k + 0.2), 10.0 * k + 2) for k in range(1, 5)]
        assert bd_rate(anchor, test) == pytest.approx(10)

    def test_agrees_with_an_implementation_that_equals_the_sheet_of_jvet(self):
        # bjontegaard 1.3 (FAU-LMS), method "pchip"; the second pair of curves is the example of its manual.
        assert bd_rate(ANCHOR, TEST) == pytest.approx(31.3798782, abs=1e-6)
        anchor = zip([9487.76, 4593.60, 2486.44, 1358.24], [40.037, 38.615, 36.845, 34.851], strict=True)
        test = zip([9787.80, 4469.00, 2451.52, 1356.24], [40.121, 38.651, 36.970, 34.987], strict=True)
        assert bd_rate(list(anchor), list(test)) == pytest.approx(-4.4174854, abs=1e-6)

    def test_the_order_of_points_does_not_matter(self):
        assert bd_rate(ANCHOR[::-1], TEST) == bd_rate(ANCHOR, TEST)

    @pytest.mark.parametrize(
        ("test", "why"),
        [
            (TEST[:3], "four points"),
            ([(rate, quality + 20) for rate, quality in TEST], "share no range"),
            ([(rate, -quality) for rate, quality in TEST], "does not rise"),
            ([(rate, 30.0) for rate, _ in TEST], "does not rise"),
            ([(-rate, quality) for rate, quality in TEST], "above 0"),
            ([(rate, float("inf")) for rate, _ in TEST], "finite"),
        ],
    )
    def test_curves_that_cannot_be_compared_are_refused(self, test, why):
        with pytest.raises(ValueError, match=why):
            bd_rate(ANCHOR, test)
