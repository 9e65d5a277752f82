"""Rewriting changes the luma and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from provenance.errors import CannotRead, CannotWrite, UsageError
from provenance.video import Clip, Video
from provenance.video.encoding import Encoding
from provenance.video.rewrite import foreseen, rewrite
from provenance.video.write import write_clip

MakeVideo = Callable[..., Path]


def brighter(luma: np.ndarray, seconds: float, bit_depth: int) -> np.ndarray:
    """Lift luma by four eight-bit steps."""
    return np.clip(luma.astype(np.int32) + (4 << (bit_depth - 8)), 0, (1 << bit_depth) - 1).astype(luma.dtype)


def packets(path: Path, kind: str = "audio") -> list[tuple[bytes, int | None, int | None]]:
    with av.open(str(path)) as container:
        streams = [stream for stream in container.streams if stream.type == kind]
        return [(bytes(one), one.pts, one.dts) for one in container.demux(streams) if one.size]


def stamps(path: Path) -> list[float | None]:
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0)]


def tags(path: Path) -> tuple[int, int, int, int]:
    with av.open(str(path)) as container:
        context: Any = container.streams.video[0].codec_context
        return context.color_primaries, context.color_trc, context.colorspace, context.color_range


def luma_in(path: Path) -> np.ndarray:
    return np.concatenate([window.luma for window in Video(path).windows()])


def kept(path: Path) -> dict[str, Any]:
    """What the container says, save its duration: in Matroska that of the longest track, padding included."""
    info = vars(Video(path).info)
    left_out = ("path", "duration_seconds", "frame_count")
    return {name: value for name, value in info.items() if name not in left_out}


UNEVEN = np.cumsum(np.random.default_rng(3).integers(200, 900, 24)).tolist()
SOURCES: dict[str, dict[str, Any]] = {
    "plain": {},
    "turned_90": {"rotation": 90},
    "turned_180": {"rotation": 180},
    "turned_270": {"rotation": 270},
    "variable_rate": {"ticks": UNEVEN},
    "ten_bits": {"pixel_format": "yuv420p10le"},
    "chroma_422_ten_bits_turned": {"pixel_format": "yuv422p10le", "rotation": 90},
    "wide_samples": {"aspect": Fraction(4, 3)},
    "hevc_ten_bits": {"codec": "libx265", "pixel_format": "yuv420p10le"},
    "odd_444": {"pixel_format": "yuv444p", "size": (191, 143)},
}


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_only_luma_changes(name: str, suffix: str, tmp_path: Path, make_video: MakeVideo) -> None:
    source = make_video(tmp_path / f"in{suffix}", **SOURCES[name])
    out = tmp_path / f"out{suffix}"
    report = rewrite(Video(source), out, brighter)
    assert report.dropped == ()
    assert report.frames == 24
    assert kept(out) == kept(source)
    assert stamps(out) == pytest.approx(stamps(source))
    assert packets(out) == packets(source)
    assert tags(out) == tags(source)
    assert Video(out).info.duration_seconds == pytest.approx(Video(source).info.duration_seconds, abs=0.05)
    gain = luma_in(out).astype(float) - luma_in(source)
    assert gain.mean() == pytest.approx(4 * 255 / 219, abs=0.35)


def test_luma_is_handed_over_upright_with_its_depth_and_seconds(tmp_path: Path, make_video: MakeVideo) -> None:
    source = make_video(tmp_path / "in.mp4", rotation=90, pixel_format="yuv420p10le")
    seen = []

    def look(luma: np.ndarray, seconds: float, bit_depth: int) -> np.ndarray:
        seen.append((luma.shape, luma.dtype, bit_depth, seconds, luma.astype(float).mean()))
        return luma

    rewrite(Video(source), tmp_path / "out.mp4", look)
    assert {one[:3] for one in seen} == {((192, 144), np.dtype("<u2"), 10)}
    assert [one[3] for one in seen] == pytest.approx(list(Video(source).read().times))
    shown = luma_in(source).mean((1, 2)) * 219 / 255 + 16
    assert np.array([one[4] for one in seen]) / 4 == pytest.approx(shown, abs=1)


def test_a_mark_at_the_top_left_stays_at_the_top_left_of_what_is_shown(tmp_path: Path, make_video: MakeVideo) -> None:
    source = make_video(tmp_path / "in.mp4", rotation=270)

    def corner(luma: np.ndarray, seconds: float, bit_depth: int) -> np.ndarray:
        marked = luma.copy()
        marked[:32, :32] = 235
        return marked

    rewrite(Video(source), tmp_path / "out.mp4", corner)
    luma = luma_in(tmp_path / "out.mp4")
    assert luma[:, 4:28, 4:28].min() > 240
    assert luma[:, -32:, -32:].min() < 200


def test_limited_range_stays_legal(tmp_path: Path, make_video: MakeVideo) -> None:
    source = make_video(tmp_path / "in.mkv", codec="ffv1", audio=False)
    rewrite(Video(source), tmp_path / "out.mkv", lambda luma, seconds, bit_depth: np.full_like(luma, 255))
    with av.open(str(tmp_path / "out.mkv")) as container:
        for frame in container.decode(video=0):
            assert np.frombuffer(frame.planes[0], np.uint8).max() <= 235


def test_without_change_and_encoding_the_streams_are_copied(tmp_path: Path, make_video: MakeVideo) -> None:
    for suffix in (".mp4", ".mkv", ".mov"):
        source, out = make_video(tmp_path / f"in{suffix}", rotation=90), tmp_path / f"out{suffix}"
        report = rewrite(Video(source), out, None)
        assert report.encoder is None
        assert kept(out) == kept(source)
        assert [one[0] for one in packets(out, "video")] == [one[0] for one in packets(source, "video")]
        assert packets(out) == packets(source)


def test_matroska_goes_into_mp4_though_it_states_no_decoding_times(tmp_path: Path, make_video: MakeVideo) -> None:
    source = make_video(tmp_path / "in.mkv")
    rewrite(Video(source), tmp_path / "out.mp4", None)
    assert (Video(tmp_path / "out.mp4").read().frames == Video(source).read().frames).all()


def test_an_encoding_may_be_asked_for(tmp_path: Path, make_video: MakeVideo) -> None:
    source = make_video(tmp_path / "in.mp4")
    report = rewrite(Video(source), tmp_path / "out.webm", brighter, encoding=Encoding("vp9", 30))
    info = Video(tmp_path / "out.webm").info
    assert (report.encoder, info.codec) == ("libvpx-vp9", "vp9")
    assert report.dropped == ("audio track 1 (aac) left out: this container cannot hold it; .mkv keeps it",)


def test_a_quality_may_be_asked_for_without_a_codec(tmp_path: Path, make_video: MakeVideo) -> None:
    source = make_video(tmp_path / "in.mp4")
    sizes = []
    for crf in (10, 40):
        report = rewrite(Video(source), tmp_path / f"{crf}.mp4", brighter, encoding=Encoding(None, crf))
        assert report.encoder == "libx264"
        sizes.append((tmp_path / f"{crf}.mp4").stat().st_size)
    assert sizes[0] > 2 * sizes[1]


def test_a_codec_without_such_a_scale_says_so(tmp_path: Path, make_video: MakeVideo) -> None:
    source = make_video(tmp_path / "in.mov", codec="png", pixel_format="rgb24", audio=False)
    with pytest.raises(UsageError, match="png has no such scale"):
        rewrite(Video(source), tmp_path / "out.mov", brighter, encoding=Encoding(None, 20))
    with pytest.raises(UsageError, match="prores_ks has no such scale"):
        Encoding("prores", 20)


class TestForeseen:
    """What the output will not keep is known before anything is written."""

    def test_nothing_where_all_is_kept(self, tmp_path: Path, make_video: MakeVideo) -> None:
        video = Video(make_video(tmp_path / "in.mp4"))
        for changes in (True, False):
            assert foreseen(video, tmp_path / "out.mp4", changes=changes) == ()

    def test_tracks_codec_and_aspect(self, tmp_path: Path, make_video: MakeVideo) -> None:
        video = Video(make_video(tmp_path / "in.mp4"))
        notes = foreseen(video, tmp_path / "out.webm", changes=True)
        assert notes == (
            "pictures encoded as libvpx-vp9: h264 cannot be kept in .webm; .mp4 keeps it",
            "audio track 1 (aac) left out: this container cannot hold it; .mkv keeps it",
        )
        assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]
        assert rewrite(video, tmp_path / "out.webm", brighter).dropped == notes

    def test_what_would_be_refused_is_refused(self, tmp_path: Path, make_video: MakeVideo) -> None:
        video = Video(make_video(tmp_path / "in.mp4", audio=False))
        with pytest.raises(CannotWrite, match="cannot hold h264"):
            foreseen(video, tmp_path / "out.webm", changes=False)


def test_the_share_done_grows_to_the_end(tmp_path: Path, make_video: MakeVideo) -> None:
    shares: list[float] = []
    rewrite(Video(make_video(tmp_path / "in.mp4")), tmp_path / "out.mp4", brighter, progress=shares.append)
    assert shares == sorted(shares)
    assert 0.9 < shares[-1] <= 1


def test_tags_of_the_container_are_kept_or_dropped(tmp_path: Path, make_video: MakeVideo) -> None:
    source = make_video(tmp_path / "in.mkv", tags={"title": "A walk", "comment": "by me"})
    for wanted in (True, False):
        out = tmp_path / f"out-{wanted}.mkv"
        rewrite(Video(source), out, None, metadata=wanted)
        with av.open(str(out)) as container:
            assert ("title" in {name.lower() for name in container.metadata}) is wanted


def test_where_it_was_filmed_stays_out_unless_asked_for(tmp_path: Path, make_video: MakeVideo) -> None:
    source = make_video(tmp_path / "in.mov", tags={"location": "+48.8577+002.295/", "title": "A walk"})
    for wanted in (True, False):
        out = tmp_path / f"out-{wanted}.mov"
        report = rewrite(Video(source), out, brighter, location=wanted)
        assert (b"+48.8577" in out.read_bytes()) is wanted
        assert b"A walk" in out.read_bytes()
        assert [("--keep-location" in note) for note in report.dropped] == ([] if wanted else [True])


def container_tags(path: Path) -> dict[str, str]:
    with av.open(str(path)) as container:
        return dict(container.metadata)


@pytest.mark.parametrize("change", [brighter, None])
def test_tags_that_telephones_write_stay(change: Any, tmp_path: Path, make_video: MakeVideo) -> None:
    tags = {"com.apple.quicktime.make": "Somebody", "com.apple.quicktime.model": "Walker 3", "title": "A walk"}
    source = tmp_path / "in.mov"
    with_tags = {"container_options": {"movflags": "use_metadata_tags"}}
    with av.open(str(make_video(tmp_path / "bare.mov"))) as bare, av.open(str(source), "w", **with_tags) as written:
        stream = written.add_stream_from_template(bare.streams.video[0])
        written.metadata.update(tags)
        for packet in bare.demux(video=0):
            if packet.size:
                packet.stream = stream
                written.mux(packet)
    report = rewrite(Video(source), tmp_path / "out.mov", change)
    assert tags.items() <= container_tags(tmp_path / "out.mov").items()
    assert report.dropped == ()


def test_tags_that_a_container_does_not_hold_are_named(tmp_path: Path, make_video: MakeVideo) -> None:
    source = make_video(tmp_path / "in.mkv", tags={"title": "A walk", "mood": "calm"})
    video = Video(source)
    notes = foreseen(video, tmp_path / "out.mp4", changes=True)
    assert notes == ("tags left out: MOOD; .mkv keeps them",)
    assert rewrite(video, tmp_path / "out.mp4", brighter).dropped == notes
    assert foreseen(video, tmp_path / "out.mkv", changes=True) == ()
    assert any("MOOD, title" in note for note in foreseen(video, tmp_path / "out.gif", changes=True))


def test_a_gif_keeps_its_palette_while_it_fits(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    ground = Image.fromarray(rng.integers(60, 200, (12, 16, 3), dtype=np.uint8)).resize((160, 120), 3)
    pictures = [ground.transform(ground.size, 0, (1, 0, turn, 0, 1, 0)) for turn in range(12)]
    pictures[0].save(tmp_path / "in.gif", save_all=True, append_images=pictures[1:], duration=80)
    rewrite(Video(tmp_path / "in.gif"), tmp_path / "out.gif", None, encoding=Encoding(None))
    assert (tmp_path / "out.gif").stat().st_size < 1.15 * (tmp_path / "in.gif").stat().st_size


@pytest.mark.parametrize(("suffix", "encoder"), [(".gif", "gif"), (".mp4", "libx264"), (".webm", "libvpx-vp9")])
def test_a_gif_goes_into_what_the_container_holds(suffix: str, encoder: str, waves: Clip, tmp_path: Path) -> None:
    pictures = [Image.fromarray(frame) for frame in waves.frames[:8]]
    pictures[0].save(tmp_path / "in.gif", save_all=True, append_images=pictures[1:], duration=80)
    report = rewrite(Video(tmp_path / "in.gif"), tmp_path / f"out{suffix}", brighter)
    assert report.encoder == encoder
    assert any("converted" in note for note in report.dropped)
    before, after = Video(tmp_path / "in.gif").read(), Video(tmp_path / f"out{suffix}").read()
    assert (after.luma.astype(float) - before.luma).mean() == pytest.approx(4, abs=1)
    assert after.times == pytest.approx(before.times)


def test_odd_sides_keep_their_size_at_the_price_of_more_chroma(tmp_path: Path, make_video: MakeVideo) -> None:
    source = make_video(tmp_path / "in.webm", codec="libvpx-vp9", size=(191, 143), audio=False)
    report = rewrite(Video(source), tmp_path / "out.mp4", brighter, encoding=Encoding("libx264"))
    assert report.dropped == ("pictures converted from yuv420p to yuv444p",)
    assert (luma_in(tmp_path / "out.mp4").astype(float) - luma_in(source)).mean() == pytest.approx(4.66, abs=0.4)


def test_samples_that_are_packed_together_are_taken_apart(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "in.mov"), "w") as container:
        stream: Any = container.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "uyvy422"
        for _ in range(3):
            grey = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 120, np.uint8), format="rgb24")
            container.mux(stream.encode(grey.reformat(format="uyvy422")))
        container.mux(stream.encode(None))
    rewrite(Video(tmp_path / "in.mov"), tmp_path / "out.mov", brighter)
    gain = luma_in(tmp_path / "out.mov").mean() - luma_in(tmp_path / "in.mov").mean()
    assert gain == pytest.approx(4 * 255 / 219, abs=1)


def photograph(path: Path) -> Path:
    """A picture taken with the camera turned, that says where: a bright square lies at the top right as shown."""
    picture = np.full((96, 128, 3), 60, np.uint8)
    picture[:32, :32] = 230
    exif = Image.Exif()
    exif[0x0112], exif[0x8825], exif[0x010F] = 6, {1: "N", 2: (48.0, 51.0, 0.0)}, "A camera"
    Image.fromarray(picture).save(path, exif=exif, quality=95)
    return path


def test_a_turned_photograph_is_written_upright_as_a_video(tmp_path: Path) -> None:
    source, out = photograph(tmp_path / "in.jpg"), tmp_path / "out.avi"
    report = rewrite(Video(source), out, brighter)
    assert "upright" in report.dropped[-1]
    before, after = luma_in(source), luma_in(out)
    assert before.shape == after.shape == (1, 128, 96)
    assert after[0, :28, -28:].mean() == pytest.approx(234, abs=2)
    assert after[0, :28, :28].mean() == pytest.approx(64, abs=2)


def test_a_copied_photograph_keeps_its_exif_data_but_the_place(tmp_path: Path) -> None:
    source = photograph(tmp_path / "in.jpg")
    for wanted in (True, False):
        rewrite(Video(source), tmp_path / f"{wanted}.jpg", None, location=wanted)
        exif = Image.open(tmp_path / f"{wanted}.jpg").getexif()
        assert (0x8825 in exif) is wanted
        assert (exif[0x0112], exif[0x010F]) == (6, "A camera")
        assert (luma_in(tmp_path / f"{wanted}.jpg") == luma_in(source)).all()


def test_png_keeps_its_colours_while_luma_changes(tmp_path: Path, make_video: MakeVideo) -> None:
    source = make_video(tmp_path / "in.mov", codec="png", pixel_format="rgb24", audio=False)
    rewrite(Video(source), tmp_path / "out.mov", brighter)
    before, after = Video(source).read().frames.astype(int), Video(tmp_path / "out.mov").read().frames.astype(int)
    inside = (before > 5).all(-1) & (before < 250).all(-1)
    assert (after - before)[inside].min() == (after - before)[inside].max() == 4


def test_a_broken_off_file_is_rewritten_up_to_the_break(tmp_path: Path, make_video: MakeVideo) -> None:
    whole = make_video(tmp_path / "in.mkv")
    part = tmp_path / "part.mkv"
    part.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    report = rewrite(Video(part), tmp_path / "out.mkv", brighter)
    assert 0 < report.frames < 24
    assert len(Video(tmp_path / "out.mkv").read()) == report.frames


def test_a_text_file_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "in.mp4").write_text("once upon a time " * 100)
    with pytest.raises(CannotRead, match="damaged, or no video"):
        rewrite(Video(tmp_path / "in.mp4"), tmp_path / "out.mp4", brighter)
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("profile", ["baseline", "main", "high"])
def test_the_profile_stays(profile: str, tmp_path: Path, waves: Clip) -> None:
    write_clip(waves, tmp_path / "in.mp4", options={"profile": profile})
    rewrite(Video(tmp_path / "in.mp4"), tmp_path / "out.mp4", brighter)
    before, after = (Video(tmp_path / name).info.profile for name in ("in.mp4", "out.mp4"))
    assert before == after
    assert profile in str(before).lower()


def test_a_transparent_gif_stays_transparent(tmp_path: Path) -> None:
    pictures = []
    for turn in range(4):
        samples = np.full((96, 128, 4), (200, 90, 40, 255), np.uint8)
        samples[:, : 30 + turn, 3] = 0
        pictures.append(Image.fromarray(samples))
    pictures[0].save(tmp_path / "in.gif", save_all=True, append_images=pictures[1:], duration=80, disposal=2)
    rewrite(Video(tmp_path / "in.gif"), tmp_path / "out.gif", brighter)
    with av.open(str(tmp_path / "out.gif")) as container:
        for turn, frame in enumerate(container.decode(video=0)):
            clear = frame.to_ndarray(format="rgba")[..., 3] == 0
            assert clear[:, : 30 + turn].all()
            assert not clear[:, 40:].any()


def test_a_lossless_copy_of_an_older_profile_is_written(tmp_path: Path, waves: Clip) -> None:
    write_clip(waves, tmp_path / "in.mp4", options={"profile": "main"})
    assert rewrite(Video(tmp_path / "in.mp4"), tmp_path / "out.mp4", brighter, encoding=Encoding(None, 0)).frames


def test_a_clip_that_an_edit_list_ends_early_can_be_copied(tmp_path: Path, waves: Clip) -> None:
    write_clip(waves, tmp_path / "whole.mp4", options={"bf": "2", "g": "250"})
    data = bytearray((tmp_path / "whole.mp4").read_bytes())
    place = data.find(b"elst") + 4 + 8  # after version, flags and the number of entries: how long the edit is
    length = int.from_bytes(data[place : place + 4], "big") * 3 // 4
    data[place : place + 4] = length.to_bytes(4, "big")
    (tmp_path / "in.mp4").write_bytes(data)
    shown = len(Video(tmp_path / "in.mp4").read())
    assert shown < len(waves)
    rewrite(Video(tmp_path / "in.mp4"), tmp_path / "out.mp4", None)
    before, after = (Video(tmp_path / name).read() for name in ("in.mp4", "out.mp4"))
    assert shown <= len(after) <= shown + 3
    assert (after.frames[:shown] == before.frames).all()


def test_sound_of_appended_recordings_stays_with_the_pictures(tmp_path: Path, make_video: MakeVideo) -> None:
    first = make_video(tmp_path / "first.ts").read_bytes()
    (tmp_path / "in.ts").write_bytes(first + first)
    alone = len(packets(tmp_path / "first.ts"))
    for change in (brighter, None):
        report = rewrite(Video(tmp_path / "in.ts"), tmp_path / "out.mkv", change)
        sound = packets(tmp_path / "out.mkv")
        assert len(sound) >= 2 * alone - 2
        assert not any("edit list" in note for note in report.dropped)
        times = [pts for _, pts, _ in sound if pts is not None]
        assert times == sorted(times)
