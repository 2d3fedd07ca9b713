"""Options that are listed, averaged and settled on a schedule conserve money to the unit, linear and inverse."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import invariants, options
from sim.contracts import Contract
from sim.kernels import funding, marks
from sim.kernels import state as s
from tests.sim.exchange import RESIDUE, Exchange

PRICE = 10_000
TRADERS = 4
LAST = 9


def contracts(windows: list[int], priced_on: str) -> list[Contract]:
    """A spot that prices everything, and per window a linear call and put and inverse ones that expire at 3, 6, 9."""
    common: dict[str, Any] = {"max_price": 1 << 16, "price_band": 0.5, "band_ticks": 50, "underlying": "BTC"}
    linear = {"lot_size": 0.01, "tick_value": 1, "initial_price": PRICE} | common
    coin = {"currency": "BTC", "lot_size": 0.1, "tick_size": 0.0005, "tick_value": 5000, "initial_price": 60} | common
    made = [Contract("spot", "spot", base_currency="BTC", base_lot=10**6, **linear)]
    for number, window in enumerate(windows, start=1):
        own = {"expiry_step": 3 * number, "settle_steps": window, "volatility": 0.8, "priced_on": priced_on,
               "listing_step": 2 * (number - 1)}  # fmt: skip
        for kind in ("call", "put"):
            made.append(
                Contract(f"L{number}{kind[0]}", "linear_option", strike=PRICE + 100.5 * number, option_type=kind,
                         **own, **(linear | {"initial_price": 300}))
            )  # fmt: skip
            made.append(
                Contract(f"I{number}{kind[0]}", "inverse_option", strike=PRICE - 50.0625 * number, option_type=kind,
                         **own, **coin)
            )  # fmt: skip
    return made


def paid(contract: Contract, lots: int, price: Fraction) -> int:
    """Minor units that lots pay at a final price in price units: the contract's definition, in fractions."""
    gain = price - Fraction(contract.strike) if contract.option_type == "call" else Fraction(contract.strike) - price
    inside = max(gain, Fraction(0)) * Fraction(str(contract.lot_size))
    return floor(lots * (inside / price * 10**8 if contract.kind == "inverse_option" else inside * 100))


paths = st.lists(st.integers(16 * 6_000, 16 * 15_000), min_size=LAST, max_size=LAST)
trades = st.lists(
    st.tuples(st.integers(1, LAST), st.integers(0, TRADERS - 1), st.integers(1, TRADERS - 1), st.integers(1, 12),
              st.integers(1, 500), st.integers(1, 400)),
    max_size=25,
)  # fmt: skip


@given(st.lists(st.integers(1, 3), min_size=3, max_size=3), paths, trades, st.sampled_from(["index", "mark"]))
def test_money_is_conserved_to_the_unit(windows: list[int], path: list[int], deals: list[Any], priced_on: str) -> None:
    made = contracts(windows, priced_on)
    e = Exchange(TRADERS, contracts=made)
    held: dict[tuple[int, int], int] = defaultdict(int)
    cash: dict[tuple[int, int], int] = defaultdict(int)
    residue = e.special(RESIDUE)
    currency = e.state.contracts["currency"]
    e.state.meta[s.M_STEP] = 0
    for now in range(1, LAST + 1):
        e.state.meta[s.M_STEP] = now
        # the other of the two prices is somewhere else: only the one on which options are priced counts
        for name in ("index", "mark"):
            e.state.quotes[name][0] = path[now - 1] if name == priced_on else 16 * 9_999
        for when, buyer, other, c, lots, price in deals:
            contract = made[c]
            if when != now or now <= contract.listing_step or now > contract.expiry_step:
                continue
            seller = (buyer + other) % TRADERS
            e.trade(buyer, seller, lots, price, c)
            for account, sign in ((buyer, 1), (seller, -1)):
                held[account, c] += sign * lots
                cash[account, int(currency[c])] -= sign * lots * price * contract.tick_value
        funding.expire_contracts(e.state)
        for c, contract in enumerate(made[1:], start=1):
            if contract.expiry_step != now:
                continue
            window = path[now - contract.settle_steps : now]
            subticks = floor(Fraction(sum(window), len(window)) + Fraction(1, 2))
            for account in range(TRADERS):
                value = paid(contract, held.pop((account, c), 0), Fraction(subticks, 16))
                cash[account, int(currency[c])] += value
                cash[residue, int(currency[c])] -= value
            assert e.state.quotes["settle_price"][c] == subticks >> 4
            assert e.state.quotes["open_interest"][c] == 0
        for account in (*range(TRADERS), residue):
            assert [e.wallet(account, k) for k in (0, 1)] == [cash[account, k] for k in (0, 1)]
        assert [int(e.state.wallets[:, k].sum()) for k in (0, 1)] == [0, 0]
        for account in range(TRADERS):
            found = {c: int(lots) for c, lots in enumerate(e.state.positions["lots"][account]) if lots}
            assert found == {c: lots for (who, c), lots in held.items() if who == account and lots}
        invariants.check(e.state)
    assert not e.state.positions["lots"].any()
    # rounding down account by account: at most a unit each, always in favour of the residue
    assert 0 <= e.wallet(residue, 0) <= 6 * TRADERS
    assert 0 <= e.wallet(residue, 1) <= 6 * TRADERS


@given(paths)
def test_a_call_less_a_put_pays_the_forward_less_the_strike(path: list[int]) -> None:
    made = contracts([1, 2, 3], "index")
    e = Exchange(2, contracts=made)
    for number in range(3):
        call, put = 1 + 4 * number, 3 + 4 * number
        e.trade(0, 1, 7, 300, call)
        e.trade(1, 0, 7, 300, put)  # premiums cancel
    for now in range(1, LAST + 1):
        e.state.meta[s.M_STEP] = now
        e.state.quotes["index"][0] = path[now - 1]
        funding.expire_contracts(e.state)
    wanted = Fraction(0)
    for number, window in enumerate((1, 2, 3), start=1):
        seen = path[3 * number - window : 3 * number]
        price = floor(Fraction(sum(seen), window) + Fraction(1, 2))
        wanted += 7 * (Fraction(price, 16) - Fraction(PRICE + 100.5 * number))
    assert abs(e.wallet(0) - wanted) <= 6
    assert abs(e.wallet(1) + wanted) <= 6


def test_an_option_trades_after_its_listing_and_until_it_expires() -> None:
    made = contracts([1, 1, 1], "index")
    e = Exchange(2, contracts=made, cash=10**9)
    e.deposit(0, 10**9, 1)
    e.deposit(1, 10**9, 1)
    accepted = []
    second = 5  # the linear call that is listed after step 2 and expires at step 6
    e.state.meta[s.M_STEP] = 0
    for now in range(1, LAST + 1):
        e.next_step()
        marks.set_option_indexes(e.state)
        marks.set_marks(e.state)
        e.send(0, side=s.BUY, lots=1, price=int(e.state.quotes["mark"][second]) // 16 + 1, c=second)
        accepted.append(e.batch()[0])
        if now in (1, 8):
            reason = s.R_UNLISTED if now == 1 else s.R_EXPIRED
            assert e.events(s.EV_REFUSED)[-1]["reason"] == reason
        e.state.quotes["index"][0] = PRICE * 16
        funding.expire_contracts(e.state)
    assert accepted == [0, 0, 1, 1, 1, 1, 0, 0, 0]
    assert e.state.accounts["orders"][0] == 0
    assert np.all(e.state.quotes["open_interest"] == 0)
    invariants.check(e.state)


@given(paths, st.integers(1, 3))
def test_an_option_is_marked_at_its_expected_average(path: list[int], window: int) -> None:
    made = contracts([1, 1, window], "index")
    e = Exchange(2, contracts=made)
    options_of_the_last = range(9, 13)
    for now in range(1, LAST + 1):
        e.state.meta[s.M_STEP] = now
        e.state.quotes["index"][0] = path[now - 1]
        marks.set_option_indexes(e.state)
        marks.set_marks(e.state)
        done = path[LAST - window : now - 1] if now > LAST - window else []
        expected = (sum(done) + (window - len(done)) * path[now - 1]) / window / 16
        years = (LAST - now) / (365 * 1440)
        for c in options_of_the_last:
            contract = made[c]
            price = options.inverse_price if contract.kind == "inverse_option" else options.black76_price
            value = float(price(contract.option_type, expected, contract.strike, years, 0.8)) / contract.tick_size
            assert abs(e.state.quotes["mark"][c] / 16 - max(value, 1 / 16)) <= 1 / 16
        if now == LAST:  # what is marked last is what is paid
            before = e.state.quotes["mark"][options_of_the_last[0]] * made[9].tick_value / 16
            e.trade(0, 1, 10, 1, 9)
            cash = e.wallet(0)
        funding.expire_contracts(e.state)
    assert abs(e.wallet(0) - cash - 10 * before) <= 10


@pytest.mark.parametrize("c", [9, 10, 11, 12])
@pytest.mark.parametrize("done", [0, 1, 2])
def test_the_delta_fades_as_the_average_fills(c: int, done: int) -> None:
    from agents.kernels.option_greeks import DELTA, GAMMA, VALUE, empty_table, lot_greeks

    made = contracts([1, 1, 3], "index")
    e = Exchange(2, contracts=made)
    e.state.contracts["years_per_step"] = 0.01
    for now in range(LAST - 2, LAST - 2 + done):
        e.state.meta[s.M_STEP] = now
        e.state.quotes["index"][0] = 16 * 10_200
        funding.expire_contracts(e.state)
    e.state.meta[s.M_STEP] = LAST - 2
    spot, h = 16.0 * 9_950, 1e-3
    tables = []
    for move in (1.0, np.exp(h), np.exp(-h)):
        table = empty_table(e.state)
        lot_greeks(e.state, c, spot * move, table)
        tables.append(table[c])
    here, up, down = tables
    assert here[DELTA] == pytest.approx((up[VALUE] - down[VALUE]) / (2 * h), rel=1e-4)
    assert here[GAMMA] == pytest.approx((up[DELTA] - down[DELTA]) / (2 * h), rel=1e-4)
    assert marks.open_share(e.state, c) == pytest.approx(1 - done / 3)
