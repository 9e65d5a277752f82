"""Looking for the pixel watermark under one key, stretch after stretch: what is tested, and how often.

How many tests a file may take is planned before its first frame is seen, from the duration that it announces, so that
an id is never less certain than `statistics.DETECTION_LIMIT`. Every test that was made is counted: ids of a file that
is longer than it says are less certain, and that is what is said of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from provenance.keys import KeyStream
from provenance.watermarks import search, statistics
from provenance.watermarks.chunk import Geometry, View
from provenance.watermarks.payload import Candidate
from provenance.watermarks.reading import BLIND, FRONTS, KeyReader, Sums, Trial
from provenance.watermarks.search import StepImages

CHUNK_SECONDS = 4.8
SHORTEST_CHUNK_SECONDS = 0.5
"""A cut ends a chunk that has at least so many seconds."""

SEARCHED_SECONDS = 3.0
"""Other geometries are looked for in chunks of at least so many seconds, while longer ones may follow."""

_FEWEST_SPLITS = 4
MOST_WINDOWS = 100
STARTS_TRIED = 3
SEARCHES = 2
GEOMETRIES_TRIED = 4
MOST_NONCES = 12
_FEWEST_NONCES = 4
"""More cuts are planned for as long as so many are tested."""

_ROWS_PER_GEOMETRY = len(FRONTS) * 2  # one start, and the blind row
_ROWS_PER_WINDOW = len(FRONTS) * (STARTS_TRIED + 1)


def _rows(windows: int, searches: int) -> int:
    """Rows of sums that may be tested in so many windows and searches. A short file is searched once, in both ways."""
    once = windows <= 2
    geometries = search.POSITIONS + (2 if once else 1) * GEOMETRIES_TRIED
    return windows * _ROWS_PER_WINDOW + (min(searches, 1) if once else searches) * geometries * _ROWS_PER_GEOMETRY


@dataclass(frozen=True)
class Plan:
    """How many tests a file may take (statistics.MAX_TESTS in all, for all keys).

    chunks_per_window: chunks whose sums are decoded together. windows: of all the file, its sum being one of them.
    nonces: how many are tested per row of sums. searches: how often other geometries may be looked for. splits: how
    many chunks may end at a cut, each of which may make a window more.
    """

    keys: int
    chunks_per_window: int
    windows: int
    nonces: int
    searches: int
    splits: int = 0

    @classmethod
    def of(cls, duration_seconds: float | None, keys: int, searches: int = SEARCHES) -> Plan:
        """Plan for a duration; an unknown one counts as an hour."""
        chunks = max(1, math.ceil((duration_seconds or 3600.0) / CHUNK_SECONDS))
        per_window = math.ceil(chunks / MOST_WINDOWS)
        windows = math.ceil(chunks / per_window) + 1
        rows = _rows(windows, searches)
        while rows * keys > statistics.MAX_TESTS and windows > 2:  # so many keys leave room for fewer windows
            per_window *= 2
            windows = math.ceil(chunks / per_window) + 1
            rows = _rows(windows, searches)
        wanted = max(_FEWEST_SPLITS, chunks // 2)
        roomy = statistics.MAX_TESTS // (keys * (rows + math.ceil(wanted / per_window) * _ROWS_PER_WINDOW))
        without = statistics.MAX_TESTS // (keys * rows)
        nonces = max(1, min(MOST_NONCES, roomy if roomy >= _FEWEST_NONCES else without))
        room = max(0, statistics.MAX_TESTS // (keys * nonces) - rows) // _ROWS_PER_WINDOW  # windows more
        splits = min(max(_FEWEST_SPLITS, chunks), room * per_window)
        return cls(keys, per_window, windows, nonces, searches if windows > 2 else min(searches, 1), splits)

    def splits_by(self, seconds: float) -> int:
        """How many splits may be used up by then: some at once, the others evenly over the file."""
        share = seconds / ((self.windows - 1) * self.chunks_per_window * CHUNK_SECONDS)
        return min(self.splits, _FEWEST_SPLITS + int(share * self.splits))


@dataclass(frozen=True)
class Found:
    """An id, and where it was read: the most telling of all places.

    alike: all starts that fit about as well as `start`: in a second or two, the sequence may repeat itself.
    """

    watermark_id: int
    nonce: int
    start: int
    geometry: Geometry
    verification_log10_p: float
    alike: tuple[int, ...] = ()

    @property
    def rank(self) -> tuple[bool, float]:
        """Sorts the most telling sighting first: one whose start is known, then the clearest."""
        return self.start == BLIND, self.verification_log10_p


class KeyExaminer:
    """Looks under one key. `tests` counts all verifications, `best` is the log10 of the least likely one.

    found: by id. starts: by id, all starts that fitted it somewhere. clearest: by id, its least likely verification.
    """

    def __init__(self, stream: KeyStream, plan: Plan, whole: Geometry) -> None:
        self.reader = KeyReader(stream)
        self.geometry = whole
        self.tests = 0
        self.best = 0.0
        self.found: dict[int, Found] = {}
        self.starts: dict[int, set[int]] = {}
        self.clearest: dict[int, float] = {}
        self._plan = plan
        self._window: Sums | None = None
        self._file: Sums | None = None
        self._windows = self._searches = 0

    def add(self, view: View) -> None:
        """Add a chunk, seen under `geometry`."""
        sums = self.reader.sums(view)
        self._window = sums if self._window is None else self._window + sums
        self._file = sums if self._file is None else self._file + sums

    def end_window(self) -> None:
        """Test what was added since the last window."""
        if self._window is not None:
            self._windows += 1
            self._test(self._window, self.geometry, STARTS_TRIED)
            self._window = None

    def end_file(self) -> None:
        """Test the sum of all the file, unless it is the only window."""
        self.end_window()
        if self._windows > 1 and self._file is not None:
            self._test(self._file, self.geometry, STARTS_TRIED)

    @property
    def may_search(self) -> bool:
        """Whether nothing was found yet and searches are left."""
        return not self.found and self._searches < self._plan.searches

    def look_elsewhere(self, whole: View, images: dict[int, StepImages]) -> View | None:
        """Try other geometries on one chunk; return the view under which an id was read, and keep its geometry.

        whole: the chunk seen as a whole frame. images: shared by all keys, filled on first use.
        """
        self._searches += 1
        for view in self._other_views(whole, images):
            sums = self.reader.sums(view)
            if self._test(sums, view.geometry, 1):
                self.geometry, self._file = view.geometry, sums
                return view
        return None

    def _other_views(self, whole: View, images: dict[int, StepImages]) -> Iterator[View]:
        """Mirror images and quarter turns, then what the search proposes: by centred frames, by whitened ones; in
        short clips by both.
        """
        yield from search.turned(whole)
        for which in (0, 1) if self._plan.windows <= 2 else ((self._searches - 1) % 2,):
            if which not in images:
                images[which] = StepImages.of(whole, whitened=which == 1)
            for proposal in search.propose(images[which], self.reader, GEOMETRIES_TRIED):
                if search.looks_marked(images[which], self.reader, proposal, self._plan.nonces):
                    yield whole.chunk.view(proposal.geometry)
                else:  # what chance kept from being tested counts as tested
                    self.tests += _ROWS_PER_GEOMETRY * self._plan.nonces

    def _test(self, sums: Sums, geometry: Geometry, starts: int) -> bool:
        """Test rows of the sums; True when an id was read."""
        read: set[int] = set()  # nonces: an id that was read here once need not be decoded again
        for start in self.reader.starts(sums, starts):
            for front in FRONTS:
                trials = self.reader.try_row(sums, start, front, self._plan.nonces, frozenset(read))
                self.tests += len(trials)
                self.best = min([self.best, *(trial.verification_log10_p for trial in trials)])
                for trial in trials:
                    if trial.candidate is not None:
                        self._note(trial, trial.candidate, sums, geometry)
                        read.add(trial.nonce)
        return bool(read)

    def _note(self, trial: Trial, candidate: Candidate, sums: Sums, geometry: Geometry) -> None:
        watermark_id = candidate.watermark_id
        alike = _starts_that_fit(self.reader.fits(sums, watermark_id, trial.nonce))
        here = Found(watermark_id, trial.nonce, alike[0], geometry, trial.verification_log10_p, alike)
        known = self.found.get(watermark_id)
        if known is None or here.rank < known.rank:
            self.found[watermark_id] = here
        self.starts.setdefault(watermark_id, set()).update(alike)
        self.clearest[watermark_id] = min(self.clearest.get(watermark_id, 0.0), trial.verification_log10_p)


def _starts_that_fit(fits: np.ndarray) -> tuple[int, ...]:
    """Return the best start and those about as good, best first; BLIND alone where no start fits as the blind row."""
    keyed = fits[:BLIND]
    if keyed.max() < 0.7 * fits[BLIND]:
        return (BLIND,)
    peaks = (keyed >= np.roll(keyed, 1)) & (keyed >= np.roll(keyed, -1)) & (keyed >= 0.95 * keyed.max())
    found = np.flatnonzero(peaks)
    return tuple(int(start) for start in found[np.argsort(-keyed[found], kind="stable")])


__all__ = ["CHUNK_SECONDS", "SEARCHES", "Found", "KeyExaminer", "Plan"]
