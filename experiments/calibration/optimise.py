"""Search of the parameter space: a global phase in the unit cube, then a local one from its best points.

Both phases are SciPy's. The distance is a deterministic but rough function of the parameters (common random numbers
keep one seed's draws, not its course, when a parameter moves), so nothing here uses its derivatives.

References:
    Storn, R. and Price, K. (1997). Differential evolution. J. Global Optim. 11, 341-359.
    Xiang, Y. et al. (1997). Generalized simulated annealing algorithm. Phys. Lett. A 233, 216-220.
    Nelder, J. A. and Mead, R. (1965). A simplex method for function minimization. Comput. J. 7(4), 308-313.
    Ragonneau, T. M. and Zhang, Z. COBYQA. https://www.cobyqa.com (derivative-free trust region, in SciPy).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from experiments.calibration.bars import Floats

GLOBAL = ("sobol", "differential-evolution", "dual-annealing", "none")
LOCAL = ("nelder-mead", "powell", "cobyqa", "none")
PENALTY = 1e12
"""Distance of a point that cannot be run."""
STARTS = 3
"""Local searches, from the best points of the global phase that lie apart."""
_APART = 0.08  # largest coordinate difference under which two starts are one
_SHARE = 0.6  # of the budget, for the global phase
_SIMPLEX = 0.06  # edge of the first simplex, as a share of the bounds' distance
_SEED = 1997

Batch = Callable[[Floats], Floats]


class _Spent(Exception):
    """The budget is used up."""


@dataclass
class Search:
    """What was found.

    Attributes:
        best: float64[p] in the unit cube.
        distance: at it.
        points: distinct points asked for.
        trace: smallest distance so far after each of them.
        phases: (name of the phase, points asked for until its end).
    """

    best: Floats
    distance: float
    points: int
    trace: list[float]
    phases: list[tuple[str, int]]


class _Counter:
    """Counts distinct points against a budget and remembers them."""

    def __init__(self, objective: Batch, budget: int, identity: Callable[[Floats], str]) -> None:
        self.objective, self.budget, self.identity = objective, budget, identity
        self.limit = budget
        self.seen: dict[str, float] = {}
        self.places: list[Floats] = []
        self.trace: list[float] = []

    def batch(self, points: Floats) -> Floats:
        """Distances of rows of points; raises when the limit of the phase cuts the batch short."""
        keys = [self.identity(point) for point in points]
        fresh: dict[str, Floats] = {}
        for key, point in zip(keys, points, strict=True):
            if key not in self.seen and key not in fresh and len(self.seen) + len(fresh) < self.limit:
                fresh[key] = point
        if fresh:
            found = self.objective(np.array(list(fresh.values())))
            for key, point, value in zip(fresh, fresh.values(), found, strict=True):
                self.seen[key] = float(value)
                self.places.append(point)
                self.trace.append(min(float(value), self.trace[-1] if self.trace else np.inf))
        if any(key not in self.seen for key in keys):
            raise _Spent
        return np.array([self.seen[key] for key in keys])

    def one(self, point: Floats) -> float:
        """Distance of one point."""
        return float(self.batch(np.atleast_2d(np.clip(point, 0.0, 1.0)))[0])

    def best(self, count: int) -> list[Floats]:
        """The best points that lie apart, best first."""
        values = np.array(list(self.seen.values()))
        chosen: list[Floats] = []
        for at in np.argsort(values, kind="stable"):
            place = self.places[int(at)]
            if values[at] >= PENALTY and chosen:
                break
            if all(np.max(np.abs(place - other)) > _APART for other in chosen):
                chosen.append(place)
            if len(chosen) == count:
                break
        return chosen


def search(
    objective: Batch,
    dimensions: int,
    budget: int,
    *,
    global_method: str = "sobol",
    local_method: str = "nelder-mead",
    start: Sequence[Floats] = (),
    identity: Callable[[Floats], str] | None = None,
) -> Search:
    """Minimise a distance over the unit cube.

    Args:
        objective: distances of a batch of points, float64[n, p] -> float64[n].
        dimensions: p.
        budget: most distinct points.
        global_method: one of :data:`GLOBAL`.
        local_method: one of :data:`LOCAL`.
        start: points tried first.
        identity: name of a point; two points of one name count once.

    Returns:
        The best point of all that were tried.
    """
    counter = _Counter(objective, budget, identity or (lambda point: np.round(point, 9).tobytes().hex()))
    phases: list[tuple[str, int]] = []
    if len(start):
        _until_spent(lambda: counter.batch(np.array(start)))
    if global_method != "none":
        counter.limit = budget if local_method == "none" else max(len(counter.seen) + 1, int(_SHARE * budget))
        _until_spent(lambda: _global(counter, dimensions, global_method))
        phases.append((global_method, len(counter.seen)))
    if local_method != "none":
        starts = counter.best(STARTS) or [np.full(dimensions, 0.5)]
        for number, place in enumerate(starts):
            left = budget - len(counter.seen)
            share = left // 2 if number < len(starts) - 1 else left  # the best start gets half, the next a quarter, ...
            counter.limit = len(counter.seen) + share
            _until_spent(lambda here=place: _local(counter, here, local_method))  # type: ignore[misc]
        phases.append((local_method, len(counter.seen)))
    values = list(counter.seen.values())
    at = int(np.argmin(values))
    return Search(counter.places[at], values[at], len(values), counter.trace, phases)


def _until_spent(work: Callable[[], object]) -> None:
    with suppress(_Spent):
        work()


def _global(counter: _Counter, dimensions: int, method: str) -> None:
    from scipy import optimize, stats

    room = counter.limit - len(counter.seen)
    if method == "sobol":
        # powers of two keep the sequence balanced; what is left of the share goes to the local phase
        sampler = stats.qmc.Sobol(dimensions, scramble=True, rng=np.random.default_rng(_SEED))
        counter.batch(sampler.random_base2(max(1, int(np.log2(max(2, room))))))
        return
    bounds = [(0.0, 1.0)] * dimensions
    if method == "differential-evolution":
        members = int(np.clip(room // 8, 5, 15 * dimensions))
        optimize.differential_evolution(
            lambda x: counter.batch(np.clip(np.atleast_2d(x.T), 0.0, 1.0)), bounds, maxiter=room,
            popsize=max(1, -(-members // dimensions)), init="sobol", updating="deferred", vectorized=True, polish=False,
            tol=1e-3, rng=np.random.default_rng(_SEED),
        )  # fmt: skip
        return
    # long walks over few points end in repetitions: its own count bounds them too
    optimize.dual_annealing(
        counter.one, bounds, maxfun=20 * room, maxiter=20 * room, no_local_search=True,
        rng=np.random.default_rng(_SEED),
    )  # fmt: skip


def _local(counter: _Counter, start: Floats, method: str) -> None:
    from scipy import optimize

    bounds = [(0.0, 1.0)] * len(start)
    room = counter.limit - len(counter.seen)
    if room <= 0:
        return
    options: dict[str, object]
    if method == "nelder-mead":
        simplex = np.vstack([start, *(_moved(start, j, _SIMPLEX) for j in range(len(start)))])
        counter.batch(simplex)
        options = {"initial_simplex": simplex, "xatol": 1e-3, "fatol": 1e-3, "maxfev": 20 * room}
    elif method == "powell":
        options = {"xtol": 1e-3, "ftol": 1e-4, "maxfev": 20 * room}
    else:
        options = {"initial_tr_radius": _SIMPLEX, "final_tr_radius": 1e-3, "maxfev": 20 * room}
    optimize.minimize(
        counter.one, start, method={"nelder-mead": "Nelder-Mead", "powell": "Powell", "cobyqa": "COBYQA"}[method],
        bounds=bounds, options=options,
    )  # fmt: skip


def _moved(point: Floats, axis: int, step: float) -> Floats:
    moved = point.copy()
    moved[axis] += step if point[axis] <= 0.5 else -step
    return moved
