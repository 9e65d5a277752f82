"""What the commands cost: `sign` against the same transcode, memory against length, start-up, and making a clip.

Every measurement is a process of its own, as a person would start it: its wall clock, the processor time of it and of
all its workers, and the largest resident memory of any of them. On a busy machine trust the processor time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.experiments import speed_watermark
from benchmarks.experiments.speed_watermark import measure_watermark
from benchmarks.report import Report, Table, write_report
from benchmarks.runs import Progress, Row, Task, run_tasks
from provenance.errors import UnknownName
from provenance.video import Clip
from provenance.video.encoding import created
from provenance.video.write import write_clip

RATE = 24
SHORT_SECONDS, LONG_SECONDS = 10, 600
QUICK_CHECKS = "credentials,pixel-watermark"
PERIOD_SECONDS = 96
"""Whole seconds after which the sign sequence of 19.2 s begins anew."""


@dataclass(frozen=True)
class Arm:
    """One command and the clip that it is given: its length in seconds and its lines.

    repeats: None for as many as are asked for. marked: the clip is signed beforehand, untimed; one that is longer than
    `PERIOD_SECONDS` repeats so much of itself, after which the watermark begins anew.
    """

    command: str
    seconds: int
    height: int = 720
    repeats: int | None = None
    marked: bool = False


def arms_of(short_seconds: int = SHORT_SECONDS, long_seconds: int = LONG_SECONDS) -> dict[str, Arm]:
    """All arms by name."""
    return {
        **{name: Arm(name, short_seconds) for name in ("transcode", "sign", "verify")},
        "sign long": Arm("sign", long_seconds, repeats=1),
        "verify long": Arm("verify", long_seconds, repeats=1),
        **{f"{name} 60 s of 720 lines": Arm(name, 60, repeats=1) for name in ("transcode", "sign")},
        **{f"{name} 60 s of 1080 lines": Arm(name, 60, 1080, repeats=1) for name in ("transcode", "sign")},
        "sign 60 s of 720 lines, strength given": Arm("sign as strongly", 60, repeats=1),
        "sign 60 s of 1080 lines, strength given": Arm("sign as strongly", 60, 1080, repeats=1),
        "help": Arm("help", 0),
        "verify 2 s of 480 lines, two checks": Arm("verify quick", 2, 480),
        "verify 2 s of 480 lines, two checks, marked": Arm("verify quick", 2, 480, marked=True),
        "verify 96 s of 480 lines, two checks, marked": Arm("verify copy", 96, 480, repeats=1, marked=True),
        "verify an hour of 480 lines, two checks, marked": Arm("verify copy", 3648, 480, repeats=1, marked=True),
        "generate": Arm("generate", 0),
        **{name: Arm("watermark", 10) for name in speed_watermark.ARMS},
    }


PROMPT = "waves roll slowly over the ocean at sunset"
_MAIN = "import sys; from countermark.cli import main; main(sys.argv[1:])"
_TRANSCODE = (
    "import sys; from pathlib import Path; from provenance.video import Video; "
    "from provenance.video.rewrite import near_input, rewrite; video = Video(Path(sys.argv[1])); "
    "rewrite(video, Path(sys.argv[2]), None, encoding=near_input(video))"
)


def run_speed(
    out: Path,
    *,
    arms: Sequence[str] | None = None,
    short_seconds: int = SHORT_SECONDS,
    long_seconds: int = LONG_SECONDS,
    repeats: int = 3,
    progress: Progress | None = None,
) -> Report:
    """Time the commands one after another; rows and report go into `out`. Long clips are measured once.

    arms: of `arms_of`, all of them where None. Raises UnknownName for another.
    """
    known = arms_of(short_seconds, long_seconds)
    for name in arms or ():
        if name not in known:
            raise UnknownName("arm", name, known)
    tasks = [
        Task(f"{name}/{n}", (name,), {"arm": known[name]})
        for name in (known if arms is None else arms)
        for n in range(known[name].repeats or repeats)
    ]
    settings = {"experiment": "speed", "short_seconds": short_seconds, "long_seconds": long_seconds, "repeats": repeats}
    rows = run_tasks(tasks, measure, out, settings=settings, progress=progress)
    report = speed_report(rows, settings)
    write_report(report, out)
    return report


def measure(task: Task) -> list[Row]:
    """Time one command once."""
    arm: Arm = task.arguments["arm"]
    if arm.command == "watermark":
        return [{"arm": task.arms[0], **measure_watermark(task.arms[0])}]
    with tempfile.TemporaryDirectory(prefix="countermark-speed-") as name:
        folder = Path(name)
        source, signed = folder / "source.mp4", folder / "signed.mp4"
        if arm.seconds:
            write_source(source, min(arm.seconds, PERIOD_SECONDS) if arm.marked else arm.seconds, arm.height)
        if arm.marked:
            timed([_MAIN, "sign", str(source), "-o", str(signed)], folder / "home")
            source = signed
            if arm.command == "verify copy":  # its packets alone, without credentials
                source = folder / "copy.mp4"
                repeat(signed, source, -(-arm.seconds // PERIOD_SECONDS))
        command = {
            "transcode": [_TRANSCODE, str(source), str(signed)],
            "sign": [_MAIN, "sign", str(source), "-o", str(signed)],
            "sign as strongly": [_MAIN, "sign", str(source), "-o", str(signed), "--strength", "42.4"],
            "verify": [_MAIN, "verify", str(source)],
            "verify quick": [_MAIN, "verify", str(source), "--checks", QUICK_CHECKS],
            "verify copy": [_MAIN, "verify", str(source), "--checks", QUICK_CHECKS, "--expect", "marked"],
            "generate": [_MAIN, "generate", PROMPT, "-o", str(folder / "made.mp4"), "--seed", "0"],
            "help": [_MAIN, "--help"],
        }[arm.command]
        return [{"arm": task.arms[0], "clip_seconds": arm.seconds, **timed(command, folder / "home")}]


def timed(command: Sequence[str], home: Path) -> Row:
    """Run Python code with arguments; return seconds of wall clock, of processor, and MiB of the largest process."""
    environment = {**os.environ, "COUNTERMARK_HOME": str(home)}
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
        environment.pop(name, None)  # as many threads as a person would get
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-c", *command], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise ValueError(f"the command left with {process.returncode}")
    unit = 1024 if sys.platform == "linux" else 1024 * 1024
    return {
        "wall_seconds": round(time.monotonic() - started, 2),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mib": round(usage.ru_maxrss / unit, 1),
    }


def write_source(path: Path, seconds: int, height: int = 720) -> None:
    """Write a clip of 16 to 9: a second of a drifting texture, encoded once, its packets repeated to the length."""
    width = 2 * round(height * 8 / 9)
    grain = np.random.default_rng(0).normal(0, 6, (height, width))
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    pictures = []
    for frame in range(RATE):
        turn = 2 * np.pi * frame / RATE
        luma = 128 + 60 * np.sin(x / 40 + turn) * np.cos(y / 30) + np.roll(grain, 4 * frame, axis=1)
        pictures.append(np.clip(luma, 0, 255).astype(np.uint8))
    second = path.with_name("second.mp4")
    write_clip(Clip.at_rate(np.repeat(np.stack(pictures)[..., None], 3, axis=-1), RATE), second, crf=20, force=True)
    repeat(second, path, seconds)


def repeat(clip: Path, path: Path, times: int) -> None:
    """Write the packets of a clip again and again, each time where it ended before."""
    import av

    with av.open(str(clip)) as reader, created(path) as writer:
        stream = reader.streams.video[0]
        copy = writer.add_stream_from_template(stream)
        unit = Fraction(stream.time_base or Fraction(1, RATE))
        packets = [packet for packet in reader.demux(stream) if packet.dts is not None]
        stamps = [(packet.pts or 0, packet.dts or 0, bytes(packet), packet.is_keyframe) for packet in packets]
        length = len(stamps) * round(Fraction(1, RATE) / unit)
        for start in (turn * length for turn in range(times)):
            for pts, dts, data, key in stamps:
                packet = av.Packet(data)
                packet.pts, packet.dts, packet.time_base = pts + start, dts + start, unit
                packet.is_keyframe, packet.stream = key, copy
                writer.mux(packet)


def speed_report(rows: Sequence[Row], settings: Row) -> Report:
    """Summarise the rows: medians over the repeats."""
    lines: list[tuple[str, ...]] = []
    alone: list[tuple[str, ...]] = []
    results: dict[str, Any] = {}
    for arm in dict.fromkeys(row["arm"] for row in rows):
        good = [row for row in rows if row["arm"] == arm and "error" not in row]
        if not good:
            lines.append((arm, "failed", "", "", "0"))
            continue
        middle = {
            name: float(np.median([row[name] for row in good]))
            for name in ("wall_seconds", "cpu_seconds", "peak_mib", "frames_per_cpu_second")
            if name in good[0]
        }
        results[arm] = middle
        took = (arm, f"{middle['wall_seconds']:.2f}", f"{middle['cpu_seconds']:.2f}")
        if arm in speed_watermark.ARMS:
            alone.append((*took, f"{middle['frames_per_cpu_second']:.0f}", str(len(good))))
        else:
            lines.append((*took, f"{middle['peak_mib']:.0f}", str(len(good))))
    header = ("command", "wall clock, s", "processor, s", "largest process, MiB", "repeats")
    sentences = [
        f"A synthetic clip of {settings['short_seconds']} s (long: {settings['long_seconds']} s), 720 lines, medians."
    ]
    for which in ("", " 60 s of 720 lines", " 60 s of 1080 lines"):
        for how in ("", ", strength given"):
            if {f"transcode{which}", f"sign{which}{how}"} <= results.keys():
                cpu, wall = (
                    results[f"sign{which}{how}"][unit] / results[f"transcode{which}"][unit]
                    for unit in ("cpu_seconds", "wall_seconds")
                )
                sentences.append(
                    f"Signing{which}{how} takes {cpu:.2f} times the processor time of the same transcode without "
                    f"watermark, {wall:.2f} times by the clock."
                )
    for command in ("sign", "verify"):
        if {command, f"{command} long"} <= results.keys():
            ratio = results[f"{command} long"]["peak_mib"] / results[command]["peak_mib"]
            sentences.append(f"The long clip takes {ratio:.2f} times the memory of the short one in {command}.")
    table = Table("What the commands cost", header, tuple(lines))
    by_itself = Table(
        "The pixel watermark by itself, frames in memory",
        ("10 s of 720 lines", "wall clock, s", "processor, s", "frames a second of processor", "repeats"),
        tuple(alone),
    )
    tables = tuple(one for one, rows_of in ((table, lines), (by_itself, alone)) if rows_of)
    return Report("Speed and memory", tuple(sentences), tables, (), settings, results)
