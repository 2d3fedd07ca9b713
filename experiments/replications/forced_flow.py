"""Measures of forced closing, from the tables of a run: how concentrated it was, on which side, and who gave way.

A position is counted as liquidated once, when it is closed against the will of the trader who opened it: by an order in
the book, by a take-over, or against a counterparty in auto-deleveraging. What the backstop loses of positions that it
took over is not counted again. Its value is taken at the mark of its step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sim.kernels import state as s

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sim.market import Market

    Floats = NDArray[np.float64]

LIQUIDATION, TAKEOVER, BACKSTOP, ADL = "liquidation", "takeover", "backstop", "auto_deleveraging"
KINDS = (LIQUIDATION, TAKEOVER, BACKSTOP, ADL)


def closings(events: pd.DataFrame, steps: pd.DataFrame, *, backstop: str) -> pd.DataFrame:
    """Every forced closing of a trader's position, in the order in which they happened.

    Args:
        events: the events of a run.
        steps: its step table, every step recorded.
        backstop: population of the vault, whose own closings are left out; empty for none.

    Returns:
        ``step``, ``kind``, ``contract``, ``side`` (1: a long was closed), ``lots``, ``value`` (lots times mark, price
        units).
    """
    found = events[events["kind"].isin(KINDS)]
    if backstop:
        found = found[found["population"] != backstop]
    a, b = found["a"].to_numpy(np.int64), found["b"].to_numpy(np.int64)
    kind = found["kind"].to_numpy(str)
    ordered = kind == LIQUIDATION  # a: lots ordered, negative to sell a long; b: lots filled
    handed = kind == ADL  # a: lots of the counterparty, which stands on the other side
    table = pd.DataFrame(
        {
            "step": found["step"].to_numpy(np.int64),
            "kind": kind,
            "contract": found["contract"].to_numpy(object),
            "side": np.where(ordered | handed, -np.sign(a), np.sign(a)),
            "lots": np.where(ordered, b, np.abs(a)),
        }
    )
    marks = steps[["step", "contract", "mark"]]
    table = table[table["lots"] > 0].merge(marks, on=["step", "contract"], how="left", validate="many_to_one")
    if table["mark"].isna().any():
        raise ValueError("a forced closing lies in a step that was not recorded: record.every must be 1")
    table["value"] = table["lots"] * table["mark"]
    return table.drop(columns="mark")


def by_minute(step: NDArray[np.int64], value: Floats, *, since: int, until: int, dt_seconds: float) -> Floats:
    """Sums over whole minutes after a step; step s lies in the time from (s - 1) dt to s dt.

    Args:
        step: steps of the values.
        value: what is summed.
        since: completed steps at which the first minute begins.
        until: last step that counts.
        dt_seconds: seconds per step.
    """
    minutes = -int(-(until - since) * dt_seconds // 60)
    inside = (step > since) & (step <= until)
    minute = ((step[inside] - 1 - since) * dt_seconds // 60).astype(np.int64)
    return np.bincount(minute, weights=value[inside], minlength=minutes).astype(np.float64)


def largest_share(per_minute: Floats, minutes: int) -> float:
    """Share of a total that falls into its largest run of so many minutes; NaN of nothing.

    Examples:
        >>> largest_share(np.array([1.0, 0.0, 5.0, 2.0, 0.0]), 2)
        0.875
    """
    total = float(per_minute.sum())
    if total <= 0:
        return float("nan")
    sums = np.concatenate(([0.0], np.cumsum(per_minute)))
    span = min(minutes, len(per_minute))
    return float((sums[span:] - sums[:-span]).max()) / total


def long_share(table: pd.DataFrame) -> float:
    """Share of longs in the value that was closed by force; NaN of nothing."""
    total = float(table["value"].sum())
    return float(table.loc[table["side"] > 0, "value"].sum()) / total if total > 0 else float("nan")


def largest_fall(values: Floats) -> float:
    """Fall from the first of a series to its lowest, as a share of the first.

    Examples:
        >>> largest_fall(np.array([10.0, 12.0, 4.0, 6.0]))
        0.6
    """
    return float(1.0 - values.min() / values[0]) if values[0] > 0 else float("nan")


def delay(table: pd.DataFrame, adl: pd.DataFrame, *, since: int, dt_seconds: float) -> float:
    """Seconds from the first forced closing after a step to the first auto-deleveraging, whoever failed; NaN without.

    Args:
        table: closings of traders.
        adl: auto-deleveraging of traders and of the backstop, with their ``step``.
        since: completed steps from which on both are looked for.
        dt_seconds: seconds per step, to which the delay is known.
    """
    first, last = table.loc[table["step"] > since, "step"], adl.loc[adl["step"] > since, "step"]
    if not len(first) or not len(last):
        return float("nan")
    return max(float(last.min() - first.min()), 0.0) * dt_seconds


@dataclass(frozen=True)
class Deleveraged:
    """Accounts that gave up positions in auto-deleveraging, one entry per event.

    Attributes:
        account: the counterparty.
        leverage: value of all its positions over its equity, at the first mark of the step.
        profitable: its position had an unrealised profit there.
    """

    account: NDArray[np.int64]
    leverage: Floats
    profitable: NDArray[np.bool_]

    def median(self) -> float:
        """Median leverage over the events, in which an account counts as often as it gave way; NaN without any."""
        return float(np.median(self.leverage)) if len(self.leverage) else float("nan")

    def median_of_accounts(self) -> float:
        """Median over accounts of their leverage when they first gave way; NaN without any."""
        _, first = np.unique(self.account, return_index=True)
        return float(np.median(self.leverage[first])) if len(first) else float("nan")


class LeverageWatch:
    """Watch a market step by step and note the leverage of who is deleveraged, as it was before the step's clearing.

    Linear contracts in the account currency only.
    """

    def __init__(self, market: Market) -> None:
        """Watch from this step on."""
        contracts = market.contract_table
        if bool(np.any(contracts.inverse)) or bool(np.any(np.asarray(contracts.currency) != 0)):
            raise ValueError("the leverage of who is deleveraged is read from linear contracts in one currency")
        self.market = market
        self._seen = int(market.state.meta[s.M_EVENTS])
        self._tick_value = market.state.contracts["tick_value"].astype(np.float64)
        self._found: list[tuple[int, float, bool]] = []

    def step(self) -> None:
        """Run one step."""
        self.market.step_watched(self._note)
        events = self.market.state.events[self._seen : int(self.market.state.meta[s.M_EVENTS])]
        self._seen = int(self.market.state.meta[s.M_EVENTS])
        for event in events[events["kind"] == s.EV_ADL]:
            account, contract = int(event["reason"]), int(event["contract"])
            exposure = float((np.abs(self._lots[account]) * self._per_lot).sum())
            profit = self._lots[account, contract] * self._per_lot[contract] - self._cost[account, contract]
            equity = float(self._cash[account] + (self._lots[account] * self._per_lot).sum())
            self._found.append((account, exposure / equity if equity > 0 else float("inf"), bool(profit > 0)))

    def deleveraged(self) -> Deleveraged:
        """What was seen so far."""
        account, leverage, profitable = zip(*self._found, strict=True) if self._found else ((), (), ())
        return Deleveraged(np.array(account, np.int64), np.array(leverage), np.array(profitable, bool))

    def _note(self, market: Market) -> None:
        state = market.state
        self._per_lot = state.quotes["mark"] * (self._tick_value / s.SUBTICKS)
        self._lots = state.positions["lots"].copy()
        self._cost = state.positions["cost"].copy()
        self._cash = state.booked[:, 0].copy()  # wallet and pockets less the cost of positions
