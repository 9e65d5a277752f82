"""From rows to the tables and curves of a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.attacks import ATTACKS, parse_chain
from benchmarks.metrics import Rate, mean_estimate
from benchmarks.report import Curve, Panel, Report, Table
from benchmarks.runs import Row, versions

SHORTEST_CURVE = 2


def outcome(row: Row, field: str) -> bool | None:
    """Return what a row says of `field`; None for a row that failed."""
    return None if "error" in row else bool(row[field])


def rate(rows: Sequence[Row], field: str) -> Rate:
    """Count a yes-or-no field over rows."""
    return Rate.of([outcome(row, field) for row in rows])


def rate_json(value: Rate) -> dict[str, Any]:
    """Return a rate with its interval, as results.json holds it."""
    interval = value.interval
    return {
        "hits": value.hits, "trials": value.trials, "failed": value.failed,
        "share": round(value.share, 5) if value.trials else None,
        "low": round(interval.low, 5), "high": round(interval.high, 5),
    }  # fmt: skip


def where(rows: Sequence[Row], **fields: Any) -> list[Row]:
    """Return the rows with these values. Failed rows know their task and arm only, so those are read for the others."""
    return [row for row in rows if all(_value(row, name) == value for name, value in fields.items())]


def _value(row: Row, name: str) -> Any:
    if name in row:
        return row[name]
    kind, _, chain = row["arm"].partition("/")
    return {"kind": kind, "chain": chain, "watermark": row["task"].partition("/")[0]}.get(name)


def watermark_report(rows: Sequence[Row], settings: Row) -> Report:
    """Summarise the rows of `bench watermarks`."""
    chains = list(settings["chains"])
    present = [mark for mark in settings["watermarks"] if where(rows, watermark=mark)]
    tables = [_robustness(rows, mark, chains) for mark in present] + [_false_alarms(rows, present)]
    results = {
        "versions": versions(),
        "arms": [
            {"watermark": mark, "chain": chain, "exact": rate_json(rate(hits, "exact")),
             "found": rate_json(rate(hits, "found")), "wrong_id": rate_json(rate(hits, "wrong_id"))}
            for mark in present for chain in chains if (hits := where(rows, watermark=mark, kind="marked", chain=chain))
        ],
        "false_alarms": [
            {"watermark": mark, "kind": kind, "found": rate_json(rate(where(rows, watermark=mark, kind=kind), "found"))}
            for mark in present for kind in ("unmarked", "wrong-key")
        ],
    }  # fmt: skip
    title = f"Watermarks, {settings['suite']} suite on {settings['videos']}"
    return Report(title, tuple(_sentences(rows, present)), tuple(tables), panels(rows, present), settings, results)


def _sentences(rows: Sequence[Row], marks: Sequence[str]) -> list[str]:
    said = []
    for mark in marks:
        hits = where(rows, watermark=mark, kind="marked")
        clips = {row["task"] for row in hits}
        quality = [row["psnr_db"] for row in hits if "psnr_db" in row]
        loud = (
            f" Marked clips have a luma PSNR of {mean_estimate(quality)} dB, least {min(quality):.2f}."
            if quality
            else ""
        )
        said.append(f"{mark.capitalize()} watermark: {len(clips)} clips, each marked once (first draw).{loud}")
    said.append("Rates are shares of all trials with Wilson's 95 % interval; a trial that failed counts as a miss.")
    said.append("Clips are attacked in memory, straight after marking; found means p <= 1e-9 after all search.")
    return said


def _robustness(rows: Sequence[Row], mark: str, chains: Sequence[str]) -> Table:
    lines = []
    for chain in chains:
        hits = where(rows, watermark=mark, kind="marked", chain=chain)
        lines.append((chain, str(rate(hits, "exact")), str(rate(hits, "found")), str(rate(hits, "wrong_id").hits)))
    header = ("attack", "exact id", "found", "wrong ids")
    return Table(f"{mark.capitalize()} watermark after attacks", header, tuple(lines))


def _false_alarms(rows: Sequence[Row], marks: Sequence[str]) -> Table:
    lines = []
    for mark in marks:
        for kind, words in (("unmarked", "unmarked clips"), ("wrong-key", "marked clips, another key")):
            trials = rate(where(rows, watermark=mark, kind=kind), "found")
            lines.append((f"{mark}: {words}", str(trials)))
    note = "A screening beside the hits; the calibrated false-alarm rates are an experiment of their own."
    return Table("Found where nothing is", ("trials", "found"), tuple(lines), note)


def panels(rows: Sequence[Row], marks: Sequence[str]) -> tuple[Panel, ...]:
    """Return one panel per attack that was measured alone with at least two parameters."""
    drawn = []
    for name, attack in ATTACKS.items():
        if attack.parameter is None:
            continue
        curves = [Curve(mark, points) for mark in marks if len(points := _points(rows, mark, name)) >= SHORTEST_CURVE]
        if curves:
            drawn.append(Panel(name, attack.parameter.meaning.removeprefix("the ").rstrip(","), tuple(curves)))
    return tuple(drawn)


def _points(rows: Sequence[Row], mark: str, attack: str) -> tuple[tuple[float, float, float, float], ...]:
    points = []
    for chain in dict.fromkeys(_value(row, "chain") for row in rows):
        steps = parse_chain(chain).steps
        if len(steps) == 1 and steps[0].name == attack and steps[0].value is not None:
            exact = rate(where(rows, watermark=mark, kind="marked", chain=chain), "exact")
            if exact.trials:
                points.append((steps[0].value, exact.share, exact.interval.low, exact.interval.high))
    return tuple(points)
