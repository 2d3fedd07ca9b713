"""Did the margin cover what it promised: tests on the sequence of exceedances (losses above the margin).

``p`` is the promised rate of exceedances, one less the confidence; ``x`` of ``n`` losses exceeded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.errors import ConfigError

LEVEL = 0.05  # of the tests
BASEL_WINDOW = 250
YELLOW, RED = 0.95, 0.9999  # cumulative probabilities at which the zones begin


@dataclass(frozen=True, slots=True)
class LikelihoodRatio:
    """A likelihood ratio test.

    Attributes:
        statistic: asymptotically chi-squared under the hypothesis.
        degrees: of freedom.
        p_value: probability of a larger statistic under the hypothesis.
    """

    statistic: float
    degrees: int
    p_value: float

    @property
    def accepted(self) -> bool:
        """True where the hypothesis stands at the 5 % level."""
        return self.p_value >= LEVEL


def _ratio(statistic: float, degrees: int) -> LikelihoodRatio:
    from scipy.stats import chi2

    value = max(statistic, 0.0)
    return LikelihoodRatio(value, degrees, float(chi2.sf(value, degrees)))


def _log_likelihood(misses: int, hits: int, probability: float) -> float:
    """Of a sequence of independent hits; ``0 ln 0 = 0``."""
    total = 0.0
    if misses:
        total += misses * math.log1p(-probability) if probability < 1.0 else -math.inf
    if hits:
        total += hits * math.log(probability) if probability > 0.0 else -math.inf
    return total


def _checked(exceedances: int, observations: int, p: float) -> None:
    if not 0.0 < p < 1.0:
        raise ConfigError.of("p", p, "a probability above 0 and below 1")
    if not 0 <= exceedances <= observations or observations < 1:
        raise ConfigError.of("exceedances", f"{exceedances} of {observations}", "from 0 to at least 1 observation")


def kupiec(exceedances: int, observations: int, p: float) -> LikelihoodRatio:
    """Test of unconditional coverage: the exceedances occur at the promised rate.

    ``LR_uc = -2 ln[(1-p)^(n-x) p^x / ((1-x/n)^(n-x) (x/n)^x)]``, chi-squared with one degree of freedom.

    Args:
        exceedances: x.
        observations: n.
        p: promised rate of exceedances.

    Examples:
        >>> round(kupiec(20, 252, 0.05).statistic, 4)
        3.9126

    Reference:
        Kupiec (1995), Techniques for verifying the accuracy of risk measurement models, J. Derivatives 3.
    """
    _checked(exceedances, observations, p)
    misses = observations - exceedances
    promised = _log_likelihood(misses, exceedances, p)
    found = _log_likelihood(misses, exceedances, exceedances / observations)
    return _ratio(-2.0 * (promised - found), 1)


def accepted_exceedances(observations: int, p: float, level: float = LEVEL) -> tuple[int, int]:
    """Smallest and largest number of exceedances that Kupiec's test does not reject.

    Examples:
        >>> [accepted_exceedances(n, 0.01) for n in (255, 510, 1000)]
        [(1, 6), (2, 10), (5, 16)]
    """
    from scipy.stats import chi2

    _checked(0, observations, p)
    critical = float(chi2.isf(level, 1))
    middle = min(max(round(observations * p), 0), observations)
    kept = [x for x in (middle, middle + 1, middle - 1) if 0 <= x <= observations]
    inside = [x for x in kept if kupiec(x, observations, p).statistic <= critical]
    low = high = inside[0]
    while low > 0 and kupiec(low - 1, observations, p).statistic <= critical:
        low -= 1
    while high < observations and kupiec(high + 1, observations, p).statistic <= critical:
        high += 1
    return low, high


def independence(hits: npt.ArrayLike) -> LikelihoodRatio:
    """Test of independence: an exceedance does not change the chance of one on the next day.

    With ``n_ij`` days in state j after one in state i (1: exceedance), a first-order Markov chain is tested against
    equal rows; chi-squared with one degree of freedom.

    Args:
        hits: bool[n], in order of time.

    Reference:
        Christoffersen (1998), Evaluating interval forecasts, International Economic Review 39.
    """
    series = np.asarray(hits, bool)
    before, after = series[:-1], series[1:]
    n00, n01 = int(np.sum(~before & ~after)), int(np.sum(~before & after))
    n10, n11 = int(np.sum(before & ~after)), int(np.sum(before & after))
    if n00 + n01 + n10 + n11 == 0:
        return _ratio(0.0, 1)
    common = (n01 + n11) / (n00 + n01 + n10 + n11)
    after_none = n01 / (n00 + n01) if n00 + n01 else 0.0
    after_hit = n11 / (n10 + n11) if n10 + n11 else 0.0
    equal = _log_likelihood(n00 + n10, n01 + n11, common)
    markov = _log_likelihood(n00, n01, after_none) + _log_likelihood(n10, n11, after_hit)
    return _ratio(-2.0 * (equal - markov), 1)


def conditional_coverage(hits: npt.ArrayLike, p: float) -> LikelihoodRatio:
    """Joint test ``LR_cc = LR_uc + LR_ind`` of coverage and independence, two degrees of freedom."""
    series = np.asarray(hits, bool)
    unconditional = kupiec(int(series.sum()), len(series), p)
    return _ratio(unconditional.statistic + independence(series).statistic, 2)


@dataclass(frozen=True, slots=True)
class TrafficLight:
    """Zone of the Basel framework.

    Attributes:
        exceedances: x.
        observations: n.
        cumulative: probability of at most x exceedances if the promise holds.
        zone: ``"green"``, ``"yellow"`` or ``"red"``.
    """

    exceedances: int
    observations: int
    cumulative: float
    zone: str


def traffic_light(exceedances: int, observations: int = BASEL_WINDOW, p: float = 0.01) -> TrafficLight:
    """Zone of a number of exceedances: yellow from a cumulative probability of 95 %, red from 99.99 %.

    At 250 days and 99 % this is the published table: 0-4 green, 5-9 yellow, 10 and more red.

    Examples:
        >>> [traffic_light(x).zone for x in (4, 5, 9, 10)]
        ['green', 'yellow', 'yellow', 'red']
        >>> [round(traffic_light(x).cumulative, 4) for x in (4, 9)]
        [0.8922, 0.9997]

    Reference:
        Basel Committee (1996), Supervisory framework for the use of "backtesting", table 2.
    """
    from scipy.stats import binom

    _checked(exceedances, observations, p)
    cumulative = float(binom.cdf(exceedances, observations, p))
    zone = "red" if cumulative >= RED else "yellow" if cumulative >= YELLOW else "green"
    return TrafficLight(exceedances, observations, cumulative, zone)


def worst_window(hits: npt.ArrayLike, window: int = BASEL_WINDOW) -> tuple[int, int]:
    """Most exceedances in a window of consecutive observations, and the position of that window's last one.

    Args:
        hits: bool[n].
        window: observations; the whole series where it is shorter.
    """
    total = np.concatenate([[0], np.cumsum(np.asarray(hits, np.int64))])
    width = min(window, len(total) - 1)
    counts = total[width:] - total[:-width] if width else np.zeros(1, np.int64)
    worst = int(np.argmax(counts))
    return int(counts[worst]), worst + width - 1
