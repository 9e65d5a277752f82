"""Bad input through the command line: an exit status, one line with a hint, nothing left behind, the others done."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from provenance.video import Clip
from provenance.video.write import write_clip

FAST = ("--checks", "credentials,fingerprint")


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


@pytest.mark.parametrize("workers", [1, 2])
def test_every_name_that_stands_for_nothing_is_reported(call, small_clip: Path, tmp_path: Path, workers: int) -> None:
    (tmp_path / "folder").mkdir()
    names = ["miss[1].mp4", "no*.mp4", "folder"]
    done = call("verify", small_clip, *names, "--json", "--workers", workers, "-q", *FAST)
    assert done.returncode == 3
    first, *others = map(json.loads, done.stdout.splitlines())
    assert first["verdict"]["finding"] == "no_evidence"
    assert [one["file"] for one in others] == names
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert [line.split(": ")[1] for line in errors] == names
    assert "no video" in errors[2]


def test_sign_reports_them_too(call, small_clip: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    done = call("sign", small_clip, "no*.mp4", "folder", "-o", "out/", "--no-watermark", "-q")
    assert done.returncode == 3
    assert files_in(tmp_path / "out") == {small_clip.name}
    assert "error: no*.mp4: there is no such file" in done.stderr
    assert "error: folder: no video" in done.stderr


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


def test_no_output_is_an_input_even_with_force(call, small_clip: Path, tmp_path: Path) -> None:
    twin, names = tmp_path / "small.s.mp4", tmp_path / "names.txt"
    twin.write_bytes(small_clip.read_bytes())
    names.write_text(small_clip.name)
    before = {path: path.read_bytes() for path in (small_clip, twin, names)}
    for arguments in (
        ["verify", small_clip, "--report", small_clip, *FAST],
        ["verify", small_clip, "--output", small_clip, *FAST],
        ["verify", "--files-from", names, "--output", names, *FAST],
        ["sign", small_clip, twin, "-o", "{stem}.s{ext}", "--no-watermark"],
        ["generate", "white clouds", "--image", small_clip, "-o", small_clip],
        ["demo", "--video", small_clip, "--output", tmp_path / "demo"],
    ):
        if arguments[0] == "demo":
            (tmp_path / "demo").mkdir()
            (tmp_path / "demo/generated.mp4").symlink_to(small_clip)
        done = call(*arguments, "--force")
        assert done.returncode == 2
        assert "overwrite the input" in done.stderr
    assert {path: path.read_bytes() for path in before} == before


def test_report_and_results_are_two_files(call, small_clip: Path, tmp_path: Path) -> None:
    done = call("verify", small_clip, "--report", "same", "--output", "./same", *FAST)
    assert done.returncode == 2
    assert done.stdout == ""
    assert_one_error(done.stderr, "same")
    assert not (tmp_path / "same").exists()


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
    for command in (
        ["sign", small_clip, "--no-watermark", "-o"],
        ["attack", small_clip, "--with", "strip", "-o"],
        ["verify", small_clip, *FAST, "--report"],
        ["verify", small_clip, *FAST, "--output"],
    ):
        done = call(*command, target, "-q")
        assert done.returncode == 3
        assert done.stdout == "", "said before any work"
        assert_one_error(done.stderr, target)


def test_the_folder_of_an_output_is_made(call, small_clip: Path, tmp_path: Path) -> None:
    assert call("sign", small_clip, "--no-watermark", "-o", "a/out.mp4", "-q").returncode == 0
    assert call("attack", small_clip, "--with", "strip", "-o", "b/out.mp4").returncode == 0
    assert call("verify", small_clip, *FAST, "--report", "c/r.html", "--output", "d/r.jsonl").returncode == 0
    assert files_in(tmp_path) - {small_clip.name} >= {"a/out.mp4", "b/out.mp4", "c/r.html", "d/r.jsonl"}


def test_generate_sees_before_it_samples_whether_its_folder_takes_files(call) -> None:
    done = call("generate", "white clouds", "-o", "/proc/out.mp4", "-q")
    assert done.returncode == 3
    assert_one_error(done.stderr, "/proc/out.mp4: cannot write there")


@pytest.mark.slow
def test_generate_makes_the_folder_of_its_clip(call, tmp_path: Path) -> None:
    done = call("generate", "white clouds", "-o", "new/clip.mp4", "--steps", "1", "-q")
    assert done.returncode == 0, done.stderr
    assert files_in(tmp_path) == {"new", "new/clip.mp4"}


class TestNames:
    def test_a_name_that_is_no_unicode_spoils_nothing(self, call, small_clip: Path, tmp_path: Path) -> None:
        odd = tmp_path / os.fsdecode(b"bad\xff.mp4")
        odd.write_bytes(small_clip.read_bytes())
        done = call("verify", odd.name, small_clip.name, "--json", "--output", "r.jsonl", "--report", "r.html", *FAST)
        assert done.returncode == 0, done.stderr
        written = (tmp_path / "r.jsonl").read_text(encoding="utf-8")
        assert written == done.stdout
        assert [json.loads(line)["file"] for line in written.splitlines()] == [odd.name, small_clip.name]
        assert "bad.mp4" in (tmp_path / "r.html").read_text(encoding="utf-8")

    def test_credentials_cannot_name_it(self, call, small_clip: Path, tmp_path: Path) -> None:
        odd = os.fsdecode(b"bad\xff.mp4")
        for arguments in (["sign", small_clip, "-o", odd], ["generate", "white clouds", "-o", odd]):
            done = call(*arguments, "-q")
            assert done.returncode == 2
            assert_one_error(done.stderr, "no UTF-8")
        assert files_in(tmp_path) == {small_clip.name}

    def test_a_line_break_in_a_name_breaks_no_line(self, call, small_clip: Path, tmp_path: Path) -> None:
        small_clip.rename(tmp_path / "two\nlines.mp4")
        done = call("sign", "two\nlines.mp4", "-o", "{stem}.s{ext}", "--no-watermark", "-q")
        assert done.stdout.splitlines() == ["wrote two lines.s.mp4  no watermark"]

    def test_a_name_that_looks_like_an_option_gets_a_way_out(self, call, small_clip: Path, tmp_path: Path) -> None:
        small_clip.rename(tmp_path / "-dash.mp4")
        done = call("verify", "-dash.mp4")
        assert done.returncode == 2
        assert "./-dash.mp4" in done.stderr.splitlines()[1]
        assert call("verify", "./-dash.mp4", *FAST).returncode == 0
        assert "--help" in call("verify", "--nonsense").stderr.splitlines()[1]

    def test_credentials_beside_the_file_are_named(self, call, small_clip: Path) -> None:
        done = call("sign", small_clip, "-o", "out.mkv", "--no-watermark", "-q")
        assert done.stdout.splitlines() == ["wrote out.mkv  no watermark", "wrote out.mkv.c2pa  its credentials"]


class TestStandardInput:
    @pytest.fixture
    def piped(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
        """Give standard input these bytes."""

        def pipe(data: bytes) -> None:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

        return pipe

    @pytest.mark.parametrize("workers", [1, 2])
    def test_a_clip_that_is_piped_in_is_examined_as_the_file_would_be(
        self, call, piped, small_clip: Path, workers: int
    ) -> None:
        piped(small_clip.read_bytes())
        done = call("verify", "-", small_clip, "--json", "--workers", workers, *FAST)
        assert done.returncode == 0, done.stderr
        stdin, file = map(json.loads, done.stdout.splitlines())
        assert (stdin.pop("file"), file.pop("file")) == ("standard input", str(small_clip))
        assert {**stdin, "seconds": 0} == {**file, "seconds": 0}

    @pytest.mark.parametrize("data", [b"", b"this is no video at all" * 20], ids=["empty", "text"])
    def test_what_is_no_clip_is_called_by_its_name(self, call, piped, small_clip: Path, data: bytes) -> None:
        piped(data)
        done = call("verify", "-", small_clip, "--json", "-q", *FAST)
        assert done.returncode == 3
        bad, good = map(json.loads, done.stdout.splitlines())
        assert bad["file"] == "standard input"
        assert bad["error"].startswith("standard input: ")
        assert good["verdict"]["finding"] == "no_evidence"
        assert_one_error(done.stderr, "standard input: ")

    def test_more_than_the_limit_is_refused(
        self, call, piped, small_clip: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("countermark.cli.streams.STDIN_LIMIT_BYTES", 1000)
        piped(small_clip.read_bytes())
        done = call("verify", "-", "-q", *FAST)
        assert done.returncode == 3
        assert_one_error(done.stderr, "standard input: is longer than")

    def test_it_is_no_list_of_names_and_a_clip_at_once(self, call, piped) -> None:
        piped(b"a.mp4")
        assert call("verify", "-", "--files-from", "-").returncode == 2

    def test_names_may_come_from_it(self, call, piped, small_clip: Path) -> None:
        piped(f"\ufeff{small_clip.name}\r\n".encode())
        done = call("verify", "--files-from", "-", "--json", *FAST)
        assert [json.loads(line)["file"] for line in done.stdout.splitlines()] == [small_clip.name]

    @pytest.mark.parametrize("arguments", [["sign"], ["attack", "--with", "strip"]], ids=["sign", "attack"])
    def test_what_writes_a_file_does_not_take_it(self, call, arguments: list[str], tmp_path: Path) -> None:
        done = call(*arguments, "-", "-o", "out.mp4")
        assert done.returncode == 2
        assert_one_error(done.stderr, "standard input cannot be taken")
        assert files_in(tmp_path) == set()


def test_what_the_output_will_not_keep_is_said_once(call, small_clip: Path, tmp_path: Path) -> None:
    small_clip.rename(tmp_path / "in.mkv")
    done = call("sign", "in.mkv", "-o", "out.webm", "--codec", "prores")
    assert done.returncode == 3
    done = call("sign", "in.mkv", "-o", "out.webm", "--no-watermark", "--crf", "30")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("out.webm: pictures encoded as libvpx-vp9: h264 cannot be kept in .webm") == 1


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


def run_and_end(arguments: list[str], folder: Path, ending: signal.Signals, *, after_seconds: float = 0) -> str:
    """Start the command line, let it begin to write, end it; return what it said once it is gone as it should."""
    before = files_in(folder)
    usual = signal.signal(ending, signal.SIG_DFL)  # what is ignored, as under nohup, stays so in a child
    child = subprocess.Popen(
        [sys.executable, "-m", "countermark", *arguments],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    signal.signal(ending, usual)
    deadline = time.monotonic() + 60
    while files_in(folder) == before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert files_in(folder) != before, "it has begun to write"
    time.sleep(after_seconds)
    child.send_signal(ending)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 128 + ending
    assert "Traceback" not in said
    assert files_in(folder) == before
    return said


@pytest.fixture
def slow_clip(tmp_path: Path) -> Path:
    """A clip that takes seconds, whatever is done with it."""
    frames = np.random.default_rng(0).integers(0, 255, (40, 720, 1280, 3), dtype=np.uint8)
    write_clip(Clip.at_rate(frames, 20), tmp_path / "slow.mp4", preset="ultrafast", crf=30)
    return tmp_path / "slow.mp4"


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda one: one.name)
def test_an_interrupted_call_leaves_nothing_half_written(
    ending: signal.Signals, slow_clip: Path, tmp_path: Path
) -> None:
    chain = "x265:10+x265:10+x265:10"
    said = run_and_end(["attack", slow_clip.name, "-o", "out.mp4", "--with", chain], tmp_path, ending)
    assert [line.split(":")[0] for line in said.split("\n") if line] == ["error", "hint"]


@pytest.mark.slow
def test_the_processes_of_an_ended_call_end_with_it(slow_clip: Path, tmp_path: Path) -> None:
    copies = [tmp_path / f"copy-{number}.mp4" for number in range(24)]  # enough to be at it still when the signal comes
    for copy in copies:
        copy.write_bytes(slow_clip.read_bytes())
    arguments = ["verify", *(copy.name for copy in copies), "--workers", "2", "--output", "r.jsonl", "-q"]
    said = run_and_end(arguments, tmp_path, signal.SIGTERM, after_seconds=4.0)
    assert said.splitlines()[1].startswith("error: stopped")
