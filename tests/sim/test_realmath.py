"""The elementary functions against arithmetic of fifty digits and against SciPy."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from scipy.special import ndtri

from sim.kernels import realmath
from sim.kernels.jit import kernel


@kernel()
def ln_of(x, out):
    for i in range(len(x)):
        out[i] = realmath.ln(x[i])


@kernel()
def exp_of(x, out):
    for i in range(len(x)):
        out[i] = realmath.exp(x[i])


@kernel()
def quantile_of(x, out):
    for i in range(len(x)):
        out[i] = realmath.normal_quantile(x[i])


def apply(function, x):
    out = np.empty_like(x)
    function(x, out)
    return out


def error_in_ulps(found, exact: Decimal) -> float:
    nearest = float(exact)
    return float(abs(Decimal(float(found)) - exact) / Decimal(math.ulp(nearest)))


@pytest.fixture(scope="module")
def wide_sample():
    draw = np.random.default_rng(1)
    return np.concatenate(
        [np.exp(draw.uniform(-700, 700, 400)), draw.uniform(0.5, 2.0, 400), 1 + draw.uniform(-1e-7, 1e-7, 200)]
    )


def test_ln_is_within_one_ulp_of_the_exact_value(wide_sample):
    with localcontext() as context:
        context.prec = 50
        errors = [error_in_ulps(realmath.ln(x), Decimal(float(x)).ln()) for x in wide_sample]
    assert max(errors) < 1.0


def test_exp_is_within_one_ulp_of_the_exact_value():
    draw = np.random.default_rng(2)
    sample = np.concatenate([draw.uniform(-700, 709, 500), draw.uniform(-1, 1, 500), draw.uniform(-1e-9, 1e-9, 100)])
    with localcontext() as context:
        context.prec = 50
        errors = [error_in_ulps(realmath.exp(x), Decimal(float(x)).exp()) for x in sample]
    assert max(errors) < 1.0


def test_ln_and_exp_agree_with_the_library_within_two_ulps_on_many_points():
    draw = np.random.default_rng(3)
    x = np.exp(draw.uniform(-300, 300, 100_000))
    assert np.all(np.abs(apply(ln_of, x) - np.log(x)) <= 2 * np.spacing(np.abs(np.log(x))))
    y = draw.uniform(-708, 709, 100_000)
    assert np.all(np.abs(apply(exp_of, y) - np.exp(y)) <= 2 * np.spacing(np.exp(y)))


@pytest.mark.parametrize(
    ("x", "expected"), [(0.0, -math.inf), (1.0, 0.0), (math.inf, math.inf), (5e-324, math.log(5e-324))]
)
def test_ln_at_the_edges(x, expected):
    assert realmath.ln(x) == expected
    assert math.isnan(realmath.ln(-1.0))
    assert math.isnan(realmath.ln(math.nan))


@pytest.mark.parametrize(
    ("x", "expected"),
    [(0.0, 1.0), (1.0, math.e), (709.78, math.exp(709.78)), (710.0, math.inf), (-746.0, 0.0), (-math.inf, 0.0)],
)
def test_exp_at_the_edges(x, expected):
    assert realmath.exp(x) == pytest.approx(expected, rel=3e-16)
    assert math.isnan(realmath.exp(math.nan))


def test_exp_below_the_smallest_normal_number():
    assert realmath.exp(-740.0) == pytest.approx(math.exp(-740.0), rel=1e-2)
    assert realmath.exp(-745.0) == 5e-324


def test_power_error_is_as_documented():
    draw = np.random.default_rng(4)
    with localcontext() as context:
        context.prec = 50
        for x, y in zip(draw.uniform(0.01, 100, 500), draw.uniform(-20, 20, 500), strict=True):
            exact = Decimal(float(x)) ** Decimal(float(y))
            relative = abs(Decimal(float(realmath.power(x, y))) - exact) / exact
            assert relative <= Decimal((2 + abs(y * math.log(x))) * 2.0**-52)


def test_normal_quantile_agrees_with_scipy():
    draw = np.random.default_rng(5)
    p = np.concatenate(
        [draw.uniform(0, 1, 100_000), 10 ** draw.uniform(-300, -1, 50_000), 0.5 + draw.uniform(-1e-3, 1e-3, 999)]
    )
    assert np.max(np.abs(apply(quantile_of, p) / ndtri(p) - 1)) < 5e-15


def test_normal_quantile_is_odd_and_zero_at_one_half():
    p = (np.random.default_rng(6).integers(0, 2**52, 10_000) + 0.5) * 2.0**-52
    assert np.array_equal(apply(quantile_of, p), -apply(quantile_of, 1 - p))
    assert realmath.normal_quantile(0.5) == 0.0


def test_known_bits():
    """The bits themselves: they may differ on no machine and under no version."""
    x = [0.1, 0.7, 1.3, 2.0, 10.0, 12345.678]
    assert [float(realmath.ln(v)).hex() for v in x] == LN_BITS
    assert [float(realmath.exp(v / 100)).hex() for v in x] == EXP_BITS
    assert [float(realmath.normal_quantile(v / 12346)).hex() for v in x] == QUANTILE_BITS


LN_BITS = [
    "-0x1.26bb1bbb55515p+1",
    "-0x1.6d3c324e13f50p-2",
    "0x1.0ca937be1b9dcp-2",
    "0x1.62e42fefa39efp-1",
    "0x1.26bb1bbb55516p+1",
    "0x1.2d79559791e31p+3",
]
EXP_BITS = [
    "0x1.0041919b7ee34p+0",
    "0x1.01cc5c83bae0ep+0",
    "0x1.035987a562045p+0",
    "0x1.052bea3ec0132p+0",
    "0x1.1aec7b35a00d4p+0",
    "0x1.14600c0e67702p+178",
]
QUANTILE_BITS = [
    "-0x1.13f31461090b7p+2",
    "-0x1.ee13c59fb342fp+1",
    "-0x1.da5cc78a2551cp+1",
    "-0x1.cc337c41af888p+1",
    "-0x1.937e35b402273p+1",
    "0x1.02ed11d6fd5fep+2",
]
