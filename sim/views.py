"""What agents and margin models see of a running market."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sim.interfaces import PortfolioView, RiskParameters
from sim.kernels import state as s
from sim.kernels.record import depth_near
from sim.kernels.values import underlying_price

if TYPE_CHECKING:
    from sim.market import Market


class LiveView:
    """The :class:`sim.interfaces.MarketView` of a market: each attribute is read when asked for."""

    def __init__(self, market: Market) -> None:
        """Look at a market."""
        self._market = market

    @property
    def _state(self) -> s.State:
        return self._market.state

    @property
    def step(self) -> int:
        """Completed steps (within a step: the step being computed)."""
        return int(self._state.meta[s.M_STEP])

    @property
    def time_s(self) -> float:
        """Simulated seconds."""
        return self.step * self._market.config.dt_seconds

    @property
    def value(self) -> np.ndarray:
        """Exogenous value in ticks, float64[C]."""
        value = self._state.value
        return value[min(self.step, len(value) - 1)].copy()

    @property
    def mark(self) -> np.ndarray:
        """Marks in sub-ticks, int64[C]."""
        return self._state.quotes["mark"].copy()

    @property
    def index(self) -> np.ndarray:
        """Index in sub-ticks, int64[C]."""
        return self._state.quotes["index"].copy()

    @property
    def mid(self) -> np.ndarray:
        """Mid in ticks, float64[C]."""
        return self._state.quotes["mid"] / s.SUBTICKS

    @property
    def bid(self) -> np.ndarray:
        """Best bids in ticks, -1 when empty, int64[C]."""
        return self._state.quotes["bid"].copy()

    @property
    def ask(self) -> np.ndarray:
        """Best asks in ticks, -1 when empty, int64[C]."""
        return self._state.quotes["ask"].copy()

    def _depth(self, side: int) -> np.ndarray:
        contracts = len(self._state.contracts)
        return np.array([depth_near(self._state, c, side) for c in range(contracts)], np.int64)

    @property
    def depth_bid(self) -> np.ndarray:
        """Bid lots within 5 % of the mid, int64[C]."""
        return self._depth(1)

    @property
    def depth_ask(self) -> np.ndarray:
        """Ask lots within 5 % of the mid, int64[C]."""
        return self._depth(-1)

    @property
    def volume(self) -> np.ndarray:
        """Lots traded in the last completed day, int64[C]."""
        return self._state.quotes["volume_day"].copy()

    @property
    def open_interest(self) -> np.ndarray:
        """Open interest in lots, int64[C]."""
        return self._state.quotes["open_interest"].copy()

    @property
    def _reference(self) -> np.ndarray:
        """For each contract the one whose index prices its underlying."""
        return self._state.contracts["reference"]

    @property
    def spot(self) -> np.ndarray:
        """Price of each contract's underlying, price units, float64[C].

        That is the published index; of options the price at which they are valued, which may be the market's own mark.
        """
        state = self._state
        ticks = self._market.contract_table.tick_size[self._reference]
        price = state.quotes["index"][self._reference]
        own = (state.contracts["option"] != 0) & (state.contracts["priced_on"] == s.PRICED_ON_MARK)
        return np.where(own, state.quotes["mark"][self._reference], price) / s.SUBTICKS * ticks

    @property
    def interest_rate(self) -> float:
        """Continuously compounded interest per year."""
        return float(self._market.config.interest_rate)

    @property
    def time_to_expiry(self) -> np.ndarray:
        """Years of 365 trading days to expiry, float64[C]; inf where there is none."""
        terms = self._state.contracts
        left = np.maximum(terms["expiry"] - self.step, 0) * terms["years_per_step"]
        return np.where(terms["expiry"] > 0, left, np.inf)

    @property
    def forward(self) -> np.ndarray:
        """Forward price of the underlying at expiry (where there is none: its price), price units, float64[C]."""
        years = self.time_to_expiry
        return self.spot * np.exp(self.interest_rate * np.where(np.isfinite(years), years, 0.0))

    @property
    def implied_volatility(self) -> np.ndarray:
        """Volatility at which options are marked, per square root of a year, float64[C]; NaN for other contracts."""
        terms = self._state.contracts
        return np.where(terms["option"] != 0, terms["volatility"], np.nan)

    @property
    def daily_volatility(self) -> np.ndarray:
        """Volatility of the underlying per square root of a day, from the slow average of squared mid returns."""
        variance = self._state.quotes["variance_slow"][self._reference]
        return np.sqrt(variance * self._market.config.steps_per_day)

    @property
    def spread(self) -> np.ndarray:
        """Best ask less best bid, price units, float64[C]; NaN where a side is empty."""
        bid, ask = self._state.quotes["bid"], self._state.quotes["ask"]
        known = (bid > 0) & (ask > 0)
        return np.where(known, (ask - bid) * self._market.contract_table.tick_size, np.nan)

    @property
    def risk(self) -> RiskParameters:
        """Risk parameters that bind new orders; maintenance rates are those announced last."""
        return self._market.risk_parameters(initial=True)

    @property
    def pending_risk(self) -> np.ndarray:
        """Maintenance rates from the one in force to the one announced last, int64[notice + 1, C] in 2**-32."""
        state = self._state
        ring, notice = int(state.meta[s.M_RISK_SLOTS]), int(state.meta[s.M_NOTICE])
        last = int(state.meta[s.M_PUBLISHED])
        rows = [max(last - k, 0) % ring for k in range(notice, -1, -1)]
        return state.rate_maintenance[rows].copy()

    def returns(self, window: int, sample_steps: int = 1) -> np.ndarray:
        """Log returns of the mark, float64[window, C], newest last.

        Args:
            window: number of returns.
            sample_steps: steps per return.

        Raises:
            ValueError: more is asked for than the market remembers.
        """
        return self.returns_of(self._state.mark_history, int(self._state.meta[s.M_PUBLISHED]), window, sample_steps)

    @staticmethod
    def returns_of(marks: np.ndarray, last: int, window: int, sample_steps: int) -> np.ndarray:
        """Log returns from a ring of log marks, float64[ring, C], whose newest row is that of step ``last``."""
        ring = len(marks)
        if window * sample_steps >= ring:
            raise ValueError(f"window x sample_steps must be below {ring}, not {window * sample_steps}")
        rows = [(last - k * sample_steps) & (ring - 1) for k in range(window, -1, -1)]
        return np.diff(marks[rows], axis=0)


def portfolio_view(market: Market, accounts: np.ndarray | None = None) -> PortfolioView:
    """Every account's portfolio at the current marks (copies).

    Args:
        market: the market.
        accounts: numbers of the accounts to show, in the order of the rows; default all.
    """
    state = market.state
    table = state.positions if accounts is None else state.positions[accounts]
    wallets = state.wallets if accounts is None else state.wallets[accounts]
    features = _features(state)
    if accounts is not None:
        features = {name: column[accounts] for name, column in features.items()}
    cash = np.empty((len(table), 1 + table.shape[1]), np.int64)
    cash[:, 0] = wallets[:, 0]
    cash[:, 1:] = table["pocket"]
    return PortfolioView(
        contracts=market.contract_table,
        mark=state.quotes["mark"].copy(),
        lots=table["lots"].copy(),
        cost=table["cost"].copy(),
        cash=cash,
        open_buy=table["open_buy"].copy(),
        open_sell=table["open_sell"].copy(),
        loss_buy=table["loss_buy"].copy(),
        loss_sell=table["loss_sell"].copy(),
        wallets=wallets.copy(),
        conversion=state.conversion.copy(),
        haircut=state.haircut.copy(),
        features=features,
        underlying=_underlying(state),
    )


def _underlying(state: s.State) -> np.ndarray:
    """Price of the underlying of every contract as options are valued on it, sub-ticks."""
    return np.array([underlying_price(state, c) for c in range(len(state.contracts))], np.int64)


def _features(state: s.State) -> dict[str, np.ndarray]:
    """What is kept of every account's behaviour under the regime in force; nothing where no rule asks for it."""
    if state.features.shape[1] != len(state.accounts):
        return {}
    return {name: state.features[0, :, k].copy() for k, name in enumerate(s.FEATURE_NAMES)}
