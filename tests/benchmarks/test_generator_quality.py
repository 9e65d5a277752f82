"""The numbers that judge the built-in model: they tell what differs from what does not."""

import numpy as np
import pytest

from benchmarks.experiments.generator import features, frechet, rendered_set
from generator.scenes import SCENES, render


def test_the_distance_of_equal_sets_is_nothing_and_of_moved_ones_the_square_of_the_move():
    points = np.random.default_rng(0).standard_normal((400, 5))
    assert frechet(points, points) == pytest.approx(0, abs=1e-6)
    assert frechet(points, points + 2) == pytest.approx(20, rel=1e-3)
    assert frechet(points, 3 * points) > 10


def test_features_see_colour_motion_and_detail():
    still = np.full((16, 128, 128, 3), 90, np.uint8)
    moving, detailed = still.copy(), still.copy()
    moving[8:] = 160
    detailed[:, ::2] = 60
    colours, change, edges = np.split(features(still), (192, 256))
    assert np.allclose(colours, 90 / 255)
    assert np.allclose((change, edges), 0)
    assert features(moving)[192:256].min() > 0.4
    assert features(detailed)[192:256].max() < 1e-5
    assert np.abs(features(detailed)[:192] - 75 / 255).max() < 0.01


def test_rendered_sets_go_round_all_scenes_and_differ_by_scene():
    found, captions = rendered_set(len(SCENES), 5)
    assert found.shape == (len(SCENES), 320)
    assert [caption.attributes["scene"] for caption in captions] == list(SCENES)
    again = features(render(5, SCENES[0])[0])
    assert np.array_equal(found[0], again)
    assert np.linalg.norm(found[0] - found[4]) > 0.5
