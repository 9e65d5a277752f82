"""Part of `bench forgery`: attackers who ask a reader, who learn from clips, or who hold the key.

* ``learn/square/epsE``: the reader's number is asked after every change of at most E levels, hundreds of times;
* ``learn/decisions``: the reader says no more than whether it found something;
* ``learn/surrogate/epsE``: nobody is asked: a network learns to tell marked clips of the key from others, and its
  gradients say what to change;
* ``learn/key/epsE``: the key is out: the same pattern is made again and taken off.

Clips have 180 lines here, since questions are many.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.attacks import learning
from benchmarks.marks import Mark
from benchmarks.runs import Row
from provenance.keys import Key
from provenance.verdict import DETECTED_LOG10_P
from provenance.video import Clip

if TYPE_CHECKING:
    from torch import nn

QUERIES = 100
"""Questions to the reader, for each arm; papers allow themselves a thousand and more."""
LEARNT_FROM = 24
"""Clips of the key, and the same unmarked, that a surrogate learns from; a quarter of them tells what it learnt."""
LEVELS = (2, 4, 8)
LEARNERS = (
    *(f"learn/square/eps{eps}" for eps in LEVELS),
    "learn/decisions",
    *(f"learn/surrogate/eps{eps}" for eps in LEVELS),
    *(f"learn/key/eps{eps}" for eps in LEVELS),
)


@dataclass(frozen=True)
class Learner:
    """An attacker on one marked clip.

    answer: the least log10 p that the owner's reader states of a clip, None for nothing; of whole frames alone, since
    nothing here changes where they lie. donors: pairs of other clips, marked under the key and not.
    """

    mark: Mark
    key: Key
    marked: Clip
    victim: int
    answer: Callable[[Clip], float | None]
    donors: Callable[[], Sequence[tuple[Clip, Clip]]]
    queries: int
    seed: int

    def forge(self, arm: str) -> tuple[Clip, Row]:
        """Return the forged clip of an arm, and what else its row should say."""
        _, how, *rest = arm.split("/")
        eps = float(rest[0].removeprefix("eps")) if rest else 0.0
        random = np.random.default_rng(self.seed)
        if how == "square":
            clip, asked = learning.square(self.marked, self._score, eps, self.queries, random, DETECTED_LOG10_P)
            return clip, {"queries": asked}
        if how == "decisions":
            start = learning.degraded(self.marked, random)
            clip, asked = learning.decisions(self.marked, start, self._is_found, self.queries, random)
            return clip, {"queries": asked}
        if how == "surrogate":
            net, right = self._surrogate
            return learning.descend(self.marked, net, eps), {"queries": 0, "surrogate_right": round(right, 3)}
        again = learning.with_key(self.marked, lambda clip: self.mark.embed(clip, self.victim, self.key), eps)
        return again, {"queries": 0}

    def _score(self, clip: Clip) -> float:
        log10_p = self.answer(clip)
        return 0.0 if log10_p is None else log10_p

    def _is_found(self, clip: Clip) -> bool:
        return self._score(clip) <= DETECTED_LOG10_P

    @cached_property
    def _surrogate(self) -> tuple[nn.Module, float]:
        pairs = self.donors()
        return learning.surrogate([marked for marked, _ in pairs], [plain for _, plain in pairs], self.seed % 2**31)
