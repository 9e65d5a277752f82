"""Attacks by editors: titles, a logo, a veil, a region replaced, another soundtrack."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from benchmarks.attacks.attack import Attack, FrameChange, Range, planned_once
from benchmarks.attacks.foreign import Foreign
from provenance.errors import CannotWrite
from provenance.video.container import main_video, opened
from provenance.video.encoding import created
from provenance.video.streams import packets_of

TITLE_SECONDS = 2.0
TITLES = ("meanwhile, elsewhere", "the boats come home at noon", "nobody had seen it before", "to be continued")
_LOGO_OPACITY = 0.6
_LOGO_INSET = 0.04
"""Of the shorter side, from the right and upper edge."""
SOUND_RATE = 48000
_SOUND_FRAME = 1024
_NOTES_HZ = (220.0, 277.2, 329.6, 440.0)


def titles(shape: tuple[int, int], share: float, random: np.random.Generator) -> FrameChange:
    """Lay a dark half-transparent band over the lower edge, `share` of the height, with a new white line every 2 s."""
    height, width = shape
    band = max(2, round(height * share))
    cards = [_card(band, width, text) for text in TITLES]

    def change(frame: np.ndarray, seconds: float) -> np.ndarray:
        titled = frame.copy()
        letters = cards[int(seconds / TITLE_SECONDS) % len(cards)]
        titled[-band:] = np.maximum(titled[-band:] // 3, letters)
        return titled

    return change


def _card(height: int, width: int, text: str) -> np.ndarray:
    """A line of white letters on black, drawn large and scaled to fit: uint8 (height, width, 3)."""
    face, scale, stroke = cv2.FONT_HERSHEY_SIMPLEX, 2.0, 4
    (wide, high), below = cv2.getTextSize(text, face, scale, stroke)
    drawn = np.zeros((high + below + 2 * stroke, wide + 2 * stroke, 3), np.uint8)
    cv2.putText(drawn, text, (stroke, high + stroke), face, scale, (255, 255, 255), stroke, cv2.LINE_AA)
    factor = min(0.8 * height / drawn.shape[0], 0.9 * width / drawn.shape[1])
    size = (max(1, int(drawn.shape[1] * factor)), max(1, int(drawn.shape[0] * factor)))
    letters = cv2.resize(drawn, size, interpolation=cv2.INTER_AREA)
    card = np.zeros((height, width, 3), np.uint8)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    card[top : top + size[1], left : left + size[0]] = letters
    return card


def logo(shape: tuple[int, int], share: float, random: np.random.Generator) -> FrameChange:
    """Lay a half-transparent emblem into the upper right corner; its square has `share` of the area."""
    height, width = shape
    side = max(4, min(height, width, round(math.sqrt(share * height * width))))
    inset = min(round(_LOGO_INSET * min(shape)), min(height, width) - side)
    colours, opacity = _emblem(side)
    place = np.s_[inset : inset + side, width - inset - side : width - inset]

    def change(frame: np.ndarray, seconds: float) -> np.ndarray:
        branded = frame.copy()
        branded[place] = np.rint(frame[place] + opacity * (colours - frame[place]))
        return branded

    return change


def _emblem(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Colours float32 (side, side, 3) and opacity float32 (side, side, 1)."""
    down, across = np.mgrid[:side, :side] * (2 / side) - 1 + 1 / side
    radius = np.hypot(down, across)[..., None]
    ring = (np.abs(radius - 0.6) < 0.15).astype(np.float32)
    colours = ring * np.array((250, 250, 250), np.float32) + (1 - ring) * np.array((200, 30, 40), np.float32)
    return colours, (_LOGO_OPACITY * (radius < 1)).astype(np.float32)


def overlay(shape: tuple[int, int], opacity: float, random: np.random.Generator) -> FrameChange:
    """Lay a foreign picture that stands still over the whole frame, half-transparent: a preview's veil."""
    veil = Foreign(random).frame(*shape, 0.0).astype(np.float32)
    return lambda frame, seconds: np.rint(frame + opacity * (veil - frame)).astype(np.uint8)


def region(shape: tuple[int, int], share: float, random: np.random.Generator) -> FrameChange:
    """Replace a rectangle of the frame's own proportions, `share` of its area, anywhere, by foreign moving material."""
    high, wide = (max(2, round(side * math.sqrt(share))) for side in shape)
    top, left = (int(random.random() * (side - part + 1)) for side, part in zip(shape, (high, wide), strict=True))
    foreign = Foreign(random)

    def change(frame: np.ndarray, seconds: float) -> np.ndarray:
        edited = frame.copy()
        edited[top : top + high, left : left + wide] = foreign.frame(high, wide, seconds)
        return edited

    return change


def soundtrack(source: Path, target: Path) -> None:
    """Copy the pictures, packet for packet, beside one made-up track of sound: slow notes, AAC (in WebM Opus).

    Sound of the file's own and all metadata stay behind. CannotWrite where the container holds no such sound.
    """
    with opened(source) as pictures, created(target) as container:
        main = main_video(pictures)
        copy = _copied(main, container, target)
        if main.average_rate:
            copy.codec_context.framerate = main.average_rate  # Matroska states a frame's duration by it
        sound: Any = container.add_stream("libopus" if target.suffix == ".webm" else "aac", rate=SOUND_RATE)
        sound.codec_context.layout = "mono"
        played = _played(sound)
        heard, end = 0.0, 0.0
        for packet in packets_of(pictures, [main]):
            begins = float((packet.pts or 0) * packet.time_base)
            end = max(end, begins + float((packet.duration or 0) * packet.time_base))
            while heard <= begins:
                heard = next(played)
            packet.stream = copy
            container.mux(packet)
        while heard < end:
            heard = next(played)
        container.mux(sound.encode(None))


def _copied(stream: Any, container: av.container.OutputContainer, target: Path) -> Any:
    try:
        return container.add_stream_from_template(stream, opaque=True)
    except ValueError as error:
        raise CannotWrite(
            f"{target}: this container cannot hold {stream.codec_context.name} video", hint="use .mkv"
        ) from error


def _played(sound: Any) -> Iterator[float]:
    """Encode and write one frame of sound after the other; yields how many seconds there are so far."""
    for first in itertools.count(0, _SOUND_FRAME):
        seconds = (first + np.arange(_SOUND_FRAME)) / SOUND_RATE
        note = np.array(_NOTES_HZ)[seconds.astype(int) % len(_NOTES_HZ)]
        wave = 0.2 * np.sin(2 * np.pi * note * seconds) * np.exp(-2 * (seconds % 1))
        frame = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, first, Fraction(1, SOUND_RATE)
        sound.container.mux(sound.encode(frame))
        yield float(seconds[-1]) + 1 / SOUND_RATE


EDITS: dict[str, Attack] = {
    "titles": Attack(
        "subtitles on a dark band below",
        Range("the band's share of the height", 0.02, 0.5, default=0.1),
        planned_once(titles),
    ),
    "logo": Attack(
        "a half-transparent emblem in a corner",
        Range("the share of the area", 0.001, 0.5, default=0.02),
        planned_once(logo),
    ),
    "overlay": Attack(
        "a foreign picture over everything, half-transparent",
        Range("the opacity", 0.0, 1.0, default=0.2),
        planned_once(overlay),
    ),
    "region": Attack(
        "foreign material in a rectangle",
        Range("the share of the area", 0.001, 1.0, default=0.1),
        planned_once(region),
    ),
    "soundtrack": Attack("another sound, pictures copied", file=soundtrack),
}
