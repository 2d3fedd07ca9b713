"""Standard margin of option venues: Deribit and those that copied it.

Short options are charged by a formula of spot, strike and mark, long options are paid for and need no margin. As the
venues print them, requirements stand against equity without the value of options.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from margin.kernels import standard
from margin.kernels import strategies as kernels
from margin.model import Rule
from margin.parameters import NonNegative, Parameters, Rate
from margin.terms import fixed_point, mark_price, option_value, require_kinds, settled, single_rate
from sim.contracts import ContractTable
from sim.interfaces import MarketView, ModelState, PortfolioView, Requirement, RiskParameters
from sim.kernels.state import INVERSE_OPTION
from sim.kernels.wide import mul_shift_floor

_FUTURES = ("linear_perpetual", "linear_future", "inverse_perpetual", "inverse_future")


class ShortOptionParameters(Parameters):
    """Charges of short options, as parts of the underlying's value."""

    rate: Rate = Field(description="initial, less what the option is out of the money")
    minimum: Rate = Field(description="initial at least")
    maintenance_call: Rate = Field(description="maintenance of a short call")
    maintenance_put: Rate = Field(description="maintenance of a short put")
    maintenance_put_mark: NonNegative = Field(description="maintenance of a short put at least, of its own mark")


def short_options(
    p: ShortOptionParameters, option: np.ndarray, spot: np.ndarray, strike: np.ndarray, mark: np.ndarray,
    value: np.ndarray, put_factor: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Initial and maintenance of one unit of each short option, in its settlement currency, float64[C] each.

    Args:
        p: rates.
        option: 1 call, -1 put.
        spot: price of the underlying, price units.
        strike: price units.
        mark: price of the option, in its settlement currency.
        value: of one unit of the underlying in the settlement currency: 1 for inverse options, else spot.
        put_factor: initial of a put is at least so many times its maintenance.
    """
    out = np.maximum(option * (strike - spot), 0.0) / spot
    initial = np.maximum(p.rate - out, p.minimum) * value + mark
    call = p.maintenance_call * value + mark
    put = np.maximum(p.maintenance_put * value, p.maintenance_put_mark * mark) + mark
    maintenance = np.where(option > 0, call, put)
    initial = np.where(option > 0, np.maximum(initial, call), np.maximum(initial, put_factor * put))
    return initial, maintenance


class DeribitStandardParameters(ShortOptionParameters):
    """Parameters of standard margin by contract; futures grow with their size."""

    future_initial: Rate | None = Field(None, description="initial of futures, of their value; none: not margined")
    future_maintenance: Rate | None = Field(None, description="maintenance of futures, of their value")
    future_slope: NonNegative = Field(0.0, description="both rates grow by this per unit of the underlying held")


class DeribitStandard(Rule):
    """Standard margin of Deribit and its kin: every short option alone, futures linear in size, no netting."""

    Params: ClassVar[type[Parameters]] = DeribitStandardParameters
    index_valid = False
    revalues = True
    separable = True

    def init(self, contracts: ContractTable) -> ModelState:
        """Check what is traded; nothing is remembered.

        Raises:
            ConfigError: a contract is neither an option nor a future or perpetual that the parameters give a rate.
        """
        futures = _FUTURES if self.params.future_initial is not None else ()
        require_kinds(contracts, ("linear_option", "inverse_option", *futures), self.name or "standard margin")
        self.contracts = contracts
        return {}

    def publish(self, market: MarketView, state: ModelState) -> tuple[RiskParameters, ModelState]:
        """Integer charges of one lot of each contract, for initial and maintenance."""
        p, contracts = self.params, self.contracts
        option, price, spot = contracts.is_option, mark_price(contracts, market.mark), np.asarray(market.spot)
        value = np.where(contracts.kind == INVERSE_OPTION, 1.0, spot)
        shorts = short_options(p, contracts.option, spot, np.where(option, contracts.strike, spot), price, value)
        # one lot of a future: its value in the settlement currency, and its size in units of the underlying
        worth = contracts.lot_size * np.where(contracts.inverse, 1.0 / price, price)
        units = contracts.lot_size * np.where(contracts.inverse, 1.0 / price, 1.0)
        rates = (p.future_initial or 0.0, p.future_maintenance or 0.0)
        columns = [
            column
            for short, rate in zip(shorts, rates, strict=True)
            for column in (
                np.where(option, short * contracts.lot_size, rate * worth),
                np.where(option, 0.0, rate * worth),
            )
        ]
        minor = contracts.minor[contracts.currency]
        premium = np.where(option, price * contracts.lot_size, 0.0)
        amounts, bits = fixed_point(np.column_stack([*columns, premium]), minor, "margin.standard")
        slopes, slope_bits = fixed_point(
            np.where(option, 0.0, p.future_slope * units * worth)[:, None], minor, "margin.standard", most=40
        )
        tables = [np.column_stack([amounts[:, k], amounts[:, k + 1], slopes[:, 0]]) for k in (0, 2)]
        whole = np.where(option, contracts.lot_size * value, worth)
        risk = RiskParameters(
            rate_initial=single_rate(columns[0], whole),
            rate_maintenance=single_rate(columns[2], whole),
            arrays={
                "initial": tables[0],
                "maintenance": tables[1],
                "premium": amounts[:, 4],
                "bits": np.array([bits, slope_bits], np.int64),
            },
        )
        return risk, state

    def _summed(
        self, table: np.ndarray, lots: np.ndarray, portfolio: PortfolioView, risk: RiskParameters
    ) -> np.ndarray:
        bits, slope_bits = (int(k) for k in risk.arrays["bits"])
        answer: np.ndarray = standard.summed_requirement(
            table, portfolio.contracts.currency, lots, portfolio.conversion, bits, slope_bits
        )
        return answer

    def _resting(self, portfolio: PortfolioView, risk: RiskParameters, positions: np.ndarray) -> np.ndarray:
        """Reserve of open orders: futures at the worst position, sold options alone, bought ones at their price."""
        lots, option = portfolio.lots, portfolio.contracts.is_option
        sold = np.minimum(lots, 0) - np.maximum(portfolio.open_sell - np.maximum(lots, 0), 0)
        worst = self._summed(risk.arrays["initial"], np.where(option, sold, portfolio.worst_lots()), portfolio, risk)
        bought = np.where(option, np.maximum(portfolio.open_buy - np.maximum(-lots, 0), 0), 0)
        premium = np.column_stack([risk.arrays["premium"]] * 2 + [np.zeros(lots.shape[1], np.int64)])
        paid = self._summed(premium, bought, portfolio, risk)
        own = kernels.converted_sum(
            portfolio.loss_buy + portfolio.loss_sell, portfolio.contracts.currency, portfolio.conversion
        )
        reserve: np.ndarray = worst - positions + paid + own
        return reserve

    def requirement(self, portfolio: PortfolioView, risk: RiskParameters) -> Requirement:
        """Requirements of all accounts, minor units, from the compiled evaluator."""
        positions = self._summed(risk.arrays["initial"], portfolio.lots, portfolio, risk)
        resting = self._resting(portfolio, risk, positions)
        return Requirement(
            initial=positions + resting,
            maintenance=self._summed(risk.arrays["maintenance"], portfolio.lots, portfolio, risk),
            parts={"positions": positions, "open_orders": resting},
            equity_excluded=option_value(portfolio),
        )

    def explain(self, portfolio: PortfolioView, risk: RiskParameters) -> Requirement:
        """The same to the unit, contract by contract."""
        answer = self.requirement(portfolio, risk)
        resting = answer.parts["open_orders"]
        parts, total = self._by_contract(portfolio, risk, "initial")
        answer.initial, answer.parts = total + resting, parts | {"open orders": resting}
        answer.maintenance_parts, answer.maintenance = self._by_contract(portfolio, risk, "maintenance")
        return answer

    def _by_contract(
        self, portfolio: PortfolioView, risk: RiskParameters, which: str
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        contracts, table = portfolio.contracts, risk.arrays[which]
        bits, slope_bits = (int(k) for k in risk.arrays["bits"])
        accounts = len(portfolio.lots)
        sums = [dict.fromkeys(range(len(portfolio.conversion)), 0) for _ in range(accounts)]
        parts = {}
        for c, name in enumerate(contracts.names):
            rate, k = int(portfolio.conversion[contracts.currency[c]]), int(contracts.currency[c])
            part = np.zeros(accounts, np.int64)
            for a in range(accounts):
                held = int(portfolio.lots[a, c])
                charge = abs(held) * int(table[c, standard.L_SHORT if held < 0 else standard.L_LONG])
                growth = -int(mul_shift_floor(-held * held, int(table[c, standard.L_SLOPE]), slope_bits))
                sums[a][k] += charge + (growth << bits)
                part[a] = ((charge + (growth << bits)) * rate) >> (32 + bits)
            if part.any():
                parts[name] = part
        return settled(parts, sums, portfolio, bits)
