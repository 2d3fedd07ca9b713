"""Add-ons: compiled forms against the readable definition, on random portfolios, and properties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import margin
from margin.kernels.addon_columns import N_MAP_MARK, N_SIGMA, N_VOLUME
from margin.kernels.features import draw_map, put_in_force
from sim.errors import ConfigError
from sim.kernels import state as layout
from sim.kernels.state import FEATURE_NAMES, INITIAL, MAINTENANCE, RATE_ONE
from tests.margin import markets

COLUMNS = ("lots", "open_buy", "open_sell", "loss_buy", "loss_sell")
ACCOUNTS = 5
ALL = {
    "daily_volatility": 0.03,
    "daily_volume": 5000.0,
    "liquidity": {"on": "both", "impact": 1.0, "spread": 0.0004},
    "drift": {"on": "both", "imf": 0.002},
    "skew": {"on": "both", "skew_scale": 1e6, "slope": 2.0, "maintenance_ratio": 0.3},
    "concentration_ratio": {"on": "both", "threshold": 1e5},
    "crowding": {"on": "both", "impact": 0.8, "band": 0.02},
    "behaviour": {
        "on": "both",
        "cap": 0.03,
        "utilisation": {"weight": 0.02},
        "turnover": {"weight": 0.02, "full": 9.0},
    },
}
NAMES = ("liquidity", "drift", "skew", "concentration_ratio", "crowding", "behaviour")


@st.composite
def portfolios(draw: st.DrawFn) -> tuple[Any, dict[str, np.ndarray], list[int], np.ndarray, np.ndarray]:
    """Contract table, portfolios, marks, wallets and features of five accounts."""
    size = draw(st.integers(1, 3))
    held = st.integers(-100_000, 100_000) | st.integers(-5, 5)
    ordered = st.just(0) | st.integers(0, 100_000)
    rows: dict[str, np.ndarray] = {}
    for name in COLUMNS:
        cell = held if name == "lots" else ordered
        rows[name] = np.array(draw(st.lists(st.lists(cell, min_size=size, max_size=size), min_size=5, max_size=5)))
    for side in ("buy", "sell"):
        rows[f"loss_{side}"] = rows[f"loss_{side}"] % 1000 * rows[f"open_{side}"]
    marks = draw(st.lists(st.integers(1600, 16 * 65_000), min_size=size, max_size=size))
    cash = np.array(draw(st.lists(st.integers(-(10**9), 10**11), min_size=5, max_size=5)))
    features = np.array(draw(st.lists(st.lists(st.floats(0, 20), min_size=5, max_size=5), min_size=5, max_size=5)))
    return markets.table(size), rows, marks, cash, features


def prepared(name: str, params: dict[str, Any], drawn: Any, scale: float = 1.0) -> tuple[Any, Any]:
    """A rule and a market state in which it has published, with portfolios that were there before."""
    contracts, rows, marks, cash, features = drawn
    model = margin.create(name, params)
    state = layout.allocate(traders=ACCOUNTS, contracts=len(marks), steps=1, features=True)
    state.contracts["tick_value"] = contracts.tick_value
    state.quotes["mark"] = marks
    state.meta[layout.M_STEPS_PER_DAY] = 1440
    state.meta[layout.M_LAYOUT] = layout.ISOLATED if model.layout == "isolated" else layout.CROSS
    state.model_scale[0] = scale
    memory = markets.install(state, 0, model, contracts)
    model.install(state, 0, memory)
    markets.publish(state, model, 0)
    markets.give(state, rows)
    state.wallets[:ACCOUNTS, 0] = cash
    state.positions["cost"][:ACCOUNTS] = (rows["lots"] * np.array(marks) * contracts.tick_value) >> 4
    state.accounts["positions"][:ACCOUNTS] = (rows["lots"] != 0).sum(axis=1)
    state.features[0, :ACCOUNTS, :5] = features
    for account in range(ACCOUNTS):
        from margin.kernels.features import behaviour_rate

        state.behaviour_rate[0, account] = behaviour_rate(state.addon_params[0, 0], state.features[0, account])
    if model.addons.crowding is not None:
        draw_map(state)
    put_in_force(state)
    return model, state


def answer(model: Any, state: Any, contracts: Any) -> Any:
    portfolio = markets.view(state, contracts)
    portfolio.features = {name: state.features[0, :ACCOUNTS, k].copy() for k, name in enumerate(FEATURE_NAMES)}
    risk = markets.risk(state, scenarios=model.netting == "scenarios")
    risk.arrays = model.risk_arrays(state, 0)
    return model.requirement(portfolio, risk)


def compiled(model: Any, state: Any, which: int, contract: int = -1) -> list[int]:
    return [int(model.requirement_kernel(state, account, contract, which)) for account in range(ACCOUNTS)]


@pytest.mark.parametrize("name", ["cross", "isolated", "portfolio"])
@given(drawn=portfolios(), chosen=st.sets(st.sampled_from(NAMES), min_size=1), on=st.sampled_from(["initial", "both"]))
@settings(max_examples=25, deadline=None)
def test_compiled_addons_equal_their_definition_to_the_unit(name: str, drawn: Any, chosen: set[str], on: str) -> None:
    addons = {key: value for key, value in ALL.items() if key in chosen or not isinstance(value, dict)}
    addons = {key: value | {"on": on} if isinstance(value, dict) else value for key, value in addons.items()}
    model, state = prepared(name, {"addons": addons}, drawn)
    found = answer(model, state, drawn[0])
    assert compiled(model, state, INITIAL) == found.initial.tolist()
    assert compiled(model, state, MAINTENANCE) == found.maintenance.tolist()
    assert sum(found.parts.values()).tolist() == found.initial.tolist()
    assert sum(found.maintenance_parts.values()).tolist() == found.maintenance.tolist()
    if name == "isolated":
        for c in range(len(drawn[2])):
            assert compiled(model, state, INITIAL, c) == found.initial_positions[:, c].tolist()
            assert compiled(model, state, MAINTENANCE, c) == found.maintenance_positions[:, c].tolist()


@given(drawn=portfolios(), scale=st.floats(0.2, 5.0), rate=st.integers(0, RATE_ONE))
@settings(max_examples=20, deadline=None)
def test_dynamic_initial_equals_its_definition_whatever_the_scale_and_the_rate_at_entry(
    drawn: Any, scale: float, rate: int
) -> None:
    model, state = prepared("dynamic_initial", {"addons": {"daily_volume": 5000.0}}, drawn, scale)
    state.entry_rate[0] = rate
    found = answer(model, state, drawn[0])
    assert compiled(model, state, INITIAL) == found.initial.tolist()
    assert compiled(model, state, MAINTENANCE) == found.maintenance.tolist()
    assert sum(found.parts.values()).tolist() == found.initial.tolist()


@given(drawn=portfolios(), chosen=st.sets(st.sampled_from(NAMES), min_size=1))
@settings(max_examples=20, deadline=None)
def test_addons_are_never_negative_and_never_exceed_the_cap(drawn: Any, chosen: set[str]) -> None:
    addons = {key: value for key, value in ALL.items() if key in chosen or not isinstance(value, dict)}
    model, state = prepared("cross", {"addons": addons | {"cap": 0.5}}, drawn)
    plain = margin.create("cross")
    for which in (INITIAL, MAINTENANCE):
        without = np.array([int(plain.requirement_kernel(state, a, -1, which)) for a in range(ACCOUNTS)])
        total = np.array(compiled(model, state, which))
        assert np.all(total >= without)
    portfolio = markets.view(state, drawn[0])
    worst = (
        portfolio.notional(portfolio.lots + portfolio.open_buy),
        portfolio.notional(portfolio.lots - portfolio.open_sell),
    )
    added = np.array(compiled(model, state, INITIAL)) - np.array(
        [int(plain.requirement_kernel(state, a, -1, INITIAL)) for a in range(ACCOUNTS)]
    )
    assert np.all(added <= (np.maximum(*worst) // 2 + 2).sum(axis=1))


@given(lots=st.integers(1, 10**6), more=st.integers(0, 10**6), chosen=st.sampled_from((*NAMES[:4], "behaviour")))
@settings(max_examples=25, deadline=None)
def test_addons_grow_with_size(lots: int, more: int, chosen: str) -> None:
    contracts = markets.table(1)
    rows = {column: np.zeros((ACCOUNTS, 1), np.int64) for column in COLUMNS}
    rows["lots"][:2, 0] = lots, lots + more
    drawn = (contracts, rows, contracts.initial_mark.tolist(), np.zeros(5, np.int64), np.full((5, 5), 0.7))
    addons = {key: value for key, value in ALL.items() if key == chosen or not isinstance(value, dict)}
    model, state = prepared("cross", {"addons": addons}, drawn)
    for which in (INITIAL, MAINTENANCE):
        small, large = compiled(model, state, which)[:2]
        assert small <= large


@given(features=st.lists(st.floats(0, 1e6), min_size=5, max_size=5), cap=st.floats(0.001, 0.2))
def test_behaviour_lies_between_nothing_and_its_cap(features: list[float], cap: float) -> None:
    from margin.addon_rule import behaviour_rates, write_addons
    from margin.kernels.features import behaviour_rate

    rule = margin.create("dynamic_initial", {"addons": {"behaviour": {"cap": cap, "utilisation": {"weight": 0.1},
                         "open_interest_share": {"weight": 0.3, "none": 0.1, "full": 0.4}}}})  # fmt: skip
    params = write_addons(rule.addons, markets.table(1), 0.0)[0]  # type: ignore[attr-defined]
    rate = int(behaviour_rate(params, np.array(features)))
    assert 0 <= rate <= cap * RATE_ONE + 1
    named = {name: np.array([value]) for name, value in zip(FEATURE_NAMES, features, strict=True)}
    assert behaviour_rates(params, named, 1).tolist() == [rate]


def _one(name: str, lots: int, addons: dict[str, Any], params: dict[str, Any] | None = None) -> tuple[int, int]:
    contracts = markets.table(1)
    rows = {column: np.zeros((ACCOUNTS, 1), np.int64) for column in COLUMNS}
    rows["lots"][0, 0] = lots
    drawn = (contracts, rows, contracts.initial_mark.tolist(), np.full(5, 10**9), np.zeros((5, 5)))
    model, state = prepared(name, (params or {}) | ({"addons": addons} if addons else {}), drawn)
    return compiled(model, state, INITIAL)[0], compiled(model, state, MAINTENANCE)[0]


def test_drift_premium_as_published() -> None:
    """10,000 units: 0.8 x 5 % + 0.0003 x 100 = 7 % in place of 5 %; 400 units: 4.6 % is below 5 %, which stays."""
    value = 10_000 * 5000 * 100
    initial, maintenance = _one("drift", 10_000, {})
    assert initial == pytest.approx(0.07 * value, rel=1e-8, abs=3)
    assert maintenance == pytest.approx(max(0.03, 0.8 * 0.03 + 0.03) * value, rel=1e-8, abs=3)
    small = 400 * 5000 * 100
    assert _one("drift", 400, {})[0] == pytest.approx(0.05 * small, rel=1e-8, abs=3)


def test_synthetix_skew_as_published() -> None:
    """200,000 of a skew scale of 20 million: 1 % x 2.459 + 5 % = 7.459 %, maintenance 0.317 of it."""
    value = 200_000 * 5000 * 100
    initial, maintenance = _one("synthetix", 200_000, {})
    assert initial == pytest.approx(0.07459 * value, rel=1e-8, abs=3)
    assert maintenance == pytest.approx(0.07459 * 0.317 * value, rel=1e-8, abs=3)


def test_concentration_ratio_as_published() -> None:
    """Net value of four thresholds: a ratio of two doubles the margin; below the threshold nothing is added."""
    value = 400 * 5000 * 100
    addons = {"concentration_ratio": {"threshold": value / 4 / 100}}
    assert _one("static", 400, addons)[0] == pytest.approx(2 * 0.04 * value, rel=1e-8, abs=3)
    assert _one("static", 100, addons)[0] == _one("static", 100, {"concentration_ratio": {"threshold": 1e12}})[0]


def test_liquidity_cost_as_stated() -> None:
    """A quarter of a day's volume at 3 % a day: (2/3) x 0.03 x 0.5 = 1 %, and half a spread of 0.1 %."""
    value = 2500 * 5000 * 100
    addons = {"daily_volume": 10_000.0, "daily_volatility": 0.03, "liquidity": {"on": "initial", "spread": 0.001}}
    initial, maintenance = _one("static", 2500, addons)
    assert initial == pytest.approx((0.04 + 0.01 + 0.0005) * value, rel=1e-8, abs=3)
    assert maintenance == pytest.approx(0.02 * value, rel=1e-8, abs=3)


def test_crowd_counts_others_near_the_own_liquidation_price_and_not_the_account_itself() -> None:
    contracts = markets.table(1)
    rows = {column: np.zeros((ACCOUNTS, 1), np.int64) for column in COLUMNS}
    rows["lots"][:, 0] = 100, 300, 300, -300, 0
    # at 10 % of value each: liquidated where V - 0.1 V + ... at 0.9 / 0.98 of the mark; the third far below
    cash = np.array([0.1 * 100, 0.1 * 300, 0.5 * 300, 0.1 * 300, 0.0]) * 500_000
    drawn = (contracts, rows, contracts.initial_mark.tolist(), cash.astype(np.int64), np.zeros((5, 5)))
    addons = {"daily_volume": 1200.0, "daily_volatility": 0.02, "crowding": {"on": "initial", "band": 0.005}}
    model, state = prepared("static", {"addons": addons}, drawn)
    memory = state.addon_memory[0, 0]
    assert (memory[N_SIGMA], memory[N_VOLUME], memory[N_MAP_MARK]) == (0.02, 1200.0, 5000 * 16)
    found = answer(model, state, contracts)
    value = 100 * 500_000
    assert found.parts["crowding"][0] == pytest.approx(0.02 * np.sqrt(300 / 1200) * value, rel=1e-7, abs=3)
    assert found.parts["crowding"][1] == pytest.approx(0.02 * np.sqrt(100 / 1200) * 3 * value, rel=1e-7, abs=3)
    assert found.parts["crowding"][2:].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("regime", "params", "key"),
    [
        ("static", {"addons": {"liquidity": {}}}, "margin.params.addons.daily_volatility"),
        ("static", {"addons": {"liquidty": {}}}, "margin.params.addons.liquidty"),
        ("static", {"addons": {"drift": {"imf": -1.0}}}, "margin.params.addons.drift.imf"),
        ("static", {"addons": {"behaviour": {"cap": 2.0}}}, "margin.params.addons.behaviour.cap"),
        ("portfolio", {"addons": {"maintenance_at": "entry"}}, "margin.params.addons.maintenance_at"),
        ("static", {"addons": {"behaviour": {"turnover": {"weight": 0.1, "none": 2.0, "full": 1.0}}}},
         "margin.params.addons.behaviour.turnover"),
        ("dynamic_initial", {"alpha": 0.2, "beta": 0.9}, "margin.params"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_named(regime: str, params: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        margin.create(regime, params)
    assert caught.value.problems[0].key.startswith(key)


def test_addons_given_on_top_of_a_preset_keep_its_other_addons() -> None:
    rule = margin.create("dynamic_initial", {"addons": {"crowding": {"band": 0.03}}})
    assert rule.addons.crowding.band == 0.03  # type: ignore[attr-defined]
    assert rule.addons.liquidity is not None  # type: ignore[attr-defined]


def test_a_regime_without_addons_does_not_pay() -> None:
    static = margin.create("static")
    assert static.requirement_kernel is margin.create("cross").requirement_kernel
    assert not getattr(static, "features", False)
