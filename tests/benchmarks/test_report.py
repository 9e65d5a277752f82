"""Reports say the same in Markdown, JSON and HTML; the page stands alone and escapes what it shows."""

import json
import re

import pytest

from benchmarks.figures import Curve, Panel, Scatter, Spot, panel_svg, scatter_svg
from benchmarks.heat import HeatCell, HeatMap, HeatPart
from benchmarks.report import Report, Table, html, markdown, write_report
from benchmarks.samples import Sample

PANELS = (Panel("x264", "CRF", (Curve("pixel", ((23, 1.0, 0.9, 1.0), (40, 0.5, 0.3, 0.7))),)),)


def report(name="x264:28"):
    table = Table("After attacks", ("attack", "exact id"), ((name, "100.0 % [90, 100] 8/8"),), "eight clips")
    return Report("Watermarks", ("One plain sentence.",), (table,), PANELS, {"seed": 0}, {"arms": []})


def test_the_page_needs_nothing_from_outside():
    page = html(report())
    assert not re.search(r'(src|href)\s*=\s*"(?!#|data:)', page)
    assert "@import" not in page
    assert "<svg" in page


def test_the_page_escapes_names():
    page = html(report("<script>alert(1)</script>"))
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_markdown_keeps_tables_whole_when_a_cell_holds_a_bar():
    assert "a\\|b" in markdown(report("a|b"))
    assert "eight clips" in markdown(report())


def test_the_same_report_gives_the_same_page():
    assert html(report()) == html(report())
    assert panel_svg(PANELS[0], {"pixel": 0}) == panel_svg(PANELS[0], {"pixel": 0})


def test_a_spot_carries_its_interval_on_either_axis():
    spot = Spot("pixel", (42.0, 41.5, 42.5), (0.9, 0.8, 0.95))
    assert scatter_svg(Scatter("Quality", "PSNR", "exact", (spot,)), {"pixel": 0}).startswith("<svg")


def test_the_best_cell_stands_out_and_parts_have_their_names():
    table = Table("Board", ("", "a", "b"), (("codec", "1", "2"),), best=frozenset({(0, 2)}), parts={0: "exact id"})
    page = html(Report("T", (), (), boards=(table,)))
    assert '<td class="best">2</td>' in page
    assert "exact id" in page
    assert "**2**" in table.markdown()


class TestHeat:
    def test_all_and_none_are_told_from_nearly_so(self):
        texts = [HeatCell(share, "").text for share in (1.0, 0.999, 0.001, 0.0, None)]
        assert texts == ["100", "99", "1", "0", "–"]
        assert HeatCell(0.999, "").step < HeatCell(1.0, "").step

    def test_every_cell_shows_its_number_and_what_stands_behind_it(self):
        heat = HeatMap("Map", ("pixel",), (HeatPart("codec", (("x264:28", (HeatCell(0.5, "4 of 8"),)),)),))
        page = html(Report("T", (), (), heat=heat))
        assert re.search(r'<td class="h5" title="4 of 8">50</td>', page)

    def test_a_row_of_another_width_is_refused(self):
        with pytest.raises(ValueError, match="columns"):
            HeatMap("Map", ("a", "b"), (HeatPart("codec", (("x264:28", (HeatCell(0.5, ""),)),)),))


LOST = Sample("pixel, x264:45", "nothing read", {"marked": b"mp4", "attacked": b"mp4"}, b"png")


def test_a_close_look_plays_before_and_after():
    look = Sample("pixel, the clip that it costs most", "scene-001", {"unmarked": b"mp4", "marked": b"mp4"})
    page = html(Report("T", (), (), looks=(look,)))
    assert re.findall(r"<figcaption>(\w+)</figcaption>", page) == ["unmarked", "marked"]
    assert 'href="#looks"' in page
    assert "image/png" not in page


def test_samples_play_from_inside_the_page():
    page = html(Report("T", (), (), samples=(LOST,)))
    assert page.count('src="data:video/mp4;base64,') == 2
    assert 'src="data:image/png;base64,' in page
    assert "http:" not in page
    assert "https:" not in page


def test_all_three_files_are_written_and_replaced(tmp_path):
    for _ in range(2):
        write_report(report(), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.md", "results.json"]
    assert json.loads((tmp_path / "results.json").read_text())["settings"] == {"seed": 0}


def test_a_row_that_does_not_fit_the_header_is_refused():
    with pytest.raises(ValueError, match="header"):
        Table("t", ("a", "b"), (("1",),))
