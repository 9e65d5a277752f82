"""Clips to measure on come from folders, splits or scenes, and are cut without being encoded again."""

import csv

import numpy as np
import pytest

from benchmarks.runs import digest
from benchmarks.videos import SceneShape, Subject, balanced, cut, load, save, subjects
from provenance.errors import CannotRead, CountermarkError, UsageError
from provenance.video import Clip, Video
from provenance.video.transform import strip
from provenance.video.write import write_clip


def drifting(offset=0, frames=48):
    x, y, t = np.meshgrid(np.arange(64), np.arange(48), np.arange(frames), indexing="ij")
    luma = (128 + 90 * np.sin((x + 2 * t + offset) / 7) * np.cos(y / 5)).astype(np.uint8)
    return Clip.at_rate(np.repeat(luma.transpose(2, 1, 0)[..., None], 3, axis=-1), 24)


@pytest.fixture
def corpus(tmp_path):
    folder = tmp_path / "corpus"
    for number, source in enumerate(["park", "park", "street"]):
        (folder / source).mkdir(parents=True, exist_ok=True)
        write_clip(drifting(number), folder / source / f"{number}.mp4")
    return folder


def write_split(path, clips):
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["sha256", "label", "family", "lineage", "fold", "watermark"])
        writer.writerows([sha, "real", family, family, 0, use] for sha, family, use in clips)


class TestSubjects:
    def test_a_folder_gives_its_clips_by_name_and_source(self, corpus):
        found = subjects(corpus)
        assert [one.name for one in found] == ["park/0.mp4", "park/1.mp4", "street/2.mp4"]
        assert [one.source for one in found] == ["park", "park", "street"]
        assert found[0].sha256 == digest(corpus / "park/0.mp4")

    def test_a_split_gives_the_clips_of_one_use_by_digest_alone(self, corpus, tmp_path):
        digests = [digest(corpus / name) for name in ("park/0.mp4", "park/1.mp4", "street/2.mp4")]
        split = tmp_path / "split.csv"
        write_split(
            split, [(digests[0], "park", "table"), (digests[1], "park", ""), (digests[2], "street", "development")]
        )
        (corpus / "street/2.mp4").rename(corpus / "renamed.mp4")
        found = subjects(split, use="development", corpus=corpus)
        assert [one.path.name for one in found] == ["renamed.mp4"]
        assert found[0].source == "street"

    def test_a_split_whose_clips_are_missing_is_refused(self, corpus, tmp_path):
        write_split(tmp_path / "split.csv", [("0" * 64, "park", "table")])
        with pytest.raises(CannotRead, match="0 of the 1"):
            subjects(tmp_path / "split.csv", use="table", corpus=corpus)

    def test_a_split_is_not_used_without_saying_for_what(self, corpus, tmp_path):
        write_split(tmp_path / "split.csv", [(digest(corpus / "park/0.mp4"), "park", "table")])
        with pytest.raises(UsageError, match="must be said"):
            subjects(tmp_path / "split.csv", corpus=corpus)

    @pytest.mark.parametrize("text", ["scenes:0", "scenes:x", "nowhere", "nowhere.csv"])
    def test_what_is_nothing_is_said_in_one_line(self, text):
        with pytest.raises(CountermarkError) as caught:
            subjects(text)
        assert caught.value.hint

    def test_scenes_render_the_same_clip_every_time(self):
        shape = SceneShape(48, 64, 0.25)
        one = subjects("scenes:3", shape=shape)[2]
        clip = load(one)
        assert clip.frames.shape == (6, 48, 64, 3)
        assert np.array_equal(clip.frames, load(one).frames)
        assert len(load(one, 0.125)) == 3


def test_balanced_goes_round_the_sources():
    items = [Subject(f"{source}{n}", source, scene_seed=n) for source in "ab" for n in range(3)]
    assert [one.name for one in balanced(items, 4)] == ["a0", "b0", "a1", "b1"]


class TestCutting:
    def test_keeps_the_first_seconds_bit_for_bit(self, corpus, tmp_path):
        source = corpus / "park/0.mp4"
        cut(source, tmp_path / "cut.mp4", 1.0)
        whole, part = Video(source).read(), Video(tmp_path / "cut.mp4").read()
        assert 20 <= len(part) <= 28
        assert np.array_equal(part.frames[:20], whole.frames[:20])

    @pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
    def test_of_matroska_fills_in_the_decoding_times_it_leaves_out(self, corpus, tmp_path, suffix):
        strip(corpus / "park/0.mp4", tmp_path / "clip.mkv")
        cut(tmp_path / "clip.mkv", tmp_path / f"cut{suffix}", 1.0)
        assert 20 <= len(Video(tmp_path / f"cut{suffix}").read()) <= 28

    def test_of_nothing_copies_everything(self, corpus, tmp_path):
        save(subjects(corpus)[0], tmp_path / "copy.mp4")
        assert len(Video(tmp_path / "copy.mp4").read()) == 48
