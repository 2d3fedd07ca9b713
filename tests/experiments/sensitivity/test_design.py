"""Samples of the space of keys."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.sensitivity.design import Design, parse_range, parse_ranges
from sim.errors import ConfigError

TWO = parse_ranges(["a=0:1", "b=1:100:log"])


@pytest.mark.parametrize("text", ["a", "a=1", "a=2:1", "a=0:1:log", "=0:1", "a=x:1", "a=0:1:cubic", "a=0:inf", "a=1:1"])
def test_a_range_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--key"):
        parse_range(text)


def test_all_bad_ranges_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        parse_ranges(["a=2:1", "b=0:1", "b=0:2", "c"])
    assert len(error.value.problems) == 3
    with pytest.raises(ConfigError, match="at least one"):
        parse_ranges([])


def test_scales_and_whole_numbers() -> None:
    both = parse_range("lots=1:1000:log:integer")
    assert [both.at(share) for share in (0.0, 1 / 3, 2 / 3, 1.0)] == [1, 10, 100, 1000]
    assert parse_range("x=-2:2").at(0.25) == -1.0


@pytest.mark.parametrize(("method", "second", "rows"), [("morris", False, 4), ("sobol", False, 5), ("sobol", True, 8)])
def test_the_placebo_costs_no_run(method: str, second: bool, rows: int) -> None:
    design = Design(method, TWO, 8, second)  # type: ignore[arg-type]
    assert design.unit.shape == (8 * rows, 3)
    assert len(design.points) <= 8 * (rows - (2 if second else 1))
    numbers = np.arange(len(design.points), dtype=float)
    blocks = design.spread(numbers).reshape(8, rows)
    unit = design.unit.reshape(8, rows, 3)
    for block, points in zip(unit, blocks, strict=True):
        for i in range(rows):
            for j in range(rows):
                if np.array_equal(block[i, :2], block[j, :2]):
                    assert points[i] == points[j]


def test_a_sample_is_a_function_of_its_seed() -> None:
    assert np.array_equal(Design("morris", TWO, 6).unit, Design("morris", TWO, 6).unit)
    assert not np.array_equal(Design("morris", TWO, 6).unit, Design("morris", TWO, 6, seed=1).unit)


def test_sizes_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match="power of 2"):
        Design("sobol", TWO, 12).validate()
    with pytest.raises(ConfigError, match="--second-order"):
        Design("morris", TWO, 12, second=True).validate()
    with pytest.raises(ConfigError, match="4 or more"):
        Design("morris", TWO, 2).validate()
    with pytest.raises(ConfigError, match="at most"):
        Design("sobol", TWO, 1 << 20).validate()
