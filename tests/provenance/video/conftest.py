"""Small videos made on the spot: one per kind of container, orientation, depth and timing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from provenance.video import Clip
from provenance.video.encoding import X264_SAFE

TICKS = 12800


@pytest.fixture(scope="session")
def waves() -> Clip:
    """24 frames, 192 x 144, 25 frames a second, smooth and coloured."""
    y, x = np.mgrid[:144, :192]
    frames = [
        np.stack(
            [
                128 + 60 * np.sin((x + 3 * t) / 9) + 30 * np.cos(y / 7),
                120 + 50 * np.sin((y - 2 * t) / 11) + 0 * x,
                100 + 40 * np.sin((x + y) / 13 + t / 5),
            ],
            axis=-1,
        )
        for t in range(24)
    ]
    return Clip.at_rate(np.stack(frames).clip(0, 255).astype(np.uint8), 25)


@pytest.fixture(scope="session")
def make_video(waves: Clip) -> Callable[..., Path]:
    """Write the waves to a file, with sound, as the arguments say."""

    def make(
        path: Path,
        *,
        codec: str = "libx264",
        rotation: int = 0,
        pixel_format: str = "yuv420p",
        ticks: Sequence[int] | None = None,
        audio: bool = True,
        aspect: Fraction | None = None,
        size: tuple[int, int] = (192, 144),
        frames: int = 24,
        tags: dict[str, str] | None = None,
    ) -> Path:
        with av.open(str(path), "w") as container:
            options = {"crf": "16", "preset": "fast"} if codec.startswith("libx26") else {}
            if codec == "libx265":
                options["x265-params"] = "log-level=none"
            if codec == "libx264" and X264_SAFE:
                options["x264-params"] = X264_SAFE
            stream: Any = container.add_stream(codec, rate=25, options=options)
            stream.width, stream.height, stream.pix_fmt = *size, pixel_format
            context = stream.codec_context
            context.time_base = Fraction(1, TICKS)
            context.color_primaries, context.color_trc, context.colorspace, context.color_range = 9, 16, 9, 1
            if aspect:
                context.sample_aspect_ratio = aspect
            if rotation:
                stream.set_display_rotation(rotation)
            sound: Any = container.add_stream("aac", rate=44100) if audio else None
            container.metadata.update(tags or {})
            for index in range(frames):
                picture = np.ascontiguousarray(waves.frames[index % 24][: size[1], : size[0]])
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixel_format)
                frame.pts = int(ticks[index]) if ticks is not None else index * TICKS // 25
                frame.time_base = Fraction(1, TICKS)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
            if sound is not None:
                noise = np.random.default_rng(1).normal(0, 0.1, (2, 44100)).astype(np.float32)
                block = av.AudioFrame.from_ndarray(noise, format="fltp", layout="stereo")
                block.sample_rate, block.pts = 44100, 0
                container.mux(sound.encode(block))
                container.mux(sound.encode(None))
        return path

    return make
