"""Which seconds carry an id: the steps of a chunk are shared out among the ids that are in it."""

import numpy as np
import pytest

from provenance.keys import KeyStream
from provenance.watermarks.chunk import Geometry, Trace
from provenance.watermarks.examining import Found
from provenance.watermarks.reading import BLIND, KeyReader
from provenance.watermarks.spans import ChunkScore, clearest_of, likeliest_path, scores_of, shared_out, spans_of

STEP_SECONDS = 0.15
STEPS = 32


def score(*stretches: tuple[int, float], begins: float = 0.0, seed: int = 0, noise: float = 1.0) -> ChunkScore:
    """Steps that score so much, each so many times, in noise of one standard deviation, which is `noise` in itself."""
    expected = np.concatenate([np.full(count, level) for count, level in stretches])
    steps = expected + np.random.default_rng(seed).normal(size=len(expected))
    times = begins + STEP_SECONDS * np.arange(len(steps))
    trace = Trace(times, times + STEP_SECONDS, np.zeros((len(steps), 368), np.complex64))
    return ChunkScore(trace, steps, noise)


def shares(*scores: ChunkScore) -> list[list[tuple[int, int]]]:
    """Of each id the runs of steps that it has: first and last of each."""
    edges = [np.flatnonzero(np.diff(own, prepend=False, append=False)).reshape(-1, 2) for own in shared_out(scores)]
    return [[(begin, end - 1) for begin, end in of.tolist()] for of in edges]


class TestLikeliestPath:
    def test_it_is_the_best_of_all_paths(self) -> None:
        gains = np.random.default_rng(1).normal(size=(6, 3))
        every = np.stack(np.meshgrid(*[range(3)] * 6, indexing="ij"), axis=-1).reshape(-1, 6)
        totals = gains[np.arange(6), every].sum(axis=1) - 0.8 * (np.diff(every, axis=1) != 0).sum(axis=1)
        assert likeliest_path(gains, 0.8).tolist() == every[totals.argmax()].tolist()

    def test_what_is_worth_less_than_two_changes_changes_nothing(self) -> None:
        gains = np.stack([np.zeros(9), np.where(np.arange(9) == 4, 15.0, -3.0)], axis=1)
        assert likeliest_path(gains, 10.0).tolist() == [0] * 9
        assert likeliest_path(gains, 7.0).tolist() == [0] * 4 + [1] + [0] * 4


class TestSharingOut:
    def test_one_id_ends_where_the_next_begins(self) -> None:
        before, after = score((20, 6.0), (12, 1.0)), score((20, 1.0), (12, 6.0), seed=1)
        assert shares(before, after) == [[(0, 19)], [(20, 31)]]

    def test_a_faint_id_is_not_held_for_a_strong_one_that_resembles_it(self) -> None:
        strong, faint = score((16, 20.0), (16, 0.0)), score((16, 3.0), (16, 4.0), seed=1)
        assert shares(strong, faint) == [[(0, 15)], [(16, 31)]]

    @pytest.mark.parametrize("second", [6.0, 5.0, 4.0])
    def test_what_was_marked_twice_has_both_ids_throughout(self, second: float) -> None:
        assert shares(score((STEPS, 6.0)), score((STEPS, second), seed=1)) == [[(0, 31)], [(0, 31)]]

    def test_the_noise_of_the_stronger_id_holds_the_fainter_one(self) -> None:
        assert shares(score((STEPS, 17.0), noise=9.4), score((STEPS, 76.0), seed=1, noise=1.8)) == [[(0, 31)]] * 2
        # the same scores, but what is left of the second is little beside the first
        assert shares(score((STEPS, 76.0), noise=1.8), score((STEPS, 10.0), seed=1, noise=1.8))[1] == []

    def test_what_was_marked_twice_in_part_has_both_ids_there(self) -> None:
        assert shares(score((STEPS, 6.0)), score((12, 0.0), (20, 5.0), seed=1)) == [[(0, 31)], [(12, 31)]]

    def test_a_few_moments_in_common_are_a_border(self) -> None:
        ((_, last),), ((first, _),) = shares(score((18, 6.0), (14, 0.0)), score((14, 0.0), (18, 6.0), seed=1))
        assert first == last + 1

    def test_weak_moments_are_no_evidence_of_absence(self) -> None:
        assert shares(score((12, 5.0), (6, 0.8), (14, 5.0))) == [[(0, 31)]]
        assert shares(score((12, 60.0), (1, -40.0), (3, 1.0), (16, 60.0))) == [[(0, 31)]]

    def test_an_id_that_breaks_off_ends_there(self) -> None:
        assert shares(score((16, 8.0), (16, 0.0))) == [[(0, 15)]]

    def test_the_last_moments_before_a_cut_may_be_pressed_away(self) -> None:
        assert shares(score((29, 9.0), (3, 0.0))) == [[(0, 31)]]

    def test_they_are_not_where_another_id_has_them(self) -> None:
        assert shares(score((30, 9.0), (2, 0.0)), score((30, 0.0), (2, 40.0), seed=1)) == [[(0, 29)], [(30, 31)]]

    def test_without_ids_there_is_nothing_to_share(self) -> None:
        assert shared_out([]) == []


class TestSpans:
    def test_chunks_join_to_stretches(self) -> None:
        chunks = [score((STEPS, 5.0), begins=4.8 * number, seed=number) for number in range(3)]
        assert spans_of([chunks], clearest_of([chunks])) == [((0.0, pytest.approx(14.4)),)]

    def test_an_id_too_faint_for_single_chunks_has_all_of_them_but_those_of_another(self) -> None:
        faint = [score((STEPS, 0.5), begins=4.8 * number, seed=number) for number in range(2)]
        strong = [score((STEPS, 0.0), seed=5), score((STEPS, 20.0), begins=4.8, seed=6)]
        assert not any(one.stands_out for one in faint)
        spans = spans_of([faint, strong], clearest_of([faint, strong]))
        assert spans == [((0.0, pytest.approx(4.8)),), ((4.8, pytest.approx(9.6)),)]

    def test_an_id_that_others_always_surpass_has_the_chunks_where_it_stands_out(self) -> None:
        strong = [score((STEPS, 9.0)), *(score((STEPS, 0.0), begins=4.8 * n, seed=n) for n in range(1, 8))]
        faint = [score((STEPS, 3.0), seed=9), *(score((STEPS, 0.0), begins=4.8 * n, seed=n + 9) for n in range(1, 8))]
        assert spans_of([strong, faint], clearest_of([strong, faint])) == [((0.0, pytest.approx(4.8)),)] * 2

    def test_resemblance_to_a_clear_id_is_no_id(self) -> None:
        strong = [score((20, 60.0), (12, 0.0)), score((STEPS, 0.0), begins=4.8, seed=1)]
        other = [score((STEPS, 4.0), seed=2), score((STEPS, 9.0), begins=4.8, seed=3)]
        assert spans_of([strong, other], clearest_of([strong, other]))[1] == ((4.8, pytest.approx(9.6)),)

    def test_few_steps_that_look_clear_are_chance_unless_all_of_them_together_are(self) -> None:
        assert not score((2, 0.0), (1, 9.0), (3, -2.0)).stands_out
        assert score((6, 4.0)).stands_out


def test_noise_whose_signs_are_not_known_stands_out_nowhere(stream: KeyStream) -> None:
    reader, random = KeyReader(stream), np.random.default_rng(0)
    known = Found(5, 3, BLIND, Geometry.identity(640, 360), -9.0)
    times = STEP_SECONDS * np.arange(STEPS)
    traces = [
        Trace(times + begin, times + begin + STEP_SECONDS, (part[0] + 1j * part[1]).astype(np.complex64))
        for begin, part in zip(range(0, 200, 5), random.normal(size=(40, 2, STEPS, 368)), strict=True)
    ]
    scores = scores_of(traces, reader, known, [BLIND])
    assert abs(np.mean([one.altogether for one in scores])) < 0.5
    assert not any(one.stands_out for one in scores)
