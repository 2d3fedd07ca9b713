"""Composed regimes with add-ons: the rule, and the explanation of one order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from margin.addon_parameters import AddonParameters, FeatureParameters
from margin.addons import PARTS, addons_at, initial_addons, value_of
from margin.durations import in_steps, in_whole_steps
from margin.forecast import expected_variance
from margin.kernels import addons as kernels
from margin.kernels import features as feature_kernels
from margin.kernels.addon_columns import (
    A_ENTRY,
    FEATURE_COUNT,
    MAP_HALF,
    N_MAP_MARK,
    N_SIGMA,
    N_SPREAD,
    N_VOLUME,
    ON_BOTH,
    ON_INITIAL,
    ON_MAINTENANCE,
    Q_BAND,
    Q_BEHAVIOUR_CAP,
    Q_BEHAVIOUR_ON,
    Q_BUCKET,
    Q_CAP,
    Q_CROWDING,
    Q_CROWDING_ON,
    Q_DAYS,
    Q_DRIFT,
    Q_DRIFT_ON,
    Q_ENTRY,
    Q_FLOORS,
    Q_FULL,
    Q_IMPACT,
    Q_LIQUIDITY_ON,
    Q_SIGMA,
    Q_SKEW,
    Q_SKEW_LOTS,
    Q_SKEW_ON,
    Q_SKEW_SHARE,
    Q_SPREAD,
    Q_THRESHOLD,
    Q_THRESHOLD_ON,
    Q_TRACKED,
    Q_UPDATE,
    Q_VOLUME,
    Q_WEIGHT_NEW,
    Q_WEIGHTS,
    REFERENCE_LOTS,
)
from margin.kernels.columns import P_FACTOR, P_RATES, P_SAMPLE, VOLATILITY
from margin.model import ComposedRule, Netting, Rates
from margin.netting import charge, charges, cross, isolated, scenarios
from margin.parameters import per_contract
from sim.contracts import ContractTable, rate_to_units
from sim.errors import ConfigError
from sim.interfaces import MarketView, ModelState, PortfolioView, Requirement, RiskParameters
from sim.kernels import state as s
from sim.kernels.realmath import power

_KERNELS = {
    "cross": kernels.cross_with_addons,
    "isolated": kernels.isolated_with_addons,
    "scenarios": kernels.scenarios_with_addons,
}
_DEFINITIONS = {"cross": cross, "isolated": isolated, "scenarios": scenarios}
_ON = {"initial": ON_INITIAL, "maintenance": ON_MAINTENANCE, "both": ON_BOTH}
_TABLES = ("liquidity", "drift", "skew", "concentration_ratio", "crowding", "behaviour")


@dataclass(slots=True)
class OrderMargin:
    """What one order changes in its account's initial margin.

    Attributes:
        before: initial margin before the order, minor units.
        after: initial margin with the order reserved.
        equity: of the account, minor units.
        parts: what the order adds, by part; they sum to ``after - before`` exactly. ``predictive`` is the regime's
            calculated rate, ``anti_procyclicality`` what overlays and cap change.
    """

    before: int
    after: int
    equity: int
    parts: dict[str, int]

    @property
    def accepted(self) -> bool:
        """Whether the order passes the margin check: enough equity, or a shortfall that does not grow."""
        return self.after <= max(self.equity, self.before)


def write_addons(addons: AddonParameters, contracts: ContractTable, entry_ratio: float) -> NDArray[np.float64]:
    """The columns of ``addon_params``, float64[C, ADDON_PARAMS].

    Args:
        addons: the parameters.
        contracts: the contract table.
        entry_ratio: maintenance over initial where maintenance goes by the rate at entry, else 0.

    Raises:
        ConfigError: a number by contract names a contract that does not exist.
    """
    names, lot = contracts.names, contracts.lot_size
    table = np.zeros((len(names), s.ADDON_PARAMS))

    def each(key: str, value: Any) -> NDArray[np.float64]:
        return per_contract(f"addons.{key}", value, names)

    update = in_whole_steps(addons.update_interval, contracts)
    table[:, Q_TRACKED] = addons.behaviour is not None
    table[:, Q_UPDATE] = update
    table[:, Q_WEIGHT_NEW] = 1.0 - power(0.5, update / in_steps(addons.half_life, contracts))
    table[:, Q_DAYS] = update / contracts.steps_per_day
    table[:, Q_CAP] = rate_to_units(addons.cap)
    table[:, Q_ENTRY] = rate_to_units(entry_ratio) if entry_ratio > 0 else 0
    if addons.daily_volatility is not None:
        table[:, Q_SIGMA] = each("daily_volatility", addons.daily_volatility)
    if addons.daily_volume is not None:
        table[:, Q_VOLUME] = np.floor(each("daily_volume", addons.daily_volume) / lot + 0.5)
    table[:, Q_BUCKET] = contracts.underlying
    if addons.liquidity is not None:
        table[:, Q_LIQUIDITY_ON] = _ON[addons.liquidity.on]
        table[:, Q_SPREAD] = -1.0 if addons.liquidity.spread is None else addons.liquidity.spread / 2.0
        table[:, Q_IMPACT] = addons.liquidity.impact * 2.0 / 3.0
    if addons.drift is not None:
        table[:, Q_DRIFT_ON] = _ON[addons.drift.on]
        table[:, Q_DRIFT] = each("drift.imf", addons.drift.imf) * np.sqrt(REFERENCE_LOTS * lot)
    if addons.skew is not None:
        table[:, Q_SKEW_ON] = _ON[addons.skew.on]
        table[:, Q_SKEW] = each("skew.slope", addons.skew.slope)
        table[:, Q_SKEW_LOTS] = np.floor(each("skew.skew_scale", addons.skew.skew_scale) / lot + 0.5)
        table[:, Q_SKEW_SHARE] = addons.skew.maintenance_ratio
    if addons.concentration_ratio is not None:
        table[:, Q_THRESHOLD_ON] = _ON[addons.concentration_ratio.on]
        threshold = each("concentration_ratio.threshold", addons.concentration_ratio.threshold)
        table[:, Q_THRESHOLD] = np.floor(threshold * contracts.minor[0] + 0.5)
    if addons.crowding is not None:
        table[:, Q_CROWDING_ON] = _ON[addons.crowding.on]
        table[:, Q_CROWDING], table[:, Q_BAND] = addons.crowding.impact, addons.crowding.band
    table[:, Q_FULL : Q_FULL + FEATURE_COUNT] = 1.0
    if addons.behaviour is not None:
        table[:, Q_BEHAVIOUR_ON] = _ON[addons.behaviour.on]
        table[:, Q_BEHAVIOUR_CAP] = rate_to_units(addons.behaviour.cap)
        for k, name in enumerate(s.FEATURE_NAMES):
            feature: FeatureParameters | None = getattr(addons.behaviour, name)
            if feature is not None:
                table[:, Q_WEIGHTS + k] = rate_to_units(feature.weight) if feature.weight > 0 else 0
                table[:, Q_FLOORS + k], table[:, Q_FULL + k] = feature.none, feature.full
    return table


def behaviour_rates(params: NDArray[np.float64], features: dict[str, np.ndarray], accounts: int) -> NDArray[np.int64]:
    """Behaviour rate of every account, int64[A] in 2**-32: the readable form of the compiled one.

    Args:
        params: float64[ADDON_PARAMS].
        features: float64[A] by name; a feature that is not given counts as nothing.
        accounts: A.
    """
    total = np.zeros(accounts)
    for k, name in enumerate(s.FEATURE_NAMES):
        value, none = np.asarray(features.get(name, np.zeros(accounts)), float), params[Q_FLOORS + k]
        part = np.clip((value - none) / (params[Q_FULL + k] - none), 0.0, 1.0)
        total += np.floor(params[Q_WEIGHTS + k] * part + 0.5)
    return np.minimum(total, params[Q_BEHAVIOUR_CAP]).astype(np.int64)


class AddonRule(ComposedRule):
    """A composition with add-ons, fully compiled in the market.

    Args:
        name: registered name.
        rates: ``"fixed"``, ``"volatility"`` or ``"forecast"``.
        netting: ``"cross"``, ``"isolated"`` or ``"scenarios"``.
        params: parameters of :func:`margin.model.parameters_of`, ``addons`` among them.

    Raises:
        ConfigError: parameters that do not fit together.
    """

    features = True

    def __init__(self, name: str, rates: Rates, netting: Netting, params: dict[str, Any]) -> None:
        """Check what the parameter models alone cannot."""
        super().__init__(name, rates, netting, params)
        self.publish_kernel = feature_kernels.publish_with_addons
        self.requirement_kernel = _KERNELS[netting]
        self.addons: AddonParameters = self.params.addons
        needed = self.addons.liquidity is not None or self.addons.crowding is not None
        if rates == "fixed" and needed and self.addons.daily_volatility is None:
            allowed = "a volatility, since fixed rates forecast none"
            raise ConfigError.of("margin.params.addons.daily_volatility", None, allowed)
        self.at_entry = self.addons.maintenance_at == "entry"
        if self.at_entry and netting == "scenarios":
            allowed = '"published" where positions are netted on a scenario grid'
            raise ConfigError.of("margin.params.addons.maintenance_at", "entry", allowed)
        tables = [getattr(self.addons, key) for key in _TABLES]
        raised = any(table is not None and table.on != "initial" for table in tables)
        self.index_valid = self.index_valid and not raised and not self.at_entry

    def init(self, contracts: ContractTable) -> ModelState:
        """The arrays of the composition, and ``addons``, float64[C, ADDON_PARAMS].

        Raises:
            ConfigError: a contract settles in another currency than the account's.
        """
        if contracts.currency.any():
            foreign = [name for name, currency in zip(contracts.names, contracts.currency, strict=True) if currency]
            allowed = f"contracts that settle in the account currency ({contracts.currencies[0]}) with add-ons"
            raise ConfigError.of("contracts", foreign, allowed)
        memory = super().init(contracts)
        ratio = float(getattr(self.params, "maintenance_ratio", 0.0))
        if self.at_entry and ratio == 0.0:
            ratio = float(memory["params"][0, 2] / memory["params"][0, 1])
        return memory | {"addons": write_addons(self.addons, contracts, ratio if self.at_entry else 0.0)}

    @property
    def observe_kernel(self) -> Any:
        """None: the publisher of add-ons renews the features itself."""
        return None

    # -- in a market -------------------------------------------------------------------------------------------------

    def install(self, state: s.State, slot: int, memory: ModelState) -> None:
        """Write the parameters of the add-ons where the compiled publisher looks."""
        feature_kernels.install(state, slot, memory["addons"])

    def risk_arrays(self, state: s.State, row: int) -> dict[str, np.ndarray]:
        """What the add-ons go by in a market, as :meth:`requirement` reads it."""
        arrays = {
            "addons": state.addon_coefficients[row].copy(),
            "liquidation_map": state.liquidation_map.copy(),
            "map_own": state.map_own.copy(),
            "entry_rate": state.entry_rate[0].copy(),
            "addon_params": state.addon_params[0].copy(),
        }
        return arrays | self._calculated(state.model_params[0], state.model_state[0], float(state.model_scale[0]))

    # -- as a definition ---------------------------------------------------------------------------------------------

    def _calculated(self, params: np.ndarray, memory: np.ndarray, scale: float) -> dict[str, np.ndarray]:
        """Initial rates before overlays, where overlays can change them."""
        if params[0, P_RATES] != VOLATILITY or self.netting == "scenarios":
            return {}
        rate = params[:, P_FACTOR] * np.sqrt(expected_variance(params, memory))
        units = np.floor(np.minimum(np.floor(rate * s.RATE_ONE + 0.5), s.RATE_ONE) * scale + 0.5)
        return {"rate_calculated": np.clip(units, 1, s.RATE_ONE).astype(np.int64)}

    def publish(self, market: MarketView, state: ModelState) -> tuple[RiskParameters, ModelState]:
        """Rates of the composition, and the integers of the add-ons from what the market shows."""
        risk, after = super().publish(market, state)
        params, count = state["addons"], len(state["addons"])
        memory = np.zeros((count, s.ADDON_MEMORY))
        sigma = params[:, Q_SIGMA].copy()
        rates = state["params"]
        if rates[0, P_RATES] == VOLATILITY:
            per_day = market.contracts.steps_per_day / rates[:, P_SAMPLE]  # type: ignore[attr-defined]
            sigma = np.where(sigma > 0, sigma, np.sqrt(expected_variance(rates, after["state"]) * per_day))
        stated = getattr(market, "daily_volatility", None)
        if stated is not None:
            sigma = np.where(np.isfinite(stated), stated, sigma)
        memory[:, N_SIGMA] = sigma
        memory[:, N_VOLUME] = np.floor(np.maximum(np.asarray(market.volume, float), params[:, Q_VOLUME]))
        memory[:, N_SPREAD] = _half_spread(market)
        memory[:, N_MAP_MARK] = np.asarray(market.mark)
        coefficients = np.zeros((count, 2, s.ADDON_COEFFICIENTS), np.int64)
        for c in range(count):
            feature_kernels.coefficients_of(params[c], memory[c], 1.0, coefficients[c])
        risk.arrays |= {
            "addons": coefficients,
            "addon_params": params,
            "liquidation_map": self._stated_map(market, count),
            **self._calculated(rates, after["state"], 1.0),
        }
        return risk, after

    def _stated_map(self, market: MarketView, count: int) -> np.ndarray:
        """The liquidation map of the parameters, int64[C, 2, MAP_BUCKETS + 1]."""
        totals = np.zeros((count, 2, s.MAP_BUCKETS + 1), np.int64)
        stated = (self.addons.crowding.liquidation_map if self.addons.crowding is not None else None) or {}
        contracts: ContractTable = market.contracts  # type: ignore[attr-defined]
        for name, rows in stated.items():
            if name not in contracts.names:
                allowed = "one of " + ", ".join(contracts.names)
                raise ConfigError.of("margin.params.addons.crowding.liquidation_map", name, allowed)
            c = contracts.names.index(name)
            mark = int(market.mark[c]) / s.SUBTICKS * float(contracts.tick_size[c])
            for price, size in rows:
                bucket = int(np.floor(price / mark * MAP_HALF))
                if 0 <= bucket < s.MAP_BUCKETS:
                    lots = round(abs(size) / float(contracts.lot_size[c]))
                    totals[c, 0 if size > 0 else 1, bucket + 1] += lots
        return np.cumsum(totals, axis=2)

    def requirement(self, portfolio: PortfolioView, risk: RiskParameters) -> Requirement:
        """Requirements of all accounts with every part, minor units."""
        base = _DEFINITIONS[self.netting](portfolio, risk)
        pockets = self.netting == "isolated"
        accounts = len(portfolio.lots)
        behaviour = behaviour_rates(risk.arrays["addon_params"][0], portfolio.features, accounts)
        added = initial_addons(portfolio, risk, behaviour, pockets)
        parts = dict(base.parts)
        if "rate_calculated" in risk.arrays:
            plain = _DEFINITIONS[self.netting](portfolio, replace(risk, rate_initial=risk.arrays["rate_calculated"]))
            parts = plain.parts | {"anti_procyclicality": base.initial - plain.initial}
        parts |= {name: amount.sum(axis=1) for name, amount in added.items()}
        kept = self._entry_maintenance(portfolio, risk)
        held = addons_at(portfolio, risk, s.MAINTENANCE, portfolio.lots, behaviour, pockets)
        positions = base.maintenance if kept is None else kept.sum(axis=1)
        maintenance_parts = {"positions": positions} | {name: amount.sum(axis=1) for name, amount in held.items()}
        answer = Requirement(
            initial=base.initial + np.sum(list(added.values()), axis=(0, 2)),
            maintenance=positions + np.sum(list(held.values()), axis=(0, 2)),
            parts=parts,
            maintenance_parts=maintenance_parts,
            equity_excluded=base.equity_excluded,
            scenario_loss=base.scenario_loss,
            scenario_names=base.scenario_names,
        )
        if pockets:
            assert base.initial_positions is not None
            assert base.maintenance_positions is not None
            answer.initial_positions = base.initial_positions + sum(added.values())
            own = base.maintenance_positions if kept is None else kept
            answer.maintenance_positions = own + sum(held.values())
        return answer

    def _entry_maintenance(self, portfolio: PortfolioView, risk: RiskParameters) -> np.ndarray | None:
        """Maintenance of each position at the rate at which it was accepted, or None where the published rate holds.

        ``V x ceil(ratio x rate at acceptance)``. In a portfolio file the feature ``entry_rate`` states that rate, one
        for all positions; without it they count as accepted now.
        """
        ratio = risk.arrays["addons"][:, s.MAINTENANCE, A_ENTRY]
        if ratio[0] == 0:
            return None
        entry = risk.arrays.get("entry_rate")
        if entry is not None:
            entry = entry[: len(portfolio.lots)]
        if entry is None and "entry_rate" in portfolio.features:
            entry = np.rint(portfolio.features["entry_rate"][:, None] * s.RATE_ONE) * np.ones(portfolio.lots.shape)
            entry = np.clip(entry, 0, s.RATE_ONE).astype(np.int64)
        if entry is None:
            entry = np.zeros(portfolio.lots.shape, np.int64)
        rate = np.maximum(charge(entry, np.broadcast_to(ratio, entry.shape)), 1)
        rate = np.where(entry > 0, rate, risk.rate_maintenance)
        kept = charge(np.abs(value_of(portfolio, portfolio.lots)), rate)
        option = portfolio.contracts.is_option
        if option.any():
            kept[:, option] = portfolio.account_loss(charges(portfolio, risk, s.MAINTENANCE, portfolio.lots))[:, option]
        return kept

    def explain(self, portfolio: PortfolioView, risk: RiskParameters) -> Requirement:
        """The same as :meth:`requirement`."""
        return self.requirement(portfolio, risk)

    def explain_order(
        self, portfolio: PortfolioView, risk: RiskParameters, account: int, contract: int, lots: int,
        price: int | None = None,
    ) -> OrderMargin:  # fmt: skip
        """What an order adds to its account's initial margin, part by part.

        Args:
            portfolio: every account's portfolio.
            risk: the parameters that bind new orders.
            account: row of the account.
            contract: contract number.
            lots: signed; negative sells.
            price: limit in ticks; None for the mark.

        Raises:
            ConfigError: no such account or contract, or no lots.
        """
        if not 0 <= account < len(portfolio.lots):
            raise ConfigError.of("account", account, f"0 to {len(portfolio.lots) - 1}")
        if not 0 <= contract < portfolio.lots.shape[1]:
            raise ConfigError.of("contract", contract, f"0 to {portfolio.lots.shape[1] - 1}")
        if lots == 0:
            raise ConfigError.of("lots", lots, "a whole number other than 0")
        before = self.explain(portfolio, risk)
        side = "buy" if lots > 0 else "sell"
        opened, losses = getattr(portfolio, f"open_{side}").copy(), getattr(portfolio, f"loss_{side}").copy()
        opened[account, contract] += abs(lots)
        losses[account, contract] += _own_loss(portfolio, contract, lots, price)
        after = self.explain(replace(portfolio, **{f"open_{side}": opened, f"loss_{side}": losses}), risk)
        change = {name: int(after.parts[name][account] - before.parts[name][account]) for name in after.parts}
        parts = {"predictive": change.pop("positions") + change.pop("open_orders")}
        parts |= {name: change.pop(name) for name in PARTS}
        parts["anti_procyclicality"] = sum(change.values())
        return OrderMargin(
            before=int(before.initial[account]),
            after=int(after.initial[account]),
            equity=int(portfolio.equity()[account]),
            parts=parts,
        )


def _half_spread(market: MarketView) -> np.ndarray:
    """Half the spread over the price, float64[C]; nothing where a side of the book is empty."""
    stated = getattr(market, "spread", None)
    if stated is not None:
        contracts: ContractTable = market.contracts  # type: ignore[attr-defined]
        return np.asarray(stated) / 2.0 / (np.asarray(market.mark) / s.SUBTICKS * contracts.tick_size)
    bid, ask = np.asarray(market.bid), np.asarray(market.ask)
    return np.where((bid > 0) & (ask > 0), (ask - bid) / np.maximum(ask + bid, 1), 0.0)


def _own_loss(portfolio: PortfolioView, contract: int, lots: int, price: int | None) -> int:
    """Loss of a fill at the limit against the mark, rounded up per lot as at admission; never negative."""
    if price is None:
        return 0
    mark, tick_value = int(portfolio.mark[contract]), int(portfolio.contracts.tick_value[contract])
    side = 1 if lots > 0 else -1
    gap = side * (price * s.SUBTICKS - mark)
    if gap <= 0:
        return 0
    if portfolio.contracts.inverse[contract]:
        coins = abs(lots) * tick_value * s.SUBTICKS
        return -(-coins * gap // (mark * price * s.SUBTICKS))
    return abs(lots) * ((gap * tick_value + 15) >> 4)
