"""Marks under test: one lookup for all of them, and nothing that they give back goes unchecked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.entry_points import (
    DETECTORS,
    WATERMARKS,
    JoinedDetector,
    JoinedMark,
    joined_detector,
    joined_mark,
    names,
)
from benchmarks.marks import MARKS, MarkReading, PixelMark, bench_id, bench_key, bench_message, bits_right, mark_named
from benchmarks.peers.environment import PEERS, Peer
from benchmarks.peers.peer_mark import PeerMark
from benchmarks.videos import SceneShape, scene_subjects
from provenance.errors import CannotRead, NeedsExtra, UnknownName, UsageError
from provenance.keys import PUBLIC
from provenance.quality import psnr
from provenance.video import Clip
from provenance.watermarks.payload import Origin
from provenance.watermarks.pixel import PixelWatermark

KEY = bench_key(0)
PROGRAM = """
from dataclasses import dataclass
from benchmarks.marks import MarkReading
from provenance.video import Clip

@dataclass
class Good:
    bits: int = 8
    def embed(self, clip, message, key):
        frames = clip.frames.copy()
        frames[:, 0, 0, 0] = message
        return Clip(frames, clip.times)
    def read(self, clip, key, expected):
        return MarkReading(int(clip.frames[0, 0, 0, 0]), -1.0, None)

ready = Good()
nothing = object()
def broken(): raise RuntimeError("no weights here")
def score(path): return len(str(path))
number = 3
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package on the path that brings watermarks and detectors along, some of them broken."""
    (tmp_path / "joining.py").write_text(PROGRAM)
    record = tmp_path / "joining-1.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: joining\nVersion: 1\n")
    (record / "entry_points.txt").write_text(
        f"[{WATERMARKS}]\nmade=joining:Good\nready=joining:ready\nnothing=joining:nothing\nbroken=joining:broken\n"
        f"gone=joining_gone:Good\n[{DETECTORS}]\nlength=joining:score\nnumber=joining:number\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))


def small() -> Clip:
    return Clip.at_rate(np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8), 24)


class TestLookup:
    def test_ours_come_first(self) -> None:
        assert {name: mark_named(name) for name in MARKS} == MARKS

    @pytest.mark.usefixtures("installed")
    def test_a_package_s_watermark_is_found_by_its_entry_point(self) -> None:
        mark = mark_named("made")
        assert (mark.name, mark.bits) == ("made", 8)
        assert mark.read(mark.embed(small(), 77, KEY), KEY, 77).message == 77

    @pytest.mark.usefixtures("installed")
    def test_an_object_that_stands_ready_will_do_too(self) -> None:
        assert joined_mark("ready").bits == 8

    @pytest.mark.usefixtures("installed")
    @pytest.mark.parametrize(("wrong", "near"), [("pixle", "pixel"), ("dwtDctSVD", "dwtDctSvd"), ("raedy", "ready")])
    def test_an_unknown_name_names_the_nearest_of_all(self, wrong: str, near: str) -> None:
        with pytest.raises(UnknownName) as caught:
            mark_named(wrong)
        assert near in caught.value.hint

    @pytest.mark.usefixtures("installed")
    def test_what_cannot_be_loaded_says_why(self) -> None:
        with pytest.raises(NeedsExtra, match="no weights here"):
            mark_named("broken")
        with pytest.raises(NeedsExtra, match="joining_gone"):
            mark_named("gone")
        with pytest.raises(NeedsExtra, match="nothing"):
            mark_named("nothing")

    @pytest.mark.usefixtures("installed")
    def test_detectors_are_found_by_their_entry_points(self) -> None:
        assert {"length", "number"} <= set(names(DETECTORS))
        assert joined_detector("length")(Path("abc")) == 3.0
        with pytest.raises(UsageError, match="no function"):
            joined_detector("number")
        with pytest.raises(UnknownName) as caught:
            joined_detector("lenght")
        assert "length" in caught.value.hint


@dataclass
class Odd:
    """Gives back whatever it was told to."""

    bits: Any = 8
    embedded: Any = None
    said: Any = None

    def embed(self, clip: Clip, message: int, key: object) -> Any:
        return self.embedded

    def read(self, clip: Clip, key: object, expected: int | None) -> Any:
        return self.said


class TestWhatStrangersGiveBack:
    @pytest.mark.parametrize("given", [None, "clip", small().select([0, 1])])
    def test_a_marked_clip_has_the_shape_of_the_clip(self, given: Any) -> None:
        with pytest.raises(CannotRead, match="odd: gave back"):
            JoinedMark("odd", Odd(embedded=given)).embed(small(), 1, KEY)

    @pytest.mark.parametrize("given", [None, 7, (7, -1.0), MarkReading(256, None, None), MarkReading(-1, None, None)])
    def test_a_reading_is_one_and_its_message_fits(self, given: Any) -> None:
        with pytest.raises(CannotRead, match="odd: read"):
            JoinedMark("odd", Odd(said=given)).read(small(), KEY)

    @pytest.mark.parametrize("bits", [0, 65, "8", None])
    def test_a_message_has_1_to_64_bits(self, bits: Any) -> None:
        with pytest.raises(UsageError, match="bits"):
            JoinedMark("odd", Odd(bits=bits))

    @pytest.mark.parametrize("score", ["high", float("nan"), float("inf"), []])
    def test_a_score_is_a_finite_number(self, score: Any) -> None:
        with pytest.raises(CannotRead, match="odd: scored"):
            JoinedDetector("odd", lambda path: score)(Path("a"))

    def test_a_detector_may_abstain(self) -> None:
        assert JoinedDetector("odd", lambda path: None)(Path("a")) is None


class TestReadings:
    def test_a_chance_is_never_above_1(self) -> None:
        with pytest.raises(ValueError, match="at most 0"):
            MarkReading(1, 0.1, None)

    def test_bits_are_counted_where_both_messages_are_there(self) -> None:
        assert bits_right(0b1010, 0b1000, 8) == 7
        assert bits_right(None, 1, 8) is None
        assert bits_right(1, None, 8) is None


class TestOurs:
    @pytest.mark.slow
    def test_the_pixel_watermark_marks_and_reads_a_scene(self) -> None:
        (subject,) = scene_subjects(1, seed=3, shape=SceneShape(360, 640, 2.0))
        mark = PixelMark()
        message = bench_message(mark, 5, Origin.CAPTURED)
        twins = mark.twins(subject, message, KEY, 0, None)
        assert twins.comparable
        reading = mark.read(twins.marked, KEY, message)
        assert (reading.message, reading.watermark_id, reading.bits_right) == (message, message, 64)
        assert reading.log10_p is not None
        assert reading.log10_p <= -9
        unmarked = mark.read(twins.unmarked, KEY, message)
        assert (unmarked.message, unmarked.bits_right) == (None, None)

    def test_the_latent_watermark_refuses_a_finished_clip(self) -> None:
        with pytest.raises(UsageError, match="finished clip"):
            MARKS["latent"].embed(small(), 1, KEY)

    def test_a_message_has_the_length_of_the_mark(self) -> None:
        assert bench_message(PixelMark(), 5, Origin.CAPTURED) == bench_id(5, Origin.CAPTURED)
        drawn = [bench_message(PeerMark(Peer("p", "p", 32)), seed, Origin.CAPTURED) for seed in range(50)]
        assert max(drawn) < 2**32
        assert len(set(drawn)) == 50
        assert max(drawn) > 2**30

    def test_every_mark_says_how_it_is_read(self) -> None:
        assert all(mark.search for mark in [*MARKS.values(), *(PeerMark(peer) for peer in PEERS.values())])


def test_two_layers_keep_to_one_bound_of_quality_and_are_both_read():
    (subject,) = scene_subjects(1, seed=0, shape=SceneShape(288, 512, 2.0))
    layers, message = mark_named("pixel-layers"), bench_id(0, Origin.CAPTURED)
    twins = layers.twins(subject, message, KEY, 0, 2.0)
    assert psnr(twins.unmarked.luma, twins.marked.luma) >= 42.0
    assert layers.read(twins.marked, KEY, message).message == message
    for key in (KEY, PUBLIC):
        assert PixelWatermark(key.stream("pixel/1")).read(twins.marked).watermark_id == message
    strange = layers.read(twins.marked, bench_key(0, "other"), message)
    assert strange.message is None  # one layer does not speak for two
    assert strange.log10_p is not None
    assert strange.log10_p > -3
