"""countermark verify: where do these clips come from, and how do we know?"""

from __future__ import annotations

import contextlib
import datetime as dt
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from countermark.cli import completion, options
from countermark.cli.session import Command, Session, pass_session
from countermark.cli.streams import STDIN, STDIN_NAME, Spool, spool_for

if TYPE_CHECKING:
    from countermark.wiring import Examiner
    from provenance.verify import Report, Unread

FINDINGS = (
    "generated",
    "generated_in_part",
    "captured",
    "edited",
    "marked",
    "likely_generated",
    "conflict",
    "inconclusive",
    "no_evidence",
)
KEYFRAMES = 6
CHECKS = "credentials,pixel-watermark,latent-watermark,fingerprint,detectors"


@click.command(cls=Command)
@click.argument("files", metavar="FILE…", nargs=-1, shell_complete=completion.files)
@options.files_from
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line on standard output.")
@click.option("--checks", metavar="LIST", help=f"Some of {CHECKS}.", shell_complete=completion.checks)
@options.keys
@click.option("--at", metavar="TIME", help="Judge certificates as of this time (ISO 8601) where none is trusted.")
@click.option("--online", is_flag=True, help="Look up what a file only points at. Not available yet.")
@click.option("--report", type=click.Path(path_type=Path), metavar="report.html", help="Write a page with pictures.")
@click.option("--expect", type=click.Choice(FINDINGS), help="Leave with 1 unless every file has this finding.")
@options.workers
@click.option("--ray", metavar="ADDRESS", help="Examine on this Ray cluster instead.")
@click.option("--output", type=click.Path(path_type=Path), metavar="results.jsonl", help="The JSON lines, too.")
@options.force
@pass_session
def verify(
    session: Session,
    files: tuple[str, ...],
    files_from: Path | None,
    as_json: bool,
    checks: str | None,
    key_names: tuple[str, ...],
    at: str | None,
    online: bool,
    report: Path | None,
    expect: str | None,
    workers: int,
    ray: str | None,
    output: Path | None,
    force: bool,
) -> None:
    """Examine FILEs: credentials, watermarks, fingerprint, detectors, each on its own line, then the verdict.

    A folder stands for the videos and pictures in it, - for a clip on standard input.
    """
    from countermark.checks import parse_names
    from provenance.errors import UsageError
    from provenance.files import refuse_clashes, refuse_existing
    from provenance.inputs import expand

    if online:
        raise UsageError("--online is not available yet", hint="leave it out: then nothing is fetched from anywhere")
    names = parse_names(checks)
    at_time = _moment(at) if at else None
    with spool_for(files, files_from) as spool:
        paths = expand([spool.path if spool and file == STDIN else file for file in files], files_from=files_from)
        targets = [target for target in (report, output) if target is not None]
        refuse_clashes([*paths, *([files_from] if files_from else [])], targets)
        for target in targets:
            refuse_existing(target, force=force)
            options.make_parent(target)
        with _worker_ahead(names) if workers == 1 and ray is None else contextlib.nullcontext():
            examine = _examiner(session, names, key_names, at_time, as_json)
        if "credentials" in names and not examine.make_checks.trust.has_public_lists:
            session.say("No public trust list is installed, so only your own signer counts: `countermark trust update`")
        if spool is not None:
            spool.fill()
        keyframes = KEYFRAMES if report is not None else 0
        reports: list[Report | Unread] = []
        with _lines(output, force) as lines:
            for path, result in zip(paths, _results(session, examine, paths, keyframes, workers, ray), strict=True):
                reports.append(_called(result, path, spool))
                _tell(session, reports[-1], as_json, expect)
                if lines is not None:
                    lines.write(_line(reports[-1], "utf-8") + "\n")
    if report is not None:
        write_report(session, examine, report, reports, force=force)


def _worker_ahead(names: Sequence[str]) -> contextlib.AbstractContextManager[None]:
    from countermark.checks import modules_of
    from countermark.warming import worker_ahead

    return worker_ahead(modules_of(names))


def _examiner(
    session: Session, names: Sequence[str], key_names: Sequence[str], at_time: dt.datetime | None, as_json: bool
) -> Examiner:
    """Build the examiner, and import what is needed once the worker has answered."""
    import provenance.verify  # noqa: F401
    from countermark.wiring import examiner

    if not as_json:
        import countermark.report  # noqa: F401
    return examiner(session.settings, checks=names, key_names=key_names, at_time=at_time)


def _results(
    session: Session, examine: Examiner, paths: Sequence[Path], keyframes: int, workers: int, ray: str | None
) -> Iterator[Report | Unread]:
    if workers == 1 and ray is None:
        for number, path in enumerate(paths):
            with session.progress(path.name) as advance:
                note = f"({number + 1} of {len(paths)})" if len(paths) > 1 else ""
                result = _one(examine, path, keyframes, partial(advance, note=note))
            yield result
        return
    with session.progress(f"{len(paths)} files") as advance:
        results = examine.each(paths, keyframes=keyframes, workers=workers, ray_address=ray)
        for number, result in enumerate(results, 1):
            yield result
            advance(number / len(paths))


def _one(examine: Examiner, path: Path, keyframes: int, progress: options.Share) -> Report | Unread:
    from provenance.errors import CannotRead
    from provenance.verify import Unread

    try:
        return examine.one(path, keyframes=keyframes, progress=progress)
    except CannotRead as error:
        return Unread(str(path), error.message, error.hint)


def _called(result: Report | Unread, path: Path, spool: Spool | None) -> Report | Unread:
    """Call folders without media and standard input by their names."""
    from provenance.errors import CannotRead
    from provenance.inputs import refuse_folder
    from provenance.verify import Unread

    try:
        refuse_folder(path)
    except CannotRead as error:
        return Unread(str(path), error.message, error.hint)
    if spool is None or path != spool.path:
        return result
    if not isinstance(result, Unread):
        return replace(result, file=STDIN_NAME)
    if spool.error is not None:
        return Unread(STDIN_NAME, spool.error.message, spool.error.hint)
    return Unread(STDIN_NAME, result.error.replace(str(path), STDIN_NAME), result.hint)


def _line(result: Report | Unread, encoding: str) -> str:
    """The JSON line; where a name does not fit the encoding, as the bytes of foreign file systems, in escapes."""
    import json

    line = result.to_line()
    try:
        line.encode(encoding)
    except UnicodeEncodeError:
        return json.dumps(result.to_json())
    return line


def _tell(session: Session, result: Report | Unread, as_json: bool, expect: str | None) -> None:
    """Print one result, and remember what failed."""
    from provenance.errors import CannotRead, ExpectationFailed
    from provenance.verify import Unread

    if as_json:
        session.line(_line(result, sys.stdout.encoding or "utf-8"))
    if isinstance(result, Unread):
        session.fail(CannotRead(result.error, hint=result.hint))
        return
    if not as_json:
        from countermark.report import show

        show(session.findings(), result, details=session.verbosity > 0)
    if expect is not None and result.verdict.finding != expect:
        session.fail(
            ExpectationFailed(
                f"{result.file}: found {result.verdict.finding}, expected {expect}", hint="see what its report says"
            )
        )


def write_report(
    session: Session, examine: Examiner, path: Path, results: Sequence[Report | Unread], *, force: bool, intro: str = ""
) -> None:
    """Write the HTML page about all results."""
    from countermark.report import write_page
    from countermark.wiring import pictures_of
    from provenance.verify import Report, Unread

    reports = [one for one in results if isinstance(one, Report)]
    write_page(
        path,
        reports,
        pictures={one.file: pictures_of(examine, one) for one in reports},
        unread=[(one.file, one.error) for one in results if isinstance(one, Unread)],
        intro=intro,
        force=force,
    )
    session.say(f"wrote {path}")


@contextlib.contextmanager
def _lines(output: Path | None, force: bool) -> Iterator[TextIO | None]:
    from provenance.files import written_beside

    if output is None:
        yield None
        return
    with written_beside(output, force=force) as part, part.open("w", encoding="utf-8") as stream:
        yield stream


def _moment(text: str) -> dt.datetime:
    from provenance.errors import UsageError

    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--at {text}: is no time", hint="write it as 2026-01-31T12:00:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
