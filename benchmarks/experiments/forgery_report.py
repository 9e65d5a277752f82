"""The report of `bench forgery`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.metrics import mean_estimate
from benchmarks.report import Report, Table
from benchmarks.runs import Row
from benchmarks.tables import rate, rate_json
from provenance.verdict import DETECTED_LOG10_P

_FORGED = ("found", "exact", "shared", "nobody")
_QUALITY = "PSNR of luma against the clip that the attack began with, over clips, with its bootstrap interval."


def arm_of(row: Row) -> str:
    """Return the arm of a row without the clip that it was tried on."""
    return str(row["arm"]).partition(" on ")[0]


def forgery_report(rows: Sequence[Row], settings: Row) -> Report:
    """Summarise the rows of `run_forgery`."""
    arms: dict[str, list[Row]] = {}
    for row in rows:
        arms.setdefault(arm_of(row), []).append(row if "error" in row else _with_shared(row))
    tables = [table for table in (make(arms) for make in _TABLES) if table.rows]
    results = {"arms": {arm: _json(these) for arm, these in arms.items()}}
    return Report("Removal and forgery", tuple(_sentences(rows, settings)), tuple(tables), (), settings, results)


def _with_shared(row: Row) -> Row:
    return {**row, "shared": row["taking_part"] > 0} if "taking_part" in row else row


def _sentences(rows: Sequence[Row], settings: Row) -> list[str]:
    adding = [row for row in rows if arm_of(row).startswith("average-add/")]
    added, parts = rate(adding, "found"), []
    for count in settings["counts"]:
        part = rate([row for row in adding if arm_of(row).split("/")[3] == str(count)], "found")
        parts.append(f"of {count} clips {part.hits} of {part.trials}")
    forged = rate([row for row in rows if "nobody" in row], "nobody")
    said = [
        f"{settings['clips']} clips of {settings['videos']}, {settings['watermark']} watermark; what is averaged comes "
        f"from {settings['sources']} other clips, mirrored, reversed and shifted.",
        f"Ids that belong to nobody: read in {forged.hits} of {forged.trials} forged clips (should be 0).",
    ]
    if adding:
        said.insert(
            1,
            f"Averages of many clips added to unmarked clips: {added.hits} of {added.trials} detected (should be 0); "
            f"{', '.join(parts)}.",
        )
    claims = [row for row in rows if arm_of(row).startswith("claim/") and "error" not in row]
    if claims:
        tries = sum(row["tries"] for row in claims)
        chance = 10**DETECTED_LOG10_P * tries
        detected = sum(row["detected"] for row in claims)
        said.append(
            f"Keys that marked nothing, {tries:,} tries in all: {detected} detected; alpha x tries = {chance:.1e}."
        )
    copies = [row for row in rows if arm_of(row).startswith("verdict/") and arm_of(row).count("/") == 2]
    if copies:
        deceived = rate(copies, "deceived")
        said.append(
            f"Copies whose signed manifest is known: verify is taken in by {deceived.hits} of {deceived.trials}."
        )
    return said + _learning_sentences(rows) + _transplant_sentences(rows)


def _learning_sentences(rows: Sequence[Row]) -> list[str]:
    """Where the id survives attackers who learn, and how well what they trained knows unseen clips."""
    learnt = [row for row in rows if arm_of(row).startswith("learn/")]
    if not learnt:
        return []
    who = {"square": "a reader's number", "decisions": "its yes or no", "surrogate": "clips alone", "key": "the key"}
    parts = []
    for how, has in who.items():
        survives = rate([row for row in learnt if arm_of(row).split("/")[1] == how], "exact")
        if survives.trials:
            parts.append(f"{has} in {survives.hits} of {survives.trials}")
    right = [row["surrogate_right"] for row in learnt if "surrogate_right" in row]
    trained = f"; networks are right about {100 * sum(right) / len(right):.0f} % of what is held out" if right else ""
    return [f"Attacks that learn: the id survives attackers who have {', '.join(parts)}{trained}."]


def _transplant_sentences(rows: Sequence[Row]) -> list[str]:
    carried = [row for row in rows if arm_of(row).startswith("latent/") and arm_of(row) != "latent/own"]
    if not carried:
        return []
    read = rate(carried, "exact")
    return [f"Other content from a marked clip's noise: its latent id is read in {read.hits} of {read.trials}."]


def _averages(arms: dict[str, list[Row]], way: str) -> list[tuple[str, ...]]:
    lines = []
    for arm, rows in arms.items():
        if arm.startswith(f"average-{way}/"):
            _, what, estimate, count, gain = arm.split("/")
            fields = ("exact", "found") if way == "remove" else ("found", "shared", "nobody")
            lines.append((what, estimate, count, gain, *_rates(rows, fields), _quality(rows)))
    return lines


def _removal(arms: dict[str, list[Row]]) -> Table:
    header = ("what is subtracted", "attacker has", "clips", "strength", "id survives", "found", "PSNR, dB")
    return Table("Averaging clips of one key, to remove", header, tuple(_averages(arms, "remove")), _QUALITY)


def _addition(arms: dict[str, list[Row]]) -> Table:
    header = ("what is added", "attacker has", "clips", "strength", "detected", "an id of theirs", "nobody's id")
    note = "All three should be 0: a detected clip would be a forgery."
    return Table("Averaging clips of one key, to forge", (*header, "PSNR, dB"), tuple(_averages(arms, "add")), note)


def _one_clip(arms: dict[str, list[Row]]) -> Table:
    lines = [
        (*arm.split("/")[1:], *_rates(rows, ("exact", "found")), _quality(rows))
        for arm, rows in arms.items()
        if arm.startswith("remove/")
    ]
    header = ("what is subtracted", "attacker has", "id survives", "found", "PSNR, dB")
    return Table("One marked clip, to remove", header, tuple(lines), _QUALITY)


def _copies(arms: dict[str, list[Row]]) -> Table:
    lines = [
        (*arm.split("/")[1:], *_rates(rows, ("exact", "nobody")), _quality(rows))
        for arm, rows in arms.items()
        if arm.startswith("copy/")
    ]
    header = ("what is copied", "attacker has", "its id is read", "nobody's id", "PSNR, dB")
    note = "An id that was copied whole is expected to be read: the fingerprint in its manifest is what tells."
    return Table("One marked clip, copied on another", header, tuple(lines), note)


def _collusion(arms: dict[str, list[Row]]) -> Table:
    lines = [
        (*arm.split("/")[1:], *_rates(rows, ("found", "shared", "nobody")), _quality(rows))
        for arm, rows in arms.items()
        if arm.startswith("collusion/")
    ]
    header = ("how", "colluders", "found", "a colluder's id", "nobody's id", "PSNR, dB")
    return Table("Collusion", header, tuple(lines), "PSNR against the unmarked clip.")


def _marked_again(arms: dict[str, list[Row]]) -> Table:
    lines = [
        (arm.split("/")[1], *_rates(rows, ("exact", "second", "nobody")), _quality(rows))
        for arm, rows in arms.items()
        if arm.startswith("remark/")
    ]
    header = ("marked again by", "first id", "second id", "nobody's id", "PSNR, dB")
    return Table("Marked again", header, tuple(lines), _QUALITY)


def _claims(arms: dict[str, list[Row]]) -> Table:
    lines = []
    for arm, rows in arms.items():
        good = [row for row in rows if "error" not in row]
        if arm.startswith("claim/") and good:
            tries, least = sum(row["tries"] for row in good), min(row["least_log10_p"] for row in good)
            counts = (str(sum(row[name] for row in good)) for name in ("detected", "ids"))
            bound = min(0.0, least + math.log10(tries))
            lines.append((arm.split("/")[1], f"{tries:,}", f"1e{least:.2f}", f"1e{bound:.2f}", *counts))
    header = ("clip", "keys tried", "least p", "least p x tries", "detected", "ids")
    return Table("A key that fits, searched for", header, tuple(lines), "No key had marked the clip.")


def _verdicts(arms: dict[str, list[Row]]) -> Table:
    lines = []
    for arm, rows in arms.items():
        if arm.startswith("verdict/"):
            counts: dict[str, int] = {}
            for row in rows:
                said = "failed"
                if "error" not in row:
                    said = f"{row['finding']}, {row['grade']}; {row['content'] or 'no manifest'}"
                counts[said] = counts.get(said, 0) + 1
            said_all = " / ".join(f"{said} {count}" for said, count in counts.items())
            copied = arm.count("/") == 2
            lines.append((arm.partition("/")[2], *_rates(rows, ("exact",)), _rate_or_none(rows, copied), said_all))
    header = ("file", "id read", "taken in", "finding, grade; content")
    note = "A copy takes verify in when its content is said to fit, or when anything but conflict is established."
    return Table("Copies through sign and verify", header, tuple(lines), note)


def _learning(arms: dict[str, list[Row]]) -> Table:
    lines = []
    for arm, rows in arms.items():
        if arm.startswith("learn/"):
            _, how, *eps = arm.split("/")
            asked = max((row["queries"] for row in rows if "queries" in row), default=0)
            levels = eps[0].removeprefix("eps") if eps else ""
            lines.append((how, levels, str(asked), *_rates(rows, ("exact", "found", "nobody")), _quality(rows)))
    header = ("how", "most levels", "most questions", "id survives", "found", "nobody's id", "PSNR, dB")
    note = (
        "square and decisions ask the owner's reader, where papers ask it 1,000 times and more; surrogate asks nobody; "
        "key holds the key. 180 lines."
    )
    return Table("Attacks that learn", header, tuple(lines), note)


def _transplants(arms: dict[str, list[Row]]) -> Table:
    lines = [
        (arm.split("/")[1], *_rates(rows, ("exact", "found")))
        for arm, rows in arms.items()
        if arm.startswith("latent/")
    ]
    note = "The id is in the noise, and goes where that goes: the fingerprint in its manifest is what tells."
    return Table("A latent watermark carried to other content", ("clip", "its id is read", "found"), tuple(lines), note)


_TABLES: tuple[Callable[[dict[str, list[Row]]], Table], ...] = (
    _removal, _addition, _one_clip, _copies, _collusion, _marked_again, _claims, _verdicts,
    _learning, _transplants,
)  # fmt: skip


def _rate_or_none(rows: Sequence[Row], copied: bool) -> str:
    return str(rate(rows, "deceived")) if copied else ""


def _rates(rows: Sequence[Row], fields: Sequence[str]) -> tuple[str, ...]:
    return tuple(str(rate(rows, field)) for field in fields)


def _quality(rows: Sequence[Row]) -> str:
    values = [row.get("psnr_db") for row in rows]
    return str(mean_estimate(values)) if any(value is not None for value in values) else ""


def _json(rows: Sequence[Row]) -> dict[str, Any]:
    good = [row for row in rows if "error" not in row]
    fields = [name for name in (*_FORGED, "second", "deceived") if good and all(name in row for row in good)]
    found: dict[str, Any] = {name: rate_json(rate(rows, name)) for name in fields}
    for name in ("tries", "detected", "ids"):
        if good and name in good[0]:
            found[name] = sum(row[name] for row in good)
    return found | {"failed": len(rows) - len(good)}
