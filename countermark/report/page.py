"""One self-contained HTML page: no script, no outside resource, every string escaped."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from countermark.report.glossary import FINDINGS, GRADES
from countermark.report.lines import Line, lines_of, printable
from countermark.report.timeline import Timeline, length_of, timeline_of
from provenance.files import written_beside

if TYPE_CHECKING:
    from provenance.verify import Report


STRING_LIMIT = 20_000_000  # pictures are strings too
"""Longer strings are cut."""


@dataclass(frozen=True)
class Picture:
    """A picture on the page: JPEG or PNG bytes and what stands below it."""

    data: bytes = field(repr=False)
    caption: str
    media_type: str = "image/jpeg"

    @property
    def uri(self) -> str:
        """The picture as a data: address."""
        return f"data:{self.media_type};base64,{base64.b64encode(self.data).decode()}"


@dataclass(frozen=True)
class Section:
    """What the page says about one file."""

    anchor: str
    name: str
    sha256: str
    report: Report
    lines: Sequence[Line]
    timeline: Timeline | None
    keyframes: Sequence[Picture]
    pictures: Sequence[Picture]
    raw: Markup

    @property
    def finding(self) -> str:
        """The finding in words."""
        return self.report.verdict.finding.replace("_", " ")

    @property
    def because(self) -> str:
        """The line that carries the finding, in words."""
        return (self.report.verdict.because or "").replace("-", " ")


def write_page(
    path: Path,
    reports: Sequence[Report],
    *,
    title: str = "Where do these clips come from?",
    pictures: Mapping[str, Sequence[Picture]] | None = None,
    unread: Sequence[tuple[str, str]] = (),
    intro: str = "",
    force: bool = False,
) -> None:
    """Write the page about `reports`.

    pictures: file -> more pictures, such as its watermark made visible. unread: (file, why it could not be read).
    Raises OutputExists or CannotWrite.
    """
    text = page(reports, title=title, pictures=pictures or {}, unread=unread, intro=intro)
    with written_beside(path, force=force) as part:
        part.write_text(text, encoding="utf-8")


def page(
    reports: Sequence[Report],
    *,
    title: str,
    pictures: Mapping[str, Sequence[Picture]],
    unread: Sequence[tuple[str, str]] = (),
    intro: str = "",
) -> str:
    """Return the page as HTML."""
    sections = [_section(number, report, pictures.get(report.file, ())) for number, report in enumerate(reports, 1)]
    return _template().render(
        title=title,
        intro=intro,
        style=_text("report.css"),
        sections=sections,
        unread=[(printable(name), printable(why)) for name, why in unread],
        findings=FINDINGS,
        grades=GRADES,
        made=dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        tool=reports[0].tool if reports else {},
    )


def _section(number: int, report: Report, pictures: Sequence[Picture]) -> Section:
    seconds = length_of(report.evidence)
    keyframes = [Picture(data, f"{moment:.1f} s") for moment, data in report.keyframes]
    return Section(
        anchor=f"file-{number}",
        name=printable(Path(report.file).name),
        sha256=report.sha256 or "",
        report=report,
        lines=lines_of(report.evidence),
        timeline=timeline_of(report.evidence, seconds),
        keyframes=keyframes,
        pictures=pictures,
        raw=escape(json.dumps(report.to_json(), indent=1)),
    )


@cache
def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_clean
    )
    return environment.from_string(_text("report.html"))


def _clean(value: Any) -> Any:
    """Take control and bidirectional characters out of every string that reaches the page."""
    return printable(value, STRING_LIMIT) if isinstance(value, str) and not isinstance(value, Markup) else value


def _text(name: str) -> str:
    return resources.files("countermark.web").joinpath(name).read_text(encoding="utf-8")
