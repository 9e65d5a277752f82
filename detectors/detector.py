"""The detector as a check of frames: it looks at the first seconds of a video and says how generated they look.

It speaks of the statistics of pixels only: a low score never means that a clip was filmed, and no word here says so.
It abstains where its score could not be trusted: too short, too small, nothing moves, a drawn pattern, unlike
everything it learned from, or a score between the two classes.
"""

from __future__ import annotations

from detectors.applicability import not_natural
from detectors.calibration import probability_generated
from detectors.canonical import FRAMES, FULL_SQUARE, SMALLEST_SQUARE, CanonicalFrames, CanonicalView
from detectors.suite import Suite, ViewScores, shipped_suite
from provenance.evidence import ChannelScore, DetectorEvidence, DetectorStatus, Evidence
from provenance.video import VideoInfo, Window


class Detector:
    """Examines one video: `start`, `see` windows until enough, then `evidence` (a `FrameCheck`)."""

    name = "detectors"

    def __init__(self, suite: Suite | None = None) -> None:
        """With the suite that ships, or another one; weights are read when a score is needed."""
        self._suite = suite
        self._view: CanonicalView | None = None
        self._still = False

    def start(self, info: VideoInfo) -> None:
        """Get ready for a video."""
        self._still = info.is_still
        self._view = CanonicalView(float(info.frame_rate), info.frame_count)

    def see(self, window: Window) -> bool:
        """Take in the next frames; True once four seconds were seen, or nothing is to be gained."""
        return self._still or self._view is None or self._view.see(window)

    def evidence(self) -> list[Evidence]:
        """One object: the score with its channels and timeline, or why there is none."""
        if self._still or self._view is None:
            return [_not_applicable("a still picture: detectors need moving pictures")]
        views = self._view.views()
        reason = self._no_views() if not views else not_natural(views)
        if reason:
            return [_not_applicable(reason)]
        suite = self._suite or shipped_suite()
        return [judged(suite, views, suite.score(views))]

    def _no_views(self) -> str:
        assert self._view is not None
        if 0 < self._view.square_pixels < SMALLEST_SQUARE:
            return f"too small: {self._view.square_pixels} pixels are left after trimming, {SMALLEST_SQUARE} are needed"
        if self._view.frames_seen == 0:
            return "nothing but black"
        return f"too short: {self._view.frames_seen} frames, {FRAMES} are needed"


def _not_applicable(reason: str) -> DetectorEvidence:
    return DetectorEvidence("not_applicable", reasons=(reason,))


def judged(suite: Suite, views: list[CanonicalFrames], scores: ViewScores) -> DetectorEvidence:
    """The evidence for scores: scored outside the band, inconclusive inside it or where a doubt stands."""
    reasons = list(doubts(suite, views, scores))
    if not suite.head.band.decides(scores.fused):
        reasons.append("the score lies between generated and filmed clips")
    status: DetectorStatus = "inconclusive" if reasons else "scored"
    return DetectorEvidence(
        status=status,
        log_likelihood_ratio=scores.fused,
        probability_generated=float(probability_generated(scores.fused)),
        channels=tuple(ChannelScore(name, ratio) for name, ratio in scores.channels.items()),
        timeline=tuple((v.start_seconds, v.end_seconds, s) for v, s in zip(views, scores.per_view, strict=True)),
        reasons=tuple(reasons),
    )


def doubts(suite: Suite, views: list[CanonicalFrames], scores: ViewScores) -> list[str]:
    """Why the score should not be trusted, whatever it is."""
    found = []
    if views[0].square_pixels < FULL_SQUARE:
        found.append(f"small picture: {views[0].square_pixels} pixels are left after trimming")
    odd = [name for name, limit in suite.oddness_limits.items() if scores.oddness[name] > limit]
    if odd:
        found.append(f"unlike all clips the detectors learned from ({', '.join(odd)})")
    return found
