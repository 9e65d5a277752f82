"""Memory does not grow with the length of a video."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

pytestmark = pytest.mark.slow

FRAMES_PER_SECOND = 4
READ = """
import resource, sys
from pathlib import Path
from provenance.video import Video
for window in Video(sys.argv[1]).windows():
    window.luma.mean(), window.rgb.mean()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
REWRITE = """
import resource, sys
from pathlib import Path
from provenance.video import Video
from provenance.video.encoding import Encoding
from provenance.video.rewrite import rewrite
fast = Encoding("libx264", 23, "ultrafast")
rewrite(Video(sys.argv[1]), Path(sys.argv[2]), lambda luma, seconds, bit_depth: luma, encoding=fast)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A clip of ten seconds and one of ten minutes, 1280 x 720: the same packets, once and sixty times."""
    folder = tmp_path_factory.mktemp("memory")
    short, long = folder / "short.mp4", folder / "long.mp4"
    _make(short)
    _loop(short, long, times=60)
    return short, long


def _make(path: Path) -> None:
    y, x = np.mgrid[:720, :1280]
    count = 10 * FRAMES_PER_SECOND
    with av.open(str(path), "w") as container:
        options = {"preset": "ultrafast", "crf": "30", "bf": "0"}
        stream: Any = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options=options)
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        for index in range(count):
            grey = ((x + y + 8 * index) // 4 % 256).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(np.repeat(grey[..., None], 3, axis=2), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _loop(source: Path, target: Path, times: int) -> None:
    with av.open(str(target), "w") as out:
        copy: Any = None
        for turn in range(times):
            with av.open(str(source)) as container:
                stream: Any = container.streams.video[0]
                if copy is None:
                    copy = out.add_stream_from_template(stream, opaque=True)
                shift = turn * round(10 / stream.time_base)
                for packet in container.demux(stream):
                    if packet.size:
                        packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                        packet.stream = copy
                        out.mux(packet)


def _peak_kib(program: str, *arguments: Path) -> int:
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True, check=True
    )
    return int(done.stdout.split()[-1])


def test_the_long_clip_is_sixty_times_the_short_one(clips: tuple[Path, Path]) -> None:
    lengths = []
    for path in clips:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            lengths.append(Fraction(stream.duration or 0) * (stream.time_base or 0))
    assert lengths == [10, 600]


def test_reading_ten_minutes_takes_the_memory_of_ten_seconds(clips: tuple[Path, Path]) -> None:
    short, long = (_peak_kib(READ, path) for path in clips)
    assert long <= 1.3 * short


def test_rewriting_ten_minutes_takes_the_memory_of_ten_seconds(clips: tuple[Path, Path], tmp_path: Path) -> None:
    short, long = (_peak_kib(REWRITE, path, tmp_path / path.name) for path in clips)
    assert long <= 1.3 * short
