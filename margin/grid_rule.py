"""What portfolio rules of clearing houses share: publish a grid, evaluate it compiled, explain it plainly."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np

from margin.model import Rule
from margin.revaluation import lone_rates
from sim.contracts import ContractTable
from sim.errors import KernelError
from sim.interfaces import MarketView, ModelState, PortfolioView, Requirement, RiskParameters
from sim.kernels.state import RATE_ONE


@dataclass(slots=True)
class AccountRisk:
    """Requirements of one account, minor units, and where they come from.

    Attributes:
        maintenance: requirement of the positions.
        initial: requirement with open orders, times the ratio of initial to maintenance.
        maintenance_parts: sum to ``maintenance``.
        parts: sum to ``initial``.
        loss: of the positions, per scenario.
    """

    maintenance: int
    initial: int
    maintenance_parts: dict[str, int]
    parts: dict[str, int]
    loss: list[int] = field(default_factory=list)

    @classmethod
    def of(
        cls, parts: dict[str, int], with_orders: int, own_loss: int, factor: int, fine_loss: list[int]
    ) -> AccountRisk:
        """Put a requirement together.

        Args:
            parts: of the positions' requirement, fine units (2**-10 minor units).
            with_orders: requirement with open orders, fine units.
            own_loss: open orders' own loss against the mark, minor units.
            factor: initial over maintenance, 2**-32.
            fine_loss: loss per scenario, fine units.
        """
        rounded = parts_of(parts)
        maintenance = sum(rounded.values())
        base = -(-maintenance * factor // RATE_ONE)
        reserved = -(-with_orders >> 10)
        initial = -(-reserved * factor // RATE_ONE) + own_loss
        more = {"initial_over_maintenance": base - maintenance, "open_orders": initial - base}
        return cls(maintenance, initial, rounded, rounded | more, [-(-loss >> 10) for loss in fine_loss])


def parts_of(totals: dict[str, int]) -> dict[str, int]:
    """Parts in minor units from amounts in fine units (2**-10), so that they sum to the rounded-up total."""
    parts, before, running = {}, 0, 0
    for name, amount in totals.items():
        running += amount
        now = -(-running >> 10)
        parts[name] = now - before
        before = now
    return parts


def own_loss(portfolio: PortfolioView, account: int, conversion: np.ndarray) -> int:
    """Open orders' own loss against the mark, minor units of the account currency, each rounded up."""
    orders = (portfolio.loss_buy[account] + portfolio.loss_sell[account]).tolist()
    return sum(-(-loss * rate // RATE_ONE) for loss, rate in zip(orders, conversion.tolist(), strict=True))


def losses(
    portfolio: PortfolioView, profit: np.ndarray, account: int, members: list[int], *, ordered: bool
) -> list[int]:
    """Loss of some contracts in each scenario, fine units; open orders count where they would lose."""
    found = [0] * profit.shape[1]
    for c in members:
        lots = int(portfolio.lots[account, c])
        buy, sell = (int(portfolio.open_buy[account, c]), int(portfolio.open_sell[account, c])) if ordered else (0, 0)
        if lots == buy == sell == 0:
            continue
        for s, gain in enumerate(profit[c].tolist()):
            found[s] += buy * max(-gain, 0) + sell * max(gain, 0) - lots * gain
    return found


class GridRule(Rule, ABC):
    """A rule that revalues every contract in scenarios; initial is maintenance times ``initial_ratio``."""

    index_valid = False
    revalues = True
    separable = True

    def init(self, contracts: ContractTable) -> ModelState:
        """Nothing is remembered: what is published depends on the market of the step alone."""
        self.contracts = contracts
        return {}

    @abstractmethod
    def arrays(self, market: MarketView, contracts: ContractTable) -> dict[str, np.ndarray]:
        """Everything that the evaluator reads, integers by name."""

    @abstractmethod
    def account_risk(self, portfolio: PortfolioView, risk: RiskParameters, account: int) -> AccountRisk:
        """One account in Python integers of any size: the readable definition."""

    @abstractmethod
    def compiled(self, portfolio: PortfolioView, risk: RiskParameters) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Initial and maintenance of all accounts, and 1 where an account is too large for 64 bits, int64[A] each."""

    @abstractmethod
    def scenario_names(self, risk: RiskParameters) -> tuple[str, ...]:
        """A name per scenario."""

    def publish(self, market: MarketView, state: ModelState) -> tuple[RiskParameters, ModelState]:
        """Risk parameters at the current market."""
        one = np.ones(len(self.contracts.names), np.int64)
        risk = RiskParameters(one, one, arrays=self.arrays(market, self.contracts))
        rates = lone_rates(self.contracts, market.mark, self.requirement, risk)
        risk.rate_initial, risk.rate_maintenance = rates
        return risk, state

    def requirement(self, portfolio: PortfolioView, risk: RiskParameters) -> Requirement:
        """Requirements of all accounts, minor units of the account currency."""
        initial, maintenance, left = self.compiled(portfolio, risk)
        for account in np.flatnonzero(left):
            found = self.account_risk(portfolio, risk, int(account))
            if found.initial >= 1 << 63:
                raise KernelError(f"account {account}: a requirement of {found.initial} minor units is beyond 64 bits")
            initial[account], maintenance[account] = found.initial, found.maintenance
        return Requirement(initial=initial, maintenance=maintenance)

    def explain(self, portfolio: PortfolioView, risk: RiskParameters) -> Requirement:
        """The same to the unit, account by account in plain integers, with every part and the loss per scenario."""
        found = [self.account_risk(portfolio, risk, a) for a in range(len(portfolio.lots))]
        names = self.scenario_names(risk)

        def column(rows: list[dict[str, int]]) -> dict[str, np.ndarray]:
            keys = rows[0] if rows else {}
            return {key: np.array([row[key] for row in rows], np.int64) for key in keys}

        return Requirement(
            initial=np.array([one.initial for one in found], np.int64),
            maintenance=np.array([one.maintenance for one in found], np.int64),
            parts=column([one.parts for one in found]),
            maintenance_parts=column([one.maintenance_parts for one in found]),
            scenario_loss=np.array([one.loss for one in found], np.int64).reshape(len(found), len(names)),
            scenario_names=names,
        )


def orders_of(portfolio: PortfolioView) -> tuple[np.ndarray, ...]:
    """Positions, open orders and their own losses as evaluators take them, int64[A, C] each."""
    columns = (
        portfolio.lots, portfolio.open_buy, portfolio.open_sell, portfolio.loss_buy, portfolio.loss_sell,
    )  # fmt: skip
    return tuple(np.ascontiguousarray(one, np.int64) for one in columns)
