"""Watch a market step by step: its prices, and what forced closing costs those who are closed.

A liquidation begins in the clearing of a step in which lots of an account are forced, or in which it is put into
liquidation, and ends with the first step after which it is in liquidation no more. What an account *has* at its start
is its cash and its positions at the mid when that clearing began; what it *keeps* is its cash and what positions are
left, at the same mid. The difference is its cost: slippage of its forced trades against that mid, fees, and whatever
else the policy takes (a bonus, the surplus), while a shortfall that others cover is no cost to it. Prices that move
while positions wait cost nothing here; selling late at a worse price does (implementation shortfall, Perold 1988).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from experiments import engines
from sim.kernels import state as s

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sim.market import Market

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]


class Watch:
    """Watch a market from this step on.

    Attributes:
        mid: mids at the start and after each step, sub-ticks, a list of float64[C].
        mark: marks at the first reading after the start, then after each step.
        first_mark: marks at the first reading, before any liquidation after the start.
        liquidated: lots liquidated after each step since the start, all contracts.
        forced_value: value at the starting mids of all lots that were forced, minor units.
        cost: what the liquidated lost by it, minor units.
    """

    def __init__(self, market: Market) -> None:
        """Note where the market stands."""
        self.market = market
        state = market.state
        self._traders = int(state.meta[s.M_TRADERS])
        self._per_lot = _PerLot(market)
        self.mid: list[Floats] = [state.quotes["mid"].astype(np.float64)]
        self.mark: list[Floats] = []
        self.first_mark: Floats | None = None
        self._liquidated_at_start = int(state.quotes["liquidated"].sum())
        self.liquidated: list[int] = []
        self.forced_value = 0.0
        self.cost = 0.0
        contracts, currencies = len(market.contracts), state.booked.shape[1]
        self._open = np.zeros(self._traders, bool)
        self._cash = np.zeros((self._traders, currencies))
        self._lots = np.zeros((self._traders, contracts))
        self._price = np.ones((self._traders, contracts))
        self._rate = np.ones((self._traders, currencies))

    def run(self, until: int, total: int, *, check: bool = False) -> None:
        """Run the market until a number of steps is completed.

        Args:
            until: completed steps to reach.
            total: steps of the run, for whoever listens to progress.
            check: verify every invariant after every step.

        Raises:
            InvariantError: an invariant does not hold.
        """
        while self.market.tick < until:
            if self.market.tick % 64 == 0:
                engines.checkpoint(self.market.tick, total)
            self.market.step_watched(self._before_clearing)
            if check:
                self.market.check()
            self._after_step()

    def close(self) -> None:
        """Settle the account of those who are still in liquidation at the end."""
        self._settle(self._open.copy())

    def cost_rate(self) -> float:
        """Cost to the liquidated over the value that was forced; NaN where nothing was."""
        return self.cost / self.forced_value if self.forced_value > 0 else float("nan")

    def _before_clearing(self, market: Market) -> None:
        state = market.state
        if self.first_mark is None:
            self.first_mark = state.quotes["mark"].astype(np.float64)
            self.mark.append(self.first_mark)
        self._now = state.quotes["mid"].astype(np.float64)
        self._rates = state.conversion / s.RATE_ONE
        self._cash_now = cash(market)[: self._traders]
        self._lots_now = state.positions["lots"][: self._traders].copy()
        self._forced_now = state.positions["liquidated"][: self._traders].copy()

    def _after_step(self) -> None:
        state = self.market.state
        self.mid.append(state.quotes["mid"].astype(np.float64))
        self.mark.append(state.quotes["mark"].astype(np.float64))
        self.liquidated.append(int(state.quotes["liquidated"].sum()) - self._liquidated_at_start)
        forced = state.positions["liquidated"][: self._traders] - self._forced_now
        in_liquidation = state.accounts["status"][: self._traders] == s.LIQUIDATING
        touched = forced.any(axis=1)
        begun = np.flatnonzero((touched | in_liquidation) & ~self._open)
        self._open[begun] = True
        self._cash[begun], self._lots[begun] = self._cash_now[begun], self._lots_now[begun]
        self._price[begun], self._rate[begun] = self._now, self._rates
        rows = np.flatnonzero(touched)
        if len(rows):
            value = np.abs(self._per_lot.value(self._price[rows], self._rate[rows])) * forced[rows]
            self.forced_value += float(value.sum())
        self._settle(self._open & ~in_liquidation)

    def _settle(self, ended: NDArray[np.bool_]) -> None:
        rows = np.flatnonzero(ended)
        if not len(rows):
            return
        state = self.market.state
        per_lot = self._per_lot.value(self._price[rows], self._rate[rows])
        had = (self._cash[rows] * self._rate[rows]).sum(axis=1) + (self._lots[rows] * per_lot).sum(axis=1)
        left = (cash(self.market)[rows] * self._rate[rows]).sum(axis=1)
        left += (state.positions["lots"][rows] * per_lot).sum(axis=1)
        self.cost += float((had - left).sum())
        self._open[rows] = False


class _PerLot:
    """Value of one lot of each contract in the account currency, signed as a long's value changes with its price."""

    def __init__(self, market: Market) -> None:
        self._inverse = np.asarray(market.contract_table.inverse, bool)
        self._currency = np.asarray(market.contract_table.currency, np.int64)
        self._tick_value = market.state.contracts["tick_value"].astype(np.float64)

    def value(self, price: Floats, rate: Floats) -> Floats:
        """Per row and contract, minor units.

        Args:
            price: float64[n, C], sub-ticks.
            rate: float64[n, K], account currency per minor unit of each currency.
        """
        linear = price * self._tick_value / s.SUBTICKS
        inverse = -self._tick_value * s.SUBTICKS / price
        return np.asarray(np.where(self._inverse, inverse, linear) * rate[:, self._currency])


def cash(market: Market) -> Integers:
    """Wallets and pockets less the cost of open positions, less deposits, by account and currency, minor units."""
    return np.asarray(market.state.booked - market.state.deposits)


def worth_at_mid(market: Market) -> Floats:
    """What every account has gained since the start of the run, positions at the mid; all together make zero.

    Equity stands at the mark, whose rule differs between arms; profits at the mid are compared instead.
    """
    state = market.state
    rate = (state.conversion / s.RATE_ONE)[None, :]
    per_lot = _PerLot(market).value(state.quotes["mid"].astype(np.float64)[None, :], rate)
    return np.asarray((cash(market) * rate).sum(axis=1) + (state.positions["lots"] * per_lot).sum(axis=1))


def drawdown(price: Floats) -> tuple[Floats, Integers]:
    """Largest fall from an earlier high, and the row of its lowest point, per contract.

    Args:
        price: float64[rows, C].
    """
    depth = 1.0 - price / np.maximum.accumulate(price, axis=0)
    return np.asarray(depth.max(axis=0)), np.asarray(depth.argmax(axis=0))


def half_recovery(price: Floats, window: int, horizon: int) -> tuple[int, bool]:
    """Rows from the low of the largest fall until half of it is regained, and whether that was not seen.

    Args:
        price: float64[rows]; one contract, ``window + horizon + 1`` rows.
        window: the low is looked for in rows up to this one.
        horizon: rows after the low that are looked at; a fall not halved by then counts as so long.

    Examples:
        >>> half_recovery(np.array([100.0, 90.0, 94.0, 95.0, 99.0]), 1, 3)
        (2, False)
    """
    (depth,), (low,) = drawdown(price[: window + 1, None])
    if depth <= 0.0:
        return 0, False
    high = price[: low + 1].max()
    after = price[low + 1 : low + 1 + horizon]
    regained = np.flatnonzero(after >= (high + price[low]) / 2.0)
    return (int(regained[0]) + 1, False) if len(regained) else (horizon, True)
