"""Noise that carries signs looks like noise to whoever has no key."""

import numpy as np
import pytest
from scipy import stats

from provenance.keys import Key
from provenance.watermarks.noise import NoiseLayout, hadamard

SHAPE = (12, 4, 16, 16)
STREAM = Key("mine", b"\x07" * 32).stream("latent/1")


@pytest.fixture(scope="module")
def layout() -> NoiseLayout:
    return NoiseLayout(STREAM, SHAPE)


def random_signs(layout: NoiseLayout, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).choice([-1, 1], layout.size).astype(np.int8)


def test_signs_come_back_exactly_when_nothing_happens(layout):
    signs = random_signs(layout, 1)
    noise = layout.to_noise(signs, np.random.default_rng(2))
    assert noise.shape == SHAPE
    assert (np.sign(layout.to_carriers(noise)) == signs).all()


def test_every_carrier_has_exactly_one_task(layout):
    tasks = np.concatenate([layout.pilot, layout.verification, layout.payload])
    assert sorted(tasks) == list(range(layout.size))


def test_values_are_standard_normal(layout):
    values = np.concatenate(
        [layout.to_noise(random_signs(layout, seed), np.random.default_rng(seed)).ravel() for seed in range(20)]
    )
    assert abs(values.mean()) < 0.01
    assert abs(values.var() - 1) < 0.02
    assert abs(stats.kurtosis(values)) < 0.1


def test_energies_of_groups_vary_as_chi_square(layout):
    energies = []
    for seed in range(300):
        noise = layout.to_noise(random_signs(layout, seed), np.random.default_rng(seed))
        energies.append((noise[0, 0] ** 2).sum())
    assert stats.kstest(energies, stats.chi2(256).cdf).pvalue > 1e-3


def test_the_right_pilot_wins_the_search(layout):
    rng = np.random.default_rng(3)
    signs = random_signs(layout, 3)
    signs[layout.pilot] = layout.pilot_signs(54321)
    noisy = layout.to_noise(signs, rng) + 2.5 * rng.standard_normal(SHAPE)
    scores = layout.nonce_scores(layout.to_carriers(noisy))
    assert scores.shape == (65536,)
    assert scores.argmax() == 54321


def test_pilots_of_two_clips_are_uncorrelated(layout):
    first, second = layout.pilot_signs(17), layout.pilot_signs(40_000)
    assert abs(float(np.mean(first * second))) < 4 / np.sqrt(layout.pilot_length)


def test_hadamard_transform_equals_its_matrix():
    values = np.random.default_rng(0).standard_normal(16)
    matrix = np.array([[(-1) ** bin(i & j).count("1") for j in range(16)] for i in range(16)])
    np.testing.assert_allclose(hadamard(values), matrix @ values)


def test_two_keys_share_nothing(layout):
    other = NoiseLayout(Key("theirs", b"\x08" * 32).stream("latent/1"), SHAPE)
    signs = random_signs(layout, 4)
    noise = layout.to_noise(signs, np.random.default_rng(4))
    agreement = np.mean(np.sign(other.to_carriers(noise)) == signs)
    assert abs(agreement - 0.5) < 0.02


@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (16, 4, 16)])
def test_too_little_noise_is_refused(shape):
    with pytest.raises(ValueError, match="noise"):
        NoiseLayout(STREAM, shape)
