"""Still pictures: luma changes, and what the format carries beside its samples stays."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFile, ImageOps, PngImagePlugin

from provenance.errors import CannotRead, CannotWrite, UsageError
from provenance.video import Video, still
from provenance.video.encoding import Encoding
from provenance.video.orientation import _exif_orientation
from provenance.video.places import without_place, without_place_in_exif
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


def shown(path: Path) -> np.ndarray:
    """A picture as viewers show it."""
    with Image.open(path) as opened:
        return np.array(ImageOps.exif_transpose(opened).convert("RGB"), int)


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


@pytest.mark.parametrize("suffix", SUFFIXES)
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
    assert Image.open(out).getexif().get(ORIENTATION, 1) == (1 if suffix == ".tif" else orientation)
    assert np.abs(shown(out)[half:] - shown(source)[half:]).mean() < 1.5


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
    before: Any = Image.open(source)
    after: Any = Image.open(rewritten(source))
    assert after.quantization == before.quantization
    assert [part[1:3] for part in after.layer] == [part[1:3] for part in before.layer]
    assert after.info["comment"] == b"hello"
    assert "progression" in after.info
    assert after.info["dpi"] == (300, 300)


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


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def with_chunks(path: Path, *chunks: bytes) -> Path:
    """A PNG file with more chunks behind its header."""
    data = path.read_bytes()
    path.write_bytes(data[:33] + b"".join(chunks) + data[33:])
    return path


PLACE_TEXTS = {
    "zTXt profile": chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n 4\n4d4d\n")),
    "tEXt profile": chunk(b"tEXt", b"Raw profile type APP1\0\ngeneric profile\n 4\n4d4d\n"),
    "packed iTXt": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0en\0\0" + zlib.compress(b"exif:GPSLatitude" * 9)),
    "packed zTXt": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"GPS 1 2 " * 9)),
    "damaged zTXt": chunk(b"zTXt", b"Comment\0\0nothing that unpacks"),
}


@pytest.mark.parametrize("name", PLACE_TEXTS)
def test_png_texts_of_a_place_are_left_out(name: str, tmp_path: Path) -> None:
    source = with_chunks(saved(tmp_path / "in.png"), PLACE_TEXTS[name], chunk(b"tEXt", b"Author\0Somebody"))
    bare = rewritten(source, location=False).read_bytes()
    assert (PLACE_TEXTS[name] in bare, b"Somebody" in bare) == (False, True)
    assert PLACE_TEXTS[name] in rewritten(source, location=True).read_bytes()


def test_png_texts_without_a_place_stay_packed(tmp_path: Path) -> None:
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"a walk in the woods"))
    out = rewritten(with_chunks(saved(tmp_path / "in.png"), text), location=False)
    assert text in out.read_bytes()


def test_png_chunks_that_depend_on_the_samples_are_left_out(tmp_path: Path) -> None:
    unsafe, safe, time = chunk(b"abCD", b"unsafe"), chunk(b"abCd", b"safe"), chunk(b"tIME", bytes(7))
    data = rewritten(with_chunks(saved(tmp_path / "in.png"), unsafe, safe, time)).read_bytes()
    assert (unsafe in data, safe in data, time in data) == (False, True, True)


def test_what_lies_behind_the_end_of_a_png_file_is_left_out(tmp_path: Path) -> None:
    source = saved(tmp_path / "in.png")
    source.write_bytes(source.read_bytes() + chunk(b"tEXt", b"Comment\0cropped"))
    assert b"cropped" not in rewritten(source).read_bytes()


@pytest.mark.parametrize("depth", [8, 16])
def test_a_clear_grey_of_png_stays_clear(depth: int, tmp_path: Path) -> None:
    grey = picture()[..., 0] if depth == 8 else picture()[..., 0].astype(np.uint16) * 257
    grey[:20] = 7
    cv2.imwrite(str(tmp_path / "in.png"), grey)
    source = with_chunks(tmp_path / "in.png", chunk(b"tRNS", b"\0\7"))
    after = cv2.imread(str(rewritten(source)), cv2.IMREAD_UNCHANGED)
    assert after is not None
    assert after.dtype == grey.dtype
    np.testing.assert_array_equal(after[..., 3] == 0, grey == 7)


def test_a_profile_of_grey_leaves_with_the_grey(tmp_path: Path) -> None:
    clear = Image.fromarray(picture()).convert("LA")
    clear.putalpha(128)
    clear.save(tmp_path / "in.png", icc_profile=PROFILE)
    notes = foreseen(Video(tmp_path / "in.png"), tmp_path / "out.png", changes=True)
    assert [note for note in notes if "one for grey" in note]
    after = Image.open(rewritten(tmp_path / "in.png"))
    assert ("icc_profile" in after.info, after.mode) == (False, "RGBA")


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_grey_with_transparency_is_said_to_become_colours(tmp_path: Path, suffix: str) -> None:
    clear = Image.fromarray(picture()).convert("LA")
    clear.putalpha(128)
    clear.save(tmp_path / f"in{suffix}")
    notes = foreseen(Video(tmp_path / f"in{suffix}"), tmp_path / f"out{suffix}", changes=True)
    assert any("grey with transparency is converted" in note for note in notes)


def test_wide_colours_of_avif_are_refused_and_not_called_srgb(tmp_path: Path) -> None:
    Image.fromarray(picture()).save(tmp_path / "in.avif", icc_profile=None)
    data = (tmp_path / "in.avif").read_bytes()
    place = data.index(b"colrnclx") + 8
    (tmp_path / "in.avif").write_bytes(data[:place] + struct.pack(">HH", 9, 16) + data[place + 4 :])
    with pytest.raises(CannotWrite, match="not those of sRGB"):
        still.foreseen(Video(tmp_path / "in.avif").info, tmp_path / "out.avif")


def test_extended_xmp_and_segments_behind_fill_bytes_lose_the_place(tmp_path: Path) -> None:
    plain = saved(tmp_path / "in.jpg", exif=exif(place=True)).read_bytes()
    more = segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + bytes(40) + b"exif:GP")
    filled = plain[:2] + more + b"\xff\xff" + plain[2:]
    bare = without_place(filled)
    assert more not in bare
    assert GPS not in Image.open(BytesIO(bare)).getexif()
    (tmp_path / "in.jpg").write_bytes(filled)
    kept = Image.open(rewritten(tmp_path / "in.jpg", location=False)).getexif()
    assert (kept[MAKER], GPS in kept) == ("Maker", False)


@pytest.mark.parametrize(
    "error", [struct.error, TypeError, AttributeError, IndexError, OverflowError, ZeroDivisionError]
)
def test_hostile_exif_is_left_out(error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = saved(tmp_path / "in.jpg", exif=exif(place=True))

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(Image.Exif, "tobytes", fail)
    assert without_place_in_exif(exif_of(source)) == b""


def exif_of(path: Path) -> bytes:
    with Image.open(path) as opened:
        return bytes(opened.info["exif"])


@pytest.mark.parametrize("stated", [(), (6, 6), None, "up", float("inf")])
def test_an_orientation_that_is_no_number_is_none(
    stated: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = saved(tmp_path / "in.jpg")
    monkeypatch.setattr(Image.Image, "getexif", lambda _: {ORIENTATION: stated})
    assert _exif_orientation(source) == 1


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif"])
def test_what_becomes_tiff_is_turned_upright(suffix: str, tmp_path: Path) -> None:
    source, out = saved(tmp_path / f"in{suffix}", exif=exif(orientation=6)), tmp_path / "out.tif"
    notes = rewrite(Video(source), out, brighter).dropped
    assert "Exif and XMP are not kept in TIFF" in notes
    assert shown(out).shape == (WIDTH, HEIGHT, 3)
    assert (shown(out) - shown(source)).mean() == pytest.approx(8, abs=1)
    assert Image.open(out).getexif().get(ORIENTATION, 1) == 1


def test_jpeg_of_red_green_and_blue_stays_so(tmp_path: Path) -> None:
    block = Image.Exif()
    block[0x011A], block[0x0128] = 300.0, 2  # a resolution, which must not become one in a head of JFIF
    source = saved(tmp_path / "in.jpg", quality=95, keep_rgb=True, exif=block.tobytes())
    before: Any = Image.open(source)
    after: Any = Image.open(rewritten(source))
    assert [part[0] for part in after.layer] == [*b"RGB"]
    assert (np.array(after, int) - np.array(before, int)).mean() == pytest.approx(8, abs=0.7)


@pytest.mark.parametrize("progressive", [False, True])
def test_noisy_jpeg_of_the_best_quality_is_written(
    progressive: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (600, 800, 3)).astype(np.uint8)
    source = saved(tmp_path / "in.jpg", noise, quality=100, subsampling=0)
    if progressive:
        with monkeypatch.context() as patched:
            patched.setattr(ImageFile, "MAXBLOCK", 1 << 23)
            saved(source, noise, quality=100, subsampling=0, progressive=True)
    after = Image.open(rewritten(source))
    assert after.size == (800, 600)
    assert ("progression" in after.info) == progressive


def test_chroma_of_half_the_lines_is_sampled_anew_and_that_is_said(tmp_path: Path) -> None:
    source = saved(tmp_path / "in.jpg", subsampling=1)
    data = bytearray(source.read_bytes())
    sampling = data.index(b"\xff\xc0") + 11
    assert data[sampling] == 0x21
    data[sampling] = 0x12  # as many blocks, which now stand elsewhere
    source.write_bytes(data)
    assert still.foreseen(Video(source).info, tmp_path / "out.jpg").notes == ("chroma is sampled anew",)
    assert luma_gain(source, rewritten(source)) == pytest.approx(8, abs=0.7)


def test_what_follows_a_jpeg_picture_is_foreseen(tmp_path: Path) -> None:
    source = saved(tmp_path / "in.jpg")
    assert still.foreseen(Video(source).info, tmp_path / "out.jpg").notes == ()
    source.write_bytes(source.read_bytes() + b"\0\0\0\x18ftypmp42")
    assert "follows the picture" in still.foreseen(Video(source).info, tmp_path / "out.jpg").notes[0]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif"])
def test_a_place_that_goes_is_foreseen(suffix: str, tmp_path: Path) -> None:
    for name, place in (("with", True), ("without", False)):
        info = Video(saved(tmp_path / f"{name}{suffix}", exif=exif(place=place))).info
        notes = still.foreseen(info, tmp_path / f"out{suffix}", location=False).notes
        assert ["--keep-location" in note for note in notes] == [True] * place
        assert still.foreseen(info, tmp_path / f"out{suffix}").notes == ()


def test_png_does_not_keep_xmp_and_says_so(tmp_path: Path) -> None:
    info = Video(saved(tmp_path / "in.jpg", xmp=b"<x:xmpmeta/>")).info
    notes = still.foreseen(info, tmp_path / "out.png").notes
    assert "only Exif and the colour profile are kept of what the picture says about itself" in notes


@pytest.mark.parametrize(("exact", "chunk_kind"), [(True, b"VP8L"), (False, b"VP8 ")])
def test_webp_without_loss_stays_without(exact: bool, chunk_kind: bytes, tmp_path: Path) -> None:
    source = saved(tmp_path / "in.webp", lossless=exact, icc_profile=PROFILE)
    assert chunk_kind in rewritten(source).read_bytes()


def test_several_pages_are_said(tmp_path: Path) -> None:
    pages = [Image.fromarray(np.roll(picture(), 9 * turn, axis=1)) for turn in range(2)]
    pages[0].save(tmp_path / "in.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(CannotRead, match="several pages"):
        still.foreseen(Video(tmp_path / "in.tif").info, tmp_path / "out.tif")


def test_black_and_white_becomes_grey(tmp_path: Path) -> None:
    source = tmp_path / "in.tif"
    Image.fromarray(picture()).convert("1").save(source, compression="group4")
    assert "converted from black and white to grey" in still.foreseen(Video(source).info, tmp_path / "out.tif").notes
    after = Image.open(rewritten(source))
    assert (after.mode, after.info["compression"]) == ("L", "tiff_lzw")


def test_the_format_is_told_by_the_content(tmp_path: Path) -> None:
    source = saved(tmp_path / "in.png", format="JPEG")
    assert still.is_of_format(source, tmp_path / "out.jpg")
    assert not still.is_of_format(source, tmp_path / "out.png")
    assert not still.is_of_format(source, tmp_path / "out.mp4")
    (tmp_path / "in.png").write_bytes(b"nothing")
    assert not still.is_of_format(source, tmp_path / "out.png")
