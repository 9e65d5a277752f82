"""Encoders: what their options promise."""

from __future__ import annotations

import platform
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

from provenance.video import Clip
from provenance.video.encoding import Encoding


def encoded(clip: Clip, options: dict[str, str]) -> bytes:
    context: Any = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = clip.width, clip.height, "yuv420p"
    context.framerate, context.time_base = Fraction(25), Fraction(1, 25)
    context.options = options
    frames = [av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24") for frame in clip.frames]
    packets = [packet for frame in [*frames, None] for packet in context.encode(frame)]
    return b"".join(bytes(packet) for packet in packets)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="about instructions of x86 processors")
def test_x264_writes_the_same_stream_whatever_the_processor_can_do(waves: Clip) -> None:
    options = Encoding("libx264", crf=23).encoder_options()
    assert encoded(waves, options) == encoded(waves, {**options, "x264-params": "asm=ssse3"})
