"""Figures of the published models: the queue model's probabilities, the scaling of the zero-intelligence book."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments.drawing.canvas import FIGURES, FigureFile, blank, finish, look
from experiments.drawing.palette import GRID, INK, MUTED, RegimeStyle, regime_styles

_DELTA = "\N{GREEK SMALL LETTER DELTA}"


def queue_figure(result: Mapping[str, Any], folder: Path) -> FigureFile:
    """Solved probabilities (lines) and simulated ones (points with two standard errors), a panel a question.

    Args:
        result: of :func:`experiments.replications.queue_paths.measure`.
        folder: for the PNG and SVG.
    """
    with look():
        return _queues(result, folder)


def draw_queues(folder: Path, result: Mapping[str, Any]) -> None:
    """Draw the figure of the queue model of an output folder."""
    queue_figure(result, folder / FIGURES)


def draw_scaling(folder: Path, result: Mapping[str, Any]) -> None:
    """Draw the figure of the zero-intelligence book of an output folder."""
    zero_intelligence_figure(result, folder / FIGURES)


def _queues(result: Mapping[str, Any], folder: Path) -> FigureFile:
    from matplotlib.ticker import MaxNLocator

    asked = result["questions"]
    drawn = blank(3.3 if len(asked) > 1 else 3.8)
    panels = drawn.subplots(1, len(asked), squeeze=False)[0]
    rows = len(next(iter(asked.values()))["exact"])
    shown = [row for row in (0, 1, 2, 3, 4, 7, 15, 31, 63) if row < rows]
    styles = regime_styles(f"{row + 1:02d}" for row in shown)
    names = {"move": "next move is up", "bid": "bid filled first", "both": "both filled first"}
    for panel, (question, entry) in zip(panels, asked.items(), strict=True):
        exact = np.array(entry["exact"])
        columns = np.arange(1, exact.shape[1] + 1)
        for row in shown:
            style = styles[f"{row + 1:02d}"]
            panel.plot(columns, exact[row], label=str(row + 1), **style.line())
            if "simulated" in entry:
                panel.errorbar(
                    columns, np.array(entry["simulated"])[row], 2 * np.array(entry["standard_error"])[row],
                    linestyle="none", marker=style.marker, markersize=3.5, color=style.color, elinewidth=0.8,
                )  # fmt: skip
        panel.set_title(f"P({names[question]})")
        panel.set_xlabel("orders in the ask queue")
        panel.set_ylim(bottom=0.0)
        panel.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    panels[0].legend(title="bid queue", frameon=False, fontsize=7.5, title_fontsize=7.5, labelcolor=INK, ncols=2)
    total = result["paths_a_cell"]
    largest = max((entry.get("largest_difference", 0.0) for entry in asked.values()), default=0.0)
    if total:
        title = f"Paths on the order book agree with the solved queue model within {largest:.3f}"
    else:
        title = f"Queue model, spread {result['options']['spread']}: what the queues tell of the next move"
    alt = "; ".join(
        f"{entry['means']}: {entry['exact'][0][0]:.3f} at queues 1, 1 and {entry['exact'][-1][0]:.3f} at {rows}, 1"
        for entry in asked.values()
    )
    caption = f"Spread of {result['options']['spread']} ticks. Lines: solved." + (
        f" Points: {total:,} paths a cell, two standard errors." if total else ""
    )
    return finish(drawn, folder, "queue-model", title, alt, caption)


def zero_intelligence_figure(result: Mapping[str, Any], folder: Path) -> FigureFile:
    """Spread and diffusion over the cancellation rate, diffusion by lag, depth by distance.

    Args:
        result: of :func:`experiments.replications.zero_intelligence.measure`.
        folder: for the PNG and SVG.
    """
    with look():
        return _scaling(result, folder)


def _scaling(result: Mapping[str, Any], folder: Path) -> FigureFile:
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    drawn = blank(5.6)
    (spread, scaling), (lags, depth) = drawn.subplots(2, 2)
    rows = sorted(result["rows"], key=lambda row: row["cancel"])
    # eight looks: the fewest and the most cancellations among many rates
    styles: dict[float, RegimeStyle] = dict(
        zip([row["cancel"] for row in rows], regime_styles(f"{k:03d}" for k in range(len(rows))).values(), strict=True)
    )
    delta = np.array([row["cancel"] for row in rows])
    for row in rows:
        style, mean = styles[row["cancel"]], row["spread"]["mean"]
        low, high = (row["spread"][end] if row["spread"][end] is not None else mean for end in ("low", "high"))
        spread.errorbar([row["cancel"]], [mean], [[mean - low], [high - mean]], marker=style.marker, color=style.color,
                        markersize=5, elinewidth=0.9)  # fmt: skip
    fit = result["spread_fit"]
    if fit is not None:
        grid = np.linspace(0.0, 1.05 * delta.max(), 200)
        name = f"{fit['a']:.3f} + {fit['b']:.2f} {_DELTA}$^{{{fit['c']:.2f}}}$"
        spread.plot(grid, fit["a"] + fit["b"] * grid ** fit["c"], color=MUTED, linewidth=1.1, zorder=0, label=name)
        spread.legend(frameon=False, fontsize=8.0, labelcolor=INK)
    spread.set(xlabel="cancellation rate \N{GREEK SMALL LETTER DELTA}", ylabel="mean spread")
    spread.set_ylim(0.0, 1.12 * max(row["spread"]["mean"] for row in rows))
    known = result["diffusion"]
    for end, marker, filled in (("short", "o", True), ("long", "s", False)):
        lag, slope = known[f"{end}_lag"], known[end]
        points = [(row["cancel"], row["diffusion"][row["lags"].index(lag)]) for row in rows if lag in row["lags"]]
        if points:
            x, y = np.array(points).T
            name = f"{lag:g} lives" + ("" if slope is None else f": exponent {slope['exponent']:.2f}")
            scaling.plot(x, y, color=INK, marker=marker, markersize=4.5, linewidth=0.9, label=name,
                         markerfacecolor=INK if filled else "none")  # fmt: skip
    scaling.set(xscale="log", yscale="log", xlabel="cancellation rate \N{GREEK SMALL LETTER DELTA}",
                ylabel="mean square of moves / time")  # fmt: skip
    if len(delta) <= 8:
        scaling.xaxis.set_major_locator(FixedLocator(delta.tolist()))
        scaling.xaxis.set_major_formatter(FixedFormatter([f"{value:g}" for value in delta]))
        scaling.xaxis.set_minor_locator(NullLocator())
    scaling.legend(frameon=False, fontsize=7.5, labelcolor=INK)
    for row in rows:
        style = styles[row["cancel"]]
        lags.plot(row["lags"], row["diffusion"], label=f"{row['cancel']:g}", **style.line())
        depth.plot(row["distance"], np.array(row["depth"]) / row["asymptotic_depth"], **style.line())
    lags.set(xscale="log", yscale="log", xlabel="lag, lives of an order (1/\N{GREEK SMALL LETTER DELTA})",
             ylabel="mean square of moves / time")  # fmt: skip
    smallest = min(min(row["diffusion"]) for row in rows)
    if smallest > 0:
        lags.set_ylim(bottom=smallest / 6)  # room for the legend
    lags.legend(title=_DELTA, frameon=False, fontsize=7.0, title_fontsize=7.5, labelcolor=INK, ncols=2)
    depth.axhline(1.0, color=MUTED, linewidth=0.8, linestyle="--")
    depth.set(
        xlabel="distance from the mid",
        ylabel=f"depth \N{MULTIPLICATION SIGN} {_DELTA}/\N{GREEK SMALL LETTER ALPHA}",
    )
    depth.set_ylim(bottom=0.0)
    for axes in (spread, scaling, lags, depth):
        axes.grid(True, axis="both", color=GRID)
    if fit is None:
        title = "Spread, diffusion and depth of the zero-intelligence book"
    else:
        error = fit["standard_error"]["c"]
        tail = "" if error is None else f" \N{PLUS-MINUS SIGN} {error:.3f}"
        title = f"The zero-intelligence spread grows with {_DELTA} to the power {fit['c']:.3f}{tail}"
    alt = "; ".join(f"cancellation rate {row['cancel']:g}: spread {row['spread']['mean']:.3f}" for row in rows)
    o = result["options"]
    caption = (
        f"Limit orders {o['limit']:g} per price, side and time; market orders {o['market']:g} a side; tick "
        f"{o['tick']:g}; {len(result['seeds'])} histories a rate."
    )
    return finish(drawn, folder, "zero-intelligence", title, alt, caption)
