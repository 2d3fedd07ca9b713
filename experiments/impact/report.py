"""An impact study as lines of text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.terminal import columns

_WORDS = {"on": "with liquidations", "off": "without liquidations"}


def lines(result: Mapping[str, Any]) -> list[str]:
    """Curve, exponent, models, path.

    Args:
        result: what :func:`experiments.impact.study.measure` gives.
    """
    units, seeds = result["units"], len(result["seeds"])
    counted = "1 seed" if seeds == 1 else f"{seeds} paired seeds"
    side = "buys and sells" if result["sides"] == "both" else f"{result['sides']}s"
    found = [
        f"{result['scenario']}, {result['reading']}, {counted}, {side}, from step {result['start']}",
        f"daily volume {units['daily_volume']:,.0f} lots, daily volatility {100 * units['daily_volatility']:.2f} % "
        "(of the twins without metaorder)",
    ]
    if "at_start" in result:
        r0 = result["at_start"]["r0"]
        found.append(f"R0 at the start: median {_places(r0['median'], 2)}")
    both = result.get("liquidations")
    if both is None:
        return [*found, *_block(result), "", f"Results hash: {result['results_hash']}"]
    for mode in ("on", "off"):
        found += ["", _WORDS[mode].upper(), *_block(both[mode])]
    effect = both["effect"]
    change = "significant" if effect["exponent_significant"] else "not significant"
    found += [
        "",
        f"prefactor with over without liquidations: {_interval(effect['prefactor_ratio'])} "
        f"(at the exponent without, {_places(effect['common_exponent'], 3)})",
        f"change of the exponent: {_interval(effect['exponent_change'], 3)}, {change}",
    ]
    return [*found, "", f"Results hash: {result['results_hash']}"]


def _block(result: Mapping[str, Any]) -> list[str]:
    rows = [["size, % of daily volume", "lots", "steps", "participation, %", "impact, daily volatilities", "bp",
             "buy", "sell", "filled, %"]]  # fmt: skip
    for row in result["curve"]:
        interval = f" [{row['low']:.3f}, {row['high']:.3f}]" if row["low"] is not None else ""
        doubt = "" if row["significant"] is not False else " (not told from zero)"
        rows.append(
            [
                f"{100 * row['executed']:.3g}", f"{row['lots']:.1f}", f"{row['steps']}",
                f"{100 * row['participation']:.1f}", f"{row['impact']:.3f}{interval}{doubt}", f"{row['impact_bp']:.1f}",
                _places(row["buy"], 3), _places(row["sell"], 3), f"{100 * row['filled_share']:.1f}",
            ]
        )  # fmt: skip
    logs = result["log_log"]
    left = f"; no logarithm at sizes {_list(logs['left_out'])}" if logs["left_out"] else ""
    bound = " (at the end of what is searched)" if result["exponent"]["at_bound"] else ""
    found = [
        "",
        *columns(rows),
        "",
        f"exponent   {_interval(result['exponent'], 3)}{bound}; of logarithms {_interval(logs['exponent'], 3)}{left}",
        f"prefactor  {_interval(result['prefactor'])}",
    ]
    found += _models(result["models"])
    kept, mean = result["path"]["kept"], result["mean_over_end"]
    if kept["at"] > 1.0:
        found += [f"impact left {kept['at'] - 1:g} durations after the end: {_interval(kept)} of that at the end"]
    if mean["ratio"] is not None:
        found += [f"mean impact while worked over impact at the end: {mean['ratio']:.3f} (2/3 for a square root)"]
    if result["variance_reduction"]["value"] is not None:
        found += [f"variance taken out by pairing: factor {result['variance_reduction']['value']:.1f}"]
    return found


def _models(models: Mapping[str, Any]) -> list[str]:
    if not models["table"]:
        return ["models are not compared: fewer than three seeds or two sizes"]
    rows = [["model", "AIC - best", "weight", "BIC - best", "weight", "shape", "fits (p)"]]
    for row in models["table"]:
        shape = "" if row["shape"] is None else f"{row['shape_name']} {row['shape']:.3g}"
        rows.append(
            [
                row["model"], f"{row['aic_difference']:.1f}", f"{row['aic_weight']:.3f}",
                f"{row['bic_difference']:.1f}", f"{row['bic_weight']:.3f}",
                shape + (" (at bound)" if row["at_bound"] else ""), _places(row["p_fit"], 3),
            ]
        )  # fmt: skip
    return ["", *columns(rows), f"({models['covariance']} covariance of the seeds' means)", ""]


def _interval(estimate: Mapping[str, Any], places: int = 2) -> str:
    if estimate["value"] is None:
        return "undefined"
    text = f"{estimate['value']:.{places}f}"
    if estimate["low"] is not None:
        text += f" [{estimate['low']:.{places}f}, {estimate['high']:.{places}f}]"
    return text + (f" (s.e. {estimate['se']:.{places}f})" if estimate["se"] is not None else "")


def _places(value: float | None, places: int) -> str:
    return "-" if value is None else f"{value:.{places}f}"


def _list(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
