"""A validation as lines of text: one row per band, misses first in each group."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from experiments.validation.bands import (
    CONSISTENT,
    ERROR,
    ESTIMATE,
    MISS,
    PASS,
    REPORTED,
    UNCLEAR,
    VERDICTS,
    Band,
    number,
)

Row = Mapping[str, Any]
SIGNS = {PASS: "pass", MISS: "MISS", UNCLEAR: "unclear", ERROR: "ERROR", REPORTED: "-"}
_WIDTH = 120
_CROSSING = "* passes by its rule, though the interval crosses an edge of the band"


def figures(value: float | None) -> str:
    """A number with three significant figures, a plain zero, a dash where there is none."""
    found = number(value)
    if found != found:
        return "-"
    if found in (float("inf"), float("-inf")):
        return "inf" if found > 0 else "-inf"
    if found == 0:
        return "0"
    if abs(found) >= 999.5:
        return f"{found:,.0f}"
    text = f"{found:.3g}"
    if "e" in text:
        return text
    decimals = max(0, 2 - _magnitude(found))
    return f"{found:.{decimals}f}"


def _magnitude(value: float) -> int:
    return int(f"{abs(value):.2e}".partition("e")[2])


def measured(row: Row) -> str:
    """Value, unit and interval: ``1.52 [1.41, 1.66]``."""
    if row["value"] is None:
        return "not measured"
    unit = f" {row['unit']}" if row["unit"] else ""
    text = f"{figures(row['value'])}{unit}"
    low, high = row["low"], row["high"]
    if low is None or high is None or low == high:
        return text
    return f"{text} [{figures(low)}, {figures(high)}]"


def asked(question: str) -> str:
    """A band's question as a sentence."""
    text = question.strip()
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('?') else '?'}"


def seeds(row: Row) -> str:
    """How many seeds, and of how many observations where these are not the seeds."""
    if not row["seeds"]:
        return "-"
    return f"{row['seeds']}" if row["n"] is None else f"{row['seeds']} ({row['n']:,} obs.)"


def crosses(row: Row) -> bool:
    """Whether a row passes by its rule although its interval is not within the band."""
    low, high, band_low, band_high = (row[key] for key in ("low", "high", "band_low", "band_high"))
    if row["verdict"] != PASS or low is None or high is None:
        return False
    return bool((band_low is not None and low < band_low) or (band_high is not None and high > band_high))


def sorted_rows(rows: Iterable[Row]) -> list[Row]:
    """By group, in the groups' order; within it errors, misses, unclear rows, then what passes."""
    found = list(rows)
    groups = list(dict.fromkeys(row["group"] for row in found))
    return sorted(found, key=lambda row: (groups.index(row["group"]), VERDICTS.index(row["verdict"])))


def counted(verdicts: Mapping[str, int]) -> str:
    """How many of each: ``24 pass, 2 miss, 1 unclear``; errors and unjudged rows only where there are any."""
    shown = [PASS, MISS, UNCLEAR, *(verdict for verdict in (ERROR, REPORTED) if verdicts.get(verdict))]
    return ", ".join(f"{verdicts.get(verdict, 0)} {verdict}" for verdict in shown)


def lines(result: Mapping[str, Any]) -> list[str]:
    """The table for a terminal.

    Args:
        result: what :func:`experiments.validation.run.validate` gives.
    """
    rows = sorted_rows(result["rows"])
    markets = ", ".join(result["markets"].values()) or "no scenario"
    kind = "quick run" if result["quick"] else "full run"
    found = [f"Validation of {markets}: {kind}, seeds from {result['first_seed']}", ""]
    cells = [
        (
            f"{SIGNS[row['verdict']]}{'*' if crosses(row) else ''}",
            row["id"],
            row["statement"],
            measured(row),
            seeds(row),
        )
        for row in rows
    ]
    widths = [max(len(cell[i]) for cell in cells) for i in range(5)]
    widths[2] = min(widths[2], 44)
    group = None
    for row, cell in zip(rows, cells, strict=True):
        if row["group"] != group:
            group = row["group"]
            found += [*([""] if len(found) > 2 else []), group]
        wrapped = textwrap.wrap(cell[2], widths[2]) or [""]
        found.append(
            f"  {cell[0]:<7}  {cell[1]:<{widths[1]}}  {wrapped[0]:<{widths[2]}}  {cell[3]:<{widths[3]}}  "
            f"{cell[4]:>{widths[4]}}".rstrip()
        )
        indent = " " * (13 + widths[1])
        found += [f"{indent}{more}" for more in wrapped[1:]]
        if row["note"] and row["verdict"] != PASS:
            found += textwrap.wrap(row["note"], _WIDTH - 11, initial_indent=" " * 11, subsequent_indent=" " * 11)
    crossing = [_CROSSING, ""] if any(crosses(row) for row in rows) else []
    counts = f"{len(rows)} bands: {counted(result['verdicts'])}"
    return [*found, "", *crossing, *_not_met(rows), counts, "", f"Results hash: {result['results_hash']}"]


def _not_met(rows: Sequence[Row]) -> list[str]:
    """Misses and errors once more, at the end, where a terminal stops scrolling."""
    said = []
    for row in rows:
        if row["verdict"] == MISS:
            said.append(f"MISS   {row['id']}: {asked(row['question'])} {measured(row)}; band: {row['statement']}")
        elif row["verdict"] == ERROR:
            said.append(f"ERROR  {row['id']}: {row['note']}")
    return [*said, ""] if said else []


def rule_in_words(row: Row) -> str:
    """How a row is judged, where it is not by its whole interval."""
    return {ESTIMATE: "the estimate decides", CONSISTENT: "no significant difference from it"}.get(row["rule"], "")


def listing(bands: Sequence[Band], quick: bool) -> list[str]:
    """The bands that a run would measure: id, what is accepted, seeds, source."""
    width = max(len(band.id) for band in bands)
    found: list[str] = []
    group = None
    for band in bands:
        if band.group != group:
            group = band.group
            found += [*([""] if found else []), group]
        found.append(f"  {band.id:<{width}}  {band.question.rstrip('?')}: {band.statement}{_needed(band, quick)}")
    return found


def _needed(band: Band, quick: bool) -> str:
    return f" ({band.seeds(quick)} seeds)" if band.seeds(quick) > 1 else ""
