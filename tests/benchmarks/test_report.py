"""Reports say the same in Markdown, JSON and HTML; the page stands alone and escapes what it shows."""

import json
import re

import pytest

from benchmarks.report import Curve, Panel, Report, Table, figure_svg, html, markdown, write_report

PANELS = (Panel("x264", "CRF", (Curve("pixel", ((23, 1.0, 0.9, 1.0), (40, 0.5, 0.3, 0.7))),)),)


def report(name="x264:28"):
    table = Table("After attacks", ("attack", "exact id"), ((name, "100.0 % [90, 100] 8/8"),), "eight clips")
    return Report("Watermarks", ("One plain sentence.",), (table,), PANELS, {"seed": 0}, {"arms": []})


def test_the_page_needs_nothing_from_outside():
    page = html(report())
    assert not re.search(r'(src|href)\s*=\s*"(?!#)', page)
    assert "@import" not in page
    assert "<svg" in page


def test_the_page_escapes_names():
    page = html(report("<script>alert(1)</script>"))
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_markdown_keeps_tables_whole_when_a_cell_holds_a_bar():
    assert "a\\|b" in markdown(report("a|b"))
    assert "eight clips" in markdown(report())


def test_the_same_panels_give_the_same_figure():
    assert figure_svg(PANELS) == figure_svg(PANELS)


def test_all_three_files_are_written_and_replaced(tmp_path):
    for _ in range(2):
        write_report(report(), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.md", "results.json"]
    assert json.loads((tmp_path / "results.json").read_text())["settings"] == {"seed": 0}


def test_a_row_that_does_not_fit_the_header_is_refused():
    with pytest.raises(ValueError, match="header"):
        Table("t", ("a", "b"), (("1",),))
