"""Calibrate a scenario by the method of simulated moments: from data and free parameters to a fit with its errors.

References:
    McFadden (1989), Duffie and Singleton (1993) for the method; Franke and Westerhoff (2012, J. Econ. Dyn. Control 36)
    for moments and bootstrapped weights in agent models; Chen, Z. and Lux, T. (2018). Estimation of sentiment effects
    in financial markets: a simulated method of moments approach. Comput. Econ. 52, 711-744, and Platt, D. (2020). A
    comparison of economic agent-based model calibration methods. J. Econ. Dyn. Control 113, 103859, on how rough the
    distance is and why search, length and identification must be reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from experiments import run
from experiments import scenario as scenarios
from experiments.calibration import optimise, weights
from experiments.calibration import slices as cuts
from experiments.calibration.bars import Bars, Floats
from experiments.calibration.derivatives import STEP, jacobian
from experiments.calibration.evaluations import Evaluator
from experiments.calibration.inference import infer
from experiments.calibration.moments import Moment, check
from experiments.calibration.parameters import Free, settle, units_of, values_at
from experiments.calibration.simulate import PRICES, MarketModel, Sampling, light, simulate, steps_per_bar
from experiments.calibration.summary import summary
from experiments.engines import kept
from experiments.scenario import Scenario
from experiments.store import FAILED, FINISHED, INTERRUPTED, OutputFolder, code_hash, plain
from sim.errors import ConfigError
from sim.problems import one_of

MOST_STEPS = 20_000_000
_ROUNDS = 3  # times that derivatives are taken, while they find a lower point


@dataclass(frozen=True)
class Method:
    """How the distance is made and minimised.

    Attributes:
        weighting: ``"full"`` or ``"diagonal"``.
        block: mean block length of the bootstrap in bars; chosen from the data if None.
        replications: bootstrap series.
        budget: most points of the search.
        global_method: of the first phase.
        local_method: of the second.
        step: half-width of the derivatives' differences, as a share of the bounds' distance.
        slices: places of each slice; 0 for none.
        error_seeds: further runs at the estimate, whose spread gives the covariance for errors and tests; 0: the
            bootstrap's.
    """

    weighting: str = "full"
    block: int | None = None
    replications: int = weights.REPLICATIONS
    budget: int = 200
    global_method: str = "sobol"
    local_method: str = "nelder-mead"
    step: float = STEP
    slices: int = cuts.POINTS
    error_seeds: int = 0

    def validate(self, dimensions: int, bars: int) -> None:
        """Refuse what cannot be carried out.

        Raises:
            ConfigError: naming the option.
        """
        for key, word, allowed in (
            ("--weighting", self.weighting, weights.WEIGHTINGS),
            ("--global", self.global_method, optimise.GLOBAL),
            ("--local", self.local_method, optimise.LOCAL),
        ):
            if word not in allowed:
                raise ConfigError.of(key, word, one_of(word, allowed))
        if self.global_method == self.local_method == "none":
            raise ConfigError.of("--local", "none", "one of --global and --local that is not none")
        if self.budget < 2 * dimensions + 2:
            raise ConfigError.of(
                "--budget", self.budget, f"at least {2 * dimensions + 2} points with so many parameters"
            )
        if not 0.0 < self.step <= 0.5:
            raise ConfigError.of("--step", self.step, "a share of the bounds' distance above 0 and at most 0.5")
        if self.block is not None and not 1 <= self.block <= bars // 2:
            raise ConfigError.of("--block", self.block, f"1 to half of the data's {bars} bars")
        if self.replications < 100:
            raise ConfigError.of("--replications", self.replications, "at least 100")


@dataclass(frozen=True)
class Calibration:
    """What is calibrated to what.

    Attributes:
        source: scenario, a built-in name or a file.
        free: parameters with bounds.
        moments: what is matched.
        seeds: run at every point.
        data: the data; None in a recovery study, which simulates them.
        assignments: ``--set`` texts.
        method: weights, search, derivatives.
        bars: bars of each simulated run; as many as the data have if None.
        bar_seconds: length of a bar where there are no data.
        price: ``"last"``, ``"mid"`` or ``"mark"``.
        contract: whose price; the first if None.
        plugins: users' files.
        scenario: the scenario at its own values, as it is run; made by :meth:`prepared`.
        sampling: how runs are measured; made by :meth:`prepared`.
    """

    source: str
    free: tuple[Free, ...]
    moments: tuple[Moment, ...]
    seeds: tuple[int, ...]
    data: Bars
    assignments: tuple[str, ...] = ()
    method: Method = field(default_factory=Method)
    bars: int | None = None
    price: str = "last"
    contract: str | None = None
    plugins: tuple[str, ...] = ()
    scenario: Scenario | None = None
    sampling: Sampling | None = None

    def prepared(self, *, data_known: bool = True) -> Calibration:
        """The same with everything checked, its runs' length set and its parameters tried on the scenario.

        Args:
            data_known: false where the data are still to be simulated and only their length is known.

        Raises:
            ConfigError: something does not fit; nothing was run.
        """
        run.load_plugins(self.plugins)
        if len(self.moments) < len(self.free):
            allowed = f"at least as many moments as free parameters ({len(self.free)})"
            raise ConfigError.of("--moments", ",".join(m.name for m in self.moments), allowed)
        if self.price not in PRICES:
            raise ConfigError.of("--price", self.price, one_of(self.price, PRICES))
        self.method.validate(len(self.free), self.data.count)
        if 0 < self.method.error_seeds < 2 * len(self.moments):
            allowed = f"0, or at least twice as many as moments ({2 * len(self.moments)})"
            raise ConfigError.of("--error-seeds", self.method.error_seeds, allowed)
        if data_known:
            check(self.data, self.moments)
        scenario = scenarios.load(self.source, self.assignments)
        contract = self.contract or scenario.contract_names[0]
        if contract not in scenario.contract_names:
            raise ConfigError.of("--contract", contract, one_of(contract, scenario.contract_names))
        steps = steps_per_bar(scenario, self.data)
        assignments = self.assignments
        if scenario.dates is None:
            count = self.data.count if self.bars is None else self.bars
            whole = scenario.market.burn_in + steps * (count + 1)
            if whole > MOST_STEPS:
                allowed = (
                    f"at most {MOST_STEPS // steps} bars of {steps} steps; --bars makes runs shorter than the data"
                )
                raise ConfigError.of("--bars", count, allowed)
            assignments = (*assignments, f"market.steps={whole}")
            scenario = scenarios.load(self.source, assignments)
        elif self.bars is not None:
            raise ConfigError.of("--bars", self.bars, "left out: the dates of a historical world say how long runs are")
        reach = max(moment.reach for moment in self.moments)
        possible = (scenario.steps - scenario.market.burn_in) // steps
        if possible < max(20, 2 * reach):
            raise ConfigError.of("--bars", possible, f"runs of at least {max(20, 2 * reach)} bars for these moments")
        free = settle(self.free, self.source, assignments)
        sampling = Sampling(steps, self.price, contract, ",".join(moment.name for moment in self.moments))
        return replace(
            self, assignments=assignments, free=free, contract=contract, scenario=light(scenario, sampling),
            sampling=sampling,
        )  # fmt: skip

    @property
    def ready(self) -> tuple[Scenario, Sampling]:
        """Scenario and sampling of a prepared calibration."""
        if self.scenario is None or self.sampling is None:
            raise RuntimeError("a calibration is prepared() before it is used")
        return self.scenario, self.sampling

    @property
    def simulated_bars(self) -> int:
        """Bars of each simulated run."""
        scenario, sampling = self.ready
        burn_in = scenario.market.burn_in
        every = scenario.record.every
        return (scenario.steps - burn_in - (-burn_in) % every) // sampling.steps

    @property
    def model(self) -> MarketModel:
        """The scenario as a function of its parameters."""
        return MarketModel(self.source, self.assignments, self.free, self.ready[1], self.plugins)

    def job(self) -> dict[str, Any]:
        """What the manifest says of the job."""
        scenario, sampling = self.ready
        return {
            "command": "calibrate",
            "scenario_name": scenario.name,
            "scenario": scenario.as_run(),
            "regimes": {scenario.margin.regime: dict(scenario.margin.params)},
            "seeds": list(self.seeds),
            "reading": f"{sampling.price} of {sampling.contract} every {sampling.steps} steps",
            "options": {
                "data": self.data.described(),
                "free": [{"name": p.name, "low": p.low, "high": p.high, "log": p.log, "whole": p.whole}
                         for p in self.free],
                "moments": [moment.name for moment in self.moments],
                "method": self.method.__dict__,
            },
            "plugins": run.load_plugins(self.plugins),
            "code": code_hash(),
        }  # fmt: skip

    @property
    def tau(self) -> float:
        """Simulated length over the length of the data, over all seeds."""
        return len(self.seeds) * self.simulated_bars / self.data.count


@dataclass(frozen=True)
class Problem:
    """A calibration stripped of markets: parameters, moments of the data, a simulator.

    Attributes:
        free: the parameters.
        moments: names of the moments.
        data: moments of the data with their covariance.
        tau: simulated length over the data's, over all seeds.
        method: weights, search, derivatives.
        start: points tried first.
        ratio: length of a simulated run over that of the data.
    """

    free: tuple[Free, ...]
    moments: tuple[str, ...]
    data: weights.DataMoments
    tau: float
    method: Method
    start: tuple[Mapping[str, float], ...] = ()
    ratio: float = 1.0


def solve(problem: Problem, evaluator: Evaluator) -> dict[str, Any]:
    """Search, differentiate, infer.

    Args:
        problem: what is fitted.
        evaluator: simulates.

    Returns:
        The raw parts of the result: ``best`` (values), ``search``, ``weights``, ``omega``, ``jacobian``, ``inference``,
        ``slices``, ``evaluation``, ``lowest`` (smallest distance of all points).

    Raises:
        ConfigError: not one point could be run.
    """
    method, free = problem.method, problem.free
    omega = (1.0 + 1.0 / problem.tau) * problem.data.covariance
    weighed = weights.weights(omega, method.weighting)

    def distances(points: Floats) -> Floats:
        found = evaluator([values_at(free, point) for point in points])
        return np.array([distance(e.mean) if e.moments is not None else optimise.PENALTY for e in found])

    def distance(simulated: Floats) -> float:
        gap = simulated - problem.data.values
        return min(float(gap @ weighed.matrix @ gap), optimise.PENALTY / 10.0)

    searched = optimise.search(
        distances, len(free), method.budget, global_method=method.global_method, local_method=method.local_method,
        start=[units_of(free, values) for values in problem.start],
        identity=lambda point: repr(values_at(free, point)),
    )  # fmt: skip
    if searched.distance >= optimise.PENALTY:
        reason = next((e.problem for e in evaluator.known.values() if e.problem), "no point could be run")
        raise ConfigError.of("--free", ", ".join(p.name for p in free), f"bounds in which the scenario runs: {reason}")
    for last in (*[False] * (_ROUNDS - 1), True):
        best = values_at(free, searched.best)
        (evaluation,) = evaluator([best])
        omega = _simulated_covariance(problem, evaluator, best, omega)
        slopes = jacobian(evaluator, free, best, weighed.matrix, method.step)
        gap = evaluation.mean - problem.data.values
        inferred = infer(free, gap, slopes.matrix, omega, weighed.matrix)
        errors = np.sqrt(np.diag(inferred.covariance))
        cut = cuts.slices(
            evaluator, free, best, problem.data.values, omega, weighed.matrix, slopes.matrix, errors, method.slices
        )
        # a point of the derivatives or slices may lie lower than all that the search tried: then it is the estimate
        lower = min((e for e in evaluator.known.values() if e.moments is not None and _inside(free, e.values)),
                    key=lambda e: distance(e.mean))  # fmt: skip
        if last or distance(lower.mean) >= searched.distance:
            break
        searched = replace(searched, best=units_of(free, lower.values), distance=distance(lower.mean))
    return {
        "best": best, "search": searched, "weights": weighed, "omega": omega, "jacobian": slopes,
        "inference": inferred, "slices": cut, "evaluation": evaluation, "lowest": distance(lower.mean),
    }  # fmt: skip


def _simulated_covariance(
    problem: Problem, evaluator: Evaluator, best: Mapping[str, float], otherwise: Floats
) -> Floats:
    """Covariance of simulated less observed moments from how runs at the estimate differ, where that is asked for.

    Under the model a run as long as the data varies as the data's moments do, also in what a bootstrap of one series
    cannot see: states that last as long as the series.
    """
    count = problem.method.error_seeds
    if count == 0:
        return otherwise
    first = max(evaluator.seeds) + 1
    more = Evaluator(evaluator.model, evaluator.function, range(first, first + count), evaluator.engine)
    (runs,) = more([best])
    if runs.moments is None:
        raise ConfigError.of("--error-seeds", count, f"0 here: {runs.problem}")
    spread = np.atleast_2d(np.cov(runs.moments, rowvar=False))
    return np.asarray(problem.ratio * (1.0 + 1.0 / problem.tau) * spread, np.float64)


def _inside(free: tuple[Free, ...], values: Mapping[str, float]) -> bool:
    return all(parameter.low <= values[parameter.name] <= parameter.high for parameter in free)


def calibrate(
    study: Calibration,
    *,
    workers: int = 1,
    folder: OutputFolder | None = None,
    on_done: Callable[[int, int], None] | None = None,
    asked: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Carry out a calibration.

    Args:
        study: prepared (:meth:`Calibration.prepared`).
        workers: processes.
        folder: where evaluations and the result are kept, or None.
        on_done: told (points done, points expected).
        asked: the command's own words, kept in the result.

    Returns:
        Plain data: parameters with errors and intervals, moments, test, identification, slices, search.
    """
    data = weights.of_data(study.data, study.moments, block=study.method.block, replications=study.method.replications)
    start = _own_values(study)
    problem = Problem(
        study.free,
        tuple(m.name for m in study.moments),
        data,
        study.tau,
        study.method,
        start,
        study.simulated_bars / study.data.count,
    )
    expected = study.method.budget + len(study.free) * (4 + max(0, study.method.slices - 1))

    def told(done: int) -> None:
        if on_done is not None:
            on_done(min(done, expected), expected)

    if folder is not None:
        folder.begin()
    try:
        with kept(workers) as engine:
            evaluator = Evaluator(study.model, simulate, study.seeds, engine, folder, told)
            parts = solve(problem, evaluator)
    except BaseException as error:
        if folder is not None:
            stopped = isinstance(error, KeyboardInterrupt)
            detail = {} if stopped else {"error": str(error) or type(error).__name__}
            folder.write_manifest(INTERRUPTED if stopped else FAILED, **detail)
        raise
    result: dict[str, Any] = plain(summary(study, problem, parts, evaluator) | {"asked": asked or {}})
    if folder is not None:
        folder.write_json("summary.json", result)
        folder.write_manifest(FINISHED, results_hash=result["results_hash"], points=len(evaluator.known))
    return result


def _own_values(study: Calibration) -> tuple[Mapping[str, float], ...]:
    """The scenario's own values as a first point, where all of them are written in it and lie within the bounds."""
    scenario, _ = study.ready
    stated = scenario.as_run()
    values: dict[str, float] = {}
    for parameter in study.free:
        value = stated_value(stated, parameter.keys[0])
        if value is None or not parameter.low <= value <= parameter.high:
            return ()
        values[parameter.name] = value
    return (values,)


def stated_value(stated: Any, key: str) -> float | None:
    """The number that a scenario states under a dotted key; None where it states none."""
    here = stated
    for part in key.split("."):
        if isinstance(here, list):
            named = [entry for entry in here if isinstance(entry, Mapping) and entry.get("name") == part]
            here = named[0] if named else here[int(part)] if part.isdigit() and int(part) < len(here) else None
        elif isinstance(here, Mapping):
            here = here.get(part)
        else:
            return None
    return float(here) if isinstance(here, (int, float)) and not isinstance(here, bool) else None
