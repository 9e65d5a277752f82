"""The experiments that `countermark bench` runs, by name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from countermark.settings import CORPUS_VARIABLE, Settings
from provenance.errors import UsageError
from provenance.files import written_beside

if TYPE_CHECKING:
    from benchmarks.marks import Mark

Progress = Callable[[int, int, str], None]
"""Hears tasks done, tasks in all, and the newest one's name."""


COMPARING = frozenset({"compare", "known_failures"})
"""Options of what is held against a run once it is there."""


@dataclass(frozen=True)
class BenchOptions:
    """What the command line says; None and empty mean the experiment's own choice."""

    settings: Settings
    out: Path
    videos: str | None = None
    suite: str = "quick"
    attacks: tuple[str, ...] = ()
    use: str | None = None
    clips: int | None = None
    workers: int = 1
    seed: int = 0
    watermarks: tuple[str, ...] = ()
    embed: str | None = None
    read: str | None = None
    command: tuple[str, ...] = ()
    ray: str | None = None
    limit: float | None = None
    seconds: float | None = None
    lines: tuple[int, int | None] | None = None
    only: tuple[str, ...] = ()
    bits: int | None = None
    progress: Progress | None = None


@dataclass(frozen=True)
class Bench:
    """One experiment: what it measures, and the function that runs it and returns its summary as Markdown.

    takes: the options that it heeds, by their names on the command line; `--out` goes with all. compared: whether its
    rows can be held against an older run and a list of known failures (`held`).
    """

    summary: str
    run: Callable[[BenchOptions], str]
    takes: frozenset[str] = frozenset()
    compared: bool = False

    @property
    def options(self) -> frozenset[str]:
        """All options that change something, by their names."""
        return self.takes | (COMPARING if self.compared else frozenset())

    def refuse_others(self, name: str, given: Iterable[str]) -> None:
        """Raise UsageError for an option that was given and would change nothing."""
        strange = sorted(set(given) - self.options)
        if strange:
            known = ", ".join(map(_spelled, sorted({*self.options, "out"})))
            raise UsageError(f"bench {name}: takes no {_spelled(strange[0])}", hint=f"it takes {known}")


def _spelled(option: str) -> str:
    return f"--{option.replace('_', '-')}"


def _watermarks(options: BenchOptions) -> str:
    from benchmarks.experiments.watermarks import run_watermarks

    run_watermarks(
        suite=options.suite,
        videos=options.videos,
        out=options.out,
        watermarks=_marks(options.watermarks, options.embed, options.read, options.bits),
        chains=options.attacks or None,
        clips=options.clips,
        workers=options.workers,
        ray_address=options.ray,
        seconds_per_task=options.limit,
        seed=options.seed,
        use=options.use,
        corpus=options.settings.corpus,
        seconds=options.seconds,
        lines=options.lines,
        progress=options.progress,
    )
    return _written(options.out)


def _marks(names: tuple[str, ...], embed: str | None, read: str | None, bits: int | None) -> list[str | Mark] | None:
    """The watermarks that were asked for; None for the suite's own."""
    from benchmarks.commands import CommandMark
    from provenance.watermarks.payload import ID_BITS

    if (embed is None) != (read is None):
        raise UsageError("--embed and --read go together", hint="one command that marks a file, one that reads one")
    if bits is not None and embed is None:
        raise UsageError("--bits says how long the message of --embed is", hint="our own and the peers know theirs")
    chosen: list[str | Mark] = list(names)
    if embed is not None and read is not None:
        chosen = [*(chosen or ["pixel"]), CommandMark(embed, read, bits=bits or ID_BITS)]
    return chosen or None


def _chain(options: BenchOptions) -> str:
    from benchmarks.experiments.chain import run_chain

    run_chain(
        videos=options.videos or "scenes:24",
        out=options.out,
        use=options.use,
        corpus=options.settings.corpus,
        clips=options.clips,
        workers=options.workers,
        seed=options.seed,
        progress=options.progress,
    )
    return _written(options.out)


def _latent(options: BenchOptions) -> str:
    from benchmarks.experiments.latent import run_clips

    run_clips(
        options.out,
        clips=options.clips or 24,
        workers=options.workers,
        seed=options.seed,
        progress=options.progress,
    )
    return _written(options.out)


def _latent_noise(options: BenchOptions) -> str:
    from benchmarks.experiments.latent_noise import run_noise

    run_noise(options.out, seed=options.seed, progress=options.progress)
    return _written(options.out)


def _false_alarms(options: BenchOptions) -> str:
    from benchmarks.experiments.false_alarms import run_false_alarms

    run_false_alarms(
        options.out,
        videos=options.videos,
        use=options.use,
        corpus=options.settings.corpus,
        clips=options.clips or 4,
        parts=options.only or None,
        workers=options.workers,
        seed=options.seed,
        progress=options.progress,
    )
    return _written(options.out)


def _latent_false_alarms(options: BenchOptions) -> str:
    from benchmarks.experiments.latent_false_alarms import run_latent_false_alarms

    run_latent_false_alarms(
        options.out,
        clips=options.clips or 4,
        workers=options.workers,
        seed=options.seed,
        progress=options.progress,
    )
    return _written(options.out)


def _splices(options: BenchOptions) -> str:
    from benchmarks.experiments.splices import FILMS, run_splices

    run_splices(
        options.out,
        videos=options.videos,
        use=options.use,
        corpus=options.settings.corpus,
        films=options.clips or FILMS,
        workers=options.workers,
        ray_address=options.ray,
        seconds_per_task=options.limit,
        seed=options.seed,
        progress=options.progress,
    )
    return _written(options.out)


def _forgery(options: BenchOptions) -> str:
    from benchmarks.experiments.forgery import CLIPS, run_forgery

    run_forgery(
        options.out,
        videos=options.videos,
        use=options.use,
        corpus=options.settings.corpus,
        clips=options.clips or CLIPS,
        kinds=(*options.only, *options.attacks) or None,
        workers=options.workers,
        ray_address=options.ray,
        seconds_per_task=options.limit,
        seed=options.seed,
        progress=options.progress,
    )
    return _written(options.out)


def _damage(options: BenchOptions) -> str:
    from benchmarks.experiments.damage import FILES, run_damage

    run_damage(
        options.out,
        files=options.clips or FILES,
        workers=options.workers,
        seed=options.seed,
        progress=options.progress,
    )
    return _written(options.out)


def _media(options: BenchOptions) -> str:
    from benchmarks.experiments.media import run_media

    run_media(
        options.out,
        videos=options.videos,
        use=options.use,
        corpus=options.settings.corpus,
        workers=options.workers,
        progress=options.progress,
    )
    return _written(options.out)


def _speed(options: BenchOptions) -> str:
    from benchmarks.experiments.speed import run_speed

    run_speed(options.out, arms=options.only or None, progress=options.progress)
    return _written(options.out)


def _detectors(options: BenchOptions) -> str:
    if options.videos is None and not options.command:
        return _unseen(options.settings, options.out, options.attacks, options.progress)
    from benchmarks.experiments.scores import run_scores
    from benchmarks.judges import all_judges

    run_scores(
        options.out,
        all_judges(options.command),
        videos=options.videos or corpus_folder(options.settings) / "manifest.csv",
        chains=options.attacks or None,
        use=options.use,
        corpus=options.settings.corpus,
        clips=options.clips,
        workers=options.workers,
        ray_address=options.ray,
        seconds_per_task=options.limit,
        seed=options.seed,
        progress=options.progress,
    )
    return _written(options.out)


def _unseen(settings: Settings, out: Path, attacks: tuple[str, ...], progress: Progress | None) -> str:
    """Our suite on the corpus, every clip by models that saw neither its generator nor its camera."""
    from benchmarks.experiments.detectors import AFTER, run

    def told(step: str, done: int, of: int) -> None:
        if progress is not None:
            progress(done, of, step)

    return run(corpus_folder(settings), out, out / "cache", after=attacks or (AFTER,), report=told).markdown


def _generator(options: BenchOptions) -> str:
    from benchmarks.experiments.generator import contact_sheet, quality_rows
    from generator.model import BuiltInGenerator

    def told(what: str) -> None:
        if options.progress is not None:
            options.progress(0, 1, what)

    model = BuiltInGenerator.load()
    options.out.mkdir(parents=True, exist_ok=True)
    rows = quality_rows(model, clips=options.clips or 48, seed=options.seed, progress=told)
    contact_sheet(model, options.out / "contact-sheet.png", seed=options.seed)
    with written_beside(options.out / "rows.jsonl", force=True) as part:
        part.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [names, ["---"] * len(names), *([str(row.get(name, "")) for name in names] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


BENCHES: Mapping[str, Bench] = MappingProxyType(
    {
        "watermarks": Bench(
            "both watermarks under attacks, with their false alarms",
            _watermarks,
            _names("suite watermarks embed read bits attacks videos use clips seconds lines workers ray limit seed"),
            compared=True,
        ),
        "detectors": Bench(
            "classifiers on generators and cameras that they never saw (needs the corpus), or any on labelled clips",
            _detectors,
            _names("command attacks videos use clips workers ray limit seed"),
            compared=True,
        ),
        "chain": Bench(
            "sign, strip, attack, verify: is the way back found?", _chain, _names("videos use clips workers seed")
        ),
        "splices": Bench(
            "films of three marked shots: are all ids found, and their seconds?",
            _splices,
            _names("videos use clips workers ray limit seed"),
        ),
        "forgery": Bench(
            "averaging, copying, collusion, marking again, claims by a key: what gets rid of a watermark or fakes one",
            _forgery,
            _names("only videos attacks use clips workers ray limit seed"),
        ),
        "latent": Bench(
            "both watermarks in clips of the built-in model, after encoding", _latent, _names("clips workers seed")
        ),
        "generator": Bench(
            "what the built-in model's clips are worth, and a contact sheet", _generator, _names("clips seed")
        ),
        "latent-noise": Bench("whether marked noise can be told from plain noise", _latent_noise, _names("seed")),
        "false-alarms": Bench(
            "small p-values of the pixel watermark where there is none",
            _false_alarms,
            _names("only videos use clips workers seed"),
        ),
        "latent-false-alarms": Bench(
            "the same of the latent watermark", _latent_false_alarms, _names("clips workers seed")
        ),
        "media": Bench(
            "odd videos: read as FFmpeg reads them, signed without losing anything (needs ffmpeg)",
            _media,
            _names("videos use workers"),
        ),
        "damage": Bench(
            "5000 randomly damaged files: what reaches whoever examines them", _damage, _names("clips workers seed")
        ),
        "speed": Bench("time and memory of sign, verify and generate", _speed, _names("only")),
    }
)
"""Every experiment by its name on the command line."""


def corpus_folder(settings: Settings) -> Path:
    """The folder of clips that COUNTERMARK_CORPUS names. Raises UsageError."""
    if settings.corpus is None or not settings.corpus.is_dir():
        raise UsageError(
            "this needs a corpus of clips, and there is none",
            hint=f"let {CORPUS_VARIABLE} point at the folder of clips; docs/usage.md says what it holds",
        )
    return settings.corpus


def held(out: Path, compare: Path | None, known_failures: Path | None) -> tuple[str, list[str]]:
    """Hold a finished run against an older one and a list of what may fail; returns what to print, and what is wrong.

    Raises CannotRead and UsageError for the two files.
    """
    from benchmarks.comparison import compare_runs, known_failures_of

    said, wrong = [], []
    if compare is not None:
        moved = compare_runs(compare, out)
        said.append(moved.markdown())
        wrong += [f"worse than {compare}: {one}" for one in moved.regressions]
    if known_failures is not None:
        judged = known_failures_of(known_failures, out)
        said.append(judged.markdown())
        wrong += [f"not among the known failures: {one}" for one in judged.unexpected]
    return "\n".join(said), wrong


def _written(out: Path) -> str:
    return (out / "report.md").read_text(encoding="utf-8")
