"""The weights that ship: complete, as their record says, and usable."""

import numpy as np
import pytest

from generator.model import BuiltInGenerator
from generator.scenes import ATTRIBUTES
from generator.weights import FOLDER, check, record


def test_every_file_is_as_its_record_says():
    check()
    assert set(record()) == {"autoencoder.safetensors", "transformer.safetensors", "upsampler.safetensors"}


def test_they_are_small_enough_to_ship():
    assert sum(path.stat().st_size for path in FOLDER.glob("*.safetensors")) < 30e6


def test_the_record_says_what_they_were_trained_on_and_how_well_they_do():
    entry = record()["transformer.safetensors"]
    assert entry["steps"] > 0
    assert entry["training_seconds"] > 0
    assert 0 < entry["held_out_loss"] < 1.4


@pytest.fixture(scope="module")
def generator() -> BuiltInGenerator:
    return BuiltInGenerator.load()


def test_the_model_knows_every_attribute(generator):
    config = generator.transformer.config
    assert config.attributes == tuple(len(values) for values in ATTRIBUTES.values())
    assert generator.noise_shape == generator.autoencoder.latent_shape(16, 128, 128)


def test_a_base_clip_is_sampled_and_its_noise_found_again(generator):
    noise = np.random.default_rng(0).standard_normal(generator.noise_shape).astype(np.float32)
    base = generator.sample_base(noise, "a blue ocean at sunset", steps=4)
    assert base.shape == (16, 128, 128, 3)
    assert base.std() > 8
    from provenance.video import Clip

    found = generator.invert(Clip.at_rate(base, 8), steps=4)
    assert np.mean((found > 0) == (noise > 0)) > 0.6
