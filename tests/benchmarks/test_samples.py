"""Samples: the worst cells, on clips that may be shown, small enough for a page, the same every time."""

import io

import av
import cv2
import numpy as np
import pytest

from benchmarks.samples import MOST_BYTES, WIDEST, encoded_small, sample_of, worst_rows, worst_samples
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
