"""Making odd videos: FFmpeg's command line, the pictures that they all start from, and steps that finish one."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.patches import picture_subtitle, pulled_down
from provenance.errors import NeedsExtra

WIDTH, HEIGHT, RATE, FRAMES = 640, 360, 24, 48
Finish = Callable[[Path, Path], None]
"""(what FFmpeg wrote, where the finished file goes)"""
TONE = ("-f", "lavfi", "-i", "sine=frequency=330:sample_rate=48000:duration=2")
"""An input: two seconds of sound."""


@dataclass(frozen=True)
class MediaCase:
    """One odd video.

    out: options of the output. more: further inputs after the pictures. source: options of the picture input.
    finish: turns what FFmpeg wrote into the case. watermark: whether there is room for one.
    """

    name: str
    suffix: str
    out: tuple[str, ...]
    more: tuple[str, ...] = TONE
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


def copied(*arguments: str) -> Finish:
    """Copy the streams of the finished file with further options, or options before the input, set off by `--`."""
    split = arguments.index("--") if "--" in arguments else 0
    before, after = arguments[:split], arguments[split + 1 if "--" in arguments else 0 :]

    def finish(raw: Path, path: Path) -> None:
        run_ffmpeg(*before, "-i", str(raw), "-map", "0", "-c", "copy", *after, str(path))

    return finish


def appended(*second: str) -> Finish:
    """Append, byte for byte, a second stretch that is encoded otherwise."""

    def finish(raw: Path, path: Path) -> None:
        other = raw.with_name(f"other{raw.suffix}")
        run_ffmpeg("-i", str(raw), *second, str(other))
        path.write_bytes(raw.read_bytes() + other.read_bytes())
        other.unlink()

    return finish


def with_chapters(raw: Path, path: Path) -> None:
    notes = raw.with_suffix(".txt")
    notes.write_text(
        ";FFMETADATA1\ntitle=Two chapters\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=900\ntitle=One\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=900\nEND=2000\ntitle=Two\n"
    )
    run_ffmpeg("-i", str(raw), "-i", str(notes), "-map", "0", "-map_metadata", "1", "-c", "copy", str(path))
    notes.unlink()


def with_subtitles(*arguments: str) -> Finish:
    def finish(raw: Path, path: Path) -> None:
        text = raw.with_suffix(".srt")
        text.write_text("1\n00:00:00,100 --> 00:00:00,900\nGood day\n\n2\n00:00:01,000 --> 00:00:01,800\nGood night\n")
        maps = ("-map", "0", "-map", "1", "-c", "copy", "-metadata:s:s:0", "language=eng")
        run_ffmpeg("-i", str(raw), "-i", str(text), *maps, *arguments, str(path))
        text.unlink()

    return finish


def with_cover(raw: Path, path: Path) -> None:
    cover = raw.with_suffix(".png")
    run_ffmpeg("-i", str(raw), "-frames:v", "1", "-vf", "scale=160:90", str(cover))
    maps = ("-map", "0", "-map", "1", "-c", "copy", "-disposition:v:1", "attached_pic")
    run_ffmpeg("-i", str(raw), "-i", str(cover), *maps, str(path))
    cover.unlink()


def with_picture_subtitles(*arguments: str) -> Finish:
    """Add a track of subtitles that are pictures."""

    def finish(raw: Path, path: Path) -> None:
        drawn = raw.with_suffix(".sup")
        drawn.write_bytes(picture_subtitle(0.2, 0.9, WIDTH, HEIGHT) + picture_subtitle(1.1, 1.8, WIDTH, HEIGHT))
        run_ffmpeg("-i", str(raw), "-i", str(drawn), "-map", "0", "-map", "1", "-c", "copy", *arguments, str(path))
        drawn.unlink()

    return finish


def with_data(tag: str) -> Finish:
    """Add a track of data of this kind."""

    def finish(raw: Path, path: Path) -> None:
        data = raw.with_suffix(".bin")
        data.write_bytes(bytes(range(200)))
        inputs = ("-i", str(raw), "-f", "data", "-i", str(data))
        run_ffmpeg(*inputs, "-map", "0", "-map", "1", "-c", "copy", "-tag:d", tag, str(path))
        data.unlink()

    return finish


def with_pulldown(raw: Path, path: Path) -> None:
    """Give a file of MPEG-2 the pattern of film on 30 frames a second."""
    stream, patched = raw.with_suffix(".m2v"), raw.with_suffix(".film.m2v")
    run_ffmpeg("-i", str(raw), "-map", "0:v", "-c", "copy", str(stream))
    patched.write_bytes(pulled_down(stream.read_bytes()))
    run_ffmpeg("-i", str(patched), "-c", "copy", str(path))
    stream.unlink()
    patched.unlink()
