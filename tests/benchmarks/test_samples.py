"""Samples: the worst cells, on clips that may be shown, small enough for a page, the same every time."""

import io

import av
import cv2
import numpy as np
import pytest

from benchmarks.samples import (
    CLOSE,
    MOST_BYTES,
    WIDEST,
    closest_looks,
    encoded_small,
    most_visible,
    sample_of,
    worst_rows,
    worst_samples,
)
from provenance.errors import UsageError
from provenance.quality import psnr
from provenance.video import Clip


def row(mark, chain, clip, exact, **more):
    return {"task": f"{mark}/{clip}", "of": 1, "arm": f"marked/{chain}", "kind": "marked", "chain": chain,
            "watermark": mark, "clip": clip, "source": clip, "sha256": None, "exact": exact, "found": exact,
            "id": "00ff", "read_id": "00ff" if exact else None, **more}  # fmt: skip


def moving(height=90, width=700, frames=80):
    x, y, t = np.meshgrid(np.arange(width), np.arange(height), np.arange(frames))
    wave = (128 + 60 * np.sin((x + 3 * t) / 19) * np.cos(y / 11)).astype(np.uint8).transpose(2, 0, 1)
    return Clip.at_rate(np.repeat(wave[..., None], 3, axis=-1), 24)


def remake(_):
    clip = moving(frames=6)
    marked = Clip(np.clip(clip.frames.astype(int) + 2, 0, 255).astype(np.uint8), clip.times)
    return clip, marked, clip


def test_the_worst_cell_comes_first_and_watermarks_take_turns():
    rows = [row("a", "crop:0.5", "1", False), row("a", "crop:0.5", "2", True), row("a", "x264:45", "1", False),
            row("b", "flip", "1", True), row("b", "flip", "2", False), row("b", "none", "1", True)]  # fmt: skip
    picked = [(one["watermark"], one["chain"], one["clip"]) for one in worst_rows(rows)]
    assert picked == [("a", "x264:45", "1"), ("b", "flip", "2"), ("a", "crop:0.5", "1")]


def test_of_equally_bad_cells_the_attack_that_left_more_comes_first():
    rows = [row("a", "blur:3", "1", False, attacked={"psnr_db": 20.0, "ssim": 0.4}),
            row("a", "noise:0.1", "1", False, attacked={"psnr_db": 35.0, "ssim": 0.9}),
            row("a", "flip", "1", False, attacked=None)]  # fmt: skip
    assert [one["chain"] for one in worst_rows(rows)] == ["noise:0.1", "blur:3", "flip"]


def test_clips_of_a_corpus_are_shown_only_when_the_caller_says_so():
    rows = [row("a", "flip", "1", False, sha256="ab" * 32)]
    assert worst_samples(rows, remake) == ()
    assert len(worst_samples(rows, remake, may_show=lambda _: True)) == 1


def test_failed_trials_and_those_without_a_loss_make_no_sample():
    failed = {"task": "a/1", "of": 1, "arm": "marked/flip", "error": "OSError: gone"}
    assert worst_samples([failed, row("a", "none", "1", True)], remake) == ()


@pytest.mark.parametrize("clip", [moving(), moving(height=700, width=90), moving(frames=1)])
def test_a_clip_becomes_a_short_small_h264_file_that_decodes(clip):
    data = encoded_small(clip)
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert stream.codec_context.name == "h264"
    assert max(stream.width, stream.height) <= WIDEST
    assert len(frames) == min(48, len(clip))
    small = cv2.resize(clip.frames[0], (stream.width, stream.height), interpolation=cv2.INTER_AREA)
    assert np.abs(frames[0].astype(int) - small).mean() < 6
    assert len(data) < MOST_BYTES / 4
    assert encoded_small(clip) == data


def test_the_picture_shows_what_marking_changed_around_grey():
    original, marked, _ = remake(None)
    sample = sample_of(row("a", "flip", "1", False, log10_p=-0.5), original, marked, original)
    picture = cv2.imdecode(np.frombuffer(sample.difference, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert abs(picture.mean() - 128 - 2 * 16) < 2
    assert sample.words == "1: nothing read, log10 p -0.5"


def test_two_different_clips_have_no_difference_to_show():
    original, marked, _ = remake(None)
    other = Clip(255 - marked.frames, marked.times)
    assert sample_of(row("a", "flip", "1", False), original, other, other).difference == b""


class TestClosestLook:
    """Where a watermark shows most: the clip that it costs most, unmarked and marked."""

    @staticmethod
    def smooth_beside_rough():
        rough = np.random.default_rng(0).integers(0, 256, (300, 300), np.uint8)
        frame = np.concatenate([rough, np.full((300, 300), 128, np.uint8)], axis=1)
        clip = Clip.at_rate(np.repeat(np.repeat(frame[None, ..., None], 3, axis=-1), 4, axis=0), 24)
        pattern = np.random.default_rng(1).choice([-2, 2], (300, 600, 1))
        return clip, Clip(np.clip(clip.frames + pattern, 0, 255).astype(np.uint8), clip.times)

    def test_the_square_lies_where_nothing_hides_the_change(self):
        top, left, side = most_visible(*self.smooth_beside_rough())
        assert side == CLOSE
        assert 300 <= left <= 600 - CLOSE
        assert 0 <= top <= 300 - CLOSE

    def test_what_is_smaller_than_the_square_is_taken_whole(self):
        original, marked, _ = remake(None)
        assert most_visible(original, marked)[2] == 90

    def test_of_each_watermark_the_clip_of_the_least_quality_plays_before_and_after(self):
        rows = [row("a", "none", "1", True, ssim=0.99, vmaf=95.0), row("a", "none", "2", True, ssim=0.99, vmaf=80.0),
                row("a", "flip", "3", False), row("b", "none", "1", True, ssim=0.98, vmaf=None)]  # fmt: skip
        original, marked = self.smooth_beside_rough()
        looks = closest_looks(rows, lambda _: (original, marked, marked))
        assert [(look.title[0], look.words[0]) for look in looks] == [("a", "2"), ("b", "1")]
        assert list(looks[0].films) == ["unmarked", "marked"]
        shown = [decoded(film) for film in looks[0].films.values()]
        assert shown[0].shape == (4, CLOSE, CLOSE, 3)
        assert 40 < psnr(*shown) < 45  # the change of two levels is still there, and nothing else

    def test_the_square_is_one_of_the_seconds_that_are_played(self):
        original, marked = self.smooth_beside_rough()
        still = Clip.at_rate(np.full((60, 300, 600, 3), 128, np.uint8), 12)
        moved = still.frames.copy()
        moved[:24, :, 300:] += marked.frames[0, :, 300:] - original.frames[0, :, 300:]
        moved[24:, :, :300] += 9
        looks = closest_looks(
            [row("a", "none", "1", True, ssim=0.9)], lambda _: (still, Clip(moved, still.times), still)
        )
        films = [decoded(film) for film in looks[0].films.values()]
        assert len(films[0]) == 24
        assert psnr(*films) < 45

    def test_a_clip_that_cannot_be_made_again_costs_its_look_alone(self):
        def remake_one(row):
            if row["watermark"] == "a":
                raise UsageError("its peer is gone", hint="install it")
            return remake(row)

        rows = [row(mark, "none", "1", True, ssim=0.9) for mark in "ab"]
        assert [look.title[0] for look in closest_looks(rows, remake_one)] == ["b"]

    def test_clips_of_a_corpus_are_not_shown(self):
        assert closest_looks([row("a", "none", "1", True, ssim=0.9, sha256="ab" * 32)], remake) == ()


def decoded(data):
    with av.open(io.BytesIO(data)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
