"""A backstop vault: an account with capital that takes failed accounts over and unwinds them as a market maker.

The venue hands it whole accounts at their bankruptcy price (:class:`sim.waterfall.Waterfall`); what margin they have
left is the vault's reward. It quotes both sides around the mark of every contract that it holds, leaning against its
inventory, and takes liquidity only with what exceeds a limit. It is margined like any other account when it sends
orders, but never called or liquidated into the book: when its own equity turns negative, what it holds goes down the
rest of the waterfall.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import floor, sqrt
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from agents.columns import Population, PopulationParams, ViewAgent
from agents.desk import Desk, Quote
from agents.kernels import vault as kernels
from agents.kernels.rows import band_limits, limit_near_mark
from agents.registry import register
from sim.clock import IN_STEPS, PER_ROOT_STEP
from sim.kernels.funding import expired
from sim.kernels.state import CANCEL_ALL, CAUSE_VAULT, CLOSED, IOC, M_CONTRACTS, POST_ONLY, REDUCE_ONLY, SPOT

if TYPE_CHECKING:
    from sim.interfaces import PopulationSetup


class VaultParams(PopulationParams):
    """Parameters of a backstop vault."""

    count: int = Field(1, ge=1, le=1, description="one account")
    capital_lots: float = Field(2000.0, gt=0, description="deposit, lots at full value at step 0")
    period: int = Field(1, ge=1, le=1_000_000, description="steps between requotes", json_schema_extra=IN_STEPS)
    levels: int = Field(3, ge=1, le=100, description="levels quoted on each side")
    level_ticks: int = Field(2, ge=1, description="ticks between levels")
    quote_lots: int = Field(5, ge=1, description="lots per level on the side that reduces its inventory")
    make_lots: int = Field(1, ge=0, description="lots per level on the other side, 0 to quote only what reduces")
    half_spread_ticks: float = Field(2.0, ge=0, description="half-spread in a market that does not move, ticks")
    spread_per_sigma: float = Field(
        0.25,
        ge=0,
        description="half-spread added per standard deviation of a step's move",
        json_schema_extra=PER_ROOT_STEP,
    )
    inventory_lots: int = Field(500, ge=1, description="position beyond which it adds nothing and leans no further")
    skew: float = Field(1.0, ge=0, description="shift of the quotes at that position, in half-spreads")
    leverage: float = Field(3.0, gt=0, le=1000, description="most exposure over equity that its own quotes may reach")
    take_above: int = Field(400, ge=0, description="position beyond which it takes liquidity, lots")
    take_lots: int = Field(10, ge=0, description="most lots taken per requote, 0 to only quote")
    slippage: float = Field(0.01, ge=0, le=0.5, description="limit of what it takes, fraction beyond the mark")


def _work(desk: Desk, quote: Quote, inventory: int, equity: int) -> None:
    """The quotes in one contract, and what is taken, in words."""
    p, state, trader = desk.p, desk.state, desk.trader(0)
    half_spread = p.half_spread_ticks + p.spread_per_sigma * sqrt(quote.variance_fast) * quote.mark
    load = min(max(inventory / p.inventory_lots, -1.0), 1.0)
    centre = quote.mark - p.skew * half_spread * load
    bid, ask = floor(centre - half_spread), -floor(-centre - half_spread)
    # where the market has left the mark behind, it joins the market
    bid = min(bid, quote.ask - 1) if quote.ask > 0 else bid
    ask = max(ask, quote.bid + 1) if quote.bid > 0 else ask
    taken = max(min(abs(inventory) - int(p.take_above), int(p.take_lots)), 0)
    if taken:
        side = -1 if inventory > 0 else 1
        price = int(limit_near_mark(state, quote.contract, side, p.slippage))
        desk.send(
            trader, side * taken, contract=quote.contract, tif=IOC, flags=REDUCE_ONLY, price=price, cause=CAUSE_VAULT
        )
    most = min(int(p.inventory_lots), int(max(p.leverage * equity, 0.0) / quote.lot_value))
    low, high = (int(x) for x in band_limits(state, quote.contract))
    for side, nearest in ((1, bid), (-1, ask)):
        reduces = side * inventory < 0
        lots = int(p.quote_lots) if reduces else int(p.make_lots)
        room = abs(inventory) - taken if reduces else most - abs(inventory)
        for level in range(int(p.levels)):
            price = nearest - side * level * int(p.level_ticks)
            part = min(lots, room)
            if part <= 0 or not low <= price <= high:
                break
            desk.send(
                trader, side * part, contract=quote.contract, tif=POST_ONLY, flags=REDUCE_ONLY if reduces else 0,
                price=price, cause=CAUSE_VAULT,
            )  # fmt: skip
            room -= part


def decide(desk: Desk) -> None:
    """The vault's requote, in words."""
    for trader in desk.waking():
        if trader.status == CLOSED:
            return
        if trader.resting_orders:
            desk.send(trader, 0, contract=-1, kind=CANCEL_ALL, cause=CAUSE_VAULT)
        equity = trader.equity
        for contract in range(int(desk.meta[M_CONTRACTS])):
            held = trader.lots(contract)
            if held and desk.state.contracts[contract]["kind"] != SPOT and not expired(desk.state, contract):
                _work(desk, Quote(desk.state, contract), held, equity)


@register("vault")
class Vault(Population):
    """Take failed accounts over and unwind them as a market maker."""

    Params = VaultParams
    View = ViewAgent
    PARAMS = kernels.PARAMS
    decide: ClassVar[Any] = staticmethod(kernels.decide)

    def values(self, setup: PopulationSetup) -> Mapping[str, float]:
        """Parameters of the kernel."""
        return {name: getattr(self.params, name) for name in kernels.PARAMS}
