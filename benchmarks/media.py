"""The media matrix: odd videos as people bring them, each made by FFmpeg's command line from one small source.

A case is a name, a suffix and what FFmpeg is told; a few are finished by a step of Python, where FFmpeg cannot be told.
Pictures are a drifting texture, 640 x 360, 24 frames a second, two seconds, unless the case is about that.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from provenance.errors import NeedsExtra

WIDTH, HEIGHT, RATE, FRAMES = 640, 360, 24, 48
Finish = Callable[[Path, Path], None]
"""(what FFmpeg wrote, where the finished file goes)"""

_X264 = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-pix_fmt", "yuv420p")
_X265 = ("-c:v", "libx265", "-preset", "ultrafast", "-crf", "18")
_AAC = ("-c:a", "aac", "-b:a", "96k")
_VP9 = ("-c:v", "libvpx-vp9", "-crf", "24", "-b:v", "0", "-deadline", "realtime", "-cpu-used", "7")
_OPUS = ("-c:a", "libopus", "-b:a", "64k")
_TONE = ("-f", "lavfi", "-i", "sine=frequency=330:sample_rate=48000:duration=2")
_BT709 = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv")
_HDR10 = (
    "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400:"
    "repeat-headers=1:hdr-opt=1:log-level=none"
)
_OWN_TIMES = ("-fps_mode", "passthrough", "-enc_time_base", "1/1000")
_TEN, _QUIET = ("-pix_fmt", "yuv420p10le"), ("-x265-params", "log-level=none")
_ENGLISH_AND_FRENCH = ("-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=fra")
_DNXHD = (
    "-c:v",
    "dnxhd",
    "-b:v",
    "120M",
    "-pix_fmt",
    "yuv422p",
    "-vf",
    "scale=1920:1080",
    "-r",
    "25",
    "-frames:v",
    "24",
)
_HALF = ("-vf", "format=rgba,colorchannelmixer=aa=0.5")
_BT2020 = ("-colorspace", "bt2020nc", "-color_primaries", "bt2020", "-color_range", "tv")


@dataclass(frozen=True)
class MediaCase:
    """One odd video.

    out: options of the output. more: further inputs after the pictures. source: options of the picture input.
    finish: turns what FFmpeg wrote into the case. watermark: whether there is room for one.
    """

    name: str
    suffix: str
    out: tuple[str, ...]
    more: tuple[str, ...] = _TONE
    source: tuple[str, ...] = ()
    finish: Finish | None = None
    watermark: bool = True

    def make(self, folder: Path) -> Path:
        """Write the case into a folder and return its path. Raises NeedsExtra without FFmpeg's command line."""
        path = folder / f"{self.name}{self.suffix}"
        raw = path if self.finish is None else folder / f"{self.name}.raw{self.suffix}"
        run_ffmpeg(*self.source, "-i", str(pictures(folder)), *self.more, *self.out, str(raw))
        if self.finish is not None:
            self.finish(raw, path)
            raw.unlink()
        return path


@cache
def ffmpeg() -> str:
    """Return where FFmpeg's command line is. Raises NeedsExtra where it is not."""
    found = shutil.which("ffmpeg")
    if found is None or shutil.which("ffprobe") is None:
        raise NeedsExtra("FFmpeg's command line is not installed", hint="install the package ffmpeg of your system")
    return found


def run_ffmpeg(*arguments: str) -> bytes:
    """Run FFmpeg with these arguments and return what it wrote to standard output; ValueError where it fails."""
    command = [ffmpeg(), "-hide_banner", "-nostdin", "-loglevel", "error", "-y", *arguments]
    done = subprocess.run(command, capture_output=True, check=False, timeout=300)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise ValueError(f"ffmpeg: {said[-1] if said else done.returncode}")
    return done.stdout


def pictures(folder: Path) -> Path:
    """Write the pictures that all cases start from, once per folder."""
    path = folder / "pictures.y4m"
    if not path.exists():
        path.write_bytes(b"".join(_y4m()))
    return path


def _y4m() -> list[bytes]:
    grain = np.random.default_rng(0).normal(0, 1, (HEIGHT, WIDTH))
    for axis in (0, 1):
        grain = np.stack([np.roll(grain, step, axis) for step in range(-2, 3)]).sum(0) / 2.2
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    parts = [f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{RATE}:1 Ip A1:1 C420mpeg2\n".encode()]
    for number in range(FRAMES):
        wave = 40 * np.sin((x + 2 * number) / 47) * np.cos(y / 31)
        luma = 120 + wave + 9 * np.roll(grain, (number, 2 * number), (0, 1)) + 30 * (x + y > 500 + 2 * number)
        red, blue = 128 + 20 * np.sin(y[::2, ::2] / 40), 128 + 20 * np.cos(x[::2, ::2] / 60 + number / 9)
        planes = (np.clip(plane, 17, 234).astype(np.uint8).tobytes() for plane in (luma, blue, red))
        parts += [b"FRAME\n", *planes]
    return parts


def _copy(*arguments: str) -> Finish:
    """Copy the streams of the finished file with further options, or options before the input, set off by `--`."""
    split = arguments.index("--") if "--" in arguments else 0
    before, after = arguments[:split], arguments[split + 1 if "--" in arguments else 0 :]

    def finish(raw: Path, path: Path) -> None:
        run_ffmpeg(*before, "-i", str(raw), "-map", "0", "-c", "copy", *after, str(path))

    return finish


MATRICES = {
    "90": (0, 1, -1, 0),
    "180": (-1, 0, 0, -1),
    "270": (0, -1, 1, 0),
    "mirrored": (-1, 0, 0, 1),
}
"""The upper left of the transformation matrix of a track (ISO/IEC 14496-12, 8.3.2): a, b, c, d."""


def _shown_by(matrix: tuple[int, int, int, int]) -> Finish:
    """State a display matrix in the header of the first track that has pictures."""

    def finish(raw: Path, path: Path) -> None:
        data = bytearray(raw.read_bytes())
        place = data.find(b"tkhd")
        while data[place + 4 + 76 : place + 4 + 80] == bytes(4):  # no width: a track of sound
            place = data.find(b"tkhd", place + 4)
        a, b, c, d = (value << 16 for value in matrix)
        struct.pack_into(">9i", data, place + 4 + 40, a, b, 0, c, d, 0, 0, 0, 1 << 30)
        path.write_bytes(data)

    return finish


def _twice(*second: str) -> Finish:
    """Append, byte for byte, a second stretch that is encoded otherwise."""

    def finish(raw: Path, path: Path) -> None:
        other = raw.with_name(f"other{raw.suffix}")
        run_ffmpeg("-i", str(raw), *second, str(other))
        path.write_bytes(raw.read_bytes() + other.read_bytes())
        other.unlink()

    return finish


def _with_chapters(raw: Path, path: Path) -> None:
    notes = raw.with_suffix(".txt")
    notes.write_text(
        ";FFMETADATA1\ntitle=Two chapters\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=900\ntitle=One\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=900\nEND=2000\ntitle=Two\n"
    )
    run_ffmpeg("-i", str(raw), "-i", str(notes), "-map", "0", "-map_metadata", "1", "-c", "copy", str(path))
    notes.unlink()


def _with_subtitles(*arguments: str) -> Finish:
    def finish(raw: Path, path: Path) -> None:
        text = raw.with_suffix(".srt")
        text.write_text("1\n00:00:00,100 --> 00:00:00,900\nGood day\n\n2\n00:00:01,000 --> 00:00:01,800\nGood night\n")
        maps = ("-map", "0", "-map", "1", "-c", "copy", "-metadata:s:s:0", "language=eng")
        run_ffmpeg("-i", str(raw), "-i", str(text), *maps, *arguments, str(path))
        text.unlink()

    return finish


def _with_cover(raw: Path, path: Path) -> None:
    cover = raw.with_suffix(".png")
    run_ffmpeg("-i", str(raw), "-frames:v", "1", "-vf", "scale=160:90", str(cover))
    maps = ("-map", "0", "-map", "1", "-c", "copy", "-disposition:v:1", "attached_pic")
    run_ffmpeg("-i", str(raw), "-i", str(cover), *maps, str(path))
    cover.unlink()


def _mp4(name: str, *out: str, finish: Finish | None = None, suffix: str = ".mp4", watermark: bool = True) -> MediaCase:
    return MediaCase(name, suffix, (*_X264, *_AAC, *out), finish=finish, watermark=watermark)


def _silent(name: str, suffix: str, *out: str, watermark: bool = True, finish: Finish | None = None) -> MediaCase:
    return MediaCase(name, suffix, out, more=(), watermark=watermark, finish=finish)


_SIXTEEN = tuple(word for _ in range(16) for word in _TONE)
_SIXTEEN_MAPS = ("-map", "0:v", *(word for number in range(1, 17) for word in ("-map", f"{number}:a")))

CASES: tuple[MediaCase, ...] = (
    # containers
    _mp4("mp4-faststart", "-movflags", "+faststart"),
    _mp4("mp4-index-last"),
    _mp4("mp4-fragmented", "-movflags", "frag_keyframe+empty_moov+default_base_moof", "-g", "12"),
    _mp4("m4v", suffix=".m4v"),
    _mp4("mov", suffix=".mov"),
    _mp4("mkv", suffix=".mkv"),
    _mp4("ts", suffix=".ts"),
    MediaCase("webm", ".webm", (*_VP9, *_OPUS)),
    MediaCase("avi", ".avi", ("-c:v", "mpeg4", "-q:v", "3", "-c:a", "libmp3lame")),
    _silent("gif", ".gif", "-vf", "fps=12,scale=480:270"),
    _silent("webp-animated", ".webp", "-c:v", "libwebp_anim", "-vf", "fps=12,scale=480:270", "-quality", "90"),
    _silent("y4m", ".y4m", "-pix_fmt", "yuv420p"),
    _silent("h264-raw", ".h264", *_X264),
    _mp4("mkv-no-duration", "-live", "1", suffix=".mkv"),
    # codecs
    MediaCase("hevc", ".mp4", (*_X265, *_QUIET, "-tag:v", "hvc1", *_AAC)),
    MediaCase("av1", ".mp4", ("-c:v", "libsvtav1", "-preset", "12", "-crf", "25", *_AAC)),
    MediaCase("vp8", ".webm", ("-c:v", "libvpx", "-b:v", "4M", "-deadline", "realtime", "-cpu-used", "8", *_OPUS)),
    MediaCase("mjpeg", ".mov", ("-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", "yuvj420p", *_AAC)),
    MediaCase("mpeg2", ".ts", ("-c:v", "mpeg2video", "-q:v", "2", "-bf", "2", "-c:a", "mp2")),
    MediaCase("mpeg4-part2", ".mp4", ("-c:v", "mpeg4", "-q:v", "2", *_AAC)),
    MediaCase("prores", ".mov", ("-c:v", "prores_ks", "-profile:v", "2", "-c:a", "pcm_s16le")),
    MediaCase("dnxhr", ".mov", ("-c:v", "dnxhd", "-profile:v", "dnxhr_sq", "-pix_fmt", "yuv422p", "-c:a", "pcm_s16le")),
    MediaCase("dnxhd", ".mov", (*_BT709, *_DNXHD, "-c:a", "pcm_s16le")),
    MediaCase("ffv1", ".mkv", ("-c:v", "ffv1", "-c:a", "flac")),
    MediaCase("raw", ".avi", ("-c:v", "rawvideo", "-pix_fmt", "yuv420p", "-c:a", "pcm_s16le")),
    # times
    _mp4("variable-rate", "-vf", "settb=1/1000,setpts=N*40+9*mod(N\\,3)", *_OWN_TIMES),
    _mp4("variable-rate-mkv", "-vf", "settb=1/1000,setpts=N*40+9*mod(N\\,3)", *_OWN_TIMES, suffix=".mkv"),
    _mp4("starts-late", "-output_ts_offset", "3.5", suffix=".mkv"),
    _mp4("starts-late-ts", "-output_ts_offset", "3.5", suffix=".ts"),
    _mp4("edit-list-empty", "-af", "anull", finish=_copy("-itsoffset", "0", "--", "-output_ts_offset", "0.8")),
    _mp4("edit-list-cut", "-g", "48", finish=_copy("-ss", "0.7", "--")),
    MediaCase(
        "picture-later-than-sound", ".mp4", ("-map", "0:v", "-map", "1:a", *_X264, *_AAC), source=("-itsoffset", "0.4")
    ),
    *(
        _mp4(f"b-frames-{suffix[1:]}", "-bf", "3", "-x264-params", "b-pyramid=normal:b-adapt=0", suffix=suffix)
        for suffix in (".mp4", ".mov", ".mkv", ".ts")
    ),
    _mp4("ntsc-rate", "-r", "30000/1001"),
    # how pictures are shown
    *(_mp4(f"rotation-{name}", finish=_shown_by(matrix)) for name, matrix in MATRICES.items()),
    _mp4("sample-aspect", "-vf", "setsar=32/27"),
    _silent("odd-size", ".webm", *_VP9, "-vf", "scale=641:481", "-pix_fmt", "yuv420p"),
    _silent("odd-size-444", ".mp4", *_X264, "-vf", "scale=641:481", "-pix_fmt", "yuv444p"),
    _mp4("interlaced", "-flags", "+ildct+ilme", "-x264-params", "tff=1", "-vf", "setfield=tff"),
    _mp4("full-range", "-vf", "scale=in_range=tv:out_range=pc", "-color_range", "pc"),
    _mp4("bt601", "-colorspace", "smpte170m", "-color_primaries", "smpte170m", "-color_trc", "smpte170m"),
    _mp4("bt709", *_BT709),
    MediaCase("bt2020", ".mp4", (*_X264, "-pix_fmt", "yuv420p10le", *_BT2020, "-color_trc", "bt2020-10", *_AAC)),
    MediaCase("ten-bits", ".mp4", (*_X264, "-pix_fmt", "yuv420p10le", *_AAC)),
    MediaCase("ten-bits-422", ".mov", (*_X264, "-pix_fmt", "yuv422p10le", *_AAC)),
    MediaCase(
        "twelve-bits", ".mp4", (*_X265, "-pix_fmt", "yuv420p12le", "-x265-params", "log-level=none", "-tag:v", "hvc1")
    ),
    MediaCase(
        "hdr10",
        ".mp4",
        (*_X265, *_TEN, *_BT2020, "-color_trc", "smpte2084", "-x265-params", _HDR10, "-tag:v", "hvc1", *_AAC),
    ),
    MediaCase(
        "hlg",
        ".mp4",
        (*_X265, *_TEN, *_BT2020, "-color_trc", "arib-std-b67", *_QUIET, "-tag:v", "hvc1", *_AAC),
    ),
    MediaCase(
        "alpha-prores", ".mov", (*_HALF, "-c:v", "prores_ks", "-profile:v", "4", "-pix_fmt", "yuva444p10le"), more=()
    ),
    MediaCase("alpha-vp9", ".webm", (*_HALF, *_VP9, "-pix_fmt", "yuva420p", "-auto-alt-ref", "0"), more=()),
    MediaCase("alpha-png", ".mov", (*_HALF, "-c:v", "png", "-pix_fmt", "rgba", "-frames:v", "24"), more=()),
    MediaCase("size-changes", ".ts", (*_X264,), more=(), finish=_twice(*_X264, "-vf", "scale=320:180")),
    MediaCase("pixel-format-changes", ".ts", (*_X264,), more=(), finish=_twice(*_X264, "-pix_fmt", "yuv444p")),
    # what else is in the file
    _silent("no-audio", ".mp4", *_X264),
    MediaCase(
        "two-audio-tracks",
        ".mp4",
        (*("-map", "0:v", "-map", "1:a", "-map", "2:a"), *_X264, *_AAC, *_ENGLISH_AND_FRENCH),
        more=(*_TONE, *_TONE),
    ),
    MediaCase("sixteen-mono-tracks", ".mov", (*_SIXTEEN_MAPS, *_X264, "-c:a", "pcm_s16le"), more=_SIXTEEN),
    _mp4("subtitles-mp4", finish=_with_subtitles("-c:s", "mov_text")),
    _mp4("subtitles-mkv", finish=_with_subtitles("-c:s", "srt"), suffix=".mkv"),
    _mp4("subtitles-ass", finish=_with_subtitles("-c:s", "ass"), suffix=".mkv"),
    _mp4("chapters-mp4", finish=_with_chapters),
    _mp4("chapters-mkv", finish=_with_chapters, suffix=".mkv"),
    _mp4("timecode", "-timecode", "01:00:00:00", suffix=".mov"),
    _mp4("cover-art", finish=_with_cover),
    _mp4("tags", "-metadata", "title=A walk", "-metadata", "artist=Somebody", "-metadata", "comment=By me"),
    MediaCase("audio-longer", ".mp4", (*_X264, *_AAC, "-frames:v", "36")),
    MediaCase("one-frame", ".mp4", (*_X264, "-frames:v", "1"), more=()),
    MediaCase("four-k", ".mp4", (*_X264, *_BT709, "-vf", "scale=3840:2160", "-frames:v", "12"), more=()),
)
"""All cases; each name once."""


def chosen(names: Sequence[str] | None = None) -> tuple[MediaCase, ...]:
    """Return the cases of these names, or all. KeyError for a name that there is not."""
    known = {case.name: case for case in CASES}
    return CASES if names is None else tuple(known[name] for name in names)
