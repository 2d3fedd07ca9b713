"""Exact products in 128 bits, against Python integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.kernels.wide import mul_div_floor, mul_high, mul_rate, mul_shift_floor

MONEY = st.integers(-(1 << 62), 1 << 62)
POSITIVE = st.integers(0, 1 << 62)
RATE = st.integers(0, 1 << 33)


@given(POSITIVE, st.integers(0, 1 << 32))
def test_a_rate_rounds_up(value: int, rate: int) -> None:
    assert mul_rate(value, rate) == -(-value * rate // (1 << 32))


@given(st.integers(0, 1 << 60), st.integers(-(1 << 32), 0))
def test_a_rebate_rounds_against_who_gets_it(value: int, rate: int) -> None:
    assert mul_rate(value, rate) == -(-value * rate // (1 << 32))


@given(MONEY, st.integers(-(1 << 33), 1 << 33), st.integers(32, 63))
def test_a_shift_rounds_down(a: int, b: int, shift: int) -> None:
    if abs(a * b) >> shift < 1 << 63:
        assert mul_shift_floor(a, b, shift) == a * b >> shift


@given(MONEY, POSITIVE, st.integers(1, (1 << 63) - 1))
def test_a_quotient_rounds_down(a: int, b: int, c: int) -> None:
    if abs(a * b) // c < 1 << 63:
        assert mul_div_floor(a, b, c) == a * b // c


@given(MONEY, st.data())
def test_a_share_of_an_amount_rounds_down(amount: int, data: st.DataObject) -> None:
    whole = data.draw(st.integers(1, (1 << 63) - 1))
    part = data.draw(st.integers(0, whole))
    assert mul_div_floor(amount, part, whole) == amount * part // whole


@pytest.mark.parametrize(
    ("a", "b", "c"),
    [
        ((1 << 62), (1 << 62), (1 << 62)),
        ((1 << 62), (1 << 32) + 1, (1 << 33) - 1),
        (-(1 << 62), (1 << 62) - 1, (1 << 62)),
        ((1 << 62) - 1, (1 << 62) - 1, (1 << 63) - 1),
        (-1, 1, (1 << 63) - 1),
        (0, 1 << 62, 1),
        (-7, 3, 7),
        (-7, 3, 2),
    ],
)
def test_quotients_at_the_edges(a: int, b: int, c: int) -> None:
    assert mul_div_floor(a, b, c) == a * b // c


@given(st.integers(0, (1 << 64) - 1), st.integers(0, (1 << 64) - 1))
def test_the_high_word_of_a_product(a: int, b: int) -> None:
    assert int(mul_high(np.uint64(a), np.uint64(b))) == a * b >> 64
