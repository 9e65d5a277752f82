"""Attacked clips are made once, kept within the budget, and never removed while somebody uses them."""

import time
from functools import partial
from pathlib import Path

import pytest

from benchmarks.store import AttackedStore
from provenance.parallel import pmap_as_finished


def write(path, size=1000):
    path.write_bytes(b"x" * size)


def kept(store):
    return sum(path.stat().st_size for path in store.folder.glob("*.mp4"))


def refuse(path):
    raise AssertionError("made twice")


def test_a_file_is_made_once(tmp_path):
    store = AttackedStore(tmp_path / "attacked", 10_000)
    with store.get("clip/x264:28", write) as first:
        assert first.stat().st_size == 1000
    with store.get("clip/x264:28", refuse) as second:
        assert second == first


def test_the_least_recently_used_makes_room_and_nothing_else(tmp_path):
    store = AttackedStore(tmp_path, 2500)
    for key in ("a", "b", "a", "c"):
        with store.get(key, write):
            pass
    assert kept(store) == 2000
    for key in ("a", "c"):
        with store.get(key, refuse):
            pass
    assert len(list(tmp_path.iterdir())) == 4, "a file and a lock each"


def test_what_is_in_use_stays_whatever_the_budget(tmp_path):
    store = AttackedStore(tmp_path, 0)
    with store.get("a", write) as first:
        with store.get("b", write) as second:
            assert first.exists()
            assert second.exists()
        assert first.exists()
        assert not second.exists()
    assert list(tmp_path.iterdir()) == []


def test_what_fails_leaves_nothing(tmp_path):
    store = AttackedStore(tmp_path, 5000)
    with pytest.raises(AssertionError), store.get("a", refuse):
        pass
    assert not list(tmp_path.glob("*.mp4"))
    with store.get("a", write) as path:
        assert path.exists()


def test_remains_of_a_killed_process_count_and_are_removed(tmp_path):
    store = AttackedStore(tmp_path, 1500)
    with store.get("a", write) as path:
        pass
    path.rename(tmp_path / f".{path.stem}.0123abcd.part.mp4")
    with store.get("b", write):
        pass
    assert [one.suffix for one in sorted(tmp_path.iterdir())] == [".lock", ".mp4"]
    assert kept(store) == 1000


def make_slowly(path, log):
    with log.open("a") as stream:
        stream.write("made\n")
    time.sleep(0.05)
    write(path)


def use(store, number):
    with store.get(f"clip-{number % 3}", partial(make_slowly, log=store.folder.parent / "log")) as path:
        time.sleep(0.01)
        return len(path.read_bytes())


@pytest.mark.parametrize(("budget", "made"), [(100_000, {3}), (1000, set(range(3, 61)))])
def test_processes_share_it(tmp_path, budget, made):
    store = AttackedStore(Path(tmp_path / "attacked"), budget)
    outcomes = list(pmap_as_finished(partial(use, store), range(60), workers=4))
    assert [outcome.result() for outcome in outcomes] == [1000] * 60
    assert len((tmp_path / "log").read_text().split()) in made
    assert kept(store) <= budget
