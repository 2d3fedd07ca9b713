"""Rates: how much one lot can lose. Fixed percentages, or quantile x volatility x square root of the horizon."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from margin.calibration import SeriesPerContract, calibrated
from margin.durations import Duration, in_steps, in_whole_steps
from margin.forecast import ForecastParameters, expected_variance, follow, write_forecast
from margin.kernels.columns import (
    FIXED,
    ON_INITIAL,
    ON_MAINTENANCE,
    P_ALPHA,
    P_BETA,
    P_FACTOR,
    P_INITIAL,
    P_MAINTENANCE,
    P_MEAN,
    P_OMEGA,
    P_OVERLAYS_ON,
    P_PRIOR,
    P_RATES,
    P_RATIO,
    P_SAMPLE,
    P_UPDATE,
    P_VARIANCE,
    S_INITIAL,
    S_LOG_MARK,
    S_MAINTENANCE,
    S_STARTED,
    S_STEP,
    VOLATILITY,
)
from margin.parameters import (
    NonNegativePerContract,
    Parameters,
    Positive,
    PositivePerContract,
    RatePerContract,
    at_least_everywhere,
    per_contract,
    units,
)
from margin.procyclicality import OverlayParameters, overlaid, to_units, write_overlays
from margin.volatility import half_life_of_decay, observe
from sim.contracts import ContractTable
from sim.errors import ConfigError
from sim.kernels.realmath import ln, normal_quantile, power

# Of each group a user gives at most one; giving one puts the preset's others aside.
EXCLUSIVE = (
    ("half_life", "decay"),
    ("confidence", "quantile"),
    ("initial_rate", "initial_volatility", "calibrate"),
    ("omega", "long_run_volatility", "calibrate"),
    ("floor", "floor_volatility"),
    ("offset", "correlation"),
)


_EWMA_ONLY = ("half_life", "decay", "initial_samples")
_GARCH_ONLY = ("alpha", "beta", "omega", "long_run_volatility")


def _within(defaults: Any, given: Any) -> Any:
    """What is given inside a table of tables, on top of the defaults in it."""
    if not isinstance(defaults, dict) or not isinstance(given, dict):
        return given
    return defaults | {key: _within(defaults.get(key), value) for key, value in given.items()}


def merged(defaults: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Parameters given on top of a preset's: giving one of a group puts the preset's others of that group aside."""
    aside = {name for group in EXCLUSIVE if any(key in given for key in group) for name in group}
    if given.get("estimator", defaults.get("estimator")) != defaults.get("estimator"):
        aside |= {*_EWMA_ONLY, *_GARCH_ONLY}
    if "calibrate" in given:
        aside |= set(_GARCH_ONLY)
    tables = {key: _within(defaults[key], given[key]) for key in ("addons",) if key in defaults and key in given}
    return {key: value for key, value in defaults.items() if key not in aside} | given | tables


class FixedRateParameters(Parameters):
    """Rates that never change."""

    initial: RatePerContract = Field(0.04, description="initial rate, common or by contract name")
    maintenance: RatePerContract = Field(0.02, description="maintenance rate, common or by contract name")

    @model_validator(mode="after")
    def _ordered(self) -> FixedRateParameters:
        if not at_least_everywhere(self.maintenance, self.initial):
            raise ValueError("a maintenance rate that is not above the initial rate")
        return self


class VolatilityParameters(OverlayParameters):
    """Rates that follow the volatility of the mark.

    The initial rate is ``quantile x sigma x sqrt(horizon / sample_interval)``, with sigma per square root of a sample.
    Returns are those of the mark between samples, so that the bounce between bid and ask does not count as volatility.
    """

    estimator: Literal["ewma", "garch"] = "ewma"
    half_life: Duration | None = Field(None, description="of the EWMA's weights")
    decay: float | None = Field(None, gt=0.0, lt=1.0, description="the EWMA's lambda per sample_interval")
    alpha: NonNegativePerContract | None = Field(None, description="GARCH: weight of the last squared return")
    beta: NonNegativePerContract | None = Field(None, description="GARCH: weight of the last variance")
    omega: NonNegativePerContract | None = Field(None, description="GARCH: constant, squared log return per sample")
    long_run_volatility: PositivePerContract | None = Field(
        None, description="GARCH: sets omega, per square root of a trading day"
    )
    sample_interval: Duration = Field("10min", description="time between samples of the mark")
    update_interval: Duration | None = Field(None, description="time between updates of rates; default: each sample")
    horizon: Duration = Field("1d", description="margin period of risk")
    confidence: float | None = Field(None, gt=0.5, lt=1.0, description="normal confidence level")
    quantile: Positive | None = Field(None, description="multiple of sigma, instead of confidence")
    initial_rate: RatePerContract | None = Field(None, description="initial rate at the start, which implies sigma")
    initial_volatility: PositivePerContract | None = Field(
        None, description="volatility at the start, per square root of a trading day"
    )
    initial_samples: Positive | None = Field(
        None, description="EWMA: samples that the start counts for; default: it decays like any other sample"
    )
    calibrate: SeriesPerContract | None = Field(
        None, description="daily price series, common or by contract name, that gives the start (and GARCH parameters)"
    )
    maintenance_ratio: float = Field(0.5, gt=0.0, le=1.0, description="maintenance over initial")

    @model_validator(mode="after")
    def _complete(self) -> VolatilityParameters:
        for group in EXCLUSIVE[:3]:
            given = [name for name in group if getattr(self, name) is not None]
            needed = self.estimator == "ewma" or group[0] != "half_life"
            if len(given) > 1 or (needed and not given):
                raise ValueError("exactly one of " + ", ".join(group))
        if self.estimator == "ewma":
            if any(value is not None for value in (self.alpha, self.beta, self.omega, self.long_run_volatility)):
                raise ValueError('alpha, beta, omega and long_run_volatility only with estimator = "garch"')
        elif self.half_life is not None or self.decay is not None or self.initial_samples is not None:
            raise ValueError('half_life, decay and initial_samples only with estimator = "ewma"')
        elif self.calibrate is None:
            if self.alpha is None or self.beta is None or (self.omega is None) == (self.long_run_volatility is None):
                raise ValueError(
                    'alpha, beta and one of omega, long_run_volatility with estimator = "garch"; or calibrate'
                )
        elif any(value is not None for value in (self.alpha, self.beta, self.omega, self.long_run_volatility)):
            raise ValueError("either calibrate or the parameters of the GARCH")
        return self


def resolved(params: Parameters) -> Parameters:
    """The same parameters with a calibration carried out, so that they can be stored and repeated."""
    if not isinstance(params, VolatilityParameters) or params.calibrate is None:
        return params
    if params.sample_interval != "1d":
        raise ConfigError.of("margin.params.sample_interval", params.sample_interval, '"1d" with calibrate')
    if isinstance(params.half_life, (int, float)) or (params.half_life and not params.half_life.endswith("d")):
        raise ConfigError.of("margin.params.half_life", params.half_life, "a number of days (d) with calibrate")
    values: dict[str, Any] = params.model_dump(exclude_unset=True, exclude={"calibrate"})
    values.update(calibrated(params.calibrate, params.estimator, params.half_life, params.decay))
    return type(params)(**values)


def write_rates(table: np.ndarray, params: Parameters, contracts: ContractTable) -> None:
    """Write the rate and overlay columns of ``model_params``.

    Args:
        table: float64[C, K], mutated.
        params: :class:`FixedRateParameters` or :class:`VolatilityParameters`, resolved.
        contracts: the contract table.

    Raises:
        ConfigError: a parameter does not fit the contracts or the step size.
    """
    if isinstance(params, VolatilityParameters):
        _write_volatility(table, params, contracts)
        return
    if isinstance(params, ForecastParameters):
        write_forecast(table, params, contracts)
        return
    assert isinstance(params, FixedRateParameters)
    table[:, P_RATES] = FIXED
    table[:, P_INITIAL] = units(per_contract("initial", params.initial, contracts.names))
    table[:, P_MAINTENANCE] = units(per_contract("maintenance", params.maintenance, contracts.names))


def _write_volatility(table: np.ndarray, params: VolatilityParameters, contracts: ContractTable) -> None:
    names, day = contracts.names, float(contracts.steps_per_day)
    nominal = in_steps(params.sample_interval, contracts)
    sample = in_whole_steps(params.sample_interval, contracts)
    update = sample if params.update_interval is None else in_whole_steps(params.update_interval, contracts)
    horizon = in_steps(params.horizon, contracts)
    quantile = params.quantile if params.quantile is not None else float(normal_quantile(params.confidence))
    table[:, P_RATES] = VOLATILITY
    table[:, P_RATIO] = params.maintenance_ratio
    table[:, P_SAMPLE] = sample
    table[:, P_UPDATE] = update
    table[:, P_FACTOR] = quantile * np.sqrt(horizon / sample)
    if params.estimator == "ewma":
        # a decay is per nominal sample; what is kept is its half-life in time
        if params.half_life is not None:
            memory = in_steps(params.half_life, contracts)
        else:
            assert params.decay is not None
            memory = half_life_of_decay(params.decay) * nominal
        decay = float(power(0.5, sample / memory))
        table[:, P_ALPHA], table[:, P_BETA] = 1.0 - decay, decay
        table[:, P_PRIOR] = params.initial_samples or 0.0
    else:
        _write_garch(table, params, contracts, nominal, sample)
    if params.initial_volatility is not None:
        start = per_contract("initial_volatility", params.initial_volatility, names) * np.sqrt(sample / day)
    else:
        assert params.initial_rate is not None
        start = per_contract("initial_rate", params.initial_rate, names) / table[:, P_FACTOR]
    table[:, P_VARIANCE] = start * start
    write_overlays(table, params, contracts, np.full(len(names), quantile * np.sqrt(horizon / day)), update)


def _write_garch(
    table: np.ndarray, params: VolatilityParameters, contracts: ContractTable, nominal: float, sample: int
) -> None:
    assert params.alpha is not None
    assert params.beta is not None
    if abs(nominal - sample) > 1e-9 * sample:
        allowed = "a whole number of steps for a GARCH, whose parameters are per sample"
        raise ConfigError.of("margin.params.sample_interval", params.sample_interval, allowed)
    alpha = per_contract("alpha", params.alpha, contracts.names)
    beta = per_contract("beta", params.beta, contracts.names)
    if np.any(alpha + beta >= 1.0):
        raise ConfigError.of("margin.params.beta", params.beta, "alpha + beta below 1")
    if params.omega is not None:
        omega = per_contract("omega", params.omega, contracts.names)
    else:
        assert params.long_run_volatility is not None
        long_run = per_contract("long_run_volatility", params.long_run_volatility, contracts.names)
        omega = long_run * long_run * (sample / contracts.steps_per_day) * (1.0 - alpha - beta)
    table[:, P_OMEGA], table[:, P_ALPHA], table[:, P_BETA] = omega, alpha, beta


def publish_rates(params: np.ndarray, memory: np.ndarray, step: int, mark: np.ndarray) -> None:
    """Rates of the step being computed, for all contracts: the readable form of the compiled publisher.

    Args:
        params: float64[C, K], columns of :mod:`margin.kernels.columns`.
        memory: float64[C, K], mutated; the rates are its columns ``S_INITIAL`` and ``S_MAINTENANCE``.
        step: the step.
        mark: int64[C], sub-ticks.
    """
    first = memory[0, S_STARTED] == 0.0
    if params[0, P_RATES] == FIXED:
        memory[:, S_INITIAL] = params[:, P_INITIAL]
        memory[:, S_MAINTENANCE] = params[:, P_MAINTENANCE]
    elif first or step != int(memory[0, S_STEP]):
        log_mark = np.array([ln(float(price)) for price in mark])
        if first:
            memory[:, S_LOG_MARK] = log_mark
        elif step % int(params[0, P_SAMPLE]) == 0:
            (follow if params[0, P_MEAN] > 0.0 else observe)(params, memory, log_mark)
        if first or step % int(params[0, P_UPDATE]) == 0:
            calculated = params[:, P_FACTOR] * np.sqrt(expected_variance(params, memory))
            changed = overlaid(params, memory, calculated)
            plain = np.maximum(to_units(calculated), 1.0)
            initial = plain if params[0, P_OVERLAYS_ON] == ON_MAINTENANCE else changed
            base = plain if params[0, P_OVERLAYS_ON] == ON_INITIAL else changed
            memory[:, S_INITIAL] = np.maximum(initial, 1.0)
            maintenance = np.maximum(np.floor(base * params[:, P_RATIO] + 0.5), 1.0)
            memory[:, S_MAINTENANCE] = np.minimum(maintenance, memory[:, S_INITIAL])
    memory[:, S_STARTED] = 1.0
    memory[:, S_STEP] = step
