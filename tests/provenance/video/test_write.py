"""Clips written to files come back as they were."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from provenance.errors import CannotWrite, OutputExists, UnknownName, UsageError
from provenance.quality import psnr
from provenance.video import Clip, Video
from provenance.video.encoding import Encoding
from provenance.video.write import write_clip, write_still


@pytest.mark.parametrize(
    ("codec", "suffix", "pixel_format", "floor_db"),
    [
        ("libx264", ".mp4", "yuv420p", 42),
        ("libx264", ".mov", "yuv420p10le", 42),
        ("x265", ".mp4", "yuv420p", 42),
        ("av1", ".mp4", "yuv420p", 42),
        ("vp9", ".webm", "yuv420p", 42),
        ("vp8", ".webm", "yuv420p", 38),
        ("mpeg4", ".avi", "yuv420p", 38),
        ("ffv1", ".mkv", "yuv444p", 44),
        ("mjpeg", ".avi", "yuvj420p", 38),
        ("png", ".mov", "rgb24", 90),
    ],
)
def test_every_codec_gives_luma_and_times_back(
    waves: Clip, tmp_path: Path, codec: str, suffix: str, pixel_format: str, floor_db: float
) -> None:
    path = tmp_path / f"clip{suffix}"
    write_clip(waves, path, codec=codec, crf=None, preset="fast", pixel_format=pixel_format)
    back = Video(path).read()
    assert len(back) == len(waves)
    assert np.abs(back.times - waves.times).max() < 0.001
    assert psnr(waves.luma, back.luma) > floor_db


def test_colour_is_tagged_and_survives(waves: Clip, tmp_path: Path) -> None:
    write_clip(waves, tmp_path / "clip.mp4", crf=8, pixel_format="yuv444p")
    back = Video(tmp_path / "clip.mp4").read()
    assert abs(back.frames.mean((0, 1, 2)) - waves.frames.mean((0, 1, 2))).max() < 0.7


def test_uneven_times_are_kept(waves: Clip, tmp_path: Path) -> None:
    times = np.cumsum(np.random.default_rng(2).uniform(0.02, 0.09, len(waves)))
    write_clip(Clip(waves.frames, times), tmp_path / "clip.mp4", preset="fast")
    assert np.abs(Video(tmp_path / "clip.mp4").read().times - (times - times[0])).max() < 2e-5


def test_sound_is_copied_from_another_file(waves: Clip, tmp_path: Path, make_video: Callable[..., Path]) -> None:
    write_clip(waves, tmp_path / "out.mp4", preset="fast", audio_from=make_video(tmp_path / "in.mp4"))
    assert Video(tmp_path / "out.mp4").info.audio_streams == 1


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".avif"])
def test_a_still_is_a_video_of_one_frame(waves: Clip, tmp_path: Path, suffix: str) -> None:
    write_still(waves.frames[0], tmp_path / f"still{suffix}")
    video = Video(tmp_path / f"still{suffix}")
    assert video.info.is_still
    assert psnr(video.read().luma[0], waves.luma[0]) > 38


def test_an_existing_output_is_kept_unless_forced(waves: Clip, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_text("mine")
    with pytest.raises(OutputExists):
        write_clip(waves, path)
    assert path.read_text() == "mine"
    write_clip(waves, path, force=True, preset="ultrafast")
    assert Video(path).info.codec == "h264"


@pytest.mark.parametrize(
    ("name", "codec", "reason"),
    [
        ("clip.webm", "libx264", "cannot hold"),
        ("clip.xyz", "libx264", "no container"),
        ("no/clip.mp4", "libx264", "cannot write there"),
    ],
)
def test_what_cannot_be_written_says_why_and_leaves_nothing(
    waves: Clip, tmp_path: Path, name: str, codec: str, reason: str
) -> None:
    with pytest.raises(CannotWrite, match=reason) as caught:
        write_clip(waves, tmp_path / name, codec=codec)
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_odd_sides_are_refused_where_the_encoder_needs_even_ones(waves: Clip, tmp_path: Path) -> None:
    odd = Clip(waves.frames[:, :143, :191], waves.times)
    with pytest.raises(CannotWrite, match="191x143"):
        write_clip(odd, tmp_path / "odd.mp4")
    write_clip(odd, tmp_path / "odd.webm", codec="vp9")
    assert Video(tmp_path / "odd.webm").read().frames.shape == odd.frames.shape


def test_encodings_refuse_what_they_do_not_know() -> None:
    with pytest.raises(UnknownName, match="libx266"):
        Encoding("libx266")
    with pytest.raises(UnknownName, match="quick"):
        Encoding(preset="quick")
    with pytest.raises(UsageError):
        Encoding(crf=70)
