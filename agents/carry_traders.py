"""Basis and funding arbitrageurs: they hold one contract against another of the same underlying, for the carry.

*Basis arbitrageurs* sell a contract that is dear against another and buy that one (cash and carry), and the reverse
where it is cheap. Fair is the cost of carry, ln F - ln S = r T, with T the years to expiry and r the rate at which they
finance the cheap leg (Hull, Options, Futures, and Other Derivatives, ch. 5). What the basis is off, less the cost of
the round trip, is counted per year: over the time to expiry, over which it must vanish, or over ``horizon_days`` where
neither leg expires.

*Funding arbitrageurs* are paid for holding the other side of a crowded perpetual: short it and long the underlying
where the expected funding per year exceeds what the other leg costs to carry, long it where it falls short. They expect
the premium of now to last over ``horizon_days``; what the interval has accrued counts in its next payment. Their trade
ties a perpetual to its index, within the cost of the trade (He, Manela, Ross & von Wachter 2024, Fundamentals
of Perpetual Futures, arXiv:2212.06888).

Both hold a pair until it no longer earns. Its size is bounded by leverage, by the margin that the pair takes, and where
the other leg is spot by cash and coins: nobody sells coins that he has not. Under a margin call they close.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import floor
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from agents.columns import Population, PopulationParams, ViewAgent, column
from agents.desk import Desk, Quote, Trader
from agents.kernels import carry_traders as kernels
from agents.kernels.rows import DRAW_SETUP, deposit_each, limit_near_mark, normals_of, uniforms_of_rows
from agents.kernels.spread_traders import pair_margin
from agents.registry import MarketInfo, register
from sim.clock import IN_STEPS
from sim.contracts import DAYS_PER_YEAR
from sim.errors import Problem
from sim.kernels import realmath
from sim.kernels.state import CLOSED, IOC, OPEN, REDUCE_ONLY, SPOT

if TYPE_CHECKING:
    from sim.interfaces import PopulationSetup


class CarryTraderParams(PopulationParams):
    """Parameters that both kinds share; all rates are per year."""

    count: int = Field(10, ge=1, le=10_000_000, description="number of traders")
    capital_lots: float = Field(500.0, gt=0, description="deposit per trader, lots at full value at step 0")
    coin_lots: float = Field(
        500.0, ge=0, description="coins per trader at the start where the other leg is spot, in lots of it"
    )
    other: str = Field(description="name of the contract of the other leg, about the same underlying")
    period: int = Field(
        5, ge=1, le=1_000_000, description="steps between a trader's decisions", json_schema_extra=IN_STEPS
    )
    rate: float | None = Field(
        None, gt=-1, lt=1, description="mean rate at which they finance; market.interest_rate if not given"
    )
    rate_sigma: float = Field(0.0, ge=0, le=1, description="standard deviation of that rate over traders")
    entry: float = Field(0.02, ge=0, description="mean excess per year, after costs, below which nothing is opened")
    entry_spread: float = Field(0.5, ge=0, le=1, description="entries lie within +-this share of their mean")
    scale: float = Field(0.10, gt=0, description="excess beyond the entry at which the largest position is held")
    cost: float = Field(0.001, ge=0, lt=1, description="cost of opening and closing both legs, fraction of value")
    horizon_days: float = Field(7.0, gt=0, description="days over which the gap must close")
    shortest_days: float = Field(
        1.0, gt=0, description="time to expiry below which nothing is counted per year any more steeply"
    )
    leverage: float = Field(3.0, gt=0, le=1000, description="most gross exposure over equity")
    headroom: float = Field(0.7, gt=0, le=1, description="most initial margin over equity, and most of the cash spent")
    child_lots: int = Field(5, ge=1, description="largest order in the first leg, lots")
    slippage: float = Field(0.002, ge=0, le=0.5, description="limit of orders, fraction beyond the mark")


class BasisArbitrageurParams(CarryTraderParams):
    """Parameters of basis arbitrageurs."""

    horizon_days: float = Field(
        7.0, gt=0, description="days over which a basis is counted per year where neither leg expires"
    )


class FundingArbitrageurParams(CarryTraderParams):
    """Parameters of funding arbitrageurs."""

    horizon_days: float = Field(
        7.0, gt=0, description="days over which funding is expected and must earn the cost back"
    )
    entry: float = Field(0.05, ge=0, description="mean excess per year, after costs, below which nothing is opened")
    scale: float = Field(1.0, gt=0, description="excess beyond the entry at which the largest position is held")
    child_lots: int = Field(2, ge=1, description="largest order in the first leg, lots")


def _held(desk: Desk, trader: Trader, contract: int) -> int:
    """Signed lots; of spot, the coins beyond those at the start."""
    terms = desk.state.contracts[contract]
    if terms["kind"] != SPOT:
        return trader.lots(contract)
    coins = int(desk.state.wallets[trader.account, terms["base_currency"]])
    return int(coins // int(terms["base_lot"]) - trader.endowment)


def _trade(desk: Desk, trader: Trader, contract: int, lots: int) -> None:
    """Send signed lots near the mark, reduce-only where they only reduce."""
    if lots == 0 or not kernels.trades_now(desk.state, contract):
        return
    held = trader.lots(contract)
    reduces = lots * held < 0 and abs(lots) <= abs(held)
    price = int(limit_near_mark(desk.state, contract, 1 if lots > 0 else -1, desk.p.slippage))
    desk.send(trader, lots, contract=contract, tif=IOC, flags=REDUCE_ONLY if reduces else 0, price=price)


def _work(desk: Desk, trader: Trader, gain: float, excess: float) -> None:
    """Move a pair a child towards what is wanted: short the first leg where the gain of that is positive."""
    p, one, two = desk.p, desk.quote, Quote(desk.state, int(desk.p.other))
    spot = desk.state.contracts[two.contract]["kind"] == SPOT
    ratio = one.lot_value / two.lot_value  # lots of the second leg that balance one lot of the first
    margin = pair_margin(desk.state, one.contract, two.contract, 0.0 if spot else ratio)
    held, held_two = _held(desk, trader, one.contract), _held(desk, trader, two.contract)
    child, child_two = int(p.child_lots), floor(p.child_lots * ratio) + 1
    first, second = (bool(kernels.trades_now(desk.state, quote.contract)) for quote in (one, two))
    target = 0
    if trader.status == OPEN and second:
        equity = max(trader.equity, 0)
        most = p.leverage * equity / (one.lot_value + ratio * two.lot_value)
        if margin > 0:
            most = min(most, p.headroom * equity / margin)
        side = -1 if gain > 0 else 1
        target = floor(0.5 + most * (side * min(max(excess, 0.0) / p.scale, 1.0)))
        if gain != 0 and side * held > 0 and side * (target - held) < 0:  # what still earns is held
            target = side * min(abs(held), floor(most))
    if first and abs(held * ratio + held_two) > 2 * child_two:  # one leg ran ahead: bring the first to the second
        target = floor(0.5 - held_two / ratio)
    lots = min(max(target - held, -child), child)
    if spot:
        buys, sells = kernels.spot_room(desk.state, trader.account, two.contract, p.headroom)
        lots = min(max(lots, -floor(buys / ratio)), floor(sells / ratio))
    lots = lots if first else 0
    gap_two = floor(0.5 - (held + lots) * ratio) - held_two
    _trade(desk, trader, one.contract, lots)
    _trade(desk, trader, two.contract, min(max(gap_two, -child_two), child_two))


def trade_basis(desk: Desk) -> None:
    """Every waking basis arbitrageur's decision, in words."""
    p, other = desk.p, int(desk.p.other)
    years = kernels.years_left(desk.state, desk.contract) - kernels.years_left(desk.state, other)
    span = max(abs(years), p.shortest) if years else p.horizon
    basis = kernels.log_basis(desk.state, desk.contract, other, p.log_ticks)
    for trader in desk.waking():
        if trader.status != CLOSED:
            gap = basis - trader.rate * years
            _work(desk, trader, gap, (abs(gap) - p.cost) / span - trader.entry)


def trade_funding(desk: Desk) -> None:
    """Every waking funding arbitrageur's decision, in words."""
    p, other = desk.p, int(desk.p.other)
    funding = kernels.expected_funding(desk.state, desk.contract, p.horizon)
    for trader in desk.waking():
        if trader.status != CLOSED:
            carry = funding - kernels.cost_of_leg(desk.state, other, trader.rate, p.shortest, p.horizon)
            _work(desk, trader, carry, abs(carry) - p.cost / p.horizon - trader.entry)


class CarryTrader(ViewAgent):
    """A basis or funding arbitrageur's view."""

    rate = column("trader_floats", kernels.RATE, "Rate per year at which the trader finances.")
    entry = column("trader_floats", kernels.ENTRY, "Excess per year below which the trader opens nothing.")

    @property
    def lots_other(self) -> int:
        """Signed lots of the other leg; of spot, the coins beyond those at the start."""
        population: Any = self.population
        return int(kernels.held_of(self.model.state, self.account, population.other))


class _CarryTraders(Population):
    """What both kinds share: a second leg, rates, and coins where that leg is spot."""

    View = CarryTrader
    PARAMS = kernels.PARAMS
    FLOATS = kernels.FLOATS
    INTS = kernels.INTS

    def __init__(self, name: str, params: PopulationParams, market: MarketInfo) -> None:
        """Find the second leg."""
        super().__init__(name, params, market)
        self.other = market.contracts.index(self.params.other)

    @classmethod
    def check(cls, params: Any, market: MarketInfo) -> list[Problem]:
        """The first leg must be a perpetual or a future, the second another contract about the same underlying."""
        found = super().check(params, market)
        if found:
            return found
        first = params.contract or market.contracts[0]
        others = [name for name in market.contracts if name != first]
        terms = {contract.name: contract for contract in market.terms}
        if terms:
            if (held := terms[first]).kind == "spot" or held.is_option:
                return [Problem("", "contract", first, f"a perpetual or future, not {held.kind}")]
            others = [n for n in others if terms[n].about == terms[first].about and not terms[n].is_option]
        if params.other not in others:
            allowed = f"one of {', '.join(others)}" if others else f"a second contract about what {first} is about"
            found.append(Problem("", "other", params.other, allowed))
        return found

    def values(self, setup: PopulationSetup) -> Mapping[str, float]:
        """Parameters of the kernel, days as years."""
        p = self.params
        ticks = [setup.contracts[c].tick_size for c in (self.contract, self.other)]
        return {
            name: getattr(p, name) for name in ("cost", "scale", "leverage", "headroom", "child_lots", "slippage")
        } | {
            "other": self.other,
            "log_ticks": realmath.ln(ticks[0] / ticks[1]),
            "horizon": p.horizon_days / DAYS_PER_YEAR,
            "shortest": p.shortest_days / DAYS_PER_YEAR,
        }

    def fill_columns(self, setup: PopulationSetup) -> None:
        """Draw rates and entries; give coins."""
        p, state = self.params, setup.state
        uniforms = uniforms_of_rows(setup.seed, setup.stream + DRAW_SETUP, self.count)
        mean = float(state.contracts["interest_rate"][self.contract]) if p.rate is None else p.rate
        self.column(state, "rate")[:] = mean + p.rate_sigma * normals_of(uniforms)[:, 0]
        self.column(state, "entry")[:] = p.entry * (1.0 + p.entry_spread * (2.0 * uniforms[:, 1] - 1.0))
        terms = setup.contracts[self.other]
        if terms.kind == "spot":
            lots = floor(p.coin_lots)
            coins = np.full(self.count, lots * terms.base_lot, np.int64)
            base = np.int64(state.contracts["base_currency"][self.other])
            deposit_each(state, np.int64(setup.first), base, coins)
            self.column(state, "endowment")[:] = lots


@register("basis_arbitrageurs")
class BasisArbitrageurs(_CarryTraders):
    """Cash and carry: trade the basis between two contracts of one underlying."""

    Params = BasisArbitrageurParams
    decide: ClassVar[Any] = staticmethod(kernels.trade_basis)


@register("funding_arbitrageurs")
class FundingArbitrageurs(_CarryTraders):
    """Hold a perpetual against its underlying where funding pays for it."""

    Params = FundingArbitrageurParams
    decide: ClassVar[Any] = staticmethod(kernels.trade_funding)

    @classmethod
    def check(cls, params: Any, market: MarketInfo) -> list[Problem]:
        """The first leg must pay funding."""
        found = super().check(params, market)
        first = params.contract or market.contracts[0]
        for contract in market.terms if not found else ():
            if contract.name == first and contract.funding_interval_steps == 0:
                paying = [c.name for c in market.terms if c.funding_interval_steps]
                allowed = "a perpetual that pays funding" + (f": {', '.join(paying)}" if paying else "")
                found.append(Problem("", "contract", first, allowed))
        return found
