"""Odd videos: read as FFmpeg shows them, and signed with nothing lost that is not said.

FFmpeg's command line makes them and is the judge; without it these tests skip, except where it was promised.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks.experiments.media import FACTS, compared, media_report, reading, signing
from benchmarks.media import CASES, MediaCase, chosen

QUICK = (
    *("mov", "mkv", "webm", "edit-list-cut", "rotation-90", "rotation-mirrored", "odd-size", "hdr10", "cover-art"),
    *("edit-list-mid-cut", "mp4-two-mdat", "pulldown"),
)
REFUSED = {"webp-animated", "alpha-vp9", "alpha-animation"}
"""Cases that are refused in one line: nothing here decodes the one, or keeps the transparency of the others."""


@pytest.fixture(autouse=True)
def _ffmpeg() -> None:
    if shutil.which("ffmpeg") is None:
        assert "ffmpeg" not in os.environ.get("COUNTERMARK_PROMISED", ""), "ffmpeg was promised"
        pytest.skip("FFmpeg's command line is not installed")


def test_every_case_has_a_name_of_its_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES) > 150


@pytest.mark.parametrize("name", QUICK)
def test_what_is_read_is_what_a_player_shows(name: str, tmp_path: Path) -> None:
    (case,) = chosen([name])
    row = reading(case.make(tmp_path))
    assert (row["frames_equal"], row["times_equal"], row["pictures_equal"]) == (True, True, True), row


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if case.name not in REFUSED], ids=lambda case: case.name)
def test_signing_changes_the_luma_and_says_what_else(case: MediaCase, tmp_path: Path) -> None:
    source = case.make(tmp_path)
    read, signed = reading(source), signing(source, tmp_path, watermark=case.watermark)
    assert (read["frames_equal"], read["times_equal"], read["pictures_equal"]) == (True, True, True), read
    assert [fact.name for fact in FACTS if signed[fact.name] == "lost"] == [], signed
    assert (signed["watermark"], signed["credentials"]) == (True, True), signed


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_cannot_be_kept_is_refused_by_name(name: str, tmp_path: Path) -> None:
    (case,) = chosen([name])
    row = signing(case.make(tmp_path), tmp_path)
    assert len(row["refused"]) == 3
    assert all("animated WebP" in line or "shines through" in line for line in row["refused"])
    assert list(tmp_path.glob("signed*")) == []


def test_a_change_without_a_word_is_called_lost() -> None:
    before: dict[str, Any] = {
        "main": {"codec_name": "h264", "width": 8, "height": 8},
        "others": [],
        "frames": [{"pts_time": "0"}],
        "packets": {"audio": ["one"]},
        "format": {"tags": {"title": "A walk"}},
        "chapters": [],
    }
    after = before | {"packets": {}, "format": {}}

    class Said:
        warnings = ("audio track 1 left out",)

    row = compared(before, after, Said())  # type: ignore[arg-type]
    assert (row["sound"], row["tags"], row["codec"]) == ("said", "lost", "kept")


def test_no_cell_is_silently_absent() -> None:
    rows = [
        {"task": "one", "arm": "read", "error": "ValueError: no"},
        {"task": "one", "arm": "sign", "refused": [".mp4: no"]},
        {"task": "one", "arm": "size"},
    ]
    (line,) = media_report(rows, {"ffmpeg": "7"}).tables[0].rows
    assert line[:7] == ("one", "failed", "failed", "failed", "refused", "refused", "refused")
