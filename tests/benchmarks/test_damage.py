"""Broken files are broken for certain, and whoever examines them gets a report or one clear line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.experiments.damage import DAMAGES, damage_report, run_damage


@pytest.mark.parametrize("kind", DAMAGES)
def test_every_kind_of_damage_damages(kind: str) -> None:
    whole = bytes(np.random.default_rng(0).integers(1, 256, 5000, dtype=np.uint8))
    assert bytes(DAMAGES[kind](bytearray(whole), np.random.default_rng(1))) != whole


def test_damaged_files_end_in_a_report_or_a_clear_line(tmp_path: Path) -> None:
    ends = run_damage(tmp_path / "out", files=40, seed=3).results["ends"]
    assert ends["report"] + ends["clear error"] == 40
    assert ends["report"] > 0 < ends["clear error"]


def test_what_ends_badly_is_shown() -> None:
    row = {"report": 1, "clear error": 0, "worker ended": 0, "traceback": 1, "hang": 0, "leftover": 0}
    report = damage_report([row | {"said": ["zeros, .mp4: KeyError: 1"], "most_seconds": 0.1}], {"files": 2})
    assert report.results["ends"]["traceback"] == 1
    assert "KeyError" in str(report.tables[1])
