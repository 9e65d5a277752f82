"""Bad input through the command line: an exit status, one line with a hint, nothing left behind, the others done."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest

from provenance.video import Clip
from provenance.video.write import write_clip

FAST = ("--checks", "credentials,fingerprint")


@pytest.fixture
def small_clip(tmp_path: Path) -> Path:
    """A clip that is quick to examine."""
    path = tmp_path / "small.mp4"
    frames = np.random.default_rng(0).integers(60, 190, (12, 96, 128, 3), dtype=np.uint8)
    write_clip(Clip.at_rate(frames, 12), path, preset="ultrafast")
    return path


def text_named_mp4(path: Path) -> None:
    path.write_text("this is no video at all\n" * 20)


def empty(path: Path) -> None:
    path.touch()


def truncated(path: Path) -> None:
    write_clip(Clip.at_rate(np.full((12, 64, 64, 3), 90, np.uint8), 12), path, preset="ultrafast")
    path.write_bytes(path.read_bytes()[:400])


def audio_only(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def missing(path: Path) -> None:
    assert not path.exists()


BAD = [text_named_mp4, empty, truncated, audio_only, missing]


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if "countermark-home" not in str(path)}


def assert_one_error(stderr: str, name: str) -> None:
    errors = [line for line in stderr.splitlines() if line.startswith("error: ")]
    hints = [line for line in stderr.splitlines() if line.startswith("hint: ")]
    assert len(errors) == len(hints) == 1
    assert name in errors[0]
    assert len(hints[0]) > len("hint: ")
    assert "Traceback" not in stderr


@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)
def test_verify_says_why_a_file_is_unreadable_and_does_the_others(call, make, small_clip: Path, tmp_path: Path) -> None:
    make(tmp_path / "bad.mp4")
    done = call("verify", "bad.mp4", small_clip, "--json", *FAST)
    assert done.returncode == 3
    first, second = map(json.loads, done.stdout.splitlines())
    assert set(first) == {"file", "error"}
    assert first["file"] == "bad.mp4"
    assert "\n" not in first["error"]
    assert second["verdict"]["finding"] == "no_evidence"
    assert_one_error(done.stderr, "bad.mp4")


@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)
def test_sign_leaves_nothing_behind_when_the_input_is_bad(call, make, tmp_path: Path) -> None:
    make(tmp_path / "bad.mp4")
    before = files_in(tmp_path)
    done = call("sign", "bad.mp4", "-o", "out.mp4", "-q")
    assert done.returncode == 3
    assert_one_error(done.stderr, "bad.mp4")
    assert files_in(tmp_path) == before


@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)
def test_attack_leaves_nothing_behind_when_the_input_is_bad(call, make, tmp_path: Path) -> None:
    make(tmp_path / "bad.mp4")
    before = files_in(tmp_path)
    done = call("attack", "bad.mp4", "-o", "out.mp4", "--with", "x264:30")
    assert done.returncode == 3
    assert_one_error(done.stderr, "bad.mp4")
    assert files_in(tmp_path) == before


def test_an_empty_folder_holds_nothing_to_examine(call, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    done = call("verify", "folder")
    assert done.returncode == 2
    assert "hint: " in done.stderr


def test_a_folder_stands_for_the_clips_in_it(call, small_clip: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    small_clip.rename(tmp_path / "folder" / "a.mp4")
    (tmp_path / "folder" / "notes.txt").write_text("no clip")
    done = call("verify", "folder", "--json", *FAST)
    assert [json.loads(line)["file"] for line in done.stdout.splitlines()] == ["folder/a.mp4"]


@pytest.mark.parametrize("shape", [(24, 32, 48), (1, 96, 128)], ids=["too small", "too short"])
def test_a_clip_that_cannot_carry_an_id_is_refused(call, shape: tuple[int, int, int], tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (*shape, 3), dtype=np.uint8)
    write_clip(Clip.at_rate(frames, 24), tmp_path / "small.mp4", preset="ultrafast")
    before = files_in(tmp_path)
    done = call("sign", "small.mp4", "-o", "out.mp4", "-q")
    assert done.returncode == 3
    assert_one_error(done.stderr, "small.mp4")
    assert files_in(tmp_path) == before


def test_output_equal_to_input_is_refused(call, small_clip: Path) -> None:
    before = small_clip.read_bytes()
    for command in (["sign", small_clip], ["attack", small_clip, "--with", "strip"]):
        done = call(*command, "-o", small_clip, "--force", "-q")
        assert done.returncode == 2
        assert_one_error(done.stderr, "small.mp4")
        assert small_clip.read_bytes() == before


def test_an_existing_output_stays_without_force(call, small_clip: Path, tmp_path: Path) -> None:
    for name in ("out.mp4", "r.html", "r.jsonl"):
        (tmp_path / name).write_text("mine")
    assert call("sign", small_clip, "-o", "out.mp4", "--no-watermark", "-q").returncode == 2
    assert call("attack", small_clip, "-o", "out.mp4", "--with", "strip").returncode == 2
    assert call("verify", small_clip, "--report", "r.html", *FAST).returncode == 2
    assert call("verify", small_clip, "--output", "r.jsonl", *FAST).returncode == 2
    assert {(tmp_path / name).read_text() for name in ("out.mp4", "r.html", "r.jsonl")} == {"mine"}


@pytest.mark.parametrize("target", ["no/such/folder/out.mp4", "/proc/out.mp4"])
def test_an_output_that_cannot_be_written_is_said(call, small_clip: Path, target: str) -> None:
    for command in (["sign", small_clip, "--no-watermark"], ["attack", small_clip, "--with", "strip"]):
        done = call(*command, "-o", target, "-q")
        assert done.returncode == 3
        assert_one_error(done.stderr, target)


@pytest.mark.parametrize("prompt", ["", "   ", "42 !!"])
def test_an_empty_prompt_is_refused(call, prompt: str, tmp_path: Path) -> None:
    done = call("generate", prompt, "-o", "x.mp4")
    assert done.returncode == 2
    assert_one_error(done.stderr, "prompt")
    assert not (tmp_path / "x.mp4").exists()


@pytest.mark.parametrize(
    "options",
    [
        ["--checks", "astrology"],
        ["--key", "absent"],
        ["--at", "yesterday"],
        ["--expect", "real"],
        ["--online"],
        ["--workers", "0"],
        ["--files-from", "absent.txt"],
    ],
)
def test_options_that_make_no_sense_are_refused_before_any_work(call, small_clip: Path, options: list[str]) -> None:
    done = call("verify", small_clip, *options)
    assert done.returncode in (2, 3)
    assert done.stdout == ""
    assert len([line for line in done.stderr.splitlines() if line.startswith("hint: ")]) == 1


def test_two_inputs_never_share_an_output(call, small_clip: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    twin = tmp_path / "other" / small_clip.name
    twin.write_bytes(small_clip.read_bytes())
    assert call("sign", small_clip, twin, "-o", "signed/", "--no-watermark").returncode == 2
    assert call("sign", small_clip, twin, "-o", "one.mp4", "--no-watermark").returncode == 2
    assert call("sign", small_clip, "-o", "{nonsense}.mp4", "--no-watermark").returncode == 2


def test_an_interrupted_call_leaves_nothing_half_written(small_clip: Path, tmp_path: Path) -> None:
    slow = tmp_path / "slow.mp4"
    frames = np.random.default_rng(0).integers(0, 255, (40, 720, 1280, 3), dtype=np.uint8)
    write_clip(Clip.at_rate(frames, 20), slow, preset="ultrafast", crf=30)
    before = files_in(tmp_path)
    command = ["attack", str(slow), "-o", "out.mp4", "--with", "x265:10+x265:10+x265:10"]
    child = subprocess.Popen(
        [sys.executable, "-m", "countermark", *command],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while files_in(tmp_path) == before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert files_in(tmp_path) != before, "the attack has begun to write"
    os.killpg(child.pid, signal.SIGINT)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "Traceback" not in said
    assert [line.split(":")[0] for line in said.split("\n") if line] == ["error", "hint"]
    assert files_in(tmp_path) == before
