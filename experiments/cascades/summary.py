"""What the runs of a cascade study say: each cell, critical R0, sizes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.cascades import critical, shapes, sizes
from experiments.cascades.critical import LARGE
from experiments.cascades.settings import Cell, leverage_key, main_setting, place_of
from experiments.engines import engine
from experiments.statistics import mean_interval, ratio_of_means

Runs = Sequence[Mapping[str, Any]]


def of_cell(runs: Runs, cell: Cell) -> list[Mapping[str, Any]]:
    """The runs of one cell."""
    key = (cell.target, cell.shock, leverage_key(cell.leverage))
    return [r for r in runs if (r["target"], r["shock"], r["leverage"]) == key]


def cell_summary(runs: Runs) -> dict[str, Any]:
    """Multiplier, falls, probability, shares, branching ratio, shape and forced flow of one cell over seeds."""
    on, off = _values(runs, "fall_on"), _values(runs, "fall_off")
    share, r0 = _values(runs, "liquidated_share"), _values(runs, "r0")
    from_seeding = _values(runs, "share_seeded")
    known = np.isfinite(share)
    difference = on - off
    spread = float(np.nanvar(difference, ddof=1)) if known.sum() > 1 else 0.0
    counts = [r["sizes"] for r in runs if r["sizes"]["liquidations"] is not None]
    forced, all_ = _of_sizes(counts, "forced"), _of_sizes(counts, "liquidations")
    return {
        "r0": mean_interval(r0),
        "r0_median": _median(r0),
        "r0_seeded_median": _median(_values(runs, "r0_seeded")),
        "open_interest": mean_interval(_values(runs, "open_interest")),
        "leveraged": mean_interval(_values(runs, "leveraged")),
        "fall_on": mean_interval(on),
        "fall_off": mean_interval(off),
        "multiplier": ratio_of_means(on, off),
        "multiplier_mid": ratio_of_means(_values(runs, "fall_mid_on"), _values(runs, "fall_mid_off")),
        "liquidated_share": mean_interval(share),
        "cascade_probability": mean_interval(np.where(known, share > LARGE, np.nan)),
        "variance_reduction": float(np.nanvar(on, ddof=1) + np.nanvar(off, ddof=1)) / spread if spread > 0 else None,
        "probability": shapes.proportion(int((share[known] > LARGE).sum()), int(known.sum())),
        "probability_seeded": shapes.proportion(int((from_seeding[known] > LARGE).sum()), int(known.sum())),
        "unreachable": int((~known).sum()),
        "liquidations": mean_interval(all_),
        "branching_ratio": ratio_of_means(forced, all_),
        "largest_tree": mean_interval([max((int(s) for s in c["trees"]), default=0) for c in counts]),
        "generations": mean_interval([c["depth"] for c in counts]),
        "shape": shapes.shape(share),
        **{name: mean_interval(_values(runs, name)) for name in ("forced_share", "forced_half_s", "forced_peak")},
    }


def size_fits(cells: Sequence[Cell], runs: Runs, resamples: int, workers: int) -> list[dict[str, Any]]:
    """Fits of trees and bursts of every cell, by the engine that runs the markets."""
    tasks, named = [], []
    for cell in cells:
        chosen = of_cell(runs, cell)
        for kind in sizes.KINDS:
            counts = tuple(r["sizes"][kind] for r in chosen)
            tasks.append(sizes.SizeTask(f"{cell.arm} {kind}", counts, resamples))
            named.append(place_of(cell) | {"kind": kind})
    found = dict(engine(workers).map(sizes.fit, tasks))
    return [named[i] | found[i] for i in range(len(tasks))]


def critical_summary(targets: Sequence[float], runs: Runs) -> dict[str, Any]:
    """Critical R0 at every shock and leverage, and by what factor these move it."""
    by: dict[tuple[float, str | None], list[dict[str, Any]]] = {}
    for record in runs:
        for threshold in record.get("thresholds", ()):
            by.setdefault((threshold["shock"], threshold["leverage"]), []).append(threshold)
    settings = []
    finite: dict[tuple[float, str | None], np.ndarray] = {}
    for (shock, leverage), thresholds in by.items():
        values = np.array([t["value"] if t["side"] == "inside" else np.nan for t in thresholds], np.float64)
        ends = {"below": -math.inf, "above": math.inf}
        finite[shock, leverage] = values
        chosen = [r for r in runs if r["shock"] == shock and r["leverage"] == leverage]
        table = {
            name: _values(chosen, name).reshape(len(thresholds), len(targets)) for name in ("share_seeded", "r0_seeded")
        }
        large = table["share_seeded"] > LARGE
        settings.append(
            {
                "shock": shock,
                "leverage": leverage,
                **critical.of_thresholds(thresholds),
                "agreement": critical.agreement([ends.get(t["side"], t["value"]) for t in thresholds], targets, large),
                "logistic": critical.of_grid(targets, table["r0_seeded"], large),
                "thresholds": [None if not math.isfinite(v) else float(v) for v in values],
            }
        )
    first = main_setting(finite)
    effects = [
        {"shock": shock, "leverage": leverage, "against": {"shock": first[0], "leverage": first[1]},
         **critical.ratio_of_thresholds(values, finite[first])}
        for (shock, leverage), values in finite.items() if (shock, leverage) != first
    ]  # fmt: skip
    return {"settings": settings, "effects": effects}


def _of_sizes(counts: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
    return np.array([c[name] for c in counts], np.float64)


def _values(runs: Runs, name: str) -> np.ndarray:
    return np.array([np.nan if r[name] is None else r[name] for r in runs], np.float64)


def _median(values: np.ndarray) -> float | None:
    return float(np.nanmedian(values)) if np.isfinite(values).any() else None
