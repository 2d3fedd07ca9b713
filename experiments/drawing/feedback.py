"""The figure of a map of feedback: depth, dealers' gamma, liquidations and stops by price, and the gain."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.drawing.canvas import FIGURES, FigureFile, canvas, finish, look
from experiments.drawing.palette import GRID, INK, MUTED, regime_styles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

_MOST_GAIN = 4.0  # the axis of the gain is cut off here
_PARTS = {"gain_gamma": "hedging", "gain_liquidations": "liquidations", "gain_stops": "stops"}


def draw(folder: Path, result: Mapping[str, Any]) -> None:
    """Draw the figure of an output folder."""
    figure(result, folder / FIGURES)


def figure(result: Mapping[str, Any], folder: Path) -> FigureFile:
    """Draw what :func:`experiments.feedback.study.measure` found, as PNG and SVG."""
    bands = {key: _column(result, key) for key in result["bands"][0]}
    with look():
        drawn, (book, gamma, map_, gain) = canvas([1.1, 1.1, 1.25, 1.5])
        styles = regime_styles(("all", *_PARTS.values()))
        prices, width = bands["price"], result["band"] * result["tick_size"]
        # the rows hold outer edges; bars stand in the middle of their bands
        middle = np.where(prices < result["mark"] * result["tick_size"], prices + width / 2, prices - width / 2)
        book.bar(middle, bands["depth"], width=width, color=MUTED, linewidth=0.0)
        book.set_ylabel("depth")
        _line(gamma, middle, bands["dealer_gamma"], styles["hedging"].color)
        gamma.axhline(0.0, color=MUTED, linewidth=0.6)
        gamma.set_ylabel("dealer gamma")
        map_.bar(middle, bands["liquidated"], width=width, color=styles["liquidations"].color, linewidth=0.0)
        if bands["stops"].any():
            map_.bar(
                middle, bands["stops"], width=width, bottom=np.maximum(bands["liquidated"], 0.0),
                color=styles["stops"].color, linewidth=0.0, label="stops",
            )  # fmt: skip
            map_.legend(frameon=False, fontsize=7.5, loc="upper left")
        map_.set_ylabel("liquidated")
        _gains(gain, middle, bands, styles, result)
        for axes in (book, gamma, map_, gain):
            axes.axvline(result["mark"] * result["tick_size"], color=INK, linewidth=0.7)
        gain.set_xlabel(f"price of {result['contract']} (line: mark); upper panels in lots per tick")
        return finish(drawn, folder, "feedback", _title(result), _alt(result), _caption(result))


def _column(result: Mapping[str, Any], key: str) -> NDArray[Any]:
    values = [row[key] for row in result["bands"]]
    if isinstance(values[0], str):
        return np.array(values)
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _line(axes: Axes, x: NDArray[Any], y: NDArray[Any], color: str) -> None:
    axes.plot(x, y, color=color, linewidth=1.4)
    axes.fill_between(x, 0.0, y, color=color, alpha=0.18, linewidth=0.0)


def _gains(
    axes: Axes, middle: NDArray[Any], bands: Mapping[str, NDArray[Any]], styles: Mapping[str, Any],
    result: Mapping[str, Any],
) -> None:  # fmt: skip
    for low, high in result["runaway"]:
        axes.axvspan(low, high, color=GRID, alpha=0.7, linewidth=0.0)
    for key, label in _PARTS.items():
        if np.nan_to_num(bands[key]).any():
            style = styles[label]
            axes.plot(middle, bands[key], color=style.color, linestyle=style.dashes, linewidth=1.1, label=label)
    axes.plot(middle, bands["gain"], color=INK, linewidth=1.7, label="all")
    axes.axhline(1.0, color=MUTED, linewidth=0.8, linestyle="--")
    finite = bands["gain"][np.isfinite(bands["gain"])]
    low = min(0.0, float(finite.min())) if len(finite) else 0.0
    high = min(max(1.25, 1.1 * float(finite.max())), _MOST_GAIN) if len(finite) else 1.25
    axes.set_ylim(max(1.1 * low, -_MOST_GAIN), high)
    axes.set_ylabel("gain g")
    axes.legend(frameon=False, fontsize=7.5, ncols=4, loc="upper left")


def _gain_text(gain: Mapping[str, float | None]) -> str:
    return "n/a" if gain["all"] is None else f"{gain['all']:.2f}"


def _title(result: Mapping[str, Any]) -> str:
    near = f"{100 * result['near']:g} %"
    fall, rise = (_gain_text(result["gain"][way]) for way in ("fall", "rise"))
    return f"{result['scenario']}, step {result['at_step']}: gain {fall} over a fall of {near}, {rise} over a rise"


def _alt(result: Mapping[str, Any]) -> str:
    regions = "; ".join(f"{low:g} to {high:g}" for low, high in result["runaway"]) or "nowhere"
    gain = result["gain"]["fall"]
    parts = ", ".join(f"{name} {value:.3f}" for name, value in gain.items() if value is not None)
    return (
        f"By price around {result['mark'] * result['tick_size']:g}: lots in the book, dealers' gamma, lots "
        f"liquidated, and the gain. Gain over a fall of {100 * result['near']:g} %: {parts}. At least 1 at {regions}."
    )


def _caption(result: Mapping[str, Any]) -> str:
    hedged = ", ".join(result["hedgers"]) or "nobody"
    return (
        f"Seed {result['seed']}, regime {result['margin']}; bands of {result['band']} ticks. Depth: bids below the "
        f"mark, asks above it. Gamma: of the options of {hedged}; below zero the hedge sells into a fall and buys into "
        "a rise. Liquidated: positions that come short of maintenance there, revalued at that price. Gain: what "
        f"hedging, liquidations and stops trade per lot that rests, over {100 * result['smooth']:g} % of price; "
        "shaded where it is at least one."
    )
