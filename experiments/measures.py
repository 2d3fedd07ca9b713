"""Outcomes of a run: plain numbers from its tables and from the state at the event.

:mod:`experiments.vocabulary` says in words what each measure is. Prices enter as marks, counts and money as their
change over the measuring window, so that the two readings of a comparison use the same definitions: the window is the
whole run after burn-in, or what follows the event.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from sim.market import Market

NEAR = 0.05  # R0 counts what becomes liquidatable, and what rests, within 5 % below the mark
COUNTERS = (
    "calls", "calls_met", "call_amount", "liquidations", "bad_debt", "fund_paid", "socialised", "refusals",
)  # fmt: skip
_SAMPLE_SECONDS = 600.0  # one-minute returns are mostly spread bounce
_DAYS_FOR_DAILY = 20  # windows with at least as many days are judged by daily returns


@dataclass(frozen=True)
class Clock:
    """How steps relate to time.

    Attributes:
        dt_seconds: seconds per step.
        steps_per_day: steps in a trading day.
    """

    dt_seconds: float
    steps_per_day: int

    @property
    def days_per_year(self) -> float:
        """252 trading days, or 365 where the market never closes."""
        return 365.0 if self.dt_seconds * self.steps_per_day >= 23 * 3600 else 252.0


@dataclass(frozen=True)
class Moment:
    """What a comparison needs to know of the market at one step.

    Attributes:
        step: completed steps.
        accounts: table of accounts.
        open_interest: lots per contract.
        open_interest_value: minor units, at mark.
        depth_bid: lots resting within 5 % below, per contract.
        liquidatable: long lots that a fall of all marks by 5 % makes liquidatable, per contract.
        leveraged: lots, long and short, of accounts that hold more than they own (positions worth more than equity).
    """

    step: int
    accounts: pd.DataFrame
    open_interest: NDArray[np.int64]
    open_interest_value: float
    depth_bid: NDArray[np.int64]
    liquidatable: NDArray[np.int64]
    leveraged: float

    @property
    def r0(self) -> float:
        """Liquidatable long lots over bid lots, the largest over contracts; NaN where no bid rests."""
        known = self.depth_bid > 0
        return float(np.max(self.liquidatable[known] / self.depth_bid[known])) if known.any() else float("nan")


def moment(market: Market) -> Moment:
    """Take the state of a market between two steps."""
    state = market.state
    quotes, portfolio = state.quotes, market.portfolio()
    open_interest = quotes["open_interest"].astype(np.int64)
    view = market.view
    return Moment(
        step=int(market.tick),
        accounts=market.accounts_table(),
        open_interest=open_interest,
        open_interest_value=float(portfolio.account_notional(open_interest[None, :]).sum()),
        depth_bid=np.asarray(view.depth_bid, np.int64).copy(),
        liquidatable=liquidatable_lots(market),
        leveraged=leveraged_lots(market),
    )


def leveraged_lots(market: Market) -> float:
    """Lots, long and short, of traders whose positions are worth more than their equity."""
    from sim.kernels.state import M_TRADERS

    state = market.state
    lots = state.positions["lots"][: int(state.meta[M_TRADERS])]
    portfolio = market.portfolio()
    value = portfolio.account_loss(np.abs(portfolio.value(lots))).sum(axis=1)
    held = np.flatnonzero(value)
    return float(sum(np.abs(lots[a]).sum() for a in held if value[a] > market.equity(int(a))))


def liquidatable_lots(market: Market, fall: float = NEAR) -> NDArray[np.int64]:
    """Long lots per contract of accounts that fall under maintenance when all marks fall by a fraction.

    Requirements are proportional to marks under every built-in rule, so an account's requirement after the fall is the
    present one times ``1 - fall``. Accounts that are exempt, closed or short of maintenance already are not counted;
    nor, with isolated pockets and grace, those whose free cash would fill the pocket.

    Args:
        market: the market.
        fall: fraction by which every mark falls.
    """
    from sim.kernels.state import CLOSED, ISOLATED, M_GRACE, M_LAYOUT, M_TRADERS

    state = market.state
    traders = int(state.meta[M_TRADERS])
    lots = state.positions["lots"][:traders]
    value = market.portfolio().value(lots)
    # what a position gains in the fall: a coin-margined one loses ever more coins per unit of price
    inverse = market.contract_table.inverse
    change = np.where(inverse, value / (1 - fall) - value, -fall * value)
    held = np.flatnonzero((lots != 0).any(axis=1))
    found = np.zeros(lots.shape[1], np.int64)
    for account in held:
        row = state.accounts[account]
        if row["exempt"] or row["status"] == CLOSED:
            continue
        if state.meta[M_LAYOUT] == ISOLATED:
            position = state.positions[account]
            # with grace, free cash in the wallet fills a pocket before anything is called
            free = max(int(state.wallets[account, 0]), 0) if state.meta[M_GRACE] > 0 else 0
            for c in np.flatnonzero(lots[account] > 0):
                equity = free + int(position["pocket"][c]) + int(value[account, c]) - int(position["cost"][c])
                maintenance = market.maintenance_margin(int(account), int(c))
                after = maintenance / (1 - fall) if inverse[c] else maintenance * (1 - fall)
                if equity >= maintenance and equity + change[account, c] < after:
                    found[c] += lots[account, c]
        else:
            equity, maintenance = market.equity(int(account)), market.maintenance_margin(int(account))
            own = _in_account_currency(market, change[account])
            after = maintenance / (1 - fall) if inverse[lots[account] != 0].all() else maintenance * (1 - fall)
            if equity >= maintenance and equity + own < after:
                found += np.maximum(lots[account], 0)
    return found


def _in_account_currency(market: Market, amounts: NDArray[np.float64]) -> float:
    """Sum of amounts per contract, minor units of the account currency."""
    conversion = market.state.conversion[market.contract_table.currency]
    return float((amounts * (conversion / 2.0**32)).sum())


def outcomes(
    steps: pd.DataFrame,
    clock: Clock,
    *,
    start: int,
    end: int,
    at_event: Moment | None = None,
) -> dict[str, float]:
    """Measures of one run over a window.

    Args:
        steps: the step table, one row per recorded step and contract.
        clock: seconds per step and steps per day.
        start: step at whose end the window begins.
        end: last step of the window.
        at_event: the state at the event, for shares and R0; None when the scenario names none.

    Returns:
        Floats by the names of :mod:`experiments.vocabulary`.
    """
    panel = _Panel(steps, start, end)
    change = panel.changes()
    sample = _sample_steps(panel.step, clock)
    found = {
        "drawdown": _mean(_drawdown(panel["mark"])),
        "volatility": _mean(_volatility(panel.step, panel["mark"], clock, sample)),
        "liquidated_lots": float(panel.gain("liquidated").sum()),
        "margin_calls": change["calls"],
        "calls_met": change["calls_met"],
        "call_amount": change["call_amount"],
        "liquidations": change["liquidations"],
        "bad_debt": change["bad_debt"],
        "fund_paid": change["fund_paid"],
        "socialised": change["socialised"],
        "fund_change": change["fund_equity"],
        "refusals": change["refusals"],
        "mean_initial_rate": _mean(panel["rate_initial"].mean(axis=0)),
        "mean_initial_margin": float(panel["initial_requirement"][:, 0].mean()),
        "margin_per_value": _ratio(panel["maintenance_requirement"][:, 0], panel["notional"][:, 0]),
        "coverage": _coverage(panel, clock),
        "mean_open_interest": float(panel["open_interest"].sum(axis=1).mean()),
        "peak_open_interest": float(panel["open_interest"].sum(axis=1).max()),
        "mean_leverage": _leverage(panel["notional"][:, 0], panel["equity"][:, 0]),
        "spread_bp": _spread(panel),
        "volume": float(panel.gain("volume").sum()),
    }
    found["drawdown_excess"] = found["drawdown"] - _mean(_drawdown(panel["value"]))
    found["volatility_excess"] = found["volatility"] - _mean(_volatility(panel.step, panel["value"], clock, sample))
    found["tracking_correlation"] = _tracking(panel, clock)
    open_interest = found["peak_open_interest"]
    if at_event is not None:
        open_interest = float(at_event.open_interest.sum())
        value = at_event.open_interest_value
        found["r0_event"] = at_event.r0
        found["open_interest_event"] = open_interest
        found["leveraged_lots_event"] = at_event.leveraged
        found["liquidated_leveraged_share"] = _share(found["liquidated_lots"], at_event.leveraged)
        found["depth_bid_event"] = float(at_event.depth_bid.sum())
        found["bad_debt_bp"] = 1e4 * found["bad_debt"] / value if value else float("nan")
    found["liquidated_share"] = _share(found["liquidated_lots"], open_interest)
    return found


def _share(lots: float, whole: float) -> float:
    return lots / whole if whole else 0.0


def incidence(
    end: pd.DataFrame, start: pd.DataFrame | None, populations: Sequence[str], open_interest: float
) -> dict[str, dict[str, float]]:
    """Who paid: profit and forced sales of each population.

    Args:
        end: table of accounts at the end of the window.
        start: the same at its start; None for the start of the run, when deposits are all that accounts had.
        populations: names, in order.
        open_interest: lots at the event (or the peak), to which shares refer.

    Returns:
        Population -> ``pnl`` (minor units, deposits made within the window taken out), ``liquidated`` (lots),
        ``share`` (of open interest), ``bankrupt`` (accounts with negative or no equity that had some).
    """
    columns = ["pnl", "liquidated", "equity"]
    last = end.set_index("account")[columns].astype(np.float64)
    first = last * 0.0 if start is None else start.set_index("account")[columns].astype(np.float64)
    had = end.set_index("account")["deposits"].astype(np.float64) if start is None else first["equity"]
    names = end.set_index("account")["population"]
    found = {}
    for population in populations:
        rows = names.index[names == population]
        liquidated = float((last.loc[rows, "liquidated"] - first.loc[rows, "liquidated"]).sum())
        found[population] = {
            "pnl": float((last.loc[rows, "pnl"] - first.loc[rows, "pnl"]).sum()),
            "liquidated": liquidated,
            "share": liquidated / open_interest if open_interest else 0.0,
            "bankrupt": float(((last.loc[rows, "equity"] <= 0) & (had.loc[rows] > 0)).sum()),
        }
    return found


def owed(market: Market) -> dict[str, Any] | None:
    """Who is owed what, by population, when a run's losses exceeded what anybody could bear; None when none did.

    Args:
        market: a market at its end.

    Returns:
        ``uncovered``: losses that nobody could bear, over the run; ``missing``: what of that, and of accounts under
        water, is missing at the end; ``populations``: by name ``claim``, ``paid`` and ``owed``, which sums to
        ``missing``. Minor units (:func:`sim.statement.statement`).
    """
    from sim.kernels import state as s

    uncovered = int(market.state.meta[s.M_UNCOVERED])
    if uncovered == 0:
        return None
    table = market.statement()
    sums = table.groupby("population", sort=False)[["claim", "paid", "owed"]].sum()
    populations = {str(name): {key: int(row[key]) for key in sums.columns} for name, row in sums.iterrows()}
    return {"uncovered": uncovered, "missing": int(table["owed"].sum()), "populations": populations}


class _Panel:
    """The step table as arrays [recorded step, contract], from the row at or before the window's start to its end."""

    def __init__(self, steps: pd.DataFrame, start: int, end: int) -> None:
        contracts = int(steps["contract"].nunique())
        self._columns = {
            name: steps[name].to_numpy().reshape(-1, contracts) for name in steps.columns if name != "contract"
        }
        every = self._columns["step"][:, 0]
        first = max(0, int(np.searchsorted(every, start, side="right")) - 1)
        last = int(np.searchsorted(every, end, side="right"))
        if last <= first:
            raise ValueError(f"no recorded step lies in the window {start} to {end}")
        self._inside = slice(first, last)
        self._from_nothing = start < int(every[0])
        self.step = every[self._inside]

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._columns[name][self._inside]

    def gain(self, name: str) -> NDArray[Any]:
        """Change of a cumulative column over the window, per contract; counters begin at nothing."""
        column = self[name]
        return np.asarray(column[-1] if self._from_nothing else column[-1] - column[0])

    def changes(self) -> dict[str, float]:
        """Change of the market-wide counters and of the fund over the window."""
        fund = self["fund_equity"]
        return {name: float(self.gain(name)[0]) for name in COUNTERS} | {"fund_equity": float(fund[-1, 0] - fund[0, 0])}


def coverage_horizon(window_steps: int, clock: Clock) -> int:
    """Margin period of risk of the measure ``coverage``, steps: a day in windows of ten days or more, else an hour."""
    day = clock.steps_per_day
    return day if window_steps >= 10 * day else max(1, round(3600.0 / clock.dt_seconds))


def _coverage(panel: _Panel, clock: Clock) -> float:
    """Share of starting times, contracts and sides whose loss over the margin period of risk the initial rate covers.

    NaN where the window is shorter than two periods.
    """
    step, mark, rate = panel.step, panel["mark"].astype(np.float64), panel["rate_initial"]
    horizon = coverage_horizon(int(step[-1] - step[0]), clock)
    starts = np.flatnonzero(step <= step[-1] - horizon)
    if step[-1] - step[0] < 2 * horizon or not len(starts):
        return float("nan")
    ends = np.searchsorted(step, step[starts] + horizon)
    change = mark[ends] / mark[starts] - 1.0
    return float(np.mean([-change <= rate[starts], change <= rate[starts]]))


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> float:
    total = float(whole.sum())
    return float(part.sum()) / total if total else float("nan")


def _mean(values: NDArray[np.float64]) -> float:
    """Mean over contracts."""
    return float(np.mean(values))


def _drawdown(price: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.max(1.0 - price / np.maximum.accumulate(price, axis=0), axis=0))


def _sample_steps(step: NDArray[np.int64], clock: Clock) -> int:
    """Steps between sampled prices: a day in long windows, ten minutes in short ones."""
    if (step[-1] - step[0]) >= _DAYS_FOR_DAILY * clock.steps_per_day:
        return clock.steps_per_day
    return max(1, round(_SAMPLE_SECONDS / clock.dt_seconds))


def _sampled(step: NDArray[np.int64], price: NDArray[np.float64], sample: int) -> NDArray[np.float64]:
    """Log prices at multiples of ``sample`` (the newest recorded at or before each), NaN never."""
    first, last = -(-int(step[0]) // sample) * sample, int(step[-1])
    wanted = np.arange(first, last + 1, sample)
    rows = np.searchsorted(step, wanted, side="right") - 1
    return np.asarray(np.log(price[rows]))


def _volatility(step: NDArray[np.int64], price: NDArray[np.float64], clock: Clock, sample: int) -> NDArray[np.float64]:
    returns = np.diff(_sampled(step, price, sample), axis=0)
    if len(returns) < 2:
        return np.full(price.shape[1], np.nan)
    per_year = clock.days_per_year * clock.steps_per_day / sample
    return np.asarray(np.std(returns, axis=0, ddof=1) * np.sqrt(per_year))


def _tracking(panel: _Panel, clock: Clock) -> float:
    """Correlation of daily log returns of mid and value, mean over contracts; NaN under ten days."""
    mid = np.diff(_sampled(panel.step, panel["mid"], clock.steps_per_day), axis=0)
    value = np.diff(_sampled(panel.step, panel["value"], clock.steps_per_day), axis=0)
    if len(mid) < 10:
        return float("nan")
    found = [
        np.corrcoef(mid[:, c], value[:, c])[0, 1] if mid[:, c].std() > 0 and value[:, c].std() > 0 else np.nan
        for c in range(mid.shape[1])
    ]
    return _mean(np.array(found))


def _leverage(notional: NDArray[np.float64], equity: NDArray[np.float64]) -> float:
    """Notional over equity of all traders, mean over time."""
    known = equity > 0
    return float(np.mean(notional[known] / equity[known])) if known.any() else float("nan")


def _spread(panel: _Panel) -> float:
    bid, ask, mid = panel["bid"], panel["ask"], panel["mid"]
    quoted = (bid > 0) & (ask > 0)
    return float(np.mean(1e4 * (ask[quoted] - bid[quoted]) / mid[quoted])) if quoted.any() else float("nan")
