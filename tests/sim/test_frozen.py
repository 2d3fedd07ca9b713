from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import margin
from margin.kernels.open_interest import publish as publish_open_interest
from sim.errors import ForkError
from sim.interfaces import MarketView, ModelState, RiskParameters
from sim.kernels import state as s
from sim.market import Market
from tests.sim.markets import CRASH, RATES, STEPS, market

FAST = {"half_life": "10min", "sample_interval": "1min", "update_interval": "1min", "initial_rate": 0.05}


def rule(name: str, **params: Any) -> Any:
    return margin.create(name, params)


def twins(model: Any, at: int = CRASH, **options: Any) -> tuple[Market, Market, Market]:
    base = market(model, **options)
    base.advance(at)
    found = base.fork(), base.fork(frozen=True), base.fork(frozen=True)
    for one in found:
        one.advance(STEPS - at)
    return found


def rates(one: Market, after: int = CRASH) -> np.ndarray:
    table = one.steps_table()
    return table.loc[table["step"] > after, ["rate_initial", "rate_maintenance"]].to_numpy()


@pytest.mark.parametrize("name", ["static", "isolated", "portfolio"])
def test_a_rule_that_does_not_react_is_itself_when_frozen(name: str) -> None:
    live, frozen, again = twins(name)
    assert live.results_hash() == frozen.results_hash() == again.results_hash()


def test_a_rule_that_reacts_keeps_its_last_rates() -> None:
    live, frozen, again = twins(rule("dynamic", **FAST))
    assert np.ptp(rates(live)[:, 0]) > 0.01
    assert np.ptp(rates(frozen), axis=0).tolist() == [0.0, 0.0]
    assert rates(frozen)[0, 0] == pytest.approx(live.steps_table().query("step == @CRASH")["rate_initial"].iloc[0])
    assert live.results_hash() != frozen.results_hash()
    assert frozen.results_hash() == again.results_hash()


def test_the_frozen_rule_is_still_computed_in_shadow() -> None:
    base = market("static", shadows=["dynamic"])
    base.advance(CRASH)
    frozen = base.fork("dynamic", frozen=True)
    seen = []
    for _ in range(5):
        frozen.advance(30)
        seen.append(frozen.state.model_rates[:, 0, 0].copy())
    in_force, in_shadow = np.array(seen).T
    assert np.ptp(in_force) == 0
    assert np.ptp(in_shadow) > 0


def test_charges_that_follow_the_market_stand_still() -> None:
    base = market(rule("liquidity_addon", **RATES))
    base.advance(CRASH)
    live, frozen = base.fork(), base.fork(frozen=True)
    for one in (live, frozen):
        one.advance(STEPS - CRASH)
    before = base.state.addon_coefficients[CRASH % int(base.state.meta[s.M_RISK_SLOTS])]
    row = STEPS % int(base.state.meta[s.M_RISK_SLOTS])
    assert np.array_equal(frozen.state.addon_coefficients[row], before)
    assert not np.array_equal(live.state.addon_coefficients[row], before)


def test_rates_that_follow_open_interest_stand_still() -> None:
    levels = {"open_interest_lower": 1.0, "open_interest_upper": 2000.0}
    names = margin.params_model("dydx").model_fields  # type: ignore[union-attr]
    given = {key: value for key, value in levels.items() if key in names}
    live, frozen, _ = twins(rule("dydx", **given))
    assert np.ptp(rates(frozen)[:, 0]) == 0.0
    assert rates(frozen)[0, 0] > 0.0
    assert len(rates(live)) == len(rates(frozen))


class Reactive(margin.Rule):
    """A user's rule: rates from the last half hour."""

    def init(self, contracts: Any) -> ModelState:
        return {"asked": np.zeros(1)}

    def publish(self, market: MarketView, state: ModelState) -> tuple[RiskParameters, ModelState]:
        rate = 0.01 + 5.0 * market.returns(30).std(axis=0)
        units = np.clip(np.rint(rate * 2**32), 1, 2**31).astype(np.int64)
        return RiskParameters(rate_initial=2 * units, rate_maintenance=units), {"asked": state["asked"] + 1}


class Valued(Reactive):
    """The same, said to publish nothing but what the state of risk gives."""

    revalues = True


@pytest.mark.parametrize("kind", [Reactive, Valued])
def test_a_users_rule_keeps_what_it_published_last(kind: type) -> None:
    base = market(kind())
    base.advance(CRASH)
    live, frozen, again = base.fork(), base.fork(frozen=True), base.fork(frozen=True)
    for one in (live, frozen, again):
        one.advance(60)
    assert np.ptp(rates(live)[:, 0]) > 0.0
    assert np.ptp(rates(frozen), axis=0).tolist() == [0.0, 0.0]
    assert frozen.results_hash() == again.results_hash()
    # one that is frozen goes on being frozen in its own forks
    further = frozen.fork()
    further.advance(20)
    assert np.ptp(rates(further)[:, 0]) == 0.0
    assert base.frozen is None


class Foreign:
    """A model that is no rule of ours, with a compiled publisher that knows nothing of freezing."""

    def __init__(self) -> None:
        own = margin.create("dydx", {})
        self._own = own
        self.name, self.layout, self.index_valid = "foreign", own.layout, own.index_valid
        self.publish_kernel, self.requirement_kernel = publish_open_interest, own.requirement_kernel

    def __getattr__(self, name: str) -> Any:
        if name in ("freeze", "_own"):
            raise AttributeError(name)
        return getattr(self._own, name)


def test_a_compiled_publisher_of_another_house_is_silenced() -> None:
    live, frozen, again = twins(Foreign())
    assert frozen.frozen is not None
    assert np.ptp(rates(frozen)[:, 0]) == 0.0
    assert frozen.results_hash() == again.results_hash()
    assert live.frozen is None


def test_a_frozen_market_is_not_stored(tmp_path: Path) -> None:
    base = market(Reactive())
    base.advance(40)
    base.save(tmp_path / "snapshot")
    with pytest.raises(ForkError, match="can not be stored"):
        base.fork(frozen=True).save(tmp_path / "other")
    loaded = base.load(tmp_path / "snapshot")
    with pytest.raises(ForkError, match="after its next step"):
        loaded.fork(frozen=True)
    loaded.advance(1)
    assert loaded.fork(frozen=True).frozen is not None
