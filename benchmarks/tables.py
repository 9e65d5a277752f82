"""From the rows of `bench watermarks` to the tables and figures of its report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.attacks import ATTACKS, parse_chain
from benchmarks.board import (
    BITS,
    COSTS,
    EVERY_ATTACK,
    EXACT,
    SEEN_LOOSER,
    Board,
    board_lines,
    families,
    family_lines,
    standing,
)
from benchmarks.cells import FAMILY_ORDER, NO_ATTACK, UNKNOWN, Cells, completed, family_of, sources
from benchmarks.detector_tables import detector_report
from benchmarks.failures import failure_sentences, failure_tables
from benchmarks.figures import Curve, Panel, Scatter, Spot
from benchmarks.heat import HeatCell, HeatMap, HeatPart
from benchmarks.metrics import Estimate, Rate, super_uniform
from benchmarks.pooling import PooledRate, pooled_mean
from benchmarks.report import Report, Table
from benchmarks.runs import Row, versions
from benchmarks.samples import Sample

__all__ = ["detector_report", "outcome", "panels", "rate", "rate_json", "watermark_report", "where"]

SHORTEST_CURVE = 2
OURS = ("pixel", "pixel-layers", "latent")
SHORTEST_CHANCE = 1e-12
"""Messages that agree by luck more often than this may not reach p <= 1e-9 after a search, which the report says."""


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
    return [
        row
        for row, full in zip(rows, completed(rows), strict=True)
        if all(full.get(name) == value for name, value in fields.items())
    ]


def watermark_report(
    rows: Sequence[Row], settings: Row, samples: Sequence[Sample] = (), looks: Sequence[Sample] = ()
) -> Report:
    """Summarise the rows of `bench watermarks`; fields that older rows lack are said to be missing.

    samples: of `samples.worst_samples`. looks: of `samples.closest_looks`.
    """
    cells = Cells.of(rows)
    marks = cells.subjects(settings["watermarks"])
    chains = list(dict.fromkeys([*settings["chains"], *cells.chains()]))
    board, detail = Board.of(board_lines(cells, marks)), Board.of(family_lines(cells, marks))
    tables = [_robustness(cells, mark, chains) for mark in marks]
    tables += [_false_alarms(cells, marks), detail.table("Families of attacks", marks, _DETAIL_NOTE)]
    tables += failure_tables(cells)
    return Report(
        f"Watermarks, {settings['suite']} suite on {settings['videos']}",
        tuple(_sentences(cells, marks, board, settings)),
        tuple(tables),
        panels(rows, marks),
        settings,
        {**_results(cells, marks, chains), "board": board.json(), "families": detail.json()},
        boards=(board.table("Who is best at what", marks, _BOARD_NOTE),),
        scatters=scatters(cells, marks),
        heat=heat_map(cells, marks, chains),
        samples=tuple(samples),
        looks=tuple(looks),
    )


_BOARD_NOTE = (
    "Value [95 % interval] hits/trials. Bold: ahead of every other watermark by a paired difference over common clips "
    "whose 95 % interval excludes zero. A trial is one clip after one chain; trials that failed are misses, and the "
    "coverage says how many could be measured. Wilson's interval at the effective number of trials, since the trials "
    "of one source hang together."
)
_DETAIL_NOTE = "As above. Not stated: the watermark's rows do not say."


def _results(cells: Cells, marks: Sequence[str], chains: Sequence[str]) -> dict[str, Any]:
    return {
        "versions": versions(),
        "arms": [
            {"watermark": mark, "chain": chain, "exact": rate_json(rate(hits, "exact")),
             "found": rate_json(rate(hits, "found")), "wrong_id": rate_json(rate(hits, "wrong_id")),
             "seen_1e-6": standing(SEEN_LOOSER, hits).json(), "bit_accuracy": standing(BITS, hits).json()}
            for mark in marks for chain in chains if (hits := cells.cell(mark, f"marked/{chain}"))
        ],
        "false_alarms": [
            {"watermark": mark, "kind": kind, "found": rate_json(rate(cells.all_of(mark, kind), "found"))}
            for mark in marks for kind in ("unmarked", "wrong-key")
        ],
        "failed": len(cells.failures()),
    }  # fmt: skip


def _sentences(cells: Cells, marks: Sequence[str], board: Board, settings: Row) -> list[str]:
    said = [board.sentence()] if board.sentence() else []
    searches = settings.get("search") or {}
    for mark in marks:
        clips = {row["clip"] for row in cells.all_of(mark, "marked")}
        cost = standing(COSTS[0], cells.cell(mark, f"marked/{NO_ATTACK}"))
        loud = f" Luma PSNR of marked clips in dB: {cost}." if cost.value is not None else ""
        search = f" How it is read: {searches[mark]}." if mark in searches else ""
        count = f"{len(clips)} clips, each" if len(clips) != 1 else "one clip,"
        said.append(f"{mark}: {count} marked once (first draw).{loud}{search}")
    said.append("Clips are attacked in memory, straight after marking; found means p <= 1e-9 after all search.")
    peers = [mark for mark in marks if mark not in OURS]
    if peers:
        said.append(
            f"Countermark's own name an id only at p <= 1e-9; {', '.join(peers)} may name one whatever they read, "
            "so that exact ids at p <= 1e-6 compare them fairly. One without a test of its own for presence is told "
            "the expected message, and its p-value is the chance of so many agreeing bits, times the candidates "
            "tried. That favours it."
        )
    short = {m: n for m, n in (settings.get("bits") or {}).items() if m in peers and 2.0**-n > SHORTEST_CHANCE}
    said += [
        f"{mark} carries {bits} bits: agreeing bits alone state no p below {2.0**-bits:.1e} times the candidates."
        for mark, bits in short.items()
    ]
    return said + failure_sentences(cells, settings)


def _robustness(cells: Cells, mark: str, chains: Sequence[str]) -> Table:
    lines = []
    for chain in chains:
        hits = cells.cell(mark, f"marked/{chain}")
        wrong = rate(hits, "wrong_id").hits
        cost = [_left(hits, "psnr_db", 1), _left(hits, "ssim", 3)]
        sure = [_brief(SEEN_LOOSER, hits), _brief(BITS, hits)]
        lines.append((chain, str(rate(hits, "exact")), str(rate(hits, "found")), *sure, str(wrong), *cost))
    header = ("attack", "exact id", "found", "p <= 1e-6", "bits right", "wrong ids", "PSNR left, dB", "SSIM left")
    note = (
        "Left: what the attack leaves of the marked clip, where frames still correspond. Found: p <= 1e-9 after search."
    )
    return Table(f"{mark} after attacks", header, tuple(lines), note)


def _brief(measure: Any, rows: Sequence[Row]) -> str:
    return "–" if standing(measure, rows).value is None else str(standing(measure, rows))


def _left(rows: Sequence[Row], field: str, digits: int) -> str:
    values = [(row.get("attacked") or {}).get(field) for row in rows]
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    mean = pooled_mean(values, sources(rows))
    text = f"{mean.value:.{digits}f} [{mean.interval.low:.{digits}f}, {mean.interval.high:.{digits}f}]"
    return text if len(known) == len(rows) else f"{text}, {len(known)} of {len(rows)} clips"


def _false_alarms(cells: Cells, marks: Sequence[str]) -> Table:
    lines = []
    for mark in marks:
        for kind, words in (("unmarked", "unmarked clips"), ("wrong-key", "marked clips, another key")):
            rows = cells.all_of(mark, kind)
            chances = [row["log10_p"] for row in rows if row.get("log10_p") is not None]
            least = f"{min(chances):.1f}" if chances else "–"
            sure = f"{super_uniform(chances):.2g}, n={len(chances)}" if chances else "–"
            lines.append((f"{mark}: {words}", str(rate(rows, "found")), _brief(SEEN_LOOSER, rows), least, sure))
    note = (
        "A screening beside the hits; the calibrated false-alarm rates are an experiment of their own. Super-uniform: "
        "how likely p-values that are no smaller than chance allows look as small (Kolmogorov-Smirnov, one-sided); a "
        "small number is a warning."
    )
    header = ("trials", "found, p <= 1e-9", "p <= 1e-6", "least log10 p", "super-uniform")
    return Table("Found where nothing is", header, tuple(lines), note)


def heat_map(cells: Cells, marks: Sequence[str], chains: Sequence[str]) -> HeatMap:
    """Exact ids of every watermark after every chain, the chains of a family together."""
    parts = []
    for family in FAMILY_ORDER:
        rows = [
            (chain, tuple(_heat_cell(cells.cell(mark, f"marked/{chain}")) for mark in marks))
            for chain in chains
            if family_of(chain) == family and any(cells.cell(mark, f"marked/{chain}") for mark in marks)
        ]
        if rows:
            parts.append(HeatPart("no attack" if family == NO_ATTACK else family, tuple(rows)))
    note = "Exact id in percent of all trials; 100 and 0 stand for all and none. A dash: not measured. The "
    note += "darker, the more was lost."
    return HeatMap("Attack by attack", tuple(marks), tuple(parts), note)


def _heat_cell(rows: Sequence[Row]) -> HeatCell:
    exact = rate(rows, "exact")
    return HeatCell(exact.share if exact.trials else None, str(exact))


def scatters(cells: Cells, marks: Sequence[str]) -> tuple[Scatter, ...]:
    """Quality against robustness: what marking costs on x, exact ids over all attacks on y."""
    attacked = families(cells, marks).get(EVERY_ATTACK, {})
    drawn = []
    for cost in (COSTS[0], COSTS[2]):
        spots = []
        for mark in marks:
            x, y = standing(cost, cells.cell(mark, f"marked/{NO_ATTACK}")), standing(EXACT, attacked.get(mark, ()))
            if isinstance(x.value, Estimate) and isinstance(y.value, PooledRate):
                spots.append(Spot(mark, _ends(x.value.value, x.value), _ends(y.value.share, y.value)))
        if spots:
            title = f"Quality against robustness, {cost.title.split(',')[0]}"
            drawn.append(Scatter(title, f"{cost.title}, of marked clips", "exact id, all attacks, %", tuple(spots)))
    return tuple(drawn)


def _ends(value: float, estimate: Estimate | Rate) -> tuple[float, float, float]:
    """The value inside its interval, whatever rounding did."""
    return value, min(value, estimate.interval.low), max(value, estimate.interval.high)


def panels(rows: Sequence[Row], marks: Sequence[str]) -> tuple[Panel, ...]:
    """Return one panel per attack that was measured alone with at least two parameters, family by family."""
    cells = Cells.of(rows)
    points: dict[str, dict[str, list[tuple[float, float, float, float]]]] = {}
    for chain in cells.chains():
        steps = () if family_of(chain) == UNKNOWN else parse_chain(chain).steps
        if len(steps) != 1 or steps[0].value is None:
            continue
        for mark in marks:
            exact = rate(cells.cell(mark, f"marked/{chain}"), "exact")
            if exact.trials:
                point = (steps[0].value, exact.share, exact.interval.low, exact.interval.high)
                points.setdefault(steps[0].name, {}).setdefault(mark, []).append(point)
    drawn = []
    for name, attack in ATTACKS.items():
        curves = [Curve(mark, tuple(of)) for mark, of in points.get(name, {}).items() if len(of) >= SHORTEST_CURVE]
        if curves and attack.parameter is not None:
            meaning = attack.parameter.meaning.removeprefix("the ").rstrip(",")
            drawn.append(Panel(name, meaning, tuple(curves), part=f"Robustness: {family_of(name)}"))
    return tuple(drawn)
