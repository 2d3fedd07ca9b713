"""Results as lines of text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.tabulated.comparison import SIGNS, outcomes
from experiments.vocabulary import Money, describe, number, order, scale_of, show, with_unit
from experiments.wording import VERDICTS, cautions, findings, headline_measures

_EVENT = ("r0_event", "open_interest_event")


def comparison_lines(result: Mapping[str, Any]) -> list[str]:
    """A comparison: reading, table of means with intervals and verdicts, findings in words.

    Args:
        result: what :func:`experiments.studies.compare.summary` gives.
    """
    names = headline_measures(result) + [name for name in _EVENT if name in result["measures"]]
    shown = outcomes(result, names, row_head="").lines()
    lines = [f"{result['scenario']}, {result['reading']}, {_seeds(result['seeds'])}", "", *shown, ""]
    if len(result["regimes"]) > 1:
        lines.append("  ".join(f"{sign} {VERDICTS[verdict]}" for verdict, sign in SIGNS.items()))
        lines += ["", *findings(result), *_equal_cost_lines(result)]
    else:
        lines += cautions(result)
    return [*lines, f"Results hash: {result['results_hash']}"]


def _equal_cost_lines(result: Mapping[str, Any]) -> list[str]:
    """Factors that make costs equal on the pilot seeds, and the difference left on the study's own."""
    found = result.get("equal_cost")
    if found is None:
        return []
    achieved, settings = found["achieved"], found["settings"]
    scale = scale_of(describe(achieved["outcome"]).kind, [found["target"]], Money.of(result))
    rows = [["", "factor", "its interval", f"difference of {describe(achieved['outcome']).label}"]]
    for label, entry in found["regimes"].items():
        ends = "" if entry["low"] is None else f"[{entry['low']:.4g}, {entry['high']:.4g}]"
        left = achieved["differences"].get(label)
        rows.append(
            [label, f"{entry['factor']:.7g}", ends, "" if left is None else show(left, scale, difference=True).text]
        )
    seeds = f"{len(settings['seeds'])} pilot seeds from {min(settings['seeds'])} on"
    return ["", f"At equal {settings['measure'].replace('_', ' ')} on {seeds}:", *columns(rows), ""]


def run_lines(result: Mapping[str, Any]) -> list[str]:
    """One run: its measures, who paid, its hash.

    Args:
        result: what :func:`experiments.studies.compare.single` gives.
    """
    money = Money.of(result)
    rows = []
    for name in order(result["measures"]):
        measure = describe(name)
        scale = scale_of(measure.kind, [result["measures"][name]], money)
        estimate = {"mean": result["measures"][name], "low": None, "high": None, "n": 1}
        rows.append([measure.label, with_unit(show(estimate, scale).value, scale.unit)])
    pnl = {name: by["pnl"] for name, by in result["incidence"].items()}
    scale = scale_of("money", pnl.values(), money)
    paid = [["population", "profit", "liquidated lots", "bankrupt"]]
    for name, by in result["incidence"].items():
        profit = show({"mean": by["pnl"], "low": None, "high": None}, scale, difference=True)
        paid.append([name, with_unit(profit.value, scale.unit), number(by["liquidated"], 0), number(by["bankrupt"], 0)])
    title = f"{result['scenario']} under {result['regime']}, seed {result['seed']}"
    lines = [title, "", *columns(rows), "", *columns(paid), ""]
    if "owed" in result:
        lines += [*_owed_lines(result["owed"]["populations"], money), ""]
    return [*lines, f"Results hash: {result['results_hash']}"]


def _owed_lines(populations: Mapping[str, Mapping[str, int]], money: Money) -> list[str]:
    """Claims on the venue by population, and what of them it cannot pay."""
    scale = scale_of("money", [by["claim"] for by in populations.values()], money)
    rows = [["Losses exceeded everything: who is owed", "claim", "paid", "owed"]]
    for name, by in populations.items():
        cells = (show({"mean": by[key], "low": None, "high": None}, scale).value for key in ("claim", "paid", "owed"))
        rows.append([name, *(with_unit(cell, scale.unit) for cell in cells)])
    return columns(rows)


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as aligned lines."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _interval(estimate: Mapping[str, Any], scale: Any) -> str:
    shown = show(estimate, scale, places=2)
    return f"{shown.value} {shown.interval}".strip()


def _seeds(seeds: Sequence[int]) -> str:
    return "1 seed" if len(seeds) == 1 else f"{len(seeds)} paired seeds"
