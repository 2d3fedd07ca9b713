"""Properties that the portfolio margins of all venues share."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.margin import crypto_books as books

RULES = ("deribit_pm", "derive_pm", "okx_pm")
LINEAR = len(books.LINEAR)
FACTOR = {"deribit_pm": 1.2, "derive_pm": 1.25, "okx_pm": 1.3}
# scenario netting alone: no charge grows faster than a position
PLAIN = {
    "deribit_pm": {"futures_contingency": 0.0, "option_contingency": 0.0},
    "derive_pm": {"option_contingency": 0.0, "perpetual_contingency": 0.0, "spot_contingency": 0.0},
    "okx_pm": {"vega_weight": 0.0, "futures_minimum": 0.0, "option_minimum": 0.0},
}


@cache
def rule(name: str, *, inverse: bool = False, plain: bool = False) -> books.Asked:
    given = {"account": {"currency": "USD"}, "collateral": [{"currency": "BTC", "amount": "1"}]} if inverse else {}
    return books.asked(
        name, books.snapshot(books.contracts(inverse=inverse), **given), **(PLAIN[name] if plain else {})
    )


@pytest.mark.parametrize("name", [*RULES, "deribit_pm inverse", "okx_pm inverse"])
@given(data=st.data())
def test_compiled_equals_the_definition_to_the_unit(name: str, data: st.DataObject) -> None:
    ask = rule(name.split()[0], inverse=" " in name)
    count = len(ask.shot.contracts.names)
    coins = np.array(data.draw(st.lists(st.integers(-(10**13), 10**13), min_size=3, max_size=3)))
    view = ask.view(data.draw(books.rows(count)), coins)
    initial, maintenance = ask.both(view)
    explained = ask.model.explain(view, ask.risk)
    assert initial.tolist() == explained.initial.tolist()
    assert maintenance.tolist() == explained.maintenance.tolist()
    assert sum(explained.parts.values()).tolist() == initial.tolist()
    assert sum(explained.maintenance_parts.values()).tolist() == maintenance.tolist()
    assert all((part >= 0).all() for part in explained.parts.values())
    assert explained.scenario_loss.shape == (3, len(explained.scenario_names))
    assert (maintenance >= 0).all() and (initial >= maintenance).all()


@pytest.mark.parametrize("name", RULES)
@given(data=st.data())
def test_a_sum_never_costs_more_than_its_parts_under_scenario_netting(name: str, data: st.DataObject) -> None:
    ask = rule(name, plain=True)
    parts = data.draw(books.rows(LINEAR, accounts=2, orders=False))
    whole = {"lots": parts["lots"].sum(axis=0, keepdims=True)}
    together, apart = ask.both(ask.view(whole)), ask.both(ask.view(parts))
    for one, two in zip(together, apart, strict=True):
        assert one[0] <= two.sum() + 10 * LINEAR


@pytest.mark.parametrize("name", RULES)
@given(data=st.data(), times=st.integers(2, 1000))
def test_homogeneous_within_rounding(name: str, data: st.DataObject, times: int) -> None:
    ask = rule(name, plain=name == "okx_pm")  # its tiers rise with size
    small = data.draw(books.rows(LINEAR, accounts=1, orders=False))
    large = {"lots": small["lots"] * times}
    for one, many in zip(ask.both(ask.view(small)), ask.both(ask.view(large)), strict=True):
        assert abs(int(many[0]) - times * int(one[0])) <= 10 * LINEAR * times


@pytest.mark.parametrize("name", RULES)
@given(data=st.data())
def test_initial_margin_covers_every_fill(name: str, data: st.DataObject) -> None:
    ask = rule(name)
    now = data.draw(books.rows(LINEAR, accounts=1))
    filled = dict(now)
    shares = np.array(data.draw(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=2 * LINEAR, max_size=2 * LINEAR)))
    bought = (now["open_buy"] * shares[:LINEAR]).astype(np.int64)
    sold = (now["open_sell"] * shares[LINEAR:]).astype(np.int64)
    filled = {
        "lots": now["lots"] + bought - sold,
        "open_buy": now["open_buy"] - bought,
        "open_sell": now["open_sell"] - sold,
    }
    before, after = ask.both(ask.view(now))[0][0], ask.both(ask.view(filled))[0][0]
    own = 7 * int((bought + sold).sum())  # the loss of the filled orders has by then left equity
    assert after <= before - own + 20 * LINEAR


@pytest.mark.parametrize("name", RULES)
@given(lots=st.integers(1, 10**6))
def test_a_position_and_its_opposite_order_cost_no_more_maintenance(name: str, lots: int) -> None:
    ask = rule(name)
    alone = {"lots": np.zeros((1, LINEAR), np.int64)}
    alone["lots"][0, 0] = lots
    closing = alone | {"open_sell": np.where(np.arange(LINEAR) == 0, lots, 0)[None, :]}
    (initial, held), (resting, same) = ask.both(ask.view(alone)), ask.both(ask.view(closing))
    assert same[0] == held[0]
    assert resting[0] >= initial[0]


@pytest.mark.parametrize("name", RULES)
def test_published_rates_are_what_a_position_alone_is_charged(name: str) -> None:
    ask = rule(name)
    for c in (0, 1, 7):
        for sign in (1, -1):
            lots = np.zeros((1, LINEAR), np.int64)
            lots[0, c] = sign * 10_000
            _, maintenance = ask.both(ask.view({"lots": lots}))
            value = ask.shot.portfolio.value(np.abs(lots))[0, c]
            rate = ask.risk.rate_maintenance[c] / 2**32
            assert maintenance[0] / value == pytest.approx(rate, rel=1e-6)
            assert ask.risk.rate_initial[c] / ask.risk.rate_maintenance[c] == pytest.approx(FACTOR[name], rel=1e-6)


@pytest.mark.parametrize("name", RULES)
def test_an_empty_account_needs_nothing(name: str) -> None:
    ask = rule(name)
    initial, maintenance = ask.both(ask.view({"lots": np.zeros((2, LINEAR), np.int64)}))
    assert initial.tolist() == maintenance.tolist() == [0, 0]


@pytest.mark.parametrize("name", RULES)
def test_underlyings_do_not_offset(name: str) -> None:
    ask = rule(name)
    lots = np.zeros((3, LINEAR), np.int64)
    lots[0, 0], lots[1, 7] = 1000, -16_667
    lots[2] = lots[0] + lots[1]
    _, maintenance = ask.both(ask.view({"lots": lots}))
    assert maintenance[2] == maintenance[0] + maintenance[1]
