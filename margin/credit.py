"""Credit-based margin: the portfolio's potential exposure at a confidence level, less what the account is trusted with.

With ``V`` the current exposure (what the account would owe if its positions were closed at mark), ``A`` its potential
increase over the margin period and ``CL`` the credit line::

    initial = max(max(0, V + A) - CL, V - TH, 0)        CL = min(granted line, EL / (PD LGD))

An exposure never left uncovered beyond ``CL`` has an expected loss of at most ``PD LGD CL``, so the line is the largest
that keeps it within the limit ``EL``; it shrinks as the probability of default rises, and a downgrade is a margin call.
The threshold ``TH``, the minimum transfer and rounding are those of a credit support annex. This is this project's own
design; no published rule.
"""

from __future__ import annotations

from math import ceil, sqrt
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from margin.exposure import profits, slopes
from margin.kernels import credit as kernels
from margin.kernels.strategies import converted_sum
from margin.model import Rule
from margin.parameters import NonNegative, Parameters, Positive, PositivePerContract
from margin.portfolio import StaticMarket
from margin.terms import fixed_point, mark_price, single_rate
from sim.contracts import ContractTable, rate_to_units
from sim.errors import ConfigError
from sim.interfaces import MarketView, ModelState, PortfolioView, Requirement, RiskParameters
from sim.kernels.realmath import normal_quantile
from sim.kernels.wide import mul_rate

Probability = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
Inside = Annotated[float, Field(gt=0.0, lt=1.0)]
_NO_LIMIT = 1 << 60
FEATURES = (
    "default_probability", "loss_given_default", "expected_loss_limit", "credit_line", "threshold",
    "minimum_transfer", "drawdown", "collateral_held",
)  # fmt: skip


class CreditParameters(Parameters):
    """Parameters of credit-based margin; the account's own features hold before the defaults here.

    Money is in units of the account currency.
    """

    method: Literal["normal", "historical"] = Field(
        "normal", description="volatilities and one correlation, options by delta; or past returns, options repriced"
    )
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = Field(0.99, description="of the potential exposure")
    horizon_days: Positive = Field(10.0, description="margin period of risk")
    maintenance_ratio: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        0.75, description="part of the potential increase that maintenance asks"
    )
    correlation: Probability = Field(0.5, description="of the returns of every two underlyings")
    volatility: PositivePerContract | None = Field(
        None, description="per square root of a day, for all or by underlying; default: the market's forecast"
    )
    decay: Inside = Field(0.94, description="per day, of the forecast where the market has none")
    start_volatility: Positive = Field(0.03, description="per square root of a day, where such a forecast starts")
    window: Annotated[int, Field(ge=10)] = Field(250, description="historical: daily returns")
    variation: Literal["unsettled", "settled"] = Field(
        "unsettled",
        description="unrealised profit and loss is exposure (the requirement stands against cash), or settled",
    )
    default_probability: Probability = Field(0.01, description="per year")
    loss_given_default: Annotated[float, Field(gt=0.0, le=1.0)] = Field(0.6, description="part of the exposure")
    expected_loss_limit: NonNegative = Field(description="largest expected loss per year for one account")
    credit_line: NonNegative | None = Field(None, description="granted line; none: only the expected loss limits it")
    line_of_capital: NonNegative | None = Field(None, description="line at most, of the account's equity")
    threshold: NonNegative | None = Field(
        None, description="current exposure beyond it must be covered whatever the line; none: no such clause"
    )
    minimum_transfer: NonNegative = Field(0.0, description="smaller calls are not made")
    rounding: NonNegative = Field(0.0, description="initial is rounded up to a multiple")
    wrong_way_market: NonNegative = Field(0.0, description="growth of PD with the market's fall from its highest mark")
    wrong_way_account: NonNegative = Field(0.0, description="growth of PD with the account's drawdown")
    haircuts: dict[str, Probability] = Field(default_factory=dict, description="of collateral currencies")

    @model_validator(mode="after")
    def _enough_returns(self) -> CreditParameters:
        if self.method == "historical" and self.window * (1.0 - self.confidence) < 1.0:
            raise ValueError("a window of at least 1 / (1 - confidence) returns")
        return self


def collateral_call(
    exposure: np.ndarray, threshold: np.ndarray, held: np.ndarray, minimum: np.ndarray, rounding: int = 0
) -> np.ndarray:
    """Margin call of a credit support annex: ``max(0, V - TH - C)`` if that is at least the minimum transfer, else 0.

    Args:
        exposure: int64[A], V, minor units.
        threshold: int64[A], TH.
        held: int64[A], C, collateral held after haircuts.
        minimum: int64[A], minimum transfer amount.
        rounding: calls are rounded up to a multiple; 0 for none.

    Examples:
        >>> collateral_call(np.array([900, 900]), np.array([500]), np.array([150, 350]), np.array([100]))
        array([250,   0])
    """
    missing = np.maximum(np.asarray(exposure) - threshold - held, 0)
    call = np.where(missing >= np.maximum(minimum, 1), missing, 0)
    return rounded_up(call, rounding)


def rounded_up(amount: np.ndarray, multiple: int) -> np.ndarray:
    """Amounts rounded up to a multiple, int64; unchanged where it is 0."""
    return -(-amount // multiple) * multiple if multiple > 0 else amount


class Credit(Rule):
    """Credit-based margin: potential exposure less a credit line that shrinks with the probability of default."""

    Params: ClassVar[type[Parameters]] = CreditParameters
    index_valid = False

    def init(self, contracts: ContractTable) -> ModelState:
        """Highest mark so far, last mark and daily variance, float64[C]."""
        self.contracts = contracts
        unknown = set(self.params.haircuts) - set(contracts.currencies)
        if unknown:
            allowed = "currencies among " + ", ".join(contracts.currencies)
            raise ConfigError.of("margin.params.haircuts", sorted(unknown), allowed)
        marks = contracts.initial_mark.astype(np.float64)
        return {"peak": marks, "last": marks.copy(), "variance": np.full(len(marks), self.params.start_volatility**2)}

    # ------------------------------------------------------------------------------------------------------------------
    # What one lot can lose

    def publish(self, market: MarketView, state: ModelState) -> tuple[RiskParameters, ModelState]:
        """Sensitivities (or historical profits) of one lot, the market's drawdown, haircuts."""
        contracts, mark = self.contracts, np.asarray(market.mark, np.float64)
        per_step = self.params.decay ** (1.0 / contracts.steps_per_day)
        daily = np.log(mark / state["last"]) ** 2 * contracts.steps_per_day
        # the first call sees the marks that the forecast starts from
        known = (mark != state["last"]) | (market.step > 0)
        variance = np.where(known, per_step * state["variance"] + (1.0 - per_step) * daily, state["variance"])
        peak = np.maximum(state["peak"], mark)
        memory = {"peak": peak, "last": mark, "variance": variance}
        price = mark_price(contracts, market.mark)
        minor = contracts.minor[contracts.currency]
        arrays = {"drawdown": np.array([rate_to_units(float(np.max(1.0 - mark / peak)))], np.int64)}
        if self.params.method == "normal":
            move = float(normal_quantile(self.params.confidence)) * sqrt(self.params.horizon_days)
            single = move * self._volatility(market, variance) * slopes(market, contracts, price)
            amounts, bits = fixed_point(single[:, None], minor, "margin.credit", most=40)
            arrays |= {"sensitivity": amounts[:, 0], "bits": np.array([bits], np.int64)}
        else:
            profit = self._profits(market, price)
            # the worse of a long and a short lot alone
            single = np.sort(np.stack([profit, -profit]), axis=2)[:, :, -1 - self._rank()].min(axis=0)
            # rounded down: a loss is never understated
            arrays["profit"] = np.floor(profit * minor[:, None] * 1024.0).astype(np.int64)
        value = np.where(contracts.inverse, contracts.lot_size / price, contracts.lot_size * price)
        rate = single_rate(np.abs(single), value)
        haircut = np.array([rate_to_units(self.params.haircuts.get(name, 0.0)) for name in contracts.currencies])
        risk = RiskParameters(
            rate_initial=rate,
            rate_maintenance=np.maximum(np.rint(rate * self.params.maintenance_ratio).astype(np.int64), 1),
            haircut=haircut,
            arrays=arrays,
        )
        return risk, memory

    def _profits(self, market: MarketView, price: np.ndarray) -> np.ndarray:
        """Profit of one long lot in each past return, stretched to the horizon, float64[C, S]."""
        try:
            returns = np.asarray(market.returns(self.params.window, self.contracts.steps_per_day), np.float64)
        except ValueError as error:
            allowed = f"a window that the market remembers ({error})"
            raise ConfigError.of("margin.params.window", self.params.window, allowed) from error
        return profits(market, self.contracts, price, returns * sqrt(self.params.horizon_days))

    def _volatility(self, market: MarketView, variance: np.ndarray) -> np.ndarray:
        """Daily volatility of each contract's underlying, float64[C]."""
        contracts, given = self.contracts, self.params.volatility
        names = [contracts.underlyings[u] for u in contracts.underlying]
        if isinstance(given, dict):
            missing = sorted(set(names) - set(given))
            if missing:
                raise ConfigError.of("margin.params.volatility", missing, "a volatility for each underlying")
            return np.array([given[name] for name in names])
        if given is not None:
            return np.full(len(names), float(given))
        forecast = np.asarray(getattr(market, "daily_volatility", np.full(len(names), np.nan)), np.float64)
        usable = np.isfinite(forecast) & (forecast > 0)
        if not usable.all() and isinstance(market, StaticMarket):
            key = f"underlyings.{names[int(np.argmin(usable))]}.daily_volatility"
            raise ConfigError.of(key, None, "a daily volatility above 0, or margin.params.volatility")
        return np.where(usable, forecast, np.sqrt(variance))

    # ------------------------------------------------------------------------------------------------------------------
    # What one account is trusted with

    def _money(self, portfolio: PortfolioView, name: str) -> np.ndarray:
        """A feature in money, or its default, int64[A] minor units; no limit where neither is given."""
        default = getattr(self.params, name)
        values = portfolio.features.get(name, np.full(len(portfolio.lots), np.inf if default is None else default))
        if (np.isnan(values) | (values < 0)).any():
            raise ConfigError.of(f"account.features.{name}", float(np.nanmin(values)), "an amount, at least 0")
        amount = np.minimum(np.asarray(values, np.float64) * portfolio.contracts.minor[0], float(_NO_LIMIT))
        return np.rint(amount).astype(np.int64)

    def _fraction(self, portfolio: PortfolioView, name: str, default: float) -> np.ndarray:
        values = np.asarray(portfolio.features.get(name, np.full(len(portfolio.lots), default)), np.float64)
        if not ((values >= 0) & (values <= 1)).all():
            raise ConfigError.of(f"account.features.{name}", values.tolist()[0], "a number from 0 to 1")
        return values

    def line(self, portfolio: PortfolioView, risk: RiskParameters) -> np.ndarray:
        """Credit line of each account, int64[A] minor units: ``min(granted, capital part, EL / (PD LGD))``.

        The probability of default grows with the market's and the account's own drawdown where the parameters say so.
        """
        p = self.params
        probability = self._fraction(portfolio, "default_probability", p.default_probability)
        loss = self._fraction(portfolio, "loss_given_default", p.loss_given_default)
        fallen = self._fraction(portfolio, "drawdown", 0.0)
        market = float(risk.arrays["drawdown"][0]) / 2.0**32
        stressed = np.minimum(probability * (1.0 + p.wrong_way_market * market + p.wrong_way_account * fallen), 1.0)
        limit = self._money(portfolio, "expected_loss_limit").astype(np.float64)
        expected = stressed * loss
        with np.errstate(all="ignore"):
            affordable = np.where(expected > 0, limit / expected, np.inf)
        line = np.floor(np.minimum(affordable, float(_NO_LIMIT))).astype(np.int64)
        line = np.minimum(line, self._money(portfolio, "credit_line"))
        if p.line_of_capital is not None:
            capital = np.floor(p.line_of_capital * np.maximum(portfolio.equity(), 0)).astype(np.int64)
            line = np.minimum(line, capital)
        return line

    def exposure(self, portfolio: PortfolioView) -> np.ndarray:
        """Current exposure to each account: what its positions would cost it at mark, int64[A] minor units."""
        if self.params.variation == "settled":
            return np.zeros(len(portfolio.lots), np.int64)
        owed: np.ndarray = converted_sum(-portfolio.unrealised(), portfolio.contracts.currency, portfolio.conversion)
        return owed

    def increase(self, portfolio: PortfolioView, lots: np.ndarray, risk: RiskParameters) -> np.ndarray:
        """Potential increase of the exposure from positions, int64[A] minor units, from the compiled evaluator."""
        conversion = [int(portfolio.conversion[k]) for k in portfolio.contracts.currency]
        answer: np.ndarray
        if self.params.method == "normal":
            one = [int(mul_rate(int(s), rate)) for s, rate in zip(risk.arrays["sensitivity"], conversion, strict=True)]
            under = portfolio.contracts.underlying
            scale = float(1 << int(risk.arrays["bits"][0]))
            answer = kernels.normal_increase(
                lots,
                np.array(one, np.int64),
                under,
                len(portfolio.contracts.underlyings),
                self.params.correlation,
                scale,
            )
            return answer
        answer = kernels.historical_increase(lots, self._converted_profit(portfolio, risk), self._rank())
        return answer

    def _rank(self) -> int:
        return ceil(self.params.confidence * self.params.window) - 1

    @staticmethod
    def _converted_profit(portfolio: PortfolioView, risk: RiskParameters) -> np.ndarray:
        profit = risk.arrays["profit"]
        currency = portfolio.contracts.currency
        if (portfolio.conversion[currency] == 1 << 32).all():
            return profit
        rates = [int(portfolio.conversion[k]) for k in currency]
        rows = [[-int(mul_rate(-int(x), rate)) for x in row] for row, rate in zip(profit, rates, strict=True)]
        return np.array(rows, np.int64)

    # ------------------------------------------------------------------------------------------------------------------
    # What the account must hold

    def requirement(self, portfolio: PortfolioView, risk: RiskParameters) -> Requirement:
        """Requirements of all accounts, minor units, from the compiled evaluator."""
        line, owed = self.line(portfolio, risk), self.exposure(portfolio)
        own = converted_sum(
            portfolio.loss_buy + portfolio.loss_sell, portfolio.contracts.currency, portfolio.conversion
        )
        held = self.increase(portfolio, portfolio.lots, risk)
        worst = held
        if portfolio.open_buy.any() or portfolio.open_sell.any():
            bought = self.increase(portfolio, portfolio.lots + portfolio.open_buy, risk)
            sold = self.increase(portfolio, portfolio.lots - portfolio.open_sell, risk)
            worst = np.maximum(held, np.maximum(bought, sold))
        multiple = int(np.rint(self.params.rounding * portfolio.contracts.minor[0]))
        positions = rounded_up(self._required(portfolio, owed, held, line), multiple)
        initial = rounded_up(self._required(portfolio, owed + own, worst, line), multiple)
        kept = np.array([int(mul_rate(int(a), rate_to_units(self.params.maintenance_ratio))) for a in held], np.int64)
        maintenance = self._required(portfolio, owed, kept, line) - self._money(portfolio, "minimum_transfer")
        return Requirement(
            initial=initial,
            maintenance=np.maximum(maintenance, 0),
            parts={"positions": positions, "open_orders": initial - positions},
            equity_excluded=None if self.params.variation == "settled" else -owed,
        )

    def _required(
        self, portfolio: PortfolioView, owed: np.ndarray, increase: np.ndarray, line: np.ndarray
    ) -> np.ndarray:
        """The larger of potential exposure beyond the line and current exposure beyond the threshold, int64[A]."""
        beyond = np.maximum(np.maximum(owed + increase, 0) - line, 0)
        return np.maximum(beyond, owed - self._money(portfolio, "threshold"))

    def call(self, portfolio: PortfolioView, risk: RiskParameters) -> np.ndarray:
        """Margin call on each account's collateral, int64[A] minor units.

        Collateral is the feature ``collateral_held``, or else the wallets after conversion and haircut.
        """
        answer = self.requirement(portfolio, risk)
        if "collateral_held" in portfolio.features:
            held = np.floor(portfolio.features["collateral_held"] * portfolio.contracts.minor[0]).astype(np.int64)
        else:
            keep = [(1 << 32) - int(h) for h in risk.haircut]
            worth = [
                [(int(w) * int(rate) * k) >> 64 for w, rate, k in zip(row, portfolio.conversion, keep, strict=True)]
                for row in portfolio.wallets
            ]
            held = np.array([sum(row) for row in worth], np.int64)
        multiple = int(np.rint(self.params.rounding * portfolio.contracts.minor[0]))
        zero = np.zeros_like(held)
        return collateral_call(answer.initial, zero, held, self._money(portfolio, "minimum_transfer"), multiple)

    # ------------------------------------------------------------------------------------------------------------------
    # The readable definition

    def explain(self, portfolio: PortfolioView, risk: RiskParameters) -> Requirement:
        """The same to the unit, step by step: exposure, potential increase, credit line, threshold, rounding."""
        answer = self.requirement(portfolio, risk)
        resting = answer.parts["open_orders"]
        rows = [self._account(portfolio, risk, a) for a in range(len(portfolio.lots))]
        for place, which in enumerate(("initial", "maintenance")):
            names = list(rows[0][place]) if rows else []
            parts = {name: np.array([row[place][name] for row in rows], np.int64) for name in names}
            total = sum(parts.values(), np.zeros(len(rows), np.int64))
            if which == "initial":
                answer.initial, answer.parts = total + resting, parts | {"open orders": resting}
            else:
                answer.maintenance, answer.maintenance_parts = total, parts
        return answer

    def _account(self, portfolio: PortfolioView, risk: RiskParameters, a: int) -> tuple[dict[str, int], dict[str, int]]:
        owed, line = int(self.exposure(portfolio)[a]), int(self.line(portfolio, risk)[a])
        increase = self._increase_of(portfolio, risk, a)
        threshold = int(self._money(portfolio, "threshold")[a])
        multiple = int(np.rint(self.params.rounding * portfolio.contracts.minor[0]))
        kept = -((-increase * rate_to_units(self.params.maintenance_ratio)) >> 32)
        initial = self._steps(owed, increase, line, threshold)
        total = sum(initial.values())
        initial["rounding"] = -(-total // multiple) * multiple - total if multiple else 0
        maintenance = self._steps(owed, kept, line, threshold)
        transfer = int(self._money(portfolio, "minimum_transfer")[a])
        maintenance["minimum transfer"] = -min(transfer, sum(maintenance.values()))
        return initial, maintenance

    @staticmethod
    def _steps(owed: int, increase: int, line: int, threshold: int) -> dict[str, int]:
        potential = max(owed + increase, 0)
        trusted = min(line, potential)
        return {
            "current exposure": owed,
            "potential increase": increase,
            "profit beyond it": potential - owed - increase,
            "credit line": -trusted,
            "beyond the threshold": max(owed - threshold - (potential - trusted), 0),
        }

    def _increase_of(self, portfolio: PortfolioView, risk: RiskParameters, a: int) -> int:
        contracts, lots = portfolio.contracts, [int(x) for x in portfolio.lots[a]]
        conversion: list[Any] = [int(portfolio.conversion[k]) for k in contracts.currency]
        if self.params.method == "normal":
            exposure = [0.0] * len(contracts.underlyings)
            for c, held in enumerate(lots):
                one = -((-int(risk.arrays["sensitivity"][c]) * conversion[c]) >> 32)
                exposure[int(contracts.underlying[c])] += float(held) * float(one)
            squares, total = 0.0, 0.0
            for e in exposure:
                total += e
                squares += e * e
            square = squares + self.params.correlation * (total * total - squares)
            return ceil(sqrt(square) / float(1 << int(risk.arrays["bits"][0]))) if square > 0 else 0
        profit = [
            [(int(x) * rate) >> 32 for x in row] for row, rate in zip(risk.arrays["profit"], conversion, strict=True)
        ]
        losses = sorted(
            -sum((held * profit[c][s]) >> 10 for c, held in enumerate(lots)) for s in range(self.params.window)
        )
        return max(losses[self._rank()], 0)
