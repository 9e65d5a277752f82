"""Still pictures: luma changes, and what the format carries beside its samples stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from provenance.errors import CannotRead, CannotWrite, UsageError
from provenance.video import Video
from provenance.video.encoding import Encoding
from provenance.video.rewrite import foreseen, rewrite

WIDTH, HEIGHT = 240, 160
SUFFIXES = (".jpg", ".png", ".webp", ".avif", ".tif")
GPS, ORIENTATION, MAKER = 0x8825, 0x0112, 0x010F
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def picture() -> np.ndarray:
    """A smooth picture whose sides and corners differ."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    parts = (90 + x / 3, 60 + 60 * np.sin(x / 23) + y / 3, 150 - y / 4)
    return np.stack(parts, axis=-1).clip(30, 220).astype(np.uint8)


def exif(*, orientation: int = 1, place: bool = False) -> bytes:
    block = Image.Exif()
    block[MAKER], block[ORIENTATION] = "Maker", orientation
    if place:
        block.get_ifd(GPS)[1] = "N"
        block[GPS] = block.get_ifd(GPS)
    return block.tobytes()


def saved(path: Path, samples: np.ndarray | None = None, **options: Any) -> Path:
    Image.fromarray(picture() if samples is None else samples).save(path, **options)
    return path


def brighter(luma: np.ndarray, seconds: float, bit_depth: int) -> np.ndarray:
    return luma + 8


def rewritten(path: Path, change: Callable[..., np.ndarray] | None = brighter, **options: Any) -> Path:
    out = path.with_name(f"out{path.suffix}")
    rewrite(Video(path), out, change, **options)
    return out


def luma_gain(before: Path, after: Path) -> float:
    first, second = (next(Video(path).windows()).luma.astype(float) for path in (before, after))
    return float(np.mean(second - first))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_luma_changes_and_colour_stays(suffix: str, tmp_path: Path) -> None:
    source = saved(tmp_path / f"in{suffix}")
    out = rewritten(source)
    assert luma_gain(source, out) == pytest.approx(8, abs=0.7)
    before, after = (np.array(Image.open(path).convert("YCbCr"), np.int32)[..., 1:] for path in (source, out))
    assert np.abs(after - before).mean() < 1.0
    assert Image.open(out).format == Image.open(source).format


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_colour_profile_stays(suffix: str, tmp_path: Path) -> None:
    out = rewritten(saved(tmp_path / f"in{suffix}", icc_profile=PROFILE))
    assert Image.open(out).info["icc_profile"] == PROFILE


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif"])
def test_exif_stays_without_the_place(suffix: str, tmp_path: Path) -> None:
    source = saved(tmp_path / f"in{suffix}", exif=exif(place=True))
    kept = Image.open(rewritten(source, location=True)).getexif()
    assert (kept[MAKER], dict(kept.get_ifd(GPS))) == ("Maker", {1: "N"})
    bare = Image.open(rewritten(source, location=False)).getexif()
    assert (bare[MAKER], GPS in bare) == ("Maker", False)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif"])
@pytest.mark.parametrize("orientation", [3, 6, 7])
def test_changes_are_upright_and_the_orientation_stays(suffix: str, orientation: int, tmp_path: Path) -> None:
    source = saved(tmp_path / f"in{suffix}", exif=exif(orientation=orientation))
    top = np.zeros((0, 0))

    def darker_top(luma: np.ndarray, seconds: float, bit_depth: int) -> np.ndarray:
        nonlocal top
        top = luma.copy()
        top[: len(top) // 2] -= 12
        return top

    out = rewritten(source, darker_top)
    before, after = (next(Video(path).windows()).luma[0].astype(float) for path in (source, out))
    assert before.shape == after.shape == top.shape == ((WIDTH, HEIGHT) if orientation > 4 else (HEIGHT, WIDTH))
    half = len(top) // 2
    assert (after - before)[:half].mean() == pytest.approx(-12, abs=1.5)
    assert (after - before)[half:].mean() == pytest.approx(0, abs=1.5)
    assert Image.open(out).getexif()[ORIENTATION] == orientation


@pytest.mark.parametrize("suffix", [".png", ".webp", ".avif", ".tif"])
def test_transparency_stays(suffix: str, tmp_path: Path) -> None:
    clear = np.dstack([picture(), np.tile(np.arange(WIDTH, dtype=np.uint8), (HEIGHT, 1))])
    out = rewritten(saved(tmp_path / f"in{suffix}", clear))
    coded = 2 if suffix == ".avif" else 0  # which codes transparency like luma, with some loss
    np.testing.assert_allclose(np.array(Image.open(out), int)[..., 3], clear[..., 3], atol=coded)


def test_transparency_is_not_lost_in_a_format_without(tmp_path: Path) -> None:
    source = saved(tmp_path / "in.png", np.dstack([picture(), np.full((HEIGHT, WIDTH), 99, np.uint8)]))
    with pytest.raises(CannotWrite, match="shines through"):
        rewrite(Video(source), tmp_path / "out.jpg", brighter)


def test_jpeg_keeps_its_tables_sampling_and_segments(tmp_path: Path) -> None:
    source = saved(tmp_path / "in.jpg", quality=71, subsampling=1, progressive=True, comment=b"hello", dpi=(300, 300))
    before, after = Image.open(source), Image.open(rewritten(source))
    assert after.quantization == before.quantization
    assert [part[1:3] for part in after.layer] == [part[1:3] for part in before.layer]
    assert after.info["comment"] == b"hello"
    assert "progression" in after.info


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_grey_stays_grey(suffix: str, tmp_path: Path) -> None:
    out = rewritten(saved(tmp_path / f"in{suffix}", picture()[..., 0]))
    assert Image.open(out).mode == "L"


@pytest.mark.parametrize("channels", [3, 4])
def test_png_keeps_sixteen_bits(channels: int, tmp_path: Path) -> None:
    deep = np.dstack([picture(), np.full((HEIGHT, WIDTH), 200, np.uint8)]).astype(np.uint16)[..., :channels] * 256 + 77
    cv2.imwrite(str(tmp_path / "in.png"), deep)
    after = cv2.imread(str(rewritten(tmp_path / "in.png")), cv2.IMREAD_UNCHANGED)
    assert after is not None
    assert after.dtype == np.uint16
    gain = after.astype(int)[..., :3] - deep[..., :3]
    assert np.median(gain) == 8 * 257
    assert foreseen(Video(tmp_path / "in.png"), tmp_path / "out.png", changes=True) == ()


def test_png_keeps_its_texts_and_resolution(tmp_path: Path) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Author", "Somebody")
    texts.add_itxt("Title", "Übergang")
    source = saved(tmp_path / "in.png", pnginfo=texts, dpi=(300, 300))
    after: Any = Image.open(rewritten(source))
    after.load()
    assert after.text == {"Author": "Somebody", "Title": "Übergang"}
    assert after.info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_tiff_keeps_its_tags_and_compression(tmp_path: Path) -> None:
    source = saved(tmp_path / "in.tif", compression="tiff_lzw", description="A walk", artist="Somebody")
    after: Any = Image.open(rewritten(source))
    assert (after.tag_v2[270], after.tag_v2[315], after.info["compression"]) == ("A walk", "Somebody", "tiff_lzw")


@pytest.mark.parametrize(
    ("name", "words"),
    [("in.tif", "16 bits are converted"), ("palette.png", "from a palette")],
)
def test_what_changes_is_foreseen(name: str, words: str, tmp_path: Path) -> None:
    if name == "in.tif":
        cv2.imwrite(str(tmp_path / name), picture().astype(np.uint16) * 257)
    else:
        Image.fromarray(picture()).quantize(64).save(tmp_path / name)
    out = tmp_path / f"out{Path(name).suffix}"
    notes = foreseen(Video(tmp_path / name), out, changes=True)
    assert [words in note for note in notes] == [True]
    assert not out.exists()
    assert rewrite(Video(tmp_path / name), out, brighter).dropped == notes


def test_another_format_is_said(tmp_path: Path) -> None:
    source = saved(tmp_path / "in.png", icc_profile=PROFILE)
    report = rewrite(Video(source), tmp_path / "out.webp", brighter)
    assert "converted from PNG to WEBP" in report.dropped[0]
    assert Image.open(tmp_path / "out.webp").info["icc_profile"] == PROFILE


def test_nothing_to_change_is_a_copy(tmp_path: Path) -> None:
    source = saved(tmp_path / "in.png", exif=exif())
    assert rewritten(source, None).read_bytes() == source.read_bytes()


def test_inks_are_refused(tmp_path: Path) -> None:
    Image.fromarray(picture()).convert("CMYK").save(tmp_path / "in.jpg")
    with pytest.raises(CannotWrite, match="CMYK"):
        foreseen(Video(tmp_path / "in.jpg"), tmp_path / "out.jpg", changes=True)


def test_an_animation_is_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.roll(picture(), 9 * turn, axis=1)) for turn in range(3)]
    frames[0].save(tmp_path / "in.png", save_all=True, append_images=frames[1:])
    with pytest.raises(CannotRead, match="animation"):
        foreseen(Video(tmp_path / "in.png"), tmp_path / "out.png", changes=True)


def test_a_codec_for_a_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="suffix"):
        rewrite(Video(saved(tmp_path / "in.jpg")), tmp_path / "out.jpg", brighter, encoding=Encoding("libx264"))


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_video_does_not_fit_into_a_picture(suffix: str, tmp_path: Path, make_video: Callable[..., Path]) -> None:
    with pytest.raises(CannotWrite, match="cannot hold a video"):
        rewrite(Video(make_video(tmp_path / "clip.mp4")), tmp_path / f"out{suffix}", brighter)
