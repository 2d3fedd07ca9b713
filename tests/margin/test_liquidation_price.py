"""Liquidation and bankruptcy prices: published examples by id, and the properties that define them."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from margin.liquidation_price import (
    BinanceLeg,
    Leg,
    Schedule,
    bankruptcy_prices,
    binance_cross_price,
    dydx_price,
    hyperliquid_price,
    inverse_profit,
    isolated_bankruptcy_price,
    liquidation_prices,
    open_interest_initial_rate,
    to_tick,
)
from margin.liquidation_search import nearest_prices
from sim.errors import ConfigError

# Binance BTCUSDT, 2021: caps and rates; the maintenance amounts follow by the recursion
BINANCE = [
    (50e3, 0.004), (250e3, 0.005), (1e6, 0.01), (10e6, 0.025), (20e6, 0.05), (50e6, 0.1), (100e6, 0.125),
    (200e6, 0.15), (300e6, 0.25), (500e6, 0.5),
]  # fmt: skip


def test_t1_bybit_isolated_under_both_bases() -> None:
    leg = Leg(1, 20_000, 0.005)
    assert liquidation_prices([leg], 400, mm_basis="entry").below == pytest.approx(19_700, abs=1e-2)
    assert liquidation_prices([leg], 400, mm_basis="mark").below == pytest.approx(19_698.49, abs=1e-2)


def test_t2_bybit_inverse_cross_isolated_and_bankruptcy() -> None:
    leg = Leg(10_000, 8_000, 0.005)
    assert bankruptcy_prices([leg], 0.5, fee=0.00075, inverse=True).below == pytest.approx(5_718.571, abs=1e-3)
    found = liquidation_prices([leg], 0.5, mm_basis="entry", fee=0.00075, inverse=True)
    assert found.below == pytest.approx(5_739.0835, abs=1e-3)
    assert found.above is None
    short = liquidation_prices([Leg(-60_000, 50_000, 0.005)], 0.12, mm_basis="entry", inverse=True)
    assert short.above == pytest.approx(55_248.619, abs=1e-3)
    assert isolated_bankruptcy_price(7_890.08, 50, 1, inverse=True) == pytest.approx(7_735.3725, abs=1e-3)


def test_t2_rounded_to_the_tick_that_is_reached_first() -> None:
    assert to_tick(5_739.0835, 0.5, 1) == 5_739.5
    assert to_tick(55_248.619, 0.5, -1) == 55_248.5
    assert to_tick(19_700.0, 0.1, 1) == pytest.approx(19_700.0)


def test_t3_bitmex_inverse_profit() -> None:
    assert inverse_profit(100_000, 10_000, 10_500) == pytest.approx(0.476190, abs=1e-6)


def test_t5_deductions_by_the_recursion() -> None:
    expected = (0, 50, 1_300, 16_300, 266_300, 1_266_300, 2_516_300, 5_016_300, 25_016_300, 100_016_300)
    assert Schedule.of(BINANCE).deductions == pytest.approx(expected, abs=1e-6)


def test_t6_dydx_isolated_cross_and_open_interest_margin() -> None:
    assert dydx_price(1_000, -3, 3_000, 0.05) == pytest.approx(3_174.60, abs=1e-2)
    other = 1_000 * 1.75 * 0.10
    assert dydx_price(1_000, -1.5, 3_000, 0.05, other_maintenance=other) == pytest.approx(3_380.95, abs=1e-2)
    assert open_interest_initial_rate(0.05, 37.5e6, 25e6, 50e6) == pytest.approx(0.525, abs=1e-12)
    assert open_interest_initial_rate(0.05, 1e6, 25e6, 50e6) == 0.05
    assert open_interest_initial_rate(0.05, 80e6, 25e6, 50e6) == 1.0


def test_t7_hyperliquid_prices() -> None:
    available = 100_000 / 20 - 100_000 / 80
    assert hyperliquid_price(100_000, 1, 1, available, 80) == pytest.approx(96_202.53, abs=1e-2)
    assert hyperliquid_price(100_000, -1, 1, available, 80) == pytest.approx(103_703.70, abs=1e-2)


def test_venues_formulas_are_the_general_one() -> None:
    leg = Leg(-3, 3_000, 0.05)
    assert liquidation_prices([leg], 1_000).above == pytest.approx(dydx_price(1_000, -3, 3_000, 0.05))
    leg = Leg(1, 100_000, 1 / 80)
    assert liquidation_prices([leg], 5_000).below == pytest.approx(hyperliquid_price(100_000, 1, 1, 3_750, 80))
    assert isolated_bankruptcy_price(100, 10, 1) == pytest.approx(bankruptcy_prices([Leg(2, 100)], 20).below)
    assert isolated_bankruptcy_price(100, 10, -1, inverse=True) == pytest.approx(
        bankruptcy_prices([Leg(-50, 100)], 0.05, inverse=True).above
    )


def test_binance_cross_formula_with_tiers_and_hedge_mode() -> None:
    schedule = Schedule.of(BINANCE)
    legs = [Leg(109.488, 32_481.98, schedule)]
    found = liquidation_prices(legs, 1_535_443.01, other_maintenance=71_200.81, other_profit=-56_354.57).below
    assert found is not None
    tier = schedule.tier(109.488 * found)
    both = BinanceLeg(109.488, 32_481.98, schedule.rates[tier], schedule.deductions[tier])
    assert found == pytest.approx(binance_cross_price(1_535_443.01, 71_200.81, -56_354.57, both, 1), rel=1e-12)
    hedged = [Leg(3, 30_000, schedule), Leg(-20, 31_000, schedule)]
    above = liquidation_prices(hedged, 100_000).above
    assert above is not None
    terms = []
    for leg in hedged:
        tier = schedule.tier(abs(leg.size) * above)
        terms.append(BinanceLeg(abs(leg.size), leg.entry, schedule.rates[tier], schedule.deductions[tier]))
    assert above == pytest.approx(binance_cross_price(100_000, 0, 0, long=terms[0], short=terms[1]), rel=1e-12)


rates = st.floats(0.001, 0.4)
ladders = st.lists(st.tuples(st.floats(10.0, 1e6), rates), min_size=1, max_size=5).map(
    lambda rows: sorted(((cap, rate) for cap, rate in rows), key=lambda row: row[0])
)


@st.composite
def accounts(draw: st.DrawFn) -> tuple[list[Leg], float, bool, str, float]:
    """Legs of one price, a balance, inverse or linear, basis, fee; safe at the entry price of the first."""
    inverse = draw(st.booleans())
    entry = draw(st.floats(0.5, 1e5))
    legs = []
    for _ in range(draw(st.integers(1, 2))):
        rows = draw(ladders)
        caps = [cap for cap, _ in rows]
        assume(all(b > a * 1.001 for a, b in pairwise(caps)))
        tiers = list(zip(caps, sorted(rate for _, rate in rows), strict=True))
        value = draw(st.floats(1.0, 1e6))
        units = value * entry if inverse else value / entry
        at = entry * draw(st.floats(0.8, 1.25)) if legs else entry
        legs.append(Leg(units * draw(st.sampled_from([1, -1])), at, tiers))
    gross = sum(abs(leg.size) / leg.entry if inverse else abs(leg.size) * leg.entry for leg in legs)
    balance = gross * draw(st.floats(0.02, 2.0))
    return legs, balance, inverse, draw(st.sampled_from(["entry", "mark"])), draw(st.sampled_from([0.0, 0.0006]))


def profit(legs: list[Leg], price: float, inverse: bool) -> float:
    if inverse:
        return math.fsum(inverse_profit(leg.size, leg.entry, price) for leg in legs)
    return math.fsum(leg.size * (price - leg.entry) for leg in legs)


def worth(legs: list[Leg], price: float, inverse: bool) -> float:
    return sum(abs(leg.size) / price if inverse else abs(leg.size) * price for leg in legs)


def required(legs: list[Leg], price: float, inverse: bool, basis: str) -> float:
    total = []
    for leg in legs:
        at = leg.entry if basis == "entry" else price
        value = abs(leg.size) / at if inverse else abs(leg.size) * at
        total.append(Schedule.of(leg.tiers).maintenance(value))
    return math.fsum(total)


@given(account=accounts())
def test_equity_is_maintenance_at_liquidation_and_zero_at_bankruptcy(account: tuple) -> None:
    legs, balance, inverse, basis, fee = account
    liquidation = liquidation_prices(legs, balance, mm_basis=basis, fee=fee, inverse=inverse)
    bankruptcy = bankruptcy_prices(legs, balance, fee=fee, inverse=inverse)
    for side in ("below", "above"):
        at, last = getattr(liquidation, side), getattr(bankruptcy, side)
        if last is not None:
            scale = balance + worth(legs, last, inverse)
            left = balance + profit(legs, last, inverse) - fee * worth(legs, last, inverse)
            assert left == pytest.approx(0.0, abs=1e-9 * scale)
        if at is not None:
            kept = fee * worth(legs, last, inverse) if last is not None else 0.0
            equity = balance + profit(legs, at, inverse)
            scale = balance + worth(legs, at, inverse)
            assert equity == pytest.approx(required(legs, at, inverse, basis) + kept, abs=1e-9 * scale)
        if at is not None and last is not None and fee == 0.0:
            # liquidation comes first
            assert at >= last * (1 - 1e-12) if side == "below" else at <= last * (1 + 1e-12)


@given(account=accounts())
def test_a_scan_finds_the_same_prices(account: tuple) -> None:
    legs, balance, inverse, basis, _ = account
    start = legs[0].entry
    assume(balance + profit(legs, start, inverse) > required(legs, start, inverse, basis) * 1.0001)
    found = liquidation_prices(legs, balance, mm_basis=basis, inverse=inverse)
    scanned = nearest_prices(
        lambda price: balance + profit(legs, price, inverse) - required(legs, price, inverse, basis), start
    )
    for exact, searched in ((found.below, scanned.below), (found.above, scanned.above)):
        if searched is not None:
            assert exact == pytest.approx(searched, rel=1e-9)
        elif exact is not None:  # beyond the reach of the scan
            assert exact < start * 1e-5 or exact > start * 900


def test_no_price_liquidates_what_is_not_levered() -> None:
    assert liquidation_prices([Leg(1, 100, 0.01)], 100).below is None
    assert liquidation_prices([Leg(1, 100, 0.01)], 100).above is None
    assert liquidation_prices([Leg(-100, 50_000, 0.01)], 0.002, inverse=True).above is None
    assert isolated_bankruptcy_price(100, 1, 1) is None
    assert isolated_bankruptcy_price(100, 1, -1, inverse=True) is None


def test_both_sides_of_a_hedged_book_can_be_lost() -> None:
    # little net size, much gross size: maintenance grows with the price and eats the balance
    found = liquidation_prices([Leg(10, 100, 0.1), Leg(-9.5, 100, 0.1)], 250)
    assert found.above is not None
    assert found.below is None


@pytest.mark.parametrize("tiers", [[(10, 0.1), (5, 0.2)], [(10, 0.1), (10, 0.2)], [(10, 1.2)], [(10, -0.1)], []])
def test_tiers_that_overlap_or_rates_that_cannot_be(tiers: list[tuple[float, float]]) -> None:
    with pytest.raises(ConfigError):
        liquidation_prices([Leg(1, 100, tiers)], 10)


def test_a_dip_between_two_nodes_of_the_scan_is_found() -> None:
    def gap(price: float) -> float:
        return abs(price - 61.7) - 0.3

    assert nearest_prices(gap, 100.0).below == pytest.approx(62.0, abs=1e-9)
    assert nearest_prices(gap, 100.0).above is None


def test_a_search_that_cannot_be_told_stops() -> None:
    assert nearest_prices(lambda price: math.nan if price < 90 else 1.0, 100.0).below is None
