"""Clips to measure on come from folders, splits or scenes, and are cut without being encoded again."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.marks import bench_key, mark_named
from benchmarks.runs import digest
from benchmarks.videos import SceneShape, Subject, balanced, cut, lengthened, load, of_lines, save, subjects
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

    def test_a_list_gives_its_clips_and_keeps_those_that_are_missing(self, corpus):
        (corpus / "list.txt").write_text("street/2.mp4\n# a remark\npark/gone.mp4\n")
        found = subjects(corpus / "list.txt")
        assert [(one.name, one.source) for one in found] == [("street/2.mp4", "street"), ("park/gone.mp4", "park")]
        assert found[1].sha256 is None
        with pytest.raises(CannotRead, match="gone"):
            load(found[1])

    @pytest.mark.parametrize("suffix", [".txt", ".csv"])
    def test_a_list_of_missing_clips_alone_is_refused_and_an_empty_one_too(self, tmp_path, suffix):
        path = tmp_path / f"list{suffix}"
        path.write_text("file\n" if suffix == ".csv" else "")
        with pytest.raises(CountermarkError):
            subjects(path)
        path.write_text("file\ngone.mp4\n")
        with pytest.raises(CannotRead, match="none of its"):
            subjects(path)

    def test_a_manifest_gives_labels_lineages_and_folds(self, corpus):
        sha = digest(corpus / "park/0.mp4")
        (corpus / "clips.csv").write_text(
            "path,label,family,lineage,sha256,fold\n"
            f"park/0.mp4,ai,pika,pika-labs,{sha},2\npark/1.mp4,camera,,,,\nstreet/2.mp4,,,,,\nstreet/gone.mp4,1,,,,\n"
        )
        found = subjects(corpus / "clips.csv")
        assert [one.label for one in found] == ["generated", "filmed", None, "generated"]
        assert [one.source for one in found] == ["pika", "park", "street", "street"]
        assert (found[0].lineage, found[0].fold, found[0].sha256) == ("pika-labs", 2, sha)
        assert (found[3].path.name, found[3].sha256) == ("gone.mp4", None)

    @pytest.mark.parametrize("row", ["park/0.mp4,maybe,,", "park/0.mp4,ai,,first", f"park/0.mp4,ai,{'0' * 64},"])
    def test_a_manifest_that_says_nonsense_is_refused(self, corpus, row):
        (corpus / "clips.csv").write_text(f"file,label,sha256,fold\n{row}\n")
        with pytest.raises(CountermarkError, match=r"line 2|is not the clip") as caught:
            subjects(corpus / "clips.csv")
        assert caught.value.hint

    def test_a_table_of_something_else_is_no_manifest(self, tmp_path):
        (tmp_path / "other.csv").write_text("name,size\na,1\n")
        with pytest.raises(CannotRead, match="neither a manifest nor a split"):
            subjects(tmp_path / "other.csv")

    def test_clips_of_a_split_have_labels(self, corpus, tmp_path):
        write_split(tmp_path / "split.csv", [(digest(corpus / "park/0.mp4"), "park", "table")])
        (one,) = subjects(tmp_path / "split.csv", use="table", corpus=corpus)
        assert (one.label, one.lineage, one.fold) == ("filmed", "park", 0)

    def test_scenes_render_the_same_clip_every_time(self):
        shape = SceneShape(48, 64, 0.25)
        one = subjects("scenes:3", shape=shape)[2]
        clip = load(one)
        assert clip.frames.shape == (6, 48, 64, 3)
        assert np.array_equal(clip.frames, load(one).frames)
        assert len(load(one, 0.125)) == 3


def laid_out(folder, names):
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(f"clip {number}".encode())  # digests and names are all that is looked at
    return folder


class TestKnownLayouts:
    def test_face_forensics(self, tmp_path):
        names = (
            "original_sequences/youtube/c23/videos/000.mp4",
            "original_sequences/actors/c23/videos/01__exit.mp4",
            "manipulated_sequences/Deepfakes/c23/videos/000_003.mp4",
            "manipulated_sequences/DeepFakeDetection/c23/videos/01_02__exit__ABC.mp4",
        )
        found = {one.name: one for one in subjects(laid_out(tmp_path, names))}
        seen = [(found[name].label, found[name].lineage, found[name].source) for name in names]
        assert seen == [
            ("filmed", "youtube", "youtube/000"),
            ("filmed", "actors", "actors/01"),
            ("generated", "Deepfakes", "youtube/000"),
            ("generated", "DeepFakeDetection", "actors/01"),
        ]

    @pytest.mark.parametrize("below", ["", "GenVidBench"])
    def test_gen_vid_bench(self, tmp_path, below):
        names = (
            "Pair1/pika/pika-12ab.mp4",
            "Pair1/ms/ms-12ab.mp4",
            "Pair1/vript/abcdefghijk-Scene-003.mp4",
            "Pair2/hd_vg_130m/00017___abcdefghijk.0_0.mp4",
            "Pair2/musev/00017___a dog runs.mp4",
            "Pair2/unheard-of/00018___a cat.mp4",
        )
        root = laid_out(tmp_path / below, names)
        (root / "Pair2_labels.txt").write_text("Pair2/musev/00017___a dog runs.mp4 1\nPair2/musev/not_here.mp4 1\n")
        found = {one.name: one for one in subjects(tmp_path)}
        assert [found[name].label for name in names] == ["generated"] * 2 + ["filmed"] * 2 + ["generated", None]
        assert [found[name].lineage for name in names] == [name.split("/")[1] for name in names]
        assert found[names[0]].source == found[names[1]].source
        assert found[names[3]].source == found[names[4]].source != found[names[5]].source

    def test_of_some_clips_labels_and_lineages_come_in_turn(self, tmp_path):
        names = [f"Pair1/{maker}/{maker}-{n}.mp4" for maker in ("ms", "pika", "vript") for n in range(4)]
        found = subjects(laid_out(tmp_path, names), clips=4)
        assert [(one.label, one.lineage) for one in found] == [
            ("generated", "ms"),
            ("filmed", "vript"),
            ("generated", "pika"),
            ("filmed", "vript"),
        ]


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


def test_a_short_clip_is_played_to_and_fro_to_the_length_that_is_asked_for():
    frames = np.arange(4, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    clip = Clip(frames, np.array([0.0, 0.1, 0.3, 0.4]))
    longer = lengthened(clip, 1.2)
    assert longer.frames[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert longer.times.tolist() == pytest.approx([0.0, 0.1, 0.3, 0.4, 0.5, 0.7, 0.8, 0.9, 1.1])
    assert lengthened(clip, 0.4) is clip
    assert lengthened(clip, None) is clip
    assert lengthened(clip.select([0]), 2.0).frames.shape[0] == 1


def test_a_marked_clip_says_that_it_was_lengthened():
    subject = replace(Subject("scene-0", "scene-0", scene_seed=0, shape=SceneShape(96, 128, 1.0)), least_seconds=2.0)
    twins = mark_named("pixel").twins(subject, 1 << 60, bench_key(0), 0, 2.0)
    assert twins.lengthened
    assert len(twins.marked) == len(twins.unmarked) == 48


def test_clips_of_few_lines_are_left_out_and_broken_ones_kept(tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    for name, lines in (("small", 64), ("tall", 128)):
        write_clip(Clip.at_rate(np.zeros((3, lines, 160, 3), np.uint8), 10), tmp_path / f"{name}.mp4")
    found = subjects(tmp_path)
    assert [one.name for one in of_lines(found, 100)] == ["broken.mp4", "tall.mp4"]
    assert [one.name for one in of_lines(found, 32, 100)] == ["broken.mp4", "small.mp4"]
    scenes = subjects("scenes:2", shape=SceneShape(96, 128))
    with pytest.raises(UsageError, match="no clip has 100 lines"):
        of_lines(scenes, 100)
    with pytest.raises(UsageError, match="no clip has 32 to 95 lines"):
        of_lines(scenes, 32, 95)


def test_the_generated_clips_of_a_split_are_the_first_three_of_each_family(tmp_path):
    rows = []
    for number, family in enumerate(["wan"] * 4 + ["veo", "wan_vace"]):
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(f"{family} {number}".encode())
        rows.append({"sha256": digest(path), "label": "ai", "family": family, "lineage": family, "watermark": ""})
    rows.append({**rows[0], "label": "real", "family": "phone", "watermark": "table"})
    with (tmp_path / "split.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    found = subjects(tmp_path / "split.csv", use="generated")
    wan = sorted(row["sha256"] for row in rows[:4])[:3]
    assert sorted(one.sha256 for one in found) == sorted([*wan, rows[4]["sha256"]])
