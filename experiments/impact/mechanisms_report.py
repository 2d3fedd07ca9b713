"""A mechanism study as lines of text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.impact.mechanisms_summary import READINGS
from experiments.terminal import columns

WORDS = {
    "mean_impact": "mean while worked",
    "impact": "at the metaorder's end",
    "after": "mean after its end",
}
ARMS = ("dealers", "liquidations", "both")


def lines(result: Mapping[str, Any]) -> list[str]:
    """Gains, amplifications and interactions.

    Args:
        result: what :func:`experiments.impact.mechanisms.measure` gives.
    """
    units, seeds = result["units"], len(result["seeds"])
    counted = "1 seed" if seeds == 1 else f"{seeds} paired seeds"
    side = "buys and sells" if result["sides"] == "both" else f"{result['sides']}s"
    found = [
        f"{result['scenario']}, {result['reading']}, {counted}, {side}, from step {result['start']}",
        f"daily volume {units['daily_volume']:,.0f} lots, daily volatility {100 * units['daily_volatility']:.2f} % "
        "(before the metaorder)",
        f"placebo, a twin against itself run again: {result['placebo']:g}",
        "",
        "gain of the map at the start, within 5 %",
    ]
    rows = [["regime", "cell", "gamma", "liquidations", "all", "somewhere 1 or more, % of seeds"]]
    for group in result["groups"]:
        gain = group["gain"]
        rows.append(
            [
                group["regime"], group["cell"],
                *(_number(gain[key]["mean"]) for key in ("gamma", "liquidations", "all")),
                f"{100 * gain['runaway']:.0f}",
            ]
        )  # fmt: skip
    found += columns(rows)
    for key in READINGS:
        found += ["", f"impact {WORDS[key]}: times that without either; interaction in daily volatilities"]
        rows = [["regime", "cell", "size, %", "without either", *ARMS, "interaction", "p, Holm"]]
        for group in result["groups"]:
            for effect in group["effects"]:
                one = effect[key]
                rows.append(
                    [
                        group["regime"], group["cell"], f"{100 * effect['size']:g}", _number(one["none"]["mean"]),
                        *(_range(one["amplification"][arm], "ratio") for arm in ARMS),
                        _range(one["interaction"], "mean", 3), _number(one["interaction"]["p_holm"], 3),
                    ]
                )  # fmt: skip
        found += columns(rows)
    return [*found, *_laws(result), "", f"Results hash: {result['results_hash']}"]


def _laws(result: Mapping[str, Any]) -> list[str]:
    """Exponents of the curves and their prefactors over that of neither mechanism; nothing where there is one size."""
    if len(result["groups"][0]["effects"]) < 2:
        return []
    key = READINGS[0]
    found = [
        "",
        f"curve, {WORDS[key]}: exponent; prefactor and exponent against the curve of neither; best model (AIC)",
    ]
    rows = [["regime", "cell", "arm", "exponent", "prefactor, times", "exponent, change", "model"]]
    for group in result["groups"]:
        for arm in ("none", *ARMS):
            law = group["arms"][arm]["laws"][key]
            models = law["models"]["table"]
            against = law["against_none"]
            rows.append(
                [
                    group["regime"], group["cell"], "neither" if arm == "none" else arm,
                    _range(law["exponent"], "value"),
                    "" if arm == "none" else _range(against["prefactor_ratio"], "value"),
                    "" if arm == "none" else _range(against["exponent_change"], "value"),
                    models[0]["model"] if models else "-",
                ]
            )  # fmt: skip
    return found + columns(rows)


def _number(value: float | None, places: int = 2) -> str:
    return "-" if value is None else f"{value:.{places}f}"


def _range(estimate: Mapping[str, Any], key: str, places: int = 2) -> str:
    text = _number(estimate[key], places)
    if estimate["low"] is None or estimate["high"] is None:
        return text
    return f"{text} [{estimate['low']:.{places}f}, {estimate['high']:.{places}f}]"
