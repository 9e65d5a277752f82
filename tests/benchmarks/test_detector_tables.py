"""The report on detectors: what can be stated is, what cannot is a dash, and failed clips stay in."""

from benchmarks.detector_tables import detector_report
from benchmarks.report import html


def row(n, chain="none", **more):
    generated = n % 2 == 0
    return {
        "task": f"detectors/{n}", "of": 2, "detector": "d", "arm": f"d/{chain}", "chain": chain, "clip": str(n),
        "source": str(n), "lineage": None, "label": "generated" if generated else "filmed",
        "score": 2.0 * generated - 1 + (n % 5) / 2, "log_likelihood_ratio": None, "decided": None, **more,
    }  # fmt: skip


SETTINGS = {"videos": "clips.csv", "chains": ["none", "x264:28"], "detectors": ["d"]}


def test_a_detector_without_ratios_has_an_area_and_no_calibration():
    report = detector_report([row(n, chain) for chain in SETTINGS["chains"] for n in range(30)], SETTINGS)
    cell = report.results["cells"][0]
    assert 0.8 < cell["AUC"]["value"] <= 1
    assert cell["Brier"] is None
    assert cell["flips"] is None
    assert "–" in report.tables[0].rows[0]


def test_ratios_are_held_against_the_truth_and_flips_are_counted():
    def ratio(n):
        return {"log_likelihood_ratio": 2.0 * (n % 2 == 0) - 1 + (n % 5) / 4}

    plain = [row(n, **ratio(n), decided="generated" if n < 6 else "inconclusive") for n in range(30)]
    after = [row(n, "x264:28", **ratio(n), decided="inconclusive") for n in range(30)]
    report = detector_report(plain + after, SETTINGS)
    assert report.results["cells"][1]["flips"]["value"] == 0.2
    assert 0 < report.results["cells"][0]["Brier"]["value"] < 0.25
    assert {panel.part for panel in report.panels} == {"ROC curves", "Reliability", "Error among the surest"}
    assert {panel.title for panel in report.panels} == set(SETTINGS["chains"])
    assert "<svg" in html(report)


def test_clips_that_failed_lower_the_coverage_and_are_listed():
    rows = [row(n) for n in range(28)]
    for n in (28, 29):
        facts = {"clip": str(n), "source": str(n), "lineage": None, "label": ("generated", "filmed")[n % 2]}
        rows.append({"task": f"detectors/{n}", "of": 1, "arm": "d/none", "error": "OSError: gone", **facts})
    report = detector_report(rows, {**SETTINGS, "chains": ["none"]})
    assert report.results["cells"][0]["AUC"]["coverage"] < 1
    assert report.results["cells"][0]["AUC"]["count"] == 30
    assert any("OSError: gone" in line[3] for line in report.tables[-1].rows)
