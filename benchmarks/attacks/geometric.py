"""Attacks on where pixels stand: size, cut, turn, place. Sides stay even, as 4:2:0 video needs."""

from __future__ import annotations

import math

import cv2
import numpy as np

from benchmarks.attacks.attack import Attack, FrameChange, Range, each_frame, planned_once
from benchmarks.attacks.foreign import Foreign

SMALLEST_SIDE = 16
ZOOM_SECONDS = 4.0
_INSET = 0.9
"""How far towards the lower right corner a picture in picture stands, as a share of the free space."""


def resize(frame: np.ndarray, scale: float, random: np.random.Generator) -> np.ndarray:
    """Scale both sides and keep the new size: area averaging downwards, bicubic upwards."""
    height, width = (_even(side * scale) for side in frame.shape[:2])
    return cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def resize_restored(frame: np.ndarray, scale: float, random: np.random.Generator) -> np.ndarray:
    """Scale both sides and scale back to the old size; at .5, the bicubic super-resolution round trip."""
    return _fitted(resize(frame, scale, random), frame.shape[:2])


def cap(frame: np.ndarray, lines: float, random: np.random.Generator) -> np.ndarray:
    """Scale down so that the shorter side has at most so many lines; smaller frames pass unchanged."""
    shorter = min(frame.shape[:2])
    return resize(frame, lines // 2 * 2 / shorter, random) if shorter > lines else frame


def crop(frame: np.ndarray, side: float, random: np.random.Generator) -> np.ndarray:
    """Keep the centre: `side` is the share of each side that stays; the cut frame is not scaled back."""
    return _cut(frame, _kept(frame.shape[:2], side), (0.5, 0.5))


def crop_restored(frame: np.ndarray, side: float, random: np.random.Generator) -> np.ndarray:
    """Keep the centre, and scale it to the old size."""
    return _fitted(crop(frame, side, random), frame.shape[:2])


def crop_random(shape: tuple[int, int], side: float, random: np.random.Generator) -> FrameChange:
    """Keep a part that chance chose, the same in every frame."""
    place = (float(random.random()), float(random.random()))
    return lambda frame, seconds: _cut(frame, _kept(shape, side), place)


def crop_random_restored(shape: tuple[int, int], side: float, random: np.random.Generator) -> FrameChange:
    """Keep a part that chance chose, the same in every frame, and scale it to the old size."""
    cut = crop_random(shape, side, random)
    return lambda frame, seconds: _fitted(cut(frame, seconds), shape)


def flip(frame: np.ndarray, value: float, random: np.random.Generator) -> np.ndarray:
    """Mirror left and right."""
    return frame[:, ::-1].copy()


def flip_vertical(frame: np.ndarray, value: float, random: np.random.Generator) -> np.ndarray:
    """Mirror top and bottom."""
    return frame[::-1].copy()


def turn(frame: np.ndarray, quarters: float, random: np.random.Generator) -> np.ndarray:
    """Turn by quarter turns against the clock, without loss: the sides change places where their number is odd."""
    return np.rot90(frame, int(quarters)).copy()


def rotate(frame: np.ndarray, degrees: float, random: np.random.Generator) -> np.ndarray:
    """Turn about the centre against the clock; the sides stay, the corners become black."""
    height, width = frame.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    return cv2.warpAffine(frame, matrix, (width, height), flags=cv2.INTER_CUBIC)


def rotate_crop(frame: np.ndarray, degrees: float, random: np.random.Generator) -> np.ndarray:
    """Turn about the centre, and keep the largest upright rectangle without black corners."""
    height, width = frame.shape[:2]
    high, wide = (max(SMALLEST_SIDE, int(side) // 2 * 2) for side in _upright(height, width, degrees))
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    matrix[:, 2] += np.array(((wide - width) / 2, (high - height) / 2))
    return cv2.warpAffine(frame, matrix, (wide, high), flags=cv2.INTER_CUBIC)


def _upright(height: int, width: int, degrees: float) -> tuple[float, float]:
    """Height and width of the upright rectangle of the largest area inside a turned one."""
    sine, cosine = abs(math.sin(math.radians(degrees))), abs(math.cos(math.radians(degrees)))
    short, long = sorted((height, width))
    if short <= 2 * sine * cosine * long:  # two of its corners lie on the long sides, the others inside
        half = short / 2
        wide, high = (half / sine, half / cosine) if width >= height else (half / cosine, half / sine)
    else:
        double = cosine**2 - sine**2  # the cosine of twice the angle
        wide, high = (width * cosine - height * sine) / double, (height * cosine - width * sine) / double
    return high + 1e-6, wide + 1e-6


def aspect(frame: np.ndarray, ratio: float, random: np.random.Generator) -> np.ndarray:
    """Squeeze or stretch the width so that it is `ratio` times the height."""
    height, width = frame.shape[0], _even(frame.shape[0] * ratio)
    method = cv2.INTER_AREA if width < frame.shape[1] else cv2.INTER_CUBIC
    return cv2.resize(frame, (width, height), interpolation=method)


def perspective(shape: tuple[int, int], strength: float, random: np.random.Generator) -> FrameChange:
    """Move each corner inwards by up to `strength` times half a side, the same in every frame; the rest is black."""
    height, width = shape
    corners = np.array([(0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1)], np.float32)
    inwards = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)], np.float32)
    drawn = random.uniform(0, strength, (4, 2)) * (width / 2, height / 2)
    matrix = cv2.getPerspectiveTransform(corners, corners + (inwards * drawn).astype(np.float32))
    return lambda frame, seconds: cv2.warpPerspective(frame, matrix, (width, height), flags=cv2.INTER_CUBIC)


def translate(frame: np.ndarray, pixels: float, random: np.random.Generator) -> np.ndarray:
    """Move right and down by so many pixels; what comes in from outside is black."""
    moved, by = np.zeros_like(frame), int(pixels)
    moved[by:, by:] = frame[: max(0, frame.shape[0] - by), : max(0, frame.shape[1] - by)]
    return moved


def letterbox(frame: np.ndarray, share: float, random: np.random.Generator) -> np.ndarray:
    """Add black bars above and below; together they are `share` of the new height."""
    height = _even(frame.shape[0] / (1 - share))
    top = (height - frame.shape[0]) // 2
    return cv2.copyMakeBorder(frame, top, height - frame.shape[0] - top, 0, 0, cv2.BORDER_CONSTANT, value=(0, 0, 0))


def picture_in_picture(shape: tuple[int, int], scale: float, random: np.random.Generator) -> FrameChange:
    """Show the clip scaled, near the lower right corner of a foreign clip of the old size."""
    (height, width), foreign = shape, Foreign(random)

    def change(frame: np.ndarray, seconds: float) -> np.ndarray:
        picture = foreign.frame(height, width, seconds)
        inset = resize(frame, scale, random)[:height, :width]
        top, left = (int(_INSET * (whole - part)) for whole, part in zip(shape, inset.shape[:2], strict=True))
        picture[top : top + inset.shape[0], left : left + inset.shape[1]] = inset
        return picture

    return change


def jitter(frame: np.ndarray, share: float, random: np.random.Generator) -> np.ndarray:
    """Move and zoom each frame anew, by up to `share` of its sides and scale: an unsteady hand."""
    down, across, zoom = random.uniform(-share, share, 3)
    return _zoomed(frame, 1 + zoom, (down * frame.shape[0], across * frame.shape[1]))


def zoom(shape: tuple[int, int], share: float, random: np.random.Generator) -> FrameChange:
    """Zoom in slowly, by `share` at most, and out again; both together take four seconds."""

    def change(frame: np.ndarray, seconds: float) -> np.ndarray:
        wave = (1 - math.cos(2 * math.pi * seconds / ZOOM_SECONDS)) / 2
        return _zoomed(frame, 1 + share * wave, (0.0, 0.0))

    return change


def _zoomed(frame: np.ndarray, zoom: float, move: tuple[float, float]) -> np.ndarray:
    height, width = frame.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), 0, zoom)
    matrix[:, 2] += np.array(move[::-1])
    return cv2.warpAffine(frame, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def _kept(shape: tuple[int, ...], side: float) -> tuple[int, int]:
    height, width = (min(_even(length * side), length) for length in shape[:2])
    return height, width


def _cut(frame: np.ndarray, size: tuple[int, int], place: tuple[float, float]) -> np.ndarray:
    """Cut out `size` (height, width); `place` says where: 0 is at the top and left, 1 at the bottom and right."""
    top, left = (int(where * (whole - kept)) for whole, kept, where in zip(frame.shape[:2], size, place, strict=True))
    return frame[top : top + size[0], left : left + size[1]].copy()


def _fitted(frame: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    method = cv2.INTER_AREA if shape[0] < frame.shape[0] else cv2.INTER_CUBIC
    return cv2.resize(frame, (shape[1], shape[0]), interpolation=method)


def _even(length: float) -> int:
    return max(SMALLEST_SIDE, 2 * round(length / 2))


_SIDE = Range("the share of each side kept", 0.1, 1.0, default=0.9)
_SCALE = Range("the scale", 0.1, 4.0, default=0.5)
_DEGREES = Range("degrees against the clock", -180.0, 180.0, default=10.0)

GEOMETRIC: dict[str, Attack] = {
    "resize": Attack("scale both sides, keep the new size", _SCALE, each_frame(resize)),
    "resize-restored": Attack("scale both sides, and back to the old size", _SCALE, each_frame(resize_restored)),
    "cap": Attack(
        "scale down where the shorter side has more lines",
        Range("the most lines", 16, 4320, default=720, whole=True),
        each_frame(cap),
    ),
    "crop": Attack("cut out the centre, keep the new size", _SIDE, each_frame(crop)),
    "crop-restored": Attack("cut out the centre, scale it to the old size", _SIDE, each_frame(crop_restored)),
    "crop-random": Attack("cut out a part anywhere, keep the new size", _SIDE, planned_once(crop_random)),
    "crop-random-restored": Attack(
        "cut out a part anywhere, scale it to the old size", _SIDE, planned_once(crop_random_restored)
    ),
    "flip": Attack("mirror left and right", None, each_frame(flip)),
    "flip-vertical": Attack("mirror top and bottom", None, each_frame(flip_vertical)),
    "turn": Attack(
        "turn by quarter turns", Range("quarter turns against the clock", 1, 3, default=1, whole=True), each_frame(turn)
    ),
    "rotate": Attack("turn, keep the sides, black corners", _DEGREES, each_frame(rotate)),
    "rotate-crop": Attack("turn, keep the largest upright rectangle", _DEGREES, each_frame(rotate_crop)),
    "aspect": Attack(
        "squeeze or stretch the width",
        Range("the new width over the height", 0.25, 4.0, default=4 / 3),
        each_frame(aspect),
    ),
    "perspective": Attack(
        "move the corners inwards at random",
        Range("the most that a corner moves, as a share of half a side,", 0.0, 0.9, default=0.1),
        planned_once(perspective),
    ),
    "translate": Attack(
        "move right and down, black behind",
        Range("the pixels moved", 0, 8192, default=50, whole=True),
        each_frame(translate),
    ),
    "letterbox": Attack(
        "add black bars above and below",
        Range("the bars' share of the new height", 0.0, 0.8, default=0.12),
        each_frame(letterbox),
    ),
    "picture-in-picture": Attack(
        "show it small inside a foreign clip",
        Range("the scale", 0.1, 1.0, default=0.5),
        planned_once(picture_in_picture),
    ),
    "jitter": Attack(
        "move and zoom each frame a little",
        Range("the most moved and zoomed, as a share,", 0.0, 0.1, default=0.01),
        each_frame(jitter),
    ),
    "zoom": Attack(
        "zoom in and out slowly, four seconds",
        Range("the most zoomed, as a share,", 0.0, 1.0, default=0.02),
        planned_once(zoom),
    ),
}
