"""The summary figure of a validation: every band's interval on its range of acceptance."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.drawing.canvas import WIDTH, FigureFile, finish, look
from experiments.drawing.palette import GRID, INK, MUTED, PAPER
from experiments.validation.table import crosses, measured

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPTION = (
    "Each row is stretched so that the shaded range is what its band accepts: from edge to edge where the band has "
    "two, otherwise to the side that is open, a unit being the size of the edge. A bar is the 95 % interval; an arrow "
    "says that it goes on beyond the figure."
)
_LEFT, _RIGHT = -1.0, 2.0
_COLORS = {"pass": "#004488", "miss": "#bb5566", "unclear": "#997700", "error": "#bb5566", "reported": MUTED}
_WIDE = "#6699cc"  # passes by its rule, not by its interval
_MARKERS = {"pass": "o", "miss": "X", "unclear": "D", "error": "X"}
_ROW, _EXTRA = 0.165, 0.07  # inches: a row, and what each further result adds to it


def position(value: float, low: float | None, high: float | None, unit: float = 1.0) -> float:
    """Where a value stands on the common axis, on which every band begins at 0 or ends at 1.

    A band with two edges fills 0 to 1. One with a lower edge begins at 0 and one with an upper edge ends at 1, the size
    of the edge being the unit. A band that is a single value lies at 0.5.

    Args:
        value: in the band's unit.
        low: lower edge, None if there is none.
        high: upper edge.
        unit: what to measure in where the edge is zero.
    """
    if low is not None and high is not None:
        width = high - low
        return (value - low) / width if width > 0 else 0.5 + (value - low) / (abs(low) or unit)
    if low is not None:
        return (value - low) / (abs(low) or unit)
    if high is not None:
        return 1.0 + (value - high) / (abs(high) or unit)
    return 0.5


def unit_of(rows: Iterable[Mapping[str, Any]]) -> float:
    """The largest number of some rows of one band, so that bands with an edge at zero fill the figure."""
    found = [abs(row[key]) for row in rows for key in ("value", "low", "high") if row[key] is not None]
    return max(found, default=0.0) or 1.0


def accepted(low: float | None, high: float | None) -> tuple[float, float]:
    """The range of acceptance on the common axis."""
    if low is not None and high is not None and high == low:
        return 0.47, 0.53
    return (_LEFT if low is None else 0.0), (_RIGHT if high is None else 1.0)


def summary_figure(results: Mapping[str, Mapping[str, Any]], folder: Path) -> FigureFile:
    """Draw every band of one or two results.

    Args:
        results: results of a validation by the name of their seeds.
        folder: where the files go.
    """
    first = next(iter(results.values()))
    groups = list(dict.fromkeys(row["group"] for row in first["rows"]))
    ordered = [(group, [row["id"] for row in first["rows"] if row["group"] == group]) for group in groups]
    by = {name: {row["id"]: row for row in result["rows"]} for name, result in results.items()}
    lines = len(first["rows"]) + len(groups)
    height = max(2.4, 1.25 + lines * (_ROW + _EXTRA * (len(results) - 1)))
    counts = [
        f"{sum(row['verdict'] == 'pass' for row in rows.values())} of "
        f"{sum(row['verdict'] != 'reported' for row in rows.values())} bands are met"
        + (f" on {name} seeds" if len(results) > 1 else "")
        for name, rows in by.items()
    ]
    with look():
        figure = _blank(height)
        axes = figure.subplots()
        _rows(axes, ordered, by)
        _legend(axes, list(results), height)
        missed = [row["id"] for row in first["rows"] if row["verdict"] in ("miss", "error")]
        alt = f"{'; '.join(counts)}. Missed: {', '.join(missed) or 'none'}."
        return finish(figure, folder, "bands", "; ".join(counts), alt, CAPTION)


def _blank(height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(figsize=(WIDTH * 1.15, height), layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.055))
    FigureCanvasAgg(figure)
    return figure


def _rows(
    axes: Axes, ordered: Sequence[tuple[str, list[str]]], by: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> None:
    at, ticks, labels = 0, [], []
    first = next(iter(by.values()))
    for group, ids in ordered:
        axes.annotate(
            group, (0.0, at), (-4, 0), xycoords=("axes fraction", "data"), textcoords="offset points", ha="right",
            va="center", fontsize=7.5, fontweight="bold", color=INK,
        )  # fmt: skip
        at += 1
        for id in ids:
            row = first[id]
            if row["band_low"] is not None or row["band_high"] is not None:
                left, right = accepted(row["band_low"], row["band_high"])
                axes.barh(at, right - left, left=left, height=0.82, color=GRID, zorder=0, linewidth=0)
            unit = unit_of(rows[id] for rows in by.values() if id in rows)
            for number, rows in enumerate(by.values()):
                if id in rows:
                    offset = 0.0 if len(by) == 1 else -0.19 + 0.38 * number
                    _interval(axes, at + offset, rows[id], unit, filled=number == 0)
            ticks.append(at)
            labels.append(id)
            at += 1
    axes.set_yticks(ticks, labels)
    for label in axes.get_yticklabels():
        verdicts = {rows[label.get_text()]["verdict"] for rows in by.values() if label.get_text() in rows}
        if verdicts & {"miss", "error"}:
            label.set_color(_COLORS["miss"])
            label.set_fontweight("bold")
    axes.set_ylim(at - 0.3, -0.7)
    axes.set_xlim(_LEFT, _RIGHT)
    axes.set_xticks([0.0, 1.0], ["lower edge", "upper edge"])
    axes.axvline(0.0, color=MUTED, linewidth=0.6, zorder=0.5)
    axes.axvline(1.0, color=MUTED, linewidth=0.6, zorder=0.5)
    axes.tick_params(axis="y", length=0, labelsize=7.0)
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False)


def _interval(axes: Axes, y: float, row: Mapping[str, Any], unit: float, *, filled: bool) -> None:
    color = _WIDE if crosses(row) else _COLORS[row["verdict"]]
    if row["value"] is None or (row["band_low"] is None and row["band_high"] is None):
        axes.annotate(
            measured(row), (0.5, y), ha="center", va="center", fontsize=6.5, color=color, annotation_clip=False
        )
        return
    ends = [row["value"] if row[key] is None else row[key] for key in ("low", "high")]
    low, value, high = (position(v, row["band_low"], row["band_high"], unit) for v in (ends[0], row["value"], ends[1]))
    inner = [min(max(end, _LEFT), _RIGHT) for end in (low, high)]
    axes.plot(inner, [y, y], color=color, linewidth=1.5, solid_capstyle="butt", zorder=2)
    for end, edge, marker in ((low, _LEFT, "<"), (high, _RIGHT, ">")):
        if (end < edge) if marker == "<" else (end > edge):
            axes.plot([edge], [y], marker=marker, color=color, markersize=4.5, clip_on=False, zorder=3)
    if _LEFT <= value <= _RIGHT and math.isfinite(value):
        axes.plot(
            [value], [y], marker=_MARKERS[row["verdict"]], markersize=4.6, markerfacecolor=color if filled else PAPER,
            markeredgecolor=color, markeredgewidth=1.0, linestyle="none", clip_on=False, zorder=3,
        )  # fmt: skip


def _legend(axes: Axes, names: Sequence[str], height: float) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [Patch(color=GRID, label="accepted")]
    for verdict in ("pass", "unclear", "miss"):
        color = _COLORS[verdict]
        handles.append(Line2D([], [], color=color, marker=_MARKERS[verdict], markersize=4.6, label=verdict))
        if verdict == "pass":
            handles.append(Line2D([], [], color=_WIDE, marker="o", markersize=4.6, label="pass, interval wider"))
    if len(names) > 1:
        for number, name in enumerate(names):
            face = MUTED if number == 0 else PAPER
            handles.append(
                Line2D([], [], color=MUTED, marker="o", markerfacecolor=face, linestyle="none", markersize=4.6,
                       label=f"{name} seeds")
            )  # fmt: skip
    axes.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.36 / height),
        ncols=len(handles), fontsize=7.0, frameon=False, handletextpad=0.4, columnspacing=1.2,
    )  # fmt: skip
