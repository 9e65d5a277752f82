"""The detectors under test, behind one interface: a file in, a score out.

Ours is the suite that ships. Others join by a command line (`benchmarks.commands`) or as a function from a path to a
number (an entry point of the group ``countermark.detectors``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from provenance.errors import UsageError

Decision = Literal["generated", "inconclusive"]


@dataclass(frozen=True)
class Opinion:
    """What a detector says of one file.

    score: any number, more means more likely generated; None: it abstains. log_likelihood_ratio: natural logarithm,
    where the detector is calibrated. decided: where it names one of two outcomes. reason: why it abstains or doubts.
    """

    score: float | None
    log_likelihood_ratio: float | None = None
    decided: Decision | None = None
    reason: str | None = None

    def __post_init__(self) -> None:
        if self.score is not None and not math.isfinite(self.score):
            raise ValueError(f"a score is a finite number, not {self.score}")


class Judge(Protocol):
    """A detector under test; picklable."""

    @property
    def name(self) -> str:
        """What rows call it; without a slash."""

    @property
    def digest(self) -> str | None:
        """What its weights are known by, for the settings of a run; None where nothing is known."""

    def refuse_trained_on(self, sha256: str | None) -> None:
        """Raise UsageError when its weights learned from the file of this digest; where that is unknown, do nothing."""

    def score(self, path: Path) -> Opinion:
        """Examine one file."""


@dataclass(frozen=True)
class OwnSuite:
    """The suite that ships."""

    name: str = "countermark"

    @property
    def digest(self) -> str | None:
        """The first digits of the digest of its weights."""
        from detectors.suite import weights_digest

        return weights_digest()[:16]

    def refuse_trained_on(self, sha256: str | None) -> None:
        """Look the clip up in the record of the weights."""
        from detectors.suite import trained_on

        if sha256 in trained_on():
            raise UsageError("the weights were trained on this clip", hint="run bench detectors without --videos")

    def score(self, path: Path) -> Opinion:
        """Let the check see the frames until it has enough."""
        from detectors.detector import Detector
        from provenance.evidence import DetectorEvidence
        from provenance.video import Video

        video, check = Video(path), Detector()
        check.start(video.info)
        for window in video.windows():
            if check.see(window):
                break
        said = check.evidence()[0]
        assert isinstance(said, DetectorEvidence)
        ratio = said.log_likelihood_ratio
        reason = "; ".join(said.reasons) or None
        if ratio is None:
            return Opinion(None, reason=reason)
        decided: Decision = "generated" if said.status == "scored" and ratio > 0 else "inconclusive"
        return Opinion(round(ratio, 4), round(ratio, 4), decided, reason)


def all_judges(commands: Sequence[str] = ()) -> list[Judge]:
    """Return ours, those of installed packages, and one per command line. UsageError for a command without {file}."""
    from benchmarks.commands import CommandDetector
    from benchmarks.entry_points import DETECTORS, joined_detector, names

    joined = [ScoreFunction(name, joined_detector(name)) for name in names(DETECTORS)]
    names_of = ("command", *(f"command-{number}" for number in range(2, len(commands) + 1)))
    written = [CommandDetector(line, name) for line, name in zip(commands, names_of, strict=False)]
    return [OwnSuite(), *joined, *(ScoreFunction(one.name, one) for one in written)]


@dataclass(frozen=True)
class ScoreFunction:
    """A detector that is a function from a path to a number, or to None where it abstains."""

    name: str
    function: Callable[[Path], float | None]
    digest: str | None = None

    def __post_init__(self) -> None:
        if "/" in self.name or not self.name:
            raise UsageError(f"{self.name!r} is no name of a detector", hint="letters, digits and dashes will do")

    def refuse_trained_on(self, sha256: str | None) -> None:
        """Nothing is known of what it learned from."""

    def score(self, path: Path) -> Opinion:
        """Call it."""
        value = self.function(path)
        return Opinion(None if value is None else float(value))
