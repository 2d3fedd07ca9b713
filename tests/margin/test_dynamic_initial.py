"""Dynamic initial margining in a running market, and the worked example of its docs page."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path

import numpy as np
import pytest

import margin
from margin.portfolio import Portfolio
from sim.errors import ConfigError
from sim.interfaces import PortfolioView, Requirement, RiskParameters
from sim.kernels import state as s
from tests.sim import markets

EXAMPLE = Path(__file__).parents[2] / "docs" / "portfolios" / "dynamic_initial.toml"
MODEL = {"initial_rate": 0.05, "addons": {"update_interval": "5min", "half_life": "2h"}}


def made() -> margin.Rule:
    return margin.create("dynamic_initial", MODEL)  # type: ignore[return-value]


@pytest.fixture(scope="module")
def run() -> object:
    market = markets.market(made(), contract_count=1)
    market.advance(130)
    return market


def test_a_market_holds_every_invariant_under_it() -> None:
    market = markets.market(made())
    for _ in range(130):
        market.step()
        market.check()
    traders = int(market.state.meta[s.M_TRADERS])
    for initial, which in ((True, s.INITIAL), (False, s.MAINTENANCE)):
        found = market.margin.requirement(market.portfolio(), market.risk_parameters(initial=initial))
        asked = [market._ask(account, -1, which) for account in range(traders)]
        assert (found.initial if initial else found.maintenance)[:traders].tolist() == asked
    assert found.parts["liquidity"].sum() > 0
    assert market.state.quotes["liquidated"].sum() > 0


def test_the_fused_loop_and_single_steps_give_the_same_bytes() -> None:
    fused, single = markets.market(made()), markets.market(made())
    fused.advance(120)
    for _ in range(120):
        single.step()
    assert fused.results_hash() == single.results_hash()
    for name, array in s.arrays_of(fused.state).items():
        assert getattr(single.state, name).tobytes() == array.tobytes(), name


def test_forks_and_snapshots_carry_features_and_map(run: markets.Market, tmp_path: Path) -> None:
    twin = run.fork()
    run.save(tmp_path / "run.npz")
    loaded = markets.market(made()).load(tmp_path / "run.npz")
    assert run.state.features[0, :, 0].any()
    assert run.state.entry_rate.any()
    for other in (twin, loaded):
        other.advance(30)
    for name in ("features", "behaviour_rate", "entry_rate", "seen_lots", "liquidation_map", "map_own"):
        assert getattr(twin.state, name).tobytes() == getattr(loaded.state, name).tobytes(), name
    assert twin.results_hash() == loaded.results_hash()


def test_a_fork_into_it_knows_what_accounts_did_before() -> None:
    market = markets.market("static", shadows=["dynamic_initial"])
    market.advance(85)
    before = market.state.features[1].copy()
    arm = market.fork(margin="dynamic_initial", scale_to_mean=False)
    assert before[:, 0].any()
    assert np.array_equal(arm.state.features[0], before)
    assert np.array_equal(arm.state.entry_rate[0], market.state.entry_rate[1])
    arm.advance(20)
    arm.check()


def test_a_position_keeps_the_maintenance_of_the_rate_at_which_it_was_accepted(run: markets.Market) -> None:
    state = run.state
    traders = int(state.meta[s.M_TRADERS])
    held = np.flatnonzero(state.positions["lots"][:traders, 0])
    entry = state.entry_rate[0, held, 0]
    assert len(np.unique(entry)) > 1
    for account, rate in zip(held[:5], entry[:5], strict=True):
        value = abs(int(state.positions["lots"][account, 0]) * int(state.quotes["mark"][0]) * 10) >> 4
        kept = -(-int(rate) * (1 << 31) // (1 << 32))
        assert run.maintenance_margin(int(account)) == -(-value * kept // (1 << 32))


def test_explaining_an_order_in_a_market(run: markets.Market) -> None:
    traders = int(run.state.meta[s.M_TRADERS])
    account = int(np.flatnonzero(run.state.positions["lots"][:traders, 0] == 0)[-1])
    for lots in (3, -40):
        found = run.explain_order(account, 0, lots)
        assert sum(found.parts.values()) == found.after - found.before
        assert found.parts["predictive"] > 0
        assert found.parts["liquidity"] > 0
    with pytest.raises(ConfigError, match="lots"):
        run.explain_order(account, 0, 0)
    with pytest.raises(ConfigError, match="explains orders"):
        markets.market().explain_order(0, 0, 1)


def test_a_numpy_rule_can_read_features() -> None:
    seen: list[dict[str, np.ndarray]] = []

    class Watching(margin.Rule):
        features = True

        def requirement(self, portfolio: PortfolioView, risk: RiskParameters) -> Requirement:
            seen.append(portfolio.features)
            value = portfolio.notional().sum(axis=1)
            return Requirement(initial=value // 20, maintenance=value // 40)

    market = markets.market(Watching())
    market.advance(75)
    assert set(seen[-1]) == set(s.FEATURE_NAMES)
    assert seen[-1]["utilisation"].max() > 0
    assert seen[-1]["turnover"].max() > 0


def by_hand() -> dict[str, float]:
    """The worked example in plain arithmetic: long 20 BTC at 50,000, an order for 30 more."""
    price, sigma, volume, spread = 50_000.0, 0.03, 20_000.0, 10.0
    z, days = 2.3263478740408408, 1.0
    parts = {}
    # own impact of 50 BTC: half the spread, and 2/3 x sigma x sqrt(50 / 20,000)
    parts["predictive"] = 30 * price * z * sigma * math.sqrt(days)

    def liquidity(q: float) -> float:
        return q * price * (spread / 2 / price + 2 / 3 * sigma * math.sqrt(q / volume))

    parts["liquidity"] = liquidity(50) - liquidity(20)
    # equity 400,000; maintenance at half the predictive rate: liquidated at
    rate = z * sigma * math.sqrt(days) / 2
    liquidation = {q: (q * price - 400_000) / (q * (1 - rate)) for q in (20, 50)}
    crowd = {20: 300.0, 50: 800.0}  # what the map holds within 1 % of these prices

    def crowding(q: float) -> float:
        return q * price * sigma * math.sqrt(crowd[int(q)] / volume)

    parts["crowding"] = crowding(50) - crowding(20)
    behaviour = 0.01 * (0.8 - 0.5) / (1.0 - 0.5) + 0.01 * 1.0 / 2.0
    parts["behaviour"] = 30 * price * min(behaviour, 0.02)
    return parts | {"liquidation_20": liquidation[20], "liquidation_50": liquidation[50]}


def test_the_worked_example_of_the_docs() -> None:
    raw = tomllib.loads(EXAMPLE.read_text("utf-8"))
    file = Portfolio(**raw)
    snapshot = file.snapshot()
    rule = margin.create(file.regime or "", file.params)
    risk, _ = rule.publish(snapshot.market, rule.init(snapshot.contracts))
    order = rule.explain_order(snapshot.portfolio, risk, 0, 0, 30)  # type: ignore[attr-defined]
    expected = by_hand()
    for name in ("predictive", "liquidity", "crowding", "behaviour"):
        assert order.parts[name] / snapshot.minor == pytest.approx(expected[name], rel=1e-6), name
    assert order.parts["anti_procyclicality"] == 0
    assert order.parts["concentration"] == 0
    assert sum(order.parts.values()) == order.after - order.before
    page = (EXAMPLE.parents[1] / "regimes" / "dynamic_initial.md").read_text("utf-8")
    for name in ("predictive", "liquidity", "crowding", "behaviour", "liquidation_20", "liquidation_50"):
        assert f"{expected[name]:,.2f}" in page, (name, expected[name])
    total = sum(expected[name] for name in ("predictive", "liquidity", "crowding", "behaviour"))
    assert f"{total:,.2f}" in page


def test_the_worked_example_of_the_addons_page() -> None:
    raw = tomllib.loads((EXAMPLE.parent / "addons.toml").read_text("utf-8"))
    file = Portfolio(**raw)
    snapshot = file.snapshot()
    rule = margin.create(file.regime or "", file.params)
    risk, _ = rule.publish(snapshot.market, rule.init(snapshot.contracts))
    found = rule.explain(snapshot.portfolio, risk)  # type: ignore[attr-defined]
    value = 25_000 * 100.0
    expected = {
        "positions": 0.04 * value,
        "liquidity": value * (0.001 + 2 / 3 * 0.03 * math.sqrt(0.25)),
        "concentration": 0.04 * value * (math.sqrt(2.5) - 1),
    }
    page = (EXAMPLE.parents[1] / "regimes" / "addons.md").read_text("utf-8")
    for name, amount in expected.items():
        assert int(found.parts[name][0]) / snapshot.minor == pytest.approx(amount, rel=1e-8), name
        assert f"{amount:,.2f}" in page
    assert int(found.initial[0]) / snapshot.minor == pytest.approx(sum(expected.values()), rel=1e-8)
    assert int(found.maintenance[0]) / snapshot.minor == pytest.approx(77_500, rel=1e-8)
