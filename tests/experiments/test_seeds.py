from __future__ import annotations

import pytest

from experiments.seeds import parse_seed, parse_seeds
from sim.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("3", (0, 1, 2)),
        ("50000:50003", (50000, 50001, 50002)),
        ("1,2,3", (1, 2, 3)),
        ("7,", None),
        ("4,4,5", (4, 5)),
        ("1:3,9", (1, 2, 9)),
        ("0", None),
        ("-3", None),
        ("2.5", None),
        ("x", None),
        ("5:5", None),
        ("9223372036854775808:9223372036854775809", None),
        ("2000000", None),
    ],
)
def test_seeds_as_users_write_them(text: str, seeds: tuple[int, ...] | None) -> None:
    if seeds is None:
        with pytest.raises(ConfigError, match="--seeds"):
            parse_seeds(text)
    else:
        assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["1.5", "abc", "-1", "9223372036854775808", ""])
def test_a_seed_is_a_whole_number(text: str) -> None:
    with pytest.raises(ConfigError, match="--seed"):
        parse_seed(text)
    assert parse_seed("7") == 7
