"""countermark demo: the whole story in one go, with a report to look at."""

from __future__ import annotations

from pathlib import Path

import click

from countermark.cli import options
from countermark.cli.session import Command, Session, pass_session


@click.command(cls=Command)
@click.option(
    "--output", type=click.Path(path_type=Path), default=Path("demo"), show_default=True, help="Folder to write."
)
@click.option("--video", type=click.Path(path_type=Path), help="A clip to sign instead of the rendered one.")
@options.force
@pass_session
def demo(session: Session, output: Path, video: Path | None, force: bool) -> None:
    """Make, sign, strip, re-encode, flip a byte, and examine it all; leaves clips and a report in a folder."""
    from rich.table import Table
    from rich.text import Text

    from countermark.demo import demonstrate
    from countermark.report import printable
    from countermark.report.terminal import finding_style
    from provenance.errors import ExpectationFailed
    from provenance.verify import Unread

    played = demonstrate(output, video=video, force=force, told=session.say)
    table = Table("clip", "what happened to it", "finding", "grade", "because", box=None, pad_edge=False)
    surprises = []
    for chapter, result in zip(played.chapters, played.results, strict=True):
        if isinstance(result, Unread):
            surprises.append(f"{chapter.path.name}: {result.error}")
            continue
        verdict = result.verdict
        table.add_row(
            printable(chapter.path.name),
            chapter.story,
            Text(verdict.finding.replace("_", " "), style=finding_style(verdict.finding)),
            verdict.grade,
            (verdict.because or "").replace("-", " "),
        )
        if verdict.finding not in chapter.expected:
            surprises.append(f"{chapter.path.name}: found {verdict.finding}, expected {' or '.join(chapter.expected)}")
    session.findings().print(table)
    click.echo(f"\nThe clips stand in {output}, the report in {played.page} ({played.seconds:.0f} s).")
    for surprise in surprises:
        session.fail(ExpectationFailed(surprise, hint="see what the report says of it"))
