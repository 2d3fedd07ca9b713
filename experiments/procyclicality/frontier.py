"""Which regimes nobody needs: the frontier of cost, coverage, procyclicality and default loss, with its uncertainty.

A regime is dominated where another one is no worse in every objective and better in one. Estimates differ by chance, so
the objectives are computed again on resamples of what they are means of (seeds, or blocks of days), the same resample
for every regime; a regime's support is the share of resamples in which nothing dominates it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from margin.backtests.frontier import dominating

RESAMPLES = 2000
GENERATOR_SEED = 20_081_015
SURE = 0.95
"""Support from which a regime is called non-dominated beyond doubt, and below one less which dominated beyond doubt."""

Objectives = Callable[[NDArray[np.int64]], NDArray[np.float64]]
"""From the places of a resample to float64[regimes, objectives], smaller is better."""


def frontier(
    names: Sequence[str], objectives: Sequence[str], measured: Objectives, places: int, resamples: Iterator[Any]
) -> dict[str, Any]:
    """Find the frontier and how sure it is.

    Args:
        names: regimes.
        objectives: names of the objectives.
        measured: gives the objectives on a resample.
        places: number of seeds or days.
        resamples: int64[n] each, places drawn.

    Returns:
        ``objectives``; ``values`` {regime: {objective: value}}; ``non_dominated``; ``dominated_by`` {regime: regime};
        ``support`` {regime: share of resamples in which it is not dominated}; ``resamples``.
    """
    table = measured(np.arange(places))
    by = dominating(table)
    counts, drawn = np.zeros(len(names)), 0
    for chosen in resamples:
        counts += np.array(dominating(measured(chosen))) < 0
        drawn += 1
    return {
        "objectives": list(objectives),
        "values": {
            name: {key: value if np.isfinite(value) else None for key, value in zip(objectives, row, strict=True)}
            for name, row in zip(names, table.tolist(), strict=True)
        },
        "non_dominated": [name for name, found in zip(names, by, strict=True) if found < 0],
        "dominated_by": {name: names[found] for name, found in zip(names, by, strict=True) if found >= 0},
        "support": dict(zip(names, (counts / max(drawn, 1)).tolist(), strict=True)),
        "resamples": drawn,
    }  # fmt: skip


def over_seeds(
    values: Mapping[str, Mapping[str, NDArray[np.float64]]],
    objectives: Sequence[str],
    resamples: int = RESAMPLES,
    decimals: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """The frontier of means over seeds; seeds are resampled together for all regimes.

    Args:
        values: regime -> measure -> float64[seeds]; a NaN is left out of its mean.
        objectives: measures, smaller is better.
        resamples: bootstrap resamples.
        decimals: by objective, to which its mean is rounded before it is compared.
    """
    places = {key: (decimals or {}).get(key) for key in objectives}
    names = list(values)
    table = np.array([[np.asarray(values[name][key], float) for key in objectives] for name in names])
    seeds = table.shape[2]

    def measured(chosen: NDArray[np.int64]) -> NDArray[np.float64]:
        drawn = table[:, :, chosen]
        known = np.isfinite(drawn)
        counts = known.sum(axis=2)
        with np.errstate(invalid="ignore"):
            means = np.where(counts > 0, np.where(known, drawn, 0.0).sum(axis=2) / np.maximum(counts, 1), np.nan)
        for k, digits in enumerate(places.values()):
            if digits is not None:
                means[:, k] = np.round(means[:, k], digits)
        return means

    generator = np.random.default_rng(GENERATOR_SEED)
    draws = (generator.integers(0, seeds, seeds) for _ in range(resamples if seeds > 1 else 0))
    return frontier(names, objectives, measured, seeds, draws)


def stationary_blocks(days: int, block: float, resamples: int) -> Iterator[NDArray[np.int64]]:
    """Days drawn in blocks of geometric length, wrapped around the end (Politis and Romano 1994).

    Args:
        days: length of the series and of each resample.
        block: mean length of a block.
        resamples: how many.

    Reference:
        Politis, D. N. and Romano, J. P. (1994). The stationary bootstrap. JASA 89(428), 1303-1313.
    """
    generator = np.random.default_rng(GENERATOR_SEED)
    for _ in range(resamples):
        fresh = generator.random(days) < 1.0 / block
        fresh[0] = True
        starts = generator.integers(0, days, days)
        begun = np.maximum.accumulate(np.where(fresh, np.arange(days), 0))
        yield (starts[begun] + np.arange(days) - begun) % days
