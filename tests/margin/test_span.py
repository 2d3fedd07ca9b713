from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.errors import ConfigError, KernelError
from tests.margin.grids import Desk, book, future, option, orders, portfolios

ARRAY = (460, -610, 2640, 1730, -1270, -2340, 5210, 4540, -2540, -3430, 8060, 7640, -3380, -3990, 3130, -1500)
CONTRACTS = len(book()["contracts"])
RICH: dict[str, Any] = {
    "price_scan_rate": {"AA": 0.06, "BB": 0.09},
    "volatility_scan_rate": 0.25,
    "calendar_rate": 0.005,
    "calendar_rate_per_month": 0.002,
    "delivery_rate": 0.01,
    "delivery_days": 40,
    "short_option_minimum_rate": 0.01,
    "credits": [{"legs": {"AA": 1.0, "BB": -2.0}, "credit": 0.6}, {"legs": {"AA": 1.0, "BB": -3.0}, "credit": 0.3}],
}


@pytest.fixture(scope="module")
def rich() -> Desk:
    return Desk("span", RICH)


def single(contract: dict[str, Any], price: float = 410.0, **more: Any) -> dict[str, Any]:
    under = {"name": "SP", "price": price, "volatility": 0.2}
    return {
        "underlyings": [under],
        "contracts": [contract],
        "positions": [{"contract": contract["name"], "size": 1}],
    } | more


def test_t11_futures_array_with_rounded_thirds() -> None:
    desk = Desk(
        "span", {"price_scan_range": 20, "thirds": "rounded"}, single(future("DEC", "SP", 60, multiplier=500, mark=410))
    )
    answer = desk.explain([[1]])
    assert answer.scenario_loss is not None
    minor = desk.snap.minor
    expected = [0, 0, -3330, -3330, 3330, 3330, -6670, -6670, 6670, 6670, -10000, -10000, 10000, 10000, -7000, 7000]
    assert (answer.scenario_loss[0] / minor).tolist() == expected
    assert answer.maintenance[0] == 10_000 * minor
    hedger = Desk(
        "span", {"price_scan_range": 10_000, "thirds": "rounded", "initial_ratio": 1.0}, single(future("F", "SP", 60))
    )
    assert hedger.ask([[1]]).initial[0] == hedger.ask([[-1]]).initial[0] == 10_000 * hedger.snap.minor


@pytest.mark.parametrize("multiplier", [1, 500])
def test_t11_given_array_of_a_long_call(multiplier: int) -> None:
    raw = single(option("DEC410", "SP", "call", 410, 60, multiplier=multiplier))
    desk = Desk("span", {"risk_arrays": {"DEC410": ARRAY}}, raw)
    assert desk.ask([[1]]).maintenance[0] == 3_990 * desk.snap.minor
    short = desk.explain([[-1]])
    assert short.maintenance_parts["scan_risk"][0] == 8_060 * desk.snap.minor


def test_options_are_revalued_the_next_day_at_moved_price_and_volatility() -> None:
    from sim.kernels.black76 import black76

    raw = single(option("C", "SP", "call", 420, 60, multiplier=10), interest_rate=0.04)
    desk = Desk("span", {"price_scan_rate": 0.05, "volatility_scan_range": 0.03, "volatility_scan_rate": 0.0}, raw)
    found = desk.explain([[1]])
    assert found.scenario_loss is not None

    def value(price: float, volatility: float, days: float) -> float:
        return float(black76(1, price, 420.0, days / 365, volatility)) * np.exp(-0.04 * days / 365)

    now = value(410.0, 0.2, 60)
    for s, (move, shift, cover) in enumerate(
        [(0, 1, 1), (0, -1, 1), (1 / 3, 1, 1), (1 / 3, -1, 1), (-1 / 3, 1, 1), (-1 / 3, -1, 1), (2 / 3, 1, 1),
         (2 / 3, -1, 1), (-2 / 3, 1, 1), (-2 / 3, -1, 1), (1, 1, 1), (1, -1, 1), (-1, 1, 1), (-1, -1, 1),
         (2, 0, 0.35), (-2, 0, 0.35)]
    ):  # fmt: skip
        gain = cover * (value(410.0 * (1 + 0.05 * move), 0.2 + 0.03 * shift, 59) - now) * 10
        assert -found.scenario_loss[0, s] / desk.snap.minor == pytest.approx(gain, abs=1e-5)


def test_extreme_moves_bind_for_what_is_far_out_of_the_money() -> None:
    raw = single(option("P", "SP", "put", 340, 20))
    base = Desk("span", {"price_scan_rate": 0.06, "short_option_minimum_rate": 0.0}, raw)
    wider = Desk(
        "span",
        {"price_scan_rate": 0.06, "extreme_multiplier": 3.0, "extreme_cover": 0.33, "short_option_minimum_rate": 0.0},
        raw,
    )
    assert wider.maintenance([[-1]]) > 2 * base.maintenance([[-1]])
    assert np.argmax(base.explain([[-1]]).scenario_loss[0]) >= 14  # type: ignore[index]


def test_a_calendar_spread_pays_the_charge_and_not_the_scan() -> None:
    raw = book(contracts=[future("n", "AA", 30, multiplier=10), future("f", "AA", 91, multiplier=10, mark=102)])
    raw["positions"] = [{"contract": "n", "size": 1}]
    desk = Desk("span", {"price_scan_range": 6, "calendar_rate": 0.01}, raw)
    parts = desk.explain([[3, -3]]).maintenance_parts
    minor = desk.snap.minor
    assert parts["scan_risk"][0] == 0
    assert parts["calendar_spreads"][0] == pytest.approx(3 * 10 * 1.02 * minor, abs=1)
    partly = desk.explain([[5, -3]]).maintenance_parts
    assert partly["scan_risk"][0] == 2 * 10 * 6 * minor
    assert partly["calendar_spreads"][0] == parts["calendar_spreads"][0]
    assert desk.explain([[5, 3]]).maintenance_parts["calendar_spreads"][0] == 0


def test_calendar_spreads_are_formed_between_nearest_months_first() -> None:
    months = [future(f"m{k}", "AA", 30.42 * k, multiplier=1) for k in (1, 2, 3)]
    raw = book(contracts=months, positions=[{"contract": "m1", "size": 1}])
    params = {"price_scan_range": 6, "calendar_rate": 0.0, "calendar_rate_per_month": 0.01}
    desk = Desk("span", params, raw)
    charge = [desk.explain(row).maintenance_parts["calendar_spreads"][0] / desk.snap.minor for row in
              ([[1, -1, 0]], [[1, 0, -1]], [[1, -2, 1]], [[2, -1, -1]])]  # fmt: skip
    assert charge == pytest.approx([1.0, 2.0, 2.0, 3.0], abs=2e-3)
    capped = Desk("span", params | {"calendar_rate_max": 0.015}, raw).explain([[1, 0, -1]])
    assert capped.maintenance_parts["calendar_spreads"][0] / desk.snap.minor == pytest.approx(1.5, abs=1e-4)


def test_a_spread_between_commodities_is_credited_for_its_price_risk() -> None:
    """40 % of what each leg used by the spread would lose: here 2 of the 3 lots of the second leg."""
    raw = book(contracts=[future("x", "AA", 30), future("y", "BB", 30)], positions=[{"contract": "x", "size": 1}])
    params = {"price_scan_range": {"AA": 6, "BB": 4}, "credits": [{"legs": {"AA": 1, "BB": -2}, "credit": 0.4}]}
    desk = Desk("span", params, raw)
    parts = desk.explain([[1, -3]]).maintenance_parts
    assert parts["scan_risk"][0] == 18 * desk.snap.minor
    assert parts["spread_credits"][0] == pytest.approx(-0.4 * (6 + 8) * desk.snap.minor, rel=1e-9)
    assert desk.explain([[1, 3]]).maintenance_parts["spread_credits"][0] == 0


def test_priority_decides_which_spread_uses_the_delta() -> None:
    raw = book(contracts=[future("x", "AA", 30), future("y", "BB", 30)], positions=[{"contract": "x", "size": 1}])
    first, second = {"legs": {"AA": 1, "BB": -1}, "credit": 0.5}, {"legs": {"AA": 1, "BB": -2}, "credit": 0.8}
    found = []
    for spreads in ([first, second], [second, first]):
        desk = Desk("span", {"price_scan_range": {"AA": 6, "BB": 4}, "credits": spreads}, raw)
        found.append(desk.explain([[2, -2]]).maintenance_parts["spread_credits"][0] / desk.snap.minor)
    assert found == pytest.approx([-0.5 * (12 + 8), -(0.8 * (6 + 8) + 0.0)], abs=1e-5)


def test_short_option_minimum_and_delivery() -> None:
    raw = single(option("C", "SP", "call", 900, 20, multiplier=10))
    desk = Desk("span", {"price_scan_rate": 0.03, "short_option_minimum": 0.5}, raw)
    assert desk.maintenance([[-4]]) == 4 * 10 * desk.snap.minor // 2
    assert desk.maintenance([[4]]) < desk.snap.minor
    near = Desk(
        "span", {"price_scan_rate": 0.03, "delivery_charge": 2.0, "delivery_days": 5}, single(future("F", "SP", 4))
    )
    assert near.explain([[-3]]).maintenance_parts["delivery"][0] == 6 * near.snap.minor
    later = Desk(
        "span", {"price_scan_rate": 0.03, "delivery_charge": 2.0, "delivery_days": 3}, single(future("F", "SP", 4))
    )
    assert later.explain([[-3]]).maintenance_parts["delivery"][0] == 0


def test_scan_ranges_from_volatility_have_the_rate_as_their_floor() -> None:
    raw = single(future("F", "SP", 30), price=100.0)
    raw["underlyings"][0]["daily_volatility"] = 0.02
    desk = Desk("span_nse", None, raw)
    assert desk.maintenance([[1]]) == pytest.approx(6 * 0.02 * 2**0.5 * 100 * desk.snap.minor, abs=2)
    raw["underlyings"][0]["daily_volatility"] = 0.002
    assert Desk("span_nse", None, raw).maintenance([[1]]) == pytest.approx(9.3 * desk.snap.minor, abs=2)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), lots=portfolios(CONTRACTS))
def test_compiled_span_is_the_definition_to_the_unit(rich: Desk, data: st.DataObject, lots: np.ndarray) -> None:
    buy, sell, own = (data.draw(orders(CONTRACTS, len(lots))) for _ in range(3))
    rich.agree(lots)
    rich.agree(lots, buy, sell, own)


@settings(max_examples=60, deadline=None)
@given(lots=portfolios(CONTRACTS, 1), other=portfolios(CONTRACTS, 1), times=st.integers(1, 20))
def test_scan_risk_is_never_negative_never_above_its_parts_and_homogeneous(
    lots: np.ndarray, other: np.ndarray, times: int
) -> None:
    desk = _scan_only()
    whole, apart = desk.maintenance(lots + other), desk.maintenance(lots) + desk.maintenance(other)
    assert 0 <= whole <= apart
    assert times * desk.maintenance(lots) - times <= desk.maintenance(times * lots) <= times * desk.maintenance(lots)


def _scan_only(cache: list[Desk] = []) -> Desk:  # noqa: B006
    if not cache:
        params = {"price_scan_rate": 0.06, "calendar_rate": 0.0, "short_option_minimum_rate": 0.0}
        cache.append(Desk("span", params))
    return cache[0]


@settings(max_examples=60, deadline=None)
@given(data=st.data(), lots=portfolios(CONTRACTS, 1, 20))
def test_what_open_orders_reserve_covers_any_of_their_fills(data: st.DataObject, lots: np.ndarray) -> None:
    """Without spread credits; each side of each order may fill or not."""
    desk = _no_credits()
    buy, sell = data.draw(orders(CONTRACTS, 1)), data.draw(orders(CONTRACTS, 1))
    bought = data.draw(st.lists(st.booleans(), min_size=CONTRACTS, max_size=CONTRACTS))
    sold = data.draw(st.lists(st.booleans(), min_size=CONTRACTS, max_size=CONTRACTS))
    filled = lots + buy * np.array(bought) - sell * np.array(sold)
    assert desk.ask(filled).initial[0] <= desk.ask(lots, buy, sell).initial[0]


def _no_credits(cache: list[Desk] = []) -> Desk:  # noqa: B006
    if not cache:
        cache.append(Desk("span", {key: value for key, value in RICH.items() if key != "credits"}))
    return cache[0]


def test_accounts_too_large_for_64_bits_are_computed_all_the_same(rich: Desk) -> None:
    lots = np.zeros((2, CONTRACTS), np.int64)
    lots[0, 0], lots[0, 1], lots[1, 2] = 10**6, -(10**6), 7
    rich.agree(lots)
    with pytest.raises(KernelError, match="beyond 64 bits"):
        rich.ask(lots * 10**11)


def test_published_rates_are_what_one_position_pays(rich: Desk) -> None:
    value = rich.view(np.eye(CONTRACTS, dtype=np.int64) * 1000).value()[2, 2]
    longest = max(rich.maintenance([[0, 0, n, 0, 0, 0, 0, 0, 0]]) for n in (1000, -1000))
    assert rich.risk.rate_maintenance[2] / 2**32 == pytest.approx(longest / value, rel=1e-6)
    assert (rich.risk.rate_initial >= rich.risk.rate_maintenance).all()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"price_scan_rate": 0.0}, "a price scan range"),
        ({"price_scan_rate": -0.1}, "price_scan_rate"),
        ({"price_scan_rate": {"CC": 0.1}}, "names of contracts or underlyings"),
        ({"risk_arrays": {"a1": (1.0, 2.0)}}, "at least 16"),
        ({"risk_arrays": {"zz": ARRAY}}, "names of contracts"),
        ({"risk_deltas": {"zz": 0.5}}, "names of contracts"),
        ({"credits": [{"legs": {"AA": 1.0, "CC": -1.0}, "credit": 0.5}]}, "names of underlyings"),
        ({"credits": [{"legs": {"AA": 1.0, "BB": 0.0}, "credit": 0.5}]}, "not zero"),
        ({"thirds": "half"}, "exact"),
        ({"price_scan_rate": 0.6}, "coin-margined"),
        ({"volatility": 1.0}, "one of price_scan_rate"),
    ],
)
def test_bad_parameters_get_one_clear_line(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Desk("span", {"price_scan_rate": 0.06} | params)
