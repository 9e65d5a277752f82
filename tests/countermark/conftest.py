"""Small clips, and calls of the command line."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from countermark.cli import run
from provenance.video import Clip
from provenance.video.write import write_clip


@dataclass(frozen=True)
class Done:
    """What a call of the command line left: its exit status and what it said."""

    returncode: int
    stdout: str
    stderr: str


Call = Callable[..., Done]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run `countermark` with arguments in a folder of its own, without input and without a terminal."""
    monkeypatch.chdir(tmp_path)

    def called(*arguments: object) -> Done:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = run([str(argument) for argument in arguments])
        return Done(status, out.getvalue(), err.getvalue())

    return called


def moving_texture(frames: int = 24, height: int = 360, width: int = 640, seed: int = 0) -> np.ndarray:
    """Return uint8 (frames, height, width, 3): cloudy texture that drifts."""
    generator = np.random.default_rng(seed)
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width + frames)[None]
    weight = 1 / np.maximum(np.hypot(rows, columns), 1 / width) ** 1.2
    noise = generator.standard_normal((3, height, width + frames))
    field = np.fft.ifft2(np.fft.fft2(noise) * weight).real
    field = 128 + 45 * field / field.std(axis=(1, 2), keepdims=True)
    wide = field.clip(0, 255).astype(np.uint8).transpose(1, 2, 0)
    return np.stack([wide[:, shift : shift + width] for shift in range(frames)])


@pytest.fixture(scope="session")
def plain_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unmarked clip of two seconds, 640 x 360."""
    path = tmp_path_factory.mktemp("clips") / "plain.mp4"
    write_clip(Clip.at_rate(moving_texture(48), 24), path, preset="veryfast", crf=16)
    return path


@pytest.fixture
def small_clip(tmp_path: Path) -> Path:
    """A clip that is quick to examine."""
    path = tmp_path / "small.mp4"
    frames = np.random.default_rng(0).integers(60, 190, (12, 96, 128, 3), dtype=np.uint8)
    write_clip(Clip.at_rate(frames, 12), path, preset="ultrafast")
    return path
