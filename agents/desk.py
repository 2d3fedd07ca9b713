"""What one population sees and may do in a step, in plain Python: the readable definitions of kinds are written on it.

Every built-in kind has two forms: a compiled ``decide`` in :mod:`agents.kernels`, which the market runs, and a plain
``decide(desk)`` beside its population class, which says the same in words. Tests hold them equal, message by message.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

from agents.kernels import rows
from sim.kernels import keyed, ledger, realmath
from sim.kernels.messages import wake_range
from sim.kernels.state import (
    CAUSE_NONE,
    GTC,
    M_SEED,
    M_STEP,
    NEW,
    PI_CONTRACT,
    PI_COUNT,
    PI_FIRST,
    PI_STREAM,
    RATE_ONE,
    SUBTICKS,
)

if TYPE_CHECKING:
    from agents.columns import Population
    from sim.kernels.state import State


class Message(NamedTuple):
    """A message as its sender writes it."""

    account: int
    contract: int
    kind: int
    side: int
    tif: int
    flags: int
    price: int
    lots: int
    expiry: int
    ref: int
    cause: int
    cause_ref: int


class Bid(NamedTuple):
    """A standing offer of a liquidator."""

    account: int
    contract: int
    side: int
    lots: int
    discount: int
    fee: int = 0
    gas: int = 0
    latency: int = 0
    share: int = 0
    least: int = 0
    revert: int = 0


class Quote:
    """Public numbers of one contract, prices in ticks, rates and volatilities as fractions."""

    def __init__(self, state: State, contract: int) -> None:
        """Read the quote of a contract."""
        row = state.quotes[contract]
        terms = state.contracts[contract]
        self._state, self.contract = state, contract
        self.bid, self.ask = int(row["bid"]), int(row["ask"])
        self.mid_subticks, self.mark_subticks = int(row["mid"]), int(row["mark"])
        self.mid, self.mark = self.mid_subticks / SUBTICKS, self.mark_subticks / SUBTICKS
        self.variance_fast, self.variance_slow = float(row["variance_fast"]), float(row["variance_slow"])
        self.tick_value, self.max_price = int(terms["tick_value"]), int(terms["max_price"])
        self.max_lots = int(terms["max_lots"])
        self.band = int(terms["band"]) / RATE_ONE
        self.rate_initial = int(state.rate_initial[contract]) / RATE_ONE
        self.liquidated = int(row["liquidated"])
        self.value = float(rows.value_now(state, contract))
        self.lot_value = float(rows.value_of_lot(state, contract))

    def depth_at(self, price: int) -> int:
        """Lots resting at a price."""
        levels = self._state.levels
        return int(levels[self.contract, price & (levels.shape[1] - 1)]["depth"])

    def log_mid(self, steps_ago: int = 0) -> float:
        """Logarithm of the mid at the last completed step, or some steps before it."""
        return float(rows.log_mid_before(self._state, self.contract, steps_ago))


class Trader:
    """One account: its own position and money, its columns as attributes (assignments write the column)."""

    def __init__(self, desk: Desk, account: int) -> None:
        """Bind to an account."""
        object.__setattr__(self, "desk", desk)
        object.__setattr__(self, "account", account)
        object.__setattr__(self, "row", account - desk.first)

    def __getattr__(self, name: str) -> Any:
        """Read a column."""
        array, position = self.desk.place(name)
        return array.item(self.account, position)

    def __setattr__(self, name: str, value: Any) -> None:
        """Write a column."""
        array, position = self.desk.place(name)
        array[self.account, position] = value

    def lots(self, contract: int | None = None) -> int:
        """Signed position."""
        where = self.desk.contract if contract is None else contract
        return int(self.desk.state.positions[self.account, where]["lots"])

    @property
    def equity(self) -> int:
        """Wallet, pockets and unrealised profit, minor units."""
        return int(ledger.equity(self.desk.state, self.account))

    def pay_for_speed(self, fee: int) -> None:
        """Set the priority fee of the messages that follow, minor units."""
        self.desk.state.accounts["priority_fee"][self.account] = fee

    @property
    def status(self) -> int:
        """OPEN, CALLED, LIQUIDATING or CLOSED."""
        return int(self.desk.state.accounts[self.account]["status"])

    @property
    def resting_orders(self) -> int:
        """Number of resting orders."""
        return int(self.desk.state.accounts[self.account]["orders"])

    @property
    def last_liquidation(self) -> int:
        """Step of the last liquidation, -1 if there was none."""
        return int(self.desk.state.accounts[self.account]["last_liquidation"])


class Desk:
    """The market as one population sees it in a step, its random draws, and where it leaves its messages.

    Attributes:
        step: number of the step that is being decided, from 1.
        p: parameters of the kernel by name.
        messages: what the population sent.
        bids: standing offers for positions under liquidation.
    """

    def __init__(self, state: State, index: int, population: Population) -> None:
        """Open the desk of population number ``index``."""
        self.state, self.index, self.population = state, index, population
        self.meta = state.meta
        self.step, self.seed = int(state.meta[M_STEP]), int(state.meta[M_SEED])
        row = state.pop_ints[index]
        self.first, self.count = int(row[PI_FIRST]), int(row[PI_COUNT])
        self.contract, self.stream = int(row[PI_CONTRACT]), int(row[PI_STREAM])
        self.period = population.period
        values = state.pop_params[index]
        self.p = SimpleNamespace(**{name: float(values[k]) for k, name in enumerate(population.PARAMS)})
        self.quote = Quote(state, self.contract)
        self.activity = float(state.activity[min(self.step, len(state.activity) - 1)])
        self.messages: list[Message] = []
        self.bids: list[Bid] = []

    def place(self, name: str) -> tuple[Any, int]:
        """Array and position of a column."""
        if name in self.population.FLOATS:
            return self.state.trader_floats, self.population.FLOATS.index(name)
        if name in self.population.INTS:
            return self.state.trader_ints, self.population.INTS.index(name)
        raise AttributeError(name)

    def lots_resting(self, low: int, high: int) -> int:
        """Lots that rest between two prices, both included."""
        orders = self.state.orders
        mine = (orders["side"] != 0) & (orders["contract"] == self.contract)
        return int(orders["quantity"][mine & (orders["price"] >= low) & (orders["price"] <= high)].sum())

    def trader(self, row: int) -> Trader:
        """The trader of a row."""
        return Trader(self, self.first + row)

    def traders(self) -> Iterator[Trader]:
        """All traders of the population."""
        return (self.trader(row) for row in range(self.count))

    def waking(self) -> Iterator[Trader]:
        """The traders whose turn it is in this step."""
        low, high = wake_range(self.state, self.index)
        return (Trader(self, int(self.state.wake_rows[k])) for k in range(low, high))

    def uniform(self, purpose: int, step: int, index: int) -> float:
        """One uniform of the population's stream."""
        return float(keyed.uniform(self.seed, self.stream + purpose, step, index))

    def uniform4(self, purpose: int, step: int, index: int, block: int = 0) -> tuple[float, float, float, float]:
        """Four uniforms of the population's stream; further blocks hold four more each."""
        a, b, c, d = keyed.uniform4(self.seed, self.stream + purpose, step, index, block)
        return float(a), float(b), float(c), float(d)

    @staticmethod
    def ln(x: float) -> float:
        """Natural logarithm."""
        return float(realmath.ln(x))

    def send(
        self,
        trader: Trader,
        lots: int,
        *,
        contract: int | None = None,
        kind: int = NEW,
        tif: int = GTC,
        flags: int = 0,
        price: int = 0,
        expiry: int = 0,
        cause: int = CAUSE_NONE,
    ) -> None:
        """Leave a message for signed lots."""
        where = self.contract if contract is None else contract
        side = 1 if lots > 0 else -1 if lots < 0 else 0
        self.messages.append(
            Message(trader.account, where, kind, side, tif, flags, price, abs(lots), expiry, 0, cause, 0)
        )

    def offer(
        self,
        trader: Trader,
        side: int,
        lots: int,
        discount: int,
        *,
        fee: int = 0,
        gas: int = 0,
        latency: int = 0,
        share: int = 0,
        least: int = 0,
        revert: int = 0,
    ) -> None:
        """Leave a standing offer (see :func:`sim.kernels.messages.push_bid`)."""
        self.bids.append(
            Bid(trader.account, self.contract, side, lots, discount, fee, gas, latency, share, least, revert)
        )
