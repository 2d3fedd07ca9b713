"""Portfolio margin after OKX: ``MMR = max(max(MR1, MR2, MR6) + MR3 + MR4 + MR5, MR7)`` per underlying.

MR1 is the worst of spot shocks with volatility up, unchanged and down; MR2 what a day of time takes from options; MR6
part of the worst of two extreme moves; MR3 a part of the vega that is long in some expiries and short in others; MR4
the worse of two moves of the annualised basis, forward by forward; MR5 the worse of two moves of the interest rate. MR7
is a minimum charge on the size of every derivative, tier by tier, so that a perfect hedge is not free. Which parameters
the venue publishes and which are to be confirmed stands in the preset.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from pydantic import Field, model_validator

from margin import definitions as by
from margin.kernels.portfolio_margin import stage_margin
from margin.model import Rule
from margin.parameters import NonNegative, Parameters, Positive
from margin.shocks import (
    Book,
    Revaluation,
    Shock,
    VolatilityShockParameters,
    coin_shocks,
    expiry_keys,
    numbers,
    per_lots,
    rates,
    shock_name,
    standalone_rate,
    weights,
)
from sim.contracts import KINDS, ContractTable, rate_to_units
from sim.interfaces import MarketView, ModelState, PortfolioView, Requirement, RiskParameters
from sim.kernels.state import INVERSE_PERPETUAL, LINEAR_PERPETUAL, SCENARIOS_MAX, SPOT

STAGES = ("MR1", "MR2", "MR3", "MR4", "MR5", "MR6", "MR7")


class Tier(Parameters):
    """A tier of the minimum charge."""

    floor: NonNegative = Field(description="raw charge at which the tier begins, units of the account currency")
    multiplier: NonNegative = Field(le=1e6, description="of the part of the raw charge within the tier")


class OkxParameters(VolatilityShockParameters):
    """Parameters of MR1 to MR7."""

    moves: tuple[Positive, ...] = Field(min_length=1, description="MR1: sizes of relative spot moves, each up and down")
    extreme_move: Positive = Field(lt=1.0, description="MR6: size of the relative extreme move, up and down")
    extreme_weight: NonNegative = Field(le=1.0, description="MR6: part of the extreme loss that counts")
    theta_days: NonNegative = Field(description="MR2: time that passes, days")
    vega_weight: NonNegative = Field(
        le=1e6, description="MR3: part of the vega loss in a volatility rise offset across expiries"
    )
    basis_rate: NonNegative = Field(le=10.0, description="MR4: move of the annualised basis, per year")
    basis_days_floor: NonNegative = Field(description="MR4: shorter forwards and perpetuals count as this long, days")
    rate_shift: NonNegative = Field(le=10.0, description="MR5: move of the interest rate, per year")
    futures_minimum: NonNegative = Field(le=1.0, description="MR7: part of the spot value of a future or perpetual")
    option_minimum: NonNegative = Field(
        le=1.0, description="MR7: part of the spot value of an option; of a long one at most its value"
    )
    tiers: tuple[Tier, ...] = Field(min_length=1, description="MR7: tiers of the raw minimum charge of an underlying")
    initial_factor: float = Field(ge=1.0, le=1e6, description="initial over maintenance margin")

    @model_validator(mode="after")
    def _consistent(self) -> OkxParameters:
        if max(self.moves) >= 1.0:
            raise ValueError("moves below 1")
        floors = [tier.floor for tier in self.tiers]
        if floors[0] != 0.0 or any(low >= high for low, high in pairwise(floors)):
            raise ValueError("tiers whose floors rise from 0")
        if 3 * (2 * len(self.moves) + 1) + 8 > SCENARIOS_MAX:
            raise ValueError(f"moves of at most {SCENARIOS_MAX - 8} scenarios")
        return self

    def spot_shocks(self) -> list[Shock]:
        """MR1."""
        moves = sorted({0.0, *self.moves, *(-move for move in self.moves)})
        return [Shock(shock_name(move, vol), move, vol) for move in moves for vol in (1, 0, -1)]

    def shocks(self) -> list[Shock]:
        """MR1, then MR6 down and up, MR2, MR4 up and down, MR5 up and down, and the volatility rise of MR3."""
        extreme = [
            Shock(shock_name(move, 0) + " extreme", move, weight=self.extreme_weight)
            for move in (-self.extreme_move, self.extreme_move)
        ]
        basis = [Shock(f"basis {name}", basis=sign * self.basis_rate) for name, sign in (("up", 1), ("down", -1))]
        rate = [Shock(f"rate {name}", rate=sign * self.rate_shift) for name, sign in (("up", 1), ("down", -1))]
        return [
            *self.spot_shocks(),
            *extreme,
            Shock("time", days=self.theta_days),
            *basis,
            *rate,
            Shock("vega", volatility=1),
        ]


class OkxPM(Rule):
    """Spot shocks, time, extreme moves; vega, basis and rate terms; and a tiered minimum charge."""

    Params = OkxParameters
    kinds = tuple(KINDS)
    revalues = True
    separable = True

    def init(self, contracts: ContractTable) -> ModelState:
        """Nothing to remember."""
        self.contracts = contracts
        self.shocks = self.params.shocks()
        self.spots = len(self.params.spot_shocks())
        self.scenarios = len(self.shocks)
        return {}

    def publish(self, market: MarketView, state: ModelState) -> tuple[RiskParameters, ModelState]:
        """Profits of every contract per scenario in its settlement currency, minimum charges per lot, groups, tiers."""
        params, contracts = self.params, self.contracts
        valued = Revaluation(market, contracts, self.kinds, self.name)
        option, kind = contracts.is_option, contracts.kind
        up, down = params.volatility_factors(valued.years)
        perpetual = (kind == LINEAR_PERPETUAL) | (kind == INVERSE_PERPETUAL)
        years = np.where(np.isfinite(valued.years) & ~perpetual, valued.years, 0.0)
        basis_years = np.where(kind == SPOT, 0.0, np.maximum(years, params.basis_days_floor / 365.0))
        now = valued.values([Shock("now")])[:, 0]
        values = valued.values(self.shocks, up, down, basis_years=basis_years)
        profit = valued.profits(values, now, self.shocks)
        share = np.where(option, params.option_minimum, np.where(kind == SPOT, 0.0, params.futures_minimum))
        least = share * valued.size
        bought = np.where(option, np.minimum(least, now), least)
        expiry, first = numbers(expiry_keys(contracts, valued.years, strikes=False))
        weight = weights(self.shocks)
        risk = RiskParameters(
            rate_initial=np.ones(len(option), np.int64),
            rate_maintenance=np.ones(len(option), np.int64),
            scenario_pnl=per_lots(profit),
            scenario_weight=weight,
            initial_factor=rate_to_units(params.initial_factor),
            arrays={
                "expiry": expiry,
                "expiry_group": contracts.underlying[first].astype(np.int64),
                "coin_shock": coin_shocks(self.shocks),
                "long_charge": per_lots(bought),
                "short_charge": per_lots(least),
                "floor": np.array([round(tier.floor * contracts.minor[0]) for tier in params.tiers], np.int64),
                "multiplier": rates([tier.multiplier for tier in params.tiers]),
                "vega_weight": rates([params.vega_weight]),
            },
        )
        stages = self._standalone(profit, weight / 2**32)
        risk.rate_maintenance = standalone_rate(stages[:, None], np.ones(1), np.zeros(len(option)), now)
        alone = np.maximum(
            risk.rate_maintenance, standalone_rate(least[:, None], np.ones(1), np.zeros(len(option)), now)
        )
        risk.rate_maintenance = alone
        risk.rate_initial = np.minimum(np.ceil(alone * params.initial_factor), 2**32).astype(np.int64)
        return risk, state

    def _standalone(self, profit: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Charge of one lot alone, float64[C], long or short whichever is more."""
        t = self.spots + 2
        worst = np.abs(profit) * weight[None, :]
        return worst[:, : t + 1].max(axis=1) + worst[:, t + 1 : t + 3].max(axis=1) + worst[:, t + 3 : t + 5].max(axis=1)

    def requirement(self, portfolio: PortfolioView, risk: RiskParameters) -> Requirement:
        """Requirements of all accounts, minor units (compiled)."""
        book, arrays = Book(portfolio), risk.arrays
        initial, maintenance = np.zeros((2, len(book.lots)), np.int64)
        stage_margin(
            book.lots, book.buys, book.sells, book.own, book.coins, book.profits(risk.scenario_pnl),
            portfolio.contracts.underlying, arrays["expiry"], arrays["expiry_group"], arrays["coin_shock"],
            risk.scenario_weight, self.spots, 2, int(arrays["vega_weight"][0]), book.amounts(arrays["long_charge"]),
            book.amounts(arrays["short_charge"]), arrays["floor"], arrays["multiplier"], int(risk.initial_factor),
            initial, maintenance,
        )  # fmt: skip
        return Requirement(initial=initial, maintenance=maintenance)

    def explain(self, portfolio: PortfolioView, risk: RiskParameters) -> Requirement:
        """The definition: each MR of each account and underlying, and their combination."""
        book = Book(portfolio)
        profit = book.profits(risk.scenario_pnl)
        held, ordered, table = [], [], []
        for account in range(len(book.lots)):
            for with_orders in (False, True):
                row = by.Row.of(book, account, ordered=with_orders)
                found = self._stages(row, book, profit, risk)
                parts = combined(found)
                if with_orders:
                    ordered.append(sum(parts.values()))
                else:
                    held.append(parts)
                    loss = by.losses(row, profit, self._group(), risk.arrays["coin_shock"].tolist())
                    table.append(by.total_loss(loss))
        names = [shock.name for shock in self.shocks]
        return by.assembled(held, ordered, int(risk.initial_factor), [{}] * len(held), book.own, table, names)

    def stages(self, portfolio: PortfolioView, risk: RiskParameters) -> dict[str, np.ndarray]:
        """MR1 to MR7 of the positions, int64[A, U] each, minor units of the account currency."""
        book = Book(portfolio)
        profit = book.profits(risk.scenario_pnl)
        found = [
            self._stages(by.Row.of(book, account, ordered=False), book, profit, risk)
            for account in range(len(book.lots))
        ]
        return {name: np.array([[one[name] for one in rows] for rows in found], np.int64) for name in STAGES}

    def _group(self) -> list[int]:
        groups: list[int] = self.contracts.underlying.tolist()
        return groups

    def _stages(self, row: by.Row, book: Book, profit: np.ndarray, risk: RiskParameters) -> list[dict[str, int]]:
        """MR1 to MR7 of one account, by underlying."""
        arrays, group, t = risk.arrays, self._group(), self.spots + 2
        weight = risk.scenario_weight.tolist()
        losses = by.losses(row, profit, group, arrays["coin_shock"].tolist())
        vega = self._vega(row, profit[:, t + 5].tolist(), arrays)
        raw = [0] * len(losses)
        long, short = book.amounts(arrays["long_charge"]).tolist(), book.amounts(arrays["short_charge"]).tolist()
        for c, lots in enumerate(row.lots):
            most, least = max(lots + row.buys[c], 0), max(row.sells[c] - lots, 0)
            raw[group[c]] += max(by.times_up(most, long[c]), by.times_up(least, short[c]))
        return [
            {
                "MR1": by.worst(loss[: self.spots], weight[: self.spots]),
                "MR2": by.worst(loss[t : t + 1], weight[t : t + 1]),
                "MR3": by.part(vega[u], int(arrays["vega_weight"][0])),
                "MR4": by.worst(loss[t + 1 : t + 3], weight[t + 1 : t + 3]),
                "MR5": by.worst(loss[t + 3 : t + 5], weight[t + 3 : t + 5]),
                "MR6": by.worst(loss[self.spots : t], weight[self.spots : t]),
                "MR7": tiered(raw[u], arrays["floor"].tolist(), arrays["multiplier"].tolist()),
            }
            for u, loss in enumerate(losses)
        ]

    def _vega(self, row: by.Row, moved: list[int], arrays: dict[str, np.ndarray]) -> list[int]:
        """Gain in a volatility rise that expiries short of vega lose and others make, by underlying."""
        group = self._group()
        long, short = [0] * len(row.coins), [0] * len(row.coins)
        spread = [0] * len(arrays["expiry_group"])
        for c, e in enumerate(arrays["expiry"].tolist()):
            if e >= 0:
                spread[e] += by.times(row.lots[c], moved[c])
                gain, loss = max(moved[c], 0), max(-moved[c], 0)
                long[group[c]] += by.times_up(row.buys[c], gain) + by.times_up(row.sells[c], loss)
                short[group[c]] += by.times_up(row.sells[c], gain) + by.times_up(row.buys[c], loss)
        for e, underlying in enumerate(arrays["expiry_group"].tolist()):
            long[underlying] += max(spread[e], 0)
            short[underlying] += max(-spread[e], 0)
        return [min(pair) for pair in zip(long, short, strict=True)]


def combined(stages: list[dict[str, int]]) -> dict[str, int]:
    """``max(max(MR1, MR2, MR6) + MR3 + MR4 + MR5, MR7)`` summed over underlyings, in parts.

    Examples:
        >>> combined([dict(MR1=0, MR2=0, MR3=0, MR4=8053, MR5=0, MR6=0, MR7=3020)])["basis_MR4"]
        8053
    """
    parts: dict[str, Any] = {
        "largest_of_MR1_MR2_MR6": 0,
        "vega_MR3": 0,
        "basis_MR4": 0,
        "rate_MR5": 0,
        "minimum_MR7": 0,
    }
    for one in stages:
        largest = max(one["MR1"], one["MR2"], one["MR6"])
        parts["largest_of_MR1_MR2_MR6"] += largest
        parts["vega_MR3"] += one["MR3"]
        parts["basis_MR4"] += one["MR4"]
        parts["rate_MR5"] += one["MR5"]
        parts["minimum_MR7"] += max(one["MR7"] - (largest + one["MR3"] + one["MR4"] + one["MR5"]), 0)
    return parts


def tiered(amount: int, floor: list[int], multiplier: list[int]) -> int:
    """Each part of an amount times the multiplier of its tier (2**-32), rounded up per tier.

    Examples:
        >>> tiered(30_000, [0, 10_000, 70_000], [1 << 32, 2 << 32, 4 << 32])
        50000
    """
    tops = [*floor[1:], None]
    within = [(amount if top is None else min(amount, top)) - low for low, top in zip(floor, tops, strict=True)]
    return sum(by.part(one, share) for one, share in zip(within, multiplier, strict=True) if one > 0)
