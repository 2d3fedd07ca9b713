"""Figures of a backtest: the frontier over models, and margins through time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.drawing.canvas import FIGURES, WIDTH, FigureFile, blank, canvas, envelope, finish, look
from experiments.drawing.palette import GRID, INK, MUTED, regime_styles

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_LINES = 5
_MOST_NAMES = 16  # of more models those on the frontier that keep their promise are named, where there is room


def draw(folder: Path, result: Mapping[str, Any]) -> list[FigureFile]:
    """Draw both figures of a backtest that a folder keeps, as PNG and SVG.

    Args:
        folder: with ``margins.csv``; gets ``figures/``.
        result: what :meth:`margin.backtest.Backtest.as_dict` gives.
    """
    import pandas as pd

    table = pd.read_csv(folder / "margins.csv")
    with look():
        return [frontier(result, folder / FIGURES), margins(result, table, folder / FIGURES)]


def frontier(result: Mapping[str, Any], folder: Path) -> FigureFile:
    """Cost against peak-to-trough; filled points keep the promised coverage, ringed ones are not dominated."""
    figure = blank(4.4)
    axes = figure.subplots()
    on_it = set(result["frontier"]["non_dominated"])
    styles = regime_styles(one["family"] for one in result["models"])
    shown = [one for one in result["models"] if one["peak_to_trough"] is not None]
    for one in shown:
        kept = _keeps(result, one)
        style = styles[one["family"]]
        x, y = 100.0 * one["mean_margin"], one["peak_to_trough"]
        axes.plot(
            [x], [y], marker=style.marker, markersize=6.5, linestyle="none", markeredgewidth=1.3,
            markeredgecolor=style.color, markerfacecolor=style.color if kept else "none",
        )  # fmt: skip
        if one["name"] in on_it:
            axes.plot([x], [y], marker="o", markersize=12, markerfacecolor="none", markeredgecolor=MUTED,
                      markeredgewidth=0.8, linestyle="none")  # fmt: skip
    axes.set_yscale("log")
    _plain_ticks(axes, [one["peak_to_trough"] for one in shown])
    axes.margins(x=0.12, y=0.1)
    axes.grid(True, axis="both", color=GRID)
    axes.set_xlabel("mean margin, % of value (cost)")
    axes.set_ylabel("largest margin over smallest (procyclicality)")
    figure.draw_without_rendering()
    crowded = len(shown) > _MOST_NAMES
    named = [one for one in shown if one["name"] in on_it and _keeps(result, one)] if crowded else shown
    points = [(str(one["name"]), 100.0 * one["mean_margin"], float(one["peak_to_trough"])) for one in named]
    _label(axes, points, crowded)
    _explain_signs(axes)
    keeping = [one for one in shown if _keeps(result, one)]
    promise = f"the promised {100.0 * result['setting']['promised_rate']:g} %"
    if keeping:
        cheap = min(keeping, key=lambda one: one["mean_margin"])["name"]
        steady = min(keeping, key=lambda one: one["peak_to_trough"])["name"]
        told = f"cheapest {cheap}, steadiest {steady}" if cheap != steady else f"cheapest and steadiest {cheap}"
        title = f"{len(keeping)} of {len(shown)} models keep exceedances to {promise}: {told}"
        title = title if len(shown) > 1 else f"{cheap} keeps exceedances to {promise}"
    else:
        title = f"No model keeps exceedances to {promise}"
    alt = "; ".join(
        f"{one['name']}: mean margin {100 * one['mean_margin']:.2f} %, peak over trough "
        f"{one['peak_to_trough']:.2f}, exceedances {100 * one['exceedance_rate']:.2f} %"
        for one in shown
    )
    caption = (
        "Filled: Kupiec's test does not find more exceedances than promised (5 % level); open: it does. "
        "Ringed: no other model is as good in mean margin, peak over trough and exceedances and better in one."
    )

    def relabel(drawn: Figure) -> None:
        for text in list(axes.texts):
            text.remove()
        # names are left out sooner where there is less room
        _label(axes, points, crowded or drawn.get_figwidth() < WIDTH)

    return finish(figure, folder, "frontier", title, alt, caption, refit=relabel)


def margins(result: Mapping[str, Any], table: pd.DataFrame, folder: Path) -> FigureFile:
    """Margins of the first few models through time, over the losses of the position."""
    figure, (axes,) = canvas([3.6])
    days = table["date"].to_numpy(dtype="datetime64[D]")
    returns = table["log_return"].to_numpy(float)
    moves = {"long": -returns, "short": returns, "both": np.abs(returns)}[result["setting"]["side"]]
    axes.vlines(days, 0.0, 100.0 * np.maximum(moves, 0.0), color=MUTED, alpha=0.45, linewidth=0.5, rasterized=True)
    styles = regime_styles(one["name"] for one in result["models"])
    drawn = result["models"][:_MOST_LINES]
    for one in drawn:
        x, y = envelope(days, 100.0 * table[one["name"]].to_numpy(float))
        axes.plot(x, y, label=one["name"], **styles[one["name"]].line() | {"linewidth": 1.1})
    axes.set_ylim(bottom=0.0)
    axes.set_ylabel("% of value")
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=3, frameon=False, fontsize=8.0, labelcolor=INK)
    swings = [(one["peak_to_trough"] or np.inf, one["name"]) for one in drawn]
    (most, name), (least, other) = max(swings), min(swings)
    title = f"Largest over smallest margin: {most:.1f} for {name}"
    title += f", {least:.1f} for {other}" if other != name else ""
    window = result["window"]
    alt = f"Margins from {window['first']} to {window['last']} of " + ", ".join(one["name"] for one in drawn)
    left = len(result["models"]) - len(drawn)
    caption = "Grey: daily losses of the position." + (f" {left} further models are not drawn." if left else "")
    return finish(figure, folder, "margins", title, alt, caption)


def _keeps(result: Mapping[str, Any], one: Mapping[str, Any]) -> bool:
    """True unless there are significantly more exceedances than promised."""
    return bool(one["kupiec"]["accepted"] or one["exceedance_rate"] <= result["setting"]["promised_rate"])


def _explain_signs(axes: Axes) -> None:
    from matplotlib.lines import Line2D

    signs = [
        Line2D([], [], marker="o", linestyle="none", color=MUTED, markersize=6.5, label="keeps promised coverage"),
        Line2D([], [], marker="o", linestyle="none", color=MUTED, markersize=6.5, markerfacecolor="none",
               label="exceeds too often (Kupiec, 5 %)"),
        Line2D([], [], marker="o", linestyle="none", color=MUTED, markersize=12, markerfacecolor="none",
               markeredgewidth=0.8, label="ring: not dominated"),
    ]  # fmt: skip
    axes.legend(handles=signs, loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=3, frameon=False, fontsize=8.0,
                labelcolor=INK, handletextpad=0.3, columnspacing=1.2)  # fmt: skip


def _plain_ticks(axes: Axes, values: list[float]) -> None:
    low, high = min(values), max(values)
    ticks = [tick for tick in (1, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 50, 100, 200) if low / 1.3 <= tick <= high * 1.3]
    axes.set_yticks(ticks or [low], [f"{tick:g}" for tick in ticks or [low]])
    axes.minorticks_off()


def _label(axes: Axes, points: list[tuple[str, float, float]], crowded: bool) -> None:
    """Name each point beside it, on the side with room; in a crowd leave names out that would cover something."""
    from matplotlib.transforms import Bbox

    figure = axes.figure
    renderer = figure.canvas.get_renderer()  # type: ignore[union-attr, attr-defined]
    drawn = [axes.transData.transform(np.asarray(line.get_xydata())[0]) for line in axes.get_lines()]
    at = [axes.transData.transform((x, y)) for _, x, y in points]
    scale = figure.dpi / 72.0
    taken = [Bbox.from_bounds(px - 6 * scale, py - 6 * scale, 12 * scale, 12 * scale) for px, py in drawn]
    frame = axes.get_window_extent(renderer)
    offsets = [(9, 0, "left"), (-9, 0, "right"), (0, 12, "center"), (0, -12, "center"), (9, 11, "left"),
               (9, -11, "left"), (-9, 11, "right"), (-9, -11, "right"), (12, 22, "left"), (12, -22, "left"),
               (-12, 22, "right"), (-12, -22, "right"), (0, 33, "center"), (0, -33, "center")]  # fmt: skip
    for (name, x, y), (px, py) in zip(points, at, strict=True):
        best, least = None, np.inf
        for dx, dy, align in offsets:
            text = axes.annotate(
                name, (x, y), (dx, dy), textcoords="offset points", ha=align, va="center", fontsize=7.5, color=INK
            )
            text.set_in_layout(False)  # names go where there is room, and must not take it from the panel
            box = text.get_window_extent(renderer)
            own = Bbox.from_bounds(px - 6 * scale, py - 6 * scale, 12 * scale, 12 * scale)
            overlaps = sum(_overlap(box, other) for other in taken if not np.allclose(other.bounds, own.bounds))
            outside = box.width * box.height - _overlap(box, frame)
            cost = overlaps + 2.0 * outside
            if cost < least:
                if best is not None:
                    best.remove()
                best, least, kept = text, cost, box
            else:
                text.remove()
            if least <= 0.0:
                break
        if crowded and least > 0.0 and best is not None:
            best.remove()
        else:
            taken.append(kept)


def _overlap(a, b) -> float:  # type: ignore[no-untyped-def]
    width = min(a.x1, b.x1) - max(a.x0, b.x0)
    height = min(a.y1, b.y1) - max(a.y0, b.y0)
    return max(width, 0.0) * max(height, 0.0)
