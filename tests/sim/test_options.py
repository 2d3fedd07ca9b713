"""Option prices, greeks and implied volatilities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import options
from sim.errors import ConfigError

sides = st.sampled_from(["call", "put"])
forwards = st.floats(1.0, 1e5)
moneyness = st.floats(0.3, 3.0)
times = st.floats(0.002, 5.0)
volatilities = st.floats(0.02, 4.0)


def test_t22_hull_call_on_49() -> None:
    greeks = options.black_scholes_greeks("call", 49.0, 50.0, 0.3846, 0.2, rate=0.05)
    assert greeks.price == pytest.approx(2.400461, abs=1e-6)
    assert greeks.delta == pytest.approx(0.521602, abs=1e-6)
    assert greeks.gamma == pytest.approx(0.0655454, abs=1e-6)
    assert greeks.vega == pytest.approx(12.105243, abs=1e-6)
    assert greeks.theta == pytest.approx(-4.305390, abs=1e-6)
    assert greeks.rho == pytest.approx(8.906574, abs=1e-6)


def test_t22_hull_call_and_put_on_42() -> None:
    prices = options.black_scholes_price(["call", "put"], 42.0, 40.0, 0.5, 0.2, rate=0.1)
    assert prices == pytest.approx([4.759422, 0.808599], abs=1e-6)


@given(forwards, moneyness, times, volatilities, st.floats(-0.05, 0.15))
def test_put_call_parity(forward: float, ratio: float, years: float, volatility: float, rate: float) -> None:
    strike = forward * ratio
    call, put = options.black76_price(["call", "put"], forward, strike, years, volatility, rate)
    assert call - put == pytest.approx((forward - strike) * np.exp(-rate * years), abs=1e-12 * (forward + strike))


@given(sides, forwards, moneyness, times, volatilities)
def test_implied_volatility_is_the_volatility(
    side: str, forward: float, ratio: float, years: float, volatility: float
) -> None:
    strike = forward * ratio
    greeks = options.black76_greeks(side, forward, strike, years, volatility)
    found = options.implied_volatility(side, greeks.price, forward, strike, years)
    # a price is known to a rounding of the pay-off's size: where vega is small that is all a price can say
    certainty = 2e-15 * (forward + strike) / max(float(greeks.vega), 1e-300)
    if certainty < 1e-6:
        assert found == pytest.approx(volatility, rel=1e-10, abs=2 * certainty)
    elif np.isfinite(found):
        again = options.black76_price(side, forward, strike, years, found)
        assert again == pytest.approx(float(greeks.price), abs=4e-15 * (forward + strike))


@given(forwards, moneyness, times, volatilities)
def test_out_of_the_money_volatilities_come_back_however_small_the_price(
    forward: float, ratio: float, years: float, volatility: float
) -> None:
    strike = forward * ratio
    side = "call" if strike >= forward else "put"
    greeks = options.black76_greeks(side, forward, strike, years, volatility)
    if 1e-250 < greeks.price < 0.9 * min(forward, strike):
        found = options.implied_volatility(side, greeks.price, forward, strike, years)
        assert found == pytest.approx(volatility, rel=1e-8)


def test_prices_outside_the_bounds_have_no_volatility() -> None:
    found = options.implied_volatility(
        ["call", "call", "put", "put", "call", "call"], [9.9, 110.0, -1.0, 100.0, 10.0, 10.5], 110.0, 100.0, 0.5
    )
    assert np.isnan(found[:4]).all()
    assert found[4] == 0.0
    assert found[5] > 0.0


@given(sides, forwards, moneyness, times, st.floats(0.05, 2.0), st.floats(0.0, 0.1), st.floats(-0.05, 0.1))
def test_greeks_are_derivatives(
    side: str, spot: float, ratio: float, years: float, volatility: float, rate: float, carry: float
) -> None:
    strike = spot * ratio

    def price(s: float = spot, t: float = years, v: float = volatility, r: float = rate) -> float:
        return float(options.black_scholes_price(side, s, strike, t, v, r, carry + r - rate))

    greeks = options.black_scholes_greeks(side, spot, strike, years, volatility, rate, carry)
    scale = spot + strike
    width = spot * max(volatility * years**0.5, 0.01) * 1e-3
    noise = 1e-13 * scale
    assert greeks.delta == pytest.approx(
        (price(s=spot + width) - price(s=spot - width)) / (2 * width), abs=2e-5 + noise / width
    )
    curvature = (price(s=spot + width) - 2 * price() + price(s=spot - width)) / width**2
    assert greeks.gamma == pytest.approx(curvature, rel=1e-4, abs=noise / width**2 + 2e-5 / width)
    step = 1e-4 * volatility
    by_volatility = (price(v=volatility + step) - price(v=volatility - step)) / (2 * step)
    assert greeks.vega == pytest.approx(by_volatility, rel=1e-5, abs=1e-6 * scale + noise / step)
    step = 1e-4 * years
    by_time = (price(t=years - step) - price(t=years + step)) / (2 * step)
    assert greeks.theta == pytest.approx(by_time, rel=1e-5, abs=1e-5 * scale / years**0.5 + noise / step)
    by_rate = (price(r=rate + 1e-5) - price(r=rate - 1e-5)) / 2e-5
    assert greeks.rho == pytest.approx(by_rate, rel=1e-5, abs=1e-6 * scale + noise / 1e-5)


@given(sides, forwards, moneyness, times, st.floats(0.05, 2.0))
def test_prices_rise_with_volatility_and_time(
    side: str, forward: float, ratio: float, years: float, volatility: float
) -> None:
    strike = forward * ratio
    low, more, longer = options.black76_price(
        side, forward, strike, [years, years, 1.1 * years], [volatility, 1.1 * volatility, volatility]
    )
    slack = 1e-14 * (forward + strike)
    assert more >= low - slack
    assert longer >= low - slack


@given(sides, forwards, moneyness, times, st.floats(0.05, 2.0))
def test_coin_delta_is_the_gain_in_coin(
    side: str, forward: float, ratio: float, years: float, volatility: float
) -> None:
    strike = forward * ratio
    width = 1e-4 * forward * volatility * years**0.5
    up, down = options.inverse_price(side, [forward + width, forward - width], strike, years, volatility)
    greeks = options.inverse_greeks(side, forward, strike, years, volatility)
    assert greeks.delta == pytest.approx(forward * (up - down) / (2 * width), abs=1e-5)
    assert greeks.price == pytest.approx(
        options.black76_price(side, forward, strike, years, volatility) / forward, rel=1e-14
    )


def test_an_option_without_time_is_its_pay_off() -> None:
    greeks = options.black76_greeks(["call", "put", "call"], [110.0, 110.0, 100.0], 100.0, 0.0, 0.5)
    assert greeks.price.tolist() == [10.0, 0.0, 0.0]
    assert greeks.delta.tolist() == [1.0, 0.0, 0.5]
    assert greeks.vega.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (("call", 100.0, 100.0, 1.0, -0.2), "volatility"),
        (("call", 100.0, 0.0, 1.0, 0.2), "strike"),
        (("call", -1.0, 100.0, 1.0, 0.2), "forward"),
        (("call", 100.0, 100.0, -1.0, 0.2), "years"),
        (("straddle", 100.0, 100.0, 1.0, 0.2), "option"),
        (("call", float("nan"), 100.0, 1.0, 0.2), "forward"),
    ],
)
def test_bad_input_is_named(arguments: tuple[object, ...], key: str) -> None:
    with pytest.raises(ConfigError, match=key) as caught:
        options.black76_price(*arguments)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@given(sides, forwards, moneyness, times, st.floats(0.05, 2.0), st.floats(-0.05, 0.1), st.booleans())
def test_second_order_greeks_are_derivatives(
    side: str, forward: float, ratio: float, years: float, volatility: float, rate: float, coin: bool
) -> None:
    strike = forward * ratio

    def greeks(t: float = years, v: float = volatility) -> options.Greeks:
        if coin:
            return options.inverse_greeks(side, forward, strike, t, v)
        return options.black76_greeks(side, forward, strike, t, v, rate)

    if coin:
        second = options.inverse_second(side, forward, strike, years, volatility)
    else:
        second = options.black76_second(side, forward, strike, years, volatility, rate)
    h = 1e-4 * volatility
    up, down = greeks(v=volatility + h), greeks(v=volatility - h)
    size = 1.0 if coin else forward
    assert second.vanna == pytest.approx((up.delta - down.delta) / (2 * h), rel=1e-4, abs=1e-7 / volatility)
    by_volatility = (up.vega - down.vega) / (2 * h)
    assert second.volga == pytest.approx(by_volatility, rel=1e-4, abs=1e-6 * size * years**0.5 / volatility)
    h = 1e-4 * years
    later, sooner = greeks(t=years - h), greeks(t=years + h)
    assert second.charm == pytest.approx((later.delta - sooner.delta) / (2 * h), rel=1e-4, abs=1e-6 / years)


@given(forwards, moneyness, times, volatilities)
def test_second_order_greeks_of_calls_and_puts_are_the_same(
    forward: float, ratio: float, years: float, volatility: float
) -> None:
    call, put = (options.black76_second(side, forward, forward * ratio, years, volatility) for side in ("call", "put"))
    assert (call.vanna, call.volga, call.charm) == (put.vanna, put.volga, put.charm)
    gap = options.inverse_second("call", forward, forward * ratio, years, volatility).charm
    gap -= options.inverse_second("put", forward, forward * ratio, years, volatility).charm
    # of the coin deltas call less put is the strike over the forward, which time does not change
    assert gap == pytest.approx(0.0, abs=1e-9 / years)


def test_an_option_without_time_has_no_second_order_greeks() -> None:
    second = options.black76_second("call", 110.0, 100.0, [0.0, 1.0], [0.5, 0.0])
    assert second.vanna.tolist() == second.volga.tolist() == second.charm.tolist() == [0.0, 0.0]


@given(sides, st.floats(1.0, 1e4), st.floats(0.5, 2.0), st.floats(0.01, 2.0), st.floats(0.1, 1.5), st.floats(0.0, 0.1))
def test_implied_volatility_agrees_with_vollib(
    side: str, forward: float, ratio: float, years: float, volatility: float, rate: float
) -> None:
    from vollib.black import black
    from vollib.black.greeks import analytical
    from vollib.black.implied_volatility import implied_volatility

    strike, flag = forward * ratio, side[0]
    price = float(options.black76_price(side, forward, strike, years, volatility, rate))
    assert price == pytest.approx(black(flag, forward, strike, years, rate, volatility), rel=1e-9, abs=1e-11 * forward)
    greeks = options.black76_greeks(side, forward, strike, years, volatility, rate)
    for name in ("delta", "gamma"):
        theirs = getattr(analytical, name)(flag, forward, strike, years, rate, volatility)
        assert getattr(greeks, name) == pytest.approx(theirs, rel=1e-9, abs=1e-11)
    # theirs is per point of volatility
    theirs = 100 * analytical.vega(flag, forward, strike, years, rate, volatility)
    assert greeks.vega == pytest.approx(theirs, rel=1e-9, abs=1e-9 * forward)
    outer = price - max((1 if side == "call" else -1) * (forward - strike), 0.0) * np.exp(-rate * years)
    if outer > 1e-6 * forward:
        found = options.implied_volatility(side, price, forward, strike, years, rate)
        assert found == pytest.approx(implied_volatility(price, forward, strike, rate, years, flag), rel=1e-8)
        assert found == pytest.approx(volatility, rel=1e-7)
