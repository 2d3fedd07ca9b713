"""Rates: how much one lot can lose. Fixed percentages, or quantile x volatility x square root of the horizon."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from margin.calibration import SeriesPerContract, calibrated
from margin.durations import Duration, in_steps, in_whole_steps
from margin.forecast import ForecastParameters, expected_variance, follow, write_forecast
from margin.historical import (
    WINDOWED,
    cells_of,
    first_window,
    normal_multiple,
    observe_window,
    tail_loss,
    write_window,
)
from margin.kernels.columns import (
    FILTER_NONE,
    FIXED,
    ON_INITIAL,
    ON_MAINTENANCE,
    P_ALPHA,
    P_BETA,
    P_FACTOR,
    P_FILTER,
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
    S_VARIANCE,
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
from sim.kernels.realmath import ln, power

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
_WINDOW_ONLY = ("window", "tails")
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
        aside |= {*_EWMA_ONLY, *_GARCH_ONLY, *_WINDOW_ONLY}
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

    The initial rate is ``multiple x sigma x horizon factor``, with sigma per square root of a sample and the multiple
    the normal quantile (or expected shortfall) at the confidence; the historical estimators take the tail of past
    returns in place of ``multiple x sigma`` (see :mod:`margin.historical`).
    Returns are those of the mark between samples, so that the bounce between bid and ask does not count as volatility.
    """

    estimator: Literal["ewma", "garch", "hs", "fhs", "fhs_rescaled"] = Field(
        "ewma", description="volatility, or tail of past returns: historical, filtered, filtered and rescaled"
    )
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
    scaling: Literal["sqrt", "linear", "overlapping"] = Field(
        "sqrt",
        description="from a sample to the horizon: root of time, linear liquidation, overlapping returns (historical)",
    )
    measure: Literal["var", "es"] = Field("var", description="quantile, or expected shortfall beyond it")
    window: int | None = Field(None, ge=2, le=100_000, description="historical: values in the window")
    tails: Literal["both", "long", "short"] = Field(
        "both", description="historical: the tail that counts, of a long, a short, or the worse"
    )
    confidence: float | None = Field(None, gt=0.5, lt=1.0, description="confidence level")
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
        filtered = self.estimator in ("ewma", "fhs", "fhs_rescaled")
        for group in EXCLUSIVE[:3]:
            given = [name for name in group if getattr(self, name) is not None]
            needed = filtered or group[0] != "half_life"
            if len(given) > 1 or (needed and not given):
                raise ValueError("exactly one of " + ", ".join(group))
        self._check_window()
        if self.estimator != "garch":
            if any(value is not None for value in (self.alpha, self.beta, self.omega, self.long_run_volatility)):
                raise ValueError('alpha, beta, omega and long_run_volatility only with estimator = "garch"')
            if self.estimator == "hs" and not (self.half_life is self.decay is self.initial_samples is None):
                raise ValueError('half_life, decay and initial_samples not with estimator = "hs"')
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

    def _check_window(self) -> None:
        """Parameters that go with a window of past returns, and those that need a confidence."""
        windowed = self.estimator in WINDOWED
        if windowed and self.window is None:
            raise ValueError(f'window, with estimator = "{self.estimator}"')
        if not windowed and self.window is not None:
            raise ValueError("window only with estimator = " + ", ".join(f'"{name}"' for name in WINDOWED))
        if not windowed and self.scaling == "overlapping":
            raise ValueError('scaling = "overlapping" only with a window of past returns')
        if (windowed or self.measure == "es") and self.confidence is None:
            raise ValueError("confidence instead of quantile, with a window of past returns or expected shortfall")

    def horizon_samples(self, contracts: ContractTable) -> float:
        """The horizon in samples; whole, at least 1, where returns overlap or liquidation is linear."""
        samples = in_steps(self.horizon, contracts) / in_whole_steps(self.sample_interval, contracts)
        return samples if self.scaling == "sqrt" else float(max(1, round(samples)))

    def overlap(self, contracts: ContractTable) -> int:
        """Samples that a value of the window spans."""
        return int(self.horizon_samples(contracts)) if self.scaling == "overlapping" else 1


def resolved(params: Parameters) -> Parameters:
    """The same parameters with a calibration carried out, so that they can be stored and repeated."""
    if not isinstance(params, VolatilityParameters) or params.calibrate is None:
        return params
    if params.sample_interval != "1d":
        raise ConfigError.of("margin.params.sample_interval", params.sample_interval, '"1d" with calibrate')
    if isinstance(params.half_life, (int, float)) or (params.half_life and not params.half_life.endswith("d")):
        raise ConfigError.of("margin.params.half_life", params.half_life, "a number of days (d) with calibrate")
    values: dict[str, Any] = params.model_dump(exclude_unset=True, exclude={"calibrate"})
    values.update(calibrated(params.calibrate, params.estimator, params.half_life, params.decay, params.window))
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
    quantile = multiple_of(params)
    table[:, P_RATES] = VOLATILITY
    table[:, P_RATIO] = params.maintenance_ratio
    table[:, P_SAMPLE] = sample
    table[:, P_UPDATE] = update
    if params.scaling == "sqrt":
        factor = quantile * np.sqrt(horizon / sample)
        rate_of_day = quantile * np.sqrt(horizon / day)
    else:
        count = params.horizon_samples(contracts)
        # selling one part per sample, from the first sample's end: the squares of what is still held add up to this
        held = (count + 1.0) * (2.0 * count + 1.0) / (6.0 * count) if params.scaling == "linear" else count
        factor = quantile * np.sqrt(held)
        rate_of_day = factor * np.sqrt(sample / day)
    table[:, P_FACTOR] = factor
    if params.estimator in ("ewma", "fhs", "fhs_rescaled"):
        # a decay is per nominal sample; what is kept is its half-life in time
        if params.half_life is not None:
            memory = in_steps(params.half_life, contracts)
        else:
            assert params.decay is not None
            memory = half_life_of_decay(params.decay) * nominal
        decay = float(power(0.5, sample / memory))
        table[:, P_ALPHA], table[:, P_BETA] = 1.0 - decay, decay
        table[:, P_PRIOR] = params.initial_samples or 0.0
    elif params.estimator == "garch":
        _write_garch(table, params, contracts, nominal, sample)
    else:
        table[:, P_BETA] = 1.0  # without an EWMA the variance stays what it was at the start
    if params.initial_volatility is not None:
        start = per_contract("initial_volatility", params.initial_volatility, names) * np.sqrt(sample / day)
    else:
        assert params.initial_rate is not None
        start = per_contract("initial_rate", params.initial_rate, names) / table[:, P_FACTOR]
    table[:, P_VARIANCE] = start * start
    if params.window is not None:
        assert params.confidence is not None
        overlap = params.overlap(contracts)
        write_window(table, params.estimator, params.window, overlap, params.confidence, params.measure, params.tails)
        # the tail takes the multiple's place, and overlapping returns the horizon's
        table[:, P_FACTOR] = factor / quantile / np.sqrt(overlap)
    write_overlays(table, params, contracts, np.full(len(names), rate_of_day), update)


def multiple_of(params: VolatilityParameters) -> float:
    """Margin per unit of volatility over the horizon: as given, or of the normal law at the confidence."""
    if params.quantile is not None:
        return params.quantile
    assert params.confidence is not None
    return normal_multiple(params.confidence, params.measure)


def window_cells(params: Parameters, contracts: ContractTable) -> int:
    """Floats per contract that a model keeps of past returns; 0 without a window."""
    if not isinstance(params, VolatilityParameters) or params.window is None:
        return 0
    return cells_of(params.window, params.overlap(contracts))


def write_first_window(table: np.ndarray, params: VolatilityParameters) -> np.ndarray:
    """The windows at the start, float64[C, cells], from a written table."""
    return first_window(table, multiple_of(params))


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


def feed(params: np.ndarray, memory: np.ndarray, windows: np.ndarray, history: np.ndarray) -> None:
    """Feed past returns to a rule that has not published yet, as if they had been sampled.

    Args:
        params: float64[C, K], columns of :mod:`margin.kernels.columns`.
        memory: float64[C, K], mutated.
        windows: float64[C, cells], mutated.
        history: float64[n, C], log returns, oldest first.
    """
    for changes in np.asarray(history, float):
        for row, own, window, change in zip(params, memory, windows, changes.tolist(), strict=True):
            observe_window(row, own, window, change)
        observe(params, memory, memory[:, S_LOG_MARK] + changes)


def publish_rates(
    params: np.ndarray, memory: np.ndarray, step: int, mark: np.ndarray, windows: np.ndarray | None = None
) -> None:
    """Rates of the step being computed, for all contracts: the readable form of the compiled publisher.

    Args:
        params: float64[C, K], columns of :mod:`margin.kernels.columns`.
        memory: float64[C, K], mutated; the rates are its columns ``S_INITIAL`` and ``S_MAINTENANCE``.
        step: the step.
        mark: int64[C], sub-ticks.
        windows: float64[C, cells] of past returns, mutated; None without.
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
            if windows is not None:
                for row, own, window, level in zip(params, memory, windows, log_mark, strict=True):
                    observe_window(row, own, window, level - own[S_LOG_MARK])
            (follow if params[0, P_MEAN] > 0.0 else observe)(params, memory, log_mark)
        if first or step % int(params[0, P_UPDATE]) == 0:
            calculated = params[:, P_FACTOR] * np.sqrt(expected_variance(params, memory))
            if windows is not None:
                tails = np.array([tail_loss(row, window) for row, window in zip(params, windows, strict=True)])
                filtered = params[:, P_FILTER] != FILTER_NONE
                calculated = params[:, P_FACTOR] * tails * np.where(filtered, np.sqrt(memory[:, S_VARIANCE]), 1.0)
            changed = overlaid(params, memory, calculated)
            plain = np.maximum(to_units(calculated), 1.0)
            initial = plain if params[0, P_OVERLAYS_ON] == ON_MAINTENANCE else changed
            base = plain if params[0, P_OVERLAYS_ON] == ON_INITIAL else changed
            memory[:, S_INITIAL] = np.maximum(initial, 1.0)
            maintenance = np.maximum(np.floor(base * params[:, P_RATIO] + 0.5), 1.0)
            memory[:, S_MAINTENANCE] = np.minimum(maintenance, memory[:, S_INITIAL])
    memory[:, S_STARTED] = 1.0
    memory[:, S_STEP] = step
