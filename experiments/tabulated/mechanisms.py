"""Tables of a mechanism study: amplifications and interaction by cell, gains, law of impact per arm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.impact.mechanisms_report import ARMS, WORDS
from experiments.impact.mechanisms_summary import ORDER, READINGS
from experiments.tables import Cell, Column, Estimate, Table, Written
from experiments.wording import p_text


def tables(result: Mapping[str, Any]) -> list[Table]:
    """Every table of the study.

    Args:
        result: what :func:`experiments.impact.mechanisms.measure` gives.
    """
    n = len(result["seeds"])
    where = f"{result['scenario']}, {result['reading']}, {n} {'seed' if n == 1 else 'paired seeds'}"
    return [*(_effects(result, key, where) for key in READINGS), _gains(result, where), _laws(result, where)]


def _effects(result: Mapping[str, Any], key: str, where: str) -> Table:
    columns = (
        Column("regime", "Regime"), Column("cell", "Cell"), Column("size", "Size, % of daily volume"),
        Column("none", "Without either, daily volatilities", digits=3), Column("dealers", "Dealers"),
        Column("liquidations", "Liquidations"), Column("both", "Both"),
        Column("interaction", "Interaction, daily volatilities", digits=3), Column("p", "p, Holm"),
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for group in result["groups"]:
        for effect in group["effects"]:
            one = effect[key]
            p = one["interaction"]["p_holm"]
            rows.append(
                (
                    group["regime"], group["cell"], 100.0 * effect["size"],
                    Estimate.of(one["none"], digits=3, key="mean"),
                    *(Estimate.of(one["amplification"][arm], digits=2, key="ratio") for arm in ARMS),
                    Estimate.of(one["interaction"], digits=3, signed=True, key="mean"), Written(p, p_text(p)),
                )
            )  # fmt: skip
    title = f"Impact {WORDS[key]}, arms over the one without either mechanism: {where}."
    return Table(f"mechanisms-{key.replace('_', '-')}", title, columns, tuple(rows))


def _gains(result: Mapping[str, Any], where: str) -> Table:
    columns = (
        Column("regime", "Regime"), Column("cell", "Cell"), Column("gamma", "Gain of hedging"),
        Column("liquidations", "Gain of liquidations"), Column("all", "All"), Column("r0", "R0"),
        Column("runaway", "Seeds with a gain of 1 somewhere", "%", digits=0),
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for group in result["groups"]:
        gain = group["gain"]
        shown = [Estimate.of(gain[key], digits=2, key="mean") for key in ("gamma", "liquidations", "all")]
        r0 = Estimate.of(gain["r0"], digits=2, key="mean") if "r0" in gain else ""
        rows.append((group["regime"], group["cell"], *shown, r0, 100.0 * gain["runaway"]))
    return Table("mechanisms-gain", f"Gain of the map of prices at the start: {where}.", columns, tuple(rows))


def _laws(result: Mapping[str, Any], where: str) -> Table:
    columns = (
        Column("regime", "Regime"), Column("cell", "Cell"), Column("arm", "Arm"), Column("exponent", "Exponent"),
        Column("prefactor", "Prefactor"), Column("ratio", "Prefactor, times that of neither"),
        Column("change", "Exponent, change"), Column("model", "Best model by AIC"),
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for group in result["groups"]:
        for arm in ORDER:
            part = group["arms"][arm]["laws"][READINGS[0]]
            models = part["models"]["table"]
            best = min(models, key=lambda row: row["aic_difference"])["model"] if models else ""
            exponent = Estimate.of(part["exponent"], digits=3, key="value")
            prefactor = Estimate.of(part["prefactor"], digits=2, key="value")
            against: tuple[Cell, Cell] = ("", "")
            if arm != ORDER[0]:
                against = (
                    Estimate.of(part["against_none"]["prefactor_ratio"], digits=2, key="value"),
                    Estimate.of(part["against_none"]["exponent_change"], digits=3, key="value"),
                )
            rows.append((group["regime"], group["cell"], arm, exponent, prefactor, *against, best))
    title = f"Law of impact of each arm, {WORDS[READINGS[0]]}: {where}."
    return Table("mechanisms-law", title, columns, tuple(rows))
