"""Watermarks and detectors by command lines: real programs are run, good ones and bad ones."""

from __future__ import annotations

import os
import pickle
import shlex
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.commands import CommandDetector, CommandMark, output_of, write_lossless
from benchmarks.marks import bench_key
from provenance.errors import CannotRead, TookTooLong, UsageError
from provenance.video import Clip, Video

KEY = bench_key(0)
PYTHON = shlex.quote(sys.executable)
EMBED, READ = "embed {in} {out} {message}", "read {file}"


@pytest.fixture(scope="module")
def clip() -> Clip:
    return Clip.at_rate(np.random.default_rng(0).integers(0, 256, (5, 64, 96, 3), np.uint8), 24)


@pytest.fixture
def program(tmp_path: Path):  # type: ignore[no-untyped-def]
    """Write a program in Python; returns the start of the command line that runs it."""

    def write(text: str) -> str:
        path = tmp_path / f"program{len(list(tmp_path.iterdir()))}.py"
        path.write_text(textwrap.dedent(text))
        return f"{PYTHON} {shlex.quote(str(path))}"

    return write


def saying(text: str) -> str:
    return f"{PYTHON} -c {shlex.quote(f'print({text!r})')} {{file}}"


class TestHandingOver:
    def test_a_clip_comes_back_exactly(self, clip: Clip, tmp_path: Path) -> None:
        write_lossless(clip, tmp_path / "clip.mkv")
        assert np.array_equal(Video(tmp_path / "clip.mkv").read().frames, clip.frames)

    def test_the_marked_file_is_what_the_command_wrote(self, clip: Clip, program) -> None:  # type: ignore[no-untyped-def]
        copy = program(
            "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2]); open(sys.argv[4], 'w').write(sys.argv[3])"
        )
        told = Path(shlex.split(copy)[1]).with_name("told")
        marked = CommandMark(f"{copy} {{in}} {{out}} {{message}} {shlex.quote(str(told))}", READ).embed(
            clip, 0xABC, KEY
        )
        assert np.array_equal(marked.frames, clip.frames)
        assert np.array_equal(marked.times, clip.times)
        assert told.read_text() == "0000000000000abc"

    def test_no_shell_reads_the_line(self, clip: Clip, tmp_path: Path) -> None:
        line = saying("none") + f" ; touch {shlex.quote(str(tmp_path / 'made'))} $(touch made)"
        assert CommandMark(EMBED, line).read(clip, KEY).message is None
        assert not (tmp_path / "made").exists()

    def test_a_name_with_quotes_and_spaces_stays_one_word(self, tmp_path: Path) -> None:
        path = tmp_path / 'it\'s 2 "words" {in}.mp4'
        path.write_bytes(b"12345")
        size = f"{PYTHON} -c 'import os, sys; print(os.path.getsize(sys.argv[1]))' {{file}}"
        assert CommandDetector(size)(path) == 5

    def test_both_kinds_travel_to_other_processes(self) -> None:
        for one in (CommandMark(EMBED, READ, bits=32), CommandDetector("score {file}")):
            assert pickle.loads(pickle.dumps(one)) == one


class TestReading:
    @pytest.mark.parametrize(
        ("said", "message", "log10_p"),
        [
            ("00000000000000ff", 255, None),
            ("ff -12.5", 255, -12.5),
            ("none", None, None),
            ("none -0.3", None, -0.3),
            ("looking\n\nFF\n\n", 255, None),
        ],
    )
    def test_the_last_line_is_the_message(
        self, said: str, message: int | None, log10_p: float | None, clip: Clip
    ) -> None:
        reading = CommandMark(EMBED, saying(said)).read(clip, KEY, 0xFE)
        assert (reading.message, reading.log10_p) == (message, log10_p)
        assert reading.bits_right == (None if message is None else 63)

    @pytest.mark.parametrize("said", ["", "maybe", "ff -1 -2", "ff 3", "ff nan", "ff x", "-ff", "0x1f", "1" * 17])
    def test_nonsense_is_an_error_that_quotes_it(self, said: str, clip: Clip) -> None:
        with pytest.raises(CannotRead, match="printed"):
            CommandMark(EMBED, saying(said)).read(clip, KEY)

    def test_a_message_has_as_many_digits_as_its_bits_need(self, clip: Clip) -> None:
        assert CommandMark(EMBED, saying("12345678"), bits=32).read(clip, KEY).message == 0x12345678
        with pytest.raises(CannotRead):
            CommandMark(EMBED, saying("123456789"), bits=32).read(clip, KEY)


class TestDetecting:
    @pytest.mark.parametrize(
        ("said", "score"),
        [
            ("0.75", 0.75),
            ("frames 48\nscore: -1.5e-3", -0.0015),
            ("1 2 3", 3.0),
            ("none", None),
            ("2 clips, none", None),
        ],
    )
    def test_the_last_number_is_the_score(self, said: str, score: float | None, tmp_path: Path) -> None:
        assert CommandDetector(saying(said))(tmp_path) == score

    @pytest.mark.parametrize("said", ["", "generated", "v2 says abc", "nan", "inf", "1e999"])
    def test_without_a_number_there_is_no_score(self, said: str, tmp_path: Path) -> None:
        with pytest.raises(CannotRead, match="printed"):
            CommandDetector(saying(said))(tmp_path)


class TestPrograms_that_misbehave:  # noqa: N801
    def test_a_status_other_than_0_quotes_the_first_complaint(self, program, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
        line = program("import sys; print('.7'); print('no such model\\nmore', file=sys.stderr); sys.exit(4)")
        with pytest.raises(CannotRead, match=r"status 4 \(no such model\)"):
            CommandDetector(f"{line} {{file}}")(tmp_path)

    def test_one_that_hangs_is_killed_with_its_children(self, program, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
        line = program("""
            import pathlib, subprocess, sys, time
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
            pathlib.Path(sys.argv[1]).write_text(str(child.pid))
            time.sleep(60)
        """)
        started = time.monotonic()
        with pytest.raises(TookTooLong, match="more than 2 s"):
            CommandDetector(f"{line} {{file}}", limit_seconds=2)(tmp_path / "pid")
        assert time.monotonic() - started < 10
        assert _is_gone(int((tmp_path / "pid").read_text()))

    def test_one_that_never_stops_talking_is_stopped(self) -> None:
        with pytest.raises(CannotRead, match="megabyte"):
            output_of(["yes"], 30)

    def test_one_that_does_not_exist_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(CannotRead, match="no-such-detector"):
            CommandDetector("no-such-detector {file}")(tmp_path)

    def test_a_marked_file_must_be_there_and_keep_its_frames(self, clip: Clip, program) -> None:  # type: ignore[no-untyped-def]
        with pytest.raises(CannotRead, match="wrote no file"):
            CommandMark(f"{program('pass')} {{in}} {{out}} {{message}}", READ).embed(clip, 1, KEY)
        shorter = program("""
            import sys
            from provenance.video import Video
            from benchmarks.commands import write_lossless
            clip = Video(sys.argv[1]).read()
            write_lossless(clip.select(slice(0, 3)), __import__("pathlib").Path(sys.argv[2]))
        """)
        line = f"env PYTHONPATH={shlex.quote(os.getcwd())} {shorter} {{in}} {{out}} {{message}}"
        with pytest.raises(CannotRead, match="3 frames"):
            CommandMark(line, READ).embed(clip, 1, KEY)

    def test_nothing_is_left_behind(self, clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        with pytest.raises(CannotRead):
            CommandMark(EMBED, saying("nonsense")).read(clip, KEY)
        assert not list(tmp_path.iterdir())


class TestLines:
    @pytest.mark.parametrize(
        ("embed", "read", "lacks"),
        [
            ("embed {in} {out}", READ, "{message}"),
            ("embed", READ, "{in} {message} {out}"),
            (EMBED, "read", "{file}"),
            (EMBED, "read '{file}", "quotation"),
            (EMBED, "", "{file}"),
        ],
    )
    def test_a_line_without_its_placeholders_is_refused_at_once(self, embed: str, read: str, lacks: str) -> None:
        with pytest.raises(UsageError) as caught:
            CommandMark(embed, read)
        assert lacks in caught.value.message

    @pytest.mark.parametrize("bits", [0, 30, 68])
    def test_a_message_is_whole_digits(self, bits: int) -> None:
        with pytest.raises(UsageError):
            CommandMark(EMBED, READ, bits=bits)


def _is_gone(pid: int) -> bool:
    """Whether a process has ended within five seconds, waited for or not."""
    for _ in range(50):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        state = Path(f"/proc/{pid}/stat")
        if state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return True
        time.sleep(0.1)
    return False
