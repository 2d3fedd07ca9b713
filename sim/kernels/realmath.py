"""Elementary functions whose last bit is the same on every machine and under every library version.

The functions of NumPy, of the C library and of LLVM differ from version to version in the last bits, and a market
amplifies a last bit into another history. Here everything is IEEE 754 addition, multiplication, division, square root
and bit operations, which are exact by standard, in a fixed order; the compiler may not reorder them (no fast-math).

``ln`` and ``exp`` follow FDLIBM 5.3 (``e_log.c``, ``e_exp.c``: Copyright (C) 1993 by Sun Microsystems, Inc. All rights
reserved. Developed at SunSoft, a Sun Microsystems, Inc. business. Permission to use, copy, modify, and distribute this
software is freely granted, provided that this notice is preserved) and err by less than one unit in the last place;
``normal_quantile`` is algorithm AS 241 (Wichura 1988, Applied Statistics 37:477-484), about one part in 10^16.
"""

from __future__ import annotations

import numpy as np

from sim.kernels.jit import kernel

# Explicit signatures: one compilation of each function, whatever mixture of integers and literals a caller passes.
_REAL = "(float64,)"

_LN2_HIGH = 6.93147180369123816490e-01  # its 21 low bits are zero, so k * _LN2_HIGH is exact
_LN2_LOW = 1.90821492927058770002e-10
_INVERSE_LN2 = 1.44269504088896338700e00

_LG1, _LG2, _LG3, _LG4 = 6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01, 2.222219843214978396e-01  # fmt: skip  # noqa: E501
_LG5, _LG6, _LG7 = 1.818357216161805012e-01, 1.531383769920937332e-01, 1.479819860511658591e-01

_P1, _P2, _P3 = 1.66666666666666019037e-01, -2.77777777770155933842e-03, 6.61375632143793436117e-05
_P4, _P5 = -1.65339022054652515390e-06, 4.13813679705723846039e-08

_EXP_OVERFLOW = 7.09782712893383973096e02
_EXP_UNDERFLOW = -7.45133219101941108420e02
_TWO_54 = 18014398509481984.0
_SMALLEST_NORMAL = 2.2250738585072014e-308


@kernel(_REAL)
def bits_of(x):
    """The 64 bits of a float64, as int64."""
    return np.float64(x).view(np.int64)


@kernel("(int64,)")
def float_of(bits):
    """The float64 that has these 64 bits (int64)."""
    return np.int64(bits).view(np.float64)


@kernel(_REAL)
def ln(x):
    """Natural logarithm; ``-inf`` at zero, ``nan`` below."""
    x = np.float64(x)
    if not x > 0.0:
        return -np.inf if x == 0.0 else np.nan
    if x == np.inf:
        return x
    k = 0
    if x < _SMALLEST_NORMAL:
        k = -54
        x = x * _TWO_54
    bits = bits_of(x)
    high = bits >> 32
    k += (high >> 20) - 1023
    high = high & 0xFFFFF
    # Choose the exponent so that the mantissa lies in [sqrt(1/2), sqrt(2)).
    carry = (high + 0x95F64) & 0x100000
    mantissa = float_of((bits & 0xFFFFFFFF) | ((high | (carry ^ 0x3FF00000)) << 32))
    k += carry >> 20
    f = mantissa - 1.0
    dk = np.float64(k)
    if (0xFFFFF & (2 + high)) < 3:  # |f| < 2**-20
        if f == 0.0:
            return dk * _LN2_HIGH + dk * _LN2_LOW
        r = f * f * (0.5 - 0.33333333333333333 * f)
        return dk * _LN2_HIGH - ((r - dk * _LN2_LOW) - f)
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    t1 = w * (_LG2 + w * (_LG4 + w * _LG6))
    t2 = z * (_LG1 + w * (_LG3 + w * (_LG5 + w * _LG7)))
    r = t2 + t1
    if ((high - 0x6147A) | (0x6B851 - high)) > 0:
        half_square = 0.5 * f * f
        return dk * _LN2_HIGH - ((half_square - (s * (half_square + r) + dk * _LN2_LOW)) - f)
    return dk * _LN2_HIGH - ((s * (f - r) - dk * _LN2_LOW) - f)


@kernel(_REAL)
def exp(x):
    """The exponential; ``inf`` above 709.78, zero below -745.13, ``nan`` of ``nan``."""
    x = np.float64(x)
    if x != x:
        return x
    if x > _EXP_OVERFLOW:
        return np.inf
    if x < _EXP_UNDERFLOW:
        return 0.0
    k = np.int64(0)
    high, low = x, 0.0
    if abs(x) > 0.34657359027997264:  # ln(2) / 2
        k = np.int64(_INVERSE_LN2 * x + (0.5 if x > 0.0 else -0.5))
        high = x - k * _LN2_HIGH
        low = k * _LN2_LOW
    r = high - low
    t = r * r
    c = r - t * (_P1 + t * (_P2 + t * (_P3 + t * (_P4 + t * _P5))))
    y = 1.0 - ((low - (r * c) / (2.0 - c)) - high)
    if k == 0:
        return y
    # Scale by 2**k in two factors: one power of two alone would overflow at k = 1024 or vanish below k = -1022.
    half = k >> 1
    return (y * float_of((half + 1023) << 52)) * float_of((k - half + 1023) << 52)


@kernel("(float64, float64)")
def power(x, y):
    """``x ** y`` for ``x > 0``, as ``exp(y * ln(x))``: relative error below ``(2 + |y ln x|) * 2**-52``."""
    return exp(y * ln(x))


@kernel(_REAL)
def _quantile_centre(q):
    r = 0.180625 - q * q
    top = r * 2509.0809287301226727 + 33430.575583588128105
    top = ((top * r + 67265.770927008700853) * r + 45921.953931549871457) * r + 13731.693765509461125
    top = ((top * r + 1971.5909503065514427) * r + 133.14166789178437745) * r + 3.387132872796366608
    low = r * 5226.495278852545925 + 28729.085735721942674
    low = ((low * r + 39307.89580009271061) * r + 21213.794301586595867) * r + 5394.1960214247511077
    low = ((low * r + 687.1870074920579083) * r + 42.313330701600911252) * r + 1.0
    return q * top / low


@kernel(_REAL)
def _quantile_shoulder(r):
    top = r * 7.7454501427834140764e-4 + 0.0227238449892691845833
    top = ((top * r + 0.24178072517745061177) * r + 1.27045825245236838258) * r + 3.64784832476320460504
    top = ((top * r + 5.7694972214606914055) * r + 4.6303378461565452959) * r + 1.42343711074968357734
    low = r * 1.05075007164441684324e-9 + 5.475938084995344946e-4
    low = ((low * r + 0.0151986665636164571966) * r + 0.14810397642748007459) * r + 0.68976733498510000455
    low = ((low * r + 1.6763848301838038494) * r + 2.05319162663775882187) * r + 1.0
    return top / low


@kernel(_REAL)
def _quantile_tail(r):
    top = r * 2.01033439929228813265e-7 + 2.71155556874348757815e-5
    top = ((top * r + 0.0012426609473880784386) * r + 0.026532189526576123093) * r + 0.29656057182850489123
    top = ((top * r + 1.7848265399172913358) * r + 5.4637849111641143699) * r + 6.6579046435011037772
    low = r * 2.04426310338993978564e-15 + 1.4215117583164458887e-7
    low = ((low * r + 1.8463183175100546818e-5) * r + 7.868691311456132591e-4) * r + 0.0148753612908506148525
    low = ((low * r + 0.13692988092273580531) * r + 0.59983220655588793769) * r + 1.0
    return top / low


@kernel(_REAL)
def normal_quantile(p):
    """Inverse of the standard normal distribution function for ``0 < p < 1``."""
    q = p - 0.5
    if abs(q) <= 0.425:
        return _quantile_centre(q)
    r = np.sqrt(-ln(p if q < 0.0 else 1.0 - p))
    value = _quantile_shoulder(r - 1.6) if r <= 5.0 else _quantile_tail(r - 5.0)
    return -value if q < 0.0 else value
