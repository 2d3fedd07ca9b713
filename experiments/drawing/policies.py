"""Figures of a comparison of venues: outcomes of every design with intervals, and the effects of mark and policy."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.drawing.canvas import FigureFile, blank, finish, look
from experiments.drawing.palette import MUTED, PAPER, RegimeStyle, regime_styles
from experiments.vocabulary import Money, describe, number, scale_of, show, with_unit
from experiments.wording import listing, verdict_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = ("drawdown_mid", "bad_debt_bp", "cost_to_liquidated", "recovery_minutes")
COLUMNS = 2
OWN_ARMS = "other designs"
"""Name of the one series of arms that do not combine policies and marks."""


def series(result: Mapping[str, Any]) -> tuple[list[str], dict[str, dict[str, str]]]:
    """Rows and coloured series of a result: policies by mark where arms combine them, else arms.

    Returns:
        Row labels, and series -> row -> label of the arm.
    """
    rows: list[str] = []
    found: dict[str, dict[str, str]] = {}
    for label in result["regimes"]:
        factors = result["factors"].get(label) or {}
        row, name = (factors["policy"], factors["mark"]) if factors else (label, OWN_ARMS)
        rows += [row] if row not in rows else []
        found.setdefault(name, {})[row] = label
    return rows, found


def styles_of(names: Sequence[str]) -> dict[str, RegimeStyle]:
    """A colour and a marker for each series."""
    return regime_styles(names)


def figures(folder: Path, result: Mapping[str, Any]) -> list[FigureFile]:
    """Draw what a result holds: the outcomes, and the effects where policies and marks are crossed."""
    with look():
        drawn = [outcomes(folder, result)]
        if any(result["effects"].values()):
            drawn.append(effects(folder, result))
    return drawn


def outcomes(folder: Path, result: Mapping[str, Any]) -> FigureFile:
    """Four panels: drawdown, bad debt, cost to the liquidated, recovery; a row per policy, a colour per mark."""
    rows, by_series = series(result)
    styles = styles_of(list(by_series))
    figure, grid = _grid(len(PANELS), 0.62 + len(rows) * (0.10 + 0.085 * len(by_series)))
    money = Money.of(result)
    said = []
    for i, (axes, name) in enumerate(zip(grid, PANELS, strict=False)):
        estimates = result["measures"][name]
        scale = scale_of(describe(name).kind, [e.get("high") or e.get("mean") for e in estimates.values()], money)
        for label, by_row in by_series.items():
            for row, arm in by_row.items():
                here = [name for name, drawn in by_series.items() if row in drawn]
                shift = (here.index(label) - (len(here) - 1) / 2.0) * 0.62 / max(len(here) - 1, 1)
                y = rows.index(row) + shift
                _interval(axes, estimates[arm], scale.factor, y, styles[label], filled=True)
                said.append(f"{describe(name).label}, {arm}: {show(estimates[arm], scale).text}")
        off = result["off"].get(name) or {}
        if name == "drawdown_mid" and off.get("mean") is not None:
            axes.axvline(off["mean"] * scale.factor, color=MUTED, linewidth=0.9, linestyle=(0, (1, 1.4)), zorder=1)
        axes.set_xlim(left=min([0.0, *(e["low"] * scale.factor for e in estimates.values() if e.get("low"))]))
        _dress(axes, rows, describe(name).label, scale.unit, labelled=i % COLUMNS == 0)
    _legend(figure, styles if len(styles) > 1 else {})
    caption = (
        "Mean over seeds with its bootstrap interval. Dotted: the twin without liquidations. These intervals hold what "
        "seeds have in common; designs are compared by the paired differences."
    )
    alt = f"Four panels, one row per design. {'; '.join(said)}."
    return finish(figure, folder, "outcomes", _title(result), alt, caption)


def effects(folder: Path, result: Mapping[str, Any]) -> FigureFile:
    """Paired differences of each mark from the own mark, and of each policy from the own policy."""
    levels = [
        (factor, level, by)
        for factor in ("mark", "policy")
        for level, by in (result["effects"].get(factor) or {}).get("differences", {}).items()
    ]
    rows = [f"{factor}: {level}" for factor, level, _ in levels]
    styles = regime_styles(["mark", "policy"])
    figure, grid = _grid(len(PANELS), 0.72 + 0.2 * len(rows))
    money = Money.of(result)
    said = []
    for i, (axes, name) in enumerate(zip(grid, PANELS, strict=False)):
        found = [by.get(name, {}) for _, _, by in levels]
        scale = scale_of(describe(name).kind, [d.get(key) for d in found for key in ("low", "high")], money)
        axes.axvline(0.0, color=MUTED, linewidth=0.9, zorder=1)
        for y, ((factor, _, _), difference) in enumerate(zip(levels, found, strict=True)):
            if not difference:
                continue
            told = verdict_of(difference)
            _interval(axes, difference, scale.factor, y, styles[factor], filled=told == "different")
            said.append(f"{describe(name).label}, {rows[y]}: {show(difference, scale, difference=True).text}, {told}")
        _dress(axes, rows, describe(name).label, scale.difference_unit, labelled=i % COLUMNS == 0)
    bases = {factor: (result["effects"].get(factor) or {}).get("baseline") for factor in ("mark", "policy")}
    against = listing([f"{factor} {base}" for factor, base in bases.items() if base])
    title = f"Effects against {against}, averaged over the other factor"
    caption = (
        "Mean over seeds of the paired difference, with its bootstrap interval. Filled: a difference after correction "
        "for the number of levels."
    )
    return finish(figure, folder, "effects", title, f"{title}. {'; '.join(said)}.", caption)


def _title(result: Mapping[str, Any]) -> str:
    """Which design falls most and which least."""
    means = {arm: e["mean"] for arm, e in result["measures"]["drawdown_mid"].items() if e.get("mean") is not None}
    if not means:
        return "No design has a drawdown"
    most, least = max(means, key=lambda arm: means[arm]), min(means, key=lambda arm: means[arm])
    if most == least:
        return f"The mid falls {number(100 * means[most], 1)} % under {most}"
    return (
        f"The mid falls from {number(100 * means[least], 1)} % ({least}) to {number(100 * means[most], 1)} % ({most})"
    )


def _grid(panels: int, height: float) -> tuple[Figure, list[Axes]]:
    rows = math.ceil(panels / COLUMNS)
    figure = blank(rows * height + 0.7)
    return figure, list(figure.subplots(rows, COLUMNS, squeeze=False).flat)


def _interval(
    axes: Axes, estimate: Mapping[str, Any], factor: float, y: float, style: RegimeStyle, *, filled: bool
) -> None:
    mean, low, high = (estimate.get(key) for key in ("mean", "low", "high"))
    if mean is None:
        return
    if low is not None and high is not None and high > low:
        axes.plot([low * factor, high * factor], [y, y], color=style.color, linewidth=1.3, zorder=2)
    axes.plot(
        [mean * factor], [y], marker=style.marker, markersize=4.0, markeredgewidth=1.1, markeredgecolor=style.color,
        markerfacecolor=style.color if filled else PAPER, linestyle="none", zorder=3,
    )  # fmt: skip


def _dress(axes: Axes, rows: Sequence[str], label: str, unit: str, *, labelled: bool) -> None:
    axes.set_ylim(len(rows) - 0.45, -0.55)
    axes.set_yticks(range(len(rows)), list(rows) if labelled else [""] * len(rows))
    axes.tick_params(axis="y", length=0, labelsize=7.5)
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.locator_params(axis="x", nbins=5)
    title = with_unit(f"{label[0].upper()}{label[1:]},", unit) if unit else f"{label[0].upper()}{label[1:]}"
    axes.set_title("\n".join(textwrap.wrap(title, 40)), fontsize=8.5)


def _legend(figure: Figure, styles: Mapping[str, RegimeStyle]) -> None:
    from matplotlib.lines import Line2D

    if not styles:
        return
    handles = [
        Line2D([], [], color=style.color, marker=style.marker, markersize=4.0, linewidth=1.3,
               label=name if name == OWN_ARMS else f"mark {name}")
        for name, style in styles.items()
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncol=min(len(handles), 5), frameon=False, fontsize=8.0)
