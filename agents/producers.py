"""Producers and consumers: they owe or need a physical amount over time and hedge what is still to come.

Each has a programme of ``output`` lots that is delivered evenly over ``programme_days``, then the next one; programmes
of different traders begin at different moments. A producer is long what he will produce and sells futures or a
perpetual against it, a consumer buys: the hedge is ``hedge_ratio`` times what is still to be delivered, so it is put on
when a programme begins, shrinks as the goods are delivered, and moves to the next dated contract before its own
expires. Their hedges are the hedging pressure of the theory of normal backwardation (Keynes 1930, A Treatise on Money,
ch. 29; Hirshleifer 1990, Econometrica 58:411-428). With ``hedge = "options"`` a producer buys puts, a consumer calls,
and keeps them to expiry.

Delivery is outside of the exchange, or at its spot market (``deliver``): then output enters as coins that are sold, and
what a consumer has bought there leaves.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import floor
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from agents.columns import Population, PopulationParams, ViewAgent, column
from agents.desk import Desk, Trader
from agents.kernels import producers as kernels
from agents.kernels.rows import DRAW_SETUP, limit_near_mark, normals_of, uniforms_of_rows
from agents.registry import MarketInfo, register
from sim.clock import IN_STEPS
from sim.contracts import Contract, chains_of
from sim.errors import Problem
from sim.kernels import ledger, realmath
from sim.kernels.marks import expired
from sim.kernels.state import CLOSED, IOC, OPEN, REDUCE_ONLY, SUBTICKS

if TYPE_CHECKING:
    from sim.interfaces import PopulationSetup


class ProducerParams(PopulationParams):
    """Parameters of producers and consumers; amounts are in lots of ``contract``."""

    count: int = Field(20, ge=1, le=10_000_000, description="number of traders")
    capital_lots: float = Field(2000.0, gt=0, description="deposit per trader, lots at full value at step 0")
    period: int = Field(
        60, ge=1, le=1_000_000, description="steps between a trader's decisions", json_schema_extra=IN_STEPS
    )
    programme_lots: float = Field(100.0, gt=0, le=1e9, description="mean amount delivered in a programme, lots")
    programme_sigma: float = Field(0.5, ge=0, le=3, description="standard deviation of the logarithm of amounts")
    programme_days: float = Field(30.0, gt=0, description="trading days over which a programme is delivered")
    hedge_ratio: float = Field(0.8, ge=0, le=10, description="mean part of what is still to come that is hedged")
    hedge_spread: float = Field(0.25, ge=0, le=1, description="ratios lie within +-this share of their mean")
    hedge: Literal["contract", "options"] = Field(
        "contract", description="hedge in the contract itself, or with options: puts of producers, calls of consumers"
    )
    chain: str | None = Field(None, description="options: the chain; if not given, that of the market")
    moneyness: float = Field(1.0, gt=0, le=10, description="options: strike over the price of the underlying")
    tolerance: float = Field(0.05, ge=0, description="gap that is left, as a fraction of the programme")
    child_lots: int = Field(20, ge=1, description="largest order, lots")
    slippage: float = Field(0.005, ge=0, le=0.5, description="limit of orders, fraction beyond the mark")
    option_slippage: float = Field(0.1, ge=0, le=10, description="options: the same, fraction of the premium")
    roll_days: float = Field(
        1.0, ge=0, description="trading days before a dated contract's expiry at which its hedge moves to the next one"
    )
    deliver: str | None = Field(
        None, description="spot contract in which output is sold or need is bought; if not given, outside the exchange"
    )


class ConsumerParams(ProducerParams):
    """Parameters of consumers, those of producers."""


def _order(desk: Desk, trader: Trader, contract: int, lots: int) -> None:
    """Send signed lots near the mark, reduce-only where they only reduce."""
    if lots:
        held = trader.lots(contract)
        reduces = lots * held < 0 and abs(lots) <= abs(held)
        price = int(limit_near_mark(desk.state, contract, 1 if lots > 0 else -1, desk.p.slippage))
        desk.send(trader, lots, contract=contract, tif=IOC, flags=REDUCE_ONLY if reduces else 0, price=price)


def _listed(desk: Desk) -> list[int]:
    """The contracts that the hedge may be in and that have not settled."""
    numbers = [int(getattr(desk.p, f"contract{k}")) for k in range(kernels.CONTRACTS_MOST)]
    return [number for number in numbers if number >= 0 and not expired(desk.state, number)]


def _hedge_contract(desk: Desk, trader: Trader, target: int) -> None:
    """A child towards signed lots, out of what is about to expire."""
    p, now = desk.p, int(kernels.hedge_contract(desk.state, desk.state.pop_params[desk.index]))
    if now < 0:
        return
    child, total = int(p.child_lots), 0
    for contract in _listed(desk):
        held = trader.lots(contract)
        if contract != now and held and kernels.open_for(desk.state, contract, 0):
            leave = -min(max(held, -child), child)
            _order(desk, trader, contract, leave)
            held += leave
        total += held
    gap = target - total
    if abs(gap) > p.tolerance * trader.output:
        _order(desk, trader, now, min(max(gap, -child), child))


def _hedge_options(desk: Desk, trader: Trader, wanted: float, until: int) -> None:
    """Buy options until those held cover what is wanted; what covers more is kept until it expires."""
    p, state = desk.p, desk.state
    chain, option_type = int(p.chain), -int(p.side)
    mine = (state.contracts["chain"] == chain) & (state.contracts["option"] == option_type)
    covered = 0.0
    for held in np.flatnonzero(mine & (state.positions["lots"][trader.account] != 0)):
        covered += trader.lots(int(held)) / kernels.option_lots(state, int(held), desk.contract)
    gap = wanted - covered
    option = int(kernels.choose_option(state, chain, option_type, p.log_moneyness, until))
    if gap <= p.tolerance * trader.output or option < 0:
        return
    each = kernels.option_lots(state, option, desk.contract)
    lots = min(floor(min(gap, p.child_lots) * each + 0.5), int(state.contracts[option]["max_lots"]))
    if lots > 0:
        limit = int(limit_near_mark(state, option, 1, p.option_slippage))
        limit = max(limit, int(state.quotes[option]["mark"]) // SUBTICKS + 1)
        desk.send(trader, lots, contract=option, tif=IOC, price=min(limit, int(state.contracts[option]["max_price"])))


def _deliver(desk: Desk, trader: Trader, lots: int) -> None:
    """Output becomes coins, which are sold; what is consumed is bought, and leaves."""
    p, state, spot, side = desk.p, desk.state, int(desk.p.deliver), int(desk.p.side)
    base, each = int(state.contracts[spot]["base_currency"]), int(state.contracts[spot]["base_lot"])
    if side > 0:
        if lots > 0:
            ledger.deposit_in(state, trader.account, base, lots * each)
        owed = int(state.wallets[trader.account, base]) // each
    else:
        owed = trader.owed + lots
        bought = min(max(int(state.wallets[trader.account, base]) // each, 0), owed)
        if bought > 0:
            ledger.deposit_in(state, trader.account, base, -bought * each)
            owed -= bought
    trader.owed = owed
    part = min(owed, int(p.child_lots))
    if part > 0:
        price = int(limit_near_mark(state, spot, -side, p.slippage))
        desk.send(trader, -side * part, contract=spot, tif=IOC, price=price)


def decide(desk: Desk) -> None:
    """The decision of every waking trader, in words."""
    p, step = desk.p, desk.step
    programme, side = int(p.programme), int(p.side)
    for trader in desk.waking():
        if trader.status == CLOSED:
            continue
        output, phase = trader.output, trader.phase
        if p.deliver >= 0:
            before = max(step - desk.period, 0)
            done = [output * (moment + phase) // programme for moment in (step, before)]
            _deliver(desk, trader, done[0] - done[1])
        if trader.status != OPEN:
            continue
        rest = output - output * ((step + phase) % programme) // programme
        wanted = floor(trader.ratio * rest + 0.5)
        if p.chain < 0:
            _hedge_contract(desk, trader, -side * wanted)
        else:
            _hedge_options(desk, trader, float(wanted), step + programme - (step + phase) % programme)


class Producer(ViewAgent):
    """A producer's or consumer's view."""

    output = column("trader_ints", kernels.OUTPUT, "Lots delivered in a programme.")
    ratio = column("trader_floats", kernels.RATIO, "Part of what is still to come that is hedged.")

    @property
    def to_come(self) -> int:
        """Lots of the present programme that are still to be delivered."""
        state = self.model.state
        ints = state.trader_ints[self.account]
        programme = int(state.pop_params[int(state.accounts["population"][self.account]), kernels.PROGRAMME])
        return int(kernels.to_come(self.model.tick, int(ints[kernels.OUTPUT]), int(ints[kernels.PHASE]), programme))


def successors(contract: Contract, contracts: Mapping[str, Contract]) -> list[str]:
    """The dated contracts that continue a contract: same underlying, kind and units, later expiry, in order of time."""
    same = ("kind", "about", "currency", "tick_size", "tick_value")
    later = [
        other
        for other in contracts.values()
        if other.expiry_step > contract.expiry_step > 0
        and all(getattr(other, name) == getattr(contract, name) for name in same)
    ]
    return [other.name for other in sorted(later, key=lambda other: other.expiry_step)]


@register("producers")
class Producers(Population):
    """Sell forward what they will produce."""

    Params = ProducerParams
    View = Producer
    PARAMS = kernels.PARAMS
    FLOATS = kernels.FLOATS
    INTS = kernels.INTS
    SIDE: ClassVar[int] = 1
    decide: ClassVar[Any] = staticmethod(kernels.decide)

    @classmethod
    def check(cls, params: Any, market: MarketInfo) -> list[Problem]:
        """The hedge must be a perpetual or a future, the chain and the spot contract there and about the same."""
        found = super().check(params, market)
        terms = {contract.name: contract for contract in market.terms}
        if found or not terms:
            return found
        first = terms[params.contract or market.contracts[0]]
        if first.kind == "spot" or first.is_option:
            return [Problem("", "contract", first.name, f"a perpetual or future, not {first.kind}")]
        if params.deliver is not None:
            spots = [c.name for c in market.terms if c.kind == "spot" and c.about == first.about]
            if params.deliver not in spots:
                allowed = f"a spot contract about {first.about}: {', '.join(spots) or 'the market has none'}"
                found.append(Problem("", "deliver", params.deliver, allowed))
        if params.hedge == "options":
            chains = list(dict.fromkeys(c.chain for c in market.terms if c.chain and c.about == first.about))
            if params.chain not in (chains if params.chain or len(chains) != 1 else (None,)):
                allowed = f"a chain about {first.about}: {', '.join(chains) or 'the market has none'}"
                found.append(Problem("", "chain", params.chain, allowed))
        elif params.chain is not None:
            found.append(Problem("", "chain", params.chain, 'only with hedge = "options"'))
        return found

    def values(self, setup: PopulationSetup) -> Mapping[str, float]:
        """Parameters of the kernel: days as steps, contracts as numbers, -1 for none."""
        p, contracts = self.params, list(setup.contracts)
        names = [contract.name for contract in contracts]
        first = contracts[self.contract]
        hedges = [first.name, *successors(first, dict(zip(names, contracts, strict=True)))]
        chain = -1
        if p.hedge == "options":
            about = [c.chain for c in contracts if c.chain and c.about == first.about]
            chain = chains_of(contracts).index(p.chain or about[0])
        numbers = [names.index(name) for name in hedges][: kernels.CONTRACTS_MOST]
        numbers += [-1] * (kernels.CONTRACTS_MOST - len(numbers))
        return {
            "side": self.SIDE,
            "programme": self._steps(p.programme_days, setup),
            "tolerance": p.tolerance,
            "child_lots": p.child_lots,
            "slippage": p.slippage,
            "roll": round(p.roll_days * setup.steps_per_day),
            "deliver": -1 if p.deliver is None else names.index(p.deliver),
            "chain": chain,
            "log_moneyness": realmath.ln(p.moneyness),
            "option_slippage": p.option_slippage,
        } | {f"contract{k}": number for k, number in enumerate(numbers)}

    @staticmethod
    def _steps(days: float, setup: PopulationSetup) -> int:
        return max(1, round(days * setup.steps_per_day))

    def fill_columns(self, setup: PopulationSetup) -> None:
        """Draw amounts, beginnings and ratios."""
        p = self.params
        uniforms = uniforms_of_rows(setup.seed, setup.stream + DRAW_SETUP, self.count)
        programme = float(self._steps(p.programme_days, setup))
        columns = np.array([p.programme_lots, p.programme_sigma, programme, p.hedge_ratio, p.hedge_spread])
        kernels.fill(setup.state, np.int64(setup.first), normals_of(uniforms), uniforms, columns)


@register("consumers")
class Consumers(Producers):
    """Buy forward what they will need."""

    Params = ConsumerParams
    SIDE: ClassVar[int] = -1
