"""Liquidators: agents with capital of their own who take over failing positions at a discount.

Their offers are tried before the book when the exchange liquidates, at the discount that each asks for; where the
venue's policy names the discount (outlet ``liquidators``, auctions) they race for accounts by priority fee, and whoever
comes too late has paid for nothing. What they take they sell on in child orders, each marked with its cause, so a
cascade may also run through their hands. Offers grow dearer with volatility and with the inventory they already hold,
and end where inventory limit, leverage, initial margin, profit or the stop-loss ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from agents.columns import Population, PopulationParams, ViewAgent, column
from agents.desk import Desk, Trader
from agents.kernels import liquidators as kernels
from agents.kernels.rows import DRAW_SETUP, limit_near_mark, uniforms_of_rows
from agents.registry import register
from sim.clock import IN_STEPS, PER_ROOT_STEP
from sim.kernels.state import CAUSE_LIQUIDATOR, GTC, IOC, OPEN, RATE_ONE, REDUCE_ONLY

if TYPE_CHECKING:
    from sim.interfaces import PopulationSetup

UNWINDING = {"book": kernels.BOOK, "hold": kernels.HOLD, "patient": kernels.PATIENT}


class LiquidatorParams(PopulationParams):
    """Parameters of liquidators. Costs are in lots: the number of lots whose full value at step 0 they come to."""

    count: int = Field(5, ge=1, le=10_000_000, description="number of liquidators")
    capital_lots: float = Field(100.0, gt=0, description="deposit per liquidator, lots at full value at step 0")
    period: int = Field(
        5,
        ge=1,
        le=1_000_000,
        description="steps between the child orders that unwind inventory",
        json_schema_extra=IN_STEPS,
    )
    discount: float = Field(0.005, ge=0, lt=1, description="discount to the mark asked for in a calm market, fraction")
    discount_per_sigma: float = Field(
        3.0,
        ge=0,
        description="discount added per standard deviation of a step's return",
        json_schema_extra=PER_ROOT_STEP,
    )
    discount_at_limit: float = Field(0.01, ge=0, lt=1, description="discount added at full inventory, fraction")
    discount_most: float = Field(0.2, ge=0, lt=1, description="largest discount, fraction")
    inventory_lots: int = Field(200, ge=1, description="largest position, lots")
    bid_lots: int = Field(50, ge=1, description="largest offer per step and side, lots")
    unwind_lots: int = Field(5, ge=1, description="largest child order, lots")
    leverage: float = Field(3.0, gt=0, le=1000, description="most exposure over equity")
    headroom: float = Field(0.8, gt=0, le=1, description="exposure never exceeds equity x headroom / initial rate")
    slippage: float = Field(0.01, ge=0, le=0.5, description="limit of child orders, fraction beyond the mark")
    latency_steps: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="steps in liquidation before an account is reached",
        json_schema_extra=IN_STEPS,
    )
    latency_most: int | None = Field(
        None,
        ge=0,
        le=1_000_000,
        description="slowest liquidator's latency, drawn evenly from `latency_steps` up to it",
        json_schema_extra=IN_STEPS,
    )
    gas_lots: float = Field(0.0, ge=0, description="gas of a take-over, lots")
    revert_share: float = Field(0.5, ge=0, le=1, description="part of the gas that a lost race costs, fraction")
    fee_share: float = Field(0.0, ge=0, le=1, description="part of the expected profit bid as priority fee, fraction")
    fee_most_lots: float = Field(0.0, ge=0, description="largest priority fee, lots; the fee itself with no share")
    least_profit_lots: float = Field(0.0, ge=0, description="smallest profit after costs for which it acts, lots")
    stop_loss: float = Field(1.0, gt=0, le=1, description="fall of equity from its peak that ends all offers, fraction")
    unwind: Literal["book", "hold", "patient"] = Field(
        "book", description="sell on at once near the mark, keep the position, or rest orders beyond the mark"
    )
    patience: float = Field(0.002, ge=0, le=0.5, description="distance of patient orders from the mark, fraction")

    @model_validator(mode="after")
    def _latencies(self) -> LiquidatorParams:
        if self.latency_most is not None and self.latency_most < self.latency_steps:
            raise ValueError(f"latency_most at least latency_steps ({self.latency_steps})")
        return self


def decide(desk: Desk) -> None:
    """Every liquidator's offers, and the child orders of those whose turn it is, in words."""
    p, quote = desk.p, desk.quote
    calm_discount = p.discount + p.discount_per_sigma * sqrt(quote.variance_fast)
    for trader in desk.traders():
        if trader.status != OPEN or _has_stopped(desk, trader):
            continue
        capacity, equity = 0, trader.equity
        if equity > 0:
            leverage = p.leverage
            if quote.rate_initial > 0:
                leverage = min(leverage, p.headroom / quote.rate_initial)
            capacity = min(int(leverage * equity / quote.lot_value), int(p.inventory_lots))
        for side in (1, -1):
            stock = side * trader.lots()
            lots = min(int(p.bid_lots), capacity - stock)
            if lots > 0:
                discount = calm_discount + p.discount_at_limit * (max(stock, 0) / p.inventory_lots)
                desk.offer(
                    trader, side, lots, int(min(discount, p.discount_most) * RATE_ONE + 0.5),
                    fee=int(p.fee_most), gas=int(p.gas), latency=trader.latency,
                    share=int(p.fee_share * RATE_ONE + 0.5), least=int(p.least_profit),
                    revert=int(p.gas * p.revert_share),
                )  # fmt: skip
    for trader in desk.waking():
        lots = -min(max(trader.lots(), -int(p.unwind_lots)), int(p.unwind_lots))
        if not lots or p.unwind == kernels.HOLD:
            continue
        side = 1 if lots > 0 else -1
        if p.unwind == kernels.BOOK:
            price = int(limit_near_mark(desk.state, desk.contract, side, p.slippage))
            desk.send(trader, lots, tif=IOC, flags=REDUCE_ONLY, price=price, cause=CAUSE_LIQUIDATOR)
        else:
            price = int(limit_near_mark(desk.state, desk.contract, -side, p.patience))
            expiry = desk.step + max(desk.period, 1)
            desk.send(
                trader, lots, tif=GTC, flags=REDUCE_ONLY, price=price, expiry=expiry, cause=CAUSE_LIQUIDATOR
            )  # fmt: skip


def _has_stopped(desk: Desk, trader: Trader) -> bool:
    """A liquidator whose equity has fallen by the stop-loss from its peak takes nothing over any more."""
    if desk.p.stop_loss >= 1:
        return False
    trader.peak = max(trader.peak, float(trader.equity))
    if trader.equity < trader.peak * (1 - desk.p.stop_loss):
        trader.stopped = 1
    return trader.stopped != 0


class LiquidatorView(ViewAgent):
    """A liquidator's own columns."""

    peak = column("trader_floats", kernels.PEAK, "Highest equity so far, minor units (with a stop-loss).")
    latency = column("trader_ints", kernels.LATENCY, "Steps in liquidation before an account is reached.")
    stopped = column("trader_ints", kernels.STOPPED, "1 once the stop-loss has ended its offers.")


@register("liquidators")
class Liquidators(Population):
    """Bid for positions of failing accounts and unwind them in the book."""

    Params = LiquidatorParams
    View = LiquidatorView
    PARAMS = kernels.PARAMS
    FLOATS = kernels.FLOATS
    INTS = kernels.INTS
    decide: ClassVar[Any] = staticmethod(kernels.decide)

    def values(self, setup: PopulationSetup) -> Mapping[str, float]:
        """Parameters of the kernel; costs in minor units of the account currency."""
        p = self.params
        currency = int(setup.state.contracts["currency"][self.contract])
        rate = int(setup.state.conversion[currency])

        def cost(lots: float) -> float:
            return float(self._minor_units(setup, lots) * rate >> 32)

        special = {
            "gas": cost(p.gas_lots),
            "fee_most": cost(p.fee_most_lots),
            "least_profit": cost(p.least_profit_lots),
            "unwind": float(UNWINDING[p.unwind]),
        }
        return special | {name: getattr(p, name) for name in kernels.PARAMS if name not in special}

    def fill_columns(self, setup: PopulationSetup) -> None:
        """Draw who is how slow, evenly between the two latencies."""
        p = self.params
        most = p.latency_steps if p.latency_most is None else p.latency_most
        if most > 0:
            u = uniforms_of_rows(setup.seed, setup.stream + DRAW_SETUP, self.count)[:, 0]
            self.column(setup.state, "latency")[:] = p.latency_steps + (u * (most - p.latency_steps + 1)).astype(int)
