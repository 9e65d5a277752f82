"""Small clips that the watermark tests render for themselves."""

import fractions
import io
from collections.abc import Callable

import av
import cv2
import numpy as np
import pytest

from provenance.keys import Key, KeyStream
from provenance.video import Clip

Encode = Callable[[Clip, int], Clip]


def rendered(width: int = 480, height: int = 272, seconds: float = 2.0, rate: float = 24.0, seed: int = 3) -> Clip:
    """A textured wall that stands still, a patterned ball that crosses it, sensor noise."""
    rng = np.random.default_rng(seed)
    wall = 128 + 22 * cv2.GaussianBlur(rng.normal(size=(height, width)), (0, 0), 6) * 6
    wall += 6 * cv2.GaussianBlur(rng.normal(size=(height, width)), (0, 0), 1) * 2
    y, x = np.mgrid[:height, :width]
    frames = []
    for time in np.arange(round(seconds * rate)) / rate:
        centre = width * (0.1 + 0.2 * time), height * (0.5 + 0.2 * np.sin(2 * time))
        distance = np.hypot(x - centre[0], y - centre[1])
        ball = 90 + 40 * np.sin((x - centre[0]) / 5) + 30 * np.cos((y - centre[1]) / 9)
        luma = np.where(distance < height / 5, ball, wall) + rng.normal(size=wall.shape) * 1.5
        tint = np.array([6, 0, -6])
        frames.append(np.clip(np.rint(luma[..., None] + tint), 0, 255).astype(np.uint8))
    return Clip.at_rate(np.stack(frames), rate)


def h264(clip: Clip, crf: int) -> Clip:
    """Encode and decode with x264."""
    height, width = clip.height // 2 * 2, clip.width // 2 * 2
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=fractions.Fraction(clip.frames_per_second).limit_denominator(1001))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": str(crf), "preset": "veryfast"}
        for frame in clip.frames:
            coded = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame[:height, :width]), format="rgb24")
            out.mux(stream.encode(coded))
        out.mux(stream.encode())
    buffer.seek(0)
    with av.open(buffer) as back:
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in back.decode(video=0)])
    return Clip(frames, clip.times[: len(frames)])


@pytest.fixture(scope="session")
def scene() -> Clip:
    """Two seconds of 480 x 272."""
    return rendered()


@pytest.fixture(scope="session")
def render() -> Callable[..., Clip]:
    """Renders a clip of another size or length."""
    return rendered


@pytest.fixture(scope="session")
def encode() -> Encode:
    """Sends a clip through x264."""
    return h264


@pytest.fixture(scope="session")
def stream() -> KeyStream:
    """The pixel stream of a key."""
    return Key("mine", bytes(range(32))).stream("pixel/1")


@pytest.fixture(scope="session")
def other_stream() -> KeyStream:
    """The pixel stream of another key."""
    return Key("other", bytes(range(1, 33))).stream("pixel/1")
