"""Options that several commands share, and the names of outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from countermark.cli import completion
from provenance.errors import CannotWrite, OutputExists, UsageError

Share = Callable[[float], None]
"""Hears the share that is done, 0 to 1."""

force = click.option("--force", is_flag=True, help="Overwrite the output.")
keys = click.option(
    "--key",
    "key_names",
    metavar="NAME",
    multiple=True,
    help="A key; may be given several times.",
    shell_complete=completion.keys,
)
signer = click.option("--signer", metavar="URI", help="Who signs: file:CERTIFICATES.pem,KEY.pem; your own by default.")
tsa = click.option("--tsa", metavar="URL", help="A time-stamp authority to ask; this needs the network.")
workers = click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Files at a time.")
files_from = click.option(
    "--files-from", type=click.Path(path_type=Path), metavar="LIST", help="A file with one name a line; - is stdin."
)


def make_parent(path: Path) -> None:
    """Make the folder of an output, one level deep, and see whether it takes files. Raises CannotWrite."""
    import tempfile

    try:
        path.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise CannotWrite(
            f"{path}: cannot write there ({error.strerror})", hint="choose a folder that exists"
        ) from error


def refuse_foreign_name(path: Path) -> None:
    """Raise UsageError for a name that is no Unicode, since names of files stand in the credentials."""
    try:
        path.name.encode("utf-8")
    except UnicodeEncodeError:
        raise UsageError(
            f"{path}: credentials name their file, and this name is no UTF-8", hint="give the file another name"
        ) from None


def outputs_for(sources: Sequence[Path], output: str) -> list[Path]:
    """Return one output per source.

    output: a template with {stem}, {name} or {ext}; a folder, there or written with a slash at its end; else one file.
    Raises UsageError for several inputs and one file, OutputExists where two inputs would share an output.
    """
    if "{" in output:
        named = [Path(_filled(output, source)) for source in sources]
    elif output.endswith("/") or Path(output).is_dir():
        named = [Path(output) / source.name for source in sources]
    elif len(sources) == 1:
        named = [Path(output)]
    else:
        raise UsageError(
            f"{output}: {len(sources)} files cannot go into one",
            hint="name a folder with a slash, or '{stem}.signed{ext}'",
        )
    double = next((path for path in named if named.count(path) > 1), None)
    if double is not None:
        raise OutputExists(
            f"{double}: two inputs would be written there", hint="'{stem}.signed{ext}' puts each beside its input"
        )
    return named


def _filled(template: str, source: Path) -> str:
    import string

    places = {"stem": str(source.parent / source.stem), "name": source.name, "ext": source.suffix}
    filled = ""
    try:
        for literal, place, form, conversion in string.Formatter().parse(template):
            filled += literal
            if place is not None:
                if form or conversion:
                    raise ValueError(f"{place} takes no form")
                filled += places[place]
    except (KeyError, ValueError) as error:
        raise UsageError(
            f"{template}: no such place holder ({error})", hint="there are {stem}, {name} and {ext}"
        ) from error
    return filled


def seed(help_text: str) -> Callable[[Any], Any]:
    """The option --seed: 0 unless given, never negative."""
    return click.option("--seed", type=int, default=0, show_default=True, callback=_not_negative, help=help_text)


def _not_negative(_: click.Context, parameter: click.Parameter, value: int) -> int:
    if value < 0:
        raise click.BadParameter(f"{value} is not 0 or more", param=parameter)
    return value


def span_of_lines(_: click.Context, parameter: click.Parameter, given: str | None) -> tuple[int, int | None] | None:
    """Read 720 as "720 and more" and 480-719 as "480 to 719"."""
    if given is None:
        return None
    least, dash, most = given.partition("-")
    try:
        span = int(least), int(most) if dash else None
    except ValueError:
        raise click.BadParameter(f"{given} is neither a number nor two, as 480-719", param=parameter) from None
    if span[0] < 1 or (span[1] is not None and span[1] < span[0]):
        raise click.BadParameter(f"{given}: the first is at least 1, and no more than the second", param=parameter)
    return span
