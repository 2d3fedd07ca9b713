"""Circuit breakers in whole markets: each does what it says beside a paired run without it, and nothing is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import margin
from margin import netting
from sim.breakers import Breakers
from sim.config import RecordConfig
from sim.errors import ConfigError
from sim.interfaces import PortfolioView, Requirement, RiskParameters
from sim.kernels import state as s
from sim.kernels.record import depth_near
from sim.market import Market
from tests.sim import markets

FULL = RecordConfig(trades=True, refusals=True, depth_every=1)
HALT = Breakers(halt_move=0.04, halt_window_seconds=600, halt_seconds=600)
THROTTLE = Breakers(throttle=0.02)
STRESS = Breakers(stress_from=1.2, stress_slope=1.0, stress_most=3.0)
ALL = Breakers(
    halt_move=0.03, halt_window_seconds=600, halt_seconds=300, band=0.05, throttle=0.05, stress_from=1.2,
    stress_slope=0.5,
)  # fmt: skip


class NumpyGrid(margin.Rule):
    """The fixed rates of ``static``, asked in Python."""

    name = "numpy_static"

    def requirement(self, portfolio: PortfolioView, risk: RiskParameters) -> Requirement:
        """Requirements of all accounts."""
        return netting.cross(portfolio, risk)


# without liquidators every forced lot goes to the book
POPULATIONS = tuple(entry for entry in markets.POPULATIONS if entry[0] != "liquidators")


def made(rule: Breakers, regime: Any = "static", **how: Any) -> Market:
    return markets.market(regime, record=FULL, breakers=rule, populations=POPULATIONS, **how)


def run(rule: Breakers, *, check: bool = False, **how: Any) -> Market:
    market = made(rule, **how)
    if check:
        for _ in range(markets.STEPS):
            market.step()
            market.check()
    else:
        market.advance(markets.STEPS)
    return market


@pytest.fixture(scope="module")
def plain() -> Market:
    return run(Breakers())


def events(market: Market, kind: str) -> pd.DataFrame:
    return market.events_table().query(f"kind == '{kind}'")


def halted_steps(market: Market) -> np.ndarray:
    steps = market.steps_table()
    return steps.loc[steps["halted"] > 0, "step"].to_numpy()


def test_a_halt_stops_trading_and_funding_goes_on(plain: Market) -> None:
    market = run(HALT, check=True)
    found = events(market, "halt")
    stopped = halted_steps(market)
    assert len(found) >= 1
    assert len(events(plain, "halt")) == 0
    trades = market.trades_table()
    for start, until in zip(found["step"], found["a"], strict=True):
        # it came in by a mark at the end of its first step: that step has traded
        inside = trades[(trades["step"] > start) & (trades["step"] < until)]
        assert len(inside) == 0
        assert set(range(start, min(until, markets.STEPS + 1))) <= set(stopped)
        if until < markets.STEPS:
            assert (trades["step"] >= until).any()
    refused = events(market, "refused")
    assert (refused["reason"] == "halted").sum() > 0
    funding = events(market, "funding")["step"]
    assert set(funding) & set(stopped) or not any(step % 50 == 0 for step in stopped)


def test_the_throttle_spreads_forced_lots_over_time(plain: Market) -> None:
    """Forced lots in the book per step stay under the share of what rests within 5 %, and take more steps."""
    market = run(THROTTLE, check=True)

    def forced(of: Market) -> pd.Series:
        trades = of.trades_table()
        return trades[trades["cause"] == "liquidation"].groupby("step")["lots"].sum()

    before, after = forced(plain), forced(market)
    assert before.max() > 2 * after.max()
    assert len(after) > len(before)


def test_margin_rises_with_stress_and_the_steps_table_shows_it(plain: Market) -> None:
    market = run(STRESS, check=True)
    steps, before = market.steps_table(), plain.steps_table()
    rates = steps[["rate_initial", "rate_maintenance"]].to_numpy()
    base = before[["rate_initial", "rate_maintenance"]].to_numpy()
    assert (base == base[0]).all()
    factor = rates / base
    assert factor.min() >= 1.0
    assert factor[:, 0] == pytest.approx(factor[:, 1], rel=1e-8)
    assert 1.2 < factor.max() <= 3.0 + 1e-9
    crash = steps["step"].to_numpy() > markets.CRASH
    assert factor[crash].mean() > factor[~crash].mean()
    # maintenance binds one step after it was announced
    step = int(steps["step"].iloc[-1])
    assert market.state.rate_maintenance[(step - 1) % market.state.meta[s.M_RISK_SLOTS], 0] == round(
        steps["rate_maintenance"].iloc[-2] * s.RATE_ONE
    )


def test_a_band_keeps_trades_near_the_mark_of_the_window(plain: Market) -> None:
    rule = Breakers(band=0.02, halt_window_seconds=600)
    market = run(rule, check=True)
    mark = np.concatenate([[2000.0], market.steps_table()["mark"].to_numpy()])
    for of, holds in ((market, True), (plain, False)):
        trades = of.trades_table()
        marks = mark if holds else np.concatenate([[2000.0], of.steps_table()["mark"].to_numpy()])
        reference = marks[np.maximum(trades["step"].to_numpy() - 10, 0)]
        # a sell below the band, or a buy above it, cannot have been sent
        beyond = trades["side"].to_numpy() * (trades["price"].to_numpy() / reference - 1.0)
        assert (beyond.max() <= 0.02 + 1e-3) == holds


@pytest.mark.parametrize("rule", [Breakers(), HALT, THROTTLE, STRESS, ALL], ids=str)
@pytest.mark.parametrize("limit", ["none", "bankruptcy"])
def test_a_rule_in_numpy_gives_the_hash_of_the_compiled_one(rule: Breakers, limit: str) -> None:
    hashes = []
    for regime in ("static", NumpyGrid(**markets.RATES)):
        market = made(rule, regime, forced_limit=limit)
        market.advance(130)
        market.check()
        hashes.append(market.results_hash())
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize("regime", ["static", "portfolio", "isolated"])
def test_all_breakers_at_once_conserve_everything(regime: str) -> None:
    market = run(ALL, check=True, regime=regime, contract_count=1 if regime == "static" else 2)
    assert len(events(market, "halt")) > 0


def test_step_advance_fork_and_snapshot_give_the_same_bytes(tmp_path: Path) -> None:
    whole = run(ALL)
    half = made(ALL)
    for _ in range(markets.CRASH + 12):
        half.step()
    half.save(tmp_path / "half")
    again = made(ALL).load(tmp_path / "half")
    fork = half.fork()
    for other in (half, again, fork):
        other.advance(markets.STEPS - other.tick)
        assert other.results_hash() == whole.results_hash()


def test_a_fork_may_put_breakers_in_and_take_them_out() -> None:
    base = made(Breakers(), shadows=("dynamic", "portfolio"))
    base.advance(markets.CRASH - 10)
    stopped = base.fork(clearing=_with(base, HALT))
    while not stopped.state.meta[s.M_HALTED]:
        stopped.advance(1)
    stopped.advance(1)
    free = stopped.fork(clearing=_with(base, Breakers()))
    free.advance(1)
    assert free.state.meta[s.M_HALTED] == 0
    before = int(stopped.state.meta[s.M_FILLS_TOTAL])
    stopped.advance(1)
    assert free.state.meta[s.M_FILLS_TOTAL] > before == stopped.state.meta[s.M_FILLS_TOTAL]
    for name in ("dynamic", "portfolio"):
        tense = base.fork(clearing=_with(base, STRESS))
        while tense.state.breaker_state[0, s.BS_MULTIPLIER] <= s.RATE_ONE:
            tense.advance(1)
        other = tense.fork(margin=name)
        factor = tense.state.breaker_state[0, s.BS_MULTIPLIER] / s.RATE_ONE
        assert factor > 1.0
        published = other.state.model_rates[0, 0, s.INITIAL]
        assert other.state.rate_initial[0] == pytest.approx(factor * published, rel=1e-6)
        other.advance(20)
        other.check()


def _with(market: Market, rule: Breakers) -> Any:
    from dataclasses import replace

    return replace(market.clearing, breakers=rule)


def test_the_multiplier_is_refused_where_it_would_do_nothing() -> None:
    with pytest.raises(ConfigError, match="stress_slope"):
        markets.market("binance_tiers" if "binance_tiers" in margin.presets() else "reg_t", breakers=STRESS)


def test_depth_is_read_on_the_side_that_is_hit() -> None:
    market = markets.market()
    market.advance(80)
    assert depth_near(market.state, 0, s.BUY) > 0
