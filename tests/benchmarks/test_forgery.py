"""What attackers with several clips can do is done right: estimates resemble what was added, colluders meet."""

import numpy as np
import pytest

from benchmarks.attacks import forgery
from benchmarks.attacks.forgery import COLLUSIONS, CommonPattern, MeanResidual
from benchmarks.marks import PixelMark, bench_key
from provenance.quality import psnr
from provenance.video import Clip

KEY, MARK = bench_key(0), PixelMark()


def textured(seed=0, frames=24, height=90, width=160):
    random = np.random.default_rng(seed)
    ramp = np.linspace(60, 180, width)[None, :, None]
    grain = random.normal(0, 3, (frames, height, width, 1))
    return Clip.at_rate(np.clip(ramp + grain + np.zeros(3), 0, 255).astype(np.uint8), 24.0)


@pytest.fixture(scope="module")
def plain():
    return textured()


@pytest.fixture(scope="module")
def marked(plain):
    return MARK.embed(plain, 5, KEY)


def likeness(one, other):
    return float(np.corrcoef(np.ravel(one), np.ravel(other))[0, 1])


def test_the_true_residual_turns_a_clip_into_its_marked_twin(plain, marked):
    copied = forgery.with_added(plain, forgery.true_residual(marked, plain))
    assert np.array_equal(copied.frames, marked.frames)


def test_the_estimate_resembles_the_watermark_and_knows_no_original(plain, marked):
    true = forgery.true_residual(marked, plain)
    assert likeness(forgery.estimated_residual(marked), true) > likeness(forgery.estimated_residual(plain), true) + 0.2


def test_nothing_changes_its_input(plain, marked):
    before = plain.frames.copy(), marked.frames.copy()
    residual = forgery.estimated_residual(marked)
    kept = residual.copy()
    forgery.with_added(plain, forgery.at_strength(residual), -2.0)
    forgery.moving(*forgery.lattice_leading(residual))
    forgery.moving(*forgery.leading(residual))
    for how in COLLUSIONS:
        forgery.colluded([plain, marked], how)
    assert np.array_equal(residual, kept)
    assert np.array_equal(plain.frames, before[0])
    assert np.array_equal(marked.frames, before[1])


@pytest.mark.parametrize("find", [forgery.leading, forgery.lattice_leading])
def test_a_tile_that_changes_its_sign_is_found_without_the_key(find, plain, marked):
    true = forgery.true_residual(marked, plain)
    assert likeness(forgery.moving(*find(true)), true) > 0.8
    assert forgery.still(true).std() < 0.6 * true.std()  # signs over time cancel in a plain mean


def test_the_lattice_shows_through_where_a_plain_component_does_not(plain, marked):
    true, estimated = forgery.true_residual(marked, plain), forgery.estimated_residual(marked)
    blind, informed = (forgery.moving(*find(estimated)) for find in (forgery.leading, forgery.lattice_leading))
    assert likeness(informed, true) > likeness(blind, true)
    assert likeness(informed, true) > 0.7


def test_strength_is_a_psnr(plain):
    change = np.random.default_rng(1).normal(size=plain.luma.shape).astype(np.float32)
    added = forgery.with_added(plain, forgery.at_strength(change, 36.0))
    assert psnr(plain.luma, added.luma) == pytest.approx(36, abs=0.3)
    assert not forgery.at_strength(0 * change).any()


def test_a_mean_is_one_of_all_and_a_common_pattern_ignores_signs():
    random = np.random.default_rng(2)
    shared = random.normal(size=(20, 30)).astype(np.float32)
    mean, common = MeanResidual(), CommonPattern()
    for turn in range(40):
        pattern = (-1) ** turn * (shared + random.normal(size=shared.shape).astype(np.float32))
        mean.add(pattern)
        common.add(pattern)
    assert abs(likeness(common.value, shared)) > 0.95
    assert abs(likeness(mean.value, shared)) < 0.5
    assert np.square(common.value).mean() == pytest.approx(1, abs=1e-3)


def test_means_of_nothing_are_refused():
    for empty in (MeanResidual(), CommonPattern()):
        with pytest.raises(ValueError, match="no"):
            empty.value  # noqa: B018, the property raises


def test_clips_and_residuals_that_do_not_fit_are_refused(plain):
    shorter = plain.select(slice(5))
    with pytest.raises(ValueError, match="compared"):
        forgery.true_residual(plain, shorter)
    with pytest.raises(ValueError, match="fit"):
        forgery.with_added(plain, np.zeros((5, 90, 160), np.float32))
    with pytest.raises(ValueError, match="one shape"):
        forgery.colluded([plain, shorter], "mean")


def test_grey_is_even_and_keeps_the_shape(plain):
    grey = forgery.grey_like(plain)
    assert grey.frames.shape == plain.frames.shape
    assert np.unique(grey.frames).tolist() == [forgery.GREY]


@pytest.mark.parametrize(("how", "expected"), [("mean", 40), ("median", 20), ("min-max", 50)])
def test_colluders_meet_as_the_name_says(how, expected):
    clips = [Clip.at_rate(np.full((2, 4, 6, 3), level, np.uint8), 24.0) for level in (0, 20, 100)]
    assert np.unique(forgery.colluded(clips, how).frames).tolist() == [expected]
