"""Does the forecast of ``dynamic_initial`` beat a plain EWMA out of sample?

Weights are chosen on daily log returns of the S&P 500 from 1999 to 2003 and frozen; every forecast is then scored on
2004 to 2018 by QLIKE, ``ln v + x / v`` for the variance forecast v and the mean squared return x of the days ahead
(Patton 2011, Journal of Econometrics 160:246-256: the ranking survives noise in x). Differences are judged by a moving
block bootstrap and by the statistic of Diebold & Mariano (1995).

    python -m experiments.studies.forecasts [--fit]
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from margin.forecast import mean_weight, recursion
from margin.volatility import WARM_UP
from margin.volatility import recursion as ewma_recursion

Floats = NDArray[np.float64]
SPLIT = "2004-01-01"
DECAYS = (0.94, 0.97, 0.99)
ANCHOR_DECAYS = (0.98, 0.99, 0.995, 0.998)
# smallest mean QLIKE of one-day forecasts on 1999 to 2003, found by ``--fit``
FITTED = {"alpha": 0.0, "gamma": 0.182483, "beta": 0.873655, "anchor_decay": 0.99}
_BLOCK = 21
_RESAMPLES = 4999
_SEED = 20_040_102


def returns() -> tuple[Floats, int]:
    """Daily log returns of the S&P 500 that ship with ``arch``, and the number of those before 2004."""
    import arch.data.sp500

    prices = arch.data.sp500.load()["Adj Close"]
    series = np.log(prices).diff().dropna()
    return series.to_numpy(), int(np.searchsorted(series.index.to_numpy(), np.datetime64(SPLIT)))


def qlike(variance: Floats, realised: Floats) -> Floats:
    """``ln v + x / v`` for each day."""
    return np.asarray(np.log(variance) + realised / variance)


def forecasts(series: Floats, horizon: int) -> dict[str, Floats]:
    """Mean variance expected over the next days, by model, float64[n]; element i uses series[:i]."""
    start = float(np.mean(series[:WARM_UP] ** 2))
    found = {f"EWMA {decay}": ewma_recursion(series, 0.0, 1.0 - decay, decay, start)[:-1] for decay in DECAYS}
    fast, slow = recursion(series, **FITTED, start=start)
    weight = mean_weight(FITTED["alpha"] + 0.5 * FITTED["gamma"] + FITTED["beta"], horizon)
    return found | {"forecast": (weight * fast + (1.0 - weight) * slow)[:-1]}


def interval(difference: Floats) -> tuple[float, float]:
    """95 % interval of a mean by the moving block bootstrap, blocks of 21 days."""
    rng = np.random.default_rng(_SEED)
    n = len(difference)
    sums = np.convolve(difference, np.ones(_BLOCK), "valid")
    drawn = rng.integers(0, len(sums), (_RESAMPLES, -(-n // _BLOCK)))
    low, high = np.quantile(sums[drawn].sum(axis=1) / (drawn.shape[1] * _BLOCK), [0.025, 0.975])
    return float(low), float(high)


def diebold_mariano(difference: Floats, lags: int = 20) -> float:
    """Mean over its Newey-West standard error; about standard normal when both forecasts are equally good."""
    centred = difference - difference.mean()
    n = len(centred)
    spread = float(centred @ centred)
    for k in range(1, lags + 1):
        spread += 2.0 * (1.0 - k / (lags + 1)) * float(centred[k:] @ centred[:-k])
    return float(difference.mean() / np.sqrt(spread / n / n))


def compare(horizon: int) -> dict[str, Any]:
    """Out-of-sample scores over a horizon in days, and the forecast's difference to each EWMA.

    Returns:
        ``scores`` by model and ``differences`` by EWMA: mean, low, high, statistic.
    """
    series, split = returns()
    realised = np.convolve(series**2, np.ones(horizon) / horizon, "valid")
    losses = {
        name: qlike(variance[split : len(realised)], realised[split:])
        for name, variance in forecasts(series, horizon).items()
    }
    differences = {}
    for name in list(losses)[:-1]:
        difference = losses["forecast"] - losses[name]
        low, high = interval(difference)
        differences[name] = {
            "mean": float(difference.mean()), "low": low, "high": high,
            "statistic": diebold_mariano(difference, 20 + horizon),
        }  # fmt: skip
    return {"scores": {name: float(loss.mean()) for name, loss in losses.items()}, "differences": differences}


def fit() -> dict[str, dict[str, float]]:
    """Weights with the smallest mean QLIKE on 1999 to 2003, for each decay of the slow average."""
    from scipy.optimize import minimize

    series, split = returns()
    sample = series[:split]
    start = float(np.mean(sample[:WARM_UP] ** 2))
    found = {}
    for decay in ANCHOR_DECAYS:

        def loss(x: Floats, decay: float = decay) -> float:
            alpha, gamma, beta = np.exp(x[0]), np.exp(x[1]), 1.0 / (1.0 + np.exp(-x[2]))
            if alpha + 0.5 * gamma + beta >= 0.9999:
                return 1e3
            fast, _ = recursion(sample, alpha, gamma, beta, decay, start)
            return float(qlike(fast[WARM_UP:-1], sample[WARM_UP:] ** 2).mean())

        best = minimize(loss, [np.log(0.005), np.log(0.15), 2.0], method="Nelder-Mead", options={"maxiter": 300})
        alpha, gamma = np.exp(best.x[:2])
        found[str(decay)] = {
            "alpha": float(alpha), "gamma": float(gamma), "beta": float(1.0 / (1.0 + np.exp(-best.x[2]))),
            "qlike": float(best.fun),
        }  # fmt: skip
    return found


def lines(horizons: Sequence[int] = (1, 2, 5, 10)) -> list[str]:
    """The comparison as a Markdown table."""
    shown = ["| horizon | " + " | ".join(f"QLIKE EWMA {d}" for d in DECAYS) + " | QLIKE forecast | less EWMA 0.94 |"]
    shown.append("|---|" + "---|" * (len(DECAYS) + 2))
    for horizon in horizons:
        result = compare(horizon)
        scores: Mapping[str, float] = result["scores"]
        gap = result["differences"]["EWMA 0.94"]
        cell = f"{gap['mean']:.3f} [{gap['low']:.3f}, {gap['high']:.3f}], DM {gap['statistic']:.1f}"
        shown.append(f"| {horizon} d | " + " | ".join(f"{score:.4f}" for score in scores.values()) + f" | {cell} |")
    return shown


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fit", action="store_true", help="choose the weights again")
    if parser.parse_args(arguments).fit:
        for decay, weights in fit().items():
            print(decay, " ".join(f"{key} {value:.6g}" for key, value in weights.items()))
    print("\n".join(lines()))


if __name__ == "__main__":
    main()
