"""From the runs of a mechanism study to its results: amplifications, extras, the interaction, curves, gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.impact import fits
from experiments.impact import summary as one

Runs = Sequence[Mapping[str, Any]]
Floats = NDArray[np.float64]

ORDER = ("none", "dealers", "liquidations", "both")
READINGS = ("mean_impact", "impact", "after")
"""Mean while the metaorder is worked, at its end, and mean from its end to the end of what is watched after it."""
GAINS = ("gamma", "liquidations", "stops", "all")


def summarise(runs: Runs, times: Floats, resamples: int) -> dict[str, Any]:
    """Results of all runs.

    Args:
        runs: one record per regime, cell, seed, arm, size and side.
        times: of the path, in durations of the metaorder.
        resamples: of bootstraps over seeds.

    Returns:
        ``units``; ``groups``: one per regime and cell with ``effects`` (a row per size, see :func:`effects`),
        ``arms`` (curves, laws and path of each), ``gain``, ``placebo``; ``interaction``: the
        family of all interactions with Holm's correction; ``placebo``: the largest difference between a twin and
        itself run again, which must be zero.
    """
    keys = list(dict.fromkeys((run["regime"], run["cell"]) for run in runs))
    sigma = float(np.sqrt(np.mean([run["daily_variance"] for run in runs])))
    units = {
        "daily_volume": float(np.mean([run["daily_volume"] for run in runs])),
        "daily_volatility": sigma,
    }
    groups = []
    for regime, cell in keys:
        own = [run for run in runs if (run["regime"], run["cell"]) == (regime, cell)]
        groups.append(_group(own, sigma, times, resamples) | {"regime": regime, "cell": cell})
    _correct(groups)
    return {
        "units": units,
        "groups": groups,
        "placebo": float(max(run["placebo"] for run in runs)),
    }


def _group(runs: Runs, sigma: float, times: Floats, resamples: int) -> dict[str, Any]:
    arms = {}
    for name in ORDER:
        own = [run for run in runs if run["mechanism"] == name]
        arms[name] = {
            "curve": {key: one_curve(own, sigma, resamples, key) for key in READINGS},
            "laws": {key: _law(own, runs, sigma, resamples, key) for key in READINGS},
            "path": one.path(own, sigma, times),
        }
    first = runs[0]
    return {
        "gamma": first["gamma"],
        "r0_target": first["r0_target"],
        "seeds": len({run["seed"] for run in runs}),
        "effects": [effects(runs, size, sigma, resamples) for size in sorted({run["size"] for run in runs})],
        "arms": arms,
        "gain": gains(runs, resamples),
        "placebo": float(max(run["placebo"] for run in runs)),
    }


def _law(own: Runs, runs: Runs, sigma: float, resamples: int, key: str) -> dict[str, Any]:
    """An arm's impact curve: exponent and prefactor, models, and both against the arm without either mechanism."""
    sizes, impacts = one.matrix(own, sigma, key)
    _, base = one.matrix([run for run in runs if run["mechanism"] == "none"], sigma, key)
    levels = fits.power_law(sizes, impacts, resamples)
    return {
        "exponent": levels["exponent"],
        "prefactor": levels["prefactor"],
        "models": fits.compare_models(sizes, impacts),
        "against_none": fits.compare_curves(sizes, impacts, base, resamples),
    }


def one_curve(runs: Runs, sigma: float, resamples: int, key: str = "impact") -> list[dict[str, Any]]:
    """A row per size: executed size, impact (or another reading) with interval, share filled, lots liquidated."""
    from experiments.statistics import mean_interval

    sizes, impacts = one.matrix(runs, sigma, key)
    rows = []
    for k, size in enumerate(sorted({run["size"] for run in runs})):
        own = [run for run in runs if run["size"] == size]
        found = mean_interval(impacts[:, k], resamples=resamples)
        rows.append(
            {
                "size": size,
                "executed": float(sizes[k]),
                "steps": own[0]["steps"],
                "lots": float(np.mean([run["lots"] for run in own])),
                "filled_share": float(np.sum([run["filled"] for run in own]) / np.sum([run["lots"] for run in own])),
                "impact": found["mean"],
                "low": found["low"],
                "high": found["high"],
                "impact_bp": 1e4 * sigma * float(np.mean(impacts[:, k])),
                "liquidated": float(np.mean([run["liquidated"] for run in own])),
            }
        )
    return rows


def by_seed(runs: Runs, mechanism: str, size: float, key: str, sigma: float) -> Floats:
    """One value per seed of an arm and size, mean over sides, in daily volatilities, float64[seeds]."""
    cells: dict[int, list[float]] = {}
    for run in runs:
        if run["mechanism"] == mechanism and run["size"] == size:
            cells.setdefault(run["seed"], []).append(run[key] / sigma)
    return np.array([np.mean(cells[seed]) for seed in sorted(cells)])


def effects(runs: Runs, size: float, sigma: float, resamples: int) -> dict[str, Any]:
    """What each mechanism does to one size, at the metaorder's end (``impact``) and where watching ends (``last``).

    Returns:
        ``size``, and per reading: ``none`` (mean impact without either), per arm ``amplification`` (ratio of means) and
        ``extra`` (difference of means, daily volatilities), and ``interaction`` with its interval, the p of a sign-flip
        test over seeds, d_z, and ``ratio``: extra of both over the sum of the extras of each alone.
    """
    from experiments.statistics import mean_interval, ratio_of_means, sign_flip_test, standardised

    found: dict[str, Any] = {"size": size}
    for key in READINGS:
        values = {name: by_seed(runs, name, size, key, sigma) for name in ORDER}
        none, both = values["none"], values["both"]
        alone = values["dealers"] + values["liquidations"] - 2.0 * none
        interaction = both - none - alone
        found[key] = {
            "none": mean_interval(none, resamples=resamples),
            "amplification": {
                name: ratio_of_means(values[name], none, resamples=resamples) for name in ORDER if name != "none"
            },
            "extra": {
                name: mean_interval(values[name] - none, resamples=resamples) for name in ORDER if name != "none"
            },
            "interaction": mean_interval(interaction, resamples=resamples)
            | {"p": sign_flip_test(interaction, resamples=resamples), "d_z": standardised(interaction)},
            "ratio": ratio_of_means(both - none, alone, resamples=resamples),
        }
    return found


def gains(runs: Runs, resamples: int) -> dict[str, Any]:
    """Gains of the map of prices at the start, mean over seeds, in the direction of the metaorder; and R0.

    Sells read the map of a fall, buys that of a rise; where there are both, their mean.
    """
    from experiments.statistics import mean_interval

    first = {run["seed"]: run for run in runs}
    ways = ["fall" if side < 0 else "rise" for side in sorted({run["side"] for run in runs})]
    found: dict[str, Any] = {}
    for name in GAINS:
        values = np.array([np.mean([_finite(run[f"gain_{name}_{way}"]) for way in ways]) for run in first.values()])
        found[name] = mean_interval(values, resamples=resamples)
    found["runaway"] = float(np.mean([np.mean([run[f"runaway_{way}"] for way in ways]) for run in first.values()]))
    if "r0" in runs[0]:
        found["r0"] = mean_interval([_finite(run["r0"]) for run in first.values()], resamples=resamples)
    return found


def _finite(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _correct(groups: Sequence[dict[str, Any]]) -> None:
    """Holm's correction over all interactions of one reading: every regime, cell and size."""
    from experiments.statistics import holm

    for key in READINGS:
        places = [(i, k) for i, group in enumerate(groups) for k in range(len(group["effects"]))]
        corrected = holm({at: groups[at[0]]["effects"][at[1]][key]["interaction"]["p"] for at in places})
        for (i, k), p in corrected.items():
            row = groups[i]["effects"][k][key]["interaction"]
            row["p_holm"] = p
            row["family"] = len(places)
            row["significant"] = None if p is None else bool(p < 0.05)
