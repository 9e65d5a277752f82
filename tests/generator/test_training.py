"""Training: what can be said without training for hours."""

from __future__ import annotations

import torch

from generator.training.data import Cache, fill_cache, load_encoder
from generator.weights import FOLDER, load_autoencoder


def test_a_cache_made_for_weights_that_ship_uses_their_encoder(tmp_path):
    fill_cache(tmp_path, shards=1, size=2, pixel_shards=0, processes=1, weights=FOLDER / "autoencoder.safetensors")
    assert torch.equal(load_encoder(tmp_path).basis, load_autoencoder().basis)
    latents, marks = Cache(tmp_path).load()
    assert latents.shape == (4, 16, 4, 16, 16)
    assert marks.shape == (4, 7)
