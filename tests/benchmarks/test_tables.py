"""The report on watermarks: who leads and by what right, what is missing, and what failed."""

import re

import pytest

from benchmarks.board import BITS, EXACT, SEEN, SEEN_LOOSER, SURE, leader, standing
from benchmarks.cells import Cells, family_of
from benchmarks.pooling import PooledRate, pooled_mean
from benchmarks.report import html, markdown
from benchmarks.tables import heat_map, watermark_report
from tests.benchmarks.made_rows import CHAINS, made_rows

SETTINGS = {"suite": "standard", "videos": "scenes:24", "chains": list(CHAINS), "watermarks": ["pixel", "dwtDctSvd"]}
SMALL = ("none", "x264:28", "x264:40", "crop:0.71", "flip")


def report(rows, **settings):
    return watermark_report(rows, {**SETTINGS, **settings})


@pytest.mark.parametrize(
    ("chain", "family"),
    [("none", "none"), ("x264:28", "codec"), ("x265-10bit:28+x264:28", "codec"), ("crop:.9+x264:28", "chains"),
     ("youtube", "chains"), ("drop:.2", "temporal"), ("no-such-attack:1", "other")],
)  # fmt: skip
def test_a_chain_belongs_to_the_family_of_all_its_steps(chain, family):
    assert family_of(chain) == family


class TestBoard:
    def rows(self, **exact):
        """Two watermarks on 12 clips of 12 sources after one chain: `exact` says how many ids each gets right."""
        return {
            mark: Cells.of(
                {"task": f"{mark}/{n}", "arm": "marked/x264:28", "exact": n < hits, "found": n < hits, "source": str(n)}
                for n in range(12)
            ).all_of(mark)
            for mark, hits in exact.items()
        }

    def test_the_best_is_named_only_when_the_paired_difference_is_beyond_noise(self):
        assert leader(EXACT, self.rows(a=12, b=2)) == "a"
        assert leader(EXACT, self.rows(a=12, b=11)) is None
        assert leader(EXACT, self.rows(a=12)) is None

    def test_ahead_means_of_every_other(self):
        assert leader(EXACT, self.rows(a=12, b=2, c=12)) is None

    def test_too_few_sources_name_nobody(self):
        few = {mark: [row for row in rows if int(row["clip"]) < 5] for mark, rows in self.rows(a=12, b=0).items()}
        assert leader(EXACT, few) is None

    def test_a_failed_trial_is_a_miss_and_lowers_the_coverage(self):
        rows = self.rows(a=12)["a"]
        rows[0] = {**rows[0], "error": "OSError: gone"}
        value = standing(EXACT, rows).value
        assert (value.hits, value.trials, value.failed) == (11, 12, 1)
        assert "coverage 92 %" in str(standing(EXACT, rows))

    def test_rates_at_a_false_alarm_rate_come_from_the_p_value(self):
        rows = [{**row, "log10_p": level} for row, level in zip(self.rows(a=3)["a"], [-7.0, -9.0, -5.0, None] * 3)]  # noqa: B905
        assert standing(SEEN_LOOSER, rows).value.hits == 6
        assert standing(SEEN, rows).value.hits == 3
        assert standing(SURE, rows).value.hits == 2  # of three exact ones
        assert standing(SEEN_LOOSER, self.rows(a=3)["a"]).value is None  # nobody stated a p-value
        assert standing(BITS, rows).value is None


class TestPooling:
    def test_trials_of_one_clip_do_not_count_as_many(self):
        alone = PooledRate.pool([n < 50 for n in range(100)], list(range(100)))
        together = PooledRate.pool([n < 50 for n in range(100)], [n // 10 for n in range(100)])
        assert alone.effective == pytest.approx(100, rel=0.02)
        assert together.effective == pytest.approx(9, rel=0.02)
        assert together.interval.low < alone.interval.low < 0.5 < alone.interval.high < together.interval.high

    def test_at_independent_trials_it_is_wilsons_interval(self):
        assert PooledRate.pool([True] * 8, list(range(8))).interval.low == pytest.approx(0.6756, abs=1e-4)

    def test_the_mean_of_whole_sources_has_an_interval_around_it(self):
        mean = pooled_mean([1.0, 1.0, 3.0, 3.0, None], [0, 0, 1, 1, 2])
        assert (mean.value, mean.count, mean.coverage) == (2.0, 4, 0.8)
        assert (mean.interval.low, mean.interval.high) == (1.0, 3.0)
        with pytest.raises(ValueError, match="nothing"):
            pooled_mean([None], [0])


class TestPage:
    def test_rows_of_the_first_version_are_still_understood(self):
        old = report(made_rows(8, SMALL, old=True))
        assert old.boards[0].rows[0][1] == "100.0 % [67.6, 100.0] 8/8"
        assert "VMAF" not in markdown(old)
        assert "not stated" in markdown(old)  # how many bits were right

    def test_failed_trials_are_counted_and_listed_with_their_reasons(self):
        told = report(made_rows(8, ("none", "speed:2")))
        assert "4 of 84 trials failed" in " ".join(told.summary)
        assert any("TookTooLong: no answer within 60 s" in row for row in told.tables[-1].rows)

    def test_the_same_rows_give_the_same_page_whatever_the_seconds(self):
        first, second = made_rows(6, SMALL), made_rows(6, SMALL)
        for row in second:
            row |= {name: row[name] + 1 for name in ("seconds", "embed_seconds") if name in row}
        assert html(report(first)) == html(report(second))

    def test_every_cell_of_the_heat_map_is_there_once_under_its_family(self):
        cells = Cells.of(made_rows(3))
        parts = heat_map(cells, cells.subjects(), CHAINS).parts
        assert sorted(label for part in parts for label, _ in part.rows) == sorted(CHAINS)
        assert parts[0].title == "no attack"

    def test_curves_stand_under_their_family_and_spots_carry_intervals(self):
        told = report(made_rows(8))
        assert {"x264", "x265", "vp9", "av1", "resize", "crop"} <= {panel.title for panel in told.panels}
        assert next(panel for panel in told.panels if panel.title == "av1").part == "Robustness: codec"
        assert all(spot.y[1] < spot.y[0] < spot.y[2] for scatter in told.scatters for spot in scatter.spots)

    def test_what_of_the_suite_was_not_measured_is_said(self):
        told = report(made_rows(3, SMALL), not_measured={"trustmark": "no weights"})
        assert "Not measured: trustmark (no weights)." in told.summary

    def test_every_watermark_has_a_look_of_its_own_on_the_page(self):
        page = html(report(made_rows(6, SMALL)))
        assert len(set(re.findall(r"var\(--series-\d", page))) == 3
