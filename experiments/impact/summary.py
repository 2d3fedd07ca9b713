"""From the runs of an impact study to its results: units, curve, exponent, models, path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.impact import fits

Runs = Sequence[Mapping[str, Any]]
Floats = NDArray[np.float64]


def summarise(runs: Runs, times: Floats, resamples: int) -> dict[str, Any]:
    """Results of all runs.

    Args:
        runs: one record per seed, size, side and liquidation switch.
        times: of the path, in durations of the metaorder.
        resamples: of bootstraps over seeds.

    Returns:
        ``units``; ``curve``, ``exponent``, ``prefactor``, ``log_log``, ``models``, ``path``, ``variance_reduction`` and
        ``mean_over_end`` of the first liquidation switch; with two of them ``liquidations``: the same for each, and
        what liquidations change.
    """
    modes = list(dict.fromkeys(run["liquidations"] for run in runs))
    units = _units(runs)
    by_mode = {mode: [run for run in runs if run["liquidations"] == mode] for mode in modes}
    # one volatility for all, of the market without liquidations where there is one: it must not grow with the effect
    sigma = _units(by_mode[modes[-1]])["daily_volatility"]
    units["daily_volatility"] = sigma
    results = {mode: _of_one(by_mode[mode], sigma, times, resamples) for mode in modes}
    found: dict[str, Any] = {"units": units, **results[modes[0]]}
    facts = {key: _mean_over_seeds(runs, key) for key in ("r0", "open_interest", "leveraged") if key in runs[0]}
    if facts:
        found["at_start"] = facts
    if len(modes) > 1:
        sizes, _ = matrix(by_mode["off"], sigma)
        curves = {mode: matrix(by_mode[mode], sigma)[1] for mode in modes}
        found["liquidations"] = {
            **results,
            "effect": fits.compare_curves(sizes, curves["on"], curves["off"], resamples),
        }
    return found


def _of_one(runs: Runs, sigma: float, times: Floats, resamples: int) -> dict[str, Any]:
    sizes, impacts = matrix(runs, sigma)
    levels = fits.power_law(sizes, impacts, resamples)
    logs = fits.log_log(sizes, impacts, resamples)
    exponent = levels["exponent"] | {"method": levels["method"], "at_bound": levels["at_bound"]}
    return {
        "curve": curve(runs, sigma, resamples),
        "exponent": exponent | {"n": len(impacts)},
        "prefactor": levels["prefactor"] | {"n": len(impacts)},
        "log_log": logs,
        "models": fits.compare_models(sizes, impacts),
        "path": path(runs, sigma, times),
        "variance_reduction": variance_reduction(runs),
        "mean_over_end": mean_over_end(runs, resamples),
    }


def _units(runs: Runs) -> dict[str, Any]:
    """Daily volume and volatility over the seeds' twins: means of what each seed measured."""
    volume = _by_seed(runs, "daily_volume")
    return {
        "daily_volume": float(np.mean(volume)),
        "daily_volume_sd": float(np.std(volume, ddof=1)) if len(volume) > 1 else None,
        "daily_volatility": float(np.sqrt(np.mean(_by_seed(runs, "daily_variance")))),
        "volatility_lag_steps": int(runs[0]["volatility_lag"]),
    }


def _by_seed(runs: Runs, key: str) -> Floats:
    """One value per seed of what all runs of a seed share."""
    values = {run["seed"]: run[key] for run in runs}
    return np.array([np.nan if value is None else value for value in values.values()], np.float64)


def _mean_over_seeds(runs: Runs, key: str) -> dict[str, Any]:
    from experiments.statistics import mean_interval

    values = _by_seed(runs, key)
    return mean_interval(values) | {"median": float(np.nanmedian(values))}


def matrix(runs: Runs, sigma: float, key: str = "impact") -> tuple[Floats, Floats]:
    """Sizes as executed [k] and impacts [seeds, k] (or another reading) in daily volatilities, mean over sides.

    The size of a bin is what was filled over daily volume, mean over its runs: whole lots make small sizes uneven.
    """
    asked = sorted({run["size"] for run in runs})
    seeds = list(dict.fromkeys(run["seed"] for run in runs))
    sizes = np.array([np.mean([executed(run) for run in runs if run["size"] == size]) for size in asked])
    cells: dict[tuple[int, float], list[float]] = {}
    for run in runs:
        cells.setdefault((run["seed"], run["size"]), []).append(run[key] / sigma)
    return sizes, np.array([[np.mean(cells[seed, size]) for size in asked] for seed in seeds])


def executed(run: Mapping[str, Any]) -> float:
    """Filled lots over daily volume."""
    return float(run["filled"] / run["daily_volume"])


def curve(runs: Runs, sigma: float, resamples: int) -> list[dict[str, Any]]:
    """A row per size: executed size, steps, participation, impact with interval, both sides, share filled."""
    from experiments.statistics import mean_interval

    sizes, impacts = matrix(runs, sigma)
    rows = []
    for k, size in enumerate(sorted({run["size"] for run in runs})):
        own = [run for run in runs if run["size"] == size]
        found = mean_interval(impacts[:, k], resamples=resamples)
        low, high = found["low"], found["high"]
        spread = float(np.std(impacts[:, k], ddof=1) / np.sqrt(len(impacts))) if len(impacts) > 1 else None
        rows.append(
            {
                "size": size,
                "executed": float(sizes[k]),
                "lots": float(np.mean([run["lots"] for run in own])),
                "filled_share": float(np.sum([run["filled"] for run in own]) / np.sum([run["lots"] for run in own])),
                "steps": own[0]["steps"],
                "participation": float(np.mean([_pace(run) for run in own])),
                "impact": found["mean"],
                "low": low,
                "high": high,
                "se": spread,
                "seeds": found["n"],
                "impact_bp": 1e4 * sigma * float(np.mean(impacts[:, k])),
                "buy": _side(own, 1, sigma),
                "sell": _side(own, -1, sigma),
                "significant": None if low is None or high is None else bool(low > 0.0 or high < 0.0),
                "variance_reduction": variance_reduction(own)["value"],
            }
        )
    return rows


def _pace(run: Mapping[str, Any]) -> float:
    """Filled lots per step over the mean volume per step of the market without the metaorder."""
    day = run["steps_per_day"]
    return float(run["filled"] / run["steps"] / (run["daily_volume"] / day))


def _side(runs: Runs, side: int, sigma: float) -> float | None:
    values = [run["impact"] / sigma for run in runs if run["side"] == side]
    return float(np.mean(values)) if values else None


def path(runs: Runs, sigma: float, times: Floats) -> dict[str, Any]:
    """Mean path of the impact, and what is left of it: in daily volatilities by size, and over the impact at the end.

    Returns:
        ``time`` (in durations: the metaorder ends at 1), ``sizes``: per size the mean path and its standard error over
        seeds; ``pooled``: the sum of all sizes' mean paths over the sum of their impacts at the end, with a jackknife
        standard error over seeds; ``kept``: the pooled path at its last time, with interval.
    """
    seeds = list(dict.fromkeys(run["seed"] for run in runs))
    asked = sorted({run["size"] for run in runs})
    place = {seed: i for i, seed in enumerate(seeds)}
    paths = np.zeros((len(seeds), len(asked), len(times)))
    counts = np.zeros((len(seeds), len(asked), 1))
    for run in runs:
        at = place[run["seed"]], asked.index(run["size"])
        paths[at] += np.array(run["path"]) / sigma
        counts[at] += 1.0
    paths /= counts
    mean = paths.mean(axis=0)
    error = paths.std(axis=0, ddof=1) / np.sqrt(len(seeds)) if len(seeds) > 1 else np.full_like(mean, np.nan)
    end = int(np.argmin(np.abs(times - 1.0)))
    total = paths.sum(axis=1)
    level = float(total[:, end].mean())
    ratio = total.mean(axis=0) / level if level else np.full(len(times), np.nan)
    spread = _jackknife(total, end)
    return {
        "time": times,
        "sizes": [
            {"size": size, "impact": mean[k], "se": error[k]} for k, size in enumerate(asked)
        ],
        "pooled": {"ratio": ratio, "se": spread},
        "kept": {
            "at": float(times[-1]),
            "value": float(ratio[-1]),
            "se": float(spread[-1]),
            "low": float(ratio[-1] - 1.96 * spread[-1]),
            "high": float(ratio[-1] + 1.96 * spread[-1]),
        },
    }  # fmt: skip


def _jackknife(total: Floats, end: int) -> Floats:
    """Jackknife standard error over seeds of the mean path over its own value at the end."""
    n = len(total)
    if n < 3:
        return np.full(total.shape[1], np.nan)
    others = (total.sum(axis=0) - total) / (n - 1)
    with np.errstate(all="ignore"):
        ratios = others / others[:, end : end + 1]
    return np.asarray(np.sqrt((n - 1) / n * np.sum((ratios - ratios.mean(axis=0)) ** 2, axis=0)))


def variance_reduction(runs: Runs) -> dict[str, Any]:
    """What pairing takes out: (variance of the arm's move + of the twin's) over that of their difference.

    Variances over seeds within size and side, then added up over them.
    """
    groups: dict[tuple[float, int], list[Mapping[str, Any]]] = {}
    for run in runs:
        groups.setdefault((run["size"], run["side"]), []).append(run)
    apart = together = 0.0
    for own in groups.values():
        if len(own) > 1:
            arm, twin = (np.array([run[key] for run in own]) for key in ("arm_move", "twin_move"))
            apart += float(np.var(arm, ddof=1) + np.var(twin, ddof=1))
            together += float(np.var(arm - twin, ddof=1))
    return {"value": apart / together if together > 0.0 else None, "n": len({run["seed"] for run in runs})}


def mean_over_end(runs: Runs, resamples: int) -> dict[str, Any]:
    """Mean impact while the metaorder is worked over impact at its end: 2/3 for a square root at an even pace."""
    from experiments.statistics import ratio_of_means

    seeds = list(dict.fromkeys(run["seed"] for run in runs))
    sums = {seed: [0.0, 0.0] for seed in seeds}
    for run in runs:
        sums[run["seed"]][0] += run["mean_impact"]
        sums[run["seed"]][1] += run["impact"]
    table = np.array(list(sums.values()))
    return dict(ratio_of_means(table[:, 0], table[:, 1]))
