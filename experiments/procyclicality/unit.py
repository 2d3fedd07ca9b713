"""What a portfolio that never changes must hold: the rule in force is asked at every sample of a market."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sim.errors import ConfigError
from sim.interfaces import PortfolioView
from sim.kernels import state as s
from sim.views import portfolio_view

if TYPE_CHECKING:
    from sim.market import Market

UNIT_LOTS = 100
DECIMALS = 6
"""Of a margin as a fraction of value; beyond stand the minor units that requirements are rounded up to."""
_WEALTH = 1 << 52  # minor units in the wallet of the unit's holder: no rule takes it for poor

Ints = NDArray[np.int64]


def unit_lots(market: Market, lots: int = UNIT_LOTS) -> Ints:
    """A long portfolio of one value in every contract that is margined by price moves, int64[C].

    Args:
        market: the market, for contracts and present marks.
        lots: of the first such contract.

    Raises:
        ConfigError: there is none: spot is covered by cash, and the risk of an option is not one of its price.
    """
    table = market.contract_table
    margined = np.flatnonzero((table.kind != s.SPOT) & ~table.is_option)
    if len(margined) == 0:
        raise ConfigError.of("contracts", ", ".join(table.names), "a perpetual or a future, to margin one unit of")
    view = _view(market, np.zeros(len(table.names), np.int64))
    value = view.account_notional(np.full((1, len(table.names)), 1000, np.int64))[0].astype(float) / 1000.0
    found = np.zeros(len(table.names), np.int64)
    found[margined] = np.maximum(np.rint(lots * value[margined[0]] / value[margined]), 1).astype(np.int64)
    return found


def unit_margin(market: Market, lots: Ints) -> float:
    """Initial margin of a portfolio as a fraction of its value, from the parameters published last.

    Where pockets are isolated it is what opening the portfolio would reserve.

    Args:
        market: the market.
        lots: int64[C], signed.
    """
    isolated = market.margin.layout == "isolated"
    view = _view(market, np.zeros_like(lots) if isolated else lots, buying=lots if isolated else None)
    answer = market.margin.requirement(view, market.risk_parameters(initial=True))
    margin = float(answer.initial[0]) / float(view.account_notional(np.abs(lots)[None, :]).sum())
    return round(margin, DECIMALS)


def _view(market: Market, lots: Ints, buying: Ints | None = None) -> PortfolioView:
    """One account with this portfolio, bought at the mark."""
    count = len(lots)
    none = np.zeros((1, count), np.int64)
    features = market.state.features.shape[1] == len(market.state.accounts)
    view = PortfolioView(
        contracts=market.contract_table,
        mark=market.state.quotes["mark"].copy(),
        lots=lots[None, :].copy(),
        cost=none.copy(),
        cash=np.concatenate([np.full((1, 1), _WEALTH, np.int64), none], axis=1),
        open_buy=none.copy() if buying is None else buying[None, :].copy(),
        open_sell=none.copy(),
        loss_buy=none.copy(),
        loss_sell=none.copy(),
        wallets=np.concatenate([np.full((1, 1), _WEALTH), np.zeros((1, market.state.wallets.shape[1] - 1))], axis=1)
        .astype(np.int64),
        conversion=market.state.conversion.copy(),
        haircut=market.state.haircut.copy(),
        features={name: np.zeros(1) for name in s.FEATURE_NAMES} if features else {},
    )  # fmt: skip
    view.cost = view.value()
    return view


def leveraged(market: Market) -> tuple[float, float]:
    """What leveraged traders could meet calls with, and what they hold.

    A trader is leveraged who holds positions worth more than his equity, and is not exempt from calls.

    Returns:
        Liquid assets, minor units: equity less the initial requirement of positions, not below zero, and cash outside
        the exchange; and the value of positions at mark, minor units.
    """
    state = market.state
    traders = int(state.meta[s.M_TRADERS])
    rows = state.accounts[:traders]
    if not ((rows["exempt"] == 0) & (rows["positions"] > 0)).any():
        return 0.0, 0.0
    view = portfolio_view(market)
    view.open_buy[:], view.open_sell[:], view.loss_buy[:], view.loss_sell[:] = 0, 0, 0, 0
    equity = view.equity()[:traders]
    held = view.account_notional(view.lots)[:traders].sum(axis=1)
    chosen = (rows["exempt"] == 0) & (held > np.maximum(equity, 0))
    if market.margin.layout == "isolated":
        needed = state.positions["pocket"][:traders].sum(axis=1)
    else:
        needed = market.margin.requirement(view, market.risk_parameters(initial=True)).initial[:traders]
    liquid = np.maximum(equity - needed, 0) + rows["outside"]
    return float(liquid[chosen].sum()), float(held[chosen].sum())


@dataclass
class Samples:
    """A market looked at every so many steps.

    Attributes:
        lots: the unit portfolio.
        step: completed steps.
        margin: of the unit, fraction of value.
        log_price: log of the unit's price: the mean over its contracts of log marks.
        liquid: liquid assets of leveraged traders, minor units.
        held: value of their positions, minor units.
    """

    lots: Ints
    step: list[int] = field(default_factory=list)
    margin: list[float] = field(default_factory=list)
    log_price: list[float] = field(default_factory=list)
    liquid: list[float] = field(default_factory=list)
    held: list[float] = field(default_factory=list)

    def take(self, market: Market, *, liquid: bool = True) -> None:
        """Look once."""
        self.step.append(int(market.tick))
        self.margin.append(unit_margin(market, self.lots))
        chosen = self.lots != 0
        self.log_price.append(float(np.log(market.state.quotes["mark"][chosen] / s.SUBTICKS).mean()))
        if liquid:
            liquid_assets, value = leveraged(market)
            self.liquid.append(liquid_assets)
            self.held.append(value)

    def along(self, market: Market, until: int, every: int, total: int, **options: Any) -> None:
        """Look now, and after every ``every`` steps up to a step; the market is advanced.

        Args:
            market: the market.
            until: step to end at.
            every: steps between looks.
            total: steps of the run, for whoever listens to progress.
            options: ``check`` for :func:`experiments.run.advance`, ``liquid`` for :meth:`take`.
        """
        from experiments import run

        check = bool(options.pop("check", False))
        self.take(market, **options)
        while market.tick < until:
            run.advance(market, min(market.tick + every, until), total, check=check)
            if (market.tick - self.step[0]) % every == 0:
                self.take(market, **options)
