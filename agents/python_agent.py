"""Traders in plain Python: a Mesa agent whose ``step`` trades beside the compiled populations.

A behaviour is one class::

    class Contrarian(PythonTrader):
        '''Buy below the price of ten steps ago, sell above it.'''

        def step(self):
            move = self.quote().log_mid() - self.quote().log_mid(10)
            if self.draw("attention") < 0.1 and abs(move) > 0.001:
                self.market(-1 if move > 0 else 1)

    @agents.register("contrarian")
    class Contrarians(PythonPopulation):
        '''Traders against the last move.'''

        agent = Contrarian

and its kind stands in a scenario like any other.
"""

from __future__ import annotations

import weakref
from functools import lru_cache
from typing import Any, ClassVar

import mesa
import numpy as np

from agents.columns import Population, PopulationParams
from agents.desk import Quote
from agents.registry import MarketInfo
from sim.errors import ForkError
from sim.interfaces import AccountView
from sim.kernels import keyed
from sim.kernels.messages import push
from sim.kernels.state import (
    BUY,
    CANCEL,
    CANCEL_ALL,
    CLOSED,
    GTC,
    IOC,
    M_SEED,
    M_STEP,
    MARKET,
    NEW,
    POST_ONLY,
    REDUCE_ONLY,
    SELL,
)
from sim.keyed import stream

_DRAWS_PER_ROW = 1 << 20


@lru_cache(maxsize=4096)
def _stream_of(population: str, name: str) -> int:
    return stream(f"population.{population}.{name}")


class PythonTrader(mesa.Agent):
    """Base of traders written in Python. Subclasses write ``step``.

    Attributes:
        account: account number in the market.
        row: number within the population.
        params: parameters of the population.
        view: own account (:class:`sim.interfaces.AccountView`).
    """

    def __init__(self, model: mesa.Model, population: PythonPopulation, account: int) -> None:
        """Bind the trader to its account."""
        super().__init__(model)
        self.population = population
        self.account = account
        self.row = account - population.first
        self.params = population.params
        self.view = AccountView(model, account)
        self._own_from: frozenset[str] = frozenset()
        self._own_from = frozenset(vars(self))

    # What a trader sees

    @property
    def now(self) -> int:
        """Number of the step that is being decided, from 1."""
        return int(self.model.state.meta[M_STEP])

    @property
    def lots(self) -> int:
        """Signed position in the population's main contract."""
        return self.position()

    @property
    def equity(self) -> int:
        """Wallet, pockets and unrealised profit, minor units."""
        return self.view.equity

    @property
    def is_open(self) -> bool:
        """False once the account was closed by a bankruptcy."""
        return int(self.model.state.accounts["status"][self.account]) != CLOSED

    def position(self, contract: int | str | None = None) -> int:
        """Signed position in a contract."""
        return self.model.state.positions["lots"].item(self.account, self._contract(contract))

    def quote(self, contract: int | str | None = None) -> Quote:
        """Public numbers of a contract: bid, ask, mid, mark (ticks), variances, initial rate, past mids, value."""
        return Quote(self.model.state, self._contract(contract))

    def draw(self, name: str, k: int = 0) -> float:
        """A uniform in (0, 1): the same for the same seed, step, trader, name and k, whatever else happens.

        Args:
            name: what the number is for.
            k: counter for several draws of one name in one step, below 2**20.
        """
        if not 0 <= k < _DRAWS_PER_ROW:
            raise ValueError(f"k is a number from 0 to {_DRAWS_PER_ROW - 1}, not {k}")
        key = _stream_of(self.population.name, name)
        seed = int(self.model.state.meta[M_SEED])
        return float(keyed.uniform(seed, key, self.now, self.row * _DRAWS_PER_ROW + k))

    # What a trader does

    def limit(
        self,
        lots: int,
        price: int,
        *,
        contract: int | str | None = None,
        lifetime: int = 0,
        immediate: bool = False,
        post_only: bool = False,
        reduce_only: bool = False,
    ) -> None:
        """Send a limit order.

        Args:
            lots: positive buys, negative sells.
            price: limit in ticks.
            contract: name or index, the population's main contract if not given.
            lifetime: steps after which the order leaves, 0 for never.
            immediate: cancel at once what does not trade.
            post_only: refuse the order if it would trade at once.
            reduce_only: never open or turn a position.
        """
        tif = IOC if immediate else POST_ONLY if post_only else GTC
        expiry = self.now + int(lifetime) if lifetime > 0 else 0
        self._send(contract, NEW, lots, tif, REDUCE_ONLY if reduce_only else 0, price, expiry)

    def market(self, lots: int, *, contract: int | str | None = None, reduce_only: bool = False) -> None:
        """Send a market order: it trades up to the price band at once, the rest is cancelled."""
        self._send(contract, NEW, lots, IOC, MARKET | (REDUCE_ONLY if reduce_only else 0))

    def cancel(self, order: int) -> None:
        """Cancel a resting order by its id (``view.orders()`` lists them)."""
        self._send(None, CANCEL, 0, reference=order)

    def cancel_all(self, contract: int | str | None = None) -> None:
        """Cancel every resting order in a contract."""
        self._send(contract, CANCEL_ALL, 0)

    def step(self) -> None:
        """Decide. Called once per step while the account is open."""

    # What a fork or a snapshot copies

    def state_dict(self) -> dict[str, Any]:
        """What this trader remembers, as plain numbers, strings, lists, dicts or arrays.

        Raises:
            ForkError: the class keeps attributes of its own and does not say here how to copy them.
        """
        own = sorted(set(vars(self)) - self._own_from)
        if own:
            raise ForkError(
                f"{type(self).__name__} keeps {', '.join(own)}; a market with it can be forked or stored once the "
                "class has a state_dict() that returns what must be copied"
            )
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what ``state_dict`` of the same trader returned in another market."""
        for name, value in state.items():
            setattr(self, name, value)

    def _contract(self, contract: int | str | None) -> int:
        if contract is None:
            return self.population.contract
        return self.population.market.contracts.index(contract) if isinstance(contract, str) else int(contract)

    def _send(
        self,
        contract: int | str | None,
        kind: int,
        lots: int,
        tif: int = GTC,
        flags: int = 0,
        price: int = 0,
        expiry: int = 0,
        reference: int = 0,
    ) -> None:
        if kind == NEW and lots == 0:
            return
        side = 0 if kind != NEW else BUY if lots > 0 else SELL
        push(
            self.model.state, self.account, self._contract(contract), kind, side, tif, flags, int(price),
            abs(int(lots)), expiry, int(reference), 0, 0,
        )  # fmt: skip


class PythonPopulation(Population):
    """A population of Python traders.

    Attributes:
        agent: class of its traders.
    """

    agent: ClassVar[type[PythonTrader]] = PythonTrader
    decide = None

    def __init__(self, name: str, params: PopulationParams, market: MarketInfo) -> None:
        """Take checked parameters."""
        super().__init__(name, params, market)
        self._traders: weakref.WeakKeyDictionary[mesa.Model, list[PythonTrader]] = weakref.WeakKeyDictionary()

    def views(self, market: mesa.Model) -> list[mesa.Agent]:
        """The traders themselves: they are Mesa agents already."""
        return list(self.traders(market))

    def traders(self, market: mesa.Model) -> list[PythonTrader]:
        """The traders of a market, made when they are first asked for."""
        found = self._traders.get(market)
        if found is None:
            accounts = range(self.first, self.first + self.count)
            found = self._traders[market] = [self.agent(market, self, account) for account in accounts]
        return found

    def decide_python(self, market: mesa.Model) -> None:
        """Let every trader with an open account act, in the order of rows (arrival order is drawn by the market)."""
        status = market.state.accounts["status"]
        for trader in self.traders(market):
            if status[trader.account] != CLOSED:
                trader.step()

    def state_dict(self, market: mesa.Model) -> list[dict[str, Any]]:
        """What all traders of a market remember.

        Raises:
            ForkError: a trader's class keeps attributes that it does not know how to copy.
        """
        return [_copied(trader.state_dict()) for trader in self.traders(market)]

    def load_state_dict(self, market: mesa.Model, states: list[dict[str, Any]]) -> None:
        """Give the traders of a market what the traders of another remembered."""
        for trader, state in zip(self.traders(market), states, strict=True):
            trader.load_state_dict(_copied(state))


def _copied(value: Any) -> Any:
    """A deep copy of plain values and arrays."""
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_copied(item) for item in value)
    if isinstance(value, np.ndarray):
        return value.copy()
    if value is None or isinstance(value, (bool, int, float, str, np.generic)):
        return value
    raise ForkError(f"state_dict() holds a {type(value).__name__}; allowed: numbers, strings, lists, dicts, arrays")
