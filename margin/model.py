"""Margin models: rates x netting x overlays, composed into the three questions that the exchange asks.

:class:`Rule` is what a user subclasses (a whole rule in twenty lines of NumPy); :class:`ComposedRule` is what the
presets are made of.
"""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, Field, ValidationError, create_model

from margin import batch, netting
from margin.addon_parameters import AddonParameters
from margin.calibration import SeriesParameters
from margin.collateral import CollateralParameters, haircuts
from margin.forecast import ForecastParameters, start_from_forecast
from margin.kernels.columns import (
    BY_SCENARIO,
    P_INITIAL,
    P_INITIAL_FACTOR,
    P_MAINTENANCE,
    P_NETTING,
    P_RATIO,
    P_VARIANCE,
    S_ANCHOR,
    S_INITIAL,
    S_MAINTENANCE,
    S_STARTED,
    S_VARIANCE,
)
from margin.kernels.open_interest import publish as _open_interest_kernel
from margin.kernels.publish import publish as _publish_kernel
from margin.kernels.requirement import cross as _cross_kernel
from margin.kernels.requirement import isolated as _isolated_kernel
from margin.kernels.requirement import scenarios as _scenarios_kernel
from margin.open_interest import OpenInterestParameters, initial_rates, write_open_interest
from margin.parameters import Parameters, config_error
from margin.rates import (
    FixedRateParameters,
    VolatilityParameters,
    feed,
    publish_rates,
    resolved,
    window_cells,
    write_first_window,
    write_rates,
)
from margin.scenarios import ScenarioParameters, factors, grid, joint_moves, with_options, write_scenarios
from margin.schedules import (
    ScheduleParameters,
    SizeParameters,
    StepParameters,
    TierParameters,
    require_one_currency,
    schedule_rows,
    schedule_tables,
    smallest_rates,
)
from sim.contracts import ContractTable
from sim.errors import ConfigError
from sim.interfaces import MarketView, ModelState, PortfolioView, Requirement, RiskParameters
from sim.kernels.state import MODEL_PARAMS, MODEL_STATE, State

Rates = Literal["fixed", "volatility", "forecast", "open_interest", "tiers", "steps", "size"]
Netting = Literal["cross", "collateral", "isolated", "scenarios"]

# Parameters that are tables of their own
NESTED: dict[str, type[BaseModel]] = {"calibrate": SeriesParameters, "addons": AddonParameters}

_RATES: dict[str, type[Parameters]] = {
    "fixed": FixedRateParameters,
    "volatility": VolatilityParameters,
    "forecast": ForecastParameters,
    "open_interest": OpenInterestParameters,
    "tiers": TierParameters,
    "steps": StepParameters,
    "size": SizeParameters,
}
_EXTRA: dict[str, type[Parameters]] = {"scenarios": ScenarioParameters, "collateral": CollateralParameters}
_KERNELS = {
    "cross": _cross_kernel,
    "collateral": _cross_kernel,
    "isolated": _isolated_kernel,
    "scenarios": _scenarios_kernel,
}
_BATCHES = {
    "cross": batch.cross,
    "collateral": batch.cross,
    "isolated": batch.isolated,
    "scenarios": netting.scenarios,
}
_DEFINITIONS = _BATCHES | {"cross": netting.cross, "collateral": netting.cross, "isolated": netting.isolated}


@cache
def parameters_of(rates: str, nets: str) -> type[Parameters]:
    """The parameter model of a composition; its JSON schema documents every key."""
    base = _RATES[rates]
    bases = (base, _EXTRA[nets]) if nets in _EXTRA else (base,)
    name = f"{base.__name__}With{nets.capitalize()}" if nets in _EXTRA else base.__name__
    addons: Any = (AddonParameters | None, Field(None, description="add-ons on top of the requirement"))
    return create_model(name, __base__=bases, addons=addons)


class Rule:
    """A margin rule with fixed rates and a cross pocket; subclass it and override ``requirement`` (or ``publish``).

    What is not overridden stays compiled. Parameters come from the ``Params`` model of the class, and stand in
    ``self.params``. The published rates also tell traders what leverage is possible, so set ``initial`` and
    ``maintenance`` near what the rule asks.

    Attributes:
        name: registered name.
        layout: ``"cross"`` (one wallet margins everything) or ``"isolated"`` (a pocket per position).
        params: the parameters, resolved.
        scenarios: number of scenarios of the grid, known after ``init``; 0 for rate rules.
        schedule_rows: rows per contract of the table of charges by size (:mod:`sim.kernels.schedule`); 1: flat rates.
        features: True to have accounts described: utilisation, liquidations, turnover, concentration and share of open
            interest in ``portfolio.features``, renewed every ten minutes and forgotten with a half-life of a day.
        index_valid: True when maintenance never exceeds one rate per contract, the same for all accounts.
        separable: True when an account's requirement does not depend on other accounts; in a market only accounts that
            have changed are then asked again. Rules of your own are asked for everyone unless they say so.
        revalues: True when what ``publish`` gives depends on nothing but prices, time and the state of risk that the
            view shows (volatility, past returns, spreads): with margins frozen it is valued on, that state kept.

    Examples:
        >>> class Flat(Rule):
        ...     def requirement(self, portfolio, risk):
        ...         held = np.abs(portfolio.lots).sum(axis=1)
        ...         return Requirement(initial=200 * held, maintenance=100 * held)
        >>> Flat.requirement_kernel is None and Flat.publish_kernel is not None
        True
    """

    name: str = ""
    layout: str = "cross"
    rates: ClassVar[Rates] = "fixed"
    netting: str = "cross"
    Params: ClassVar[type[Parameters]] = FixedRateParameters
    # a compiled function in a class would be bound like a method
    publish_kernel: Any = staticmethod(_publish_kernel)
    requirement_kernel: Any = staticmethod(_cross_kernel)
    index_valid: bool = True
    scenarios: int = 0
    schedule_rows: int = 1
    features: bool = False
    revalues: bool = False
    separable: bool = False
    contracts: ContractTable

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """A method that is overridden in Python puts its compiled form out of use."""
        super().__init_subclass__(**kwargs)
        own = cls.__dict__
        if "publish" in own or "init" in own:
            cls.publish_kernel = None
        if "requirement" in own:
            cls.requirement_kernel = None
            cls.index_valid = bool(own.get("index_valid", False))
        elif own.get("layout") == "isolated":
            cls.netting, cls.requirement_kernel = "isolated", staticmethod(_isolated_kernel)

    def __init__(self, **params: Any) -> None:
        try:
            self.params: Any = resolved(self.Params(**params))
        except ValidationError as error:
            raise config_error(error, self.Params, NESTED) from error

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters as run (calibrated ones included), fit to be stored and given to ``margin.create`` again."""
        return self.params.model_dump(mode="json", exclude_none=True)

    @property
    def follows_rates(self) -> bool:
        """True when every requirement grows in proportion with published rates and scenario profits.

        The margin multiplier of the circuit breakers acts on those, so it is refused to rules with charges by size,
        add-ons or a formula of their own. A user's rule is taken to read what it is handed.
        """
        own = type(self).requirement is not Rule.requirement and type(self).__module__.startswith("margin.")
        return self.schedule_rows == 1 and not self.features and not own

    @property
    def observe_kernel(self) -> Any:
        """Compiled function that renews the features of accounts each step, None where no one reads them."""
        if not self.features:
            return None
        from margin.kernels.features import observe

        return observe

    def freeze(self, state: State, slot: int) -> bool:
        """Keep the rates and add-ons that the compiled publisher gave last (a twin with margins frozen).

        Returns:
            Whether it could: False for a publisher that is not one of the built-in ones.
        """
        from margin.frozen import keep_rates

        return keep_rates(self.publish_kernel, state, slot)

    def install(self, state: State, slot: int, memory: ModelState) -> None:
        """Begin the description of accounts in a market's state (rules with ``features``)."""
        from margin.features import begin

        begin(state, slot)

    def take_over(self, state: State, slot: int) -> None:
        """Bring what was remembered of accounts in shadow into force (a fork)."""
        from margin.kernels.features import take_over

        take_over(state, slot)

    def risk_arrays(self, state: State, row: int) -> dict[str, np.ndarray]:
        """Integer arrays beyond rates and grid that the rule reads in a market; ``row`` of the ring is in force."""
        return {}

    def init(self, contracts: ContractTable) -> ModelState:
        """Arrays of the compiled publisher, and ``tick_value``, int64[C].

        ``params`` and ``state`` are float64[C, K]; ``window``, float64[C, cells], stands beside them where rates come
        from past returns. Charges by size add ``tiers``, int64[C, rows, 7], haircuts ``haircut`` and ``haircut_size``,
        int64[K].
        """
        self.contracts = contracts
        params = np.zeros((len(contracts.names), MODEL_PARAMS))
        memory = np.zeros((len(contracts.names), MODEL_STATE))
        found: ModelState = {"params": params, "state": memory, "tick_value": contracts.tick_value.copy()}
        if isinstance(self.params, ScheduleParameters):
            found["tiers"] = schedule_tables(self.params, contracts)
            require_one_currency(contracts)
            params[:, P_INITIAL], params[:, P_MAINTENANCE] = smallest_rates(found["tiers"])
        elif isinstance(self.params, OpenInterestParameters):
            write_open_interest(params, self.params, contracts)
            found["inverse"] = contracts.inverse
        else:
            write_rates(params, self.params, contracts)
        if isinstance(self.params, CollateralParameters):
            found |= haircuts(self.params, contracts)
        if isinstance(self.params, ScenarioParameters):
            if isinstance(self.params, (VolatilityParameters, ForecastParameters)):
                if self.params.overlays_on != "both":
                    allowed = '"both" where a scenario grid serves initial and maintenance'
                    raise ConfigError.of("margin.params.overlays_on", self.params.overlays_on, allowed)
                ratio = 1.0 / params[:, P_RATIO]
            else:
                ratio = params[:, P_INITIAL] / params[:, P_MAINTENANCE]
            self.scenarios = write_scenarios(params, self.params, contracts, ratio)
        memory[:, S_VARIANCE] = memory[:, S_ANCHOR] = params[:, P_VARIANCE]
        found["inverse"] = contracts.inverse.astype(np.int64)
        if self.window_cells(contracts):
            found["window"] = write_first_window(params, self.params)
        return found

    def window_cells(self, contracts: ContractTable) -> int:
        """Floats per contract that the rule keeps of past returns."""
        return window_cells(self.params, contracts)

    def publish(self, market: MarketView, state: ModelState) -> tuple[RiskParameters, ModelState]:
        """Risk parameters of the step being computed, and the memory after it."""
        params, memory = state["params"], state["state"].copy()
        window = state["window"].copy() if "window" in state else None
        if isinstance(self.params, ForecastParameters):
            start_from_forecast(params, memory, market)
        history: np.ndarray = getattr(market, "history", np.zeros((0, 0)))
        if window is not None and memory[0, S_STARTED] == 0.0 and len(history):
            feed(params, memory, window, history)  # the returns that a portfolio file gives
        publish_rates(params, memory, int(market.step), np.asarray(market.mark), window)
        if isinstance(self.params, OpenInterestParameters):
            memory[:, S_INITIAL] = initial_rates(params, market, state["tick_value"], state["inverse"])
        risk = RiskParameters(
            rate_initial=memory[:, S_INITIAL].astype(np.int64),
            rate_maintenance=memory[:, S_MAINTENANCE].astype(np.int64),
        )
        leader, _ = factors(self.contracts)  # options are charged by the rate of what they are about
        risk.rate_initial, risk.rate_maintenance = risk.rate_initial[leader], risk.rate_maintenance[leader]
        if "tiers" in state:
            risk.arrays["tiers"] = state["tiers"]
        if "haircut" in state:
            risk.haircut, risk.arrays["haircut_size"] = state["haircut"], state["haircut_size"]
        if params[0, P_NETTING] == BY_SCENARIO:
            moves, weight = joint_moves(params)
            mark = np.asarray(market.mark)
            profit = grid(moves, risk.rate_maintenance, mark, state["tick_value"], state["inverse"])
            risk.scenario_pnl = with_options(profit, params, moves, risk.rate_maintenance, self.contracts, market)
            risk.scenario_weight = weight
            risk.initial_factor = int(params[0, P_INITIAL_FACTOR])
        return risk, {**state, "state": memory} | ({} if window is None else {"window": window})

    def requirement(self, portfolio: PortfolioView, risk: RiskParameters) -> Requirement:
        """Requirements of all accounts, minor units."""
        return _BATCHES[self.netting](portfolio, risk)

    def explain(self, portfolio: PortfolioView, risk: RiskParameters) -> Requirement:
        """The same requirements to the unit, with every part and, where there is a grid, the loss per scenario.

        A rule whose :meth:`requirement` is compiled gives its readable definition here.
        """
        if type(self).requirement is not Rule.requirement:
            return self.requirement(portfolio, risk)
        return _DEFINITIONS[self.netting](portfolio, risk)


class ComposedRule(Rule):
    """A preset: rates, netting and overlays by name.

    Args:
        name: registered name.
        rates: ``"fixed"``, ``"volatility"``, ``"open_interest"``, ``"tiers"``, ``"steps"`` or ``"size"``.
        netting: ``"cross"``, ``"collateral"`` (cross, with haircuts), ``"isolated"`` or ``"scenarios"``.
        params: parameters of :func:`parameters_of`.
    """

    def __init__(self, name: str, rates: Rates, netting: Netting, params: dict[str, Any]) -> None:
        self.name = name
        self.netting = netting
        self.layout = "isolated" if netting == "isolated" else "cross"
        self.Params = parameters_of(rates, netting)  # type: ignore[misc]
        self.requirement_kernel = _KERNELS[netting]
        super().__init__(**params)
        if isinstance(self.params, ScheduleParameters):
            self.schedule_rows = schedule_rows(self.params)
        elif isinstance(self.params, OpenInterestParameters):
            self.publish_kernel = _open_interest_kernel
        # Netting only lowers what the published rates ask, so an account in breach would be in breach under rates too,
        # and the index by bankruptcy price at those rates finds every candidate; moves beyond the rates break that, and
        # so does a charge by size, which knows no one rate per contract.
        self.index_valid = (
            self.schedule_rows == 1
            if netting != "scenarios"
            else (max(self.params.moves) <= 1.0 and self.params.extreme_move * self.params.extreme_weight <= 1.0)
        )
