"""What a scenario may say of each kind of contract."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from experiments import build
from experiments.scenario import Scenario, parse
from sim.errors import ConfigError

BASE: dict[str, Any] = {
    "market": {"dt_seconds": 60.0, "steps": 2880, "steps_per_day": 1440, "minor_units": {"BTC": 10**8}},
    "world": {"kind": "gbm", "volatility": 0.03},
    "margin": {"regime": "static", "params": {"initial": 0.1, "maintenance": 0.05}},
    "clearing": {"forced_limit": "none", "surplus_to": "trader", "haircuts": {"BTC": 0.1}},
    "populations": [{"kind": "noise", "name": "noise", "count": 5}],
}
SPOT = {"name": "spot", "kind": "spot", "tick_value": 1, "lot_size": 0.01, "base_currency": "BTC", "base_lot": 10**6}
COIN = {
    "name": "coin", "kind": "inverse_perpetual", "currency": "BTC", "lot_size": 100.0, "tick_value": 10**10,
    "max_lots": 1000,
}  # fmt: skip
OPTION = {
    "name": "call", "kind": "linear_option", "underlying": "BTC", "tick_value": 1, "lot_size": 0.01, "strike": 5000.0,
    "option_type": "call", "expiry_days": 1.5, "volatility": 0.8, "initial_price": 200, "max_lots": 100_000,
}  # fmt: skip


def parsed(raw: dict[str, Any]) -> Scenario:
    return parse(raw, name="kinds", file="")


def scenario(*contracts: dict[str, Any]) -> Scenario:
    return parsed({**copy.deepcopy(BASE), "contracts": [dict(one) for one in contracts]})


def problem(*contracts: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        scenario(*contracts)
    assert len(caught.value.problems) == 1, str(caught.value)
    return str(caught.value)


def test_a_market_of_every_kind_is_built() -> None:
    found = build.contracts(scenario(SPOT, COIN, OPTION))
    assert [one.about for one in found] == ["BTC"] * 3
    assert found[2].expiry_step == 2160
    assert found[0].currency == "USD"


@pytest.mark.parametrize("key", ["strike", "option_type", "expiry_days", "volatility"])
def test_an_option_needs_its_terms(key: str) -> None:
    line = problem(SPOT, {k: v for k, v in OPTION.items() if k != key})
    assert line.startswith(f"contracts.call.{key} = None; allowed: ") or f"contracts.call.{key} = None" in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("change", "key", "phrase"),
    [
        ({"currency": "USD", "underlying": "BTC"}, "contracts.coin.currency", "BTC, the underlying coin"),
        ({"tick_value": 10**9}, "contracts.coin.tick_value", "10000000000: lot_size 100 x 100000000 minor units"),
        ({"strike": 100.0}, "contracts.coin.strike", "only with an option"),
        ({"expiry_days": 1.0}, "contracts.coin.expiry_days", "only with a future or an option"),
        ({"base_lot": 5}, "contracts.coin.base_lot", "only with spot"),
        ({"max_lots": 10**9}, "contracts.coin.max_lots", "max_lots x tick_value x 16"),
        ({"volatility": -0.5}, "contracts.coin.volatility", "above 0"),
    ],
)
def test_an_inverse_contract_is_checked(change: dict[str, Any], key: str, phrase: str) -> None:
    with pytest.raises(ConfigError) as caught:
        scenario(SPOT, COIN | change)
    assert key in str(caught.value)
    assert phrase in str(caught.value)


def test_an_inverse_contract_must_name_its_coin() -> None:
    line = problem(SPOT, {k: v for k, v in COIN.items() if k != "currency"})
    assert "contracts.coin.currency = 'USD'; allowed: the coin in which an inverse contract settles" in line


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"base_currency": "USD"}, "base_currency"),
        ({"base_lot": 10**5}, "base_lot"),
        ({"expiry_days": 3}, "expiry_days"),
    ],
)
def test_spot_is_checked(change: dict[str, Any], key: str) -> None:
    assert f"contracts.spot.{key}" in problem(SPOT | change)


def test_an_option_needs_a_contract_that_prices_its_underlying() -> None:
    assert "contracts.call.underlying = 'ETH'" in problem(SPOT, OPTION | {"underlying": "ETH"})
    assert "contracts.call.strike = 5000.01" in problem(SPOT, OPTION | {"strike": 5000.01})


def test_a_currency_needs_a_price() -> None:
    other = {"name": "euro", "currency": "EUR"}
    assert "contracts.currency = 'EUR'" in problem(SPOT, other)


def test_a_haircut_is_on_another_currency_of_the_market() -> None:
    raw = {**copy.deepcopy(BASE), "contracts": [dict(SPOT)]}
    raw["clearing"]["haircuts"] = {"ETH": 0.1}
    with pytest.raises(ConfigError, match=r"clearing\.haircuts"):
        build.market(parsed(raw), 1)


def test_seeding_positions_needs_a_contract_that_is_held() -> None:
    raw = {**copy.deepcopy(BASE), "contracts": [dict(SPOT)]}
    raw["events"] = [
        {"name": "seed", "kind": "seed_open_interest", "at_step": 10, "population": "noise", "lots": 10},
    ]  # fmt: skip
    with pytest.raises(ConfigError, match=r"events\.seed\.contract"):
        parsed(raw)
