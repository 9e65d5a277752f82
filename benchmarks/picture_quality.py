"""What a watermark or an attack costs in picture quality: PSNR, SSIM, VMAF, flicker and BD-rate, all on luma.

Frames are paired by their number: only clips whose frames still correspond may be compared. `comparable` sees the shape
alone; that frames were swapped, reversed or drawn from elsewhere only the caller knows.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from provenance.errors import CountermarkError, NeedsExtra, TookTooLong
from provenance.quality import QualityMeter, ssim
from provenance.video import Clip

Values = NDArray[np.float64]

STATIC_LEVELS = 2.0
"""A block of the original stands still between two frames when its mean luma difference, in grey levels of 255, is at
most this much: sensor noise with a standard deviation up to 1.77."""
BLOCK = 16
LEAST_LEVELS = 0.1
"""Below this mean difference in grey levels the original is perfectly static, and no ratio to it means anything."""
LEAST_SIDE = 17
"""Lines and pixels of a line that VMAF needs at least; libvmaf crashes on less."""
VMAF_SECONDS = 600
_TEN_BITS = np.round(64 + 876 / 255 * np.arange(256)).astype("<u2")  # BT.709-6, item 4.6: full range to narrow range


@dataclass(frozen=True)
class Flicker:
    """How much more the static blocks of a clip change from frame to frame than they did in the original."""

    static_share: float
    """Share of blocks and steps of the original that stand still, 0 to 1."""
    original_levels: float | None
    """Mean luma difference of consecutive frames there, in grey levels of 255; None where nothing stands still."""
    other_levels: float | None
    """The same blocks and steps in the other clip."""

    @property
    def levels(self) -> float | None:
        """Other less original, in grey levels: above 0 where flicker was added. None where nothing stands still."""
        if self.original_levels is None or self.other_levels is None:
            return None
        return self.other_levels - self.original_levels

    @property
    def ratio(self) -> float | None:
        """Other over original: 1 where nothing was added. None where nothing stands still, or all of it perfectly."""
        if self.original_levels is None or self.other_levels is None or self.original_levels < LEAST_LEVELS:
            return None
        return self.other_levels / self.original_levels


@dataclass(frozen=True)
class PictureQuality:
    """What is left of a clip."""

    psnr_db: float
    """Luma PSNR of the mean squared error over the clip; inf where nothing differs."""
    ssim: float
    """Mean luma SSIM of the frames, at most 1."""
    vmaf: float | None
    """Mean VMAF of the frames, 0 to 100; None where libvmaf is not installed, or the pictures are too small for it."""
    flicker: Flicker
    """Change of static blocks."""


def comparable(reference: Clip, other: Clip) -> bool:
    """Whether two clips have as many frames, at least one, of the same size."""
    return reference.frames.shape == other.frames.shape and reference.frames.size > 0


def compare(reference: Clip, other: Clip) -> PictureQuality:
    """Measure all that this module can. ValueError unless the clips are comparable and at least 11 lines and pixels."""
    _demand_comparable(reference, other)
    meter = QualityMeter()
    meter.see(reference.luma, other.luma)
    score = None
    if min(reference.height, reference.width) >= LEAST_SIDE:
        try:
            score = vmaf(reference, other)
        except NeedsExtra:
            score = None
    return PictureQuality(meter.psnr_db, ssim(reference.luma, other.luma), score, flicker(reference, other))


def flicker(reference: Clip, other: Clip) -> Flicker:
    """Compare luma differences of consecutive frames in blocks of 16 x 16 where the original stands still.

    A block of the original stands still between two frames when its mean absolute luma difference is at most 2 grey
    levels; strips narrower than a block at the right and the lower edge are left out. ValueError unless comparable.
    """
    _demand_comparable(reference, other)
    changes, others = _block_changes(reference.luma), _block_changes(other.luma)
    static = changes <= STATIC_LEVELS
    if not static.any():
        return Flicker(0.0, None, None)
    return Flicker(float(static.mean()), float(changes[static].mean()), float(others[static].mean()))


def vmaf(reference: Clip, other: Clip) -> float:
    """Return the mean VMAF of the frames, 0 to 100; about 97 to 100 for equal clips.

    Model vmaf_v0.6.1, which judges luma as seen at three picture heights on a screen of 1080 lines; pictures are not
    scaled to that, so that small ones are judged mildly. By libvmaf in the FFmpeg that comes with imageio-ffmpeg
    (written with 0.8.1: FFmpeg 9.0.2, libvmaf 86da14d). Luma goes there in narrow range with 10 bits.
    Raises NeedsExtra where the package, or libvmaf in it, is missing; ValueError unless comparable and large enough.
    """
    _demand_comparable(reference, other)
    if min(reference.height, reference.width) < LEAST_SIDE:
        raise ValueError(f"{reference} is too small for VMAF, which needs {LEAST_SIDE} lines and pixels")
    program = _ffmpeg()
    with tempfile.TemporaryDirectory(prefix="countermark-vmaf-") as folder:
        errors = _run_vmaf(program, reference.luma, other.luma, Path(folder))
        log = Path(folder, "vmaf.json")
        if "No such filter: 'libvmaf'" in errors:
            raise NeedsExtra(
                f"{program} has no libvmaf", hint="unset IMAGEIO_FFMPEG_EXE, or install imageio-ffmpeg anew"
            )
        if errors or not log.exists():
            raise CountermarkError(f"VMAF failed: {errors or 'no log'}", hint="try another version of imageio-ffmpeg")
        return float(json.loads(log.read_text())["pooled_metrics"]["vmaf"]["mean"])


def bd_rate(anchor: Sequence[tuple[float, float]], test: Sequence[tuple[float, float]]) -> float:
    """Return by how many percent `test` needs more bits than `anchor` for the same quality; below 0: fewer.

    Each curve is points of (rate, quality), at least four, in any order, rates above 0 in any unit, quality rising with
    rate. Bjontegaard, VCEG-M33 (2001): mean difference of log rate over the shared range of quality, here between
    piecewise cubics (Fritsch and Carlson 1980) as in JVET-T2010, not one cubic through four points. ValueError where a
    curve is not such a one or the two share no range.
    """
    curves = [_curve(points, name) for points, name in ((anchor, "anchor"), (test, "test"))]
    low, high = max(quality[0] for _, quality in curves), min(quality[-1] for _, quality in curves)
    if low >= high:
        raise ValueError(f"the curves share no range of quality: one starts at {low:g}, the other ends at {high:g}")
    means = [float(PchipInterpolator(quality, rate).integrate(low, high)) / (high - low) for rate, quality in curves]
    return 100 * float(np.expm1(means[1] - means[0]))


def _curve(points: Sequence[tuple[float, float]], name: str) -> tuple[Values, Values]:
    """Natural logarithm of rates and quality, each (points,), rising."""
    if len(points) < 4:
        raise ValueError(f"the {name} curve needs at least four points, not {len(points)}")
    rate, quality = np.array(sorted(points), dtype=float).T
    if not (np.isfinite(points).all() and rate[0] > 0):
        raise ValueError(f"the {name} curve needs finite rates above 0 and finite quality")
    if not ((np.diff(quality) > 0).all() and (np.diff(rate) > 0).all()):
        raise ValueError(f"the quality of the {name} curve does not rise with its rate")
    return np.log(rate), quality


def _demand_comparable(reference: Clip, other: Clip) -> None:
    if not comparable(reference, other):
        raise ValueError(f"{reference} and {other} cannot be compared frame by frame")


def _block_changes(luma: NDArray[np.uint8]) -> Values:
    """Mean absolute difference of consecutive frames: uint8 (time, height, width) -> (time - 1, rows, columns)."""
    high, wide = min(BLOCK, luma.shape[1]), min(BLOCK, luma.shape[2])
    rows, columns = luma.shape[1] // high, luma.shape[2] // wide
    frames = luma[:, : rows * high, : columns * wide].astype(np.int16)
    changes = [
        np.abs(b - a).reshape(rows, high, columns, wide).mean(axis=(1, 3)) for a, b in itertools.pairwise(frames)
    ]
    return np.array(changes, dtype=float).reshape(-1, rows, columns)


def _ffmpeg() -> str:
    try:
        import imageio_ffmpeg
    except ImportError:
        raise NeedsExtra("imageio-ffmpeg is not installed", hint='pip install "countermark[bench]"') from None
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise NeedsExtra(f"imageio-ffmpeg has no FFmpeg: {error}", hint='pip install "countermark[bench]"') from None


def _run_vmaf(program: str, reference: NDArray[np.uint8], other: NDArray[np.uint8], folder: Path) -> str:
    """Pipe both clips, one above the other, through libvmaf, which writes vmaf.json; return why FFmpeg failed."""
    height, width = reference.shape[1:]
    even = height + height % 2  # chroma has half the lines, so the second picture starts on an even one
    graph = (
        f"split[a][b];[a]crop={width}:{height}:0:0:exact=1[reference];[b]crop={width}:{height}:0:{even}:exact=1[other];"
        "[other][reference]libvmaf=model=version=vmaf_v0.6.1:log_path=vmaf.json:log_fmt=json:n_threads=1"
    )
    source = ["-f", "rawvideo", "-pixel_format", "yuv420p10le", "-video_size", f"{width}x{2 * even}"]
    command = [program, "-hide_banner", "-nostats", "-loglevel", "error", "-threads", "1", *source, "-framerate", "25"]
    command += ["-i", "-", "-filter_complex_threads", "1", "-filter_complex", graph, "-f", "null", "-"]
    complaints = folder / "errors.txt"
    with complaints.open("wb") as errors:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=errors, stderr=errors, cwd=folder)
        try:
            with contextlib.suppress(BrokenPipeError):  # FFmpeg ended early: its status and its complaint say why
                _feed(process, reference, other, even - height)
            process.wait(VMAF_SECONDS)
        except subprocess.TimeoutExpired:
            raise TookTooLong(f"VMAF took more than {VMAF_SECONDS} s", hint="measure a shorter clip") from None
        finally:
            process.kill()
            process.wait()
    if not process.returncode:
        return ""
    return complaints.read_text(errors="replace").strip() or f"FFmpeg ended with status {process.returncode}"


def _feed(process: subprocess.Popen[bytes], reference: NDArray[np.uint8], other: NDArray[np.uint8], below: int) -> None:
    """Write frames of yuv420p10le: reference, other, both with `below` more lines, and grey chroma."""
    assert process.stdin is not None
    height, width = reference.shape[1:]
    chroma = np.full(2 * (height + below) * ((width + 1) // 2), 512, dtype="<u2").tobytes()
    for pair in zip(reference, other, strict=True):
        for picture in pair:
            process.stdin.write(np.pad(_TEN_BITS[picture], [(0, below), (0, 0)], "edge").tobytes())
        process.stdin.write(chroma)
    process.stdin.close()
