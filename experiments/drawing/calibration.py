"""The figure of a calibration: moments of data and of simulated runs, the distance around the estimate, the search."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.drawing.canvas import FigureFile, blank, finish, look
from experiments.drawing.palette import GRID, INK, MUTED

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BLUE, _RED = "#004488", "#bb5566"
_WIDE = 8.0  # largest |t| that is drawn in place; beyond, a point sits on the edge
_COLUMNS = 3  # panels beside each other, at most


def figure(result: Mapping[str, Any], folder: Path) -> FigureFile:
    """Draw the fit into a folder, as PNG and SVG."""
    with look():
        return _draw(result, folder)


def _draw(result: Mapping[str, Any], folder: Path) -> FigureFile:
    moments, cuts = result["moments"], result["slices"]
    wide = 2 if len(cuts) == 4 else max(1, min(_COLUMNS, len(cuts)))
    rows = -(-len(cuts) // wide)
    top = 0.75 + 0.24 * len(moments)
    drawn = blank(top + 1.9 * rows + 0.5)
    parts = drawn.subfigures(1 + bool(rows), 1, height_ratios=[top, 1.9 * rows] if rows else [1.0], squeeze=False)
    _moments(parts[0, 0].subplots(), result)
    if rows:
        panels = parts[1, 0].subplots(rows, wide, squeeze=False)
        for number, axes in enumerate(panels.ravel()):
            if number < len(cuts):
                _slice(axes, cuts[number], result["parameters"][number], first=number == 0)
            else:
                axes.set_axis_off()
        for row in panels:
            row[0].set_ylabel("distance")
    told = ", ".join(f"{row['name']} {row['estimate']:.4g}" for row in result["parameters"])
    alt = f"Estimates: {told}. " + "; ".join(
        f"{row['name']}: data {row['data']:.4g}, simulated {row['simulated']:.4g}, t {row['t']:+.1f}" for row in moments
    )
    caption = (
        "Top: simulated less observed moment in standard errors of the difference; the band is 95 %, crosses are "
        "single seeds, open points beyond the frame sit on its edge. Below: the distance as one parameter moves, "
        "others held (points) or following to first order (line); dashed: the estimate, shaded: the profile interval."
    )
    return finish(drawn, folder, "calibration", _title(result), alt, caption)


def _title(result: Mapping[str, Any]) -> str:
    inside = sum(abs(row["t"]) <= 1.96 for row in result["moments"])
    said = f"{inside} of {len(result['moments'])} moments of {result['data']['name']} are met within 95 %"
    test = result["test"]
    return said if test["p_value"] is None else f"{said}; J test p = {test['p_value']:.2g}"


def _moments(axes: Axes, result: Mapping[str, Any]) -> None:
    rows = result["moments"]
    places = np.arange(len(rows))[::-1]
    worst = max(3.0, min(_WIDE, max(abs(row["t"]) for row in rows) * 1.15))
    axes.axvspan(-1.96, 1.96, color=GRID, alpha=0.6, linewidth=0.0)
    axes.axvline(0.0, color=MUTED, linewidth=0.9)
    for place, row in zip(places, rows, strict=True):
        scale = (row["simulated"] - row["data"]) / row["t"] if row["t"] else row["error"]
        for value in row["seeds"]:
            at = (value - row["data"]) / scale if scale else 0.0
            if abs(at) <= worst:
                axes.plot(at, place, marker="x", markersize=3.0, color=MUTED, alpha=0.6, linestyle="none")
        t = row["t"]
        met = abs(t) <= 1.96
        axes.plot(np.clip(t, -worst, worst), place, marker="o" if met else "D", markersize=5.5, linestyle="none",
                  color=_BLUE if met else _RED, markerfacecolor="none" if abs(t) > worst else None)  # fmt: skip
        text = f"{row['data']:.3g} | {row['simulated']:.3g}"
        axes.annotate(text, (1.01, place), xycoords=("axes fraction", "data"), fontsize=7.0, va="center", color=INK,
                      annotation_clip=False)  # fmt: skip
    axes.annotate("data | simulated", (1.01, len(rows) - 0.35), xycoords=("axes fraction", "data"), fontsize=7.0,
                  va="bottom", color=MUTED, annotation_clip=False)  # fmt: skip
    axes.set_yticks(places, [row["name"] + (f", {row['unit']}" if row["unit"] else "") for row in rows])
    axes.set_xlim(-1.05 * worst, 1.05 * worst)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.grid(False)
    axes.set_xlabel("simulated less observed, standard errors")


def _slice(axes: Axes, cut: Mapping[str, Any], row: Mapping[str, Any], *, first: bool) -> None:
    values = np.array(cut["values"], float)
    distance = np.array([np.nan if v is None else v for v in cut["distance"]], float)
    profile = np.array([np.nan if v is None else v for v in cut["profile"]], float)
    if row["profile"] is not None:
        axes.axvspan(row["profile"]["low"], row["profile"]["high"], color=GRID, alpha=0.6, linewidth=0.0)
    axes.plot(values, distance, marker="o", markersize=3.2, linestyle="none", color=_BLUE, label="others held")
    axes.plot(values, profile, color=INK, linewidth=1.2, label="others follow")
    axes.axvline(row["estimate"], color=_RED, linewidth=1.0, linestyle="--")
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, ScalarFormatter

    if row["log"]:
        axes.set_xscale("log")
        if values.max() / values.min() > 5.0:
            axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        else:  # so short a stretch is nearly linear, and has room for few labels
            axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=row["whole"]))
    known = distance[np.isfinite(distance)]
    if len(known) and known.min() > 0.0 and known.max() / known.min() > 30.0:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0.0)
    name = row["name"]
    axes.set_xlabel(name if len(name) <= 30 else "..." + name[-27:], fontsize=7.0)
    axes.tick_params(labelsize=7.0)
    if first:
        axes.legend(fontsize=6.5, frameon=False, loc="best")
