from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.errors import ConfigError
from tests.margin.grids import Desk, book, future, option, orders, portfolios

CONTRACTS = len(book()["contracts"])
GROUPS: dict[str, Any] = {
    "classes": {"AA": "high_cap_broad_index", "BB": "broad_index"},
    "product_groups": [{"underlyings": ["AA", "BB"], "offset": 0.9}],
}


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk("tims", GROUPS)


def stock(asset_class: str = "", **more: Any) -> dict[str, Any]:
    under = {"name": "S", "price": 50, "volatility": 0.4, "asset_class": asset_class}
    contracts = [{"name": "shares", "kind": "spot", "underlying": "S"},
                 option("C55", "S", "call", 55, 30, multiplier=100),
                 option("P45", "S", "put", 45, 30, multiplier=100)]  # fmt: skip
    return {"underlyings": [under], "contracts": contracts, "positions": [{"contract": "shares", "size": 1}]} | more


@pytest.mark.parametrize(
    ("asset_class", "long", "short"),
    [
        ("high_cap_broad_index", 0.08, 0.06),
        ("broad_index", 0.10, 0.10),
        ("narrow_index", 0.15, 0.15),
        ("equity", 0.15, 0.15),
        ("", 0.15, 0.15),
    ],
)
def test_each_asset_class_has_its_range(asset_class: str, long: float, short: float) -> None:
    desk = Desk("tims", None, stock(asset_class))
    assert desk.maintenance([[100, 0, 0]]) == pytest.approx(100 * 50 * long * desk.snap.minor, abs=1)
    assert desk.maintenance([[-100, 0, 0]]) == pytest.approx(100 * 50 * short * desk.snap.minor, abs=1)


def test_ten_points_five_on_each_side_or_all_over_the_range() -> None:
    from margin.tims import TimsParameters

    points = TimsParameters().moves("high_cap_broad_index")
    assert points == pytest.approx([-0.08, -0.064, -0.048, -0.032, -0.016, 0.012, 0.024, 0.036, 0.048, 0.06])
    even = TimsParameters(spacing="even").moves("high_cap_broad_index")
    assert np.diff(even) == pytest.approx(np.full(9, 0.14 / 9))


def test_a_hedged_position_pays_the_minimum_per_contract() -> None:
    """A collar around stock: two option contracts of 100 shares, $37.50 each."""
    raw = stock()
    raw["contracts"][1]["strike"] = raw["contracts"][2]["strike"] = 50
    desk = Desk("tims", None, raw)
    conversion = desk.explain([[100, -1, 1]])
    assert conversion.maintenance[0] == 75 * desk.snap.minor
    assert conversion.maintenance_parts["minimum_charge"][0] > 74 * desk.snap.minor
    assert desk.maintenance([[0, 1, 0]]) > 37.5 * desk.snap.minor  # a long option can lose its value


def test_options_are_revalued_today_at_unchanged_volatility() -> None:
    from sim.kernels.black76 import black76

    desk = Desk("tims", None, stock())
    found = desk.explain([[0, 0, -1]])
    assert found.scenario_loss is not None
    losses = [100 * (black76(-1, 50 * (1 + m), 45.0, 30 / 365, 0.4) - black76(-1, 50.0, 45.0, 30 / 365, 0.4))
              for m in (-0.15, -0.12, -0.09, -0.06, -0.03, 0.03, 0.06, 0.09, 0.12, 0.15)]  # fmt: skip
    assert found.scenario_loss[0] / desk.snap.minor == pytest.approx(losses, abs=1e-4)


def test_gains_of_a_class_offset_losses_of_its_product_group_to_the_percentage() -> None:
    raw = book(contracts=[future("x", "AA", 30), future("y", "BB", 30)], positions=[{"contract": "x", "size": 1}])
    params = {"default_class": "broad_index", "minimum": 0.0}
    alone = Desk("tims", params, raw)
    assert alone.maintenance([[10, -20]]) == (100 + 80) * alone.snap.minor
    group = [{"underlyings": ["AA", "BB"], "offset": 0.9}]
    together = Desk("tims", params | {"product_groups": group}, raw)
    assert together.maintenance([[10, -20]]) == pytest.approx((100 - 0.9 * 80) * together.snap.minor, rel=1e-9)
    assert together.maintenance([[10, 20]]) == 180 * together.snap.minor


@settings(max_examples=60, deadline=None)
@given(data=st.data(), lots=portfolios(CONTRACTS))
def test_compiled_tims_is_the_definition_to_the_unit(desk: Desk, data: st.DataObject, lots: np.ndarray) -> None:
    buy, sell, own = (data.draw(orders(CONTRACTS, len(lots))) for _ in range(3))
    desk.agree(lots)
    desk.agree(lots, buy, sell, own)
    assert (desk.ask(lots, buy, sell).initial >= desk.ask(lots).initial).all()


@settings(max_examples=60, deadline=None)
@given(lots=portfolios(CONTRACTS, 1), other=portfolios(CONTRACTS, 1), times=st.integers(1, 20))
def test_tims_is_never_negative_never_above_its_parts_and_homogeneous(
    desk: Desk, lots: np.ndarray, other: np.ndarray, times: int
) -> None:
    whole, apart = desk.maintenance(lots + other), desk.maintenance(lots) + desk.maintenance(other)
    assert 0 <= whole <= apart + 1  # offsets are rounded down in 2**-10 units
    assert abs(times * desk.maintenance(lots) - desk.maintenance(times * lots)) <= times


@settings(max_examples=40, deadline=None)
@given(data=st.data(), lots=portfolios(CONTRACTS, 1, 20))
def test_what_open_orders_reserve_covers_any_of_their_fills(desk: Desk, data: st.DataObject, lots: np.ndarray) -> None:
    buy, sell = data.draw(orders(CONTRACTS, 1)), data.draw(orders(CONTRACTS, 1))
    bought = data.draw(st.lists(st.booleans(), min_size=CONTRACTS, max_size=CONTRACTS))
    sold = data.draw(st.lists(st.booleans(), min_size=CONTRACTS, max_size=CONTRACTS))
    filled = lots + buy * np.array(bought) - sell * np.array(sold)
    assert desk.ask(filled).initial[0] <= desk.ask(lots, buy, sell).initial[0] + 1


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"ranges": {"equity": [0.1, 0.2]}}, "below zero to above zero"),
        ({"points": 9}, "even number"),
        ({"default_class": "bond"}, "default_class"),
        ({"classes": {"AA": "bond"}}, "one of high_cap_broad_index"),
        ({"classes": {"CC": "equity"}}, "names of contracts or underlyings"),
        ({"product_groups": [{"underlyings": ["AA"], "offset": 0.9}]}, "product_groups"),
        ({"product_groups": [{"underlyings": ["AA", "BB"], "offset": 0.9}] * 2}, "one product group"),
        ({"volatility_shift": float("nan")}, "volatility_shift"),
    ],
)
def test_bad_parameters_get_one_clear_line(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Desk("tims", params)
