"""Pictures for the page: the pixel watermark that was found, drawn large enough to be seen."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from countermark.report.page import Picture
from provenance.keys import KeyStream
from provenance.watermarks.marking import STRONGEST_DB
from provenance.watermarks.tile import Tile, render

WIDTH = 640
AMPLIFICATION = 20.0
_DEVIATION = 255 * 10 ** (-STRONGEST_DB / 20)


def watermark_pictures(stream: KeyStream, watermark_id: int, keyframe: bytes) -> tuple[Picture, Picture]:
    """Return the pattern of an id under a key, and one frame with it, amplified.

    What is drawn is the pattern that the reader found in the luma, without the mask that hides it in busy places.
    """
    frame = np.asarray(Image.open(io.BytesIO(keyframe)).convert("RGB"))
    height = max(2, round(frame.shape[0] * WIDTH / frame.shape[1]))
    frame = np.asarray(Image.fromarray(frame).resize((WIDTH, height), Image.Resampling.BICUBIC))
    layout = Tile(stream)
    pattern = render(layout.coefficients(watermark_id, layout.nonce_of(watermark_id)), WIDTH, height)
    loud = AMPLIFICATION * _DEVIATION * pattern / max(float(pattern.std()), 1e-9)
    alone = np.clip(128 + loud, 0, 255).astype(np.uint8)
    over = np.clip(frame + loud[..., None], 0, 255).astype(np.uint8)
    name = f"id {watermark_id:016x} under the key “{stream.key_name}”"
    return (
        Picture(_jpeg(alone), f"The pattern of {name}, {AMPLIFICATION:g} times as strong as it is in the clip"),
        Picture(_jpeg(over), "The same over a frame of the clip"),
    )


def _jpeg(picture: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=82)
    return stream.getvalue()
