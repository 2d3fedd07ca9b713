"""Option customers: owners who sell calls or buy puts, vaults that sell options, scalpers and speculators who buy them.

All of them do one thing in different ways: take a structure of a call, a put or both at chosen deltas of a chosen
expiry, build it over some time, hold it to expiry or close it before, pause, and take the next. What differs is the
side, the structure, what of the underlying they own beside it, and whether they trade its delta away.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import floor
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from agents.columns import Population, PopulationParams, ViewAgent, column
from agents.desk import Desk, Trader
from agents.kernels import option_customers as kernels
from agents.kernels import option_greeks as greeks
from agents.kernels.rows import DRAW_ROW, DRAW_SETUP, uniforms_of_rows
from agents.registry import MarketInfo, register
from sim.clock import IN_STEPS
from sim.errors import ConfigError, Problem
from sim.kernels import realmath
from sim.kernels.state import CLOSED, GTC, IOC, LIQUIDATING, MARKET, OPEN, PI_PERIOD, REDUCE_ONLY, SPOT

if TYPE_CHECKING:
    from sim.interfaces import PopulationSetup

DAYS_PER_YEAR = 365.0
Structure = Literal["call", "put", "straddle", "strangle"]


class OptionCustomerParams(PopulationParams):
    """Parameters that all option customers have. Lots are those of ``contract``, on the underlying of the options."""

    count: int = Field(20, ge=1, le=10_000_000, description="number of traders")
    capital_lots: float = Field(100.0, gt=0, description="deposit per trader, lots at full value at step 0")
    period: int = Field(
        30, ge=1, le=1_000_000, description="steps between a trader's decisions", json_schema_extra=IN_STEPS
    )
    size_mean: float = Field(
        10.0, gt=0, description="mean size of a structure, as lots of the underlying that each leg is on"
    )
    size_least: float = Field(0.2, ge=0, le=1, description="least size, fraction of the mean; the rest is exponential")
    delta: float = Field(0.3, gt=0, lt=1, description="delta of the strikes chosen, without its sign")
    delta_spread: float = Field(0.3, ge=0, lt=1, description="how far a structure's delta may be off, fraction of it")
    days: float = Field(7.0, gt=0, le=100_000, description="days to the expiry chosen; the nearest that is listed")
    least_days: float = Field(0.5, ge=0, le=100_000, description="least days to the expiry chosen")
    close_days: float = Field(0.0, ge=0, le=100_000, description="days to expiry at which it is closed; 0 holds it")
    build: float = Field(
        60.0, ge=1, le=1e9, description="steps within which a structure is built", json_schema_extra=IN_STEPS
    )
    pause: float = Field(
        240.0, gt=0, le=1e9, description="mean time between structures, steps", json_schema_extra=IN_STEPS
    )
    edge: float = Field(0.1, ge=-0.9, le=10, description="limit of orders, fraction of the mark beyond it")
    edge_vol: float = Field(0.05, ge=0, le=10, description="limit of orders, volatility beyond the mark")
    rest: int = Field(
        0, ge=0, le=1_000_000_000, description="steps for which orders rest; 0: they trade at once or lapse",
        json_schema_extra=IN_STEPS,
    )  # fmt: skip
    child_lots: int = Field(100, ge=1, le=2**40, description="largest order in the underlying, lots")


class CoveredWriterParams(OptionCustomerParams):
    """Parameters of covered writers."""

    structure: Literal["call"] = Field("call", description="what they sell")
    cover: float = Field(1.0, ge=0, le=100, description="lots of the underlying owned per lot written on")


class PutBuyerParams(OptionCustomerParams):
    """Parameters of put buyers."""

    structure: Literal["put"] = Field("put", description="what they buy")
    delta: float = Field(0.25, gt=0, lt=1, description="delta of the strikes chosen, without its sign")
    cover: float = Field(1.0, ge=0, le=100, description="lots of the underlying owned per lot protected")


class VaultSellerParams(OptionCustomerParams):
    """Parameters of vaults that sell options on a schedule."""

    count: int = Field(4, ge=1, le=10_000_000, description="number of vaults")
    capital_lots: float = Field(400.0, gt=0, description="deposit per vault, lots at full value at step 0")
    size_mean: float = Field(40.0, gt=0, description="mean size of a structure, as lots of the underlying per leg")
    structure: Structure = Field("strangle", description="what they sell")
    delta: float = Field(0.2, gt=0, lt=1, description="delta of the strikes chosen, without its sign")
    delta_spread: float = Field(0.1, ge=0, lt=1, description="how far a structure's delta may be off, fraction of it")
    pause: float = Field(
        1.0, gt=0, le=1e9, description="mean time between structures, steps", json_schema_extra=IN_STEPS
    )


class GammaScalperParams(OptionCustomerParams):
    """Parameters of gamma scalpers."""

    count: int = Field(5, ge=1, le=10_000_000, description="number of traders")
    period: int = Field(
        5, ge=1, le=1_000_000, description="steps between a trader's decisions", json_schema_extra=IN_STEPS
    )
    structure: Structure = Field("straddle", description="what they buy")
    delta: float = Field(0.5, gt=0, lt=1, description="delta of the call chosen, of both legs in a strangle")
    delta_spread: float = Field(0.05, ge=0, lt=1, description="how far a structure's delta may be off, fraction of it")
    close_days: float = Field(0.25, ge=0, le=100_000, description="days to expiry at which it is closed; 0 holds it")
    hedge_band: float = Field(1.0, ge=0, description="delta that is left alone, lots")


class CallBuyerParams(OptionCustomerParams):
    """Parameters of call buyers."""

    structure: Literal["call"] = Field("call", description="what they buy")
    trend_steps: int = Field(
        0, ge=0, le=1_000_000, description="steps over which the trend is read; 0: whatever the trend",
        json_schema_extra=IN_STEPS,
    )  # fmt: skip
    trend_move: float = Field(
        0.005, ge=-1, le=1, description="log move from which they buy; negative: falls from which they buy"
    )


def _begin(desk: Desk, trader: Trader, spot: float, table: np.ndarray) -> None:
    """Choose an expiry, strikes and lots."""
    p, state = desk.p, desk.state
    if p.trend_steps > 0:
        move = desk.quote.log_mid(0) - desk.quote.log_mid(int(p.trend_steps))
        if move < p.trend_move if p.trend_move >= 0 else move > p.trend_move:
            return
    expiry = int(kernels.choose_expiry(state, desk.contract, p.years, p.least_years))
    if not expiry:
        return
    trader.draws += 1
    four = desk.uniform4(DRAW_ROW, trader.draws, trader.row)
    delta = p.delta * (1.0 + p.delta_spread * (2.0 * four[0] - 1.0))
    call = put = -1
    if p.calls:
        call = int(kernels.choose_strike(state, desk.contract, expiry, 1, delta, spot, table))
    if p.straddle and call >= 0:
        put = int(kernels.same_strike(state, call, -1))
    elif p.puts:
        put = int(kernels.choose_strike(state, desk.contract, expiry, -1, delta, spot, table))
    if (p.calls and call < 0) or (p.puts and put < 0):
        return
    trader.call, trader.put = call + 1, put + 1
    trader.target = int(kernels.lots_for(state, max(call, put), desk.contract, trader.size, spot))
    trader.began = desk.step
    trader.due = int(-p.pause * desk.ln(four[1]))


def _build(desk: Desk, trader: Trader, legs: list[int], spot: float, table: np.ndarray) -> None:
    """Trade what is missing of each leg, evenly over the time that building takes."""
    p, state, side = desk.p, desk.state, int(desk.p.side)
    if desk.step - trader.began >= p.build or trader.resting_orders:
        return
    most = max(floor(trader.target * float(state.pop_ints[desk.index, PI_PERIOD]) / p.build + 0.5), 1)
    for k in legs:
        lots = min(trader.target - side * trader.lots(k), most, int(state.contracts[k]["max_lots"]))
        if lots > 0:
            price = int(kernels.option_limit(state, k, side, p.edge, p.edge_vol, spot, table))
            rest = int(p.rest)
            tif, expiry = (GTC, desk.step + rest) if rest else (IOC, 0)
            desk.send(trader, side * lots, contract=k, tif=tif, price=price, expiry=expiry)


def _close(desk: Desk, trader: Trader, legs: list[int], spot: float, table: np.ndarray) -> None:
    """Trade out of each leg."""
    p = desk.p
    for k in legs:
        held = trader.lots(k)
        if held:
            side = -1 if held > 0 else 1
            price = int(kernels.option_limit(desk.state, k, side, abs(p.edge), p.edge_vol, spot, table))
            lots = min(abs(held), int(desk.state.contracts[k]["max_lots"]))
            desk.send(trader, side * lots, contract=k, tif=IOC, flags=REDUCE_ONLY, price=price)


def _hedge(desk: Desk, trader: Trader, spot: float, table: np.ndarray) -> None:
    """Trade the delta away in the underlying's book."""
    p = desk.p
    delta, _, _, held, _ = greeks.account_greeks(desk.state, trader.account, desk.contract, spot, table)
    gap = -delta - held
    lots = min(floor(abs(gap) + 0.5), int(p.child_lots), desk.quote.max_lots)
    if abs(gap) <= p.hedge_band or lots < 1:
        return
    signed = lots if gap > 0 else -lots
    own = trader.lots()
    reduces = signed * own < 0 and lots <= abs(own)
    desk.send(trader, signed, tif=IOC, flags=MARKET | (REDUCE_ONLY if reduces else 0))


def decide(desk: Desk) -> None:
    """The decision of every waking trader, in words."""
    p, state = desk.p, desk.state
    spot = float(greeks.spot_of(state, desk.contract, True))
    table = greeks.empty_table(state)

    def legs_of(trader: Trader) -> list[int]:
        return [leg - 1 for leg in (trader.call, trader.put) if leg > 0]

    def closes(legs: list[int]) -> bool:
        return bool(p.close_years > 0 and kernels.years_left(state, max(legs)) <= p.close_years)

    for trader in desk.waking():
        if trader.status in (CLOSED, LIQUIDATING):
            continue
        if trader.target > 0:
            legs = legs_of(trader)
            gone = not greeks.is_live(state, max(legs))
            built = desk.step - trader.began >= p.build and not trader.resting_orders
            if not any(trader.lots(k) for k in legs) and (closes(legs) or gone or built):
                trader.target = 0
                trader.due += desk.step
        if trader.status == OPEN:
            if p.cover and state.contracts[desk.contract]["kind"] != SPOT:
                missing = floor(p.cover * trader.size + 0.5) - trader.lots()
                if missing > 0:
                    lots = min(missing, int(p.child_lots), desk.quote.max_lots)
                    desk.send(trader, lots, tif=IOC, flags=MARKET)
            if trader.target == 0 and desk.step >= trader.due:
                _begin(desk, trader, spot, table)
        if trader.target > 0:
            legs = legs_of(trader)
            if closes(legs):
                _close(desk, trader, legs, spot, table)
            elif trader.status == OPEN and greeks.is_live(state, max(legs)):
                _build(desk, trader, legs, spot, table)
        if p.hedge_band >= 0:
            _hedge(desk, trader, spot, table)


class OptionCustomer(ViewAgent):
    """An option customer's view."""

    size = column("trader_floats", kernels.SIZE, "Size of its structures, as lots of the underlying per leg.")
    target = column("trader_ints", kernels.TARGET, "Lots of each leg that it wants to hold; 0 between structures.")

    @property
    def legs(self) -> list[str]:
        """Names of the options of its structure, none between structures."""
        if not self.target:
            return []
        ints = self.model.state.trader_ints
        numbers = [ints.item(self.account, leg) for leg in (kernels.CALL, kernels.PUT)]
        return [self.model.contracts[number - 1].name for number in numbers if number]


class OptionCustomers(Population):
    """What all kinds of option customers share."""

    Params = OptionCustomerParams
    View = OptionCustomer
    PARAMS = kernels.PARAMS
    INTS = kernels.INTS
    FLOATS = kernels.FLOATS
    SIDE: ClassVar[int] = 1
    decide: ClassVar[Any] = staticmethod(kernels.decide)

    def __init__(self, name: str, params: OptionCustomerParams, market: MarketInfo) -> None:
        """Take checked parameters; a trend is read from the history that the market keeps."""
        super().__init__(name, params, market)
        steps = getattr(params, "trend_steps", 0)
        self.history = steps + 1 if steps else 0

    @classmethod
    def check(cls, params: Any, market: MarketInfo) -> list[Problem]:
        """Sizes are counted in what is no option, and deltas are hedged in what can be sold short."""
        found = super().check(params, market)
        if params.close_days and params.least_days <= params.close_days:
            allowed = f"above close_days ({params.close_days:g}), or what is bought is closed at once"
            found.append(Problem("", "least_days", params.least_days, allowed))
        if not market.terms or found:
            return found
        name = params.contract or market.contracts[0]
        kind = next(terms.kind for terms in market.terms if terms.name == name)
        hedges = hasattr(params, "hedge_band")
        if kind.endswith("_option") or (hedges and kind == "spot"):
            allowed = f"a perpetual or future{'' if hedges else ' or spot'}, not {kind}"
            found.append(Problem("", "contract", name, allowed))
        return found

    def values(self, setup: PopulationSetup) -> Mapping[str, float]:
        """Parameters of the kernel. In a market without options there is nothing for them to do."""
        if not any(terms.is_option for terms in setup.contracts):
            name = setup.contracts[self.contract].name
            raise ConfigError.of("contract", name, "a contract of a market in which options are listed")
        p = self.params
        own = {
            "side": self.SIDE,
            "calls": p.structure != "put",
            "puts": p.structure != "call",
            "straddle": p.structure == "straddle",
            "years": p.days / DAYS_PER_YEAR,
            "least_years": p.least_days / DAYS_PER_YEAR,
            "close_years": p.close_days / DAYS_PER_YEAR,
        }
        other = {"cover": 0.0, "hedge_band": kernels.NO_HEDGE, "trend_steps": 0, "trend_move": 0.0}
        names = [name for name in kernels.PARAMS if name not in own]
        return own | {name: getattr(p, name, other.get(name)) for name in names}

    def fill_columns(self, setup: PopulationSetup) -> None:
        """Draw sizes, and the steps of the first structures within twice the mean pause."""
        p = self.params
        uniforms = uniforms_of_rows(setup.seed, setup.stream + DRAW_SETUP, self.count)
        rest = np.array([-realmath.ln(u) for u in uniforms[:, 0]])
        sizes = p.size_mean * (p.size_least + (1.0 - p.size_least) * rest)
        if getattr(p, "cover", 0.0) and setup.contracts[self.contract].kind == "spot":
            sizes = np.minimum(sizes, p.capital_lots / p.cover)  # coins brought along are all that is owned
        self.column(setup.state, "size")[:] = sizes
        self.column(setup.state, "due")[:] = 1 + np.floor(2.0 * p.pause * uniforms[:, 1]).astype(np.int64)


@register("covered_writers")
class CoveredWriters(OptionCustomers):
    """Own the underlying and sell calls on it."""

    Params = CoveredWriterParams
    SIDE = -1


@register("put_buyers")
class PutBuyers(OptionCustomers):
    """Own the underlying and buy puts on it."""

    Params = PutBuyerParams


@register("vault_sellers")
class VaultSellers(OptionCustomers):
    """Sell strangles, straddles, puts or calls, one expiry after another."""

    Params = VaultSellerParams
    SIDE = -1


@register("gamma_scalpers")
class GammaScalpers(OptionCustomers):
    """Buy straddles and trade their delta away in the underlying's book."""

    Params = GammaScalperParams


@register("call_buyers")
class CallBuyers(OptionCustomers):
    """Buy calls, at any time or on a trend."""

    Params = CallBuyerParams
