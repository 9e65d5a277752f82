"""Reports for people: lines on a terminal, and one self-contained HTML page."""

from countermark.report.lines import Line, lines_of, printable
from countermark.report.page import write_page
from countermark.report.terminal import show, show_table

__all__ = ["Line", "lines_of", "printable", "show", "show_table", "write_page"]
