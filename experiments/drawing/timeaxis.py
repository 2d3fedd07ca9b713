"""The horizontal axis of figures over time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from experiments.drawing.palette import MUTED

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_SPANS = ((3.0 * 86_400.0, 86_400.0, "days"), (5.0 * 3_600.0, 3_600.0, "hours"), (300.0, 60.0, "minutes"))


def shown_rows(table: pd.DataFrame, result: Mapping[str, Any]) -> pd.DataFrame:
    """Rows that figures show: all of a whole run; around the event, as much before as after it, where arms fork."""
    event = result.get("event_step")
    if event is None or not str(result.get("reading", "")).startswith("forked"):
        return table
    steps = table["step"]
    first = int(event) - (int(steps.max()) - int(event)) // 2
    cut = table[steps >= first]
    return cut if len(cut) else table


@dataclass(frozen=True)
class TimeAxis:
    """How steps are placed on a horizontal axis.

    Attributes:
        divisor: Seconds per unit of the axis; 0 for calendar dates.
        origin: Time in seconds that is zero on the axis.
        label: Label with the unit.
        event: Position of the event, if there is one.
        event_name: What is written beside it.
        dates: Calendar date by day of the run, as days since 1970, for replayed history.
    """

    divisor: float
    origin: float
    label: str
    event: float | None = None
    event_name: str = ""
    dates: tuple[float, ...] = ()

    @classmethod
    def of(cls, table: pd.DataFrame, result: Mapping[str, Any]) -> TimeAxis:
        """Choose calendar dates where the result has them, else a unit that fits, counted from the event if any."""
        seconds = table["time_s"].to_numpy(float)
        step, name = result.get("event_step"), str(result.get("event_name") or "event")
        at = None
        if step is not None and (table["step"] >= int(step)).any():
            at = float(seconds[(table["step"] >= int(step)).to_numpy()][0])
        if result.get("dates"):
            days = tuple(np.asarray(list(result["dates"]), dtype="datetime64[D]").astype(float))
            axis = cls(0.0, 0.0, "date", None, name, days)
            if step is None or at is None:
                return axis
            return cls(0.0, 0.0, "date", float(axis.position(table[table["step"] >= int(step)])[0]), name, days)
        span = float(seconds.max() - seconds.min())
        divisor, unit = next(((d, u) for least, d, u in _SPANS if span >= least), (1.0, "seconds"))
        if at is None:
            return cls(divisor, 0.0, f"time, {unit}")
        return cls(divisor, at, f"time from {name}, {unit}", 0.0, name)

    def position(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """Positions of rows on the axis."""
        seconds = rows["time_s"].to_numpy(float)
        if not self.dates:
            return (seconds - self.origin) / self.divisor
        day = np.clip(rows["day"].to_numpy(int), 0, len(self.dates) - 1)
        # Within a day, records are spread over it in their order, for calendar days are longer than sessions.
        first = np.concatenate(([0], np.flatnonzero(np.diff(day)) + 1)) if len(day) else np.zeros(0, int)
        count = np.diff(np.concatenate((first, [len(day)])))
        within = (np.arange(len(day)) - np.repeat(first, count)) / np.repeat(count, count)
        return np.asarray(self.dates)[day] + within

    def dress(self, bottom: Axes, panels: Iterable[Axes]) -> None:
        """Label the lowest panel, mark the event in all, keep the curves off the frame."""
        if self.dates:
            from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

            locator = AutoDateLocator(minticks=4, maxticks=8)
            bottom.xaxis.set_major_locator(locator)
            bottom.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        bottom.set_xlabel(self.label)
        for i, axes in enumerate(panels):
            axes.margins(x=0.01)
            if self.event is not None:
                axes.axvline(self.event, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1.4)
                if i == 0:
                    axes.annotate(
                        self.event_name, (self.event, 1.0), (0, 2), xycoords=("data", "axes fraction"),
                        textcoords="offset points", ha="center", va="bottom", fontsize=8, color=MUTED,
                    )  # fmt: skip
