"""The figure of power: the share of batches that detect an effect, over the number of pairs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments.drawing.canvas import FigureFile, blank, finish, look
from experiments.drawing.palette import INK, MUTED, regime_styles
from experiments.power.batches import t_power
from experiments.vocabulary import describe


def figure(result: Mapping[str, Any], index: int, folder: Path) -> FigureFile | None:
    """Draw the curves of one point, a panel for each outcome; None where there is no curve.

    Args:
        result: what :func:`experiments.power.command.measure` gives.
        index: of the point.
        folder: for the files.
    """
    point = result["points"][index]
    arms = [r for r, by in point["effects"].items() if any(entry["curve"] for entry in by.values())]
    names = [n for n in point["outcomes"] if any(point["effects"][r].get(n, {}).get("curve") for r in arms)]
    if not names:
        return None
    styles = regime_styles(arms)
    with look():
        drawn = blank(1.9 * len(names) + 0.8)
        panels = drawn.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
        told = []
        for axes, name in zip(panels, names, strict=True):
            axes.set_title(describe(name).label, color=INK)
            for position, regime in enumerate(arms):
                entry = point["effects"][regime].get(name)
                if not entry or not entry["curve"]:
                    continue
                style = styles[regime]
                n = np.array([at["n"] for at in entry["curve"]], float) * (1.0 + 0.02 * (position - len(arms) / 2))
                mean, low, high = (np.array([at[key] for at in entry["curve"]]) for key in ("mean", "low", "high"))
                axes.errorbar(
                    n, mean, [mean - low, high - mean], fmt=style.marker, color=style.color, markersize=4.0,
                    elinewidth=0.8, label=regime,
                )  # fmt: skip
                grid = np.unique(np.geomspace(n.min(), n.max(), 60).round().astype(int))
                effect = entry["pooled"]["effect"] or 0.0
                axes.plot(
                    grid, [t_power(effect, int(k), point["level"]) for k in grid], color=style.color,
                    linestyle=style.dashes, linewidth=style.width,
                )  # fmt: skip
                told.append(f"{name}, {regime}: 80 % from {entry['needed'] or 'more'} pairs")
            axes.axhline(point["power"], color=MUTED, linewidth=0.7, linestyle=":")
            axes.axhline(point["level"], color=MUTED, linewidth=0.7, linestyle=":")
            axes.axvline(point["pairs"], color=MUTED, linewidth=0.7, linestyle=":")
            axes.set_ylim(-0.03, 1.03)
            axes.set_ylabel("detected")
        handles, labels = panels[0].get_legend_handles_labels()
        drawn.legend(handles, labels, frameon=False, fontsize=7.5, loc="outside lower center", ncols=min(len(arms), 4))
        panels[-1].set_xscale("log")
        ticks = sorted({at["n"] for by in point["effects"].values() for e in by.values() for at in e["curve"]})
        panels[-1].set_xticks(ticks[:: max(1, len(ticks) // 8)], [str(n) for n in ticks[:: max(1, len(ticks) // 8)]])
        panels[-1].minorticks_off()
        panels[-1].set_xlabel("pairs in a batch")
        suffix = f"-{index}" if len(result["points"]) > 1 else ""
        return finish(
            drawn, folder, f"power{suffix}",
            f"How often a batch detects a difference from {result['baseline']}",
            f"Share of disjoint batches that detect an effect, over pairs. {'; '.join(told)}.",
            "Points: share of disjoint batches whose sign-flip test is at or below its level, without correction, with "
            "Clopper-Pearson intervals. Lines: power of the t test at the pooled effect. Dotted: 80 %, the level, and "
            f"the design's {point['pairs']} pairs.",
        )  # fmt: skip
