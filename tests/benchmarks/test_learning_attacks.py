"""Attacks that learn keep their promises: within the levels allowed, the same for the same draw, input unchanged."""

import numpy as np
import pytest

from benchmarks.attacks import learning
from benchmarks.marks import PixelMark, bench_key
from provenance.quality import psnr
from provenance.video import Clip

EPS = 4.0


@pytest.fixture(scope="module")
def plain():
    grain = np.random.default_rng(4).normal(120, 12, (24, 90, 160, 1)) + np.zeros(3)
    return Clip.at_rate(np.clip(grain, 0, 255).astype(np.uint8), 24.0)


def levels_of(clip: Clip, start: Clip) -> int:
    return int(np.abs(clip.frames.astype(int) - start.frames).max())


class TestSquare:
    def answer(self, clip: Clip) -> float:
        """A reader that sees less, the darker the left half is."""
        return -float(clip.luma[:, :, :80].mean())

    def test_it_climbs_within_its_levels_and_leaves_its_input_alone(self, plain):
        before = plain.frames.copy()
        clip, asked = learning.square(plain, self.answer, EPS, 40, np.random.default_rng(0), enough=0.0)
        assert asked == 40
        assert self.answer(clip) > self.answer(plain) + 0.1
        assert 0 < levels_of(clip, plain) <= EPS
        assert (plain.frames == before).all()

    def test_the_same_draw_gives_the_same_clip(self, plain):
        first, second = (
            learning.square(plain, self.answer, EPS, 10, np.random.default_rng(3), enough=0.0)[0] for _ in range(2)
        )
        assert (first.frames == second.frames).all()

    def test_it_stops_where_nothing_is_seen_any_more(self, plain):
        assert learning.square(plain, lambda clip: -1.0, EPS, 40, np.random.default_rng(0), enough=-9.0)[1] == 1


class TestDecisions:
    def test_it_comes_nearer_without_ever_being_found(self, plain):
        def is_found(clip: Clip) -> bool:
            return psnr(plain.luma, clip.luma) > 30

        start = learning.degraded(plain, np.random.default_rng(1))
        clip, asked = learning.decisions(plain, start, is_found, 40, np.random.default_rng(1))
        assert not is_found(clip)
        assert 9 < asked <= 40
        assert psnr(plain.luma, clip.luma) > psnr(plain.luma, start.luma) + 5

    def test_it_must_begin_where_nothing_is_found(self, plain):
        start = learning.degraded(plain, np.random.default_rng(1))
        with pytest.raises(ValueError, match="nothing is found"):
            learning.decisions(plain, start, lambda clip: True, 40, np.random.default_rng(1))


def test_a_surrogate_tells_two_patterns_apart_and_its_gradients_take_the_one_for_the_other():
    import torch

    random, stripes = np.random.default_rng(2), 3 * np.sign(np.sin(np.arange(160.0) * np.pi / 4))
    noise = [random.normal(120, 4, (8, 90, 160)) for _ in range(8)]
    without, marked = (
        [Clip.at_rate(np.clip(one + more, 0, 255).astype(np.uint8)[..., None].repeat(3, 3), 24) for one in noise]
        for more in (-stripes, stripes)
    )
    net, right = learning.surrogate(marked, without, seed=0)
    assert right > 0.9
    clip = learning.descend(marked[0], net, EPS)
    assert 0 < levels_of(clip, marked[0]) <= EPS
    with torch.no_grad():
        before, after = (net(learning._tiles(learning._luma(one))).mean() for one in (marked[0], clip))
    assert after < before


def test_whoever_holds_the_key_takes_the_mark_off_and_another_key_does_not():
    grain = np.random.default_rng(4).normal(120, 12, (48, 180, 320, 1)) + np.zeros(3)
    plain = Clip.at_rate(np.clip(grain, 0, 255).astype(np.uint8), 24.0)
    mark, key = PixelMark(), bench_key(0)
    marked = mark.embed(plain, 7, key)

    def read_after(other: str) -> int | None:
        clip = learning.with_key(marked, lambda clip: mark.embed(clip, 7, bench_key(0, other)), 8.0)
        assert levels_of(clip, marked) <= 8
        return mark.read(clip, key, 7, (180, 320)).message

    assert read_after("bench") is None
    assert read_after("other") == 7
