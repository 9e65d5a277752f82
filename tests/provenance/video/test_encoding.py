"""Encoders: what their options promise."""

from __future__ import annotations

import os
import platform
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from provenance.video import Clip
from provenance.video.encoding import Encoding
from provenance.video.write import write_clip


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


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are listed by Linux alone")
def test_the_av1_encoder_leaves_the_process_scheduled_as_it_was(tmp_path):
    before = os.sched_getscheduler(0)
    clip = Clip.at_rate(np.zeros((3, 64, 64, 3), np.uint8), 10)
    write_clip(clip, tmp_path / "a.mp4", codec="libsvtav1", preset="ultrafast")
    threads = [int(thread.name) for thread in Path("/proc/self/task").glob("*")]
    assert {os.sched_getscheduler(thread) for thread in threads} == {before}
