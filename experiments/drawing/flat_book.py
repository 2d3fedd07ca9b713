"""The figure of the flat-book law: measured amplification over the gain, on the curve 1 / (1 - g)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments.drawing.canvas import FIGURES, FigureFile, blank, finish, look
from experiments.drawing.palette import GRID, INK, MUTED, regime_styles

_HIGHEST = 0.985  # of the gain up to which the curve is drawn


def figure(result: Mapping[str, Any], folder: Path) -> FigureFile:
    """Draw what :func:`experiments.studies.flat_book.study` found into a folder, as PNG and SVG."""
    with look():
        return _amplification(result, folder)


def draw(folder: Path, result: Mapping[str, Any]) -> None:
    """Draw the figure of an output folder."""
    figure(result, folder / FIGURES)


def _amplification(result: Mapping[str, Any], folder: Path) -> FigureFile:
    from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

    drawn = blank(4.0)
    axes = drawn.subplots()
    rows = [{"gamma_gain": 0.0, **row} for row in result["rows"]]
    hedged = any(row["gamma_gain"] for row in rows)
    for row in rows:
        row["total"] = row["gain"] + row["gamma_gain"]
    gains = np.linspace(0.0, _HIGHEST, 400)
    axes.plot(gains, 1.0 / (1.0 - gains), color=MUTED, linewidth=1.2, label="1 / (1 \N{MINUS SIGN} g)")
    if any(row["loop_gain"] != row["total"] for row in rows):
        wide = np.linspace(0.0, 2.0 * _HIGHEST, 400)
        axes.plot(wide, 1.0 / (1.0 - wide / 2.0), color=MUTED, linewidth=1.0, linestyle="--",
                  label="1 / (1 \N{MINUS SIGN} g/2)")  # fmt: skip
    kinds = list(dict.fromkeys(_kind(row, hedged=hedged) for row in rows))
    styles = regime_styles(kinds)
    for kind, size in zip(kinds, _sizes(len(kinds)), strict=True):
        style = styles[kind]
        shown = [row for row in rows if _kind(row, hedged=hedged) == kind]
        for ended, fill in ((False, style.color), (True, "none")):
            points = [row for row in shown if row["exhausted"] == ended]
            axes.plot(
                [row["total"] for row in points], [row["measured"] for row in points], marker=style.marker,
                markersize=size, linestyle="none", markeredgecolor=style.color, markerfacecolor=fill,
                markeredgewidth=1.3, label=None if ended and any(not row["exhausted"] for row in shown) else kind,
            )  # fmt: skip
    right = max(1.05, 1.08 * max(row["total"] for row in rows))
    top = 1.6 * max(10.0, *(row["measured"] for row in rows))
    axes.set_xlim(0.0, right)
    axes.set_yscale("log")
    axes.set_ylim(0.9, top)
    axes.yaxis.set_major_locator(FixedLocator([t for t in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if t < top]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(ScalarFormatter())
    if right > 1.0 and any(row["runaway"] and row["loop_gain"] == row["total"] for row in rows):
        reach = max(row["cluster"] / row["sale"] for row in rows if row["runaway"])
        beyond = np.array([1.0, right])
        axes.plot(beyond, 1.0 + reach * beyond, color=MUTED, linewidth=1.0, linestyle=":",
                  label="cluster sold out")  # fmt: skip
        axes.axvspan(1.0, right, color=GRID, alpha=0.5, linewidth=0.0)
        axes.text(1.012, 0.95, "g \N{GREATER-THAN OR EQUAL TO} 1", fontsize=8.0, color=MUTED, va="bottom")
    if any(row["exhausted"] for row in rows):
        axes.plot([], [], marker="o", linestyle="none", markerfacecolor="none", markeredgecolor=INK, markersize=6.5,
                  label="runs away to the cluster\N{RIGHT SINGLE QUOTATION MARK}s end")  # fmt: skip
    axes.grid(True, axis="both", color=GRID)
    axes.set_xlabel(
        "gain g: lots liquidated and hedged per tick over bid lots per tick" if hedged
        else "gain g: lots liquidated per tick over bid lots per tick"
    )  # fmt: skip
    axes.set_ylabel("whole fall over exogenous fall")
    axes.legend(loc="upper left", frameon=False, fontsize=8.0, labelcolor=INK)
    title = _title({**result, "rows": rows})
    alt = f"Mark {result['mark']}, policy {result['policy']}. " + "; ".join(
        f"g {row['total']:g} ({_kind(row, hedged=hedged)}): {row['measured']:.3f}"
        + ("" if row["predicted"] is None else f" (law {row['predicted']:.3f})")
        for row in rows
    )
    caption = (
        f"{result['accounts']} longs over {result['depth']} bid lots per tick; mark {result['mark']}, liquidation "
        f"policy {result['policy']}. Open points: every long was liquidated"
        + (" and every option hedged." if hedged else ".")
    )
    return finish(drawn, folder, "flat-book", title, alt, caption)


def _kind(row: Mapping[str, Any], *, hedged: bool) -> str:
    """What a point is of: the size of its sale, and what answered it where that differs."""
    sale = f"sale of {row['sale']} ticks"
    if not hedged:
        return sale
    if not row["gamma_gain"]:
        return f"{sale}, liquidations"
    return f"{sale}, hedging" if not row["gain"] else f"{sale}, both"


def _sizes(count: int) -> list[float]:
    """Marker sizes that let points on the same spot be seen one inside the other."""
    return [6.5] if count == 1 else [max(11.0 - 3.5 * i, 4.0) for i in range(count)]


def _title(result: Mapping[str, Any]) -> str:
    rows = result["rows"]
    errors = [abs(row["relative_error"]) for row in rows if row["relative_error"] is not None and not row["runaway"]]
    ran = [row for row in rows if row["runaway"]]
    if not errors and not (ran and ran[0]["predicted"] is not None):
        steepest = max(rows, key=lambda row: row["total"])
        said = f"fall amplified {steepest['measured']:.2f} times at g = {steepest['total']:g}"
        return f"Mark {result['mark']}, policy {result['policy']}: {said}"
    told = []
    if errors:
        half = any(row["loop_gain"] != row["total"] for row in rows)
        law = "1 / (1 \N{MINUS SIGN} g/2)" if half else "1 / (1 \N{MINUS SIGN} g)"
        told.append(f"measured amplification within {100 * max(errors):.2g} % of {law}")
    if ran and all(row["exhausted"] for row in ran):
        told.append(f"runs away at g = {min(row['total'] for row in ran):g}")
    text = "; ".join(told)
    return text[:1].upper() + text[1:]
