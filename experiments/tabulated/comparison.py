"""Tables of a comparison of margin regimes, or of one run: outcomes, paired differences, who pays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from experiments.tables import Cell, Column, Estimate, Table, Written
from experiments.tabulated import tails
from experiments.vocabulary import Kind, Money, describe, number, order, places_of, scale_of
from experiments.wording import VERDICTS, compared, difference_scale, measure_scales, p_text, verdict_of

SIGNS = {"different": "*", "suggestive": "?", "none": "=", "identical": "==", "untested": "-"}
"""Marks of verdicts beside an outcome."""
INCIDENCE: dict[str, tuple[str, Kind]] = {
    "pnl": ("Profit", "money"), "liquidated": ("Liquidated lots", "lots"), "bankrupt": ("Bankrupt accounts", "count"),
    "share": ("Share of liquidated lots", "fraction"), "against_off": ("Profit against the twin", "money"),
    "calls": ("Margin calls", "count"), "claim": ("Claim on the venue", "money"), "paid": ("Paid of it", "money"),
    "owed": ("Still owed", "money"),
}  # fmt: skip


def tables(result: Mapping[str, Any]) -> list[Table]:
    """Every table of a comparison, of one regime over seeds, or of one run alone.

    Args:
        result: what :func:`experiments.studies.compare.summary` or :func:`~experiments.studies.compare.single` gives.
    """
    if "regimes" not in result:
        return _single(result)
    made = [outcomes(result, caption=_caption(result))]
    if compared(result):
        made.append(differences(result))
    if result.get("tails"):
        made.append(
            tails.table(
                list(tails.rows(result["tails"], result["baseline"], measure_scales(result))), result["baseline"]
            )
        )
    return made + incidence(result)


def outcomes(
    result: Mapping[str, Any], names: Sequence[str] | None = None, *, name: str = "outcomes", caption: str = "",
    row_head: str = "Outcome",
) -> Table:  # fmt: skip
    """Means over seeds with intervals: a row per measure, a column per regime, marks for verdicts.

    Args:
        result: ``measures``, ``regimes``, ``baseline`` and, where regimes are compared, ``differences``.
        names: measures to show; all if None.
        name: of the table.
        caption: of the table.
        row_head: head of the first column.
    """
    scales = measure_scales(result)
    regimes, several = list(result["regimes"]), len(result["regimes"]) > 1
    heads = {r: f"{r} (baseline)" if several and r == result["baseline"] else r for r in regimes}
    rows: list[tuple[Cell, ...]] = []
    used: list[str] = []
    for measure in order(result["measures"]) if names is None else names:
        by_regime, scale = result["measures"][measure], scales[measure]
        places = max((places_of(estimate, scale) for estimate in by_regime.values()), default=0)
        cells: list[Cell] = []
        for regime in regimes:
            difference = result.get("differences", {}).get(regime, {}).get(measure)
            tested = difference is not None and describe(measure).family != "event"
            sign = SIGNS[verdict_of(difference)] if tested and difference is not None else ""
            used += [sign] if sign else []
            cells.append(Estimate.of(by_regime.get(regime) or {}, scale, digits=places, mark=sign))
        label = describe(measure).label
        rows.append((f"{label} ({scale.unit})" if scale.unit else label, *cells))
    words = [f"{sign} {VERDICTS[verdict]}" for verdict, sign in SIGNS.items() if sign in used]
    columns = [Column("outcome", row_head, align="left"), *(Column(r, heads[r], align="right") for r in regimes)]
    return Table(name, caption, tuple(columns), tuple(rows), ("; ".join(words),) if words else ())


def differences(result: Mapping[str, Any], names: Iterable[str] | None = None, *, name: str = "differences") -> Table:
    """Paired differences from the baseline, a row per regime and measure, with every number of the test.

    Args:
        result: what :func:`experiments.statistics.paired_summary` gives, with ``regimes`` and ``baseline``.
        names: measures to show; all that were compared if None.
        name: of the table.
    """
    wanted = None if names is None else set(names)
    shown = [
        (regime, measure, result["differences"][regime][measure])
        for regime in compared(result)
        for measure in order(result["differences"][regime])
        if describe(measure).family != "event" and (wanted is None or measure in wanted)
    ]
    # what a result of an earlier version lacks has no column
    student, corrected, larger = (any(difference.get(key) for *_, difference in shown)
                                  for key in ("t", "d_z", "superiority"))  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for regime, measure, difference in shown:
        scale = difference_scale(measure, difference, result)
        places = places_of(difference, scale)
        reduction, effect = difference.get("variance_reduction"), difference.get("effect")
        cells: list[Cell] = [regime, describe(measure).label, scale.difference_unit]
        cells.append(Estimate.of(difference, scale, signed=True))
        if student:
            cells.append(Estimate.of(difference.get("t") or {}, scale, signed=True, digits=places))
        cells += [_p(difference.get("p")), _p(difference.get("p_holm"))]
        if corrected:
            cells.append(Estimate.of(difference.get("d_z") or {}, signed=True, digits=2, key="value"))
        else:
            cells.append(Written(effect, "n/a" if effect is None else number(effect, 2, signed=True)))
        if larger:
            cells.append(Estimate.of(difference.get("superiority") or {}, digits=2, key="value"))
        cells.append(Written(reduction, "n/a" if reduction is None else number(reduction, 1 if reduction < 100 else 0)))
        rows.append((*cells, difference.get("n"), difference.get("required_n"), VERDICTS[verdict_of(difference)]))
    settings = result.get("statistics") or {}
    level, power = 100.0 * float(settings.get("confidence", 0.95)), 100.0 * float(settings.get("power", 0.8))
    columns = (
        Column("regime", "Regime"), Column("measure", "Outcome"), Column("unit", "Unit"),
        Column("difference", "Difference"), *((Column("t", "With t interval"),) if student else ()),
        Column("p", "p"), Column("p_holm", "p, Holm"), Column("d_z" if corrected else "effect", "d"),
        *((Column("superiority", "P(larger)"),) if larger else ()), Column("variance_reduction", "Variance ratio"),
        Column("n", "Seeds"), Column("required_n", "Seeds needed"), Column("verdict", "Verdict"),
    )  # fmt: skip
    caption = f"Paired differences from {result['baseline']}, mean over seeds with {level:g} % bootstrap interval."
    notes = (
        "p: paired permutation test of signs; Holm: corrected within the family of outcomes; d: mean over standard "
        f"deviation of the differences{', without its bias' if corrected else ''}; "
        f"{'P(larger): share of seeds on which the outcome is larger, ties as half; ' if larger else ''}"
        "variance ratio: variance of independent arms over that of pairs; seeds needed to find this difference with a "
        f"power of {power:g} %.",
    )
    return Table(name, caption, columns, tuple(rows), notes)


def incidence(result: Mapping[str, Any], *, prefix: str = "incidence") -> list[Table]:
    """Who pays: one table per quantity, a row per population, a column per regime.

    Args:
        result: ``incidence`` {regime: {population: {quantity: estimate or number}}}, ``regimes``.
        prefix: of the tables' names.
    """
    by_regime, money = result.get("incidence") or {}, Money.of(result)
    regimes = [regime for regime in result["regimes"] if regime in by_regime]
    populations = list(dict.fromkeys(p for regime in regimes for p in by_regime[regime]))
    quantities = list(dict.fromkeys(q for r in regimes for by in by_regime[r].values() for q in by))
    made = []
    for quantity in quantities:
        title, kind = INCIDENCE.get(quantity, (quantity.replace("_", " ").capitalize(), "number"))
        found = {(p, r): _estimate(by_regime[r].get(p, {}).get(quantity)) for p in populations for r in regimes}
        scale = scale_of(kind, [estimate.get("mean") for estimate in found.values()], money)
        rows: list[tuple[Cell, ...]] = []
        for population in populations:
            row = [found[population, regime] for regime in regimes]
            places = max((places_of(estimate, scale) for estimate in row if estimate), default=0)
            rows.append((population, *(Estimate.of(estimate, scale, digits=places) for estimate in row)))
        unit = "" if title.lower().endswith(scale.unit) else scale.unit
        columns = (Column("population", "Population"), *(Column(r, r, scale.unit, align="right") for r in regimes))
        plain = tuple(Column(c.name, c.header, "" if i == 0 else unit, c.align) for i, c in enumerate(columns))
        seeds = "Mean over seeds with interval." if len(result.get("seeds") or ()) > 1 else ""
        caption = f"{title} by population. {seeds}".strip()
        made.append(Table(f"{prefix}-{_stem(quantity)}", caption, plain, tuple(rows)))
    return made


def _single(result: Mapping[str, Any]) -> list[Table]:
    """One run: its measures, who paid, and what the venue owes."""
    money = Money.of(result)
    rows: list[tuple[Cell, ...]] = []
    for name in order(result["measures"]):
        measure, value = describe(name), result["measures"][name]
        scale = scale_of(measure.kind, [value], money)
        rows.append((measure.label, Estimate.of({"mean": value}, scale), scale.unit))
    where = f"{result['scenario']} under {result['regime']}, seed {result['seed']}"
    columns = (Column("outcome", "Outcome"), Column("value", "Value"), Column("unit", "Unit"))
    made = [Table("outcomes", f"Outcomes of {where}.", columns, tuple(rows))]
    regime = result["regime"]
    view = {"incidence": {regime: result.get("incidence") or {}}, "regimes": [regime], "money": result.get("money")}
    made += incidence(view)
    if "owed" in result:
        view |= {"incidence": {regime: result["owed"]["populations"]}}
        made += incidence(view, prefix="owed")
    return made


def _caption(result: Mapping[str, Any]) -> str:
    n = len(result["seeds"])
    level = 100.0 * float((result.get("statistics") or {}).get("confidence", 0.95))
    over = "1 seed" if n == 1 else f"{n} paired seeds; mean and {level:g} % bootstrap interval"
    return f"Outcomes of {result['scenario']}, {result['reading']}, {over}."


def _estimate(value: Any) -> Mapping[str, Any]:
    if value is None or isinstance(value, Mapping):
        return value or {}
    return {"mean": float(value)}


def _p(value: float | None) -> Written:
    return Written(value, p_text(value))


def _stem(name: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in name.lower()).strip("-") or "quantity"
