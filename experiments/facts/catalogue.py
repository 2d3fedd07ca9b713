"""The stylised facts: what is measured, at which horizon, the empirical range and its primary source.

A fact is a number of a :class:`experiments.facts.tape.Tape`, measured at a stated horizon whatever the tape's step, so
that a simulated market at ten seconds and a file of minute bars are judged alike. Where a tape does not have what a
fact needs (quotes, order signs, the horizon, enough observations) the number is NaN: not measurable.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from experiments.facts import estimators as est
from experiments.facts.tape import DAY, Array, Tape

MINUTE, HOUR = 60.0, 3600.0
TAIL_SHARE = 0.05
"""Share of the absolute returns that is the tail of Hill's estimator, in every measure that does not say otherwise."""
SIGN_LAGS = 1000
"""Longest lag, in taker orders, of the fit to the autocorrelation of order signs."""
ABS_LAGS_MINUTES, ABS_LAGS_DAYS = (1, 600), (1, 100)
"""First and last lag of the fit to the autocorrelation of absolute returns, minutes and trading days."""
KURTOSIS_MINUTES = (1, 5, 10, 30, 60)
LEVERAGE_LAGS = 10

INFINITE = math.inf


@dataclass(frozen=True)
class Fact:
    """A stylised fact.

    Attributes:
        name: key of the number.
        what: what is measured, with its horizon.
        low: lower end of the empirical range, minus infinity for none.
        high: upper end, infinity for none; a fact with neither is reported and not judged.
        source: where the range was published.
        unit: of the number.
        needs: fields of a tape that it needs beside the price.
        horizon: seconds of a return, 0 where no returns are taken.
        estimate: the number of a tape; asked only when the tape has what is needed.
        note: what to know about range or estimate.
        group: heading under which it stands.
    """

    name: str
    what: str
    low: float
    high: float
    source: str
    unit: str
    needs: tuple[str, ...]
    horizon: float
    estimate: Callable[[Tape], float]
    note: str = ""
    group: str = ""

    @property
    def judged(self) -> bool:
        """True where there is a range."""
        return math.isfinite(self.low) or math.isfinite(self.high)

    def holds(self, value: float) -> bool:
        """True where a value lies in the range."""
        return self.low <= value <= self.high

    def measure(self, tape: Tape) -> float:
        """The number of a tape, NaN where it cannot be measured."""
        if any(getattr(tape, name) is None for name in self.needs):
            return math.nan
        if self.horizon and tape.steps_of(self.horizon) is None:
            return math.nan
        value = float(self.estimate(tape))
        return value if math.isfinite(value) else math.nan


def returns_at(tape: Tape, seconds: float, offset: int = 0) -> Array:
    """Returns of a tape over a horizon that do not overlap; empty where the tape has no such horizon."""
    source = tape.daily() if seconds >= DAY else tape
    k = source.steps_of(seconds)
    return np.empty(0) if k is None else est.returns(source.mid, k, offset=offset, session=source.session)


def _all_starts(tape: Tape, seconds: float) -> list[Array]:
    """Returns over a horizon from up to ten starts: each set has the same tail, their mean has less noise."""
    k = tape.steps_of(seconds) if seconds < DAY else 1
    if k is None:
        return [np.empty(0)]
    return [returns_at(tape, seconds, o) for o in sorted({int(o) for o in np.linspace(0, k - 1, min(k, 10))})]


def _harmonic(found: Sequence[float]) -> float:
    """Harmonic mean: tail exponents are averaged as shapes, one over the exponent."""
    mean = float(np.mean(1.0 / np.array(found)))
    return 1.0 / mean if mean > 0 else math.nan


def hill_at(tape: Tape, seconds: float, share: float = TAIL_SHARE) -> float:
    """Hill exponent of returns over a horizon, averaged over their starts."""
    return _harmonic([est.hill(r, share).alpha for r in _all_starts(tape, seconds)])


def tail_ml_at(tape: Tape, seconds: float) -> float:
    """Exponent of a Pareto tail by maximum likelihood, threshold at the least Kolmogorov-Smirnov distance."""
    return _harmonic([est.tail_ml(r).alpha for r in _all_starts(tape, seconds)])


def tail_shape_at(tape: Tape, seconds: float) -> float:
    """Shape of a generalised Pareto tail (largest ten per cent) by maximum likelihood, averaged over starts."""
    return float(np.mean([est.tail_gpd(r).shape for r in _all_starts(tape, seconds)]))


def _spread(tape: Tape) -> float:
    assert tape.bid is not None
    assert tape.ask is not None
    wide = (tape.ask - tape.bid) / (0.5 * (tape.ask + tape.bid))
    known = wide[np.isfinite(wide)]
    return 1e4 * float(known.mean()) if len(known) else math.nan


def _one_sided(tape: Tape) -> float:
    assert tape.bid is not None
    assert tape.ask is not None
    return float(np.mean(~(np.isfinite(tape.bid) & np.isfinite(tape.ask))))


def _depth(tape: Tape) -> float:
    assert tape.depth_bid is not None
    assert tape.depth_ask is not None
    return float(np.nanmean(0.5 * (tape.depth_bid + tape.depth_ask)))


def _depth_in_days(tape: Tape) -> float:
    assert tape.volume is not None
    daily = float(np.nanmean(tape.volume)) * tape.steps_per_day
    return _depth(tape) / daily if daily > 0 else math.nan


def _ac(tape: Tape, seconds: float, lag: int) -> float:
    return float(est.autocorrelation(returns_at(tape, seconds), [lag])[0])


def _ac_abs(tape: Tape, seconds: float, lag: int) -> float:
    return float(est.mean_autocorrelation(np.abs(returns_at(tape, seconds)), [lag])[0])


def abs_decay_at(tape: Tape, seconds: float) -> est.Decay:
    """Power law fitted to the autocorrelation of absolute returns over one minute or one day."""
    moved = np.abs(returns_at(tape, seconds))
    known = int(np.isfinite(moved).sum())
    first, last = ABS_LAGS_DAYS if seconds >= DAY else ABS_LAGS_MINUTES
    lags = np.arange(first, min(last, known // 5) + 1)
    return est.power_decay(lags, est.autocorrelation(moved, lags), noise=1.0 / math.sqrt(max(known, 1)))


def sign_decay(tape: Tape) -> est.Decay:
    """Power law fitted to the autocorrelation of order signs."""
    assert tape.order_signs is not None
    signs = tape.order_signs
    lags = np.arange(1, min(SIGN_LAGS, len(signs) // 10) + 1)
    return est.power_decay(lags, est.autocorrelation(signs, lags), noise=1.0 / math.sqrt(max(len(signs), 1)))


def _sign_ac(tape: Tape, lag: int) -> float:
    assert tape.order_signs is not None
    return float(est.mean_autocorrelation(tape.order_signs, [lag])[0])


def kurtosis_at(tape: Tape, seconds: float) -> float:
    """Excess kurtosis of returns over a horizon."""
    source = tape.daily() if seconds >= DAY else tape
    k = source.steps_of(seconds)
    return math.nan if k is None else float(est.kurtosis_by_horizon(source.mid, [k], session=source.session)[0])


def _kurtosis_fall(tape: Tape) -> float:
    return kurtosis_at(tape, MINUTE) - kurtosis_at(tape, HOUR)


def signature_at(tape: Tape, seconds: Sequence[float]) -> Array:
    """Volatility per square root of a day, in per cent, measured over each horizon; NaN where a tape has none."""
    found = np.full(len(seconds), np.nan)
    for i, horizon in enumerate(seconds):
        k = tape.steps_of(horizon)
        if k is not None:
            value = est.volatility_signature(tape.mid, [k], session=tape.session)[0]
            found[i] = 100.0 * value * math.sqrt(tape.steps_per_day)
    return found


def _signature_ratio(tape: Tape) -> float:
    short, long = signature_at(tape, (MINUTE, HOUR))
    return float(short / long)


def _volatility(tape: Tape, seconds: float) -> float:
    source = tape.daily() if seconds >= DAY else tape
    return float(signature_at(source, (seconds,))[0])


def _leverage(tape: Tape, seconds: float) -> float:
    return est.leverage_correlation(returns_at(tape, seconds), LEVERAGE_LAGS)


def _volume_volatility(tape: Tape, seconds: float) -> float:
    source = tape.daily() if seconds >= DAY else tape
    k = source.steps_of(seconds)
    if k is None or source.volume is None:
        return math.nan
    return est.volume_volatility(source.mid, source.volume, k, session=source.session)


def _hurst(tape: Tape, seconds: float, *, absolute: bool) -> float:
    moved = returns_at(tape, seconds)
    return est.hurst(np.abs(moved) if absolute else moved).exponent


_CONT = "Cont (2001), Quant. Finance 1, 223"
_CONT_TAIL = f"{_CONT}; Gopikrishnan et al. (1999), PRE 60, 5305; Gabaix et al. (2003), Nature 423, 267"
_LILLO = "Lillo and Farmer (2004), Stud. Nonlinear Dyn. E. 8(3); Bouchaud et al. (2004), Quant. Finance 4, 176"

FACTS: tuple[Fact, ...] = (
    Fact("spread_bp", "mean quoted spread", 0.0, 20.0,
         "Chordia, Roll and Subrahmanyam (2001), JF 56, 501; Makarov and Schoar (2020), JFE 135, 293",
         "bp", ("bid", "ask"), 0.0, _spread, "liquid markets", "book"),
    Fact("one_sided", "share of time with an empty side of the book", 0.0, 0.001, "", "share", ("bid", "ask"), 0.0,
         _one_sided, "", "book"),
    Fact("depth_lots", "mean depth of a side", -INFINITE, INFINITE, "", "lots", ("depth_bid", "depth_ask"), 0.0,
         _depth, "", "book"),
    Fact("depth_days", "mean depth of a side over daily volume", -INFINITE, INFINITE, "", "days of volume",
         ("depth_bid", "depth_ask", "volume"), 0.0, _depth_in_days, "", "book"),
    Fact("volatility_day", "volatility from one-hour returns", -INFINITE, INFINITE, "", "% per day", (), HOUR,
         partial(_volatility, seconds=HOUR), "", "returns"),
    Fact("ac1", "autocorrelation of 1-minute returns, lag 1", -0.35, 0.1, f"{_CONT}; Roll (1984), JF 39, 1127", "",
         (), MINUTE, partial(_ac, seconds=MINUTE, lag=1), "", "returns"),
    Fact("ac2", "autocorrelation of 1-minute returns, lag 2", -0.1, 0.1, _CONT, "", (), MINUTE,
         partial(_ac, seconds=MINUTE, lag=2), "", "returns"),
    Fact("ac1_30min", "autocorrelation of 30-minute returns, lag 1", -0.15, 0.15, _CONT, "", (), 30 * MINUTE,
         partial(_ac, seconds=30 * MINUTE, lag=1), "", "returns"),
    Fact("ac1_day", "autocorrelation of daily returns, lag 1", -0.15, 0.15, _CONT, "", (), DAY,
         partial(_ac, seconds=DAY, lag=1), "", "returns"),
    Fact("hurst", "Hurst exponent of 1-minute returns", 0.42, 0.58, _CONT, "", (), MINUTE,
         partial(_hurst, seconds=MINUTE, absolute=False), "", "returns"),
    Fact("hurst_day", "Hurst exponent of daily returns", 0.42, 0.58, _CONT, "", (), DAY,
         partial(_hurst, seconds=DAY, absolute=False), "", "returns"),
    Fact("signature_ratio", "volatility from 1-minute over volatility from 1-hour returns", 0.9, 1.3,
         "Andersen, Bollerslev, Diebold and Labys (2000), Risk 13, 105", "", (), MINUTE, _signature_ratio, "",
         "returns"),
    Fact("ac60_abs", "autocorrelation of absolute 1-minute returns, lag 60", 0.05, 0.5, _CONT, "", (), MINUTE,
         partial(_ac_abs, seconds=MINUTE, lag=60), "", "volatility"),
    Fact("abs_decay", "exponent of its decay, lags 1 to 600 minutes", 0.1, 0.5, _CONT, "", (), MINUTE,
         lambda tape: abs_decay_at(tape, MINUTE).exponent, "", "volatility"),
    Fact("ac20_abs_day", "autocorrelation of absolute daily returns, lag 20", 0.05, 0.5, _CONT, "", (), DAY,
         partial(_ac_abs, seconds=DAY, lag=20), "", "volatility"),
    Fact("abs_decay_day", "exponent of its decay, lags 1 to 100 days", 0.1, 0.6, _CONT, "", (), DAY,
         lambda tape: abs_decay_at(tape, DAY).exponent, "", "volatility"),
    Fact("hurst_abs", "Hurst exponent of absolute 1-minute returns", 0.6, 1.0, "Liu et al. (1999), PRE 60, 1390", "",
         (), MINUTE, partial(_hurst, seconds=MINUTE, absolute=True), "", "volatility"),
    Fact("hurst_abs_day", "Hurst exponent of absolute daily returns", 0.6, 1.0, "Liu et al. (1999), PRE 60, 1390", "",
         (), DAY, partial(_hurst, seconds=DAY, absolute=True), "", "volatility"),
    Fact("leverage_10min", "return against the ten next absolute returns, 10 minutes", -0.3, 0.0,
         "Bouchaud, Matacz and Potters (2001), PRL 87, 228701", "", (), 10 * MINUTE,
         partial(_leverage, seconds=10 * MINUTE), "", "volatility"),
    Fact("leverage_day", "return against the ten next absolute returns, daily", -0.3, 0.0,
         "Bouchaud, Matacz and Potters (2001), PRL 87, 228701", "", (), DAY, partial(_leverage, seconds=DAY), "",
         "volatility"),
    Fact("volume_volatility", "correlation of absolute return and volume, 10 minutes", 0.1, 0.9,
         "Karpoff (1987), JFQA 22, 109", "", ("volume",), 10 * MINUTE,
         partial(_volume_volatility, seconds=10 * MINUTE), "", "volatility"),
    Fact("volume_volatility_day", "correlation of absolute return and volume, daily", 0.1, 0.9,
         "Karpoff (1987), JFQA 22, 109", "", ("volume",), DAY, partial(_volume_volatility, seconds=DAY), "",
         "volatility"),
    Fact("hill_10min", "Hill exponent of 10-minute returns, largest 5 %", 3.0, 5.0, _CONT_TAIL, "", (), 10 * MINUTE,
         partial(hill_at, seconds=10 * MINUTE), "", "tails"),
    Fact("tail_ml_10min", "Pareto tail by maximum likelihood, 10-minute returns", 2.0, 5.0, _CONT_TAIL, "", (),
         10 * MINUTE, partial(tail_ml_at, seconds=10 * MINUTE), "", "tails"),
    Fact("tail_shape_10min", "shape (1 / exponent) of a generalised Pareto tail, 10-minute returns", 0.2, 0.5,
         _CONT_TAIL, "", (), 10 * MINUTE, partial(tail_shape_at, seconds=10 * MINUTE), "", "tails"),
    Fact("hill_1min", "Hill exponent of 1-minute returns, largest 5 %", -INFINITE, INFINITE, "", "", (), MINUTE,
         partial(hill_at, seconds=MINUTE), "bounce between bid and ask is part of it", "tails"),
    Fact("hill_day", "Hill exponent of daily returns, largest 5 %", 2.0, 5.0, _CONT_TAIL, "", (), DAY,
         partial(hill_at, seconds=DAY), "", "tails"),
    Fact("tail_ml_day", "Pareto tail by maximum likelihood, daily returns", 2.0, 5.0, _CONT_TAIL, "", (), DAY,
         partial(tail_ml_at, seconds=DAY), "", "tails"),
    Fact("tail_shape_day", "shape (1 / exponent) of a generalised Pareto tail, daily returns", 0.2, 0.5,
         _CONT_TAIL, "", (), DAY, partial(tail_shape_at, seconds=DAY), "", "tails"),
    *(
        Fact(f"kurtosis_{m}min", f"excess kurtosis of {m}-minute returns", *((3.0, 100.0) if m == 5 else
             (-INFINITE, INFINITE)), _CONT if m == 5 else "", "", (), m * MINUTE,
             partial(kurtosis_at, seconds=m * MINUTE), "", "tails")
        for m in KURTOSIS_MINUTES
    ),
    Fact("kurtosis_day", "excess kurtosis of daily returns", 1.0, 50.0, _CONT, "", (), DAY,
         partial(kurtosis_at, seconds=DAY), "", "tails"),
    Fact("kurtosis_fall", "excess kurtosis at 1 minute less that at 1 hour", 0.0, INFINITE, _CONT, "", (), MINUTE,
         _kurtosis_fall, "", "tails"),
    Fact("sign_ac1", "autocorrelation of order signs, lag 1", 0.1, 0.8, _LILLO, "", ("order_signs",), 0.0,
         partial(_sign_ac, lag=1), "", "order flow"),
    Fact("sign_ac100", "autocorrelation of order signs, lag 100", 0.01, 0.5, _LILLO, "", ("order_signs",), 0.0,
         partial(_sign_ac, lag=100), "", "order flow"),
    Fact("sign_decay", "exponent of its decay, lags 1 to 1000 orders", 0.2, 0.8, _LILLO, "", ("order_signs",), 0.0,
         lambda tape: sign_decay(tape).exponent, "", "order flow"),
)  # fmt: skip


def fact(name: str) -> Fact:
    """A fact by name.

    Raises:
        KeyError: no such fact.
    """
    return _BY_NAME[name]


def measure(tape: Tape) -> dict[str, float]:
    """Every fact of a tape by name; NaN where it cannot be measured."""
    return {known.name: known.measure(tape) for known in FACTS}


_BY_NAME = {known.name: known for known in FACTS}
