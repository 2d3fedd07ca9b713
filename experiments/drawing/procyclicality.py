"""Figures of procyclicality: live against frozen margins, the response to a step, leads and lags, the frontier."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.drawing.canvas import FIGURES, FigureFile, blank, finish, look
from experiments.drawing.palette import MUTED, PAPER, RegimeStyle, regime_styles
from experiments.procyclicality.names import measure_of
from experiments.vocabulary import Money, number, scale_of
from experiments.wording import listing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SHADE = 0.16
_SAID = 4  # regimes that a title names one by one
_MARKERS = "hp*>d8H1234"  # where colours come round again


def draw(folder: Path, result: Mapping[str, Any]) -> None:
    """Draw into an output folder."""
    figures(result, folder / FIGURES)


def figures(result: Mapping[str, Any], folder: Path) -> list[FigureFile]:
    """Draw what a result holds.

    Args:
        result: of :func:`experiments.procyclicality.study.measure` or of historical prices.
        folder: where the files go.
    """
    names = list(result["frontier"]["values"])
    styles = _told_apart(regime_styles(names))
    with look():
        drawn = []
        moved = [label for label, entry in result.get("endogenous", {}).items() if not entry["identical"]]
        if moved:
            drawn.append(_endogenous(result, moved, styles, folder))
        if result["response"]["regimes"]:
            drawn.append(_response(result, styles, folder))
        if any(_known(entry["volatility"]["mean"]) for entry in result["lead_lag"].values()):
            drawn.append(_lead_lag(result, styles, folder))
        drawn.append(_frontier(result, styles, folder))
    return drawn


def _told_apart(styles: Mapping[str, RegimeStyle]) -> dict[str, RegimeStyle]:
    """Another marker where a colour and its marker come a second time."""
    seen: set[tuple[str, str]] = set()
    free = iter(_MARKERS)
    found = {}
    for name, style in styles.items():
        again = (style.color, style.marker) in seen
        found[name] = replace(style, marker=next(free, style.marker)) if again else style
        seen.add((style.color, style.marker))
    return found


def _some(said: Sequence[tuple[str, float]], places: int) -> str:
    """A few regimes with their numbers: all, or the smallest and the largest."""
    if len(said) <= _SAID:
        return listing([f"{label} {number(value, places)}" for label, value in said])
    ordered = sorted(said, key=lambda pair: pair[1])
    (low, least), (high, most) = ordered[0], ordered[-1]
    return f"from {number(least, places)} ({low}) to {number(most, places)} ({high})"


def _known(values: Sequence[float | None]) -> bool:
    return any(value is not None for value in values)


def _floats(values: Sequence[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], float)


def _band(
    axes: Axes, x: Sequence[float], band: Mapping[str, Any], style: RegimeStyle, *, to: Any, label: str, **look_: Any
) -> None:
    """A mean with its interval over seeds."""
    mean, low, high = (to(_floats(band[key])) for key in ("mean", "low", "high"))
    axes.plot(x, mean, label=label, **style.line() | look_)
    if np.isfinite(low).any():
        axes.fill_between(x, low, high, color=style.color, alpha=_SHADE, linewidth=0.0)


def _endogenous(
    result: Mapping[str, Any], regimes: Sequence[str], styles: Mapping[str, RegimeStyle], folder: Path
) -> FigureFile:
    """Above: how far the live price is from the frozen one. Below: both margins."""
    figure = blank(4.6)
    price, margin = figure.subplots(2, 1, sharex=True)
    said = []
    for label in regimes:
        path, style = result["endogenous"][label]["path"], styles[label]
        minutes = path["minutes"]
        _band(price, minutes, path["price_gap"], style, to=lambda x: 100.0 * x, label=label)
        _band(margin, minutes, path["margin_live"], style, to=lambda x: 100.0 * x, label=f"{label}, live")
        mean = 100.0 * _floats(path["margin_frozen"]["mean"])
        margin.plot(minutes, mean, color=style.color, linewidth=0.9, linestyle=(0, (1, 1.4)), label=f"{label}, frozen")
        difference = result["endogenous"][label]["differences"]["drawdown"]
        ends = ", ".join(number(100.0 * end, 2, signed=True) for end in (difference["low"], difference["high"]) if
                         end is not None)  # fmt: skip
        said.append(f"{label}: {number(100.0 * difference['mean'], 2, signed=True)} pp of drawdown [{ends}]")
    price.axhline(0.0, color=MUTED, linewidth=0.8)
    price.set_ylabel("live price over\nfrozen price, %")
    margin.set_ylabel("margin of a unit,\n% of value")
    margin.set_xlabel(f"minutes after {result['event_name']}")
    margin.set_ylim(bottom=0.0)
    margin.legend(frameon=False, fontsize=7.5, ncols=2)
    if len(regimes) > 1:
        price.legend(frameon=False, fontsize=7.5)
    title = f"What the rule itself brought about after {result['event_name']}: {'; '.join(said)}"
    caption = (
        f"Each seed goes on from {result['event_name']} twice, with the rule live and with margins frozen there. Mean "
        f"over {len(result['seeds'])} seeds, shaded: its 95 % interval (Student), point by point."
    )
    alt = f"Two panels over time: the gap between live and frozen price, and both margins. {'; '.join(said)}."
    return finish(figure, folder, "endogenous", title, alt, caption)


def _response(result: Mapping[str, Any], styles: Mapping[str, RegimeStyle], folder: Path) -> FigureFile:
    response = result["response"]
    figure = blank(2.9)
    axes = figure.subplots()
    said = []
    for label, entry in response["regimes"].items():
        _band(axes, entry["x"], entry["log_ratio"], styles[label], to=np.exp, label=label)
        mean = np.exp(_floats(entry["log_ratio"]["mean"]))
        said.append((label, float(mean.max())))
    axes.axhline(response["factor"], color=MUTED, linewidth=0.9, linestyle=(0, (1, 1.4)))
    axes.axhline(1.0, color=MUTED, linewidth=0.7)
    axes.set_ylabel("margin with the step over\nmargin without it")
    axes.set_xlabel({"min": "minutes", "d": "days"}[response["unit"]] + " after the step of volatility")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize=7.5)
    peaks = _some(said, 2)
    title = f"After a step of volatility by {response['factor']:g}, margin over what it would be peaks at: {peaks}"
    caption = (
        "Geometric mean over twins with and without the step, shaded: 95 % interval (Student) of each point. Dotted: "
        "the factor by which the volatility of value (of returns, on drawn paths) was multiplied."
    )
    alt = f"Ratio of margins over time, peaks: {'; '.join(f'{label} {value:.2f}' for label, value in said)}."
    return finish(figure, folder, "impulse-response", title, alt, caption)


def _lead_lag(result: Mapping[str, Any], styles: Mapping[str, RegimeStyle], folder: Path) -> FigureFile:
    figure = blank(2.9)
    panels = figure.subplots(1, 2)
    said = []
    days = result["mode"] == "historical"
    for label, entry in result["lead_lag"].items():
        if not _known(entry["volatility"]["mean"]):
            continue
        x = entry["lags_days"] if days else entry["lags_minutes"]
        for axes, name in zip(panels, ("volatility", "price"), strict=True):
            _band(axes, x, entry[name], styles[label], to=lambda v: v, label=label)
        now = entry["volatility"]["mean"][len(x) // 2]
        if now is not None:
            said.append((label, now))
    unit = "days" if days else "minutes"
    for axes, title in zip(panels, ("log margin with log volatility", "change of margin with return"), strict=True):
        axes.axvline(0.0, color=MUTED, linewidth=0.7)
        axes.axhline(0.0, color=MUTED, linewidth=0.7)
        axes.set_xlabel(f"lag of margin, {unit}")
        axes.set_title(title)
    panels[0].set_ylabel("correlation")
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=4, frameon=False, fontsize=7.5)
    title = f"Correlation of margin with volatility at the same time: {_some(said, 2)}"
    caption = "Right of zero margin follows, left of it margin leads. Shaded, with seeds: 95 % interval (Student)."
    alt = f"Two panels of correlations by lag; at lag 0 {'; '.join(f'{label} {value:.2f}' for label, value in said)}."
    return finish(figure, folder, "lead-lag", title, alt, caption)


def _frontier(result: Mapping[str, Any], styles: Mapping[str, RegimeStyle], folder: Path) -> FigureFile:
    """Cost against procyclicality, coverage against default loss; filled: not dominated."""
    frontier, money = result["frontier"], Money.of(result)
    cost, cover, cycle, loss = frontier["objectives"]
    figure = blank(3.3)
    panels = figure.subplots(1, 2)
    for axes, (x_name, y_name) in zip(panels, ((cost, cycle), (cover, loss)), strict=True):
        ends: list[tuple[float, float, str]] = []
        scales = []
        for name in (x_name, y_name):
            values = [by[name] for by in frontier["values"].values()]
            scales.append(scale_of(measure_of(name).kind, values, money))
        for label, by in frontier["values"].items():
            if by[x_name] is None or by[y_name] is None:
                continue
            x, y = by[x_name] * scales[0].factor, by[y_name] * scales[1].factor
            style, on = styles[label], label in frontier["non_dominated"]
            axes.plot(
                [x], [y], linestyle="none", marker=style.marker, markersize=6.5, markeredgecolor=style.color,
                markerfacecolor=style.color if on else PAPER, markeredgewidth=1.3, label=label,
            )  # fmt: skip
            ends.append((x, y, label))
        for name, scale, put in zip((x_name, y_name), scales, (axes.set_xlabel, axes.set_ylabel), strict=True):
            put(textwrap.fill(measure_of(name).label + (f", {scale.unit}" if scale.unit else ""), 24))
        axes.margins(0.18)
        if y_name == cycle and ends and max(y for _, y, _ in ends) > 8.0:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False,
                  fontsize=7.5)  # fmt: skip
    support = frontier["support"]
    said = [
        f"{label} ({100.0 * support[label]:.0f} %)" if frontier["resamples"] else label
        for label in frontier["non_dominated"]
    ]
    whole = len(said) == len(frontier["values"])
    told_all = "every regime, each in its own way" if whole and len(said) > _SAID else listing(said)
    title = f"Not dominated in cost, coverage, procyclicality and default loss: {told_all}"
    caption = (
        "Filled: no other regime is at least as good in all four and better in one. In brackets: share of bootstrap "
        "resamples in which this holds."
    )
    told = "; ".join(f"{name}: {support[name]:.2f}" for name in frontier["values"])
    return finish(figure, folder, "frontier", title, f"Two scatters of objectives. Support: {told}.", caption)
