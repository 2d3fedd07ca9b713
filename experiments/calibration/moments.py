"""The moments that a market is calibrated to, each a function of bars and of which bars count.

Every measure takes the positions of the bars that enter, with repetitions, and looks up what it needs of the past
(lagged returns, sums over a horizon) in the series itself. So the bootstrap resamples whole neighbourhoods ("blocks of
blocks", Kuensch 1989) and long lags lose nothing where blocks are joined.

References:
    Kuensch, H. R. (1989). The jackknife and the bootstrap for general stationary observations. Ann. Statist. 17(3).
    Hill, B. M. (1975). A simple general approach to inference about the tail of a distribution. Ann. Statist. 3(5).
    Kim, T.-H. and White, H. (2004). On more robust estimation of skewness and kurtosis. Finance Res. Lett. 1(1).
    Franke, R. and Westerhoff, F. (2012). Structural stochastic volatility in asset pricing dynamics: estimation and
        model contest. J. Econ. Dyn. Control 36(8), 1193-1211.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.calibration.bars import Bars, Floats
from sim.errors import ConfigError
from sim.problems import one_of

Index = NDArray[np.int64]
Measure = Callable[[Bars, Index], float]
_BP = 1e4
_PER_LAG = 4  # bars needed for each bar of lag or horizon


@dataclass(frozen=True)
class Moment:
    """One moment.

    Attributes:
        name: as it is asked for.
        what: what it is.
        unit: of its value, empty for a plain number.
        reach: bars of the past that one value needs.
        needs: ``"spread"``, ``"volume"`` or nothing.
        measure: its value from bars and the positions that enter.
    """

    name: str
    what: str
    unit: str
    reach: int
    needs: str
    measure: Measure


@dataclass(frozen=True)
class Family:
    """A kind of moment, with or without a lag, horizon or share after a colon.

    Attributes:
        what: what it is; ``{}`` stands for the argument.
        argument: ``""`` (none), ``"lags"`` (a lag or a range of lags), ``"horizon"`` or ``"percent"``.
        default: argument if left out.
        unit: of its value.
        needs: ``"spread"``, ``"volume"`` or nothing.
        make: the measure for an argument.
    """

    what: str
    argument: str
    default: str
    unit: str
    needs: str
    make: Callable[[Any], Measure]


def _clean(values: Floats) -> Floats:
    return values[np.isfinite(values)]


def _correlated(now: Floats, past: Floats) -> float:
    both = np.isfinite(now) & np.isfinite(past)
    x, y = now[both], past[both]
    if len(x) < 3:
        return float("nan")
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / scale if scale > 0.0 else float("nan")


def _lagged(now: Floats, then: Floats, index: Index, lags: Sequence[int]) -> float:
    """Mean over lags of the correlation of ``now[t]`` with ``then[t - lag]``."""
    found = []
    for lag in lags:
        at = index[index >= lag]
        found.append(_correlated(now[at], then[at - lag]))
    return float(np.mean(found))


def _spread_of(values: Floats) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else float("nan")


def _excess_kurtosis(values: Floats) -> float:
    centred = values - values.mean() if len(values) else values
    variance = float(np.mean(centred**2)) if len(values) > 3 else 0.0
    return float(np.mean(centred**4)) / variance**2 - 3.0 if variance > 0.0 else float("nan")


def _skewness(values: Floats) -> float:
    centred = values - values.mean() if len(values) else values
    variance = float(np.mean(centred**2)) if len(values) > 2 else 0.0
    return float(np.mean(centred**3)) / variance**1.5 if variance > 0.0 else float("nan")


def hill(values: Floats, percent: float) -> float:
    """Hill's (1975) tail index of absolute values: one over the mean log excess of the largest over the next.

    Args:
        values: absolute returns, NaN left out.
        percent: share of the values that is the tail.
    """
    ordered = np.sort(_clean(values))[::-1]
    k = max(2, int(len(ordered) * percent / 100.0))
    if len(ordered) <= k or ordered[k] <= 0.0:
        return float("nan")
    mean = float(np.mean(np.log(ordered[:k] / ordered[k])))
    return 1.0 / mean if mean > 0.0 else float("nan")


def _quantile_kurtosis(values: Floats) -> float:
    """(q.975 - q.025) / (q.75 - q.25), which needs no fourth moment; normal: 2.91 (after Crow and Siddiqui)."""
    if len(values) < 4:
        return float("nan")
    low, first, third, high = np.quantile(values, [0.025, 0.25, 0.75, 0.975])
    return float((high - low) / (third - first)) if third > first else float("nan")


def _variance_ratio(bars: Bars, index: Index, horizon: int) -> float:
    one, many = _clean(bars.returns[index]), _clean(bars.sums(horizon)[index])
    if len(one) < 3 or len(many) < 3 or one.var() == 0.0:
        return float("nan")
    return float(many.var() / (horizon * one.var()))


def _volume(bars: Bars) -> Floats:
    assert bars.volume is not None  # asked for only where it is known
    return bars.volume


def _mean_spread(bars: Bars, index: Index) -> float:
    assert bars.spread is not None
    values = _clean(bars.spread[index])
    return _BP * float(values.mean()) if len(values) else float("nan")


def _volume_dispersion(bars: Bars, index: Index) -> float:
    values = _clean(_volume(bars)[index])
    return _spread_of(values) / float(values.mean()) if len(values) > 1 and values.mean() > 0.0 else float("nan")


def _zero_share(bars: Bars, index: Index) -> float:
    values = _clean(bars.returns[index])
    return 100.0 * float(np.mean(values == 0.0)) if len(values) else float("nan")


def _mean_absolute(bars: Bars, index: Index) -> float:
    values = _clean(bars.absolute[index])
    return _BP * float(values.mean()) if len(values) else float("nan")


FAMILIES: dict[str, Family] = {
    "sd": Family("standard deviation of returns over {} bars", "horizon", "1", "bp", "",
                 lambda h: lambda b, i: _BP * _spread_of(_clean(b.sums(h)[i]))),
    "mean_abs": Family("mean absolute return of a bar", "", "", "bp", "", lambda _: _mean_absolute),
    "skewness": Family("skewness of returns over {} bars", "horizon", "1", "", "",
                       lambda h: lambda b, i: _skewness(_clean(b.sums(h)[i]))),
    "kurtosis": Family("excess kurtosis of returns over {} bars", "horizon", "1", "", "",
                       lambda h: lambda b, i: _excess_kurtosis(_clean(b.sums(h)[i]))),
    "quantile_kurtosis": Family("95 % range over interquartile range of returns over {} bars", "horizon", "1", "", "",
                                lambda h: lambda b, i: _quantile_kurtosis(_clean(b.sums(h)[i]))),
    "hill": Family("Hill tail index of the largest {} % of absolute returns", "percent", "5", "", "",
                   lambda p: lambda b, i: hill(b.absolute[i], p)),
    "variance_ratio": Family("variance of {}-bar returns over that of as many single ones", "horizon", "10", "", "",
                             lambda h: lambda b, i: _variance_ratio(b, i, h)),
    "acf": Family("autocorrelation of returns at lag {}", "lags", "1", "", "",
                  lambda k: lambda b, i: _lagged(b.returns, b.returns, i, k)),
    "acf_abs": Family("autocorrelation of absolute returns at lag {}", "lags", "1", "", "",
                      lambda k: lambda b, i: _lagged(b.absolute, b.absolute, i, k)),
    "acf_sq": Family("autocorrelation of squared returns at lag {}", "lags", "1", "", "",
                     lambda k: lambda b, i: _lagged(b.returns**2, b.returns**2, i, k)),
    "leverage": Family("correlation of absolute returns with returns {} bars before", "lags", "1-10", "", "",
                       lambda k: lambda b, i: _lagged(b.absolute, b.returns, i, k)),
    "zero_share": Family("share of bars without a change of price", "", "", "%", "", lambda _: _zero_share),
    "spread": Family("mean quoted spread over mid", "", "", "bp", "spread", lambda _: _mean_spread),
    "volume_volatility": Family("correlation of volume and absolute return of a bar", "", "", "", "volume",
                                lambda _: lambda b, i: _correlated(_volume(b)[i], b.absolute[i])),
    "volume_acf": Family("autocorrelation of volume at lag {}", "lags", "1", "", "volume",
                         lambda k: lambda b, i: _lagged(_volume(b), _volume(b), i, k)),
    "volume_dispersion": Family("standard deviation of volume over its mean", "", "", "", "volume",
                                lambda _: _volume_dispersion),
}  # fmt: skip

SETS: dict[str, tuple[str, ...]] = {
    "franke-westerhoff": (
        "mean_abs", "acf", "acf_abs:1", "acf_abs:5", "acf_abs:10", "acf_abs:25", "acf_abs:50", "acf_abs:100", "hill:5",
    ),
    "volatility": ("sd", "quantile_kurtosis", "hill:5", "acf_abs:1-5", "acf_abs:6-20", "acf_abs:21-60"),
    "intraday": (
        "sd", "variance_ratio:10", "quantile_kurtosis:10", "hill:5", "acf:1", "acf:2-5", "acf_abs:1", "acf_abs:2-10",
        "acf_abs:11-60",
    ),
}  # fmt: skip
"""Named choices for ``--moments``; the first is that of Franke and Westerhoff (2012)."""


def parse(text: str) -> tuple[Moment, ...]:
    """The moments that a text names.

    Args:
        text: names by commas (``sd,hill:5,acf_abs:1,acf_abs:5-10``), names of :data:`SETS` among them.

    Raises:
        ConfigError: no such moment, an argument that does not fit, or one named twice.
    """
    found: list[Moment] = []
    for part in (part.strip() for part in text.split(",")):
        for name in SETS.get(part, (part,)):
            moment = _one(name)
            if any(moment.name == other.name for other in found):
                raise ConfigError.of("--moments", name, "each moment once")
            found.append(moment)
    return tuple(found)


def _one(text: str) -> Moment:
    name, colon, argument = text.partition(":")
    if name not in FAMILIES:
        raise ConfigError.of("--moments", text, one_of(name, [*FAMILIES, *SETS]))
    family = FAMILIES[name]
    if not family.argument:
        if colon:
            raise ConfigError.of("--moments", text, f"{name} without an argument")
        return Moment(name, family.what, family.unit, 0, family.needs, family.make(None))
    argument = argument if colon else family.default
    value, reach = _argument(text, family.argument, argument)
    what = family.what.format(argument)
    if reach <= 1 and family.argument == "horizon":
        what = what.replace("over 1 bars", "of a bar")
    elif "-" in argument:
        what = what.replace("at lag ", "over lags ")
    return Moment(f"{name}:{argument}", what, family.unit, reach, family.needs, family.make(value))


def _argument(text: str, kind: str, argument: str) -> tuple[Any, int]:
    if kind == "percent":
        try:
            share = float(argument)
        except ValueError:
            share = float("nan")
        if not 0.0 < share <= 50.0:
            raise ConfigError.of("--moments", text, "a share above 0 and at most 50 %, such as hill:5")
        return share, 0
    first, dash, last = argument.partition("-")
    if not first.isdecimal() or (dash and not last.isdecimal()):
        raise ConfigError.of("--moments", text, "a whole number of bars, such as acf_abs:10, or a range acf_abs:5-10")
    low, high = int(first), int(last) if dash else int(first)
    if not 1 <= low <= high or (dash and kind == "horizon"):
        allowed = "one horizon of at least 1 bar" if kind == "horizon" else "lags of at least 1 bar, the smaller first"
        raise ConfigError.of("--moments", text, allowed)
    return (low, low - 1) if kind == "horizon" else (tuple(range(low, high + 1)), high)


def measure(bars: Bars, moments: Sequence[Moment], index: Index | None = None) -> Floats:
    """The moments of a series, float64[q]; NaN where one cannot be measured.

    Args:
        bars: the series.
        moments: which.
        index: positions of the returns that enter, in order or resampled; all of them if None.
    """
    at = np.arange(bars.count) if index is None else index
    return np.array([moment.measure(bars, at) for moment in moments], np.float64)


def check(bars: Bars, moments: Sequence[Moment]) -> None:
    """Refuse moments that a series does not have or is too short for.

    Raises:
        ConfigError: naming the first such moment.
    """
    for moment in moments:
        if moment.needs and getattr(bars, moment.needs) is None:
            wanted = "quotes" if moment.needs == "spread" else "volume"
            raise ConfigError.of("--moments", moment.name, f"left out: {bars.name} has no {wanted}")
        if bars.count < max(20, _PER_LAG * moment.reach):
            allowed = f"a reach of at most a quarter of the series' {bars.count} bars (and at least 20 bars)"
            raise ConfigError.of("--moments", moment.name, allowed)
    values = measure(bars, moments)
    for moment, value in zip(moments, values, strict=True):
        if not np.isfinite(value):
            raise ConfigError.of(
                "--moments", moment.name, f"a moment that {bars.name} has: it cannot be measured there"
            )
