"""The study's figures: differences of every rule from static, the readings beside each other; benefit against cost."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.drawing.canvas import FIGURES, FigureFile, blank, finish, look
from experiments.drawing.palette import MUTED, PAPER, RegimeStyle, regime_styles
from experiments.studies.dynamic_vs_static.design import CRISIS
from experiments.studies.dynamic_vs_static.tables import label_of, scale_for
from experiments.vocabulary import with_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS = {
    CRISIS: ("liquidated_share", "bad_debt", "margin_calls", "called_share", "coverage", "peak_to_trough",
             "rise_long", "mean_leverage"),
    "cascade": ("drawdown", "volatility", "liquidated_share", "bad_debt_bp", "coverage", "largest_shortfall",
                "peak_to_trough", "rise_long"),
}  # fmt: skip
"""Outcomes that are drawn."""
_TITLES = {
    CRISIS: "Through 2007 to 2009 at equal mean margin: every rule less static",
    "cascade": "Through a seeded cascade at equal margin: every rule less static",
}


def draw(result: Mapping[str, Any], folder: Path) -> list[FigureFile]:
    """The figures of a part.

    Args:
        result: :func:`experiments.studies.dynamic_vs_static.summary.summary`.
        folder: gets ``figures/``.
    """
    return [_forest(result, folder / FIGURES)]


def _forest(result: Mapping[str, Any], folder: Path) -> FigureFile:
    rules = [rule for rule in result["regimes"] if rule != result["baseline"]]
    styles, names = regime_styles(result["regimes"]), PANELS[result["part"]]
    readings = list(result["readings"])
    said: list[str] = []
    with look():
        rows = math.ceil(len(names) / 2)
        figure = blank(rows * (0.62 + 0.26 * len(rules)) + 0.8)
        grid = figure.subplots(rows, 2, squeeze=False)
        for i, axes in enumerate(grid.flat):
            if i >= len(names):
                axes.set_axis_off()
                continue
            said += _panel(axes, result, names[i], rules, styles, labelled=i % 2 == 0)
        caption = (
            "Mean over seeds of the paired difference, with its 95 % bootstrap interval; at zero none. "
            "Filled: it differs after Holm's correction; hollow: it does not."
        )
        if len(readings) > 1:
            caption += (
                f" Upper mark, thick: margin equal {readings[0]}; lower mark, thin: equal on average {readings[1]}."
            )
        alt = f"{len(names)} panels of differences from static. {'; '.join(said)}."
        return finish(figure, folder, f"dynamic-vs-static-{result['part']}", _TITLES[result["part"]], alt, caption)


def _panel(
    axes: Axes,
    result: Mapping[str, Any],
    name: str,
    rules: list[str],
    styles: Mapping[str, RegimeStyle],
    *,
    labelled: bool,
) -> list[str]:
    readings = result["readings"]
    entries = {
        (rule, reading): found["differences"][rule][name] for reading, found in readings.items() for rule in rules
    }
    scale = scale_for(result, name, entries.values())
    said = []
    axes.axvline(0.0, color=MUTED, linewidth=0.9, zorder=1)
    offsets = [0.0] if len(readings) == 1 else [-0.17, 0.17]
    for row, rule in enumerate(rules):
        for offset, reading, width in zip(offsets, readings, (1.9, 0.9), strict=False):
            entry, style, at = entries[rule, reading], styles[rule], row + offset
            mean, low, high = (None if entry[k] is None else entry[k] * scale.factor for k in ("mean", "low", "high"))
            if mean is None:
                continue
            if low is not None and high is not None:
                axes.plot([low, high], [at, at], color=style.color, linewidth=width, zorder=2)
            face = style.color if entry["verdict"] == "different" else PAPER
            axes.plot(
                [mean], [at], marker=style.marker, markersize=4.6 if width > 1 else 3.8, markerfacecolor=face,
                markeredgecolor=style.color, markeredgewidth=1.0, linestyle="none", zorder=3,
            )  # fmt: skip
            said.append(f"{label_of(name)}, {rule}, {reading}: {mean:.3g} {scale.difference_unit}".rstrip())
    axes.set_ylim(len(rules) - 0.4, -0.6)
    axes.set_yticks(range(len(rules)), rules if labelled else [""] * len(rules))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.margins(x=0.08)
    axes.locator_params(axis="x", nbins=5)
    unit, label = scale.difference_unit, label_of(name)
    label = f"{label[0].upper()}{label[1:]}"
    axes.set_title("\n".join(textwrap.wrap(with_unit(f"{label},", unit) if unit else label, 40)), fontsize=8.5)
    return said
