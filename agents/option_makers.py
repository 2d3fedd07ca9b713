"""Option makers: they quote a chain around the model value and hedge their deltas in the book of the underlying.

The hedge is what ties the two markets together: who has sold options buys the underlying as it rises and sells it as it
falls, and who owns them does the reverse. Makers are ordinary accounts, with margin and liquidation of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import floor, sqrt
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from agents.columns import Population, PopulationParams, ViewAgent, column
from agents.desk import Desk, Trader
from agents.kernels import option_greeks as greeks
from agents.kernels import option_makers as kernels
from agents.kernels.rows import DRAW_ROW
from agents.registry import MarketInfo, register
from sim.clock import IN_STEPS
from sim.errors import ConfigError, Problem
from sim.kernels import values
from sim.kernels.state import (
    CANCEL_ALL,
    CLOSED,
    IOC,
    LIQUIDATING,
    M_CONTRACTS,
    M_MAKERS_WITHDRAWN_UNTIL,
    MARKET,
    OPEN,
    PI_PERIOD,
    POST_ONLY,
    RATE_ONE,
    REDUCE_ONLY,
)

if TYPE_CHECKING:
    import numpy as np

    from sim.interfaces import PopulationSetup
    from sim.market import Market

HEDGES = {
    "none": kernels.HEDGE_NONE,
    "time": kernels.HEDGE_TIME,
    "band": kernels.HEDGE_BAND,
    "whalley_wilmott": kernels.HEDGE_WHALLEY_WILMOTT,
}


class OptionMakerParams(PopulationParams):
    """Parameters of option makers. Lots are those of ``contract`` where nothing else is said."""

    count: int = Field(4, ge=1, le=10_000_000, description="number of makers")
    capital_lots: float = Field(2000.0, gt=0, description="deposit per maker, lots at full value at step 0")
    period: int = Field(1, ge=1, le=1_000_000, description="steps between decisions", json_schema_extra=IN_STEPS)
    hedge: Literal["none", "time", "band", "whalley_wilmott"] = Field(
        "band", description="when the delta is hedged: never, at times, beyond a fixed band, beyond one that gamma sets"
    )
    hedge_fraction: float = Field(1.0, ge=0, le=1, description="part of the delta that is hedged; 0 trades no hedge")
    hedge_period: int = Field(
        60, ge=1, le=1_000_000, description="steps between hedges (hedge = time)", json_schema_extra=IN_STEPS
    )
    band_lots: float = Field(5.0, ge=0, description="gap that is left unhedged, lots (hedge = band)")
    child_lots: int = Field(100, ge=1, le=2**40, description="largest hedge order, lots")
    risk_aversion: float = Field(
        0.1, gt=0, description="absolute risk aversion per value of a lot at step 0 (hedge = whalley_wilmott)"
    )
    cost: float = Field(
        0.0005, ge=0, le=1, description="cost of hedging as a fraction of value (hedge = whalley_wilmott)"
    )
    price: Literal["mark", "index"] = Field(
        "mark", description="price of the underlying at which makers value options and read deltas"
    )
    quotes: bool = Field(True, description="whether they quote; if not, they only hedge what they hold")
    slices: int = Field(10, ge=1, le=10_000, description="parts in which the chain is requoted, one per decision")
    pull_move: float = Field(
        0.001, gt=0, le=1, description="log move of the underlying at which all quotes are pulled and renewed"
    )
    half_spread_vol: float = Field(0.02, gt=0, le=10, description="half-spread in volatility, when the market is calm")
    half_spread_ticks: float = Field(1.0, ge=0, description="least half-spread, ticks of the option")
    size_lots: float = Field(
        5.0, gt=0, description="vega of a quote, in that of an option at the money with 30 days on one lot"
    )
    most_lots: int = Field(50, ge=1, le=2**40, description="largest quote, lots of the option")
    inventory_lots: int = Field(500, ge=1, le=2**40, description="largest position in one option, lots of the option")
    vega_lots: float = Field(200.0, gt=0, description="vega beyond which they add none, in the units of size_lots")
    gamma_lots: float = Field(
        100.0, gt=0, description="gamma beyond which they add none: lots the hedge changes by for 1 % of the price"
    )
    skew_vega: float = Field(1.0, ge=0, description="shift of the quotes at full vega, in half-spreads")
    skew_gamma: float = Field(0.5, ge=0, description="shift of the quotes at full gamma, in half-spreads")
    least_delta: float = Field(0.05, ge=0, le=1, description="smallest delta that is quoted, without its sign")
    most_delta: float = Field(0.7, ge=0, le=1, description="largest delta that is quoted, without its sign")
    quit_ratio: float = Field(
        3.75, gt=0, description="no quotes while fast volatility of the underlying exceeds this multiple of slow"
    )


def _hedge(desk: Desk, maker: Trader, held: float) -> None:
    """Trade towards the hedge that the rule asks for."""
    p = desk.p
    if p.hedge == kernels.HEDGE_NONE or p.hedge_fraction == 0:
        return
    gap = -p.hedge_fraction * maker.delta - held
    short = abs(gap)
    if p.hedge == kernels.HEDGE_TIME:
        if desk.step - maker.last_hedge < p.hedge_period:
            return
        maker.last_hedge = desk.step
    elif short <= maker.band:
        return
    elif p.hedge == kernels.HEDGE_WHALLEY_WILMOTT:
        short -= maker.band
    lots = min(floor(short + 0.5), int(p.child_lots), desk.quote.max_lots)
    if lots < 1:
        return
    signed = lots if gap > 0 else -lots
    own = maker.lots()
    reduces = signed * own < 0 and lots <= abs(own)
    desk.send(maker, signed, tif=IOC, flags=MARKET | (REDUCE_ONLY if reduces else 0))


def _renew(desk: Desk, maker: Trader, spot: float, one: float, table: np.ndarray) -> None:
    """Renew the quotes of the part of the chain whose turn it is; of all of it after a large move."""
    p, state, quote = desk.p, desk.state, desk.quote
    everything = maker.quoted_at == 0
    if everything:
        maker.quoted_at = spot
    half = p.half_spread_vol
    if quote.variance_fast > quote.variance_slow > 0:
        half *= sqrt(quote.variance_fast / quote.variance_slow)
    vega_used, gamma_used = maker.vega / one, maker.gamma / 100.0  # in options of reference, in lots per 1 %
    lean = p.skew_vega * min(max(vega_used / p.vega_lots, -1.0), 1.0)
    lean += p.skew_gamma * min(max(gamma_used / p.gamma_lots, -1.0), 1.0)
    sides = (-1, 1) if desk.uniform(DRAW_ROW, desk.step, maker.row) < 0.5 else (1, -1)
    slices, period = int(p.slices), int(state.pop_ints[desk.index, PI_PERIOD])
    turn = desk.step // period + maker.row
    for k in range(int(desk.meta[M_CONTRACTS])):
        terms = state.contracts[k]
        part = (k // 2 + turn) % slices
        same = terms["reference"] == state.contracts[desk.contract]["reference"]
        if (part and not everything) or not same or not greeks.is_live(state, k):
            continue
        greeks.lot_greeks(state, k, spot, table)
        value, vega = float(table[k, greeks.VALUE]), float(table[k, greeks.VEGA])
        if not p.least_delta <= abs(table[k, greeks.FORWARD_DELTA]) <= p.most_delta:
            continue
        tick = float(terms["tick_value"]) * (int(state.conversion[terms["currency"]]) / RATE_ONE)
        centre = (value - half * lean * vega) / tick
        wide = max(half * vega / tick, p.half_spread_ticks)
        size = min(int(p.most_lots), max(floor(p.size_lots * one / vega), 1)) if vega > 0 else int(p.most_lots)
        for side in sides:
            if side * vega_used >= p.vega_lots or side * gamma_used >= p.gamma_lots:
                continue
            lots = min(size, int(p.inventory_lots) - side * maker.lots(k), int(terms["max_lots"]))
            price = floor(centre - wide) if side > 0 else -floor(-centre - wide)
            if lots > 0 and 1 <= price <= terms["max_price"]:
                expiry = desk.step + (slices - part) * period
                desk.send(maker, side * lots, contract=k, tif=POST_ONLY, price=price, expiry=expiry)


def decide(desk: Desk) -> None:
    """The decision of every waking maker, in words."""
    p, quote, state = desk.p, desk.quote, desk.state
    fast, slow = quote.variance_fast, quote.variance_slow
    absent = desk.meta[M_MAKERS_WITHDRAWN_UNTIL] > desk.step or fast > p.quit_ratio * p.quit_ratio * slow
    spot = float(greeks.spot_of(state, desk.contract, p.on_mark != 0))
    lot = quote.lot_value
    table = greeks.empty_table(state)
    for maker in desk.waking():
        maker.delta, maker.gamma, maker.vega, held, discount = greeks.account_greeks(
            state, maker.account, desk.contract, spot, table
        )
        maker.band = kernels.hedge_band(state.pop_params[desk.index], maker.gamma, discount, lot)
        quoting = p.quotes and maker.status == OPEN and not absent
        if maker.quoted_at != 0 and (not quoting or abs(desk.ln(spot / maker.quoted_at)) > p.pull_move):
            maker.quoted_at = 0
            if maker.resting_orders:
                desk.send(maker, 0, contract=-1, kind=CANCEL_ALL)
        if maker.status not in (CLOSED, LIQUIDATING):
            _hedge(desk, maker, held)
        if quoting:
            _renew(desk, maker, spot, lot * kernels.VEGA_OF_LOT, table)


class OptionMaker(ViewAgent):
    """An option maker's view: its greeks are those at its last decision."""

    delta = column("trader_floats", kernels.OWN_DELTA, "Delta of its options, lots of the contract it hedges in.")
    gamma = column("trader_floats", kernels.OWN_GAMMA, "Change of delta in lots for a price twice as high; /100: 1 %.")
    vega = column("trader_floats", kernels.OWN_VEGA, "Vega of its options, minor units for a volatility higher by one.")
    band = column("trader_floats", kernels.OWN_BAND, "Half-width of the band in which the delta is left alone, lots.")
    last_hedge = column("trader_ints", kernels.LAST_HEDGE, "Step of the last hedge under the time rule.")

    @property
    def net_delta(self) -> float:
        """Delta of its options at its last decision and its position in the contract it hedges in, lots."""
        return float(self.delta) + self.lots


@register("option_makers")
class OptionMakers(Population):
    """Quote options and hedge their delta in the book of the underlying."""

    Params = OptionMakerParams
    View = OptionMaker
    PARAMS = kernels.PARAMS
    FLOATS = kernels.FLOATS
    INTS = kernels.INTS
    decide: ClassVar[Any] = staticmethod(kernels.decide)

    @classmethod
    def check(cls, params: Any, market: MarketInfo) -> list[Problem]:
        """The range of deltas must be one, and the hedge a perpetual or future; who does not hedge may name spot."""
        found = super().check(params, market)
        for terms in market.terms:
            named = terms.name == (params.contract or market.contracts[0])
            if named and (terms.is_option or (terms.kind == "spot" and params.hedge != "none")):
                found.append(Problem("", "contract", terms.name, f"a perpetual or future, not {terms.kind}"))
        if params.most_delta < params.least_delta:
            found.append(Problem("", "most_delta", params.most_delta, f"at least least_delta ({params.least_delta})"))
        return found

    def values(self, setup: PopulationSetup) -> Mapping[str, float]:
        """Parameters of the kernel."""
        p, state = self.params, setup.state
        terms = setup.contracts[self.contract]
        if terms.is_option or (terms.kind == "spot" and p.hedge != "none"):
            raise ConfigError.of("contract", terms.name, f"a perpetual or future, not {terms.kind}")
        lot = float(terms.tick_value) / setup.value0[self.contract]
        if not values.is_inverse(state, self.contract):
            lot = float(terms.tick_value) * float(setup.value0[self.contract])
        lot *= int(state.conversion[state.contracts[self.contract]["currency"]]) / RATE_ONE
        own = {"hedge": HEDGES[p.hedge], "on_mark": p.price == "mark", "risk_aversion": p.risk_aversion / lot}
        return own | {name: getattr(p, name) for name in kernels.PARAMS if name not in own}

    def fill_columns(self, setup: PopulationSetup) -> None:
        """Spread the first hedges of the time rule over its period."""
        period = self.params.hedge_period
        self.column(setup.state, "last_hedge")[:] = [-(row * period // self.count) for row in range(self.count)]

    def hedged_share(self, market: Market) -> float:
        """Part of the delta that is hedged in ``contract``."""
        values = market.state.pop_params[market.population_number(self.name)]
        return 0.0 if values[kernels.HEDGE] == kernels.HEDGE_NONE else float(values[kernels.HEDGE_FRACTION])
