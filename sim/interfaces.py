"""The two sockets of the exchange, and the views through which everything outside talks to it.

A :class:`MarginModel` sets requirements; a :class:`Population` decides orders. Neither sees more than these views show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from sim.contracts import TERM_REFERENCE, Contract, ContractTable
from sim.kernels.codes import RATE_ONE, SPOT

if TYPE_CHECKING:
    import mesa

    from sim.kernels.state import State

# Arrays only: a margin model's memory is part of every snapshot and fork.
ModelState = dict[str, np.ndarray]


@dataclass(slots=True)
class RiskParameters:
    """What a margin model publishes once per step, like a clearing house's risk parameter file.

    Attributes:
        rate_initial: int64[C], 2**-32 of value.
        rate_maintenance: int64[C], 2**-32 of value.
        scenario_pnl: int64[C, S], minor units per 2**10 lots; empty for rate rules.
        scenario_weight: int64[S], 2**-32.
        initial_factor: initial over maintenance for scenario rules, 2**-32.
        haircut: int64[K], 2**-32 of the value of each collateral currency that does not count; number 0 has none.
        arrays: integer arrays by name, whatever else the rule's own evaluator reads.
    """

    rate_initial: np.ndarray
    rate_maintenance: np.ndarray
    scenario_pnl: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    scenario_weight: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    initial_factor: int = 1 << 32
    haircut: np.ndarray = field(default_factory=lambda: np.zeros(1, np.int64))
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(slots=True)
class Requirement:
    """Requirements of all accounts at once, minor units.

    Attributes:
        initial: int64[A] of the account (cross), or what its open orders reserve from the wallet (isolated).
        maintenance: int64[A] of the account (cross), or the sum over positions (isolated).
        parts: named int64[A] arrays that sum to ``initial``.
        initial_positions: int64[A, C] for isolated layouts: reserve of open orders per contract.
        maintenance_positions: int64[A, C] for isolated layouts: maintenance per position.
        maintenance_parts: named int64[A] arrays that sum to ``maintenance``.
        equity_excluded: int64[A], what the ledger's equity holds but this rule leaves out of the equity that it
            compares with its requirement (option values where a requirement contains the premium of short options and
            gives long ones no loan value): excess is ``equity - equity_excluded - requirement``. None for none.
        scenario_loss: int64[A, S], loss per scenario of the positions, for rules with a grid.
        scenario_names: a name per scenario.
    """

    initial: np.ndarray
    maintenance: np.ndarray
    parts: dict[str, np.ndarray] = field(default_factory=dict)
    initial_positions: np.ndarray | None = None
    maintenance_positions: np.ndarray | None = None
    maintenance_parts: dict[str, np.ndarray] = field(default_factory=dict)
    equity_excluded: np.ndarray | None = None
    scenario_loss: np.ndarray | None = None
    scenario_names: tuple[str, ...] = ()


@dataclass(slots=True)
class PortfolioView:
    """Every account's portfolio.

    Attributes:
        contracts: the contract table.
        mark: int64[C], sub-ticks.
        lots: int64[A, C].
        cost: int64[A, C], minor units.
        cash: int64[A, 1 + C], wallet then pockets, minor units.
        open_buy: int64[A, C], lots of open buy orders.
        open_sell: int64[A, C].
        loss_buy: int64[A, C], reserved loss of open buy orders against the mark at acceptance, minor units.
        loss_sell: int64[A, C].
        wallets: int64[A, K], cash per currency in its minor units; column 0 is ``cash[:, 0]``.
        conversion: int64[K], minor units of the account currency per minor unit of each currency, 2**-32.
        haircut: int64[K], 2**-32 of the value of each currency that does not count where it is positive.
        features: named float64[A] arrays that describe each account's behaviour (utilisation, liquidations, turnover,
            concentration, ...) or its credit (default_probability, credit_line, ...).
        underlying: int64[C], price of the underlying at which each option is valued, in the units of its strike
            (sub-ticks of the contract that prices it); empty: that contract's mark.
    """

    contracts: ContractTable
    mark: np.ndarray
    lots: np.ndarray
    cost: np.ndarray
    cash: np.ndarray
    open_buy: np.ndarray
    open_sell: np.ndarray
    loss_buy: np.ndarray
    loss_sell: np.ndarray
    wallets: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    conversion: np.ndarray = field(default_factory=lambda: np.array([1 << 32], np.int64))
    features: dict[str, np.ndarray] = field(default_factory=dict)
    haircut: np.ndarray = field(default_factory=lambda: np.zeros(1, np.int64))
    underlying: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))

    def underlying_price(self) -> np.ndarray:
        """Price of each option's underlying in the units of its strike, int64[C]."""
        if len(self.underlying):
            return self.underlying
        terms = self.contracts.option_terms
        return self.mark if terms is None else self.mark[terms[:, TERM_REFERENCE]]

    def value(self, lots: np.ndarray | None = None) -> np.ndarray:
        """Value at mark of signed lots (default: the positions), int64[A, C] minor units of the settlement currency.

        Linear: rounded down. Inverse: ``-round(lots x tick_value / mark)``, negative for a long, as it is booked.
        """
        held = self.lots if lots is None else lots
        linear = (held * self.mark * self.contracts.tick_value) >> 4
        inverse = self.contracts.inverse
        if not inverse.any():
            return linear
        coins = held * self.contracts.tick_value * 16
        rounded = -((2 * coins + self.mark) // (2 * self.mark))
        return np.where(inverse, rounded, linear)

    def notional(self, lots: np.ndarray | None = None) -> np.ndarray:
        """Size of the value at mark, at least zero, int64[A, C] minor units of the settlement currency.

        The sign of the lots does not matter; spot is covered by cash and has none.
        """
        held = np.abs(self.value(np.abs(self.lots if lots is None else lots)))
        spot = self.contracts.kind == SPOT
        return np.where(spot, 0, held) if spot.any() else held

    def account_notional(self, lots: np.ndarray) -> np.ndarray:
        """Size of the value at mark of lots (their sign does not matter) in the account currency, int64[A, C]."""
        return self.account_loss(self.notional(lots))

    def account_loss(self, amount: np.ndarray) -> np.ndarray:
        """Amounts >= 0 in settlement currencies, int64[A, C], in the account currency, rounded up."""
        if len(self.conversion) == 1 or not self.contracts.currency.any():
            return amount
        converted = amount.copy()
        for c in np.flatnonzero(self.contracts.currency):
            rate = int(self.conversion[self.contracts.currency[c]])
            converted[:, c] = [-(-int(x) * rate >> 32) for x in amount[:, c]]
        return converted

    def unrealised(self) -> np.ndarray:
        """Value at mark less cost, int64[A, C] minor units of the settlement currency."""
        return np.where(self.lots != 0, self.value() - self.cost, 0)

    def equity(self) -> np.ndarray:
        """Equity per account in the account currency, int64[A] minor units, as the ledger has it.

        Each other currency counts at its conversion, less its haircut where it is positive, rounded down.
        """
        profit = self.unrealised() + self.cash[:, 1:]
        if len(self.conversion) == 1:
            return self.cash[:, 0] + profit.sum(axis=1)
        total = self.cash[:, 0] + profit[:, self.contracts.currency == 0].sum(axis=1)
        for k in range(1, len(self.conversion)):
            own = self.wallets[:, k] + profit[:, self.contracts.currency == k].sum(axis=1)
            kept = RATE_ONE - (int(self.haircut[k]) if len(self.haircut) > k else 0)
            rate = int(self.conversion[k])
            # Python integers: a conversion may exceed one by far, and the product 64 bits
            total = total + np.array([((int(x) * kept >> 32) if x > 0 else int(x)) * rate >> 32 for x in own], np.int64)
        return total

    def worst_lots(self) -> np.ndarray:
        """Largest absolute position that open orders could lead to, int64[A, C]."""
        return np.maximum(np.abs(self.lots + self.open_buy), np.abs(self.lots - self.open_sell))


@runtime_checkable
class MarketView(Protocol):
    """What a trader or a margin model may see of the market (units in brackets).

    Attributes:
        step: completed steps.
        time_s: simulated seconds.
        value: float64[C], exogenous value [ticks], for those who may see it.
        mark: int64[C] [sub-ticks].
        index: int64[C] [sub-ticks].
        mid: float64[C] [ticks].
        bid: int64[C] [ticks], -1 when empty.
        ask: int64[C] [ticks], -1 when empty.
        depth_bid: int64[C], lots within 5 % of the mid.
        depth_ask: int64[C].
        volume: int64[C], lots in the last day.
        open_interest: int64[C], lots.
        spot: float64[C], price of each contract's underlying [price units].
        forward: float64[C], forward price of the underlying at the contract's expiry [price units].
        implied_volatility: float64[C], per square root of a year; NaN where the contract is no option.
        time_to_expiry: float64[C], years of 365 days; inf where there is none.
        interest_rate: continuously compounded, per year.
        daily_volatility: float64[C], of the underlying, per square root of a day.
        spread: float64[C], best ask less best bid [price units].
        risk: parameters that bind new orders.
        pending_risk: announced maintenance rates, oldest first, int64[ring, C].
    """

    @property
    def step(self) -> int:
        """Completed steps."""
        ...

    @property
    def time_s(self) -> float:
        """Simulated seconds."""
        ...

    @property
    def value(self) -> np.ndarray:
        """Exogenous value, ticks."""
        ...

    @property
    def mark(self) -> np.ndarray:
        """Marks, sub-ticks."""
        ...

    @property
    def index(self) -> np.ndarray:
        """Index, sub-ticks."""
        ...

    @property
    def mid(self) -> np.ndarray:
        """Mid, ticks."""
        ...

    @property
    def bid(self) -> np.ndarray:
        """Best bids, ticks."""
        ...

    @property
    def ask(self) -> np.ndarray:
        """Best asks, ticks."""
        ...

    @property
    def depth_bid(self) -> np.ndarray:
        """Bid lots within 5 %."""
        ...

    @property
    def depth_ask(self) -> np.ndarray:
        """Ask lots within 5 %."""
        ...

    @property
    def volume(self) -> np.ndarray:
        """Lots in the last day."""
        ...

    @property
    def open_interest(self) -> np.ndarray:
        """Open interest, lots."""
        ...

    @property
    def spot(self) -> np.ndarray:
        """Price of each contract's underlying, price units."""
        ...

    @property
    def forward(self) -> np.ndarray:
        """Forward price of the underlying at expiry, price units."""
        ...

    @property
    def implied_volatility(self) -> np.ndarray:
        """Implied volatilities of options, per square root of a year."""
        ...

    @property
    def time_to_expiry(self) -> np.ndarray:
        """Years of 365 days to expiry."""
        ...

    @property
    def interest_rate(self) -> float:
        """Continuously compounded interest per year."""
        ...

    @property
    def daily_volatility(self) -> np.ndarray:
        """Volatility of the underlying per square root of a day."""
        ...

    @property
    def spread(self) -> np.ndarray:
        """Best ask less best bid, price units."""
        ...

    @property
    def risk(self) -> RiskParameters:
        """Parameters that bind new orders."""
        ...

    @property
    def pending_risk(self) -> np.ndarray:
        """Announced maintenance rates, 2**-32."""
        ...

    def returns(self, window: int, sample_steps: int = 1) -> np.ndarray:
        """Log returns of the mark, float64[window, C], newest last, sampled every ``sample_steps``."""
        ...


@runtime_checkable
class MarginModel(Protocol):
    """A margin regime.

    Attributes:
        name: registered name.
        layout: ``"cross"`` or ``"isolated"``.
        publish_kernel: compiled publisher ``(state, slot)``, or None when ``publish`` is plain Python.
        requirement_kernel: compiled evaluator ``(state, account, contract, which)``, or None for plain Python.
        index_valid: True when maintenance never exceeds the published rate of each contract, the same for all accounts,
            so that the bankruptcy-price index finds every candidate for liquidation.
    """

    name: str
    layout: str
    publish_kernel: Any
    requirement_kernel: Any
    index_valid: bool

    def init(self, contracts: ContractTable) -> ModelState:
        """Arrays that the model remembers. Compiled models return ``params`` and ``state``, float64[C, K]."""
        ...

    def publish(self, market: MarketView, state: ModelState) -> tuple[RiskParameters, ModelState]:
        """Risk parameters from the market state, once per step, pure."""
        ...

    def requirement(self, portfolio: PortfolioView, risk: RiskParameters) -> Requirement:
        """Requirements of all accounts at once, pure."""
        ...


@dataclass(slots=True)
class PopulationSetup:
    """What a population gets to write its columns before the run.

    Attributes:
        state: the market's arrays.
        population: row of the population in ``pop_params``.
        first: its first account.
        count: its number of accounts.
        seed: of the run.
        stream: base of its named random streams.
        contracts: the contracts.
        dt_seconds: seconds per step.
        steps_per_day: steps per day.
        value0: float64[C], exogenous value at step 0 in ticks.
        names: population names, by number.
    """

    state: State
    population: int
    first: int
    count: int
    seed: int
    stream: int
    contracts: Sequence[Contract]
    dt_seconds: float
    steps_per_day: int
    value0: np.ndarray
    names: Sequence[str] = ()

    def deposit(self, account: int, amount: int, currency: int = 0) -> None:
        """Give an account cash, in minor units of a currency (by number)."""
        from sim.kernels import ledger

        ledger.deposit_in(self.state, int(account), int(currency), int(amount))

    def outside(self, account: int, amount: int) -> None:
        """Give an account cash outside the exchange, which it may bring in to meet margin calls."""
        self.state.accounts["outside"][account] = int(amount)


@runtime_checkable
class Population(Protocol):
    """A kind of trader: columns, a kernel that decides for all rows, views.

    Attributes:
        name: unique in the market; names its random streams.
        kind: registered kind.
        count: number of traders (accounts).
        period: steps between the decisions of one trader, 0 when the kernel runs for all rows each step.
        contract: index of the main contract.
        decide: compiled ``(state, population)``, or None when ``decide_python`` is used.
    """

    name: str
    kind: str
    count: int
    period: int
    contract: int
    decide: Any

    def fill(self, setup: PopulationSetup) -> None:
        """Write parameters, columns and deposits."""
        ...

    def views(self, market: mesa.Model) -> list[mesa.Agent]:
        """Mesa agents, one per row."""
        ...


@dataclass(slots=True)
class AccountView:
    """An account as its own trader sees it: cash, positions, requirements, resting orders.

    Attributes:
        market: the market (``sim.market.Market``).
        account: account number.
    """

    market: Any
    account: int

    @property
    def wallet(self) -> int:
        """Cash in the wallet, minor units."""
        return int(self.market.state.wallets[self.account, 0])

    @property
    def wallets(self) -> np.ndarray:
        """Cash per currency, minor units of each, int64[K]."""
        return self.market.state.wallets[self.account].copy()

    @property
    def lots(self) -> np.ndarray:
        """Signed positions, int64[C]."""
        return self.market.state.positions["lots"][self.account].copy()

    @property
    def equity(self) -> int:
        """Wallet, pockets and unrealised profit, minor units."""
        from sim.kernels import ledger

        return int(ledger.equity(self.market.state, self.account))

    @property
    def initial_margin(self) -> int:
        """Initial margin in use, open orders included, minor units."""
        return int(self.market.initial_margin(self.account))

    @property
    def maintenance_margin(self) -> int:
        """Maintenance margin, minor units."""
        return int(self.market.maintenance_margin(self.account))

    @property
    def is_open(self) -> bool:
        """False once the account was closed by a bankruptcy."""
        from sim.kernels.state import CLOSED

        return int(self.market.state.accounts["status"][self.account]) != CLOSED

    def orders(self) -> list[dict[str, int]]:
        """Resting orders, newest first: id, contract, side, price (ticks), lots."""
        from sim.kernels.book import order_id

        state = self.market.state
        table = state.orders
        found = []
        slot = int(state.accounts["order_head"][self.account])
        while slot >= 0:
            row = table[slot]
            found.append(
                {
                    "id": int(order_id(state, slot)),
                    "contract": int(row["contract"]),
                    "side": int(row["side"]),
                    "price": int(row["price"]),
                    "lots": int(row["quantity"]),
                }
            )
            slot = int(row["own_next"])
        return found
