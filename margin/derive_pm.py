"""Portfolio margin after Derive (Lyra), PMRM version 1.

Options are marked by Black-76 with discount factor one on a forward ``fixed + (F - fixed) x shock``. In a scenario an
expiry's value, if positive, is discounted by ``base_discount x exp(-T (rate x rate_multiplier + rate_add))``; its gain
is that value less today's undiscounted one. The basis contingency, the sum over expiries of the worse of two forward
moves times ``basis_add + basis_multiplier x T``, is an alternative to the scenarios. Static contingencies take a part
of the spot value of options short net at a strike, of perpetuals and of spot. The venue states a balance that must not
be negative,

    MM = worst - static + value + cash,    IM = (worst - static) x factor - confidence + value + cash,

with worst <= 0; what equity (value + cash) must be at least is therefore ``static - worst`` and
``(static - worst) x factor + confidence``. :meth:`DerivePM.balances` gives the venue's numbers.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field, model_validator

from margin import definitions as by
from margin.kernels.portfolio_margin import expiry_margin
from margin.model import Rule
from margin.parameters import NonNegative, Positive, per_contract
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
from sim.contracts import ContractTable, rate_to_units
from sim.interfaces import MarketView, ModelState, PortfolioView, Requirement, RiskParameters
from sim.kernels.realmath import exp
from sim.kernels.state import SCENARIOS_MAX, SPOT

Confidence = float | dict[str, float]


class DeriveParameters(VolatilityShockParameters):
    """Parameters of PMRM version 1, and the oracles' present state."""

    moves: tuple[float, ...] = Field(
        min_length=1, description="relative spot moves, each with volatility up, unchanged, down"
    )
    moves_up: tuple[float, ...] = Field((), description="relative spot moves with volatility up only")
    basis_move: float = Field(gt=0.0, lt=1.0, description="relative forward move of the basis contingency, up and down")
    basis_add: NonNegative = Field(le=1e6, description="part of the basis loss that counts at expiry")
    basis_multiplier: NonNegative = Field(le=1e6, description="part of the basis loss that counts, per year to expiry")
    option_contingency: NonNegative = Field(
        le=1.0, description="part of the spot value of an option short net at a strike"
    )
    perpetual_contingency: NonNegative = Field(le=1.0, description="part of the spot value of a perpetual or future")
    spot_contingency: NonNegative = Field(le=1.0, description="part of the value of spot holdings")
    initial_factor: float = Field(ge=1.0, le=1e6, description="initial over maintenance loss")
    peg_threshold: NonNegative = Field(description="stable coin price below which the initial factor rises")
    peg_factor: NonNegative = Field(le=1e6, description="rise of the initial factor per unit below that price")
    confidence_threshold: NonNegative = Field(le=1.0, description="oracle confidence below which initial margin rises")
    confidence_factor: NonNegative = Field(
        le=1e6, description="part of the spot value times (1 - confidence) that is added"
    )
    base_discount: Positive = Field(le=1.0, description="factor of an expiry's positive value in scenarios")
    rate_multiplier: NonNegative = Field(description="multiple of the interest rate in that discount")
    rate_add: NonNegative = Field(description="added to the interest rate in that discount, per year")
    rate: float | None = Field(
        None, ge=-1.0, le=100.0, description="interest rate of the discount, per year; default: the market's"
    )
    stable_price: Positive = Field(1.0, description="price of the stable coin in which accounts are kept")
    spot_confidence: float = Field(1.0, ge=0.0, le=1.0, description="confidence of the spot oracle")
    perpetual_confidence: float = Field(1.0, ge=0.0, le=1.0, description="confidence of the perpetual's oracle")
    option_confidence: Confidence = Field(
        1.0, description="least confidence of an option's volatility, forward and rate oracles; or one per contract"
    )
    forward_fixed: Confidence = Field(
        0.0, description="part of a forward already fixed by the settlement average, price units; or one per contract"
    )

    @model_validator(mode="after")
    def _scenarios(self) -> DeriveParameters:
        if any(not -1.0 < move < 1e6 for move in (*self.moves, *self.moves_up)):
            raise ValueError("moves and moves_up above -1")
        if 3 * len(self.moves) + len(self.moves_up) + 3 > SCENARIOS_MAX:
            raise ValueError(f"moves and moves_up of at most {SCENARIOS_MAX - 3} scenarios")
        given = self.option_confidence
        if any(not 0.0 <= one <= 1.0 for one in (given.values() if isinstance(given, dict) else [given])):
            raise ValueError("option_confidence from 0 to 1")
        fixed = self.forward_fixed
        if any(not 0.0 <= one < 1e18 for one in (fixed.values() if isinstance(fixed, dict) else [fixed])):
            raise ValueError("forward_fixed of at least 0")
        return self

    def shocks(self) -> list[Shock]:
        """The scenarios; the three that follow them are now and the two basis moves."""
        cells = [(move, vol) for move in self.moves for vol in (1, 0, -1)] + [(move, 1) for move in self.moves_up]
        return [Shock(shock_name(move, vol), move, vol) for move, vol in sorted(cells, reverse=True)]


class DerivePM(Rule):
    """PMRM version 1: worst scenario or basis contingency, plus static contingencies; long value is discounted."""

    Params = DeriveParameters
    kinds = ("linear_perpetual", "linear_future", "spot", "linear_option")
    revalues = True
    separable = True

    def init(self, contracts: ContractTable) -> ModelState:
        """Nothing to remember."""
        self.contracts = contracts
        self.shocks = self.params.shocks()
        self.scenarios = len(self.shocks) + 3
        return {}

    def publish(self, market: MarketView, state: ModelState) -> tuple[RiskParameters, ModelState]:
        """Option values (else profits) per scenario, now and under the basis moves; factors by expiry."""
        params, contracts = self.params, self.contracts
        valued = Revaluation(market, contracts, self.kinds, self.name)
        option = contracts.is_option
        up, down = params.volatility_factors(valued.years)
        fixed = per_contract("forward_fixed", params.forward_fixed, contracts.names)
        fixed = np.where(option, np.clip(fixed / valued.price, 0.0, 1.0), 0.0)
        size = params.basis_move
        shocks = [*self.shocks, Shock("now"), Shock("basis up", size), Shock("basis down", -size)]
        value = valued.values(shocks, up, down, fixed=fixed, discounted=False)
        now = value[:, len(self.shocks)].copy()
        # spot is worth its price in stable coins
        stable = np.where(contracts.kind == SPOT, params.stable_price, 1.0)
        value = np.where(option[:, None], value, (value - now[:, None]) / stable[:, None])
        keys = expiry_keys(contracts, valued.years, strikes=False)
        expiry, first = numbers(keys)
        strike, _ = numbers(expiry_keys(contracts, valued.years, strikes=True))
        linear = np.where(contracts.kind == SPOT, params.spot_contingency, params.perpetual_contingency)
        gross = np.where(option, 0.0, linear * valued.size)
        short = np.where(option, params.option_contingency * valued.size, 0.0)
        risk = RiskParameters(
            rate_initial=np.ones(len(option), np.int64),
            rate_maintenance=np.ones(len(option), np.int64),
            scenario_pnl=per_lots(value),
            scenario_weight=weights(shocks),
            initial_factor=rate_to_units(self._factor()),
            arrays={
                "expiry": expiry,
                "expiry_group": contracts.underlying[first].astype(np.int64),
                "discount": rates([self._discount(market, valued.years[c]) for c in first]),
                "basis": rates([params.basis_add + params.basis_multiplier * valued.years[c] for c in first]),
                "gross_charge": per_lots(gross),
                "short_charge": per_lots(short),
                "strike": strike,
                "size": per_lots(valued.size),
                "confidence": rates(self._confidence()),
                "coin_shock": np.rint(coin_shocks(self.shocks) / params.stable_price).astype(np.int64),
                "coin": rates([params.spot_contingency, self._short_of(params.spot_confidence)]),
            },
        )
        self._write_rates(risk, now, gross + short)
        return risk, state

    def _write_rates(self, risk: RiskParameters, now: np.ndarray, charge: np.ndarray) -> None:
        """What one position alone is charged over its value."""
        value = risk.scenario_pnl[:, : len(self.shocks)] / 2**10
        profit = np.where(self.contracts.is_option[:, None], value - now[:, None], value)
        alone = standalone_rate(profit, np.ones(profit.shape[1]), charge, now)
        risk.rate_maintenance = alone
        risk.rate_initial = np.minimum(np.ceil(alone * self._factor()), 2**32).astype(np.int64)

    def _factor(self) -> float:
        """Initial over maintenance loss, raised while the stable coin trades below its threshold."""
        params = self.params
        return float(params.initial_factor + params.peg_factor * max(0.0, params.peg_threshold - params.stable_price))

    def _discount(self, market: MarketView, years: float) -> float:
        params = self.params
        rate = float(market.interest_rate) if params.rate is None else params.rate
        return float(params.base_discount * exp(-years * (max(rate, 0.0) * params.rate_multiplier + params.rate_add)))

    def _short_of(self, confidence: float) -> float:
        """Part of the spot value that an oracle's confidence adds to initial margin."""
        params = self.params
        return float((1.0 - confidence) * params.confidence_factor) if confidence < params.confidence_threshold else 0.0

    def _confidence(self) -> list[float]:
        """The same for each contract, by the worse of the oracles that price it."""
        params, kind = self.params, self.contracts.kind
        options = per_contract("option_confidence", params.option_confidence, self.contracts.names)
        return [
            self._short_of(min(params.spot_confidence, options[c]))
            if self.contracts.option[c] != 0
            else self._short_of(
                params.spot_confidence if kind[c] == SPOT else min(params.spot_confidence, params.perpetual_confidence)
            )
            for c in range(len(kind))
        ]

    def requirement(self, portfolio: PortfolioView, risk: RiskParameters) -> Requirement:
        """Requirements of all accounts, minor units (compiled)."""
        book, arrays = Book(portfolio), risk.arrays
        initial, maintenance = np.zeros((2, len(book.lots)), np.int64)
        expiry_margin(
            book.lots, book.buys, book.sells, book.own, book.coins, book.profits(risk.scenario_pnl),
            portfolio.contracts.underlying, arrays["expiry"], arrays["expiry_group"], arrays["discount"],
            arrays["basis"], arrays["coin_shock"], book.amounts(arrays["gross_charge"]), int(arrays["coin"][0]),
            book.amounts(arrays["short_charge"]), arrays["strike"], int(arrays["strike"].max()) + 1,
            book.amounts(arrays["size"]), arrays["confidence"], int(arrays["coin"][1]), int(risk.initial_factor),
            initial, maintenance,
        )  # fmt: skip
        return Requirement(initial=initial, maintenance=maintenance)

    def explain(self, portfolio: PortfolioView, risk: RiskParameters) -> Requirement:
        """The definition: scenarios, basis, static and confidence contingencies of each account."""
        book, arrays = Book(portfolio), risk.arrays
        held, ordered, extra, table = [], [], [], []
        for account in range(len(book.lots)):
            for with_orders in (False, True):
                row = by.Row.of(book, account, ordered=with_orders)
                loss, basis = self._losses(row, book.profits(risk.scenario_pnl), arrays)
                scan = [max(0, *one) for one in loss]
                parts = {
                    "scenarios": sum(scan),
                    "basis_contingency": sum(max(b - s, 0) for b, s in zip(basis, scan, strict=True)),
                    "gross_contingency": by.gross(row, book.amounts(arrays["gross_charge"]))
                    + sum(by.part(max(coins, 0), arrays["coin"][0]) for coins in row.coins),
                    "short_option_contingency": by.short_options(
                        row, book.amounts(arrays["short_charge"]), arrays["strike"]
                    ),
                }
                if with_orders:
                    ordered.append(sum(parts.values()))
                    extra.append({"confidence_contingency": self._unsure(row, book.amounts(arrays["size"]), arrays)})
                else:
                    held.append(parts)
                    table.append(by.total_loss(loss))
        names = [shock.name for shock in self.shocks]
        return by.assembled(held, ordered, int(risk.initial_factor), extra, book.own, table, names)

    def _losses(
        self, row: by.Row, value: np.ndarray, arrays: dict[str, np.ndarray]
    ) -> tuple[list[list[int]], list[int]]:
        """Loss per underlying and scenario, and the basis contingency per underlying."""
        count, group = len(self.shocks), self.contracts.underlying.tolist()
        loss = [[-(coins * int(move) >> 32) for move in arrays["coin_shock"].tolist()] for coins in row.coins]
        basis = [0] * len(row.coins)
        mark = [[0] * (count + 3) for _ in arrays["expiry_group"]]
        for c, e in enumerate(arrays["expiry"].tolist()):
            gain = [by.times(row.lots[c], one) for one in value[c].tolist()]
            if e >= 0:
                mark[e] = [a + b for a, b in zip(mark[e], gain, strict=True)]
                self._add_orders(
                    row, c, value[c].tolist(), int(arrays["discount"][e]), int(arrays["basis"][e]), loss, basis
                )
            else:
                for s, one in enumerate(value[c].tolist()[:count]):
                    loss[group[c]][s] += by.times_up(row.buys[c], max(-one, 0)) + by.times_up(row.sells[c], max(one, 0))
                    loss[group[c]][s] -= gain[s]
        for e, underlying in enumerate(arrays["expiry_group"].tolist()):
            *cells, now, rise, fall = mark[e]
            for s, one in enumerate(cells):
                loss[underlying][s] += now - discounted(one, int(arrays["discount"][e]))
            basis[underlying] += by.part(max(now - rise, now - fall, 0), arrays["basis"][e])
        return loss, basis

    def _add_orders(
        self, row: by.Row, c: int, value: list[int], discount: int, factor: int, loss: list[list[int]], basis: list[int]
    ) -> None:
        """An order for an option counts what it would lose on its own."""
        *cells, now, rise, fall = value
        underlying = int(self.contracts.underlying[c])
        paid, received = by.times_up(row.buys[c], now), by.times(row.sells[c], now)
        for s, one in enumerate(cells):
            loss[underlying][s] += max(paid - discounted(by.times(row.buys[c], one), discount), 0)
            loss[underlying][s] += max(by.times_up(row.sells[c], one) - received, 0)
        moved = [
            max(paid - by.times(row.buys[c], one), 0) + max(by.times_up(row.sells[c], one) - received, 0)
            for one in (rise, fall)
        ]
        basis[underlying] += by.part(max(moved), factor)

    def _unsure(self, row: by.Row, size: np.ndarray, arrays: dict[str, np.ndarray]) -> int:
        """The confidence contingency: options by expiry, everything else by underlying, at the worst rate held."""
        amount: dict[tuple[str, int], int] = {}
        rate: dict[tuple[str, int], int] = {}
        for underlying, coins in enumerate(row.coins):
            if coins > 0:
                amount["linear", underlying], rate["linear", underlying] = coins, int(arrays["coin"][1])
        for c, held in enumerate(row.sizes()):
            if held:
                e = int(arrays["expiry"][c])
                key = ("expiry", e) if e >= 0 else ("linear", int(self.contracts.underlying[c]))
                amount[key] = amount.get(key, 0) + by.times_up(held, size[c])
                rate[key] = max(rate.get(key, 0), int(arrays["confidence"][c]))
        return sum(by.part(amount[key], rate[key]) for key in amount)

    def balances(self, portfolio: PortfolioView, risk: RiskParameters) -> dict[str, np.ndarray]:
        """The venue's numbers: equity at mark, and what is left of it after maintenance and initial margin.

        Args:
            portfolio: the accounts.
            risk: what was published.

        Returns:
            ``equity``, ``maintenance`` and ``initial``, int64[A] minor units of the account currency; an account is in
            order while they are not negative.
        """
        book = Book(portfolio)
        gains = book.amounts(np.ascontiguousarray(portfolio.unrealised().T)).sum(axis=0)
        cash = portfolio.wallets if portfolio.wallets.size else portfolio.cash[:, :1]
        equity = gains + portfolio.cash[:, 1:].sum(axis=1)
        for k in range(cash.shape[1]):
            rate = int(portfolio.conversion[k])
            equity = equity + np.array([int(amount) * rate >> 32 for amount in cash[:, k]], np.int64)
        needed = self.requirement(portfolio, risk)
        return {"equity": equity, "maintenance": equity - needed.maintenance, "initial": equity - needed.initial}


def discounted(value: int, rate: int) -> int:
    """A positive value times a discount in 2**-32, rounded down; a negative one as it is."""
    return value * rate >> 32 if value > 0 else value
