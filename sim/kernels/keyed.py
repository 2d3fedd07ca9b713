"""Keyed random draws: each number is a pure function of (seed, stream, step, index, block).

No generator is carried along, so what one trader draws never depends on what another did, and two runs that differ in
a margin rule face the same world to the bit. The function is Philox4x64 with ten rounds (Salmon, Moraes, Dror & Shaw
2011, "Parallel random numbers: as easy as 1, 2, 3", SC'11), which passes the BigCrush battery for counters in order.

The words are those of NumPy's generator of that name::

    philox(seed, stream, step, index, block)
        == np.random.Philox(key=[seed, stream], counter=[block, index, step, 0]).random_raw(4)

NumPy raises the counter before its first output; that raise is made here too, so the block that is encrypted is
``(block + 1, index, step, 0)``. Words are 64 bits; negative arguments enter as their two's complement.

Transforms of a uniform are inverse distribution functions, increasing in the uniform: one uniform, one draw, so a
change of a parameter moves a draw smoothly and shifts no other.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.kernels.jit import JIT_DISABLED, kernel
from sim.kernels.realmath import exp, ln, normal_quantile

# Explicit signatures: one compilation of each function, whatever mixture of integers and literals a caller passes.
_KEY = "(int64, int64, int64, int64)"  # seed, stream, step, index
_BLOCK = "(int64, int64, int64, int64, int64)"  # and block

_M0 = np.uint64(0xD2E7470EE14C6C93)
_M1 = np.uint64(0xCA5A826395121157)
_W0 = np.uint64(0x9E3779B97F4A7C15)
_W1 = np.uint64(0xBB67AE8584CAA73B)
_ROUNDS = 10
_HALF_STEP = 2.0**-52

POISSON_MEAN_MAX = 700.0  # exp(-700) is still a normal number

if JIT_DISABLED:
    # NumPy scalars warn when they wrap, so the three wrapping operations go through Python integers.
    _MASK = (1 << 64) - 1

    def _multiply(a: Any, b: Any) -> tuple[np.uint64, np.uint64]:
        product = int(a) * int(b)
        return np.uint64(product >> 64), np.uint64(product & _MASK)

    def _add(a: Any, b: Any) -> np.uint64:
        return np.uint64((int(a) + int(b)) & _MASK)

    def _word(x: Any) -> np.uint64:
        return np.uint64(int(x) & _MASK)

else:
    from llvmlite import ir
    from numba import types
    from numba.extending import intrinsic

    @intrinsic
    def _multiply(typingctx: Any, a: Any, b: Any) -> Any:
        """High and low word of the 128-bit product of two uint64 (one machine instruction)."""
        signature = types.UniTuple(types.uint64, 2)(types.uint64, types.uint64)

        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            wide = ir.IntType(128)
            word = ir.IntType(64)
            product = builder.mul(builder.zext(arguments[0], wide), builder.zext(arguments[1], wide))
            high = builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), word)
            return context.make_tuple(builder, signature.return_type, [high, builder.trunc(product, word)])

        return signature, codegen

    @kernel("(uint64, uint64)")
    def _add(a, b):
        return a + b

    @kernel("(int64,)")
    def _word(x):
        return np.uint64(x)


@kernel(_BLOCK)
def philox(seed, stream, step, index, block):
    """Four random words (uint64) of one block."""
    c0, c1, c2, c3 = _word(block + 1), _word(index), _word(step), np.uint64(0)
    k0, k1 = _word(seed), _word(stream)
    for _ in range(_ROUNDS):
        high0, low0 = _multiply(_M0, c0)
        high1, low1 = _multiply(_M1, c2)
        c0 = high1 ^ c1 ^ k0
        c1 = low1
        c2 = high0 ^ c3 ^ k1
        c3 = low0
        k0 = _add(k0, _W0)
        k1 = _add(k1, _W1)
    return c0, c1, c2, c3


@kernel("(uint64,)")
def unit(word):
    """A uniform in the open interval (0, 1) from a word: the centre of one of 2**52 equal cells.

    Centres are odd multiples of 2**-53, so 0 and 1 cannot occur and ``1 - u`` is exact and as likely as ``u``.
    """
    return (np.float64(np.int64(word >> np.uint64(12))) + 0.5) * _HALF_STEP


@kernel(_KEY)
def bits(seed, stream, step, index):
    """One random word (uint64): the first of block 0."""
    return philox(seed, stream, step, index, 0)[0]


@kernel(_KEY)
def uniform(seed, stream, step, index):
    """One uniform in (0, 1), from the first word of block 0."""
    return unit(philox(seed, stream, step, index, 0)[0])


@kernel(_BLOCK)
def uniform4(seed, stream, step, index, block):
    """Four independent uniforms in (0, 1), from the words of one block."""
    a, b, c, d = philox(seed, stream, step, index, block)
    return unit(a), unit(b), unit(c), unit(d)


@kernel(_KEY)
def normal(seed, stream, step, index):
    """One standard normal: the quantile of ``uniform(seed, stream, step, index)``."""
    return normal_quantile(uniform(seed, stream, step, index))


@kernel(_BLOCK)
def normal4(seed, stream, step, index, block):
    """Four independent standard normals: the quantiles of ``uniform4`` of the same key."""
    a, b, c, d = uniform4(seed, stream, step, index, block)
    return normal_quantile(a), normal_quantile(b), normal_quantile(c), normal_quantile(d)


@kernel("(float64,)")
def exponential(u):
    """Exponential with mean one from a uniform."""
    return -ln(1.0 - u)


@kernel("(float64, float64)")
def pareto(u, alpha):
    """Pareto with scale one and tail exponent ``alpha`` from a uniform; at least one."""
    return exp(-ln(1.0 - u) / alpha)


@kernel("(float64, float64, float64)")
def lognormal_of(z, mu, sigma):
    """Lognormal from a standard normal: ``exp(mu + sigma z)``."""
    return exp(mu + sigma * z)


@kernel("(float64, float64)")
def poisson(u, mean):
    """Poisson count from a uniform, by search from zero upwards; ``mean`` at most ``POISSON_MEAN_MAX``.

    Means are clipped to [0, ``POISSON_MEAN_MAX``]. Takes time proportional to the count.
    """
    mean = min(max(mean, 0.0), POISSON_MEAN_MAX)
    probability = exp(-mean)
    cumulative = probability
    count = 0
    # The sum may stall just below one in the last bits: stop once a term no longer changes it.
    while u > cumulative:
        count += 1
        probability *= mean / count
        if count > mean and cumulative + probability == cumulative:
            break
        cumulative += probability
    return count
