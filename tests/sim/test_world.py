"""Random worlds: laws, moments, correlation, pairing; oracle, activity and scripted events."""

import math

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError
from scipy import stats

from sim.contracts import Contract
from sim.errors import ConfigError
from sim.world import (
    ConstantWorld,
    GarchWorld,
    GbmWorld,
    HistoricalWorld,
    JumpDiffusionWorld,
    ValueJump,
    VolatilityChange,
    WorldConfig,
    build_world,
)

LARGEST = 1 << 30
ONE = [Contract(name="A", max_price=LARGEST)]
TWO = [Contract(name="A", max_price=LARGEST), Contract(name="B", initial_price=20_000, max_price=LARGEST)]
DAY = 100


def build(config, contracts=ONE, steps=20_000, seed=1, events=(), dt=60.0, steps_per_day=DAY):
    return build_world(config, contracts, steps, dt, steps_per_day, seed, events)


def log_returns(world):
    return np.diff(np.log(world.value), axis=0)


def within(found, expected, standard_error, sigmas=5.0):
    return abs(found - expected) <= sigmas * standard_error


def test_shapes_types_and_days():
    world = build(GbmWorld(volatility=0.01), TWO, steps=250)
    assert world.value.shape == world.index.shape == (251, 2)
    assert (world.value.dtype, world.index.dtype, world.activity.dtype, world.day.dtype) == (
        np.float64,
        np.int64,
        np.float64,
        np.int32,
    )
    assert list(world.value[0]) == [5000.0, 20_000.0]
    # Step 100 is the close of day 0, step 101 the first of day 1.
    assert [world.day[t] for t in (0, 1, 99, 100, 101, 200, 201, 250)] == [0, 0, 0, 0, 1, 1, 2, 2]
    assert world.dates is None
    assert np.array_equal(world.closes(DAY), world.value[[0, 100, 200]])


def test_gbm_has_normal_increments_with_the_stated_mean_and_variance():
    volatility, drift = 0.02, 0.001
    r = log_returns(build(GbmWorld(volatility=volatility, drift=drift)))[:, 0]
    sigma = volatility / math.sqrt(DAY)
    assert within(r.mean(), (drift - volatility**2 / 2) / DAY, sigma / math.sqrt(len(r)))
    assert within(r.std(), sigma, sigma / math.sqrt(2 * len(r)))
    assert stats.kstest((r - r.mean()) / r.std(), "norm").pvalue > 1e-4
    assert abs(np.corrcoef(r[1:], r[:-1])[0, 1]) < 5 / math.sqrt(len(r))


@pytest.mark.parametrize(
    "config",
    [
        GbmWorld(volatility=0.2),
        GarchWorld(volatility=0.1, alpha=0.1, beta=0.8, frequency="step"),
        JumpDiffusionWorld(volatility=0.05, jumps_per_day=3, jump_mean=0.05, jump_volatility=0.05),
    ],
)
def test_without_drift_the_value_is_a_martingale(config):
    """The mean over seeds of V_T / V_0 is one, whatever the volatility and the jumps."""
    ratios = np.array([build(config, steps=DAY, seed=seed).value[-1, 0] / 5000 for seed in range(2000)])
    assert within(ratios.mean(), 1.0, ratios.std() / math.sqrt(len(ratios)))


@pytest.mark.parametrize("rho", [-0.5, 0.0, 0.8])
def test_two_assets_have_the_stated_correlation(rho):
    r = log_returns(build(GbmWorld(volatility=[0.01, 0.03], correlation=rho), TWO))
    assert within(np.corrcoef(r.T)[0, 1], rho, (1 - rho**2) / math.sqrt(len(r)))
    assert r[:, 1].std() / r[:, 0].std() == pytest.approx(3.0, rel=0.05)


def test_a_matrix_of_correlations():
    three = [Contract(name=name, max_price=LARGEST) for name in "ABC"]
    matrix = [[1.0, 0.5, -0.3], [0.5, 1.0, 0.2], [-0.3, 0.2, 1.0]]
    found = np.corrcoef(log_returns(build(GbmWorld(volatility=0.01, correlation=matrix), three)).T)
    assert np.max(np.abs(found - np.array(matrix))) < 5 / math.sqrt(20_000)


def test_an_asset_added_at_the_end_leaves_the_others_untouched():
    config = GbmWorld(volatility=0.01, correlation=0.5)
    assert np.array_equal(build(config, ONE).value[:, 0], build(config, TWO).value[:, 0])


def test_draws_belong_to_the_name_of_a_contract():
    config = GbmWorld(volatility=0.01)
    swapped = build(config, TWO[::-1])
    assert np.array_equal(build(config, TWO).value[:, ::-1], swapped.value)


def test_a_world_is_a_pure_function_of_seed_and_configuration():
    config = JumpDiffusionWorld(volatility=0.01, jumps_per_day=1, jump_volatility=0.01)
    first, again, other = (build(config, TWO, seed=seed) for seed in (3, 3, 4))
    for name in ("value", "index", "activity"):
        assert getattr(first, name).tobytes() == getattr(again, name).tobytes()
        assert not np.array_equal(getattr(first, name), getattr(other, name))


def test_a_longer_run_begins_like_a_shorter_one():
    config = GarchWorld(volatility=0.01, alpha=0.1, beta=0.8)
    assert np.array_equal(build(config, steps=500).value, build(config, steps=1000).value[:501])


def test_jumps_have_the_stated_number_size_and_variance():
    volatility, rate, mean, deviation = 0.001, 5.0, -0.002, 0.02
    config = JumpDiffusionWorld(volatility=volatility, jumps_per_day=rate, jump_mean=mean, jump_volatility=deviation)
    r = log_returns(build(config, steps=200_000))[:, 0]
    expected = (volatility**2 + rate * (mean**2 + deviation**2)) / DAY
    fourth = 3 * rate * deviation**4 / DAY  # leading term of the fourth moment, for the error of the variance
    assert within(r.var(), expected, math.sqrt(fourth / len(r)), sigmas=6)
    jumps = np.sum(np.abs(r) > 6 * volatility / math.sqrt(DAY))
    seen = rate / DAY * len(r) * 2 * stats.norm.sf(6 * volatility / math.sqrt(DAY) / deviation)
    assert within(jumps, seen, math.sqrt(seen), sigmas=6)
    assert stats.kurtosis(r) > 10


def test_common_jumps_come_together_and_own_jumps_do_not():
    parameters = {"volatility": 1e-6, "jumps_per_day": 1.0, "jump_volatility": 0.01, "correlation": 0.9}
    for common, low, high in ((True, 0.99, 1.0), (False, 0.0, 0.1)):
        r = log_returns(build(JumpDiffusionWorld(**parameters, common_jumps=common), TWO))
        jumped = np.abs(r) > 1e-5
        assert low <= np.mean(jumped[jumped[:, 0], 1]) <= high


@pytest.mark.parametrize("frequency", ["day", "step"])
def test_garch_has_its_long_run_variance_and_clusters(frequency):
    alpha, beta, volatility, n = 0.08, 0.85, 0.01, 10
    config = GarchWorld(volatility=volatility, alpha=alpha, beta=beta, frequency=frequency)
    steps = 300_000 if frequency == "day" else 100_000
    r = log_returns(build(config, steps=steps, steps_per_day=n))[:, 0]
    if frequency == "day":
        r = r.reshape(-1, n).sum(axis=1)
        sigma2 = volatility**2
    else:
        sigma2 = volatility**2 / n
    assert r.var() == pytest.approx(sigma2, rel=0.08)
    # Bollerslev 1986: autocorrelation of squared returns at lag 1, and kurtosis, of a GARCH(1,1).
    persistence = alpha + beta
    lag1 = alpha * (1 - beta * persistence) / (1 - 2 * alpha * beta - beta**2)
    squares = r**2
    assert np.corrcoef(squares[1:], squares[:-1])[0, 1] == pytest.approx(lag1, abs=0.06)
    kurtosis = 6 * alpha**2 / (1 - beta**2 - 2 * alpha * beta - 3 * alpha**2)
    assert stats.kurtosis(r) == pytest.approx(kurtosis, abs=0.35)


def test_garch_without_feedback_is_geometric_brownian_motion():
    flat = GarchWorld(volatility=0.01, alpha=0.0, beta=0.0, frequency="step")
    assert np.array_equal(build(flat).value, build(GbmWorld(volatility=0.01)).value)


def test_a_constant_world_stays():
    world = build(ConstantWorld(), TWO, steps=50)
    assert np.all(world.value == [5000.0, 20_000.0])
    assert np.all(world.index == [80_000, 320_000])


def test_activity_has_mean_one_and_the_stated_memory():
    parameters = {"activity": {"deviation": 0.3, "time_constants_seconds": [600.0]}}
    activity = build(ConstantWorld(**parameters), steps=200_000).activity
    logs = np.log(activity)
    assert activity.mean() == pytest.approx(1.0, abs=0.02)
    assert logs.std() == pytest.approx(0.3, rel=0.05)
    assert np.corrcoef(logs[10:], logs[:-10])[0, 1] == pytest.approx(math.exp(-1), abs=0.05)
    assert np.all(build(ConstantWorld(activity={"deviation": 0.0}), steps=9).activity == 1.0)


def test_default_activity_is_stationary_over_seeds():
    levels = np.array([build(ConstantWorld(), steps=1, seed=seed).activity[1] for seed in range(3000)])
    assert within(levels.mean(), 1.0, levels.std() / math.sqrt(len(levels)))
    assert np.log(levels).std() == pytest.approx(0.3 * math.sqrt(3), rel=0.07)


def test_the_oracle_rounds_to_the_nearest_subtick_and_lags():
    config = GbmWorld(volatility=0.05, oracle={"latency_seconds": 180.0})
    world = build(config, steps=500)
    nearest = np.floor(world.value * 16 + 0.5).astype(np.int64)
    assert np.array_equal(world.index[3:], nearest[:-3])
    assert np.all(world.index[:3] == nearest[0])


def test_the_oracle_reports_at_intervals_or_when_the_value_moved_far():
    parameters = {"volatility": 0.05}
    hourly = build(GbmWorld(**parameters, oracle={"update_seconds": 3600.0}), steps=600)
    nearest = np.floor(hourly.value * 16 + 0.5).astype(np.int64)
    assert np.array_equal(hourly.index, nearest[np.arange(601) // 60 * 60])
    far = build(GbmWorld(**parameters, oracle={"update_seconds": 1e9, "deviation": 0.01}), steps=600)
    error = np.abs(far.value * 16 / far.index - 1)
    assert error.max() <= 0.0101
    assert 3 < len(np.unique(far.index)) < 100


def test_a_jump_scales_the_path_from_its_step_on():
    config = GbmWorld(volatility=0.01)
    plain = build(config, TWO, steps=300)
    jumped = build(config, TWO, steps=300, events=[ValueJump(150, -0.1, "B")])
    assert np.array_equal(plain.value[:150], jumped.value[:150])
    assert np.array_equal(plain.value[:, 0], jumped.value[:, 0])
    assert np.allclose(jumped.value[150:, 1] / plain.value[150:, 1], math.exp(-0.1), rtol=1e-14)
    both = build(config, TWO, steps=300, events=[ValueJump(150, -0.1)])
    assert np.all(both.value[150:] < plain.value[150:])
    assert np.array_equal(plain.activity, both.activity)


@pytest.mark.parametrize("config", [GbmWorld(volatility=0.01), GarchWorld(volatility=0.01, alpha=0.1, beta=0.8)])
def test_a_volatility_change_multiplies_increments_only_while_it_lasts(config):
    plain = build(config, steps=300)
    wild = build(config, steps=300, events=[VolatilityChange(101, 100, 3.0)])
    assert np.array_equal(plain.value[:101], wild.value[:101])
    before, after = log_returns(plain)[:, 0], log_returns(wild)[:, 0]
    assert after[100:200].std() / before[100:200].std() == pytest.approx(3.0, rel=0.02)
    assert np.allclose(after[200:], before[200:], atol=1e-13)


@pytest.mark.parametrize(
    ("event", "key"),
    [
        (ValueJump(0, 0.1), "events.value_jump.at_step"),
        (ValueJump(301, 0.1), "events.value_jump.at_step"),
        (ValueJump(5, math.nan), "events.value_jump.size"),
        (ValueJump(5, 0.1, "Z"), "events.value_jump.contract"),
        (VolatilityChange(5, 0, 2.0), "events.volatility.duration"),
        (VolatilityChange(5, 9, -1.0, "storm"), "events.storm.factor"),
    ],
)
def test_bad_events_are_refused(event, key):
    with pytest.raises(ConfigError) as caught:
        build(ConstantWorld(), steps=300, events=[event])
    assert [problem.key for problem in caught.value.problems] == [key]


@pytest.mark.parametrize(
    ("config", "key"),
    [
        (GbmWorld(volatility=[0.1, 0.1, 0.1]), "world.volatility"),
        (GbmWorld(volatility=0.1, correlation=1.0), "world.correlation"),
        (GbmWorld(volatility=0.1, correlation=[[1.0]]), "world.correlation"),
        (GbmWorld(volatility=0.1, correlation=[[1.0, 0.5], [0.4, 1.0]]), "world.correlation"),
        (GbmWorld(volatility=0.1, correlation=[[0.9, 0.5], [0.5, 1.0]]), "world.correlation"),
        (JumpDiffusionWorld(volatility=0.1, jumps_per_day=1, jump_volatility=[0.1]), "world.jump_volatility"),
    ],
)
def test_settings_that_do_not_fit_the_contracts_are_refused(config, key):
    with pytest.raises(ConfigError) as caught:
        build(config, TWO, steps=10)
    assert caught.value.problems[0].key == key


def test_a_path_that_leaves_the_price_range_is_refused():
    with pytest.raises(ConfigError, match=r"contracts\.A\.max_price = 5100; allowed: more than"):
        build(GbmWorld(volatility=0.1), [Contract(name="A", max_price=5100)])
    with pytest.raises(ConfigError, match=r"contracts\.A\.initial_price = 2; allowed: a higher price"):
        build(ConstantWorld(), [Contract(name="A", initial_price=2)], events=[ValueJump(5, -1.0)])


@pytest.mark.parametrize(
    "table",
    [
        {"kind": "gbm"},
        {"kind": "gbm", "volatility": -0.1},
        {"kind": "gbm", "volatility": math.nan},
        {"kind": "gbm", "volatility": "0.1"},
        {"kind": "gbm", "volatility": 0.1, "speed": 1},
        {"kind": "weather"},
        {"kind": "garch", "volatility": 0.1, "alpha": 0.5, "beta": 0.5},
        {"kind": "historical"},
        {"kind": "historical", "dataset": "arch:sp500", "path": "x.csv"},
        {"kind": "historical", "dataset": "arch:sp500", "start": "2007-13-01"},
        {"kind": "historical", "dataset": "arch:sp500", "start": "2009-01-01", "end": "2008-01-01"},
        {"kind": "constant", "oracle": {"latency_seconds": -1.0}},
        {"kind": "constant", "activity": {"time_constants_seconds": []}},
        {
            "kind": "jump_diffusion",
            "volatility": 0.1,
            "jumps_per_day": [1.0, 2.0],
            "jump_volatility": 0.1,
        },
    ],
)
def test_bad_tables_are_refused_by_the_models(table):
    with pytest.raises(ValidationError):
        TypeAdapter(WorldConfig).validate_python(table)


def test_the_kind_chooses_the_model():
    parse = TypeAdapter(WorldConfig).validate_python
    assert isinstance(parse({"kind": "gbm", "volatility": 1}), GbmWorld)
    assert isinstance(parse({"kind": "historical", "dataset": "arch:sp500"}), HistoricalWorld)
