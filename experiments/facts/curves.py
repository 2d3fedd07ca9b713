"""The curves behind the facts, on fixed grids, so that those of many seeds can be drawn as a band."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from experiments.facts import catalogue as cat
from experiments.facts import estimators as est
from experiments.facts.tape import DAY, Array, Tape

LAGS = 30
QUANTILES = np.concatenate((np.geomspace(0.0005, 0.5, 40), np.linspace(0.55, 0.95, 9)))
_MULTIPLES = (1, 2, 5, 10, 20, 30, 60, 120, 240, 480)
_DAYS = (1, 2, 3, 5, 10, 20, 40)


def base_seconds(tape: Tape) -> float:
    """Horizon of the shortest returns that are drawn: a minute where the tape has one, else its own step."""
    return 60.0 if tape.steps_of(60.0) is not None else tape.dt_seconds


def tail_seconds(tape: Tape) -> float:
    """Horizon at which tails are drawn: ten minutes where the tape has them, else the shortest."""
    return 600.0 if tape.steps_of(600.0) is not None else base_seconds(tape)


def curves(tape: Tape) -> dict[str, Any]:
    """Everything that is drawn of a tape, as plain data: pairs of lists ``x`` and ``y`` by name, None for NaN.

    ``spread`` (share of time against spread in bp), ``acf`` and ``acf_abs`` (lag in base horizons), ``acf_sign`` (lag
    in orders), ``ccdf`` (standardised absolute return and share above it), ``hill`` (share of the sample), ``kurtosis``
    and ``signature`` (horizon in base horizons), ``leverage`` (lag in tail horizons), ``volume`` (decile of volume and
    mean absolute return over its mean), ``dfa`` and ``dfa_abs`` (window in base horizons, fluctuation over a random
    walk's), ``returns`` (tail horizon, per cent), with ``base_seconds`` and ``tail_seconds``.
    """
    base, tail = base_seconds(tape), tail_seconds(tape)
    short, long = cat.returns_at(tape, base), cat.returns_at(tape, tail)
    found: dict[str, Any] = {"base_seconds": base, "tail_seconds": tail}

    def put(name: str, x: Any, y: Any) -> None:
        pairs = zip(np.asarray(x, np.float64).tolist(), np.asarray(y, np.float64).tolist(), strict=True)
        kept = [(a, b if math.isfinite(b) else None) for a, b in pairs]
        if any(b is not None for _, b in kept):
            found[name] = {"x": [a for a, _ in kept], "y": [b for _, b in kept]}

    lags = np.arange(1, LAGS + 1)
    put("acf", lags, est.autocorrelation(short, lags))
    longest = 100 if tape.is_daily else 600
    far = log_lags(min(longest, max(len(short) // 5, 1)))
    put("acf_abs", far, est.mean_autocorrelation(np.abs(short), far))
    if tape.order_signs is not None:
        orders = log_lags(min(cat.SIGN_LAGS, max(len(tape.order_signs) // 10, 1)))
        put("acf_sign", orders, est.mean_autocorrelation(tape.order_signs, orders))
    _tails(put, long)
    multiples = _DAYS if tape.is_daily else _MULTIPLES
    k = [tape.steps_of(m * base) for m in multiples]
    steps = [s for s in k if s is not None]
    put("kurtosis", multiples[: len(steps)], est.kurtosis_by_horizon(tape.mid, steps, session=tape.session))
    day = 252**0.5 if tape.is_daily else tape.steps_per_day**0.5
    put(
        "signature",
        multiples[: len(steps)],
        100 * day * est.volatility_signature(tape.mid, steps, session=tape.session),
    )
    put("leverage", lags, [est.return_volatility(long, int(lag)) for lag in lags])
    for name, series in (("dfa", short), ("dfa_abs", np.abs(short))):
        scaling = est.hurst(series)
        if len(scaling.scales):
            put(
                name,
                scaling.scales,
                scaling.fluctuation / (scaling.fluctuation[0] * (scaling.scales / scaling.scales[0]) ** 0.5),
            )
    _volume(put, tape, tail)
    _spread(put, tape)
    step = max(1, math.ceil(len(long) / 3000))
    put("returns", np.arange(len(long))[::step] * tail / (DAY if not tape.is_daily else 252 * DAY), 100 * long[::step])
    return found


def log_lags(longest: int, count: int = 30) -> list[int]:
    """Distinct lags from one, equally spaced in their logarithm."""
    return sorted({int(lag) for lag in np.geomspace(1, max(longest, 1), count).round()})


def _tails(put: Any, returns: Array) -> None:
    size = np.abs(returns[np.isfinite(returns)] - np.nanmean(returns)) if np.isfinite(returns).any() else returns
    if len(size) >= est.LEAST_RETURNS and size.std() > 0:
        levels = QUANTILES[QUANTILES * len(size) >= 1]
        put("ccdf", levels, np.quantile(size, 1 - levels) / math.sqrt(float(np.mean(size**2))))
    plot = est.hill_plot(returns)
    put("hill", plot.shares, plot.alpha)


def _volume(put: Any, tape: Tape, seconds: float) -> None:
    k = tape.steps_of(seconds)
    if tape.volume is None or k is None:
        return
    moved, traded = est.moves_and_volumes(tape.mid, tape.volume, k, session=tape.session)
    known = np.isfinite(moved) & np.isfinite(traded)
    moved, traded = moved[known], traded[known]
    if len(moved) < est.LEAST_RETURNS or not moved.mean() > 0:
        return
    groups = np.array_split(np.argsort(traded, kind="stable"), 10)
    put("volume", np.arange(1, 11), [moved[group].mean() / moved.mean() for group in groups])


def _spread(put: Any, tape: Tape) -> None:
    if tape.bid is None or tape.ask is None:
        return
    wide = 2e4 * (tape.ask - tape.bid) / (tape.ask + tape.bid)
    wide = wide[np.isfinite(wide)]
    if len(wide):
        levels = np.linspace(0.01, 0.99, 50)
        put("spread", levels, np.quantile(wide, levels))
