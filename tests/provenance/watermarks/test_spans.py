"""Which seconds carry an id: the steps of a chunk are shared out among the ids that are in it."""

import numpy as np
import pytest

from provenance.watermarks.chunk import Trace
from provenance.watermarks.spans import ChunkScore, clearest_of, likeliest_path, shared_out, spans_of

STEP_SECONDS = 0.15
STEPS = 32


def score(*stretches: tuple[int, float], begins: float = 0.0, seed: int = 0) -> ChunkScore:
    """Steps that score so much, each so many times, in noise of one standard deviation."""
    expected = np.concatenate([np.full(count, level) for count, level in stretches])
    steps = expected + np.random.default_rng(seed).normal(size=len(expected))
    times = begins + STEP_SECONDS * np.arange(len(steps))
    trace = Trace(times, times + STEP_SECONDS, np.zeros((len(steps), 368), np.complex64))
    return ChunkScore(trace, steps, float(steps.sum() / np.sqrt(len(steps))))


def shares(*scores: ChunkScore) -> list[list[int]]:
    """First and last step of what each id has."""
    return [[int(np.flatnonzero(own)[0]), int(np.flatnonzero(own)[-1])] for own in shared_out(scores)]


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
        (first, last), (again, end) = shares(before, after)
        assert first == 0
        assert end == STEPS - 1
        assert last + 1 == again
        assert again == pytest.approx(20, abs=1)

    def test_a_faint_id_is_not_held_for_a_strong_one_that_resembles_it(self) -> None:
        strong, faint = score((16, 20.0), (16, 0.0)), score((16, 3.0), (16, 4.0), seed=1)
        (_, last), (first, _) = shares(strong, faint)
        assert last == pytest.approx(15, abs=1)
        assert first == last + 1

    def test_two_ids_at_once_are_both_there(self) -> None:
        assert shares(score((STEPS, 6.0)), score((STEPS, 5.0), seed=1)) == [[0, 31], [0, 31]]
        assert shares(score((STEPS, 6.0)), score((12, 0.0), (20, 5.0), seed=1))[1] == [pytest.approx(12, abs=1), 31]

    def test_weak_moments_are_no_evidence_of_absence(self) -> None:
        assert shares(score((12, 5.0), (6, 0.8), (14, 5.0))) == [[0, 31]]

    def test_an_id_that_breaks_off_ends_there(self) -> None:
        ((first, last),) = shares(score((16, 8.0), (16, 0.0)))
        assert first == 0
        assert last == pytest.approx(15, abs=1)

    def test_the_last_moments_before_a_cut_may_be_pressed_away(self) -> None:
        assert shares(score((29, 9.0), (3, 0.0))) == [[0, 31]]

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

    def test_few_steps_that_look_clear_are_chance_unless_all_of_them_together_are(self) -> None:
        assert not score((2, 0.0), (1, 9.0), (3, -2.0)).stands_out
        assert score((6, 4.0)).stands_out
