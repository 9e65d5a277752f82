"""Experiments can see what they look for: a planted difference, a repeated frame, a command that fails."""

import numpy as np
import pytest

from benchmarks.experiments.latent_noise import (
    _between_clips,
    _between_frames,
    _linear_hits,
    _noises,
    _plain,
    _root,
    measure_noise,
    noise_report,
)
from benchmarks.experiments.speed import speed_report, timed
from benchmarks.experiments.speed_watermark import ARMS, MARKING, READINGS, UNMARKED, measure_watermark
from benchmarks.runs import Task

SHAPE = (4, 2, 16, 16)


def test_the_linear_classifier_finds_a_planted_mean_and_nothing_in_plain_noise():
    random = np.random.default_rng(0)
    shift = 0.15 * random.standard_normal(2048).astype(np.float32)
    planted = _linear_hits(
        [_plain(SHAPE, 200, random) + shift, _plain(SHAPE, 200, random)],
        [_plain(SHAPE, 100, random) + shift, _plain(SHAPE, 100, random)],
    )
    nothing = _linear_hits(*([_plain(SHAPE, count, random), _plain(SHAPE, count, random)] for count in (200, 100)))
    assert planted > 180
    assert 70 <= nothing <= 130


def test_marked_noise_has_the_moments_of_plain_noise():
    noises = _noises(SHAPE, 40, np.random.default_rng(1))
    assert noises.shape == (40, 2048)
    assert abs(noises.mean()) < 0.02
    assert noises.std() == pytest.approx(1, abs=0.02)


def test_correlations_of_noise_are_near_one_and_of_copies_are_not():
    plain = _plain(SHAPE, 60, np.random.default_rng(2)).reshape(60, *SHAPE)
    copied = np.repeat(plain[:, :, :1], 2, axis=2)
    twins = np.repeat(plain[:30], 2, axis=0)
    for squares in (_between_frames(plain), _between_clips(plain)):
        assert _root(squares)[0] == pytest.approx(1, abs=0.3)
    assert _root(_between_frames(copied))[0] == pytest.approx(np.sqrt(4 * 16 * 16))
    assert _root(_between_clips(twins))[0] == pytest.approx(np.sqrt(2048))


@pytest.mark.slow
def test_the_noise_experiment_reports_what_it_measured():
    task = Task("noise/correlation", ("correlation",), {"shape": list(SHAPE), "training": 1, "test": 1}, seed=3)
    (row,) = measure_noise(task)
    assert row["plain/frames"][0] == pytest.approx(1, abs=0.15)
    report = noise_report([{"task": "t", "of": 1, **row}], {"shape": SHAPE})
    assert len(report.tables[0].rows) == 6


class TestTiming:
    def test_counts_the_processor_time_and_memory_of_workers_too(self, tmp_path):
        inner = "x = bytearray(200 << 20); x[::4096] = x[::4096]"
        row = timed([f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"], tmp_path)
        assert row["peak_mib"] > 190
        assert row["wall_seconds"] > 0

    def test_a_command_that_fails_is_no_measurement(self, tmp_path):
        with pytest.raises(ValueError, match="3"):
            timed(["raise SystemExit(3)"], tmp_path)

    def test_the_report_compares_signing_with_the_transcode(self):
        rows = [
            {"arm": arm, "wall_seconds": 1.0, "cpu_seconds": cpu, "peak_mib": 100.0, "clip_seconds": 10}
            for arm, cpu in (("transcode", 2.0), ("sign", 3.0), ("sign", 3.5), ("sign", 9.0))
        ]
        report = speed_report(rows, {"short_seconds": 10, "long_seconds": 600})
        assert any("1.75 times" in sentence for sentence in report.summary)

    @pytest.mark.parametrize("arm", [MARKING, next(iter(READINGS)), UNMARKED])
    def test_the_watermark_by_itself_is_marked_and_read_as_it_should_be(self, arm):
        row = measure_watermark(arm, seconds=1.0)
        assert row["cpu_seconds"] > 0
        assert row["clip_seconds"] == 1.0

    def test_the_watermark_by_itself_has_a_table_of_its_own(self):
        row = {"wall_seconds": 1.0, "cpu_seconds": 2.0, "clip_seconds": 10, "frames_per_cpu_second": 120.0}
        (table,) = speed_report(
            [{"arm": arm, **row} for arm in ARMS], {"short_seconds": 10, "long_seconds": 600}
        ).tables
        assert [line[0] for line in table.rows] == list(ARMS)
