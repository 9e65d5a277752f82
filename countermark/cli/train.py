"""countermark train: make the weights anew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from countermark.cli.session import Group, Session, pass_session

out_option = click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("build/training"),
    show_default=True,
    help="Folder of caches and checkpoints; training goes on from what stands there.",
)
publish_option = click.option("--publish", is_flag=True, help="Put the result among the weights that ship.")


@click.group(cls=Group)
def train() -> None:
    """Train the built-in model and the detectors anew; every stage can be stopped and goes on."""


@train.command("autoencoder")
@out_option
@click.option("--shards", type=click.IntRange(1), default=48, show_default=True, help="Shards of clips to render.")
@click.option("--steps", type=click.IntRange(1), default=600, show_default=True, help="Steps of the decoder.")
@publish_option
@pass_session
def autoencoder(session: Session, out: Path, shards: int, steps: int, publish: bool) -> None:
    """Render the scenes, fit the encoder, train the decoder."""
    with _narrated(session):
        from generator.training import fill_cache, publish_pictures, train_refiner

        fill_cache(out, shards=shards)
        train_refiner(out, steps=steps)
        if publish:
            publish_pictures(out)


@train.command("upsampler")
@out_option
@click.option("--steps", type=click.IntRange(1), default=600, show_default=True, help="Steps in all.")
@publish_option
@pass_session
def upsampler(session: Session, out: Path, steps: int, publish: bool) -> None:
    """Train what turns base frames into delivered ones."""
    with _narrated(session):
        from generator.training import publish_pictures, train_upsampler

        train_upsampler(out, steps=steps)
        if publish:
            publish_pictures(out)


@train.command("generator")
@out_option
@click.option("--seconds", type=float, default=3 * 3600, show_default=True, help="Training time over all sittings.")
@click.option("--batch", type=click.IntRange(1), default=32, show_default=True, help="Clips per step.")
@click.option("--weights", type=click.Path(path_type=Path), help="Begin from these, with a fresh optimiser.")
@publish_option
@pass_session
def generator(session: Session, out: Path, seconds: float, batch: int, weights: Path | None, publish: bool) -> None:
    """Train the transformer on what `train autoencoder` rendered."""
    with _narrated(session):
        from generator.training import publish_transformer, train_transformer

        train_transformer(out, seconds=seconds, batch=batch, weights=weights)
        if publish:
            publish_transformer(out)


@train.command("detectors")
@out_option
@click.option("--split", type=click.Path(path_type=Path), help="Which clip stands in which fold.")
@pass_session
def detectors(session: Session, out: Path, split: Path | None) -> None:
    """Train the detectors on the corpus that COUNTERMARK_CORPUS names, and write their weights with a record."""
    from countermark.benches import corpus_folder
    from countermark.wiring import detector_degradations

    corpus = corpus_folder(session.settings)
    with _narrated(session), session.progress("detectors") as advance:
        from benchmarks.experiments.detectors import SPLIT
        from detectors.training import train_detectors

        trained = train_detectors(
            corpus,
            split or SPLIT,
            out / "detectors",
            degradations=detector_degradations(),
            report=lambda step, done, of: advance(done / max(of, 1), step),
        )
    session.findings().print(f"wrote {trained.weights} and {trained.record}", markup=False, soft_wrap=True)


@contextmanager
def _narrated(session: Session) -> Iterator[None]:
    """Let the training's own log be heard on standard error, unless --quiet."""
    if session.verbosity >= 0:
        import logging

        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    yield
