"""Keyed draws: equal to NumPy's Philox, uniform, independent across keys, with the right transforms."""

import math
import pickle

import numpy as np
import pytest
from scipy import stats

from sim.errors import ConfigError, InvariantError, MarginLabError, Problem
from sim.kernels import keyed
from sim.kernels.jit import kernel
from sim.keyed import stream


@kernel()
def uniforms_of(seed, number, step, out):
    for index in range(len(out)):
        out[index] = keyed.uniform(seed, number, step, index)


@kernel()
def normals_of(seed, number, step, out):
    for index in range(len(out)):
        out[index] = keyed.normal(seed, number, step, index)


@kernel()
def poissons_of(u, mean, out):
    for i in range(len(u)):
        out[i] = keyed.poisson(u[i], mean)


@kernel()
def paretos_of(u, alpha, out):
    for i in range(len(u)):
        out[i] = keyed.pareto(u[i], alpha)


@kernel()
def exponentials_of(u, out):
    for i in range(len(u)):
        out[i] = keyed.exponential(u[i])


def uniforms(number, *, seed=1, step=0, count=100_000):
    out = np.empty(count)
    uniforms_of(seed, number, step, out)
    return out


@pytest.mark.parametrize(
    ("seed", "number", "step", "index", "block"),
    [(0, 0, 0, 0, 0), (7, stream("arrival"), 3, 11, 0), (2**62, 2**55, 2**31, 2**40, 5), (1, 2, 3, 4, 2**62)],
)
def test_words_are_those_of_numpys_philox(seed, number, step, index, block):
    theirs = np.random.Philox(key=[seed, number], counter=[block, index, step, 0]).random_raw(4)
    assert [int(word) for word in keyed.philox(seed, number, step, index, block)] == [int(word) for word in theirs]


def test_negative_arguments_enter_as_twos_complement():
    key = np.array([2**64 - 1, 2**64 - 2], np.uint64)
    counter = np.array([0, 2**64 - 3, 2**64 - 4, 0], np.uint64)
    theirs = np.random.Philox(key=key, counter=counter).random_raw(4)
    assert [int(word) for word in keyed.philox(-1, -2, -4, -3, 0)] == [int(word) for word in theirs]


def test_scalar_draws_are_the_first_of_block_zero():
    key = (5, stream("test"), 9, 4)
    assert keyed.bits(*key) == keyed.philox(*key, 0)[0]
    assert keyed.uniform(*key) == keyed.uniform4(*key, 0)[0]
    assert keyed.normal(*key) == keyed.normal4(*key, 0)[0]
    assert keyed.uniform(*key) == ((int(keyed.bits(*key)) >> 12) + 0.5) * 2.0**-52


def test_uniforms_never_reach_zero_or_one():
    assert keyed.unit(np.uint64(0)) == 2.0**-53
    assert keyed.unit(np.uint64(2**64 - 1)) == 1 - 2.0**-53


def test_uniforms_pass_kolmogorov_smirnov_and_chi_square():
    for name in ("arrival", "world.value", "population.latent"):
        u = uniforms(stream(name))
        assert stats.kstest(u, "uniform").pvalue > 1e-4
        counts = np.bincount((u * 256).astype(int), minlength=256)
        assert stats.chisquare(counts).pvalue > 1e-4


def test_consecutive_draws_fill_the_cube_evenly():
    u = uniforms(stream("cube"), count=240_000).reshape(-1, 3)
    cells = (u * 8).astype(int) @ np.array([64, 8, 1])
    assert stats.chisquare(np.bincount(cells, minlength=512)).pvalue > 1e-4


def test_low_bits_are_fair():
    words = np.array([int(keyed.bits(3, stream("bits"), 0, i)) for i in range(4_000)], dtype=np.uint64)
    for bit in range(64):
        ones = int(np.sum((words >> np.uint64(bit)) & np.uint64(1)))
        assert abs(ones - 2_000) < 5 * math.sqrt(1_000)


def test_neighbouring_keys_are_uncorrelated():
    """Streams, steps, seeds and purposes that differ by one, and lags of the index."""
    count = 100_000
    base = uniforms(stream("a"), count=count)
    others = [
        uniforms(stream("b"), count=count),
        uniforms(stream("a", 1), count=count),
        uniforms(stream("a"), step=1, count=count),
        uniforms(stream("a"), seed=2, count=count),
        np.roll(base, 1),
        np.roll(base, 2),
    ]
    for other in others:
        assert abs(np.corrcoef(base, other)[0, 1]) < 5 / math.sqrt(count)
        assert abs(np.corrcoef((base - 0.5) ** 2, (other - 0.5) ** 2)[0, 1]) < 5 / math.sqrt(count)
    table = np.corrcoef([base, *others[:4]])
    assert np.max(np.abs(table - np.eye(5))) < 5 / math.sqrt(count)


def test_normals_are_normal():
    z = np.empty(100_000)
    normals_of(1, stream("normal"), 0, z)
    assert stats.kstest(z, "norm").pvalue > 1e-4
    assert abs(z.mean()) < 5 / math.sqrt(len(z))
    assert abs(z.std() - 1) < 5 / math.sqrt(2 * len(z))
    assert abs(stats.kurtosis(z)) < 5 * math.sqrt(24 / len(z))


@pytest.mark.parametrize("mean", [0.0, 0.3, 4.0, 8.0, 120.0, 700.0])
def test_poisson_inverts_the_distribution_function(mean):
    u = uniforms(stream("poisson"), count=20_000)
    found = np.empty(len(u), np.int64)
    poissons_of(u, mean, found)
    expected = stats.poisson.ppf(u, mean)
    # A uniform within rounding of a jump of the distribution function may fall on either side of it.
    assert np.sum(found != expected) <= 1
    assert np.max(np.abs(found - expected)) <= 1


def test_poisson_ends_at_the_largest_uniform_and_clips_the_mean():
    assert keyed.poisson(1 - 2.0**-53, 700.0) < 1_200
    assert keyed.poisson(1 - 2.0**-53, 1e-3) < 20
    assert keyed.poisson(0.5, -1.0) == 0
    assert keyed.poisson(0.5, 1e9) == keyed.poisson(0.5, 700.0)


def test_exponential_and_pareto_follow_their_laws():
    u = uniforms(stream("tails"))
    out = np.empty_like(u)
    exponentials_of(u, out)
    assert stats.kstest(out, "expon").pvalue > 1e-4
    paretos_of(u, 1.5, out)
    assert out.min() >= 1.0
    assert stats.kstest(out, stats.pareto(1.5).cdf).pvalue > 1e-4


def test_lognormal_has_the_stated_logarithm():
    assert math.log(keyed.lognormal_of(1.5, 0.2, 0.8)) == pytest.approx(0.2 + 0.8 * 1.5, rel=1e-15)


def test_stream_numbers_are_pinned_and_distinct():
    """A number that changed would change every result that was ever published."""
    assert stream("world.value") == WORLD_VALUE
    names = [f"population.{kind}.{i}" for kind in ("noise", "latent") for i in range(500)]
    numbers = {stream(name) for name in names}
    assert len(numbers) == len(names)
    assert all(0 <= number < 2**56 and number % 256 == 0 for number in numbers)
    assert stream("arrival", 255) == stream("arrival") + 255


@pytest.mark.parametrize(("name", "purpose"), [("", 0), ("a..b", 0), ("a b", 0), ("a", 256), ("a", -1)])
def test_bad_stream_names_are_refused(name, purpose):
    with pytest.raises(ValueError, match=r"stream name|purpose"):
        stream(name, purpose)


def test_config_errors_are_one_line_per_problem_and_survive_pickling():
    error = ConfigError(
        [Problem("a.toml", "seed", "x", "an integer"), Problem("", "world.kind", "y" * 500, "gbm\nor more")]
    )
    lines = str(error).split("\n")
    assert lines[0] == "a.toml: seed = 'x'; allowed: an integer"
    assert len(lines) == 2
    assert len(lines[1]) < 200
    again = pickle.loads(pickle.dumps(error))
    assert again.problems == error.problems
    assert error.exit_code == 2
    assert str(ConfigError.of("k", 1, "2", file="f")) == "f: k = 1; allowed: 2"


def test_invariant_errors_name_step_and_account():
    error = InvariantError("cash is conserved", step=12, account=3, expected=10, found=11)
    assert str(error) == "invariant violated at step 12, account 3: cash is conserved: expected 10, found 11"
    assert isinstance(error, MarginLabError)
    assert vars(pickle.loads(pickle.dumps(error))) == vars(error)


WORLD_VALUE = 22358486586457344
