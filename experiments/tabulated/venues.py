"""Tables of a comparison of venues: outcomes and differences of designs, effects of mark and policy, who pays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.tables import Cell, Column, Estimate, Table, Written
from experiments.tabulated.comparison import differences, incidence
from experiments.vocabulary import Money, describe, order, places_of, scale_of
from experiments.wording import difference_scale, p_text, verdict_of


def tables(result: Mapping[str, Any]) -> list[Table]:
    """Every table of the study; designs are rows, for there may be dozens.

    Args:
        result: what :func:`experiments.studies.arm_effects.summary` gives.
    """
    made = [outcomes(result)]
    if len(result["regimes"]) > 1:
        made.append(differences(result))
    if any(result["effects"].values()):
        made.append(effects(result))
    by_design = {label: found for label, found in result["incidence"].items() if label in result["regimes"]}
    return [*made, *incidence({**result, "incidence": by_design})]


def outcomes(result: Mapping[str, Any]) -> Table:
    """A row per design, a column per measure, marked where it differs from the scenario's own."""
    names, money = order(result["measures"]), Money.of(result)
    scales = {
        name: scale_of(describe(name).kind, [e.get("mean") for e in result["measures"][name].values()], money)
        for name in names
    }
    rows: list[tuple[Cell, ...]] = []
    marked = False
    for label in result["regimes"]:
        cells: list[Cell] = [f"{label} (own)" if label == result["baseline"] else label]
        for name in names:
            difference = result["differences"].get(label, {}).get(name)
            differs = difference is not None and verdict_of(difference) == "different"
            marked |= differs
            places = max((places_of(e, scales[name]) for e in result["measures"][name].values()), default=0)
            estimate = result["measures"][name].get(label) or {}
            cells.append(Estimate.of(estimate, scales[name], digits=min(places, 3), mark="*" if differs else ""))
        rows.append(tuple(cells))
    units = {name: "" if scales[name].unit in describe(name).label.split() else scales[name].unit for name in names}
    columns = (
        Column("design", "Design", align="left"),
        *(Column(n, describe(n).label, units[n], align="right") for n in names),
    )
    n = len(result["seeds"])
    caption = (
        f"{result['scenario']}, {result['reading']}, {n} {'seed' if n == 1 else 'paired seeds'}; mean and interval."
    )
    notes = ("* differs from the scenario's own venue, corrected for the number of designs",) if marked else ()
    return Table("outcomes", caption, columns, tuple(rows), notes)


def effects(result: Mapping[str, Any]) -> Table:
    """Paired differences of each mark rule and each policy, each averaged over the other."""
    rows: list[tuple[Cell, ...]] = []
    for factor in ("mark", "policy"):
        found = result["effects"].get(factor) or {}
        for level, by in found.get("differences", {}).items():
            for name in order(by):
                difference = by[name]
                scale = difference_scale(name, difference, result)
                student = difference.get("t") or {}
                p = difference.get("p_holm")
                rows.append(
                    (
                        f"{factor} {level} - {found['baseline']}", describe(name).label, scale.difference_unit,
                        Estimate.of(difference, scale, signed=True),
                        Estimate.of(student, scale, signed=True, digits=places_of(difference, scale)),
                        Written(p, p_text(p)),
                    )
                )  # fmt: skip
    columns = (
        Column("effect", "Effect"), Column("measure", "Outcome"), Column("unit", "Unit"),
        Column("difference", "Mean, bootstrap interval"), Column("student", "Mean, t interval"),
        Column("p_holm", "p, Holm"),
    )  # fmt: skip
    return Table("effects", "Effects of mark rule and policy, each averaged over the other.", columns, tuple(rows))
