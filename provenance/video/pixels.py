"""Pixels on their way from a decoder to an encoder: formats, ranges, turns, and luma changes of RGB pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import av
import numpy as np
from PIL import Image

from provenance.video.clip import luma_of
from provenance.video.container import VideoInfo, has_alpha, is_full_range
from provenance.video.encoding import EVEN_ONLY, pixel_format_subsampled
from provenance.video.orientation import Orientation
from provenance.video.read import plane_rgb

_SWS_BT709, _SWS_BT601, _SWS_BT2020 = 1, 5, 9  # matrices as libswscale counts them


def nearest_format(info: VideoInfo, encoder: str, size: tuple[int, int]) -> str:
    """Return the source's own pixel format where the encoder takes it, else the one that loses least.

    size: width and height that are to be encoded.
    """
    name, is_odd = info.pixel_format, bool(size[0] % 2 or size[1] % 2)
    takes = [kind.name for kind in av.Codec(encoder, "w").video_formats or ()]
    if encoder == "gif":
        return "pal8"
    deep = info.bit_depth > 8
    whole_chroma = "yuv444p10le" if deep else "yuv444p"
    if is_odd and encoder in EVEN_ONLY and not is_rgb(name) and whole_chroma in takes:
        return whole_chroma  # half a chroma sample cannot be encoded there
    if (not takes or name in takes) and not is_packed(name):
        return name
    if has_alpha(name) and info.transparent:
        chroma = "444" if is_rgb(name) or not pixel_format_subsampled(name) else "420" if _halved_twice(name) else "422"
        whole = [kind for kind in takes if has_alpha(kind) and kind != "pal8"]
        for wanted in (f"yuva{chroma}p10le" if deep else f"yuva{chroma}p", "yuva444p10le", "rgba", "yuva420p"):
            if wanted in whole:
                return wanted
    if name.startswith("yuvj") and name.replace("yuvj", "yuv") in takes:
        return name.replace("yuvj", "yuv")
    if is_rgb(name):
        chroma = "444" if is_odd else "420"  # what players take, where the sides allow it
    else:
        chroma = "420" if _halved_twice(name) else "422" if pixel_format_subsampled(name) else "444"
    for wanted in (f"yuv{chroma}p10le" if deep else f"yuv{chroma}p", f"yuvj{chroma}p", "yuv420p", "yuvj420p"):
        if wanted in takes:
            return wanted
    return takes[0] if takes else f"yuv{chroma}p"


def within_range(after: np.ndarray, before: np.ndarray, bit_depth: int, full_range: bool) -> np.ndarray:
    """Keep changed luma inside the legal range (BT.709-6, item 4.6), save where the source itself left it."""
    if after.shape != before.shape:
        raise ValueError(f"the changed luma has shape {after.shape}, not {before.shape}")
    if full_range:
        return after
    low, high = 16 << (bit_depth - 8), 235 << (bit_depth - 8)
    floor = np.minimum(before, before.dtype.type(low))
    ceiling = np.maximum(before, before.dtype.type(high))
    return np.minimum(np.maximum(after, floor), ceiling)


def with_rgb_luma(
    frame: av.VideoFrame, change: Callable[[np.ndarray], np.ndarray], orientation: Orientation
) -> av.VideoFrame:
    """Change the luma of an RGB frame: what luma gains, red, green and blue gain alike, so that chroma stays."""
    alpha = frame.to_ndarray(format="rgba")[..., 3] if "a" in frame.format.name else None
    picture = frame.to_ndarray(format="rgb24")
    luma = luma_of(picture)
    after = change(np.ascontiguousarray(orientation.shown(luma)))
    gain = orientation.coded(after).astype(np.int16) - luma
    marked = np.clip(picture + gain[..., None], 0, 255).astype(np.uint8)
    if alpha is None:
        return av.VideoFrame.from_ndarray(marked, format="rgb24")
    return av.VideoFrame.from_ndarray(np.dstack([marked, alpha]), format="rgba")


def converted(frame: av.VideoFrame, pixel_format: str) -> av.VideoFrame:
    """Return the frame as planes of luma and chroma (BT.709, limited range), or as RGB for an RGB format."""
    if is_rgb(pixel_format):
        return frame.reformat(format="rgb24")
    if not is_rgb(frame.format.name):
        return frame.reformat(format=pixel_format)
    wide = "yuv444p" if frame.width % 2 or frame.height % 2 else pixel_format
    return frame.reformat(format=wide, dst_colorspace="ITU709", dst_color_range="MPEG")


class Indexer:
    """Turns frames into indices of a palette, which stays from frame to frame while it fits.

    A new palette for each frame would make a GIF nearly twice as long. dithered: spread the error over neighbours, so
    that changes finer than the palette survive; else each pixel takes the nearest colour.
    """

    _FITS, _SMALL = 1.5, 16.0
    """A palette is kept while its squared error is below this multiple of what it was at first, or small (36 dB)."""

    def __init__(self, *, dithered: bool) -> None:
        self._dither = Image.Dither.FLOYDSTEINBERG if dithered else Image.Dither.NONE
        self._palette: Image.Image | None = None
        self._first_error = 0.0

    def indexed(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Return the frame in the format pal8; what is more than half transparent stays clear."""
        samples = frame.to_ndarray(format="rgba")
        colours, clear = np.ascontiguousarray(samples[..., :3]), samples[..., 3] < 128
        picture = Image.fromarray(colours)
        if self._palette is not None:
            indexed = picture.quantize(palette=self._palette, dither=self._dither)
            if _squared_error(indexed, colours) <= max(self._FITS * self._first_error, self._SMALL):
                return _pal8(indexed, clear)
        self._palette = picture.quantize(_CLEAR)
        indexed = picture.quantize(palette=self._palette, dither=self._dither)
        self._first_error = _squared_error(indexed, colours)
        return _pal8(indexed, clear)


_CLEAR = 255
"""The index of what is transparent; those before it are colours."""


def _squared_error(indexed: Image.Image, colours: np.ndarray) -> float:
    """Mean squared error of every fourth pixel of every fourth line."""
    taken = np.asarray(indexed.convert("RGB"))[::4, ::4].astype(np.float32) - colours[::4, ::4]
    return float(np.mean(np.square(taken)))


def _pal8(picture: Image.Image, clear: np.ndarray) -> av.VideoFrame:
    colours = np.array(picture.getpalette("RGB"), np.uint8).reshape(-1, 3)[:_CLEAR]
    palette = np.zeros((256, 4), np.uint8)
    palette[:, 0] = 255
    palette[: len(colours), 1:] = colours
    indices = np.array(picture)
    if clear.any():
        indices[clear], palette[_CLEAR] = _CLEAR, 0
    indexed: Any = (indices, palette)
    return av.VideoFrame.from_ndarray(indexed, format="pal8")


def turned(frame: av.VideoFrame, orientation: Orientation, pixel_format: str) -> av.VideoFrame:
    """Return a frame that is coded as it was shown, by way of RGB."""
    picture = np.ascontiguousarray(orientation.shown(plane_rgb(frame)))
    picture_frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    if is_rgb(pixel_format):
        return picture_frame
    space = {5: _SWS_BT601, 6: _SWS_BT601, 9: _SWS_BT2020, 10: _SWS_BT2020}.get(int(frame.colorspace), _SWS_BT709)
    levels = "JPEG" if is_full_range(frame) else "MPEG"
    return picture_frame.reformat(format=pixel_format, dst_colorspace=space, dst_color_range=levels)


def kept_stamps(frame: av.VideoFrame, source: av.VideoFrame) -> av.VideoFrame:
    """Return `frame` with the time of the one that it was made from."""
    if frame is not source:
        frame.pts, frame.time_base = source.pts, source.time_base
        frame.duration = source.duration
    return frame


def is_rgb(name: str) -> bool:
    """Whether a pixel format holds red, green and blue, or indices into a palette of them."""
    return not name.startswith(("yuv", "nv", "gray", "p01", "ya"))


def is_packed(name: str) -> bool:
    """Whether luma shares its plane with chroma, or its samples are shifted: such frames are taken apart first."""
    return name.startswith(("p01", "p21", "p41", "yuyv", "uyvy", "yvyu", "y21", "ya"))


def _halved_twice(name: str) -> bool:
    kind = av.VideoFormat(name, 2, 2)
    return any(kind.chroma_height(2) < 2 for part in kind.components if not part.is_luma)
