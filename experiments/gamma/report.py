"""What was found of the sign of dealers' gamma: lines for the terminal, tables, figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.collected import failure_lines
from experiments.latex import write_fragment
from experiments.tables import Column, Estimate, Table
from experiments.tables import write as write_tables
from experiments.vocabulary import describe, scale_of

_COMPARED = (("short", "summary", "short - off"), ("long", "summary", "long - off"), ("short", "signs", "short - long"))


def lines(result: Mapping[str, Any]) -> list[str]:
    """What the terminal shows."""
    names = ", ".join(result["dealers"])
    found = [
        f"{result['scenario']}: {names} short of gamma, long of it, and not hedging (off), {len(result['seeds'])} "
        f"seeds, steps {result['from_step']} to {result['to_step']}",
        "",
        *table(result).lines(),
        "",
        _placebo(result["summary"]["placebo"]),
        f"Results hash: {result['results_hash']}",
    ]
    return [*found, *failure_lines(result["failures"])]


def _placebo(placebo: Mapping[str, float | None] | None) -> str:
    wrong = [name for name, value in (placebo or {}).items() if value != 0.0]
    if wrong:
        return f"Placebo (options owned, not hedged, against options sold, not hedged): DIFFERS in {', '.join(wrong)}"
    return "Placebo (options owned, not hedged, against options sold, not hedged): exactly zero"


def table(result: Mapping[str, Any]) -> Table:
    """Means by arm, and paired differences."""
    columns = (
        Column("outcome", "Outcome"), Column("unit", "Unit"),
        *(Column(arm, arm.capitalize()) for arm in result["arms"]),
        *(Column(f"{title}", title) for _, _, title in _COMPARED),
        Column("d_short", "d_z, short - long", digits=2), Column("p", "p (Holm), short - long", digits=4),
    )  # fmt: skip
    rows = []
    for name in result["outcomes"]:
        measure = describe(name)
        means = result["summary"]["measures"][name]
        entries = [result[where]["differences"][arm][name] for arm, where, _ in _COMPARED]
        numbers = [entry[key] for entry in (*means.values(), *entries) for key in ("mean", "low", "high")]
        scale = scale_of(measure.kind, [number for number in numbers if number is not None])
        rows.append((
            measure.label, scale.unit or "1", *(Estimate.of(means[arm], scale) for arm in result["arms"]),
            *(Estimate.of(entry, scale, signed=True) for entry in entries), entries[-1].get("effect"),
            entries[-1].get("p_holm"),
        ))  # fmt: skip
    caption = (
        f"The sign of dealers' gamma, {result['scenario']}: options sold (short), owned (long), and sold without a "
        f"hedge (off); {len(result['seeds'])} paired seeds, mean and 95 % interval."
    )
    return Table("gamma", caption, columns, tuple(rows), ("Differences are paired by seed; p by sign flips.",))


def tables(result: Mapping[str, Any]) -> list[Table]:
    """All tables of a result."""
    return [table(result)]


def write(folder: Path, result: Mapping[str, Any]) -> None:
    """Write tables and figures into an output folder."""
    from experiments.drawing import gamma as drawing

    write_tables(tables(result), folder)
    drawing.draw(folder, result)
    write_fragment(folder)
