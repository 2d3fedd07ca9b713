"""Exact products of 64-bit integers in 128 bits."""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.kernels.jit import JIT_DISABLED, kernel

_LOW32 = np.uint64(0xFFFFFFFF)
_S32 = np.uint64(32)
_ONE = np.uint64(1)
_S63 = np.uint64(63)

if JIT_DISABLED:

    def mul_rate(value: int, rate: int) -> int:
        """Value times a rate in 2**-32, rounded up: the rounding of every requirement and fee."""
        return -((-int(value) * int(rate)) >> 32)

    def mul_shift_floor(a: int, b: int, shift: int) -> int:
        """``floor(a * b / 2**shift)``; a and b may be negative."""
        return (int(a) * int(b)) >> int(shift)

    def mul_high(a: Any, b: Any) -> np.uint64:
        """High 64 bits of the unsigned product."""
        return np.uint64((int(a) * int(b)) >> 64)

    def mul_div_floor(a: int, b: int, c: int) -> int:
        """``floor(a * b / c)``; c > 0, b >= 0, a may be negative."""
        return (int(a) * int(b)) // int(c)

else:
    from llvmlite import ir
    from numba import types
    from numba.extending import intrinsic

    def _wide(builder: Any, value: Any) -> Any:
        return builder.sext(value, ir.IntType(128))

    @intrinsic
    def _mul_shift(typing_context: Any, a: Any, b: Any, shift: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            product = builder.mul(_wide(builder, args[0]), _wide(builder, args[1]))
            shifted = builder.ashr(product, builder.zext(args[2], ir.IntType(128)))
            return builder.trunc(shifted, ir.IntType(64))

        return types.int64(types.int64, types.int64, types.int64), generate

    @intrinsic
    def _mul_high_unsigned(typing_context: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            wide = ir.IntType(128)
            product = builder.mul(builder.zext(args[0], wide), builder.zext(args[1], wide))
            return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))

        return types.uint64(types.uint64, types.uint64), generate

    @kernel()
    def mul_rate(value, rate):
        """Value times a rate in 2**-32, rounded up: the rounding of every requirement and fee."""
        return -_mul_shift(-np.int64(value), np.int64(rate), np.int64(32))

    @kernel()
    def mul_shift_floor(a, b, shift):
        """``floor(a * b / 2**shift)`` with a 128-bit product; a and b may be negative."""
        return _mul_shift(np.int64(a), np.int64(b), np.int64(shift))

    @kernel()
    def mul_high(a, b):
        """High 64 bits of the unsigned product."""
        return _mul_high_unsigned(a, b)

    @kernel()
    def _divide_wide(high, low, divisor):
        """Quotient and remainder of a 128-bit number by a 64-bit one, high < divisor (Knuth, TAOCP 2, algorithm D)."""
        if high == np.uint64(0):
            quotient = low // divisor
            return quotient, low - quotient * divisor
        shift = np.uint64(0)
        while (divisor >> _S63) == np.uint64(0):
            divisor <<= _ONE
            high = (high << _ONE) | (low >> _S63)
            low <<= _ONE
            shift += _ONE
        d1 = divisor >> _S32
        d0 = divisor & _LOW32
        quotient = np.uint64(0)
        rest = high
        for half in range(2):
            digit_in = (low >> _S32) if half == 0 else (low & _LOW32)
            guess = rest // d1
            left = rest - guess * d1
            while guess > _LOW32 or guess * d0 > ((left << _S32) | digit_in):
                guess -= _ONE
                left += d1
                if left > _LOW32:
                    break
            rest = ((rest << _S32) | digit_in) - guess * divisor
            quotient = (quotient << _S32) | guess
        return quotient, rest >> shift

    @kernel()
    def mul_div_floor(a, b, c):
        """``floor(a * b / c)`` with a 128-bit product; c > 0, b >= 0, a may be negative, the quotient fits 64 bits."""
        negative = a < 0
        magnitude = np.uint64(-a) if negative else np.uint64(a)
        factor = np.uint64(b)
        quotient, rest = _divide_wide(_mul_high_unsigned(magnitude, factor), magnitude * factor, np.uint64(c))
        if negative:
            if rest != np.uint64(0):
                quotient += _ONE
            return -np.int64(quotient)
        return np.int64(quotient)
