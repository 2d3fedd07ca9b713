"""The figure of the sign of dealers' gamma: how far prices spread, and the differences between arms."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments.drawing.canvas import FigureFile, blank, finish, look
from experiments.drawing.palette import INK, MUTED, regime_styles
from experiments.vocabulary import describe, scale_of


def draw(folder: Path, result: Mapping[str, Any]) -> None:
    """Draw every figure into ``folder/figures``."""
    spread(result, folder / "figures")


def spread(result: Mapping[str, Any], folder: Path) -> FigureFile | None:
    """Mean path and spread over seeds by arm, above the paired differences to dealers who do not hedge."""
    paths = result["paths"]
    if not paths:
        return None
    arms = [arm for arm in result["arms"] if arm in paths]
    styles = regime_styles(arms)
    with look():
        drawn = blank(5.2)
        upper, lower = drawn.subplots(2, 1, height_ratios=(1.1, 1.0))
        for arm in arms:
            style, path = styles[arm], paths[arm]
            steps, mean, width = (np.array(path[key], float) for key in ("step", "mean", "spread"))
            upper.plot(steps, 100.0 * mean, color=style.color, linestyle=style.dashes, label=arm, linewidth=style.width)
            for sign in (-1.0, 1.0):
                upper.plot(
                    steps, 100.0 * (mean + sign * width), color=style.color, linestyle=style.dashes, linewidth=0.6
                )
        upper.axhline(0.0, color=MUTED, linewidth=0.6)
        upper.set_ylabel("log mid since the seeding, %")
        upper.set_xlabel("steps")
        upper.set_title("Mean and one standard deviation over seeds", color=INK)
        upper.legend(frameon=False, fontsize=7.5, ncols=len(arms), loc="upper left")
        told = _differences(lower, result, arms, styles)
        return finish(
            drawn, folder, "gamma", f"What the sign of dealers' gamma does: {result['scenario']}",
            f"Mean path and spread of the mid by arm; paired differences to dealers who do not hedge. {told}.",
            "Upper panel: thick, mean over seeds; thin, one standard deviation either side. Lower panel: effect size "
            "d_z of the paired difference to the arm off, mean over standard deviation over seeds, with 95 % interval.",
        )  # fmt: skip


def _differences(axes: Any, result: Mapping[str, Any], arms: list[str], styles: Mapping[str, Any]) -> str:
    names, told = result["outcomes"], []
    for position, arm in enumerate(arm for arm in arms if arm in result["summary"]["differences"]):
        for row, name in enumerate(names):
            entry = result["summary"]["differences"][arm][name]
            effect = entry["d_z"]
            if effect["value"] is None or effect["low"] is None:
                continue
            at, style = row + 0.16 * (position - 0.5), styles[arm]
            axes.plot([effect["low"], effect["high"]], [at, at], color=style.color, linewidth=1.1)
            axes.plot([effect["value"]], [at], marker=style.marker, color=style.color, markersize=4.5)
            scale = scale_of(describe(name).kind, [entry["mean"]])
            told.append(f"{arm}, {describe(name).label}: {entry['mean'] * scale.factor:+.3g} {scale.difference_unit}")
    axes.axvline(0.0, color=MUTED, linewidth=0.6)
    axes.set_yticks(range(len(names)), [describe(name).label for name in names])
    axes.invert_yaxis()
    axes.set_xlabel("effect size d_z of the difference to off")
    return "; ".join(told)
