"""The figure of finite-size scaling: the probability of a cascade over R0, for markets of several sizes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments.drawing.canvas import FIGURES, FigureFile, blank, finish, look
from experiments.drawing.palette import INK, MUTED, regime_styles

_PANELS = {"finer": "more leveraged traders, same market", "whole": "the whole market enlarged"}


def figure(result: Mapping[str, Any], folder: Path) -> FigureFile:
    """Draw what :func:`experiments.studies.crossover.measure` found into a folder, as PNG and SVG."""
    with look():
        return _curves(result, folder)


def draw(folder: Path, result: Mapping[str, Any]) -> None:
    """Draw the figure of an output folder."""
    figure(result, folder / FIGURES)


def _curves(result: Mapping[str, Any], folder: Path) -> FigureFile:
    sizes = result["sizes"]
    ways = [way for way in _PANELS if any(size["way"] == way for size in sizes)]
    drawn = blank(3.4)
    panels = drawn.subplots(1, len(ways), sharey=True, squeeze=False)[0]
    styles = regime_styles(f"x{factor}" for factor in sorted({size["factor"] for size in sizes}))
    told = []
    for axes, way in zip(panels, ways, strict=True):
        for size in sizes:
            if size["way"] != way and size["factor"] != 1:
                continue
            label = f"x{size['factor']}"
            style = styles[label]
            r0 = [point["r0"] for point in size["curve"]]
            probability = [point["probability"] for point in size["curve"]]
            axes.plot(r0, probability, marker=style.marker, markersize=4.5, linestyle="none", color=style.color)
            position, width = size["position"]["value"], size["width"]["value"]
            if position and width:
                grid = np.geomspace(min(r0), max(r0), 200)
                fitted = 1.0 / (1.0 + np.exp(-2.0 * np.log(9.0) / width * np.log(grid / position)))
                axes.plot(grid, fitted, color=style.color, linestyle=style.dashes, linewidth=style.width, label=label)
            told.append(f"{way} {label}: one half at R0 {position or float('nan'):.2f}")
        axes.axhline(0.5, color=MUTED, linewidth=0.7, linestyle=":")
        axes.set_title(_PANELS[way], color=INK)
        axes.set_xlabel("R0 as open interest is seeded")
        axes.legend(frameon=False, title="size")
    panels[0].set_ylim(-0.03, 1.03)
    panels[0].set_ylabel("P(over 30 % liquidated)")
    return finish(
        drawn, folder, "finite-size", "The onset of cascades in markets of several sizes",
        f"Probability that more than 30 % of leveraged lots are liquidated over R0. {'; '.join(told)}.",
        "Points: share of seeds. Lines: logistic fits in ln R0.",
    )  # fmt: skip
