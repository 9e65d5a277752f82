"""Training: what can be said without training for hours."""

from __future__ import annotations

import torch

from generator.training.data import Cache, fill_cache, load_encoder
from generator.training.denoiser import TransformerRun
from generator.weights import FOLDER, load_autoencoder, record


def test_a_cache_made_for_weights_that_ship_uses_their_encoder(tmp_path):
    fill_cache(tmp_path, shards=1, size=2, pixel_shards=0, processes=1, weights=FOLDER / "autoencoder.safetensors")
    assert torch.equal(load_encoder(tmp_path).basis, load_autoencoder().basis)
    latents, marks = Cache(tmp_path).load()
    assert latents.shape == (4, 16, 4, 16, 16)
    assert marks.shape == (4, 7)


def test_training_goes_on_from_weights_that_ship_and_counts_on(tmp_path):
    fill_cache(tmp_path, shards=1, size=2, pixel_shards=0, processes=1, weights=FOLDER / "autoencoder.safetensors")
    shipped = record()["transformer.safetensors"]
    run = TransformerRun(tmp_path, *Cache(tmp_path).load(), FOLDER / "transformer.safetensors")
    assert (run.step, run.samples) == (shipped["steps"], shipped["clips"])
    run.update(*Cache(tmp_path).load(), torch.Generator().manual_seed(0), 2)
    run.save()
    again = TransformerRun(tmp_path, *Cache(tmp_path).load())
    assert (again.step, again.warmed_from) == (run.step, shipped["steps"])
    assert torch.equal(again.model.out.weight, run.model.out.weight)


def test_bfloat16_hardly_changes_the_loss(tmp_path):
    fill_cache(tmp_path, shards=1, size=2, pixel_shards=0, processes=1, weights=FOLDER / "autoencoder.safetensors")
    latents, marks = Cache(tmp_path).load()
    run = TransformerRun(tmp_path, latents, marks, FOLDER / "transformer.safetensors")
    losses = []
    for run.model.in_bfloat16 in (False, True):
        losses.append(run.gradient(latents, marks, torch.Generator().manual_seed(0), 4))
    assert losses[0] != losses[1]
    assert abs(losses[0] / losses[1] - 1) < 0.002
