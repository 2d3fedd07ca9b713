"""The figure of the replication of 10 October 2025: price, open interest, forced closings, depth, minute by minute."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments.drawing.canvas import FIGURES, FigureFile, canvas, finish, from_zero, look
from experiments.drawing.palette import INK, MUTED

_BLUE, _RED = "#004488", "#bb5566"
_START_HOUR = 13.0  # UTC of the window's start
_ZOOM = (465, 525)  # minutes: 20:45 to 21:45


def figure(result: Mapping[str, Any], folder: Path) -> list[FigureFile]:
    """Draw the whole window and the hour around the crash.

    Args:
        result: what :func:`experiments.replications.october_2025.summary` gives.
        folder: where to put the files.
    """
    whole = _draw(result, folder, "day", slice(None), "hour of the day, UTC")
    hour = _draw(result, folder, "hour", slice(*_ZOOM), "hour of the day, UTC")
    return [whole, hour]


def draw(folder: Path, result: Mapping[str, Any]) -> None:
    """Draw the figures of an output folder."""
    figure(result, folder / FIGURES)


def _draw(result: Mapping[str, Any], folder: Path, name: str, minutes: slice, label: str) -> FigureFile:
    series = {key: {q: np.asarray(v, float) for q, v in by.items()} for key, by in result["series"].items()}
    n = len(series["mid"]["median"])
    hours = (_START_HOUR + (np.arange(n) + 0.5) / 60.0)[minutes]
    judged, first = result["measures"], result["seeds"][0]
    share = judged["worst_40_minutes"]["mean"]
    title = (
        "Most of the day's forced selling falls into minutes: the price overshoots its value, open interest goes"
        if share is None
        else f"{100 * share:.0f} % of the day's liquidations fall into their worst 40 minutes, "
        "and winners are closed out with the losers"
    )
    with look():
        sheet, axes = canvas([1.7, 1.25, 1.4, 1.25])
        for row, (key, text, scale) in enumerate(
            (("mid", "price", 1.0), ("open_interest", "open interest,\n1,000 lots", 1e-3), ("", "", 1.0),
             ("depth_bid", "bids within 5 %,\n1,000 lots", 1e-3))
        ):  # fmt: skip
            if not key:
                continue
            by = {q: v[minutes] * scale for q, v in series[key].items()}
            axes[row].fill_between(hours, by["low"], by["high"], color=_BLUE, alpha=0.18, linewidth=0)
            axes[row].plot(hours, by["median"], color=_BLUE, linewidth=1.2, label="median of seeds, 10 to 90 %")
            axes[row].plot(hours, by["first"], color=INK, linewidth=0.6, label=f"seed {first}")
            axes[row].set_ylabel(text)
            if key != "mid":
                from_zero(axes[row])
                axes[row].set_ylim(0.0, 1.06 * max(float(by["high"].max()), float(by["first"].max()), 1e-3))
        value = series["value"]["median"][minutes]
        axes[0].plot(hours, value, color=MUTED, linewidth=1.0, linestyle="--", label="exogenous value, median")
        axes[0].legend(loc="lower left", fontsize=7, frameon=False, ncols=3)
        total = float(np.sum(series["liquidated"]["first"])) or 1.0
        width = 1.0 / 60.0
        closed = 100 * series["liquidated"]["first"][minutes] / total
        given = 100 * series["deleveraged"]["first"][minutes] / total
        axes[2].bar(hours, closed, width, color=_RED, alpha=0.55, label=f"liquidated (seed {first})")
        axes[2].bar(hours, given, width, color=INK, label="auto-deleveraging, of traders and of the vault")
        axes[2].set_ylabel("% of all liqui-\ndations, a minute")
        axes[2].legend(loc="upper left", fontsize=7, frameon=False)
        axes[-1].set_xlabel(label)
        axes[-1].set_xlim(hours[0] - width, hours[-1] + width)
        ticks = np.arange(np.ceil(hours[0]), hours[-1] + 0.01, 2.0) if name == "day" else np.arange(20.75, 21.76, 0.25)
        axes[-1].set_xticks(ticks, [f"{int(t) % 24:02d}:{round(60 * (t % 1)):02d}" for t in ticks])
        fall, oi = result["more"]["price_fall"]["mean"], judged["open_interest_fall"]["mean"]
        alt = (
            f"Four panels over time. The price falls by {100 * (fall or 0):.0f} % on average from the window's start, "
            f"open interest by {100 * (oi or 0):.0f} % from before the crash; liquidations and auto-deleveraging per "
            "minute; depth within 5 % below the price."
        )
        caption = (
            "Price, open interest, forced closings per minute and bid depth. Bands and thick lines: quantiles over "
            "seeds; thin line and bars: the first seed."
        )
        return finish(sheet, folder, name, title, alt, caption)
