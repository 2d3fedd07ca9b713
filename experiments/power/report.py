"""What was found of a design's power: lines for the terminal, tables, the figure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.collected import failure_lines
from experiments.latex import write_fragment
from experiments.tables import Column, Estimate, Table
from experiments.tables import write as write_tables
from experiments.vocabulary import Scale, describe, scale_of

_PERCENT = Scale(100.0, "%", "pp")


def lines(result: Mapping[str, Any]) -> list[str]:
    """What the terminal shows."""
    found = [f"{result['title']}: {result['design']}, against {result['baseline']}"]
    for i, point in enumerate(result["points"]):
        if point["label"]:
            found += ["", point["label"]]
        found += [
            f"{point['batches']} disjoint batches of {point['pairs']} pairs ({point['seeds']} seeds), "
            f"tests at {point['level']:g}",
            "",
            *effects_table(result, i).lines(),
            "",
            *_nulls(point),
        ]
    return [*found, *failure_lines(result["failures"])]


def _nulls(point: Mapping[str, Any]) -> list[str]:
    nulls, told = point["nulls"], []
    if nulls["placebo"] is not None:
        told.append(
            f"Placebo (the baseline again): flagged in {nulls['placebo']['flagged']} of "
            f"{nulls['placebo']['batches']} batches"
        )
    swapped = [entry for by in nulls["swapped"]["tests"].values() for entry in by.values()]
    if swapped:
        worst = max(swapped, key=lambda entry: entry["mean"])
        told.append(f"True null, arms swapped by coins: a test flagged in at most {_share(worst)} of swaps")
        for family, entry in nulls["swapped"]["families"].items():
            told.append(f"  any test of the family {family}, corrected: {_share(entry)}")
    for name, entry in nulls["other_seeds"].items():
        label = describe(name).label
        told.append(f"True null, the baseline on other seeds, {label}: flagged in {_share(entry)} of batches")
    return told


def _share(entry: Mapping[str, Any]) -> str:
    return f"{Estimate.of(entry, _PERCENT, digits=1).text()} %"


def effects_table(result: Mapping[str, Any], index: int) -> Table:
    """Effect, share of batches that detect it, and seeds that it takes, by arm and outcome."""
    point = result["points"][index]
    columns = (
        Column("arm", "Arm"),
        Column("outcome", "Outcome"),
        Column("difference", "Difference"),
        Column("unit", "Unit"),
        Column("effect", "d_z", digits=2),
        Column("detected", "Detected, corrected", unit="%", digits=0),
        Column("uncorrected", "Uncorrected", unit="%", digits=0),
        Column("analytic", "Analytic", unit="%", digits=0),
        Column("required", "Pairs for 80 %, analytic"),
        Column("needed", "Pairs for 80 %, measured"),
    )
    rows = []
    for regime, by in point["effects"].items():
        for name, entry in by.items():
            pooled = entry["pooled"]
            measure = describe(name)
            scale = scale_of(measure.kind, [pooled["mean"], pooled["low"], pooled["high"]])
            analytic = entry["analytic"]
            rows.append((
                regime, measure.label, Estimate.of(pooled, scale, signed=True), scale.difference_unit or "1",
                pooled["effect"], Estimate.of(entry["detected"], _PERCENT), Estimate.of(entry["uncorrected"], _PERCENT),
                None if analytic is None else 100.0 * analytic, entry["required_n"] or "none",
                entry["needed"] or f"over {_largest(entry)}",
            ))  # fmt: skip
    caption = (
        f"Power of {result['title']}: {point['batches']} disjoint batches of {point['pairs']} pairs, against "
        f"{result['baseline']}{', ' + point['label'] if point['label'] else ''}."
    )
    notes = (
        "Detected: share of batches with the verdict different, after Holm's correction over arms and outcomes of a "
        "family; uncorrected: sign-flip test alone; both with Clopper-Pearson intervals. Analytic: noncentral t at the "
        "pooled effect size d_z, mean difference over its standard deviation.",
    )
    suffix = f"-{index}" if len(result["points"]) > 1 else ""
    return Table(f"power{suffix}", caption, columns, tuple(rows), notes)


def _largest(entry: Mapping[str, Any]) -> str:
    return str(max((point["n"] for point in entry["curve"]), default="0"))


def curve_table(result: Mapping[str, Any], index: int) -> Table:
    """The curve: share of disjoint batches that detect, by pairs."""
    point = result["points"][index]
    columns = (
        Column("arm", "Arm"), Column("outcome", "Outcome"), Column("pairs", "Pairs"), Column("batches", "Batches"),
        Column("power", "Detected", unit="%", digits=0), Column("analytic", "Analytic", unit="%", digits=0),
    )  # fmt: skip
    rows = tuple(
        (
            regime, describe(name).label, at["n"], at["batches"], Estimate.of(at, _PERCENT),
            None if at["analytic"] is None else 100.0 * at["analytic"],
        )
        for regime, by in point["effects"].items()
        for name, entry in by.items()
        for at in entry["curve"]
    )  # fmt: skip
    suffix = f"-{index}" if len(result["points"]) > 1 else ""
    caption = f"Power by number of pairs, without correction{', ' + point['label'] if point['label'] else ''}."
    return Table(f"power-curve{suffix}", caption, columns, rows, ("Intervals: Clopper-Pearson over disjoint batches.",))


def write(folder: Path, result: Mapping[str, Any]) -> None:
    """Write tables and figures into an output folder."""
    from experiments.drawing import power as drawing

    indices = range(len(result["points"]))
    write_tables([table(result, i) for i in indices for table in (effects_table, curve_table)], folder)
    for i in indices:
        drawing.figure(result, i, folder / "figures")
    write_fragment(folder)
