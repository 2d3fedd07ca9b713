"""Figures of a sweep: outcomes over a factor, and paired differences at every point."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.drawing.canvas import FigureFile, blank, finish, look
from experiments.drawing.palette import MUTED, PAPER, RegimeStyle, regime_styles
from experiments.sweep import findings
from experiments.vocabulary import Scale, describe, show
from experiments.wording import verdict_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS = 6
POINTS_SHOWN = 16


def figures(result: Mapping[str, Any], folder: Path) -> list[FigureFile]:
    """Draw a sweep: differences from the baseline where regimes are compared, then a response per factor."""
    styles = regime_styles(result["regimes"])
    with look():
        found = []
        if findings.others(result) and len(result["points"]) <= POINTS_SHOWN:
            found.append(_forest(result, folder, styles))
        for factor in result["factors"]:
            if factor["name"] in result["effects"] and len(result["effects"][factor["name"]]["labels"]) > 1:
                found.append(_response(result, folder, styles, factor))
    return found


def _names(result: Mapping[str, Any]) -> list[str]:
    """Outcomes that vary at all, up to the number of panels."""

    def varies(name: str) -> bool:
        means = {e.get("mean") for p in result["points"] for e in p["measures"].get(name, {}).values()}
        return len(means - {None}) > 1

    names = [name for name in result["outcomes"] if varies(name)] or list(result["outcomes"])
    return names[:PANELS]


def _forest(result: Mapping[str, Any], folder: Path, styles: Mapping[str, RegimeStyle]) -> FigureFile:
    """A panel per outcome, a row per point, a mark per regime."""
    names, scales, regimes = _names(result), findings.outcome_scales(result), findings.others(result)
    rows = math.ceil(len(names) / 2)
    points = result["points"]
    height = rows * (0.75 + (0.2 + 0.13 * len(regimes)) * len(points)) + 0.75
    figure = blank(height)
    grid = figure.subplots(rows, 2, squeeze=False)
    said = []
    for i, axes in enumerate(grid.flat):
        if i >= len(names):
            axes.set_axis_off()
            continue
        name, scale = names[i], scales[names[i]]
        axes.axvline(0.0, color=MUTED, linewidth=0.9, zorder=1)
        for row, point in enumerate(points):
            for place, label in enumerate(regimes):
                entry = point["differences"].get(label, {}).get(name, {})
                height_at = row + 0.6 * ((place + 0.5) / len(regimes) - 0.5)
                _mark(axes, entry, scale, styles[label], height_at)
                if entry.get("mean") is not None:
                    text = show(entry, scale, difference=True).text
                    said.append(f"{describe(name).label}, {_point_name(result, point)}, {label}: {text}")
        texts = [_point_name(result, point) for point in points]
        axes.set_ylim(len(points) - 0.4, -0.6)
        axes.set_yticks(range(len(points)), texts if i % 2 == 0 else [""] * len(points))
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(visible=False, axis="y")
        axes.grid(visible=True, axis="x")
        axes.margins(x=0.08)
        axes.locator_params(axis="x", nbins=4)
        axes.set_title(_title(name, scale.difference_unit), fontsize=8.5)
    _legend(figure, regimes, styles)
    caption = (
        f"Paired differences from {result['baseline']}, mean over seeds and 95 % bootstrap interval. Filled: differs "
        "after correction over points, regimes and outcomes."
    )
    alt = f"Forest plot of paired differences by point. {'; '.join(said)}."
    return finish(figure, folder, "differences", findings.headline(result).rstrip("."), alt, caption)


def _mark(axes: Axes, entry: Mapping[str, Any], scale: Scale, style: RegimeStyle, at: float) -> None:
    mean, low, high = (entry.get(key) for key in ("mean", "low", "high"))
    if mean is None:
        return
    if low is not None and high is not None:
        axes.plot([low * scale.factor, high * scale.factor], [at, at], color=style.color, linewidth=1.5, zorder=2)
    face = style.color if verdict_of(entry) == "different" else PAPER
    axes.plot(
        [mean * scale.factor], [at], marker=style.marker, markersize=4.6, markerfacecolor=face,
        markeredgecolor=style.color, markeredgewidth=1.2, linestyle="none", zorder=3,
    )  # fmt: skip


def _point_name(result: Mapping[str, Any], point: Mapping[str, Any]) -> str:
    return ", ".join(point["labels"][factor["name"]] for factor in result["factors"]) or result["scenario"]


def _response(
    result: Mapping[str, Any], folder: Path, styles: Mapping[str, RegimeStyle], factor: Mapping[str, Any]
) -> FigureFile:
    """A panel per outcome: its mean at each level of a factor, a line per regime."""
    names, scales = _names(result), findings.outcome_scales(result)
    found = result["effects"][factor["name"]]
    labels, centres = found["labels"], found["centres"]
    spread = centres is not None and len(set(centres)) == len(centres)
    at: Sequence[float] = centres if spread else list(range(len(labels)))
    rows = math.ceil(len(names) / 2)
    figure = blank(1.75 * rows + 0.7)
    grid = figure.subplots(rows, 2, squeeze=False, sharex=True)
    said = []
    for i, axes in enumerate(grid.flat):
        if i >= len(names):
            axes.set_axis_off()
            continue
        name, scale = names[i], scales[names[i]]
        for label in result["regimes"]:
            estimates = found["response"].get(label, {}).get(name, [])
            drawn = [(x, e) for x, e in zip(at, estimates, strict=False) if e["mean"] is not None]
            _line(axes, drawn, scale, styles[label])
            said += [
                f"{describe(name).label}, {label}, {labels[j]}: {show(e, scale).text}" for j, e in enumerate(estimates)
            ]
        if spread and factor["scale"] == "log":
            axes.set_xscale("log")
        if spread and len(labels) <= PANELS:
            axes.set_xticks(list(at), labels)
            axes.minorticks_off()
        elif not spread:
            axes.set_xticks(list(at), ["\n".join(textwrap.wrap(label, 12)) for label in labels])
            axes.set_xlim(-0.4, len(labels) - 0.6)
        axes.set_title(_title(name, scale.unit), fontsize=8.5)
        axes.locator_params(axis="y", nbins=5)
    for axes in list(grid.flat)[max(len(names) - 2, 0) : len(names)]:
        axes.set_xlabel(factor["name"])
        axes.tick_params(labelbottom=True)
    _legend(figure, result["regimes"], styles)
    caption = (
        f"Means over seeds and over the points of each level of {factor['name']}, with 95 % bootstrap intervals over "
        "seeds. Levels share their seeds: differences between levels are told apart better than these intervals show."
    )
    alt = f"Outcomes over {factor['name']}. {'; '.join(said)}."
    return finish(figure, folder, f"response-{_slug(factor['name'])}", _response_title(result, factor), alt, caption)


def _line(axes: Axes, drawn: Sequence[tuple[float, Mapping[str, Any]]], scale: Scale, style: RegimeStyle) -> None:
    means = [e["mean"] * scale.factor for _, e in drawn]
    axes.plot(
        [x for x, _ in drawn], means, **style.line(), marker=style.marker, markersize=4.6, markeredgecolor=PAPER,
        markeredgewidth=0.6, zorder=3,
    )  # fmt: skip
    for x, e in drawn:
        if e.get("low") is not None and e.get("high") is not None:
            axes.plot([x, x], [e["low"] * scale.factor, e["high"] * scale.factor], color=style.color, linewidth=1.1)


def _response_title(result: Mapping[str, Any], factor: Mapping[str, Any]) -> str:
    """Outcomes that change from the first level to the last under the baseline, after correction."""
    by = result["effects"][factor["name"]]["contrasts"].get(result["baseline"], {})
    changed = [describe(n).label for n, e in by.items() if e and any(verdict_of(x) == "different" for x in e)]
    if not changed:
        return f"{factor['name']}: no effect on any outcome under {result['baseline']} survives the correction"
    return f"{factor['name']} changes {', '.join(changed)} under {result['baseline']}"


def _legend(figure: Any, regimes: Sequence[str], styles: Mapping[str, RegimeStyle]) -> None:
    from matplotlib.lines import Line2D

    if len(regimes) < 2:
        return
    handles = [Line2D([], [], **styles[r].line(), marker=styles[r].marker, markersize=4.6, label=r) for r in regimes]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(regimes), 4), frameon=False)


def _title(name: str, unit: str) -> str:
    label = describe(name).label
    text = f"{label[0].upper()}{label[1:]}"
    return "\n".join(textwrap.wrap(f"{text}, {unit}" if unit and unit not in label.split() else text, 38))


def _slug(text: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in text).split()).lower() or "factor"
