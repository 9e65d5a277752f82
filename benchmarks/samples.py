"""Short playable clips: of the cells where a watermark was lost, what the attack left; of those where it shows, a look.

Nothing is stored during a run: the experiment makes the clips again, which it can since they depend on the seed alone.
Clips of a corpus may not be passed on, so only rendered scenes are shown unless the caller says otherwise.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from benchmarks.cells import Cells
from benchmarks.runs import Row
from provenance.errors import CountermarkError
from provenance.quality import psnr
from provenance.video import Clip
from provenance.video.encoding import Encoding
from provenance.video.write import encoded

_COSTS = (("psnr_db", 1, " dB"), ("ssim", 3, " SSIM"), ("vmaf", 0, " VMAF"), ("flicker", 2, " times the flicker"))
_SMOOTHED = 15  # pixels
_FAINT_LEVELS = 2.0
_log = logging.getLogger(__name__)

Remake = Callable[[Row], tuple[Clip, Clip, Clip]]
"""A row -> (the clip before marking, marked, attacked), the same as when the row was measured."""

LONGEST_SECONDS = 2.0
WIDEST = 320
HIGHEST = 320
CRF = 30
CLOSE = 256
CLOSE_CRF = 12
"""A close-up is a square of so many pixels at most, not resized, and pressed so little that what is faint stays."""
MOST_BYTES = 3_000_000
AMPLIFIED = 16
COMPARABLE_DB = 25.0
"""Below this PSNR a marked clip is another clip than the unmarked one, and their difference shows no watermark."""


@dataclass(frozen=True)
class Sample:
    """One row, shown on its clip.

    words: what the row says. films: MP4 files, H.264, by what they are: marked, attacked; unmarked, marked. difference:
    a PNG of the middle frame, how far luma was moved by marking (grey: not at all), `AMPLIFIED` times; empty where the
    two clips cannot be compared.
    """

    title: str
    words: str
    films: dict[str, bytes] = field(repr=False)
    difference: bytes = field(repr=False, default=b"")

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        return sum(map(len, self.films.values())) + len(self.difference)


def rendered(row: Row) -> bool:
    """Whether a row's clip is a scene that was rendered or sampled by us: it has no file, and so no digest."""
    return row.get("sha256") is None


def worst_samples(
    rows: Iterable[Row], remake: Remake, *, count: int = 4, may_show: Callable[[Row], bool] = rendered
) -> tuple[Sample, ...]:
    """Return samples of at most `count` cells (watermark, chain), watermarks in turn, each from its worst cell on.

    Worst is the cell with the fewest exact ids; of equal ones the one whose attack leaves the best picture (SSIM): that
    loss is the hardest to excuse. A cell whose clips may not be shown, or that lost none, is left out; so is what
    would take the page beyond `MOST_BYTES`. A clip that cannot be made again raises what `remake` raises.
    """
    samples: list[Sample] = []
    for row in worst_rows(rows, may_show)[:count]:
        sample = sample_of(row, *remake(row))
        if sum(one.size for one in (*samples, sample)) <= MOST_BYTES:
            samples.append(sample)
    return tuple(samples)


def worst_rows(rows: Iterable[Row], may_show: Callable[[Row], bool] = rendered) -> list[Row]:
    """Return one row a cell, of a clip that may be shown and was measured and not read exactly: worst cell first."""
    queues: dict[str, list[tuple[tuple[float, float], Row]]] = {}
    for (mark, arm), cell in Cells.of(rows).by_cell.items():
        lost = [row for row in cell if row.get("exact") is False and "error" not in row and may_show(row)]
        if arm.startswith("marked/") and lost:
            queues.setdefault(mark, []).append((_badness(cell), lost[0]))
    for queue in queues.values():
        queue.sort(key=lambda entry: entry[0])
    turns = range(max(map(len, queues.values()), default=0))
    return [queue[turn][1] for turn in turns for queue in queues.values() if turn < len(queue)]


def _badness(cell: Sequence[Row]) -> tuple[float, float]:
    left = [row["attacked"]["ssim"] for row in cell if (row.get("attacked") or {}).get("ssim") is not None]
    return sum(row.get("exact") is True for row in cell) / len(cell), -float(np.mean(left)) if left else 0.0


def sample_of(row: Row, original: Clip, marked: Clip, attacked: Clip) -> Sample:
    """Encode a row's clips, small and short."""
    said = f"id {row['read_id']} instead of {row['id']}" if row.get("read_id") else "nothing read"
    if row.get("log10_p") is not None:
        said += f", log10 p {row['log10_p']:g}"
    if row.get("bit_accuracy") is not None:
        said += f", {100 * row['bit_accuracy']:.0f} % of the bits right"
    return Sample(
        f"{row['watermark']}, {row['chain']}",
        f"{row['clip']}: {said}",
        {"marked": encoded_small(marked), "attacked": encoded_small(attacked)},
        difference_picture(original, marked),
    )


def closest_looks(
    rows: Iterable[Row], remake: Remake, *, may_show: Callable[[Row], bool] = rendered
) -> tuple[Sample, ...]:
    """Return for every watermark the clip that it costs most, before and after, where it shows most: not resized.

    Most is the least VMAF, or SSIM where that was not measured. A watermark none of whose clips may be shown, or that
    cannot be made again, is left out, and so is what would take all looks beyond `MOST_BYTES`.
    """
    worst: dict[str, Row] = {}
    for row in rows:
        if row.get("ssim") is not None and may_show(row):
            mark = row["watermark"]
            if mark not in worst or _likeness(row) < _likeness(worst[mark]):
                worst[mark] = row
    looks: list[Sample] = []
    for row in worst.values():
        try:
            original, marked, _ = remake(row)
        except CountermarkError as error:  # a peer's, perhaps: all rows are there, and a page without a look is a page
            _log.warning("%s: no look at %s (%s)", row["watermark"], row["clip"], error)
            continue
        look = close_up(row, original, marked)
        if sum(one.size for one in (*looks, look)) <= MOST_BYTES:
            looks.append(look)
    return tuple(looks)


def _likeness(row: Row) -> float:
    return row["ssim"] if row.get("vmaf") is None else row["vmaf"] / 100


def close_up(row: Row, original: Clip, marked: Clip) -> Sample:
    """Cut the square where marking shows most out of the first two seconds of both clips."""
    original, marked = _short(original), _short(marked)
    top, left, side = most_visible(original, marked)
    films = {}
    for name, clip in (("unmarked", original), ("marked", marked)):
        square = clip.frames[:, top : top + side, left : left + side]
        films[name] = _encoded(Clip(np.ascontiguousarray(square), clip.times), CLOSE_CRF)
    costs = [f"{row[name]:.{digits}f}{unit}" for name, digits, unit in _COSTS if row.get(name) is not None]
    return Sample(
        f"{row['watermark']}, the clip that it costs most",
        f"{row['clip']}: {', '.join(costs)}; a square of {side} pixels, not resized",
        films,
    )


def most_visible(original: Clip, marked: Clip) -> tuple[int, int, int]:
    """Return top, left and side of the square in which marking moved luma most for what else goes on there."""
    middle = slice(len(marked) // 2, len(marked) // 2 + 1)
    before, after = (clip.select(middle).luma[0].astype(np.float32) for clip in (original, marked))
    detail = cv2.blur(np.abs(before - cv2.blur(before, (_SMOOTHED, _SMOOTHED))), (_SMOOTHED, _SMOOTHED))
    moved = cv2.blur(np.abs(after - before), (_SMOOTHED, _SMOOTHED))
    side = min(CLOSE, *before.shape) // 2 * 2
    sums = cv2.integral(moved / (_FAINT_LEVELS + detail))
    squares = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    top, left = np.unravel_index(np.argmax(squares), squares.shape)
    return int(top), int(left), side


def encoded_small(clip: Clip) -> bytes:
    """Return the first two seconds as MP4, H.264, fitted into a square of 320 pixels; the same clip, the same bytes."""
    short = _short(clip)
    width, height = _fitted(clip.width, clip.height)
    frames = np.stack([cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) for frame in short.frames])
    return _encoded(Clip(frames, short.times), CRF)


def _short(clip: Clip) -> Clip:
    return clip.select(clip.times - clip.times[0] < LONGEST_SECONDS - 1e-9)


def _encoded(clip: Clip, crf: int) -> bytes:
    return encoded(clip, "mp4", Encoding("libx264", crf, "medium", "yuv420p", {"threads": "1"}))


def difference_picture(original: Clip, marked: Clip) -> bytes:
    """Return a PNG of the luma that marking changed in the middle frame, around grey; empty where nothing compares."""
    if original.frames.shape != marked.frames.shape:
        return b""
    middle = slice(len(marked) // 2, len(marked) // 2 + 1)
    before, after = original.select(middle).luma[0], marked.select(middle).luma[0]
    if psnr(before, after) < COMPARABLE_DB:
        return b""
    moved = 128.0 + AMPLIFIED * (after.astype(np.float32) - before.astype(np.float32))
    small = cv2.resize(moved, _fitted(marked.width, marked.height), interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".png", np.clip(small, 0, 255).round().astype(np.uint8), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    return data.tobytes() if done else b""


def _fitted(width: int, height: int) -> tuple[int, int]:
    """Even sides inside the square, never enlarged."""
    scale = min(1.0, WIDEST / width, HIGHEST / height)
    return max(2, 2 * math.floor(width * scale / 2)), max(2, 2 * math.floor(height * scale / 2))
