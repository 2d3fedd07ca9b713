"""A tape: one price series with what else is known of it, from a simulated market or from data, in one form.

Every fact is measured on a tape, so that a simulated and a real series pass through the same code. Fields that a
source does not have are None, and facts that need them are then not measurable.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sim.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from sim.market import Market

Array = NDArray[Any]

DAY = 86_400.0
"""Seconds of a calendar day."""
WHOLE = 0.05
"""A horizon is a whole number of steps when it is one within five per cent."""
LONGEST_FILL = 1_800.0
"""Seconds without a bar that are still the same session; longer ones end it."""

_BOOK = ("bid", "ask", "depth_bid", "depth_ask")
_PER_STEP = ("mid", "bid", "ask", "depth_bid", "depth_ask", "volume", "value", "session")


@dataclass(frozen=True)
class Tape:
    """A price series at equal steps.

    Attributes:
        name: what a reader calls it.
        dt_seconds: seconds of a step; 86,400 for daily closes, whatever the exchange's hours.
        steps_per_day: steps of a trading day; 1 for daily closes.
        mid: price at the end of each step, float64[n]; mid quote where there are quotes, else last trade or close.
        bid: best bid at the end of each step, float64[n], NaN where that side is empty.
        ask: best ask, likewise.
        depth_bid: lots bid near the price (simulated markets: within 5 %), float64[n].
        depth_ask: lots offered, likewise.
        volume: lots traded in each step, float64[n].
        order_signs: +1 for a taker's buy, -1 for a sale, in order of time, one per taker order, float64[m].
        order_lots: lots of each of those, float64[m].
        value: fundamental value at the end of each step (simulated markets only), float64[n].
        session: number of the session of each step, int64[n]; no return is taken across two. None: one session.
        price: what ``mid`` is: ``"mid"``, ``"last"`` or ``"close"``.
    """

    name: str
    dt_seconds: float
    steps_per_day: int
    mid: Array
    bid: Array | None = None
    ask: Array | None = None
    depth_bid: Array | None = None
    depth_ask: Array | None = None
    volume: Array | None = None
    order_signs: Array | None = None
    order_lots: Array | None = None
    value: Array | None = None
    session: Array | None = None
    price: str = "mid"

    def __post_init__(self) -> None:
        """Refuse what is no tape.

        Raises:
            ConfigError: a step of no length, or arrays that do not fit together.
        """
        if not (math.isfinite(self.dt_seconds) and self.dt_seconds > 0):
            raise ConfigError.of("dt_seconds", self.dt_seconds, "seconds above 0")
        if self.steps_per_day < 1:
            raise ConfigError.of("steps_per_day", self.steps_per_day, "a whole number above 0")
        for name in _PER_STEP:
            values = getattr(self, name)
            if values is not None and np.shape(values) != (len(self.mid),):
                raise ConfigError.of(name, np.shape(values), f"one value for each of {len(self.mid)} steps")
        signs, lots = self.order_signs, self.order_lots
        if signs is not None and lots is not None and np.shape(lots) != np.shape(signs):
            raise ConfigError.of("order_lots", np.shape(lots), "one size for each order sign")

    @classmethod
    def from_market(cls, market: Market, start: int = 0, contract: int = 0, name: str | None = None) -> Tape:
        """What a market recorded after ``start`` completed steps.

        Order signs need ``record.trades``; fills of one taker order are one order. Depth within 5 % is recorded every
        ``record.depth_every`` steps and held in between.

        Args:
            market: a market that has run.
            start: completed steps to leave out, at least the burn-in.
            contract: which contract, in the order of the scenario.
            name: what the tape is called; the contract's name if None.

        Raises:
            ConfigError: fewer than two recorded steps after ``start``, or no such contract.
        """
        if not 0 <= contract < len(market.contracts):
            raise ConfigError.of("contract", contract, f"a number from 0 to {len(market.contracts) - 1}")
        label = market.contracts[contract].name
        table = market.steps_table()
        table = table[table["contract"] == label]
        volume = np.diff(table["volume"].to_numpy(np.float64), prepend=0.0)
        kept = table["step"].to_numpy() > start
        rows = table[kept]
        if len(rows) < 2:
            raise ConfigError.of("start", start, f"fewer than {market.tick - 1} steps, so that some remain")
        signs, lots = _orders(market, label, start) if market.record.trades else (None, None)
        every = market.record.every
        return cls(
            name=label if name is None else name,
            dt_seconds=market.config.dt_seconds * every,
            steps_per_day=max(1, round(market.config.steps_per_day / every)),
            mid=rows["mid"].to_numpy(np.float64),
            bid=rows["bid"].to_numpy(np.float64),
            ask=rows["ask"].to_numpy(np.float64),
            depth_bid=rows["depth_bid"].to_numpy(np.float64),
            depth_ask=rows["depth_ask"].to_numpy(np.float64),
            volume=volume[kept],
            order_signs=signs,
            order_lots=lots,
            value=rows["value"].to_numpy(np.float64),
        )

    @classmethod
    def from_bars(
        cls,
        frame: pd.DataFrame,
        *,
        name: str = "series",
        price: str = "close",
        volume: str | None = "volume",
        dt_seconds: float | None = None,
        signs: Array | None = None,
        lots: Array | None = None,
    ) -> Tape:
        """Bars, daily or within the day, with times as index.

        Within the day, missing bars are filled with the last price and no volume as long as a gap lasts at most half an
        hour (nothing was traded); after a longer gap a new session begins, and no return spans it. Daily closes are
        taken as they come: weekends and holidays are no gaps.

        Args:
            frame: ascending ``DatetimeIndex``; columns ``price`` and, where known, ``volume``, ``bid``, ``ask``,
                ``depth_bid``, ``depth_ask``.
            name: what the tape is called.
            price: price column.
            volume: volume column, left out if the frame has none.
            dt_seconds: seconds of a bar; the most frequent distance if None.
            signs: sign of each taker order, in order of time.
            lots: size of each of those.

        Raises:
            ConfigError: fewer than three bars, times not ascending, or a price that is not above zero.
        """
        if price not in frame.columns:
            raise ConfigError.of("--column", price, "a column of the file: " + ", ".join(map(str, frame.columns)))
        if len(frame) < 3:
            raise ConfigError.of("bars", len(frame), "at least 3 bars")
        seconds = _seconds(frame)
        gaps = np.diff(seconds)
        if gaps.min() <= 0:
            at = int(np.argmax(gaps <= 0))
            raise ConfigError.of("time", str(frame.index[at + 1]), "times in ascending order, each once")
        values = frame[price].to_numpy(np.float64)
        if not np.nanmin(values) > 0:
            raise ConfigError.of(price, float(np.nanmin(values)), "prices above 0")
        step = _usual(gaps) if dt_seconds is None else float(dt_seconds)
        columns = {"mid": values}
        if volume is not None and volume in frame.columns:
            columns["volume"] = frame[volume].to_numpy(np.float64)
        columns |= {known: frame[known].to_numpy(np.float64) for known in _BOOK if known in frame.columns}
        if step >= 0.9 * DAY:
            return cls(
                name, DAY if step < 1.5 * DAY else step, 1, **columns, order_signs=signs, order_lots=lots, price=price
            )
        session = np.concatenate(([0], np.cumsum(gaps > max(LONGEST_FILL, 1.5 * step))))
        columns, session = _filled(columns, session, seconds, step)
        _, counts = np.unique(session, return_counts=True)
        per_day = round(DAY / step) if session[-1] == 0 else max(1, min(round(DAY / step), int(np.median(counts))))
        known = {"session": session} if session[-1] else {}
        return cls(name, step, per_day, **columns, **known, order_signs=signs, order_lots=lots, price=price)

    def __len__(self) -> int:
        """Steps."""
        return len(self.mid)

    @property
    def days(self) -> float:
        """Trading days."""
        return len(self) / self.steps_per_day

    @property
    def is_daily(self) -> bool:
        """True of daily closes."""
        return 0.9 * DAY <= self.dt_seconds <= 1.5 * DAY

    def steps_of(self, seconds: float) -> int | None:
        """Steps in a horizon; None where it is not a whole number of steps (within five per cent).

        Examples:
            >>> tape = Tape("ten seconds", 10.0, 8640, np.ones(3))
            >>> tape.steps_of(60.0), tape.steps_of(86_400.0), tape.steps_of(5.0), tape.steps_of(14.0)
            (6, 8640, None, None)
        """
        if seconds == DAY and self.dt_seconds < 0.9 * DAY:
            return self.steps_per_day  # a trading day, however long the exchange is open
        steps = round(seconds / self.dt_seconds)
        if steps < 1 or abs(steps * self.dt_seconds / seconds - 1.0) > WHOLE:
            return None
        return steps

    def daily(self) -> Tape:
        """Closes of the days of a tape within the day: of sessions where it has them, else of whole days."""
        if self.dt_seconds >= 0.9 * DAY:
            return self
        if self.session is not None:
            last = np.flatnonzero(np.diff(self.session, append=self.session[-1] + 1))
        else:
            last = np.arange(self.steps_per_day - 1, len(self), self.steps_per_day)
        volume = None
        if self.volume is not None and len(last):
            volume = np.diff(np.nancumsum(self.volume)[last], prepend=0.0)
        return replace(
            self, dt_seconds=DAY, steps_per_day=1, mid=self.mid[last], volume=volume, session=None,
            bid=None if self.bid is None else self.bid[last], ask=None if self.ask is None else self.ask[last],
            depth_bid=None if self.depth_bid is None else self.depth_bid[last],
            depth_ask=None if self.depth_ask is None else self.depth_ask[last],
            value=None if self.value is None else self.value[last],
        )  # fmt: skip


def _orders(market: Market, label: str, start: int) -> tuple[Array, Array]:
    """Sign and lots of every taker order that traded after ``start`` steps, in order of time."""
    fills = market.trades_table()
    fills = fills[(fills["contract"] == label) & (fills["step"] > start)]
    orders = fills.groupby("taker_order", sort=False).agg(side=("side", "first"), lots=("lots", "sum"))
    return orders["side"].to_numpy(np.float64), orders["lots"].to_numpy(np.float64)


def _seconds(frame: pd.DataFrame) -> Array:
    import pandas as pd

    if not isinstance(frame.index, pd.DatetimeIndex):
        raise ConfigError.of("time", type(frame.index).__name__, "times as index (pandas.DatetimeIndex)")
    origin = frame.index[0]
    return np.asarray((frame.index - origin) / pd.Timedelta(seconds=1), np.float64)


def _usual(gaps: Array) -> float:
    """The most frequent distance of two bars."""
    values, counts = np.unique(np.round(gaps, 3), return_counts=True)
    return float(values[np.argmax(counts)])


def _filled(columns: dict[str, Array], session: Array, seconds: Array, step: float) -> tuple[dict[str, Array], Array]:
    """Put bars on a grid of equal steps within each session: prices held, no volume where nothing was traded."""
    grid_session, index, fresh = [], [], []
    for number in range(int(session[-1]) + 1):
        rows = np.flatnonzero(session == number)
        at = np.round((seconds[rows] - seconds[rows[0]]) / step).astype(np.int64)
        length = int(at[-1]) + 1
        held = np.searchsorted(at, np.arange(length), side="right") - 1
        index.append(rows[held])
        fresh.append(at[held] == np.arange(length))
        grid_session.append(np.full(length, number))
    taken, new = np.concatenate(index), np.concatenate(fresh)
    found = {name: values[taken] for name, values in columns.items()}
    if "volume" in found:
        found["volume"] = np.where(new, found["volume"], 0.0)
    return found, np.concatenate(grid_session)
