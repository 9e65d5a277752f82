"""Every attack keeps the same contract; chains say what is wrong with them in one line."""

import re
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.attacks import ATTACKS, Step, attack_clip, attack_file, parse_chain
from benchmarks.attacks.chain import FAMILIES, Chain
from benchmarks.attacks.reference import documentation
from provenance.errors import CannotRead, CannotWrite, OutputExists, UnknownName, UsageError
from provenance.video import Clip, Video
from provenance.video.write import write_clip


def moving_clip(frames=20, height=64, width=96, rate=10.0):
    """A smooth pattern that drifts to the right, with some texture."""
    grain = np.random.default_rng(3).normal(0, 4, (height, width))
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    pictures = [128 + 60 * np.sin((x - 3 * t) / 9) * np.cos(y / 11) + grain for t in range(frames)]
    luma = np.clip(np.stack(pictures), 0, 255).astype(np.uint8)
    return Clip.at_rate(np.stack([luma, luma[:, ::-1], 255 - luma], axis=-1), rate)


@pytest.fixture(scope="module")
def clip():
    return moving_clip()


@pytest.fixture(scope="module")
def file(clip, tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    write_clip(clip, path, crf=10)
    return path


FILE_ONLY = {"strip", "soundtrack"}
SMALL_ENOUGH = {"cap": 32, "fps-cap": 5}
"""Their defaults leave a clip as small and slow as ours alone."""


def step(name):
    parameter = ATTACKS[name].parameter
    return Chain((Step(name, SMALL_ENOUGH.get(name, parameter.default) if parameter else None),))


def each(names):
    """The names, those that take more than a second each marked as slow."""
    slow = ("diffusion", "image-to-video")
    return [pytest.param(name, marks=pytest.mark.slow) if name in slow else name for name in names]


@pytest.mark.parametrize("name", each(ATTACKS))
class TestEveryAttack:
    def test_leaves_its_input_alone(self, name, clip):
        before = clip.frames.copy()
        attack_clip(clip, step(name), seed=1)
        assert np.array_equal(clip.frames, before)

    def test_gives_the_same_clip_for_the_same_seed(self, name, clip):
        one, two = (attack_clip(clip, step(name), seed=5) for _ in range(2))
        assert np.array_equal(one.frames, two.frames)
        assert np.array_equal(one.times, two.times)

    def test_does_something_unless_it_touches_the_file_only(self, name, clip):
        attacked = attack_clip(clip, step(name), seed=1)
        same = np.array_equal(attacked.frames, clip.frames) and np.array_equal(attacked.times, clip.times)
        assert same == (name in FILE_ONLY)

    def test_starts_at_zero_and_keeps_sides_even(self, name, clip):
        attacked = attack_clip(clip, step(name), seed=1)
        assert attacked.times[0] == 0
        assert attacked.height % 2 == attacked.width % 2 == 0

    def test_writes_a_file_with_the_same_geometry_and_times_as_the_clip(self, name, clip, file, tmp_path):
        attack_file(file, tmp_path / "out.mp4", step(name), seed=1)
        written, expected = Video(tmp_path / "out.mp4").read(), attack_clip(clip, step(name), seed=1)
        assert written.frames.shape == expected.frames.shape
        assert np.allclose(written.times, expected.times, atol=1e-3)
        assert np.abs(written.luma.astype(int) - expected.luma).mean() < 9

    def test_refuses_parameters_out_of_range(self, name, clip):
        parameter = ATTACKS[name].parameter
        text = f"{name}:1" if parameter is None else f"{name}:{parameter.high + 1}"
        with pytest.raises(UsageError) as caught:
            parse_chain(text)
        assert "\n" not in caught.value.message
        assert name in caught.value.hint


@pytest.mark.parametrize("name", each(name for name, attack in ATTACKS.items() if attack.frames))
def test_frame_attacks_do_not_depend_on_where_the_stream_is_cut(name, clip):
    attack, value = ATTACKS[name], step(name).steps[0].value or 0.0
    whole, parts = (
        list(attack.frames(clips, value, np.random.default_rng(2)))
        for clips in ([clip], [clip.select(slice(0, 7)), clip.select(slice(7, 8)), clip.select(slice(8, None))])
    )
    assert np.array_equal(np.concatenate([c.frames for c in whole]), np.concatenate([c.frames for c in parts]))
    assert np.allclose(np.concatenate([c.times for c in whole]), np.concatenate([c.times for c in parts]))


@pytest.mark.parametrize("name", each(name for name, attack in ATTACKS.items() if attack.frames and name != "reverse"))
def test_frame_attacks_begin_to_write_before_they_have_read_far(name):
    """All but `reverse`, which needs the end first: so memory does not grow with the length."""
    attack, read = ATTACKS[name], []

    def stretches():
        for number in range(60):
            read.append(number)
            yield Clip.at_rate(moving_clip(8, 32, 32).frames, 10.0, start_seconds=number * 0.8)

    next(attack.frames(stretches(), step(name).steps[0].value or 0.0, np.random.default_rng(2)))
    assert len(read) <= 8


class TestChains:
    @pytest.mark.parametrize(
        "text", ["strip", "crop:0.71+brightness:0.5+x264:40", "strip+resize:0.5", "none", "social", "crop:0.8+youtube"]
    )
    def test_are_spelled_as_they_are_read(self, text):
        assert str(parse_chain(text)) == text

    def test_take_defaults_and_short_numbers(self):
        assert str(parse_chain("crop:.9 + x264")) == "crop:0.9+x264:23"

    def test_name_the_nearest_attacks_when_one_is_unknown(self):
        with pytest.raises(UnknownName) as caught:
            parse_chain("strip+x254:28")
        assert "x264" in caught.value.hint
        assert caught.value.exit_status == 2

    @pytest.mark.parametrize(
        "text",
        ["", "strip+", "crop:", "crop:wide", "crop:nan", "x264:23.5", "x264:-1", "flip:1", "median:4", "youtube:2"],
    )
    def test_are_refused_in_one_line_when_malformed(self, text):
        with pytest.raises(UsageError) as caught:
            parse_chain(text)
        assert caught.value.hint

    def test_apply_from_left_to_right(self, clip):
        chain = "crop:.5+resize:.5"
        by_hand = attack_clip(attack_clip(clip, "crop:.5"), "resize:.5")
        assert np.array_equal(attack_clip(clip, chain).frames, by_hand.frames)

    @pytest.mark.parametrize("name", FAMILIES["chains"])
    def test_with_a_name_do_what_their_steps_do(self, name, clip):
        steps = ATTACKS[name].steps
        assert str(parse_chain(steps)) == steps
        assert parse_chain(name).spelled_out == parse_chain(steps).steps
        assert parse_chain(name).changes_time == parse_chain(steps).changes_time == ATTACKS[name].changes_time
        one, other = attack_clip(clip, name, seed=4), attack_clip(clip, steps, seed=4)
        assert np.array_equal(one.frames, other.frames)
        assert np.array_equal(one.times, other.times)

    def test_give_other_seeds_other_frames(self, clip):
        assert len({tuple(attack_clip(clip, "drop:.5", seed=seed).times) for seed in range(4)}) > 1


class TestWhatAttacksDo:
    def test_crop_keeps_the_centre(self, clip):
        cut = attack_clip(clip, "crop:.5")
        assert np.array_equal(cut.frames, clip.frames[:, 16:48, 24:72])

    def test_resize_halves_both_sides(self, clip):
        assert attack_clip(clip, "resize:.5").frames.shape[1:3] == (32, 48)

    def test_flip_twice_is_nothing(self, clip):
        assert np.array_equal(attack_clip(clip, "flip+flip").frames, clip.frames)

    def test_trim_cuts_the_beginning(self, clip):
        assert np.array_equal(attack_clip(clip, "trim:1").frames, clip.frames[10:])

    def test_trim_of_everything_is_refused(self, clip):
        with pytest.raises(UsageError, match="nothing is left"):
            attack_clip(clip, "trim:60")

    @pytest.mark.parametrize("rate", [5, 10, 24, 25])
    def test_fps_keeps_the_length(self, clip, rate):
        other = attack_clip(clip, f"fps:{rate}")
        assert other.seconds == pytest.approx(clip.seconds, abs=1 / rate)
        assert np.allclose(np.diff(other.times), 1 / rate)

    def test_drop_keeps_the_times_of_the_frames_that_stay(self, clip):
        kept = attack_clip(clip, "drop:.5", seed=2)
        assert 2 < len(kept) < len(clip)
        assert set(kept.times) <= set(clip.times)

    def test_coarser_encoding_costs_more(self, clip):
        errors = [np.abs(attack_clip(clip, f"x264:{crf}").luma.astype(int) - clip.luma).mean() for crf in (18, 35, 48)]
        assert errors == sorted(errors)

    def test_strip_copies_pictures_and_drops_titles(self, clip, tmp_path):
        titled, bare = tmp_path / "titled.mp4", tmp_path / "bare.mp4"
        with av.open(str(titled), "w") as container:
            container.metadata["title"] = "a telling title"
            stream = container.add_stream("libx264", rate=10)
            stream.width, stream.height, stream.pix_fmt = clip.width, clip.height, "yuv420p"
            for pixels in clip.frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(stream.encode(None))
        attack_file(titled, bare, "strip")
        assert np.array_equal(Video(titled).read().frames, Video(bare).read().frames)
        with av.open(str(bare)) as container:
            assert "title" not in container.metadata
        assert b"telling" not in bare.read_bytes()


def unlike(one, other):
    """Mean absolute difference of two arrays of bytes."""
    return float(np.abs(one.astype(int) - other).mean())


class TestStampsOfMilliseconds:
    """As Matroska has them, also amid a chain."""

    @pytest.mark.parametrize("rate", [24, 29.97, 30, 60])
    @pytest.mark.parametrize("name", ["fps", "fps-cap"])
    def test_no_frame_is_lost(self, name, rate):
        clip = moving_clip(48, 32, 48, rate)
        rounded = Clip(clip.frames, np.round(clip.times, 3))
        attacked = attack_clip(rounded, f"{name}:{rate}")
        assert len(np.unique(attacked.frames.reshape(len(attacked), -1), axis=0)) == 48


class TestForeignFrames:
    @pytest.mark.parametrize("seed", range(12))
    @pytest.mark.parametrize("frames", [12, 48])
    def test_replace_takes_as_many_as_it_says(self, frames, seed):
        clip = moving_clip(frames, 32, 48, 24.0)
        for count in (5, 46):
            attacked = attack_clip(clip, f"replace:{count}", seed=seed)
            changed = [not np.array_equal(a, b) for a, b in zip(attacked.frames, clip.frames, strict=True)]
            assert sum(changed) == min(count, frames - 1)
            assert not changed[0]

    @pytest.mark.parametrize("seed", range(12))
    def test_insert_adds_as_many_even_to_a_short_clip(self, seed):
        clip = moving_clip(12, 32, 48, 24.0)
        attacked = attack_clip(clip, "insert:5", seed=seed)
        assert len(attacked) == 17
        assert np.all(np.diff(attacked.times) > 0)


class TestCodecs:
    @pytest.mark.parametrize("rate", [200, 400])
    def test_a_bitrate_is_reached(self, rate, tmp_path):
        noisy = attack_clip(moving_clip(100, 96, 160, 25.0), "noise:.05")
        write_clip(noisy, tmp_path / "in.mp4", crf=18)
        attack_file(tmp_path / "in.mp4", tmp_path / "out.mp4", f"x264-rate:{rate}")
        size = (tmp_path / "out.mp4").stat().st_size
        assert size * 8 / 1000 / noisy.seconds == pytest.approx(rate, rel=0.25)

    def test_a_gif_has_256_colours_at_most(self, clip):
        for frame in attack_clip(clip, "gif").frames:
            assert len(np.unique(frame.reshape(-1, 3), axis=0)) <= 256

    def test_lower_jpeg_quality_costs_more(self, clip):
        errors = [unlike(attack_clip(clip, f"jpeg:{quality}").frames, clip.frames) for quality in (90, 40, 10)]
        assert errors == sorted(errors)

    @pytest.mark.parametrize(
        ("chain", "codec", "pixels"),
        [
            ("mpeg4", "mpeg4", "yuv420p"),
            ("flip+mjpeg", "mjpeg", "yuvj420p"),
            ("x265-10bit", "hevc", "yuv420p10le"),
            ("flip+x264-rgb", "h264", "gbrp"),
        ],
    )
    def test_files_have_the_codec_asked_for(self, chain, codec, pixels, file, tmp_path):
        attack_file(file, tmp_path / "out.mp4", chain)
        info = Video(tmp_path / "out.mp4").info
        assert (info.codec, info.pixel_format) == (codec, pixels)


class TestGeometry:
    @pytest.mark.parametrize("chain", ["turn+turn+turn+turn", "turn:3+turn", "flip-vertical+flip-vertical", "rotate:0"])
    def test_back_again_is_nothing(self, chain, clip):
        assert np.array_equal(attack_clip(clip, chain).frames, clip.frames)

    def test_half_a_turn_mirrors_both_ways(self, clip):
        assert np.array_equal(attack_clip(clip, "turn:2").frames, clip.frames[:, ::-1, ::-1])
        assert np.array_equal(attack_clip(clip, "rotate:180").frames, clip.frames[:, ::-1, ::-1])

    def test_rotation_keeps_the_sides_and_blackens_corners(self, clip):
        turned = attack_clip(clip, "rotate:20").frames
        assert turned.shape == clip.frames.shape
        assert not turned[:, 0, 0].any()

    @pytest.mark.parametrize("degrees", [2, 20, 45, 90])
    def test_the_upright_rectangle_has_no_black(self, degrees):
        white = Clip.at_rate(np.full((2, 64, 96, 3), 255, np.uint8), 10)
        assert attack_clip(white, f"rotate-crop:{degrees}").frames.min() > 200

    @pytest.mark.parametrize("name", ["resize-restored", "crop-restored", "crop-random-restored"])
    def test_what_is_restored_has_its_old_size(self, name, clip):
        assert attack_clip(clip, f"{name}:.5").frames.shape == clip.frames.shape

    def test_a_random_crop_is_the_same_part_of_every_frame(self, clip):
        still = Clip(np.repeat(clip.frames[:1], 5, axis=0), clip.times[:5])
        parts = [attack_clip(still, "crop-random:.5", seed=seed).frames for seed in range(3)]
        assert all((part == part[0]).all() for part in parts)
        assert not np.array_equal(parts[0], parts[1])

    def test_a_cap_leaves_small_pictures_alone(self, clip):
        assert attack_clip(clip, "cap:64").frames.shape == clip.frames.shape
        assert attack_clip(clip, "cap:32").frames.shape[1:3] == (32, 48)

    def test_aspect_changes_the_width_alone(self, clip):
        assert attack_clip(clip, "aspect:.5625").frames.shape[1:3] == (64, 36)

    def test_perspective_and_translation_show_black(self, clip):
        assert attack_clip(clip, "perspective:.5").frames.min() == 0
        moved = attack_clip(clip, "translate:10").frames
        assert np.array_equal(moved[:, 10:, 10:], clip.frames[:, :-10, :-10])
        assert not moved[:, :10].any()

    def test_a_letterbox_adds_black_and_leaves_the_picture(self, clip):
        boxed = attack_clip(clip, "letterbox:.2").frames
        assert boxed.shape[1:3] == (80, 96)
        assert np.array_equal(boxed[:, 8:72], clip.frames)
        assert not boxed[:, :8].any()
        assert not boxed[:, 72:].any()

    def test_a_picture_in_a_picture_is_the_clip_scaled(self, clip):
        inside, small = attack_clip(clip, "picture-in-picture:.5").frames, attack_clip(clip, "resize:.5").frames
        assert inside.shape == clip.frames.shape
        assert np.array_equal(inside[:, 28:60, 43:91], small)
        assert unlike(inside[:, :28], clip.frames[:, :28]) > 10

    @pytest.mark.parametrize("name", ["jitter", "zoom"])
    def test_unsteady_pictures_stay_near(self, name, clip):
        smooth = attack_clip(clip, "blur:2")
        assert 0 < unlike(attack_clip(smooth, name).frames, smooth.frames) < 6


class TestTime:
    def test_every_third_frame_is_kept(self, clip):
        kept = attack_clip(clip, "keep-every:3")
        assert np.array_equal(kept.frames, clip.frames[::3])
        assert np.array_equal(kept.times, clip.times[::3])

    def test_bursts_are_lost_but_not_the_first_frame(self, clip):
        assert attack_clip(clip, "drop-burst:6").times == pytest.approx([0, *np.arange(7, 14) / 10])

    def test_trims_at_the_end_and_in_the_middle(self, clip):
        assert np.array_equal(attack_clip(clip, "trim-end:.6").frames, clip.frames[:14])
        middle = attack_clip(clip, "trim-middle:1")
        assert np.array_equal(middle.frames, np.concatenate([clip.frames[:5], clip.frames[15:]]))
        assert middle.times == pytest.approx(clip.times[:10])

    def test_a_single_frame_stays(self, clip):
        assert np.array_equal(attack_clip(clip, "single-frame:7").frames, clip.frames[7:8])
        assert np.array_equal(attack_clip(clip, "single-frame:99").frames, clip.frames[-1:])

    @pytest.mark.parametrize("seed", range(3))
    def test_foreign_frames_are_inserted_in_one_piece(self, clip, seed):
        longer = attack_clip(clip, "insert:5", seed)
        places = [n for n, frame in enumerate(longer.frames) if not (frame == clip.frames).all(axis=(1, 2, 3)).any()]
        assert places == list(range(places[0], places[0] + 5))
        assert np.array_equal(np.delete(longer.frames, places, axis=0), clip.frames)
        assert longer.times == pytest.approx(np.arange(25) / 10)

    def test_foreign_frames_replace_others(self, clip):
        replaced = attack_clip(clip, "replace:5", 1)
        assert np.array_equal(replaced.times, clip.times)
        assert sum((one == other).all() for one, other in zip(replaced.frames, clip.frames, strict=True)) == 15

    def test_other_sources_follow_in_a_splice(self, clip):
        film = attack_clip(clip, "splice:3")
        assert np.array_equal(film.frames[:20], clip.frames)
        assert film.times == pytest.approx(np.arange(60) / 10)
        assert unlike(film.frames[20:40], film.frames[40:]) > 10

    def test_swaps_and_chunks_keep_every_frame_once(self, clip):
        for chain in ("swap:.3", "reorder:4", "reverse"):
            moved = attack_clip(clip, chain, 2)
            order = [int((frame == clip.frames).all(axis=(1, 2, 3)).argmax()) for frame in moved.frames]
            assert sorted(order) == list(range(20))
            assert order != sorted(order)
            assert moved.times == pytest.approx(clip.times)
            if chain == "reorder:4":
                assert all(order[n : n + 4] == list(range(order[n], order[n] + 4)) for n in range(0, 20, 4))

    def test_backwards_twice_is_nothing(self, clip):
        assert np.array_equal(attack_clip(clip, "reverse").frames, clip.frames[::-1])
        assert np.array_equal(attack_clip(clip, "reverse+reverse").frames, clip.frames)

    def test_twice_the_speed_takes_half_the_time(self, clip, file, tmp_path):
        assert attack_clip(clip, "speed:2").seconds == pytest.approx(clip.seconds / 2)
        attack_file(file, tmp_path / "fast.mp4", "speed:2")
        assert Video(tmp_path / "fast.mp4").info.frame_rate == 20

    def test_a_cap_on_the_frame_rate_leaves_slow_clips_alone(self, clip):
        assert np.array_equal(attack_clip(clip, "fps-cap:10").times, clip.times)
        assert attack_clip(clip, "fps-cap:5").times == pytest.approx(clip.times[::2])

    def test_blended_rates_lie_between_the_neighbours(self, clip):
        doubled = attack_clip(clip, "fps-blend:20")
        assert np.array_equal(doubled.frames[:-1:2], clip.frames)
        between = (clip.frames[:-1].astype(float) + clip.frames[1:]) / 2
        assert np.abs(doubled.frames[1:-2:2] - between).max() <= 0.5

    @pytest.mark.parametrize(("length", "back", "ahead"), [(1, 0, 0), (3, 1, 1), (4, 1, 2)])
    def test_averages_are_means_of_the_neighbours(self, clip, length, back, ahead):
        mean = attack_clip(clip, f"average:{length}").frames
        for n in (0, 9, 19):
            about = clip.frames[max(0, n - back) : n + ahead + 1].mean(axis=0)
            assert np.abs(mean[n] - about).max() <= 0.51

    def test_frozen_parts_of_every_second_stand_still(self, clip):
        frozen = attack_clip(clip, "freeze:.5").frames
        assert (frozen[:5] == clip.frames[0]).all()
        assert np.array_equal(frozen[5:10], clip.frames[5:10])
        assert (frozen[10:15] == clip.frames[10]).all()


class TestValues:
    def test_without_saturation_all_is_grey(self, clip):
        grey = attack_clip(clip, "saturation:0").frames
        assert np.ptp(grey, axis=-1).max() == 0
        assert np.abs(grey[..., 0].astype(int) - clip.luma).max() <= 1

    @pytest.mark.parametrize(
        "chain",
        ["hue:1", "hue:-1", "saturation:1", "gamma:1", "lut:0", "posterise:8", "salt-pepper:0", "overlay:0", "moire:0"],
    )
    def test_neutral_parameters_are_nothing(self, chain, clip):
        assert np.array_equal(attack_clip(clip, chain).frames, clip.frames)

    def test_a_third_of_a_turn_makes_red_green(self):
        red = Clip.at_rate(np.full((1, 16, 16, 3), (200, 0, 0), np.uint8), 10)
        assert attack_clip(red, f"hue:{1 / 3}").frames[0, 0, 0].tolist() == [0, 200, 0]

    def test_posterised_values_are_few(self, clip):
        assert len(np.unique(attack_clip(clip, "posterise:2").frames)) <= 4

    def test_the_share_of_salt_and_pepper(self, clip):
        hit = (attack_clip(clip, "salt-pepper:.3").frames != clip.frames).any(axis=-1)
        assert hit.mean() == pytest.approx(0.3, abs=0.02)

    @pytest.mark.parametrize("chain", ["denoise-nlmeans:20", "denoise-temporal:40", "median:3", "average:5", "blur:1"])
    def test_what_removes_noise_comes_nearer_to_the_clean_clip(self, chain):
        still = attack_clip(Clip.at_rate(np.repeat(moving_clip(1).frames, 8, axis=0), 10), "blur:2")
        noisy = attack_clip(still, "noise:.06")
        assert unlike(attack_clip(noisy, chain).frames[4:], still.frames[4:]) < 0.8 * unlike(
            noisy.frames[4:], still.frames[4:]
        )

    def test_sharpening_undoes_some_blur(self, clip):
        blurred = attack_clip(clip, "blur:1")
        assert attack_clip(blurred, "sharpen:1").luma.std() > blurred.luma.std()


class TestEdits:
    def test_titles_change_the_lower_edge_alone(self, clip):
        titled = attack_clip(clip, "titles:.25").frames
        assert np.array_equal(titled[:, :48], clip.frames[:, :48])
        assert titled[:, 48:].max() > 200
        assert titled[:, 48:].mean() < clip.frames[:, 48:].mean()

    def test_a_logo_stays_in_its_corner(self, clip):
        touched = (attack_clip(clip, "logo:.04").frames != clip.frames).any(axis=(0, 3))
        rows, columns = np.nonzero(touched)
        assert rows.max() < 32
        assert columns.min() > 48
        assert 0.02 < touched.mean() < 0.05

    def test_a_region_has_its_share_of_the_area(self, clip):
        touched = (attack_clip(clip, "region:.25").frames != clip.frames).any(axis=(0, 3))
        assert touched.mean() == pytest.approx(0.25, abs=0.01)

    def test_a_soundtrack_is_added_and_pictures_stay(self, file, tmp_path):
        attack_file(file, tmp_path / "loud.mp4", "soundtrack")
        assert np.array_equal(Video(tmp_path / "loud.mp4").read().frames, Video(file).read().frames)
        with av.open(str(tmp_path / "loud.mp4")) as container:
            heard = [frame.to_ndarray() for frame in container.decode(audio=0)]
            assert float(container.streams.audio[0].duration * container.streams.audio[0].time_base) > 1.9
        assert np.abs(np.concatenate(heard, axis=1)).max() > 0.1

    def test_a_soundtrack_comes_last_wherever_it_is_written(self, file, tmp_path):
        attack_file(file, tmp_path / "out.mp4", "soundtrack+flip")
        with av.open(str(tmp_path / "out.mp4")) as container:
            assert container.streams.audio
        with pytest.raises(CannotWrite, match="cannot hold"):
            attack_file(file, tmp_path / "out.webm", "soundtrack")


class TestRegeneration:
    def test_the_autoencoder_keeps_the_picture_about(self):
        smooth = attack_clip(moving_clip(6, 64, 96), "blur:3")
        assert 0 < unlike(attack_clip(smooth, "autoencoder").frames, smooth.frames) < 12

    def test_a_learned_codec_loses_more_with_coarser_steps(self):
        smooth = attack_clip(moving_clip(6, 64, 96), "blur:3")
        fine, coarse = (unlike(attack_clip(smooth, f"neural-codec:{step}").frames, smooth.frames) for step in (0.01, 2))
        assert 0 < fine < coarse

    def test_super_resolution_keeps_the_mean_of_every_block(self, clip):
        small = clip.select(slice(0, 2))
        made = attack_clip(small, "super-resolution").frames.reshape(2, 16, 4, 24, 4, 3).mean(axis=(2, 4))
        assert made == pytest.approx(small.frames.reshape(2, 16, 4, 24, 4, 3).mean(axis=(2, 4)), abs=1)

    @pytest.mark.slow
    def test_more_noise_leaves_less_of_the_picture(self):
        smooth = attack_clip(moving_clip(6, 64, 64), "blur:3")
        errors = [unlike(attack_clip(smooth, f"diffusion:{share}").frames, smooth.frames) for share in (0.05, 0.9)]
        assert errors[0] < errors[1]

    @pytest.mark.slow
    def test_one_picture_is_all_that_image_to_video_keeps(self):
        clip = attack_clip(moving_clip(6, 64, 64), "blur:3")
        same_first = Clip(np.concatenate([clip.frames[:1], 255 - clip.frames[1:]]), clip.times)
        made, again = (attack_clip(one, "image-to-video:0.9", seed=3).frames for one in (clip, same_first))
        assert np.array_equal(made, again)
        assert unlike(made[:1], clip.frames[:1]) < unlike(made[:1], 255 - clip.frames[:1])


class TestFamilies:
    def test_every_attack_has_one(self):
        assert sum(len(family) for family in FAMILIES.values()) == len(ATTACKS)

    def test_names_are_lower_case_and_hyphenated(self):
        assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in ATTACKS)

    def test_the_documentation_is_complete(self):
        written = (Path(__file__).parents[2] / "docs/attacks.md").read_text(encoding="utf-8")
        assert written == documentation(), "run `python -m benchmarks.attacks.reference docs/attacks.md`"

    def test_torch_is_not_imported_before_it_is_needed(self):
        code = "import sys, benchmarks.attacks as a; a.parse_chain('autoencoder'); sys.exit('torch' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestFiles:
    def test_an_existing_output_is_kept_unless_forced(self, file, tmp_path):
        target = tmp_path / "out.mp4"
        target.write_bytes(b"precious")
        with pytest.raises(OutputExists):
            attack_file(file, target, "flip")
        assert target.read_bytes() == b"precious"
        attack_file(file, target, "flip", force=True)
        assert len(Video(target).read()) == 20

    def test_the_input_is_never_overwritten(self, file):
        with pytest.raises(OutputExists):
            attack_file(file, file, "flip", force=True)

    def test_what_is_no_video_leaves_nothing_behind(self, tmp_path):
        source = tmp_path / "notes.mp4"
        source.write_text("not a video")
        with pytest.raises(CannotRead):
            attack_file(source, tmp_path / "out.mp4", "x264:28")
        assert [path.name for path in tmp_path.iterdir()] == ["notes.mp4"]

    def test_a_failing_chain_leaves_nothing_behind(self, file, tmp_path):
        with pytest.raises(UsageError):
            attack_file(file, tmp_path / "out.mp4", "trim:60")
        assert not list(tmp_path.iterdir())

    def test_pictures_too_small_for_an_encoder_are_refused(self, file, tmp_path):
        with pytest.raises(CannotWrite, match="48x32"):
            attack_file(file, tmp_path / "out.mp4", "crop:.5+x265:30")
        assert not list(tmp_path.iterdir())

    def test_encoders_in_the_middle_and_progress(self, file, tmp_path):
        shares = []
        attack_file(file, tmp_path / "out.mp4", "x264:30+crop:.8+x265:30", progress=shares.append)
        assert Video(tmp_path / "out.mp4").info.codec == "hevc"
        assert shares == sorted(shares)
        assert shares[-1] == 1
