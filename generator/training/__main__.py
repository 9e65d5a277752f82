"""Training from the command line; see the package's docstring."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import torch

from . import __doc__ as package_doc
from .data import fill_cache
from .denoiser import train_transformer
from .pictures import train_refiner, train_upsampler
from .publishing import publish_pictures, publish_transformer


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one stage from the command line; the exit status is 0 when it finished."""
    parser = argparse.ArgumentParser(
        prog="python -m generator.training",
        description=package_doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("stage", choices=("cache", "transformer", "refiner", "upsampler", "publish"))
    parser.add_argument("--out", type=Path, required=True, help="folder of caches and checkpoints")
    parser.add_argument("--seconds", type=float, default=3 * 3600, help="transformer: training time over all sittings")
    parser.add_argument("--steps", type=int, default=600, help="refiner, upsampler: steps")
    parser.add_argument("--batch", type=int, default=64, help="transformer: clips per step")
    parser.add_argument("--shards", type=int, default=48, help="cache: shards of 128 clips and their mirror images")
    parser.add_argument(
        "--weights", type=Path, help="transformer: begin from these with a fresh optimiser; cache: encode as these do"
    )
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(given.threads)
    if given.stage == "cache":
        fill_cache(given.out, shards=given.shards, processes=given.threads, weights=given.weights)
    elif given.stage == "transformer":
        train_transformer(given.out, seconds=given.seconds, batch=given.batch, weights=given.weights)
    elif given.stage == "refiner":
        train_refiner(given.out, steps=given.steps)
    elif given.stage == "upsampler":
        train_upsampler(given.out, steps=given.steps)
    else:
        publish_pictures(given.out)
        publish_transformer(given.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
