"""What the commands cost: the report holds signing against the same transcode, and shows no empty table."""

from pathlib import Path

import pytest

from benchmarks.experiments.speed import run_speed, speed_report
from provenance.errors import UnknownName

SETTINGS = {"short_seconds": 10, "long_seconds": 600}


def command(arm: str, seconds: float) -> dict:
    return {"arm": arm, "wall_seconds": seconds, "cpu_seconds": 2 * seconds, "peak_mib": 300.0}


def test_signing_is_held_against_the_same_transcode() -> None:
    length = "60 s of 720 lines"
    rows = [command(f"transcode {length}", 10), command(f"sign {length}", 14)]
    rows.append(command(f"sign {length}, strength given", 12.5))
    said = speed_report(rows, SETTINGS).summary
    assert [line for line in said if "Signing" in line] == [
        f"Signing {length} takes 1.40 times the processor time of the same transcode without watermark, 1.40 times by "
        "the clock.",
        f"Signing {length}, strength given takes 1.25 times the processor time of the same transcode without "
        "watermark, 1.25 times by the clock.",
    ]


def test_a_table_without_rows_is_left_out() -> None:
    alone = {"arm": "mark, one thread", "wall_seconds": 2.0, "cpu_seconds": 2.0, "frames_per_cpu_second": 120.0}
    assert [table.title for table in speed_report([alone], SETTINGS).tables] == [
        "The pixel watermark by itself, frames in memory"
    ]
    assert [table.title for table in speed_report([command("help", 0.1)], SETTINGS).tables] == [
        "What the commands cost"
    ]


def test_an_arm_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownName):
        run_speed(tmp_path / "out", arms=["hop"])
