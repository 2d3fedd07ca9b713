"""How large are cascades? Power law against alternatives, by the package powerlaw.

Two sizes are counted in liquidations. A *tree* is a root with all whom its forced sales brought down, step after round
(:mod:`sim.causes`). A *burst* is what is liquidated in consecutive steps, which needs no record of causes and joins
cascades that go on from step to step.

Method: Clauset, Shalizi and Newman (2009), Power-law distributions in empirical data, SIAM Review 51:661-703. The
exponent is the maximum-likelihood one above an xmin that minimises the Kolmogorov-Smirnov distance D; p is the share of
synthetic samples (drawn from the fit above xmin and from the data below it, fitted in the same way) with a larger D;
alternatives are compared above the same xmin by Vuong's normalised likelihood ratio. Fits: Alstott, Bullmore and Plenz
(2014), powerlaw: a Python package, PLoS ONE 9:e85777.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from experiments.statistics import CONFIDENCE, GENERATOR_SEED
from experiments.vocabulary import number

if TYPE_CHECKING:
    import pandas as pd

ALTERNATIVES = ("lognormal", "exponential", "truncated_power_law")
RULED_OUT = 0.1
"""p below which the power law is ruled out, as Clauset et al. advise."""
LEAST = 50
"""Cascades that a fit needs, in all and above xmin."""
KINDS = ("trees", "bursts")
_CLUSTERED = 200  # resamples of seeds for the interval of the exponent
_RANGES = {"alpha": (0.0, 20.0)}  # the package's own end at 3, which steep laws exceed
_TABLE = 20_000  # sizes whose probability is tabled when a discrete power law is drawn from

Sizes = NDArray[np.int64]
Counts = Mapping[str, int]


@dataclass(frozen=True)
class SizeTask:
    """Sizes to fit, picklable.

    Attributes:
        name: of the sample.
        by_seed: per seed, size (as text, as JSON keeps keys) -> number of cascades.
        resamples: synthetic samples for p; 0 leaves it out.
    """

    name: str
    by_seed: tuple[Counts, ...]
    resamples: int


def counted(causes: pd.DataFrame, start: int, end: int) -> dict[str, Any]:
    """Trees and bursts of one run as counts by size.

    Args:
        causes: table of liquidations (:func:`sim.causes.causes_table`).
        start: count from the step after this one.
        end: last step.

    Returns:
        ``trees`` and ``bursts`` {size as text: number}, ``liquidations``, ``forced`` (sum of the weights of others'
        forced fills: the numerator of the branching ratio), ``depth`` (largest generation).
    """
    inside = causes[(causes["step"] > start) & (causes["step"] <= end)]
    trees = inside.groupby("cascade").size().to_numpy()
    steps, per_step = np.unique(inside["step"].to_numpy(), return_counts=True)
    starts = np.flatnonzero(np.diff(steps, prepend=-2) > 1)
    bursts = np.add.reduceat(per_step, starts) if len(starts) else np.zeros(0, np.int64)
    return {
        "trees": _counts(trees),
        "bursts": _counts(bursts),
        "liquidations": len(inside),
        "forced": float(inside["w_liquidations"].sum()),
        "depth": int(inside["generation"].max()) if len(inside) else 0,
    }


def nothing() -> dict[str, Any]:
    """What :func:`counted` would give of a run that was not made."""
    return {"trees": {}, "bursts": {}, "liquidations": None, "forced": None, "depth": 0}


def fit(task: SizeTask) -> dict[str, Any]:
    """Fit one sample of sizes.

    Returns:
        ``n`` cascades, ``mean`` and ``largest`` size, ``ccdf`` [[size, share at least as large]]; and either ``reason``
        why no law is fitted, or ``xmin``, ``n_tail``, ``alpha`` with ``low`` and ``high`` (percentile bootstrap over
        seeds at this xmin) and ``sigma`` (of the likelihood, as if cascades were independent), ``ks`` (D), ``p`` of the
        power law with ``resamples``, ``alternatives`` {name: {``ratio``, ``p``, ``parameters``}}, ratio above zero:
        the power law is likelier.
    """
    sample = pooled(task.by_seed)
    found: dict[str, Any] = {"name": task.name, "n": len(sample)}
    if len(sample) == 0:
        return found | {"mean": None, "largest": 0, "ccdf": [], "reason": "no cascade"}
    sizes, counts = np.unique(sample, return_counts=True)
    above = np.cumsum(counts[::-1])[::-1] / len(sample)
    found |= {"mean": float(sample.mean()), "largest": int(sample[-1])}
    found["ccdf"] = [[int(size), float(share)] for size, share in zip(sizes, above, strict=True)]
    law = power_law(sample)
    if law is None:
        few = f"fewer than {LEAST} cascades, or fewer than three sizes, in the tail of any xmin"
        return found | {"reason": few}
    found |= {"xmin": law.xmin, "n_tail": law.n_tail, "alpha": law.alpha, "sigma": law.sigma, "ks": law.ks}
    found["low"], found["high"] = _exponent_interval(task.by_seed, law.xmin)
    found["p"], found["resamples"] = goodness(sample, law, task.resamples), task.resamples
    found["alternatives"] = _alternatives(sample, law)
    return found


def p_text(p: float | None, resamples: int) -> str:
    """A p-value as it is read: none of the synthetic samples is less than one of them.

    Examples:
        >>> p_text(0.0, 100), p_text(0.25, 100)
        ('< 0.01', '0.25')
    """
    if p is None:
        return "n/a"
    return f"< {number(1 / resamples, 2 if resamples <= 100 else 4)}" if p == 0.0 else number(p, 2)


def pooled(by_seed: Iterable[Counts]) -> Sizes:
    """All sizes of some seeds, sorted."""
    total: Counter[int] = Counter()
    for counts in by_seed:
        total.update({int(size): number for size, number in counts.items()})
    sizes = sorted(total)
    return np.repeat(np.array(sizes, np.int64), [total[size] for size in sizes])


@dataclass(frozen=True)
class Law:
    """A fitted discrete power law: p(k) ~ k^-alpha for k >= xmin."""

    xmin: int
    alpha: float
    sigma: float
    ks: float
    n_tail: int


def power_law(sample: Sizes) -> Law | None:
    """Fit a discrete power law above the xmin of smallest distance; None where no tail is long enough.

    Args:
        sample: sorted sizes.
    """
    sizes, first = np.unique(sample, return_index=True)
    usable = sizes[_usable(sizes, first, len(sample))]
    if len(usable) == 0:
        return None
    # the package leaves out the last size of a range, so the range goes one size beyond those allowed
    one = len(usable) == 1
    found = _fitted(sample, float(usable[0]) if one else (float(usable[0]), float(sizes[len(usable)]) + 0.5))
    law = found.power_law
    ok = math.isfinite(law.alpha) and math.isfinite(law.D)
    return (
        Law(int(found.xmin), float(law.alpha), float(law.standard_err), float(law.D), int(found.n_tail)) if ok else None
    )


def _fitted(sample: Sizes, xmin: float | tuple[float, float]) -> Any:
    import powerlaw

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of single values of xmin whose optimum lies at an end
        found = powerlaw.Fit(sample, discrete=True, xmin=xmin, parameter_ranges=_RANGES, verbose=False)
        _ = found.power_law
    return found


def _exponent_interval(by_seed: Sequence[Counts], xmin: int) -> tuple[float | None, float | None]:
    """Percentile bootstrap over seeds at a given xmin: cascades of one run share their market."""
    if len(by_seed) < 2:
        return None, None
    rng = np.random.default_rng(GENERATOR_SEED)
    drawn = []
    for _ in range(_CLUSTERED):
        sample = pooled(by_seed[i] for i in rng.integers(0, len(by_seed), len(by_seed)))
        if (sample >= xmin).sum() >= 2 and sample[-1] > xmin:
            drawn.append(exponent(sample, xmin))
    if len(drawn) < _CLUSTERED / 2:
        return None, None
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def exponent(sample: Sizes, xmin: int) -> float:
    """Maximum-likelihood exponent of a discrete power law above xmin (Clauset et al. 2009, eq. 3.5)."""
    sizes, counts = np.unique(sample[sample >= xmin], return_counts=True)
    return _exponent(sizes, counts, xmin)


def _exponent(sizes: Sizes, counts: Sizes, xmin: int) -> float:
    from scipy import optimize, special

    mean_log = float(np.log(sizes) @ counts) / float(counts.sum())

    def cost(alpha: float) -> float:
        return math.log(special.zeta(alpha, float(xmin))) + alpha * mean_log

    return float(optimize.minimize_scalar(cost, bounds=(1.0001, 20.0), method="bounded", options={"xatol": 1e-6}).x)


def scan(sample: Sizes) -> tuple[int, float, float] | None:
    """xmin, exponent and distance of a fit, as :func:`power_law` finds them, without the package's overhead.

    A p-value takes hundreds of fits, which is ten times the time with the package; a test holds that both agree.
    """
    from scipy import special

    sizes, counts = np.unique(sample, return_counts=True)
    first = np.cumsum(counts) - counts
    best: tuple[int, float, float] | None = None
    for i in _usable(sizes, first, len(sample)):
        alpha = _exponent(sizes[i:], counts[i:], int(sizes[i]))
        law = special.zeta(alpha, sizes[i:] + 1.0) / special.zeta(alpha, float(sizes[i]))
        seen = 1.0 - np.cumsum(counts[i:]) / counts[i:].sum()
        distance = float(np.max(np.abs(law - seen)))
        if best is None or distance < best[2]:
            best = (int(sizes[i]), alpha, distance)
    return best


def _usable(sizes: Sizes, first: Sizes, n: int) -> NDArray[np.int64]:
    """Places of sizes that may be xmin: the tail above holds enough cascades and three different sizes."""
    return np.flatnonzero((n - first >= LEAST) & (np.arange(len(sizes)) <= len(sizes) - 3))


def drawn_from(alpha: float, xmin: int, n: int, rng: np.random.Generator) -> Sizes:
    """A sample of a discrete power law, by inversion of its distribution function.

    Sizes beyond a long table take the continuous law's tail, which differs from the discrete one by less than 1/size.
    """
    from scipy import special

    k = np.arange(xmin, xmin + _TABLE, dtype=np.float64)
    at_least = special.zeta(alpha, k) / special.zeta(alpha, xmin)
    u = 1.0 - rng.random(n)  # in (0, 1]
    # the largest k with P(K >= k) >= u
    place = np.searchsorted(-at_least, -u, side="right") - 1
    found = k[place]
    last = at_least[-1]
    beyond = u < last
    with np.errstate(over="ignore"):
        far = k[-1] * (u[beyond] / last) ** (-1.0 / (alpha - 1.0))
    found[beyond] = np.minimum(np.floor(far), 2.0**53)
    return found.astype(np.int64)


def goodness(sample: Sizes, law: Law, resamples: int) -> float | None:
    """P of a fitted power law: the share of synthetic samples that lie farther from their own fit.

    Args:
        sample: sorted sizes.
        law: its fit.
        resamples: synthetic samples; p is known to about 1 / (2 sqrt(resamples)). None is returned for 0.
    """
    if resamples == 0:
        return None
    found = scan(sample)
    if found is None:
        return None
    rng = np.random.default_rng(GENERATOR_SEED)
    below = sample[sample < law.xmin]
    n, farther, fitted = len(sample), 0, 0
    for _ in range(resamples):
        tail = int(rng.binomial(n, law.n_tail / n))
        parts = [drawn_from(law.alpha, law.xmin, tail, rng)]
        if n > tail:
            parts.append(rng.choice(below, n - tail))
        again = scan(np.concatenate(parts))
        if again is not None:
            fitted += 1
            farther += again[2] >= found[2]
    return farther / fitted if fitted else None


def _alternatives(sample: Sizes, law: Law) -> dict[str, Any]:
    compared = _fitted(sample, law.xmin)
    found: dict[str, Any] = {}
    for name in ALTERNATIVES:
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                # a power law is a truncated one without its cut-off; the others are not nested
                ratio, p = compared.distribution_compare(
                    "power_law", name, nested=name == "truncated_power_law", normalized_ratio=True
                )
                other = getattr(compared, name)
                known = {key: float(getattr(other, key)) for key in _PARAMETERS[name]}
        except (ValueError, ArithmeticError) as error:  # a fit without an optimum in the data's range
            found[name] = {"ratio": None, "p": None, "parameters": {}, "reason": str(error)}
            continue
        found[name] = {"ratio": float(ratio), "p": float(p), "parameters": known}
    return found


_PARAMETERS = {"lognormal": ("mu", "sigma"), "exponential": ("Lambda",), "truncated_power_law": ("alpha", "Lambda")}


def _counts(sizes: NDArray[Any]) -> dict[str, int]:
    values, counts = np.unique(np.asarray(sizes, np.int64), return_counts=True)
    return {str(int(value)): int(count) for value, count in zip(values, counts, strict=True)}
