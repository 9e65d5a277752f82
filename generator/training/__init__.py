"""Training of the built-in model: data first (`cache`), then `refiner`, `upsampler` and `transformer`, then `publish`.

::

    python -m generator.training cache --out build/training
    python -m generator.training transformer --out build/training

Every stage goes on from what stands in the folder; checkpoints are written every few minutes, beside and renamed.
"""

from .data import fill_cache
from .denoiser import train_transformer
from .pictures import train_refiner, train_upsampler
from .publishing import publish_pictures, publish_transformer

__all__ = [
    "fill_cache",
    "publish_pictures",
    "publish_transformer",
    "train_refiner",
    "train_transformer",
    "train_upsampler",
]
