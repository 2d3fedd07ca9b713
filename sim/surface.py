"""Volatility surfaces of option chains: what ``[chains.surface]`` may say, the surface as it is, and its record.

The model (:mod:`sim.kernels.surface`) is SSVI of Gatheral and Jacquier (2014) on a term structure of variance that
reverts to a long-run level. What moves it: realised volatility of the underlying, its recent return, and the signed
order flow in the options themselves. Parameters that are left out move nothing: the surface is then flat at the chain's
volatility, as without this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.contracts import chains_of
from sim.errors import ConfigError
from sim.kernels import state as s
from sim.kernels import surface as kernels
from sim.kernels.realmath import ln, power
from sim.surface_parameters import SurfaceParameters, surface_problems

if TYPE_CHECKING:
    import pandas as pd

    from sim.market import Market

_SOURCES = {"mark": kernels.SOURCE_MARK, "mid": kernels.SOURCE_MID, "index": kernels.SOURCE_INDEX}
_DAYS_PER_YEAR = 365


def put_surface(market: Market, chain: int, parameters: SurfaceParameters, contract: int, volatility: float) -> None:
    """Write the parameters of a chain's surface into its row and begin it.

    Args:
        market: the market, its quotes filled.
        chain: row of ``state.surface``.
        parameters: of the surface.
        contract: contract number of the underlying.
        volatility: long-run level, the chain's volatility.

    Raises:
        ConfigError: the parameters contradict each other.
    """
    if found := surface_problems(parameters):
        raise ConfigError(found)
    row, config = market.state.surface[chain], market.config
    row[:] = 0.0
    if not parameters.moves:
        return

    def steps(seconds: float) -> int:
        return max(1, round(seconds / config.dt_seconds))

    def keep(days: float, every: int) -> float:
        return float(power(0.5, every / (days * config.steps_per_day)))

    sample = steps(parameters.sample_seconds)
    trend_years = parameters.return_days / (_DAYS_PER_YEAR * ln(2.0))
    reversion = ln(2.0) * _DAYS_PER_YEAR / parameters.reversion_days if parameters.reversion_days else 0.0
    row[kernels.SF_ON] = 1.0
    row[kernels.SF_LEVEL : kernels.SF_POWER + 1] = [
        volatility, reversion, parameters.realised_weight, parameters.premium, parameters.skew,
        parameters.curvature, parameters.power,
    ]  # fmt: skip
    row[kernels.SF_LEVERAGE : kernels.SF_FLOW_LOTS + 1] = [
        parameters.leverage, parameters.skew_return, parameters.skew_realised, parameters.flow_level,
        parameters.flow_skew, parameters.flow_lots,
    ]  # fmt: skip
    row[kernels.SF_LOWEST : kernels.SF_SOURCE + 1] = [
        parameters.lowest, parameters.highest, steps(parameters.update_seconds), sample, _SOURCES[parameters.source],
    ]  # fmt: skip
    row[kernels.SF_KEEP_REALISED : kernels.SF_TREND_SCALE + 1] = [
        keep(parameters.realised_days, sample), keep(parameters.return_days, sample), keep(parameters.flow_days, 1),
        contract, volatility * np.sqrt(trend_years),
    ]  # fmt: skip
    kernels.start_surface(market.state, chain)


def put_surfaces(market: Market, surfaces: Mapping[str, SurfaceParameters]) -> None:
    """Begin the surfaces of a market's chains; chains that are not named keep the volatility of their contracts.

    Raises:
        ConfigError: no such chain.
    """
    names = chains_of(market.contracts)
    for name, parameters in surfaces.items():
        if name not in names:
            raise ConfigError.of("surfaces", name, "one of " + (", ".join(names) or "no chains"))
        number = next(i for i, contract in enumerate(market.contracts) if contract.chain == name)
        reference = int(market.state.contracts["reference"][number])
        put_surface(market, names.index(name), parameters, reference, market.contracts[number].volatility)
    kernels.put_volatilities(market.state)


def volatility(market: Market, chain: int | str, strike: Any, years: Any) -> np.ndarray:
    """Implied volatilities of a chain's surface as it stands, for any strikes and times to expiry.

    Args:
        market: the market.
        chain: name or number of the chain.
        strike: price units of the underlying, above 0; broadcasts against ``years``.
        years: time to expiry, years of 365 trading days, above 0.

    Returns:
        float64 of the common shape, per square root of a year.

    Raises:
        ConfigError: no such chain, or an argument is out of range.
    """
    names = chains_of(market.contracts)
    if isinstance(chain, str):
        if chain not in names:
            raise ConfigError.of("chain", chain, "one of " + (", ".join(names) or "no chains"))
        chain = names.index(chain)
    elif not 0 <= chain < len(names):
        raise ConfigError.of("chain", chain, f"a number below {len(names)}")
    strikes, times = np.broadcast_arrays(np.asarray(strike, np.float64), np.asarray(years, np.float64))
    for name, values in (("strike", strikes), ("years", times)):
        if not (np.isfinite(values) & (values > 0)).all():
            raise ConfigError.of(name, float(values[~(np.isfinite(values) & (values > 0))].flat[0]), "numbers above 0")
    state = market.state
    number = next(i for i, contract in enumerate(market.contracts) if contract.chain == names[chain])
    terms, row = state.contracts[number], state.surface[chain]
    if row[kernels.SF_ON] == 0.0:
        return np.full(strikes.shape, float(terms["volatility"]))
    tick = market.contracts[int(terms["reference"])].tick_size
    spot, rate = kernels.priced_log(state, number), float(terms["interest_rate"])
    found = [
        kernels.surface_volatility(row, ln(strike / tick) - spot - rate * left, left)
        for strike, left in zip(strikes.ravel().tolist(), times.ravel().tolist(), strict=True)
    ]
    return np.array(found, np.float64).reshape(strikes.shape)


def surface_table(market: Market) -> pd.DataFrame:
    """The surfaces over time: one row per recorded step, chain and listed expiry that has not expired.

    Columns: ``step``, ``time_s``, ``chain``, ``expiry_step``, ``years`` to expiry, ``atm`` (volatility at the forward),
    ``skew`` (its slope by the log of the strike there), ``put_25`` and ``call_25`` (volatility 0.6745 deviations, about
    25 % delta, below and above the forward), ``realised`` (volatility of the underlying as the surface knows it),
    ``flow`` and ``tilt`` (pressure of order flow by level and by moneyness), ``volume`` (lots of the expiry's options
    traded so far) and ``open_interest`` (lots). For a chain whose surface does not move
    ``atm`` is its volatility and what it does not know is NaN.
    """
    import pandas as pd

    state, frames = market.state, []
    rows = int(state.meta[s.M_RECORDS])
    steps = state.record_global[:rows, 0]
    for number, name in enumerate(chains_of(market.contracts)):
        members = [i for i, contract in enumerate(market.contracts) if contract.chain == name]
        row = state.surface[number]
        recorded = row[s.SURFACE_CELLS :].reshape(-1, s.SURFACE_RECORD)[:rows]
        for expiry in sorted({int(state.contracts["expiry"][i]) for i in members}):
            one = state.contracts[next(i for i in members if state.contracts["expiry"][i] == expiry)]
            alive = (steps > int(one["listing"])) & (steps < expiry)
            years = (expiry - steps[alive]) * float(one["years_per_step"])
            options = [i for i in members if state.contracts["expiry"][i] == expiry]
            counts = state.record_contract[:rows, options][alive].sum(axis=1)
            frames.append(
                pd.DataFrame(
                    {
                        "step": steps[alive],
                        "time_s": steps[alive] * market.config.dt_seconds,
                        "chain": name,
                        "expiry_step": expiry,
                        "years": years,
                        "volume": counts[:, s.REC_CONTRACT.index("volume")],
                        "open_interest": counts[:, s.REC_CONTRACT.index("open_interest")],
                    }
                    | (
                        _moments(row, recorded[alive], years)
                        if row[kernels.SF_ON]
                        else _constant(float(one["volatility"]), len(years))
                    )
                )
            )
    if not frames:
        names = ["step", "time_s", "chain", "expiry_step", "years", "volume", "open_interest", *_COLUMNS]
        return pd.DataFrame(columns=names)
    return pd.concat(frames, ignore_index=True).sort_values("step", kind="stable", ignore_index=True)


_COLUMNS = ("atm", "skew", "put_25", "call_25", "realised", "flow", "tilt")


def _constant(value: float, rows: int) -> dict[str, np.ndarray]:
    """Columns of a surface that does not move."""
    same, unknown = np.full(rows, value), np.full(rows, np.nan)
    return dict(zip(_COLUMNS, (same, np.zeros(rows), same, same, unknown, unknown, unknown), strict=True))


def _moments(row: np.ndarray, recorded: np.ndarray, years: np.ndarray) -> dict[str, np.ndarray]:
    """Columns of a surface from its record: float64[rows, SURFACE_RECORD] and the times to expiry of those rows."""
    spot, long, rho, realised, flow, tilt, _ = recorded.T
    x = row[kernels.SF_REVERSION] * years
    theta = spot * years
    if row[kernels.SF_REVERSION] > 0:
        theta = long * years - (spot - long) * np.expm1(-x) / row[kernels.SF_REVERSION]
    gamma = row[kernels.SF_POWER]
    phi = row[kernels.SF_CURVATURE] / (theta**gamma * (1.0 + theta) ** (1.0 - gamma))

    def at(k: np.ndarray) -> np.ndarray:
        inside = phi * k + rho
        return np.sqrt(0.5 * theta * (1.0 + rho * phi * k + np.sqrt(inside**2 + 1.0 - rho**2)) / years)

    half = 0.674490 * np.sqrt(theta)  # N(-0.6745) = 1/4
    skew = 0.5 * rho * phi * np.sqrt(theta / years)
    columns = (np.sqrt(theta / years), skew, at(-half), at(half), np.sqrt(realised), flow, tilt)
    return dict(zip(_COLUMNS, columns, strict=True))
