"""A cut is seen, and neither motion, nor noise, nor a fade is taken for one."""

import numpy as np

from provenance.watermarks.shots import CutFinder, thumbnail_of


def pictures(seed: int) -> np.ndarray:
    """A smooth picture, uint8 (90, 160), unlike that of any other seed."""
    coarse = np.random.default_rng(seed).uniform(0, 255, (9, 16))
    return np.kron(coarse, np.ones((10, 10))).astype(np.uint8)


def cuts(frames: list[np.ndarray]) -> list[int]:
    finder = CutFinder()
    return [index for index, frame in enumerate(frames) if finder.begins_shot(thumbnail_of(frame))]


def test_the_first_frame_of_another_shot_is_a_cut() -> None:
    assert cuts([pictures(0)] * 5 + [pictures(1)] * 5 + [pictures(2)] * 2) == [5, 10]


def test_a_dark_shot_after_another_is_a_cut_too() -> None:
    assert cuts([pictures(0) // 8] * 5 + [pictures(1) // 8] * 5) == [5]


def test_motion_is_no_cut() -> None:
    assert cuts([np.roll(pictures(0), 4 * step, axis=1) for step in range(12)]) == []


def test_even_wild_motion_is_not_a_row_of_cuts() -> None:
    assert len(cuts([pictures(seed) for seed in range(12)])) <= 1


def test_a_fade_is_no_cut() -> None:
    first, second = pictures(0).astype(float), pictures(1).astype(float)
    assert cuts([((1 - share) * first + share * second).astype(np.uint8) for share in np.linspace(0, 1, 20)]) == []


def test_noise_on_black_is_no_cut() -> None:
    random = np.random.default_rng(0)
    assert cuts([random.integers(0, 6, (90, 160)).astype(np.uint8) for _ in range(12)]) == []
