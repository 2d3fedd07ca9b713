"""Portfolio margin after Deribit: the worst cell of a price x volatility grid, plus contingencies.

Every contract is revalued (options by Black-76) on prices within ``price_range`` and on three volatilities, and on an
extended table of large moves with volatility up, whose losses count with the dampener ``min(1, dampener / |move|)``.
Maintenance margin is the worst loss per underlying, plus a part of the index value of all futures and perpetuals, plus
a part of the index value of every option that is short net at its strike and expiry (less within ``atm_band`` of the
index).
Sources stand in the preset.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from margin import definitions as by
from margin.kernels.portfolio_margin import grid_margin
from margin.model import Rule
from margin.parameters import NonNegative, Positive
from margin.shocks import (
    Book,
    Revaluation,
    Shock,
    VolatilityShockParameters,
    coin_shocks,
    expiry_keys,
    numbers,
    per_lots,
    shock_name,
    standalone_rate,
    weights,
)
from sim.contracts import KINDS, ContractTable, rate_to_units
from sim.interfaces import MarketView, ModelState, PortfolioView, Requirement, RiskParameters
from sim.kernels.state import SCENARIOS_MAX, SPOT


class DeribitParameters(VolatilityShockParameters):
    """Parameters of the grid, its extended table and the contingencies."""

    price_range: float = Field(gt=0.0, lt=1.0, description="largest relative price move of the grid")
    price_step: float = Field(gt=0.0, lt=1.0, description="distance of its columns; divides price_range")
    extended_moves: tuple[float, ...] = Field((), description="relative price moves of the extended table, above -1")
    extended_dampener: Positive = Field(description="part of an extended loss that counts, times the size of its move")
    futures_contingency: NonNegative = Field(
        le=1.0, description="part of the index value of all futures, long or short"
    )
    option_contingency: NonNegative = Field(
        le=1.0, description="part of the index value of an option short net at a strike"
    )
    atm_band: NonNegative = Field(
        le=1.0, description="relative distance of strike and index within which that part falls linearly to 0"
    )
    initial_factor: float = Field(ge=1.0, le=1e6, description="initial over maintenance margin")
    valuation: Literal["quote", "coin"] = Field(
        "quote", description="of an account kept in the coin: gains in quote currency at the present price, or in coins"
    )

    @model_validator(mode="after")
    def _grid(self) -> DeribitParameters:
        steps = self.price_range / self.price_step
        if steps < 1.0 or abs(steps - round(steps)) > 1e-9:
            raise ValueError("a price_step that divides price_range")
        if any(not -1.0 < move < 1e6 or move == 0.0 for move in self.extended_moves):
            raise ValueError("extended_moves above -1, and not 0")
        if 3 * (2 * round(steps) + 1) + len(self.extended_moves) > SCENARIOS_MAX:
            raise ValueError(f"price_range, price_step and extended_moves of at most {SCENARIOS_MAX} scenarios")
        return self

    def shocks(self) -> list[Shock]:
        """The grid, column by column, then the extended table."""
        steps = round(self.price_range / self.price_step)
        moves = [self.price_range * k / steps for k in range(-steps, steps + 1)]
        cells = [Shock(shock_name(move, vol), move, vol) for move in moves for vol in (1, 0, -1)]
        return cells + [
            Shock(shock_name(move, 1) + " extended", move, 1, weight=min(1.0, self.extended_dampener / abs(move)))
            for move in self.extended_moves
        ]


class DeribitPM(Rule):
    """Worst cell of a price x volatility grid per underlying, plus futures and short-option contingencies."""

    Params = DeribitParameters
    kinds = tuple(KINDS)
    revalues = True
    separable = True

    def init(self, contracts: ContractTable) -> ModelState:
        """Nothing to remember."""
        self.contracts = contracts
        self.shocks = self.params.shocks()
        self.scenarios = len(self.shocks)
        return {}

    def publish(self, market: MarketView, state: ModelState) -> tuple[RiskParameters, ModelState]:
        """Profits of every contract per cell in its settlement currency, contingencies per lot, groups."""
        params, contracts = self.params, self.contracts
        coins = params.valuation == "coin"
        valued = Revaluation(market, contracts, self.kinds, self.name, in_coins=coins)
        up, down = params.volatility_factors(valued.years)
        now = valued.values([Shock("now")])[:, 0]
        profit = valued.profits(valued.values(self.shocks, up, down), now, self.shocks)
        option = contracts.is_option
        futures = np.where(option | (contracts.kind == SPOT), 0.0, params.futures_contingency * valued.size)
        distance = np.abs(np.where(option, contracts.strike, valued.spot) - valued.spot)
        band = params.atm_band * valued.spot
        inside = np.where(distance < band, distance / np.maximum(band, 1e-300), 1.0)
        short = np.where(option, params.option_contingency * valued.size * inside, 0.0)
        strike, _ = numbers(expiry_keys(contracts, valued.years, strikes=True))
        weight = weights(self.shocks)
        alone = standalone_rate(profit, weight / 2**32, futures + short, now)
        initial = np.minimum(np.ceil(alone * params.initial_factor), 2**32).astype(np.int64)
        risk = RiskParameters(
            rate_initial=initial,
            rate_maintenance=alone,
            scenario_pnl=per_lots(profit),
            scenario_weight=weight,
            initial_factor=rate_to_units(params.initial_factor),
            arrays={
                "futures_charge": per_lots(futures),
                "short_charge": per_lots(short),
                "strike": strike,
                "coin_shock": coin_shocks(self.shocks),
            },
        )
        return risk, state

    def requirement(self, portfolio: PortfolioView, risk: RiskParameters) -> Requirement:
        """Requirements of all accounts, minor units (compiled)."""
        book, arrays = Book(portfolio), risk.arrays
        initial, maintenance = np.zeros((2, len(book.lots)), np.int64)
        grid_margin(
            book.lots, book.buys, book.sells, book.own, book.coins, book.profits(risk.scenario_pnl),
            portfolio.contracts.underlying, arrays["coin_shock"], risk.scenario_weight,
            book.amounts(arrays["futures_charge"]), book.amounts(arrays["short_charge"]), arrays["strike"],
            int(arrays["strike"].max()) + 1, int(risk.initial_factor), initial, maintenance,
        )  # fmt: skip
        return Requirement(initial=initial, maintenance=maintenance)

    def explain(self, portfolio: PortfolioView, risk: RiskParameters) -> Requirement:
        """The definition: worst cell per underlying, contingencies, then the initial factor."""
        book, arrays = Book(portfolio), risk.arrays
        profit = book.profits(risk.scenario_pnl)
        futures, short = book.amounts(arrays["futures_charge"]), book.amounts(arrays["short_charge"])
        group, weight = portfolio.contracts.underlying.tolist(), risk.scenario_weight.tolist()
        held, ordered, table = [], [], []
        for account in range(len(book.lots)):
            for with_orders in (False, True):
                row = by.Row.of(book, account, ordered=with_orders)
                loss = by.losses(row, profit, group, arrays["coin_shock"].tolist())
                parts = {
                    "scenarios": sum(by.worst(one, weight) for one in loss),
                    "futures_contingency": by.gross(row, futures),
                    "short_option_contingency": by.short_options(row, short, arrays["strike"]),
                }
                if with_orders:
                    ordered.append(sum(parts.values()))
                else:
                    held.append(parts)
                    table.append(by.total_loss(loss))
        names = [shock.name for shock in self.shocks]
        return by.assembled(held, ordered, int(risk.initial_factor), [{}] * len(held), book.own, table, names)
