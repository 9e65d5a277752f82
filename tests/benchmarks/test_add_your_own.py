"""docs/add-your-own.md does what it says: its program and its commands are taken from the page and run."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.commands import CommandDetector, CommandMark
from benchmarks.entry_points import WATERMARKS, JoinedMark, names
from benchmarks.marks import Mark, bench_key, bench_message, mark_named
from provenance.video import Clip
from provenance.watermarks.payload import Origin

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/add-your-own.md").read_text(encoding="utf-8")
KEY = bench_key(0)


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.S)
    return str(found)


def options() -> dict[str, str]:
    words = [word for line in block("sh").splitlines() for word in shlex.split(line)]
    return {word: words[place + 1] for place, word in enumerate(words) if word.startswith("--")}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path with the page's program, and what pip would write of a package that names it."""
    (tmp_path / "lsb.py").write_text(block("python"))
    (point,) = re.findall(r'`([\w-]+ = "[\w:]+")`', PAGE)
    record = tmp_path / "lsb-1.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: lsb\nVersion: 1\n")
    (record / "entry_points.txt").write_text(f"[{WATERMARKS}]\n{point.replace(chr(34), '')}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    yield tmp_path
    sys.modules.pop("lsb", None)


def read_back(mark: Mark) -> None:
    clip = Clip.at_rate(np.random.default_rng(0).integers(0, 256, (3, 64, 96, 3), np.uint8), 24)
    message = bench_message(mark, 7, Origin.CAPTURED)
    marked = mark.embed(clip, message, KEY)
    assert not np.array_equal(marked.frames, clip.frames)
    assert mark.read(marked, KEY, message).message == message
    assert mark.read(marked, KEY, message).bits_right == 64
    assert mark.read(clip, KEY, message).message != message


def test_the_page_has_fewer_than_thirty_lines() -> None:
    assert len(PAGE.splitlines()) < 30


def test_the_program_works_by_its_command_lines(site: Path) -> None:
    python, script = shlex.quote(sys.executable), shlex.quote(str(site / "lsb.py"))
    lines = [options()[name].replace("python lsb.py", f"{python} {script}") for name in ("--embed", "--read")]
    assert all(script in line for line in lines)
    read_back(CommandMark(*lines))


def test_the_program_works_by_its_entry_point(site: Path) -> None:
    (name,) = re.findall(r"--watermarks ([\w-]+)`", PAGE)
    assert name in names(WATERMARKS)
    mark = mark_named(name)
    assert isinstance(mark, JoinedMark)
    read_back(mark)


def test_the_detector_s_line_is_one(tmp_path: Path) -> None:
    assert CommandDetector(options()["--command"]).name == "command"
