"""The calculator: what a portfolio must hold under a regime, part by part, and where it would be liquidated.

It asks the very rule objects that the market asks, once, at the marks of a portfolio file::

    from margin.calculator import calculate

    result = calculate("portfolio.toml", regime="static", params={"initial": 0.1, "maintenance": 0.05})
    result.initial, result.maintenance, result.positions[0].liquidation_price
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from margin import registry
from margin.evaluation import alone, evaluate, orders_reserve, prepared
from margin.liquidation_search import Solution, UnderlyingPrices, solve
from margin.portfolio import ContractTerms, Portfolio, load
from sim.errors import ConfigError, Problem

_LARGEST_LEVERAGE = 1e6  # none chosen: what the regime allows
_START = ("initial_rate", "initial_volatility", "calibrate")


@dataclass(frozen=True, slots=True)
class PositionResult:
    """One position.

    Attributes:
        contract: name.
        kind: of contract.
        underlying: name.
        currency: settlement currency, of ``value``, ``profit`` and ``margin``.
        size: signed number of contracts.
        entry: average entry price.
        mark: mark price.
        value: at mark, signed like the position.
        profit: unrealised, against the entry price.
        initial: initial requirement of the position alone, account currency.
        maintenance: maintenance requirement of the position alone, account currency.
        margin: cash in the pocket of an isolated position, None when cross.
        leverage: value over what backs it (pocket plus profit, or the account's equity); None without equity.
        liquidation_price: price, on the side where the position loses, at which its account (cross) or pocket
            (isolated) has no more than its maintenance; a contract's own mark, for options the underlying's price;
            None if there is no such price.
        bankruptcy_price: the same for equity zero.
    """

    contract: str
    kind: str
    underlying: str
    currency: str
    size: float
    entry: float
    mark: float
    value: float
    profit: float
    initial: float
    maintenance: float
    margin: float | None
    leverage: float | None
    liquidation_price: float | None
    bankruptcy_price: float | None


@dataclass(frozen=True, slots=True)
class OrderResult:
    """One open order; ``reserve`` is what the initial requirement would fall by without it, account currency."""

    contract: str
    side: str
    size: float
    price: float
    reserve: float


@dataclass(frozen=True, slots=True)
class CollateralResult:
    """Cash of one currency: amount in it; worth and what counts as margin in the account currency."""

    currency: str
    amount: float
    price: float
    value: float
    haircut: float
    counted: float


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """Loss of the positions in one scenario, account currency; negative is a gain. ``weight``: part that counts."""

    name: str
    loss: float
    weight: float


@dataclass(frozen=True, slots=True)
class Result:
    """What a portfolio must hold. Money in units of the account currency.

    Attributes:
        regime: its name.
        summary: of the regime.
        params: as used.
        currency: of the account.
        layout: ``"cross"`` or ``"isolated"``.
        mm_basis: maintenance at ``"mark"`` or ``"entry"``.
        equity: cash, pockets, unrealised profit, options and coins at market value.
        margin_equity: equity less haircuts and less ``equity_excluded``: what stands against the requirements.
        equity_excluded: what the rule leaves out of equity: the value of options where premium is part of the
            requirement, unsettled profit where it is part of the exposure; negative where leaving out a debt adds.
        initial: initial requirement, open orders included; isolated: of positions at mark and of orders.
        maintenance: maintenance requirement.
        excess: margin equity less initial.
        maintenance_excess: margin equity less maintenance.
        leverage: gross value of positions over equity; None without equity.
        parts: sum to ``initial``.
        maintenance_parts: sum to ``maintenance``.
        positions: one by one.
        orders: one by one.
        collateral: by currency.
        underlyings: prices of each underlying at which the account (cross) is liquidated or bankrupt, all else held.
        scenarios: loss per scenario, for rules with a grid.
        minor_units: minor units per unit of the account currency, and the requirements in them, as the rule gave them.
        notes: what a reader should know about these numbers.
    """

    regime: str
    summary: str
    params: dict[str, Any]
    currency: str
    layout: str
    mm_basis: str
    equity: float
    margin_equity: float
    equity_excluded: float
    initial: float
    maintenance: float
    excess: float
    maintenance_excess: float
    leverage: float | None
    parts: dict[str, float]
    maintenance_parts: dict[str, float]
    positions: tuple[PositionResult, ...]
    orders: tuple[OrderResult, ...] = ()
    collateral: tuple[CollateralResult, ...] = ()
    underlyings: dict[str, UnderlyingPrices] = field(default_factory=dict)
    scenarios: tuple[ScenarioResult, ...] = ()
    minor_units: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain dicts, lists, numbers and texts, fit for JSON."""
        return asdict(self)


def calculate(
    portfolio: Portfolio | Mapping[str, Any] | str | Path,
    regime: str | None = None,
    params: Mapping[str, Any] | None = None,
    *,
    file: str = "",
) -> Result:
    """Requirements, equity, liquidation prices and every part of a portfolio under a margin regime.

    The regime publishes once, at the marks of the portfolio. A regime whose rates follow volatility starts from the
    ``daily_volatility`` (or the root mean square of the ``returns``) of the underlyings where they give one and the
    parameters name no start; nothing is simulated before.

    Args:
        portfolio: a file, a dict of the same shape (docs/calculator.md), or a :class:`margin.portfolio.Portfolio`.
        regime: name; default the one that the portfolio names.
        params: parameters of the regime, on top of the portfolio's (which hold for the regime that it names only).
        file: what messages call the portfolio, if it is not a path.

    Raises:
        ConfigError: with every problem, naming file, key, value and what is allowed.

    Examples:
        >>> result = calculate(
        ...     {
        ...         "underlyings": [{"name": "BTC", "price": 20_000}],
        ...         "contracts": [{"name": "BTC-PERP", "underlying": "BTC"}],
        ...         "positions": [{"contract": "BTC-PERP", "size": 1, "leverage": 50}],
        ...     },
        ...     regime="isolated",
        ...     params={"initial": 0.02, "maintenance": 0.005},
        ... )
        >>> round(result.maintenance, 4), round(result.positions[0].liquidation_price, 2)
        (100.0, 19698.49)
    """
    file = str(portfolio) if isinstance(portfolio, str | Path) else file
    loaded = load(portfolio)
    name = regime or loaded.regime
    try:
        if name is None:
            raise ConfigError.of("regime", None, "one of " + ", ".join(sorted(registry.regimes())))
        return _Calculation(loaded, name, regime, dict(params or {})).result()
    except ConfigError as error:
        raise ConfigError(_located(error, file, "--regime" if regime else "regime")) from error


def _located(error: ConfigError, file: str, regime_key: str) -> list[Problem]:
    """Problems of rules under the keys of a portfolio file."""
    found = []
    for problem in error.problems:
        key = problem.key.removeprefix("margin.")
        key = regime_key if key == "regime" else key
        found.append(Problem(problem.file or file, key, problem.value, problem.allowed))
    return found


class _Calculation:
    """The steps from a portfolio to a :class:`Result`."""

    def __init__(self, portfolio: Portfolio, name: str, asked: str | None, params: dict[str, Any]) -> None:
        self.notes: list[str] = []
        own = portfolio.params if asked is None or asked == portfolio.regime else {}
        if portfolio.params and not own:
            self.notes.append(f"the file's params belong to {portfolio.regime} and are left aside")
        self.name = name
        known = registry.regimes()
        if name not in known:
            raise ConfigError.of("margin.regime", name, "one of " + ", ".join(sorted(known)))
        self.summary = known[name]
        given = own | params
        portfolio.snapshot()  # what is wrong with the portfolio is told before what is wrong with the regime
        model = registry.params_model(name)
        fields = set(model.model_fields) if model is not None else set()
        self.rule = registry.create(
            name, self._start(portfolio, given, fields) | self._leverage(portfolio, given, fields) | given
        )
        self.portfolio = prepared(portfolio, self.rule)
        self.now = evaluate(self.portfolio, self.rule)

    def _start(self, portfolio: Portfolio, given: Mapping[str, Any], fields: set[str]) -> dict[str, Any]:
        """Where volatility starts, from the portfolio, if the regime wants to know and nobody said."""
        if "initial_volatility" not in fields or any(key in given for key in _START):
            return {}
        market = portfolio.snapshot().market
        if np.isnan(market.daily_volatility).any():
            self.notes.append(
                "rates stand at the regime's own start; daily_volatility or returns of every underlying would set them"
            )
            return {}
        self.notes.append("volatility starts at that of the underlyings (daily_volatility, or root mean square return)")
        names = (one.name for one in portfolio.contracts)
        return {"initial_volatility": dict(zip(names, market.daily_volatility.tolist(), strict=True))}

    def _leverage(self, portfolio: Portfolio, given: Mapping[str, Any], fields: set[str]) -> dict[str, Any]:
        """Leverage that positions choose, for a regime whose initial rate depends on it."""
        chosen = {row.contract: float(row.leverage) for row in portfolio.positions if row.leverage is not None}
        if "leverage" not in fields or "leverage" in given or not chosen:
            return {}
        return {"leverage": {one.name: chosen.get(one.name, _LARGEST_LEVERAGE) for one in portfolio.contracts}}

    def result(self) -> Result:
        now, portfolio = self.now, self.portfolio
        if now.isolated:
            initial_alone, maintenance_alone = now.position_initial, now.position_maintenance
            self.notes.append("each pocket margins its own position; the wallet beside reserves for open orders only")
        else:
            initial_alone, maintenance_alone = alone(now)
        prices = solve(now)
        positions = tuple(
            self._position(row.contract, place, initial_alone, maintenance_alone, prices)
            for place, row in enumerate(portfolio.positions)
        )
        gross = sum(abs(now.value_in_account(now.number[one.contract])) for one in positions)
        reserves = orders_reserve(now)
        unit = now.snapshot.minor
        return Result(
            regime=self.name,
            summary=self.summary,
            params=_plain(getattr(self.rule, "parameters", {})),
            currency=portfolio.currency,
            layout="isolated" if now.isolated else "cross",
            mm_basis=portfolio.account.mm_basis,
            equity=float(now.equity),
            margin_equity=float(now.margin_equity),
            equity_excluded=float(now.equity_excluded),
            initial=float(now.initial),
            maintenance=float(now.maintenance),
            excess=float(now.margin_equity - now.initial),
            maintenance_excess=float(now.margin_equity - now.maintenance),
            leverage=float(gross / now.equity) if now.equity > 0 else None,
            parts={key: float(part) for key, part in now.parts.items()},
            maintenance_parts={key: float(part) for key, part in now.maintenance_parts.items()},
            positions=positions,
            orders=tuple(
                OrderResult(row.contract, row.side, float(row.size), float(row.price or 0), float(reserve))
                for row, reserve in zip(portfolio.orders, reserves, strict=True)
            ),
            collateral=self._collateral(),
            underlyings=prices.accounts,
            scenarios=tuple(ScenarioResult(name, float(loss), weight) for name, loss, weight in now.scenarios()),
            minor_units={
                "per_unit": unit, "initial": int(now.initial * unit), "maintenance": int(now.maintenance * unit),
            },
            notes=tuple(dict.fromkeys([*self.notes, *prices.notes])),
        )  # fmt: skip

    def _position(
        self,
        contract: str,
        place: int,
        initial: Mapping[int, Decimal],
        maintenance: Mapping[int, Decimal],
        prices: Solution,
    ) -> PositionResult:
        now, row = self.now, self.portfolio.positions[place]
        i = now.number[contract]
        terms: ContractTerms = self.portfolio.contracts[i]
        value, profit = now.value(i), now.profit(i, row)
        pocket = now.pocket(i) if now.isolated else None
        backing = pocket + profit if pocket is not None else now.equity
        size = abs(value) if pocket is not None else abs(now.value_in_account(i))
        liquidation, bankruptcy = prices.of(contract)
        assert row.entry is not None
        return PositionResult(
            contract=contract,
            kind=terms.kind,
            underlying=terms.underlying,
            currency=terms.currency,
            size=float(row.size),
            entry=float(row.entry),
            mark=now.mark(i),
            value=float(value),
            profit=float(profit),
            initial=float(initial[i]),
            maintenance=float(maintenance[i]),
            margin=float(pocket) if pocket is not None else None,
            leverage=float(size / backing) if backing > 0 else None,
            liquidation_price=liquidation,
            bankruptcy_price=bankruptcy,
        )

    def _collateral(self) -> tuple[CollateralResult, ...]:
        now, found = self.now, []
        for place, (name, price) in enumerate(zip(now.snapshot.contracts.currencies, now.snapshot.prices, strict=True)):
            if not any(row.currency == name for row in self.portfolio.collateral):
                continue
            amount = now.wallet(place)
            haircut = now.haircut(place)
            value = amount * price
            counted = value * (1 - haircut) if amount > 0 else value
            found.append(
                CollateralResult(name, float(amount), float(price), float(value), float(haircut), float(counted))
            )
        return tuple(found)


def _plain(value: Any) -> Any:
    """Parameters as JSON can hold them."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)
