"""The detector as a check: what it says, when it abstains, and that it never vouches for a clip."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from detectors.calibration import InconclusiveBand, PlattScale
from detectors.channels import CHANNELS
from detectors.classifier import LinearClassifier
from detectors.detector import Detector
from detectors.fusion import Fusion, Head
from detectors.suite import Suite, load_suite, save_suite
from provenance.errors import WeightsError
from provenance.evidence import DetectorEvidence, FrameCheck
from provenance.video import Clip, VideoInfo, Window


def suite(bias: float, limit: float = 1e9) -> Suite:
    """A suite whose channels say `bias` whatever they see; undecided between -1 and 1."""
    sizes = {channel.name: len(channel.names()) for channel in CHANNELS}
    classifiers = {n: LinearClassifier(np.zeros(k), np.ones(k), np.zeros(k), bias) for n, k in sizes.items()}
    weights = tuple(1 / len(sizes) for _ in sizes)
    head = Head({n: PlattScale(1.0, 0.0) for n in sizes}, Fusion(tuple(sizes), weights, 0.0), InconclusiveBand(-1, 1))
    return Suite(classifiers, head, dict.fromkeys(sizes, limit))


def info_of(clip: Clip, is_still: bool = False) -> VideoInfo:
    return VideoInfo(
        path=Path("clip.mp4"), container="mp4", codec="h264", pixel_format="yuv420p", bit_depth=8, width=clip.width,
        height=clip.height, rotation_degrees=0, sample_aspect=Fraction(1),
        frame_rate=Fraction(clip.frames_per_second).limit_denominator(1000), time_base=Fraction(1, 1000),
        duration_seconds=clip.seconds, frame_count=len(clip), is_still=is_still, full_range=False, audio_streams=0,
        other_streams=0,
    )  # fmt: skip


def examined(clip: Clip, by: Suite | None, is_still: bool = False) -> DetectorEvidence:
    detector = Detector(by)
    detector.start(info_of(clip, is_still))
    for start in range(0, len(clip), 16):
        if detector.see(Window.of(clip.select(slice(start, start + 16)))):
            break
    (evidence,) = detector.evidence()
    assert isinstance(evidence, DetectorEvidence)
    return evidence


def drifting(frames: int, size: int = 240) -> Clip:
    """Smoothed noise that drifts by two pixels a frame."""
    noise = np.random.default_rng(1).uniform(0, 255, (size // 4, (size + 2 * frames) // 4 + 1, 3))
    wide = np.kron(noise, np.ones((4, 4, 1)))
    return Clip.at_rate(np.stack([wide[:size, 2 * t : 2 * t + size] for t in range(frames)]).astype(np.uint8), 8.0)


def test_is_a_frame_check():
    assert isinstance(Detector(), FrameCheck)


@pytest.mark.parametrize(("bias", "status"), [(2.0, "scored"), (-2.0, "scored"), (0.4, "inconclusive")])
def test_a_score_outside_the_band_counts_and_one_inside_does_not(bias, status):
    evidence = examined(drifting(16), suite(bias))
    assert evidence.status == status
    assert evidence.log_likelihood_ratio == pytest.approx(bias)
    assert evidence.probability_generated == pytest.approx(1 / (1 + np.exp(-bias)))
    assert {channel.name for channel in evidence.channels} == {channel.name for channel in CHANNELS}
    assert bool(evidence.reasons) == (status == "inconclusive")


def test_a_longer_clip_has_a_timeline_of_two_views():
    evidence = examined(drifting(40), suite(2.0))
    assert [(a, b) for a, b, _ in evidence.timeline] == [(0.0, 15 / 8), (2.0, 31 / 8)]


@pytest.mark.parametrize(
    ("clip", "word"),
    [
        (drifting(12), "too short"),
        (drifting(16, size=100), "too small"),
        (Clip.at_rate(np.repeat(drifting(1).frames, 20, axis=0), 8.0), "nothing moves"),
        (Clip.at_rate(np.zeros((20, 240, 240, 3), np.uint8), 8.0), "black"),
    ],
    ids=["short", "small", "frozen", "black"],
)
def test_says_why_it_has_nothing_to_say(clip, word):
    evidence = examined(clip, suite(2.0))
    assert (evidence.status, evidence.log_likelihood_ratio) == ("not_applicable", None)
    assert word in evidence.reasons[0]


def test_moving_colour_bars_are_no_picture_to_judge():
    bars = np.repeat(np.arange(8) * 36, 60).astype(np.uint8)
    frames = np.stack([np.tile(np.roll(bars, 6 * t)[:, None], (240, 1, 3)) for t in range(16)])
    evidence = examined(Clip.at_rate(frames, 8.0), suite(2.0))
    assert evidence.status == "not_applicable"
    assert "test pattern" in evidence.reasons[0]


def test_a_still_picture_is_not_applicable():
    assert examined(drifting(16), suite(2.0), is_still=True).status == "not_applicable"


def test_a_clip_unlike_the_training_clips_is_inconclusive_whatever_its_score():
    evidence = examined(drifting(16), suite(5.0, limit=0.0))
    assert evidence.status == "inconclusive"
    assert evidence.log_likelihood_ratio == pytest.approx(5.0)
    assert "unlike" in evidence.reasons[0]


def test_a_small_picture_is_scored_but_decides_nothing():
    evidence = examined(drifting(16, size=160), suite(5.0))
    assert (evidence.status, evidence.log_likelihood_ratio) == ("inconclusive", pytest.approx(5.0))


def test_no_sentence_calls_a_clip_real():
    said = [examined(drifting(16), suite(b)).to_json() for b in (-5.0, 0.0, 5.0)]
    assert "real" not in str(said).lower()


def test_a_suite_survives_being_stored(tmp_path):
    before = suite(0.75)
    save_suite(before, tmp_path / "suite.safetensors")
    after = load_suite(tmp_path / "suite.safetensors")
    clip = drifting(16)
    assert examined(clip, after) == examined(clip, before)


@pytest.mark.parametrize("damage", [b"", b"not weights at all", None])
def test_damaged_or_missing_weights_are_said_in_one_line(tmp_path, damage):
    path = tmp_path / "suite.safetensors"
    if damage is not None:
        path.write_bytes(damage)
    with pytest.raises(WeightsError):
        load_suite(path)
