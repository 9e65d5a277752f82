"""Every attack keeps the same contract; chains say what is wrong with them in one line."""

import av
import numpy as np
import pytest

from benchmarks.attacks import ATTACKS, Step, attack_clip, attack_file, parse_chain
from benchmarks.attacks.chain import Chain
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


def step(name):
    parameter = ATTACKS[name].parameter
    return Chain((Step(name, parameter.default if parameter else None),))


@pytest.mark.parametrize("name", ATTACKS)
class TestEveryAttack:
    def test_leaves_its_input_alone(self, name, clip):
        before = clip.frames.copy()
        attack_clip(clip, step(name), seed=1)
        assert np.array_equal(clip.frames, before)

    def test_gives_the_same_clip_for_the_same_seed(self, name, clip):
        one, two = (attack_clip(clip, step(name), seed=5) for _ in range(2))
        assert np.array_equal(one.frames, two.frames)
        assert np.array_equal(one.times, two.times)

    def test_does_something_unless_it_touches_metadata_only(self, name, clip):
        attacked = attack_clip(clip, step(name), seed=1)
        same = attacked.frames.shape == clip.frames.shape and np.array_equal(attacked.frames, clip.frames)
        assert same == (name == "strip")

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


@pytest.mark.parametrize("name", [name for name, attack in ATTACKS.items() if attack.frames])
def test_frame_attacks_do_not_depend_on_where_the_stream_is_cut(name, clip):
    attack, value = ATTACKS[name], step(name).steps[0].value or 0.0
    whole, parts = (
        list(attack.frames(clips, value, np.random.default_rng(2)))
        for clips in ([clip], [clip.select(slice(0, 7)), clip.select(slice(7, 8)), clip.select(slice(8, None))])
    )
    assert np.array_equal(np.concatenate([c.frames for c in whole]), np.concatenate([c.frames for c in parts]))
    assert np.allclose(np.concatenate([c.times for c in whole]), np.concatenate([c.times for c in parts]))


class TestChains:
    @pytest.mark.parametrize("text", ["strip", "crop:0.71+brightness:0.5+x264:40", "strip+resize:0.5", "none"])
    def test_are_spelled_as_they_are_read(self, text):
        assert str(parse_chain(text)) == text

    def test_take_defaults_and_short_numbers(self):
        assert str(parse_chain("crop:.9 + x264")) == "crop:0.9+x264:23"

    def test_name_the_nearest_attacks_when_one_is_unknown(self):
        with pytest.raises(UnknownName) as caught:
            parse_chain("strip+x254:28")
        assert "x264" in caught.value.hint
        assert caught.value.exit_status == 2

    @pytest.mark.parametrize("text", ["", "strip+", "crop:", "crop:wide", "crop:nan", "x264:23.5", "x264:-1", "flip:1"])
    def test_are_refused_in_one_line_when_malformed(self, text):
        with pytest.raises(UsageError) as caught:
            parse_chain(text)
        assert caught.value.hint

    def test_apply_from_left_to_right(self, clip):
        chain = "crop:.5+resize:.5"
        by_hand = attack_clip(attack_clip(clip, "crop:.5"), "resize:.5")
        assert np.array_equal(attack_clip(clip, chain).frames, by_hand.frames)

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
