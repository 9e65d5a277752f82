"""countermark sign: mark and sign videos that exist already."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from countermark.cli import completion, options
from countermark.cli.session import PATH_LIMIT, Command, Session, pass_session
from countermark.cli.streams import refuse_stdin

if TYPE_CHECKING:
    from provenance.sign import SignReport
    from provenance.video.encoding import Encoding

GREW_MUCH = 2.5
GREW_HINT = "a higher --crf or a slower --preset makes it shorter, and may weaken the watermark"
ORIGINS = ("generated", "generated-in-part", "edited", "captured")


@click.command(cls=Command)
@click.argument("files", metavar="IN…", nargs=-1, shell_complete=completion.files)
@options.files_from
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="OUT",
    help="A file, a folder, or '{stem}.signed{ext}'.",
    shell_complete=completion.files,
)
@click.option("--origin", type=click.Choice(ORIGINS), help="Your word for how the clip was made.")
@click.option("--id", "watermark_id", metavar="HEX", help="An id of 16 hex digits whose top bits say the origin.")
@options.keys
@options.signer
@options.tsa
@click.option("--no-watermark", is_flag=True, help="Copy the streams as they are, and only sign.")
@click.option(
    "--strength",
    default="auto",
    show_default=True,
    metavar="DECIBELS",
    help="Luma PSNR; auto tries it.",
)
@click.option(
    "--codec",
    metavar="NAME",
    help="Encode with this codec; by default the input's own.",
    shell_complete=completion.one_of(completion.CODECS),
)
@click.option("--crf", type=float, help="Quality on the codec's own scale; lower is better.")
@click.option(
    "--preset",
    metavar="NAME",
    help="Speed, ultrafast to veryslow.",
    shell_complete=completion.one_of(completion.PRESETS),
)
@click.option("--sidecar", is_flag=True, help="Credentials beside the file instead of inside.")
@click.option("--keep-location", is_flag=True, help="Keep tags that say where the clip was filmed.")
@options.force
@pass_session
def sign(
    session: Session,
    files: tuple[str, ...],
    files_from: Path | None,
    output: str,
    origin: str | None,
    watermark_id: str | None,
    key_names: tuple[str, ...],
    signer: str | None,
    tsa: str | None,
    no_watermark: bool,
    strength: str,
    codec: str | None,
    crf: float | None,
    preset: str | None,
    sidecar: bool,
    keep_location: bool,
    force: bool,
) -> None:
    """Put an invisible watermark into videos, sign them, and remember them."""
    from countermark.warming import worker_ahead
    from provenance.errors import CountermarkError, UsageError
    from provenance.files import refuse_clashes
    from provenance.inputs import expand, refuse_folder
    from provenance.watermarks.payload import parse_id

    refuse_stdin(files)
    sources = expand(files, files_from=files_from)
    outputs = options.outputs_for(sources, output)
    refuse_clashes([*sources, *([files_from] if files_from else [])], outputs)
    if watermark_id is not None and len(sources) > 1:
        raise UsageError("--id names one id, and there are several files", hint="sign them one by one")
    if no_watermark and (key_names or watermark_id is not None):
        raise UsageError("--no-watermark goes with neither --key nor --id", hint="leave one of them out")
    decibels, encoding = _strength(strength), _encoding(codec, crf, preset)
    chosen_id = parse_id(watermark_id) if watermark_id is not None else None
    with worker_ahead(("provenance.marking",)) if tsa is None else contextlib.nullcontext():
        import provenance.sign  # noqa: F401
        from countermark.wiring import signing_desk

        desk = signing_desk(
            session.settings,
            key_names=key_names,
            watermark=not no_watermark,
            signer=signer,
            origin=(origin or "unstated").replace("-", "_"),
            watermark_id=chosen_id,
            encoding=encoding,
            sidecar=sidecar,
            keep_location=keep_location,
            tsa_url=tsa,
            force=force,
            **decibels,
        )
    for note in desk.notes:
        session.say(note)
    for source, out in zip(sources, outputs, strict=True):
        try:
            refuse_folder(source)
            for path in (source, out):
                options.refuse_foreign_name(path)
            options.make_parent(out)
            losses = _Losses(session, out)
            with session.progress(source.name) as advance:
                report = desk(source, out, progress=advance, on_loss=losses)
        except CountermarkError as error:
            session.fail(error)
        else:
            _tell(session, report, losses.said)


class _Losses:
    """Says what an output will not keep, as soon as it is known."""

    def __init__(self, session: Session, out: Path) -> None:
        self._session, self._out = session, out
        self.said: list[str] = []

    def __call__(self, loss: str) -> None:
        self.said.append(loss)
        self._session.say(_shown(self._out, f": {loss}"))


def _shown(path: Path, text: str = "") -> str:
    from countermark.report import printable

    return printable(f"{path}{text}", PATH_LIMIT)


def _tell(session: Session, report: SignReport, said: list[str]) -> None:
    marked = "no watermark" if report.watermark_id is None else f"id {report.watermark_id:016x}"
    session.wrote(report.path, marked)
    if report.sidecar is not None:
        session.wrote(report.sidecar, "its credentials")
    for warning in report.warnings:
        if warning not in said:
            session.say(_shown(report.path, f": {warning}"))
    if report.growth >= GREW_MUCH:
        session.say(f"{_shown(report.path)}: takes {report.growth:.1f} times the bytes of the input; {GREW_HINT}")
    if report.psnr_db is not None:
        session.detail(f"luma PSNR {report.psnr_db:.1f} dB before encoding")
    session.detail(f"manifest {report.manifest_id}, {report.seconds:.1f} s")


def _encoding(codec: str | None, crf: float | None, preset: str | None) -> Encoding | None:
    from provenance.video.encoding import Encoding

    if codec is None and crf is None and preset is None:
        return None
    return Encoding(codec, crf, preset or "medium")


def _strength(text: str) -> dict[str, float]:
    from provenance.errors import UsageError

    if text == "auto":
        return {}
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 30 <= value <= 60:
        raise UsageError(f"--strength {text}: is no number of decibels from 30 to 60", hint="auto fits it to the clip")
    return {"strength_db": value}
