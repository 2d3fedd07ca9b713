"""A population as one struct of columns, and the Mesa agents that look at its rows.

Columns live in ``state.trader_floats`` and ``state.trader_ints``, one row per account, and parameters in
``state.pop_params``, so that a snapshot or a fork of the market copies them with everything else. A subclass names its
columns and parameters once, in its kernel file, and both the compiled decision and the plain one use these names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import mesa
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agents.registry import MarketInfo
from sim.errors import ConfigError, Problem

if TYPE_CHECKING:
    from sim.interfaces import PopulationSetup
    from sim.kernels.state import State
    from sim.market import Market

STATUS_NAMES = ("open", "called", "liquidating", "closed")


class PopulationParams(BaseModel):
    """Parameters that every population has. Durations are in steps."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    count: int = Field(1, ge=1, le=10_000_000, description="number of traders (accounts)")
    contract: str | None = Field(None, description="name of the contract traded; the first one if not given")
    capital_lots: float = Field(
        1000.0, gt=0, description="deposit per trader, as the number of lots whose full value it pays at step 0"
    )
    outside_lots: float = Field(
        0.0, ge=0, description="cash per trader outside the exchange that can meet margin calls, lots as above"
    )
    priority_fee_lots: float = Field(
        0.0, ge=0, le=1, description="priority fee of each message where ordering is priority_fee, lots as above"
    )


class ViewAgent(mesa.Agent):
    """One row of a population as a Mesa agent: its attributes read the columns, it holds no state of its own."""

    def __init__(self, model: mesa.Model, population: Population, account: int) -> None:
        """Bind the view to an account of a population."""
        super().__init__(model)
        self.population = population
        self.account = account

    @property
    def kind(self) -> str:
        """Kind of trader."""
        return self.population.kind

    @property
    def population_name(self) -> str:
        """Name of the population."""
        return self.population.name

    @property
    def lots(self) -> int:
        """Signed position in the population's main contract."""
        return self.model.state.positions["lots"].item(self.account, self.population.contract)

    @property
    def wallet(self) -> int:
        """Cash in the wallet, minor units."""
        return self.model.state.wallets.item(self.account, 0)

    @property
    def equity(self) -> int:
        """Wallet, pockets and unrealised profit at the current marks, minor units."""
        from sim.kernels import ledger

        return int(ledger.equity(self.model.state, self.account))

    @property
    def resting_orders(self) -> int:
        """Number of resting orders."""
        return self.model.state.accounts["orders"].item(self.account)

    @property
    def status(self) -> str:
        """``open``, ``called``, ``liquidating`` or ``closed``."""
        return STATUS_NAMES[self.model.state.accounts["status"].item(self.account)]

    @property
    def liquidated_lots(self) -> int:
        """Lots that were ever forced out."""
        return self.model.state.accounts["liquidated"].item(self.account)

    def step(self) -> None:
        """Nothing: the population's kernel decides for all rows."""


def column(array: str, position: int, doc: str = "") -> Any:
    """A view's attribute that reads one column of the state and returns a Python scalar.

    Args:
        array: ``"trader_floats"`` or ``"trader_ints"``.
        position: column in that array.
        doc: documentation of the attribute.
    """

    def read(self: ViewAgent) -> float | int:
        value: float | int = getattr(self.model.state, array).item(self.account, position)
        return value

    return property(read, doc=doc)


class Population:
    """A kind of trader: parameters, columns, a compiled decision for all rows, Mesa views.

    Subclasses set the class attributes and override :meth:`values` and, where they have columns, :meth:`fill_columns`.

    Attributes:
        name: unique in the market.
        params: validated parameters.
        count: number of traders.
        period: steps between the decisions of one trader; 0 when the kernel runs for all rows each step.
        history: steps of past mids that its decisions read.
        contract: index of the main contract.
        first: first account, known once the market has called :meth:`fill`.
    """

    kind: ClassVar[str] = ""
    Params: ClassVar[type[PopulationParams]] = PopulationParams
    View: ClassVar[type[ViewAgent]] = ViewAgent
    # names of parameters and columns, in the order of the constants of the kernel file
    PARAMS: ClassVar[tuple[str, ...]] = ()
    FLOATS: ClassVar[tuple[str, ...]] = ()
    INTS: ClassVar[tuple[str, ...]] = ()
    decide: ClassVar[Any] = None

    def __init__(self, name: str, params: PopulationParams, market: MarketInfo) -> None:
        """Take checked parameters; use :func:`agents.create` for raw ones."""
        self.name = name
        self.params: Any = params
        self.market = market
        self.count = params.count
        self.period = int(getattr(params, "period", 0))
        self.history = 0
        self.contract = market.contracts.index(params.contract) if params.contract else 0
        self.first = -1

    @classmethod
    def check(cls, params: Any, market: MarketInfo) -> list[Problem]:
        """Problems that need the market to be seen. Subclasses extend this."""
        if params.contract is not None and params.contract not in market.contracts:
            return [Problem("", "contract", params.contract, "one of " + ", ".join(market.contracts))]
        return []

    @classmethod
    def _checked(cls, raw: Mapping[str, Any], market: MarketInfo) -> PopulationParams:
        try:
            params = cls.Params.model_validate(raw)
        except ValidationError as error:
            raise ConfigError(_problem(cls.Params, entry) for entry in error.errors()) from None
        found = cls.check(params, market)
        if found:
            raise ConfigError(found)
        return params

    def values(self, setup: PopulationSetup) -> Mapping[str, float]:
        """Parameters of the kernel by name, in its own units."""
        return {}

    def fill_columns(self, setup: PopulationSetup) -> None:
        """Write the columns of all rows."""

    def capital(self, setup: PopulationSetup) -> np.ndarray:
        """Deposits in minor units, int64[count]."""
        return np.full(self.count, self._minor_units(setup, self.params.capital_lots), np.int64)

    def fill(self, setup: PopulationSetup) -> None:
        """Write parameters, columns and deposits into the market's state."""
        from agents.kernels.rows import deposit_each

        self.first = setup.first
        values = self.values(setup)
        missing = set(self.PARAMS) ^ set(values)
        if missing:
            raise ValueError(f"{type(self).__name__}: parameters and values differ in {sorted(missing)}")
        for position, name in enumerate(self.PARAMS):
            setup.state.pop_params[setup.population, position] = float(values[name])
        self.fill_columns(setup)
        currency, base = (int(setup.state.contracts[name][self.contract]) for name in ("currency", "base_currency"))
        deposit_each(setup.state, np.int64(setup.first), np.int64(currency), self.capital(setup))
        if setup.contracts[self.contract].kind == "spot":
            # who trades spot brings as many coins as he could buy
            coins = int(self.params.capital_lots * setup.contracts[self.contract].base_lot)
            deposit_each(setup.state, np.int64(setup.first), np.int64(base), np.full(self.count, coins, np.int64))
        if self.params.priority_fee_lots > 0:
            rate = int(setup.state.conversion[currency])  # fees are paid in the account currency
            fee = self._minor_units(setup, self.params.priority_fee_lots) * rate >> 32
            setup.state.accounts["priority_fee"][setup.first : setup.first + self.count] = fee
        if self.params.outside_lots > 0:
            rate = int(setup.state.conversion[currency])  # cash outside is in the account currency
            outside = self._minor_units(setup, self.params.outside_lots) * rate >> 32
            for account in range(setup.first, setup.first + self.count):
                setup.outside(account, outside)

    def _minor_units(self, setup: PopulationSetup, lots: float) -> int:
        """Value of lots at step 0."""
        contract, price = setup.contracts[self.contract], float(setup.value0[self.contract])
        if contract.is_inverse:
            return int(lots * contract.tick_value / price)
        return int(lots * price * contract.tick_value)

    def change(self, market: Market, **params: Any) -> None:
        """Change parameters that the decision reads, from the next step of a live market on.

        A fork takes the present parameters with it, and from then on each has its own. ``params`` stays what the
        population was made with.

        Args:
            market: the market, between two steps.
            params: parameters by name, as a scenario file spells them.

        Raises:
            ConfigError: a parameter is not allowed, or it was used only when the market was made.
        """
        fixed = set(PopulationParams.model_fields) | {"period"}
        known = [name for name in self.Params.model_fields if name not in fixed]
        wrong = [name for name in params if name not in known]
        if wrong:
            allowed = "a parameter that can change while the market runs: " + ", ".join(known)
            raise ConfigError(Problem("", name, params[name], allowed) for name in wrong)
        number = market.population_number(self.name)
        before: Any = market.changed_params.get(self.name, self.params)
        after = self._checked(before.model_dump() | params, self.market)
        setup = market.population_setup(number)
        old = self._values_of(before, setup)
        unread = [
            name
            for name in params
            if getattr(after, name) != getattr(before, name)
            and self._values_of(before.model_copy(update={name: getattr(after, name)}), setup) == old
            and self._values_of(after.model_copy(update={name: getattr(before, name)}), setup)
            == self._values_of(after, setup)
        ]
        if unread:
            raise ConfigError(
                Problem("", name, params[name], "a parameter that is read after the market was made") for name in unread
            )
        for name, value in self._values_of(after, setup).items():
            if old[name] != value:
                market.state.pop_params[number, self.PARAMS.index(name)] = value
        market.changed_params[self.name] = after

    def _values_of(self, params: PopulationParams, setup: PopulationSetup) -> dict[str, float]:
        """Values that the kernel gets of other parameters."""
        other = copy(self)
        other.params = params
        return {name: float(value) for name, value in other.values(setup).items()}

    def column(self, state: State, name: str) -> np.ndarray:
        """A column of all rows of this population (a view of the state)."""
        rows = slice(self.first, self.first + self.count)
        if name in self.FLOATS:
            return state.trader_floats[rows, self.FLOATS.index(name)]
        if name in self.INTS:
            return state.trader_ints[rows, self.INTS.index(name)]
        raise KeyError(f"{self.kind} has no column {name!r}; it has {', '.join(self.FLOATS + self.INTS) or 'none'}")

    def views(self, market: mesa.Model) -> list[mesa.Agent]:
        """One Mesa agent per row."""
        return [self.View(market, self, account) for account in range(self.first, self.first + self.count)]


@lru_cache(maxsize=64)
def _allowed(params: type[PopulationParams]) -> str:
    return "one of the parameters " + ", ".join(params.model_fields)


def _problem(params: type[PopulationParams], entry: Any) -> Problem:
    """A pydantic error as one of ours."""
    location: Sequence[Any] = entry["loc"]
    key = ".".join(str(part) for part in location) or "parameters"
    if entry["type"] == "extra_forbidden":
        return Problem("", key, entry["input"], _allowed(params))
    message = str(entry["msg"])
    message = message.removeprefix("Input should be ").removeprefix("Value error, ")
    return Problem("", key, entry["input"], message)
