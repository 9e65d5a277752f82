"""Heat maps as tables: every cell has its number, and a colour beside it."""

from __future__ import annotations

from dataclasses import dataclass

STEPS = 10


@dataclass(frozen=True)
class HeatCell:
    """A share from 0 to 1, None where nothing was measured, and what stands behind it, in words."""

    share: float | None
    words: str

    def __post_init__(self) -> None:
        if self.share is not None and not 0 <= self.share <= 1:
            raise ValueError(f"a share lies between 0 and 1, not at {self.share}")

    @property
    def step(self) -> int:
        """The colour, 0 to 10; only a full share has the last one and only none at all the first."""
        if self.share is None or self.share in (0, 1):
            return STEPS * int(self.share or 0)
        return min(max(round(self.share * STEPS), 1), STEPS - 1)

    @property
    def text(self) -> str:
        """The share in whole percent; 100 only for all trials and 0 only for none."""
        if self.share is None:
            return "–"
        if self.share in (0, 1):
            return f"{100 * self.share:.0f}"
        return f"{min(max(100 * self.share, 1), 99):.0f}"


@dataclass(frozen=True)
class HeatPart:
    """The rows of one family: each a label and a cell per column."""

    title: str
    rows: tuple[tuple[str, tuple[HeatCell, ...]], ...]


@dataclass(frozen=True)
class HeatMap:
    """Rows against columns, in parts; every row has a cell per column."""

    title: str
    columns: tuple[str, ...]
    parts: tuple[HeatPart, ...]
    note: str = ""

    def __post_init__(self) -> None:
        for part in self.parts:
            for label, cells in part.rows:
                if len(cells) != len(self.columns):
                    raise ValueError(f"heat map {self.title!r}: {label} has not as many cells as there are columns")
