"""Re-encoding, scaling, cropping, stripping."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from provenance.errors import OutputExists, UsageError
from provenance.quality import psnr
from provenance.video import Clip, Video
from provenance.video.transform import reencode, resized, roundtrip, strip

MakeVideo = Callable[..., Path]


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_crop_is_named_in_the_picture_as_shown(rotation: int, tmp_path: Path, make_video: MakeVideo) -> None:
    source = make_video(tmp_path / "in.mp4", rotation=rotation)
    reencode(source, tmp_path / "out.mp4", crf=10, preset="fast", crop=(20, 30, 80, 60))
    wanted = Video(source).read().frames[:, 30:90, 20:100]
    assert psnr(wanted, Video(tmp_path / "out.mp4").read().frames) > 40


@pytest.mark.parametrize("rotation", [0, 90])
def test_scaling_gives_the_size_as_shown(rotation: int, tmp_path: Path, make_video: MakeVideo) -> None:
    source = make_video(tmp_path / "in.mp4", rotation=rotation)
    reencode(source, tmp_path / "half.mp4", scale=0.5, preset="fast")
    reencode(source, tmp_path / "given.mp4", scale=(160, 90), preset="fast")
    small = Video(tmp_path / "half.mp4").read()
    assert (small.width, small.height) == ((72, 96) if rotation else (96, 72))
    assert psnr(resized(Video(source).read(), small.width, small.height).luma, small.luma) > 35
    assert (Video(tmp_path / "given.mp4").info.width, Video(tmp_path / "given.mp4").info.height) == (160, 90)


def test_an_odd_source_scaled_to_even_sides_is_encoded_as_usual(tmp_path: Path, make_video: MakeVideo) -> None:
    source = make_video(tmp_path / "in.webm", codec="libvpx-vp9", size=(191, 143), audio=False)
    reencode(source, tmp_path / "out.mp4", scale=0.5, preset="fast")
    info = Video(tmp_path / "out.mp4").info
    assert (info.width, info.height, info.pixel_format) == (96, 72, "yuv420p")


def test_a_crop_outside_the_picture_is_refused(tmp_path: Path, make_video: MakeVideo) -> None:
    with pytest.raises(UsageError, match="inside 192x144"):
        reencode(make_video(tmp_path / "in.mp4"), tmp_path / "out.mp4", crop=(100, 0, 100, 50))


def test_reencoding_keeps_sound_and_times(tmp_path: Path, make_video: MakeVideo) -> None:
    source = make_video(tmp_path / "in.mp4", ticks=np.cumsum(np.arange(24) * 50 + 100).tolist())
    reencode(source, tmp_path / "out.mp4", "x265", 30, "ultrafast")
    one, other = Video(source).read(), Video(tmp_path / "out.mp4").read()
    assert np.allclose(one.times, other.times)
    assert Video(tmp_path / "out.mp4").info.audio_streams == 1


def test_stripping_keeps_pictures_and_drops_tags(tmp_path: Path, make_video: MakeVideo) -> None:
    source = make_video(tmp_path / "in.mp4", tags={"comment": "made at home"})
    strip(source, tmp_path / "out.mp4")
    assert (Video(source).read().frames == Video(tmp_path / "out.mp4").read().frames).all()
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert "comment" not in container.metadata


def test_the_input_is_never_overwritten(tmp_path: Path, make_video: MakeVideo) -> None:
    source = make_video(tmp_path / "in.mp4")
    before = source.read_bytes()
    with pytest.raises(OutputExists, match="overwrite the input"):
        strip(source, tmp_path / "." / "in.mp4", force=True)
    assert source.read_bytes() == before


@pytest.mark.parametrize("codec", ["libx264", "libx265", "vp9", "av1", "vp8"])
def test_a_round_trip_in_memory_keeps_size_and_times(codec: str, waves: Clip) -> None:
    odd = Clip(waves.frames[:12, :143, :191], waves.times[:12])
    before = odd.frames.copy()
    back = roundtrip(odd, codec, 30, "veryfast")
    assert back.frames.shape == odd.frames.shape
    assert (back.times == odd.times).all()
    assert 28 < psnr(odd.luma, back.luma) < 60
    assert (odd.frames == before).all()


def test_worse_quality_is_worse(waves: Clip) -> None:
    quality = [psnr(waves.luma, roundtrip(waves, "libx264", crf, "veryfast").luma) for crf in (18, 28, 40)]
    assert quality == sorted(quality, reverse=True)
