"""Tables of an impact study: the curve, exponent and prefactor, the models compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.tables import Cell, Column, Estimate, Table, Written
from experiments.vocabulary import scale_of
from experiments.wording import p_text

_PERCENT = scale_of("fraction")
_WORDS = {"own": "as the scenario has it", "on": "with liquidations", "off": "without liquidations"}


def tables(result: Mapping[str, Any]) -> list[Table]:
    """Every table of the study.

    Args:
        result: what :func:`experiments.impact.study.measure` gives.
    """
    both = result.get("liquidations")
    parts = {"own": result} if both is None else {mode: both[mode] for mode in ("on", "off")}
    n = len(result["seeds"])
    where = f"{result['scenario']}, {result['reading']}, {n} {'seed' if n == 1 else 'paired seeds'}"
    made = []
    for mode, part in parts.items():
        stem, said = ("", "") if mode == "own" else (f"-{mode}", f", {_WORDS[mode]}")
        made += [_curve(part, f"curve{stem}", f"{where}{said}"), _models(part, f"models{stem}", f"{where}{said}")]
    return [made[0], _laws(parts, result, where), *(table for table in made[1:] if table.rows)]


def _curve(part: Mapping[str, Any], name: str, where: str) -> Table:
    columns = (
        Column("executed", "Size, % of daily volume"), Column("lots", "Lots", digits=1), Column("steps", "Steps"),
        Column("participation", "Participation", "%", digits=1),
        Column("impact", "Impact, daily volatilities", digits=3), Column("impact_bp", "Impact", "bp", digits=1),
        Column("buy", "Buys", digits=3), Column("sell", "Sells", digits=3), Column("filled", "Filled", "%", digits=1),
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for row in part["curve"]:
        doubt = "?" if row["significant"] is False else ""
        rows.append(
            (
                100.0 * row["executed"], float(row["lots"]), row["steps"], 100.0 * row["participation"],
                Estimate(row["impact"], row["low"], row["high"], mark=doubt), row["impact_bp"], row["buy"],
                row["sell"], 100.0 * row["filled_share"],
            )
        )  # fmt: skip
    doubted = any(row["significant"] is False for row in part["curve"])
    notes = ("? not told from zero",) if doubted else ()
    return Table(name, f"Impact at the end of metaorders: {where}.", columns, tuple(rows), notes)


def _laws(parts: Mapping[str, Mapping[str, Any]], result: Mapping[str, Any], where: str) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for mode, part in parts.items():
        said = "" if mode == "own" else f", {_WORDS[mode]}"
        named = (
            ("exponent, levels", part["exponent"], 3), ("exponent, logarithms", part["log_log"]["exponent"], 3),
            ("prefactor", part["prefactor"], 2),
        )  # fmt: skip
        rows += [(f"{name}{said}", _value(e, digits), e.get("se")) for name, e, digits in named]
        kept = part["path"]["kept"]
        if kept["at"] > 1.0:
            rows.append((f"left {kept['at'] - 1:g} durations after the end{said}", _value(kept, 2), kept.get("se")))
    both = result.get("liquidations")
    if both is not None:
        ratio, change = both["effect"]["prefactor_ratio"], both["effect"]["exponent_change"]
        rows.append(("prefactor with over without liquidations", _value(ratio, 2), ratio.get("se")))
        rows.append(("change of the exponent", _value(change, 3, signed=True), change.get("se")))
    columns = (Column("quantity", "Quantity"), Column("value", "Value"), Column("se", "Standard error"))
    return Table("law", f"Law of impact, intervals by bootstrap over seeds: {where}.", columns, tuple(rows))


def _value(estimate: Mapping[str, Any], digits: int, *, signed: bool = False) -> Estimate:
    return Estimate.of(estimate, digits=digits, signed=signed, key="value")


def _models(part: Mapping[str, Any], name: str, where: str) -> Table:
    columns = (
        Column("model", "Model"), Column("formula", "Formula"), Column("aic_difference", "AIC - best", digits=1),
        Column("aic_weight", "Weight", digits=3), Column("bic_difference", "BIC - best", digits=1),
        Column("bic_weight", "Weight", digits=3), Column("shape_name", "Shape"), Column("shape", "Value"),
        Column("p_fit", "p of the fit"),
    )  # fmt: skip
    rows = tuple(
        (
            row["model"], row["formula"], row["aic_difference"], row["aic_weight"], row["bic_difference"],
            row["bic_weight"], row["shape_name"] if row["shape"] is not None else "",
            row["shape"] if row["shape"] is not None else "", Written(row["p_fit"], p_text(row["p_fit"])),
        )
        for row in part["models"]["table"]
    )  # fmt: skip
    return Table(name, f"Models of the curve: {where}.", columns, rows)
