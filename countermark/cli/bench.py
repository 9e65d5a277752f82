"""countermark bench: measure, and say how well it holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import click

from countermark.cli import completion, options
from countermark.cli.session import Command, Session, pass_session

OPTIONS = (
    "suite", "watermarks", "embed", "read", "bits", "command", "attacks", "only", "videos", "use", "clips", "seconds",
    "lines", "seed", "workers", "ray", "limit", "compare", "known_failures",
)  # fmt: skip


@click.command(cls=Command)
@click.argument("name", required=False, shell_complete=completion.benches)
@click.option("--list", "show", is_flag=True, help="List all experiments.")
@click.option(
    "--suite",
    default="quick",
    show_default=True,
    metavar="NAME",
    help="quick, standard, full, limits or videomarkbench.",
    shell_complete=completion.one_of(completion.SUITES),
)
@click.option(
    "--watermarks",
    metavar="LIST",
    help="Instead of the suite's, with commas: pixel, latent, dwtDctSvd, RivaGAN...",
)
@click.option("--embed", metavar="COMMAND", help="Somebody's watermark: 'my-embed {in} {out} {message}'.")
@click.option("--read", metavar="COMMAND", help="And its reader: 'my-read {file}' prints the message.")
@click.option("--bits", type=click.IntRange(4, 64), help="Length of their message, in steps of 4; 64 by default.")
@click.option(
    "--command", metavar="COMMAND", multiple=True, help="Somebody's detector: 'my-detector {file}' prints a score."
)
@click.option(
    "--attacks",
    metavar="LIST",
    help="Chains instead of the suite's, with commas: none,strip+x264:28.",
    shell_complete=completion.attacks,
)
@click.option(
    "--only",
    metavar="PART",
    multiple=True,
    help="This part alone of forgery (learn), false-alarms (search) or speed (sign); may be given several times.",
)
@click.option(
    "--videos",
    metavar="DIR|MANIFEST|scenes:N",
    help="Clips to measure on; scenes:N renders N of them; media also takes registry, which needs the network.",
    shell_complete=completion.files,
)
@click.option(
    "--use",
    metavar="NAME",
    help="Of a split, only the clips meant for this: development, table or generated.",
    shell_complete=completion.one_of(("development", "table", "generated")),
)
@click.option("--clips", type=click.IntRange(1), help="At most so many clips.")
@click.option(
    "--seconds",
    type=click.FloatRange(0.5, 600.0),
    help="Of every clip, so many; a shorter one is played to and fro. The suite's own by default.",
)
@click.option(
    "--lines",
    metavar="N[-M]",
    callback=options.span_of_lines,
    help="Only clips whose shorter side has at least N pixels, and at most M.",
)
@options.seed("For everything that is drawn.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of rows and report; build/bench/NAME by default.")
@options.workers
@click.option("--ray", metavar="ADDRESS", help="Work on this Ray cluster instead; local: on this machine's cores.")
@click.option("--limit", type=click.FloatRange(1.0), metavar="SECONDS", help="A clip that takes longer fails.")
@click.option(
    "--compare",
    type=click.Path(exists=True, path_type=Path),
    metavar="OLD",
    help="Folder of an older run: say what moved beyond noise, and leave with 1 where something got worse.",
)
@click.option(
    "--known-failures",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Lines of WATERMARK ATTACK that may fail; leave with 1 where another does.",
)
@pass_session
def bench(
    session: Session,
    name: str | None,
    show: bool,
    suite: str,
    attacks: str | None,
    only: tuple[str, ...],
    videos: str | None,
    use: str | None,
    clips: int | None,
    seconds: float | None,
    lines: tuple[int, int | None] | None,
    seed: int,
    out: Path | None,
    workers: int,
    watermarks: str | None,
    embed: str | None,
    read: str | None,
    bits: int | None,
    command: tuple[str, ...],
    ray: str | None,
    limit: float | None,
    compare: Path | None,
    known_failures: Path | None,
) -> None:
    """Run the experiment NAME; writes rows.jsonl, results.json, report.md and report.html.

    A run that was stopped goes on where it was.
    """
    from countermark.benches import BENCHES, BenchOptions, held
    from provenance.errors import ExpectationFailed, UnknownName

    if show or name is None:
        width = max(map(len, BENCHES))
        for known, one in BENCHES.items():
            click.echo(f"{known:<{width}} {one.summary}")
        return
    if name not in BENCHES:
        raise UnknownName("experiment", name, BENCHES)
    BENCHES[name].refuse_others(name, _given(OPTIONS))
    out = out or Path("build/bench") / name
    chosen = BenchOptions(
        settings=session.settings,
        out=out,
        videos=videos,
        suite=suite,
        attacks=_listed(attacks),
        only=only,
        use=use,
        clips=clips,
        workers=workers,
        seed=seed,
        watermarks=_listed(watermarks),
        embed=embed,
        read=read,
        bits=bits,
        command=command,
        ray=ray,
        limit=limit,
        seconds=seconds,
        lines=lines,
    )
    with session.progress(name) as advance:

        def told(done: int, of: int, what: str) -> None:
            advance(done / max(of, 1), what)
            session.detail(f"{done}/{of} {what}")

        summary = BENCHES[name].run(replace(chosen, progress=told))
    click.echo(summary.rstrip())
    session.say(f"rows and report stand in {out}")
    moved, wrong = held(out, compare, known_failures)
    if moved:
        click.echo(moved.rstrip())
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise ExpectationFailed(wrong[0] + more, hint="the lists above name all of them")


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip()) if text else ()


def _given(names: Iterable[str]) -> list[str]:
    """Those options that the user wrote down."""
    source = click.get_current_context().get_parameter_source
    return [name for name in names if source(name) is click.core.ParameterSource.COMMANDLINE]
