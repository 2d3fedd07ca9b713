"""The forest plot: paired differences from the baseline with their intervals, one panel per measure."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.drawing.canvas import FigureFile, blank, finish, look
from experiments.drawing.palette import MUTED, PAPER, RegimeStyle
from experiments.vocabulary import Money, Scale, describe, scale_of, show, with_unit
from experiments.wording import compared, finding, headline_measures, verdict_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 2
_MARKS = {"different": "", "suggestive": "unclear", "none": "n.d.", "identical": "identical", "untested": "not tested"}


def forest_figure(folder: Path, result: Mapping[str, Any], styles: Mapping[str, RegimeStyle]) -> FigureFile:
    """Draw the paired differences of the measures of a summary, each measure on an axis in its own unit.

    Args:
        folder: Where the files go.
        result: The comparison.
        styles: Style of each regime.
    """
    baseline, regimes, names = str(result["baseline"]), compared(result), headline_measures(result)
    names = [n for n in names if any(n in result["differences"][r] for r in regimes)]
    rows = max(math.ceil(len(names) / COLUMNS), 1)
    height = rows * (0.72 + 0.25 * len(regimes)) + 0.75
    money = Money.of(result)
    with look():
        figure = blank(height)
        grid = figure.subplots(rows, COLUMNS, squeeze=False)
        said = []
        for i, axes in enumerate(grid.flat):
            if i >= len(names):
                axes.set_axis_off()
                continue
            by_regime = {r: result["differences"][r].get(names[i], {}) for r in regimes}
            ends = [d.get(key) for d in by_regime.values() for key in ("mean", "low", "high")]
            scale = scale_of(describe(names[i]).kind, ends, money)
            said += _panel(axes, names[i], by_regime, styles, scale, labelled=i % COLUMNS == 0)
        caption = (
            f"Mean over seeds of the paired difference from {baseline}, with its {_level(result)} bootstrap interval; "
            "the line at zero is no difference. Filled: a difference after correction for the number of comparisons. "
            "Hollow: none (n.d.: no difference detectable)."
        )
        alt = f"Forest plot of differences from {baseline}. {'; '.join(said)}."
        return finish(figure, folder, "differences", finding(result), alt, caption)


def _level(result: Mapping[str, Any]) -> str:
    return f"{100.0 * float((result.get('statistics') or {}).get('confidence', 0.95)):g} %"


def _panel(
    axes: Axes,
    name: str,
    by_regime: Mapping[str, Mapping[str, Any]],
    styles: Mapping[str, RegimeStyle],
    scale: Scale,
    *,
    labelled: bool,
) -> list[str]:
    """One measure: a row per regime. Returns what is drawn, in words."""
    said = []
    label = describe(name).label
    axes.axvline(0.0, color=MUTED, linewidth=0.9, zorder=1)
    for row, (regime, difference) in enumerate(by_regime.items()):
        style, mean = styles[regime], difference.get("mean")
        if mean is None:
            continue
        what = verdict_of(difference)
        low, high = difference.get("low"), difference.get("high")
        if low is not None and high is not None and high > low:
            axes.plot([low * scale.factor, high * scale.factor], [row, row], color=style.color, linewidth=1.6, zorder=2)
        face = style.color if what == "different" else PAPER
        axes.plot(
            [mean * scale.factor], [row], marker=style.marker, markersize=5.5, markerfacecolor=face,
            markeredgecolor=style.color, markeredgewidth=1.3, linestyle="none", zorder=3,
        )  # fmt: skip
        if _MARKS[what]:
            axes.annotate(
                _MARKS[what], (1.0, row), (3, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
                ha="left", va="center", fontsize=7.0, color=MUTED,
            )  # fmt: skip
        shown = show(difference, scale, difference=True)
        said.append(f"{label}, {regime}: {shown.text}, {what}")
    axes.set_ylim(len(by_regime) - 0.4, -0.6)
    axes.set_yticks(range(len(by_regime)), list(by_regime) if labelled else [""] * len(by_regime))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.margins(x=0.08)
    if axes.get_xlim()[0] > 0.0 or axes.get_xlim()[1] < 0.0:
        axes.set_xlim(min(axes.get_xlim()[0], 0.0), max(axes.get_xlim()[1], 0.0))
    if all(not d.get("mean") for d in by_regime.values()):
        axes.set_xlim(-1.0, 1.0)
        axes.set_xticks([0.0], ["0"])
    else:
        axes.locator_params(axis="x", nbins=5)
    unit = scale.difference_unit
    title = with_unit(f"{label[0].upper()}{label[1:]},", unit) if unit else f"{label[0].upper()}{label[1:]}"
    axes.set_title("\n".join(textwrap.wrap(title, 40)), fontsize=8.5)
    return said
