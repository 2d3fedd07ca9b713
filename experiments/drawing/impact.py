"""Figures of an impact study: the curve on logarithmic axes with its fits, the path during and after the metaorder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.drawing.canvas import FIGURES, FigureFile, blank, finish, look
from experiments.drawing.palette import INK, MUTED, RegimeStyle, regime_styles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LABELS = {"own": "measured", "on": "with liquidations", "off": "without liquidations"}
_STYLES = {"own": "static", "on": "dynamic", "off": "portfolio"}  # black, red, blue


def figures(result: Mapping[str, Any], folder: Path) -> list[FigureFile]:
    """Draw what :func:`experiments.impact.study.measure` found into a folder, as PNG and SVG."""
    with look():
        drawn = [_curve(result, folder)]
        if len(result["path"]["time"]) > 2:
            drawn.append(_path(result, folder))
        return drawn


def draw(folder: Path, result: Mapping[str, Any]) -> None:
    """Draw the figures of an output folder."""
    figures(result, folder / FIGURES)


def _parts(result: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    both = result.get("liquidations")
    return {"own": result} if both is None else {mode: both[mode] for mode in ("on", "off")}


def _style(mode: str) -> RegimeStyle:
    return regime_styles(["static", "dynamic", "portfolio"])[_STYLES[mode]]


def _curve(result: Mapping[str, Any], folder: Path) -> FigureFile:
    drawn = blank(4.0)
    axes = drawn.subplots()
    parts = _parts(result)
    lowest, highest = np.inf, 0.0
    told = []
    for mode, part in parts.items():
        style, rows = _style(mode), part["curve"]
        q = np.array([row["executed"] for row in rows])
        y = np.array([row["impact"] for row in rows])
        shown = y > 0
        errors = np.array([[row["impact"] - row["low"], row["high"] - row["impact"]] if row["low"] is not None
                           else [0.0, 0.0] for row in rows]).T  # fmt: skip
        # an interval that reaches zero has no lower end on a logarithmic axis: it is drawn to a tenth of the point
        errors[0] = np.minimum(errors[0], 0.9 * np.abs(y))
        axes.errorbar(
            100 * q[shown], y[shown], yerr=np.maximum(errors[:, shown], 0.0), color=style.color, marker=style.marker,
            markersize=5, linestyle="none", capsize=2.5, linewidth=1.0, label=_LABELS[mode],
        )  # fmt: skip
        if not shown.all():
            left = ", ".join(f"{100 * size:g} %" for size in q[~shown])
            axes.plot([], [], " ", label=f"{_LABELS[mode]}: not above zero at {left}")
        value = part["exponent"]["value"]
        if value is not None and shown.any():
            grid = np.geomspace(q.min() / 1.3, q.max() * 1.3, 200)
            axes.plot(100 * grid, part["prefactor"]["value"] * grid**value, label=f"power law, exponent {value:.2f}",
                      **style.line())  # fmt: skip
            lowest = min(lowest, float(y[shown].min()))
            highest = max(highest, float(y.max()))
        told.append(_told(_LABELS[mode], part))
    _guides(axes, parts)
    axes.set_xscale("log")
    axes.set_yscale("log")
    if highest > 0.0:
        axes.set_ylim(0.5 * lowest, 2.0 * highest)
    axes.set_xlabel("size, % of daily volume")
    axes.set_ylabel("impact at the end,\ndaily volatilities")
    _plain_ticks(axes)
    asked = sorted({row["size"] for part in parts.values() for row in part["curve"]})
    axes.set_xticks([100 * size for size in asked], [f"{100 * size:g}" for size in asked])
    axes.legend(frameon=False, fontsize=7.5, loc="lower right")
    title = _title(result, parts)
    caption = (
        f"{result['scenario']}, {result['reading']}, {len(result['seeds'])} seeds. Mean over seeds with 95 % interval; "
        "thin lines: slopes one half and one through the middle of the curve."
    )
    return finish(drawn, folder, "impact-curve", title, " ".join(told), caption)


def _told(label: str, part: Mapping[str, Any]) -> str:
    points = ", ".join(f"{row['impact']:.2f} at {100 * row['executed']:.2g} %" for row in part["curve"])
    return f"Impact in daily volatilities, {label}: {points}."


def _title(result: Mapping[str, Any], parts: Mapping[str, Mapping[str, Any]]) -> str:
    if "own" not in parts:
        ratio = result["liquidations"]["effect"]["prefactor_ratio"]
        if ratio["value"] is None:
            return "Impact with liquidations and without"
        return f"Liquidations multiply the impact by {ratio['value']:.2f}" + _range(ratio)
    found = parts["own"]["exponent"]
    if found["value"] is None:
        return "Impact of metaorders"
    return f"Impact grows as size to the power {found['value']:.2f}" + _range(found)


def _range(estimate: Mapping[str, Any]) -> str:
    return "" if estimate["low"] is None else f" [{estimate['low']:.2f}, {estimate['high']:.2f}]"


def _guides(axes: Axes, parts: Mapping[str, Mapping[str, Any]]) -> None:
    """Slopes one half and one through the geometric middle of the last curve."""
    rows = [row for row in list(parts.values())[-1]["curve"] if row["impact"] > 0]
    if len(rows) < 2:
        return
    q = np.array([row["executed"] for row in rows])
    middle, level = np.exp(np.mean(np.log(q))), np.exp(np.mean(np.log([row["impact"] for row in rows])))
    for slope in (0.5, 1.0):
        grid = np.array([q.min(), q.max()])
        axes.plot(100 * grid, level * (grid / middle) ** slope, color=MUTED, linewidth=0.7, linestyle=":", zorder=0)
        axes.annotate("1/2" if slope == 0.5 else "1", (100 * grid[1], level * (grid[1] / middle) ** slope), color=MUTED,
                      fontsize=7.5, xytext=(3, 0), textcoords="offset points", va="center")  # fmt: skip


def _plain_ticks(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())


def _path(result: Mapping[str, Any], folder: Path) -> FigureFile:
    drawn = blank(3.4)
    axes = drawn.subplots()
    parts = _parts(result)
    time = np.array(result["path"]["time"], float)
    told = []
    for mode, part in parts.items():
        style = _style(mode)
        ratio, error = (np.array(part["path"]["pooled"][key], float) for key in ("ratio", "se"))
        axes.plot(time, ratio, label=f"{_LABELS[mode]}, all sizes", **style.line())
        if np.isfinite(error).all():
            axes.fill_between(time, ratio - 1.96 * error, ratio + 1.96 * error, color=style.color, alpha=0.15, lw=0)
        told.append(f"{_LABELS[mode]}: {ratio[-1]:.2f} of the impact is left at {time[-1]:g} durations.")
    grid = np.linspace(0.0, 1.0, 200)
    axes.plot(grid, np.sqrt(grid), color=MUTED, linewidth=0.9, linestyle=":", label="square root of time")
    if time[-1] > 1.0:
        axes.axvline(1.0, color=INK, linewidth=0.7)
        axes.axhline(2.0 / 3.0, color=MUTED, linewidth=0.7, linestyle="--", label="2/3, the fair price")
    axes.set_xlim(0.0, time[-1])
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.set_xlabel("time since the start, durations of the metaorder (it ends at 1)")
    axes.set_ylabel("impact over impact at the end")
    axes.legend(frameon=False, fontsize=7.5, loc="lower right")
    kept = next(iter(parts.values()))["path"]["kept"]
    title = "Impact while the metaorder is worked"
    if kept["at"] > 1.0 and kept["value"] is not None:
        title = f"{100 * kept['value']:.0f} % of the impact is left {kept['at'] - 1:g} durations after the end"
    caption = f"{result['scenario']}, {result['reading']}, {len(result['seeds'])} seeds. Band: 95 % over seeds."
    return finish(drawn, folder, "impact-path", title, " ".join(told), caption)
