"""Weights, search, derivatives, errors and tests on models whose answers are known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from experiments.calibration import optimise, weights
from experiments.calibration.derivatives import jacobian
from experiments.calibration.evaluations import Evaluator
from experiments.calibration.inference import infer, interval, natural_error
from experiments.calibration.moments import parse
from experiments.calibration.parameters import Free, settle, values_at
from experiments.calibration.parameters import parse as parse_free
from experiments.calibration.recovery import judged
from experiments.calibration.study import Method, Problem, solve
from experiments.calibration.summary import fit
from experiments.engines import InProcess
from experiments.store import OutputFolder
from sim.errors import ConfigError
from tests.experiments.calibration import toy

FREE = (Free(("scale",), 0.002, 0.1, log=True), Free(("ma",), -0.8, 0.8))
TRUTH = {"scale": 0.01, "ma": 0.3}
SEEDS = range(10)
QUICK = Method(replications=100, budget=60, slices=5, block=3)


def _problem(seed: int, method: Method = QUICK) -> Problem:
    data = weights.of_data(
        toy.series(TRUTH, seed), parse(toy.NAMES), block=method.block, replications=method.replications
    )
    return Problem(FREE, tuple(toy.NAMES.split(",")), data, float(len(SEEDS)), method)


def test_bootstrap_finds_the_error_of_independent_returns() -> None:
    bars = toy.series({"scale": 0.01, "ma": 0.0}, 5, 4000)
    found = weights.of_data(bars, parse("sd,acf:1"), replications=300)
    assert found.block <= 8
    # sd of a normal: sigma / sqrt(2 n); first autocorrelation of white noise: 1 / sqrt(n)
    assert found.deviation[0] == pytest.approx(100.0 / np.sqrt(8000), rel=0.2)
    assert found.deviation[1] == pytest.approx(1.0 / np.sqrt(4000), rel=0.2)
    assert (found.low < found.values).all()
    assert (found.values < found.high).all()


def test_blocks_keep_long_lags() -> None:
    """Blocks shorter than a lag do not push its autocorrelation to zero: neighbours come from the series itself."""
    rng = np.random.default_rng(0)
    season = np.tile(np.concatenate([np.full(30, 2.0), np.full(30, 0.5)]), 40)
    bars = toy.Bars("x", 60.0, np.exp(np.cumsum(np.concatenate([[0.0], season * rng.standard_normal(2400) * 0.01]))))
    found = weights.of_data(bars, parse("acf_abs:60"), block=5, replications=100)
    assert found.values[0] > 0.2
    assert found.low[0] < found.values[0] < found.high[0]


def test_constant_moments_are_refused() -> None:
    bars = toy.Bars("x", 60.0, np.exp(0.01 * np.arange(200.0) % 2))
    with pytest.raises(ConfigError, match="--moments"):
        weights.of_data(bars, parse("zero_share"), replications=100)


def test_shrinkage_brings_the_condition_number_to_its_limit() -> None:
    covariance = np.array([[4.0, 5.9999], [5.9999, 9.0]])
    found = weights.weights(covariance, limit=100.0)
    assert found.condition > 1e4
    deviation = np.array([2.0, 3.0])
    inverse = found.matrix * np.outer(deviation, deviation)
    assert np.linalg.cond(inverse) == pytest.approx(100.0, rel=1e-6)
    loose = weights.weights(np.diag([1.0, 4.0]))
    assert loose.shrinkage == 0.0
    assert loose.matrix == pytest.approx(np.diag([1.0, 0.25]))
    assert weights.weights(covariance, "diagonal").matrix == pytest.approx(np.diag([0.25, 1 / 9]))


@pytest.mark.parametrize("method", [name for name in optimise.GLOBAL if name != "none"])
def test_global_searches_find_a_minimum_within_their_budget(method: str) -> None:
    target = np.array([0.31, 0.74])
    calls: list[int] = []

    def objective(points: np.ndarray) -> np.ndarray:
        calls.append(len(points))
        return np.sum((points - target) ** 2, axis=1)

    found = optimise.search(objective, 2, 150, global_method=method)
    assert np.abs(found.best - target).max() < 0.01
    assert sum(calls) == found.points <= 150


@pytest.mark.parametrize("method", [name for name in optimise.LOCAL if name != "none"])
def test_local_searches_pass_points_that_cannot_be_run(method: str) -> None:
    target = np.array([0.4, 0.5])

    def objective(points: np.ndarray) -> np.ndarray:
        away = np.sum((points - target) ** 2, axis=1)
        return np.where(points.sum(axis=1) > 1.0, optimise.PENALTY, away)

    found = optimise.search(objective, 2, 160, local_method=method)
    assert np.abs(found.best - target).max() < 0.03


def test_sandwich_and_j_of_a_linear_model_are_the_textbook_ones() -> None:
    rng = np.random.default_rng(3)
    matrix = rng.standard_normal((5, 2))
    root = rng.standard_normal((5, 5))
    omega = root @ root.T
    free = (Free(("a",), -10.0, 10.0), Free(("b",), -10.0, 10.0))
    inverse = np.asarray(np.linalg.inv(omega), np.float64)
    known = np.linalg.inv(matrix.T @ inverse @ matrix)
    draws = rng.multivariate_normal(np.zeros(5), omega, 250)
    j, diagonal = [], []
    rough = np.diag(1.0 / np.diag(omega))
    for draw in draws:
        gap = draw - matrix @ known @ matrix.T @ inverse @ draw  # residual at the estimate
        found = infer(free, gap, matrix, omega, inverse)
        assert found.covariance == pytest.approx(known)
        j.append(found.j)
        assert found.j == pytest.approx(gap @ inverse @ gap)
        bread = np.linalg.inv(matrix.T @ rough @ matrix)
        gap = draw - matrix @ bread @ matrix.T @ rough @ draw
        diagonal.append(infer(free, gap, matrix, omega, rough).j)
    for values in (j, diagonal):  # chi-squared with 3 degrees of freedom under either weighting
        assert stats.kstest(values, stats.chi2(3).cdf).pvalue > 0.01


def test_directions_that_moments_do_not_tell_are_named() -> None:
    matrix = np.array([[1.0, 1.0], [2.0, 2.0], [1.0, 1.0001]])
    free = (Free(("a",), 0.0, 1.0), Free(("b",), 0.0, 1.0))
    found = infer(free, np.zeros(3), matrix, np.eye(3), np.eye(3))
    assert found.condition > 1e6
    weak = found.directions[-1]
    assert weak["weak"]
    assert weak["combination"]["a"] == pytest.approx(-weak["combination"]["b"], abs=0.02)


def test_intervals_of_logarithmic_parameters_stay_positive() -> None:
    parameter = Free(("x",), 0.001, 10.0, log=True)
    low, high = interval(parameter, 0.1, 2.0) or (0.0, 0.0)
    assert low > 0.0
    assert low * high == pytest.approx(0.01)
    assert natural_error(parameter, 0.1, 2.0) == pytest.approx(0.2)


def test_derivatives_of_the_toy_are_exact_enough_and_judged() -> None:
    evaluator = Evaluator(toy.Toy(), toy.simulate, SEEDS, InProcess())
    problem = _problem(77)
    metric = np.asarray(np.linalg.inv(problem.data.covariance), np.float64)
    found = jacobian(evaluator, FREE, TRUTH, metric, 0.02)
    # sd = scale sqrt(1 + ma^2) in bp; autocorrelation ma / (1 + ma^2)
    assert found.matrix[0, 0] == pytest.approx(100.0 * np.sqrt(1.09), rel=0.03)
    assert found.matrix[2, 1] == pytest.approx((1 - 0.09) / 1.09**2, rel=0.1)
    assert all(column["clear"] and column["steady"] for column in found.columns)


def test_derivatives_of_whole_numbers_move_by_one() -> None:
    class Counted:
        def task(self, values: Mapping[str, float], seed: int) -> tuple[float, int]:
            assert values["n"].is_integer()
            return values["n"], seed

    def moments(task: tuple[float, int]) -> list[float]:
        return [3.0 * task[0]]

    free = (Free(("n",), 1.0, 40.0, whole=True),)
    found = jacobian(Evaluator(Counted(), moments, (0, 1), InProcess()), free, {"n": 7.0}, np.eye(1), 0.001)
    assert found.matrix[0, 0] == pytest.approx(3.0)
    assert (found.columns[0]["from"], found.columns[0]["to"]) == (6.0, 8.0)
    edge = jacobian(Evaluator(Counted(), moments, (0, 1), InProcess()), free, {"n": 1.0}, np.eye(1), 0.001)
    assert (edge.columns[0]["from"], edge.columns[0]["to"]) == (1.0, 2.0)


def test_recovery_of_the_toy() -> None:
    """Eight series share their simulated points; estimates lie around the truth and intervals hold it."""
    evaluator = Evaluator(toy.Toy(), toy.simulate, SEEDS, InProcess())
    fits = []
    for seed in range(1000, 1008):
        problem = _problem(seed)
        fits.append(fit(problem, solve(problem, evaluator)))
    found = judged(FREE, TRUTH, fits)
    for row in found["parameters"]:
        assert abs(row["bias"]["mean"]) < 0.12 * abs(row["truth"])
        assert row["coverage"]["share"] >= 0.6
        # the deviation of eight estimates is 0.38 to 1.70 of their error in 99 % of draws (chi-squared, 7 degrees)
        assert 0.38 * row["error"] < row["deviation"] < 1.70 * row["error"]
    # a likelihood of normal returns has the errors scale / sqrt(2 n) and sqrt((1 - ma^2) / n); moments come close
    scale, average = (row["error"] for row in found["parameters"])
    assert scale == pytest.approx(TRUTH["scale"] / np.sqrt(2 * toy.BARS), rel=0.25)
    assert average == pytest.approx(np.sqrt((1 - TRUTH["ma"] ** 2) / toy.BARS), rel=0.25)
    for parameter in fits[0]["parameters"]:
        assert parameter["profile"]["low"] < parameter["estimate"] < parameter["profile"]["high"]


@pytest.mark.study
def test_intervals_of_the_toy_cover_as_they_say() -> None:
    """200 series: 95 % intervals hold the truth in 90 to 99 % of them, J rejects in 1 to 10 %."""
    evaluator = Evaluator(toy.Toy(), toy.simulate, SEEDS, InProcess())
    method = Method(replications=400, budget=120, slices=0, block=3)
    fits = []
    for seed in range(1000, 1200):
        problem = _problem(seed, method)
        fits.append(fit(problem, solve(problem, evaluator)))
    found = judged(FREE, TRUTH, fits)
    for row in found["parameters"]:
        assert 0.90 <= row["coverage"]["share"] <= 0.99
    assert 0.01 <= found["rejections"]["share"] <= 0.10


def test_points_are_kept_and_not_run_again(tmp_path: Path) -> None:
    job = {"command": "calibrate", "scenario": {}, "regimes": {}, "seeds": [0], "reading": "", "options": {},
           "plugins": {}, "code": "x"}  # fmt: skip
    ran: list[object] = []

    def counted(task: object) -> list[float]:
        ran.append(task)
        return toy.simulate(task)

    points = [TRUTH, {"scale": 0.02, "ma": 0.1}, {"scale": 0.09, "ma": 0.5}]
    results = []
    for _ in range(2):
        folder = OutputFolder(tmp_path / "out", job)
        folder.begin()
        evaluator = Evaluator(toy.Toy(), counted, (0, 1), InProcess(), folder)
        results.append(evaluator(points))
        (tmp_path / "out" / "evaluations" / "half.json.partial").write_text("{")  # what kill -9 leaves
    assert len(ran) == 4
    assert results[0][2].moments is None
    assert "moving average" in results[1][2].problem
    for one, other in zip(*results, strict=True):
        assert one.moments is other.moments or (one.moments == other.moments).all()  # type: ignore[union-attr]


def test_free_parameters_are_read() -> None:
    found = parse_free(["world.volatility=0.01:0.1:log", "a.b+c.d=1:9:whole"])
    assert (found[0].log, found[0].whole, found[1].name, found[1].whole) == (True, False, "a.b+c.d", True)
    assert values_at(found, np.array([0.5, 0.5]))["world.volatility"] == pytest.approx(0.0316228, abs=1e-7)
    assert found[1].assignments(5.0) == ["a.b=5", "c.d=5"]


@pytest.mark.parametrize(
    "text",
    ["world.volatility", "world.volatility=1", "world.volatility=0.2:0.1", "world.volatility=0:1:log", "=1:2",
     "world.volatility=a:b", "world.volatility=0.1:0.2:cubic", "market.steps=100:200", "record.every=1:2",
     "world.volatility+world.volatility=0.1:0.2", "market.dt_seconds=1:2"],
)  # fmt: skip
def test_free_parameters_that_do_not_fit_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--free"):
        parse_free([text])


def test_keys_are_tried_on_the_scenario() -> None:
    (volatility,) = settle(parse_free(["world.volatility=0.01:0.1"]), "calm", ())
    (count,) = settle(parse_free(["populations.hedgers.count=5:40"]), "calm", ())
    assert not volatility.whole
    assert count.whole
    for text in ("world.nothing=1:2", "populations.nobody.count=1:2", "world.volatility=-1:0.1",
                 "populations.hedgers.count=0.5:3", "clearing.mark=1:2"):  # fmt: skip
        with pytest.raises(ConfigError, match="--free"):
            settle(parse_free([text]), "calm", ())
    alpha = parse_free(["world.alpha=0.01:0.3", "world.beta=0.5:0.95"])
    base = ["world.kind=garch", "world.alpha=0.1", "world.beta=0.8"]
    assert len(settle(alpha, "calm", base)) == 2  # alpha + beta >= 1 is a corner of the space, no error


def test_errors_from_simulated_runs_agree_with_the_bootstrap_where_it_is_right() -> None:
    """The toy forgets at once, so both covariances estimate one thing."""
    evaluator = Evaluator(toy.Toy(), toy.simulate, SEEDS, InProcess())
    errors = []
    for count in (0, 60):
        problem = _problem(1000, Method(replications=200, budget=40, slices=0, block=3, error_seeds=count))
        found = fit(problem, solve(problem, evaluator))
        errors.append([row["error"] for row in found["parameters"]])
    assert errors[1] == pytest.approx(errors[0], rel=0.4)
