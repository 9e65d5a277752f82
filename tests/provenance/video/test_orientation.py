"""The eight ways in which coded pictures are shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from provenance.video import Video
from provenance.video.orientation import Orientation

ALL = [Orientation(turn, mirrored) for turn in (0, 90, 180, 270) for mirrored in (False, True)]


@pytest.mark.parametrize("orientation", ALL)
def test_coded_undoes_shown(orientation: Orientation) -> None:
    picture = np.arange(6 * 8).reshape(6, 8)
    shown = orientation.shown(picture)
    assert shown.shape[::-1] == orientation.coded_size(8, 6)
    assert (orientation.coded(shown) == picture).all()


def test_all_orientations_show_different_things() -> None:
    picture = np.arange(4).reshape(2, 2)
    assert len({orientation.shown(picture).tobytes() for orientation in ALL}) == 8


@pytest.mark.parametrize("orientation", ALL)
def test_a_box_of_what_is_shown_is_found_in_what_is_coded(orientation: Orientation) -> None:
    picture = np.arange(10 * 14).reshape(10, 14)
    shown = orientation.shown(picture)
    left, top, wide, high = 2, 1, 5, 4
    x, y, w, h = orientation.coded_box((left, top, wide, high), shown.shape[1], shown.shape[0])
    assert (orientation.shown(picture[y : y + h, x : x + w]) == shown[top : top + high, left : left + wide]).all()


@pytest.mark.parametrize("stated", range(1, 9))
def test_photographs_are_seen_as_their_exif_data_says(stated: int, tmp_path: Path) -> None:
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[:24, :16], pixels[:24, 16:32] = 240, 120
    exif = Image.Exif()
    exif[0x0112] = stated
    Image.fromarray(pixels).save(tmp_path / "in.png", exif=exif)
    Image.fromarray(pixels).save(tmp_path / "in.jpg", exif=exif, quality=98, subsampling=0)
    for name in ("in.png", "in.jpg"):
        shown = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / name)).convert("RGB")).astype(int)
        seen = Video(tmp_path / name).read().frames[0]
        assert seen.shape == shown.shape
        assert abs(seen - shown).max() < 8
