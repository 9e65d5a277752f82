"""Reports for people: nothing from a file can do harm there, and everything that was found can be seen."""

from __future__ import annotations

import html.parser
import io
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from countermark.report import lines_of, printable, show, show_table, write_page
from countermark.report.glossary import FINDINGS, GRADES
from countermark.report.lines import below
from countermark.report.page import Picture
from countermark.report.pictures import watermark_pictures
from countermark.report.timeline import timeline_of
from provenance.evidence import (
    ChannelScore,
    CredentialsEvidence,
    DetectorEvidence,
    Evidence,
    FingerprintEvidence,
    FingerprintMatch,
    SignerEvidence,
    WatermarkEvidence,
)
from provenance.examination import NotExamined
from provenance.keys import PUBLIC
from provenance.verdict import judge
from provenance.verify import Report

HOSTILE = "<script>alert(1)</script>\x1b[31m\u202eevil\u2066"
EVIDENCE: tuple[Evidence, ...] = (
    CredentialsEvidence(
        "intact",
        SignerEvidence(HOSTILE, "own", "own list"),
        ai="whole",
        origin="generated",
        time="2026-01-01T00:00:00Z",
        history=(HOSTILE,),
        manifest="urn:c2pa:1",
        title=HOSTILE,
    ),
    WatermarkEvidence(
        "pixel-watermark", "public", True, 0x2FEDCBA987654321, "generated", -31.2, ((0.0, 2.0),), ((0.0, 4.0),)
    ),
    WatermarkEvidence("pixel-watermark", "home", False, log10_p=-0.2),
    WatermarkEvidence("pixel-watermark", "press", False, log10_p=-1.2),
    WatermarkEvidence("latent-watermark", reason="no key"),
    FingerprintEvidence((FingerprintMatch("urn:c2pa:1", 3),)),
    DetectorEvidence(
        "scored", 1.9, 0.87, (ChannelScore("motion", 1.2),), ((0.0, 1.0, 1.7), (1.0, 2.0, -0.4)), (HOSTILE,)
    ),
)


def picture(side: int = 64) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((side, side, 3), 120, np.uint8)).save(stream, "JPEG")
    return stream.getvalue()


def report_of(evidence: tuple[Evidence, ...], file: str = "clip.mp4") -> Report:
    judged, verdict = judge(evidence)
    return Report(
        file=file,
        sha256="ab" * 32,
        verdict=verdict,
        evidence=judged,
        not_examined=(NotExamined("sound", "no check listens"),),
        warnings=(HOSTILE,),
        tool={"version": "1", "trust_lists": {"own": HOSTILE}, "keys": ["public"]},
        keyframes=((0.5, picture()), (1.5, picture())),
    )


@pytest.fixture
def page(tmp_path: Path) -> Path:
    report = report_of(EVIDENCE, f"folder/{HOSTILE.replace('/', '')}.mp4")
    write_page(
        tmp_path / "report.html",
        [report, report_of(())],
        pictures={report.file: [Picture(picture(), HOSTILE)]},
        unread=[("bad.mp4", HOSTILE)],
    )
    return tmp_path / "report.html"


class Elements(html.parser.HTMLParser):
    """Collects tags, and addresses that a browser would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


def test_the_page_stands_alone_and_runs_nothing(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    found = Elements(text)
    assert not {"script", "iframe", "object", "embed", "link", "form", "base"} & found.tags
    assert not found.handlers
    assert all(address.startswith(("data:image/", "#")) for address in found.addresses)
    assert "url(" not in text
    assert "Content-Security-Policy" in text


def test_no_string_from_a_file_reaches_the_page_as_it_was(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "<script>alert" not in text
    visible = re.sub(r"<pre>.*?</pre>", "", text, flags=re.S)
    assert not [c for c in visible if c in "\x1b\u202e\u2066"]


def test_the_page_shows_verdict_evidence_pictures_and_timeline(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "urn:c2pa:1" in text
    assert "2fedcba987654321" in text
    assert text.count("data:image/jpeg") >= 3
    assert 'class="track score"' in text
    assert "sound (no check listens)" in text
    assert "bad.mp4" in text


def test_every_finding_and_grade_is_explained() -> None:
    from typing import get_args

    from provenance.verdict import Finding, Grade

    assert set(FINDINGS) == set(get_args(Finding))
    assert set(GRADES) == set(get_args(Grade))
    assert not [text for text in (*FINDINGS.values(), *GRADES.values()) if re.search(r"\b(real|fake)\b", text.lower())]


def test_the_terminal_never_receives_control_characters() -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=200, force_terminal=False)
    show(console, report_of(EVIDENCE, HOSTILE), details=True)
    show_table(console, [report_of(EVIDENCE, HOSTILE)])
    said = stream.getvalue()
    assert not [c for c in said if c in "\x1b\u202e\u2066"]
    assert "<script>alert(1)</script>" in said  # shown as text, not taken for markup


def test_text_is_cut_and_cleaned() -> None:
    assert printable("a\x00b\u200bc\nd") == "abc d"
    assert len(printable("x" * 1000, 40)) == 40


def test_keys_under_which_nothing_was_found_share_a_line() -> None:
    judged, _ = judge(EVIDENCE)
    texts = [line.text for line in lines_of(judged) if line.label == "pixel watermark"]
    assert len(texts) == 2
    assert "“home”" in texts[1]
    assert "“press”" in texts[1]


@pytest.mark.parametrize(("log10_p", "said"), [(-31.2, "below 10⁻³¹"), (-9.0, "below 10⁻⁹"), (-1.0, "0.1"), (0.0, "1")])
def test_chances_are_worded_as_bounds_that_hold(log10_p: float, said: str) -> None:
    assert below(log10_p) == said


def test_bars_of_the_timeline_stay_on_their_track() -> None:
    judged, _ = judge(EVIDENCE)
    timeline = timeline_of(judged, 4.0)
    assert timeline is not None
    bars = [bar for row in timeline.rows for bar in row.bars]
    assert all(0 <= bar.left <= 100 and -1 <= bar.level <= 1 for bar in bars)
    assert timeline_of((), 4.0) is None
    assert timeline_of(judged, 0.0) is None


def test_the_watermark_is_drawn_for_its_id_and_key() -> None:
    stream = PUBLIC.stream("pixel/1")
    pattern, over = watermark_pictures(stream, 1, picture())
    other, _ = watermark_pictures(stream, 2, picture())
    assert pattern.data != other.data
    assert np.asarray(Image.open(io.BytesIO(pattern.data))).std() > 10
    assert Image.open(io.BytesIO(over.data)).size == (640, 640)


@pytest.mark.slow
@pytest.mark.chromium
def test_a_browser_shows_the_page(page: Path, tmp_path: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        promised = "chromium" in os.environ.get("COUNTERMARK_PROMISED", "")
        (pytest.fail if promised else pytest.skip)("needs Debian's chromium")
    shot = tmp_path / "shot.png"
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=900,1400"]
    subprocess.run(
        [chromium, *options, f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={shot}", page.as_uri()],
        check=True,
        capture_output=True,
        timeout=120,
    )
    pixels = np.asarray(Image.open(shot).convert("L"))
    assert pixels.shape == (1400, 900)
    assert 0.02 < (pixels < 128).mean() < 0.6  # ink on paper: neither blank nor black
