"""Who can move the index moves marks, and liquidates: thin spot, depegs, faults of the oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sim.config import ClearingConfig
from sim.contracts import Contract, exchange_rules
from sim.kernels import state as s
from sim.marks import Marking
from sim.world import ConstantWorld, Depeg, OracleFault, build_world
from tests.sim.exchange import contract
from tests.sim.venue_steps import SteppedExchange

STEPS = 60
PERP = contract("perp", underlying="BTC")
SPOT = contract("spot", kind="spot", base_currency="BTC", base_lot=100, underlying="BTC")
OWN = {"name": "own", "kind": "spot", "contract": "spot"}
SHORT, LONG, MAKER, PUSHER = range(4)


def world(contracts: list[Contract], events: Any = (), **oracle: Any) -> Any:
    return build_world(ConstantWorld(oracle=oracle), contracts, STEPS, 60.0, 1440, 1, events)


def thin_spot(mark: str = "index", sources: Any = (OWN,), **oracle: Any) -> SteppedExchange:
    """A short and a long of 10 lots at 100 with 1.2 times maintenance to spare, and four lots offered in spot."""
    contracts = [PERP, SPOT]
    e = SteppedExchange(
        contracts, world(contracts, sources=list(sources), **oracle), ClearingConfig(mark=mark), traders=4
    )
    for account in (SHORT, LONG):
        e.deposit(account, 1500)  # 10 lots are worth 10,000 at 100; maintenance is a sixteenth, 625
    e.trade(LONG, SHORT, 10)
    e.deposit(MAKER, 10**6)
    e.deposit(MAKER, 10**6, 1)
    e.deposit(PUSHER, 10**5)
    for price in (101, 104, 108, 115):
        e.rest(MAKER, s.SELL, 1, price, 1)
    for price in (99, 98):
        e.rest(MAKER, s.BUY, 1, price, 1)
    for side, price in ((s.BUY, 99), (s.SELL, 101)):
        e.rest(MAKER, side, 1000, price)
    e.steps(3)
    return e


def push_spot(e: SteppedExchange, lots: int = 3) -> None:
    """Buy thin spot, and bid behind: the mid goes from 100 to 114.5."""
    e.send(PUSHER, side=s.BUY, lots=lots, price=115, c=1)
    e.send(PUSHER, side=s.BUY, lots=1, price=114, c=1)
    e.steps(4)


def test_buying_thin_spot_moves_marks_and_liquidates() -> None:
    """Spot for 313 ticks liquidates a short of 10 lots of a perpetual that nobody has traded in."""
    e = thin_spot()
    assert (e.index(), e.mark(), e.status(SHORT)) == (100, 100, s.OPEN)
    push_spot(e)
    assert e.index() == e.mark() == 114.5
    assert e.lots(SHORT) == 0
    assert e.lots(LONG) == 10
    assert (int(e.state.quotes["bid"][0]), int(e.state.quotes["ask"][0])) == (99, 101)


def test_the_median_of_three_sources_is_moved_by_no_single_one() -> None:
    e = thin_spot(sources=[OWN, {"name": "a"}, {"name": "b"}])
    push_spot(e)
    assert e.state.quotes["mid"][1] == 114.5 * s.SUBTICKS
    assert e.index() == e.mark() == 100
    assert e.lots(SHORT) == -10


def test_weights_can_give_the_own_market_the_last_word() -> None:
    sources = [OWN | {"weight": 3}, {"name": "a"}, {"name": "b"}]
    e = thin_spot(sources=sources, aggregation="weighted_median")
    push_spot(e)
    assert e.index() == 114.5
    assert e.lots(SHORT) == 0


def test_a_mark_from_the_book_does_not_follow_a_manipulated_index() -> None:
    for rule in ("mid", "last", "twap", "hyperliquid"):
        e = thin_spot(rule)
        push_spot(e)
        assert e.index() == 114.5
        assert e.mark() <= 101, rule
        assert e.lots(SHORT) == -10, rule


def test_limits_around_a_manipulated_index_pull_the_mark_along() -> None:
    """Deribit's limit protects from a market that leaves the index; here the index has left the market."""
    contracts = [PERP, SPOT]
    e = thin_spot("deribit")
    e.state.marking[:, s.MK_LIMIT_LOW], e.state.marking[:, s.MK_LIMIT_HIGH] = 0.95, 1.05
    push_spot(e)
    assert e.mark() == pytest.approx(0.95 * 114.5, abs=1 / 16)
    assert e.lots(SHORT) == 0
    assert len(contracts) == len(e.state.contracts)


# -- staleness and faults


def faulty(policy: str, mark: str = "index", fault: Any = None, **oracle: Any) -> SteppedExchange:
    """The same accounts, with an oracle that goes wrong in step 5; the perpetual trades at 80."""
    fault = fault or OracleFault(5, 10, "frozen")
    made = world([PERP, SPOT], [fault], staleness_seconds=180.0, stale_policy=policy, **oracle)
    e = SteppedExchange([PERP, SPOT], made, ClearingConfig(mark=mark), traders=4)
    for account in (SHORT, LONG):
        e.deposit(account, 1500)
    e.trade(LONG, SHORT, 10)
    e.deposit(MAKER, 10**7)
    e.rest(MAKER, s.BUY, 1000, 79)
    e.rest(MAKER, s.SELL, 1000, 81)
    return e


def test_a_frozen_oracle_holds_the_mark() -> None:
    e = faulty("hold")
    e.steps(12)
    assert e.mark() == 100
    assert e.lots(LONG) == 10


def test_a_stale_oracle_falls_back_to_the_book() -> None:
    e = faulty("mid")
    e.steps(7)  # the last report is of step 4, at step 7 it is three steps old
    assert (e.mark(), e.lots(LONG)) == (100, 10)
    e.step()
    assert (e.mark(), e.lots(LONG)) == (80, 0)
    e.steps(8)
    assert e.mark() == 100


def test_a_stale_oracle_pauses_liquidations() -> None:
    """The mark follows the book here, so the long is under maintenance all the time; nobody is called meanwhile."""
    e = faulty("pause_liquidations", mark="last")
    e.steps(7)
    e.state.quotes["last"][0] = 80
    e.steps(7)
    assert e.meta(s.M_STEP) == 14
    assert (e.mark(), e.lots(LONG), e.meta(s.M_LIQUIDATIONS)) == (80, 10, 0)
    e.step()  # reports again
    assert (e.lots(LONG), e.meta(s.M_LIQUIDATIONS)) == (0, 1)


def test_only_those_who_hold_the_contract_are_spared() -> None:
    fault = OracleFault(5, 10, "frozen", contract="spot")
    e = faulty("pause_liquidations", mark="last", fault=fault)
    e.steps(8)
    assert e.state.oracle[:, s.OR_STALE].tolist() == [0, 1]
    e.state.quotes["last"][0] = 80
    e.step()
    assert e.lots(LONG) == 0


def test_a_wrong_report_liquidates_in_one_step() -> None:
    e = faulty("hold", fault=OracleFault(5, 1, "spike", float(np.log(0.8))))
    e.steps(4)
    assert e.lots(LONG) == 10
    e.step()
    assert (e.mark(), e.lots(LONG)) == (80, 0)
    e.step()
    assert e.mark() == 100


# -- collateral whose own price falls

DOLLAR = contract("perp")
PEG = contract("peg", kind="spot", base_currency="USDX", base_lot=1000, initial_price=100, underlying="USDX")


def depegged(event: Depeg | None, *, haircut: float = 0.0, collateral: str = "index", cash: int = 1500) -> Any:
    """A long and a short of 10 lots; the long's collateral is USDX worth ``cash``, the short's is the account's."""
    contracts = [DOLLAR, PEG]
    clearing = ClearingConfig(
        marking=Marking(collateral=collateral), forced_limit="none", haircuts={"USDX": haircut}, fund_initial=0
    )
    e = SteppedExchange(contracts, world(contracts, [event] if event else []), clearing, traders=3)
    e.state.exchange[:] = exchange_rules(contracts, 100)
    e.state.haircut[1] = round(haircut * s.RATE_ONE)
    e.deposit(0, cash, 1)
    e.deposit(1, 1500)
    e.deposit(2, 10**7)
    e.trade(0, 1, 10)
    e.deposit(e.special(0), 10**6)
    e.rest(2, s.BUY, 1000, 99)
    e.rest(2, s.SELL, 1000, 101)
    return e


def test_a_depeg_liquidates_without_the_contract_moving() -> None:
    """1500 of USDX stand against a maintenance of 625; at 0.65 they are worth 975, at 0.4 only 600."""
    e = depegged(Depeg(5, "peg", 0.65))
    assert e.equity(0) == 1500
    e.steps(20)
    assert (e.equity(0), e.lots(0)) == (974, 10)  # conversions round down
    e = depegged(Depeg(5, "peg", 0.4))
    e.steps(4)
    assert (e.equity(0), e.lots(0)) == (1500, 10)
    e.steps(2)
    assert e.lots(0) == 0
    assert e.mark() == 100
    assert (e.lots(1), e.lots(2)) == (-10, 10)


def test_a_haircut_calls_earlier() -> None:
    assert depegged(None, haircut=0.4).equity(0) == 900
    e = depegged(Depeg(5, "peg", 0.65), haircut=0.4)  # 975 x 0.6 = 585, below 625
    e.steps(6)
    assert e.lots(0) == 0


def test_a_liquidation_is_paid_from_what_the_collateral_is_still_worth() -> None:
    """Ten lots are sold at 99 for a loss of 100: the fund takes USDX for it at the rate of the moment, 0.4."""
    e = depegged(Depeg(5, "peg", 0.4))
    e.steps(10)
    converted = e.events(s.EV_CONVERTED)
    assert [(int(event["a"]), int(event["b"])) for event in converted] == [(251, 100)]
    assert (e.wallet(0), e.wallet(0, 1)) == (0, 1249)


def test_collateral_that_is_not_enough_is_bad_debt() -> None:
    """At 0.05 the collateral of 1500 is worth 75, rounded down 74; the sale costs 100."""
    e = depegged(Depeg(5, "peg", 0.05))
    e.steps(10)
    assert e.meta(s.M_BAD_DEBT) == 26
    assert e.status(0) == s.CLOSED


def test_collateral_at_the_mark_of_its_book_does_not_see_the_value() -> None:
    e = depegged(Depeg(5, "peg", 0.4), collateral="mark")
    e.steps(10)
    assert (e.equity(0), e.lots(0)) == (1500, 10)


def test_a_depeg_takes_its_way_and_comes_back() -> None:
    contracts = [DOLLAR, PEG]
    value = world(contracts, [Depeg(10, "peg", 0.25, over=4, duration=6, recovery=2)]).value
    assert np.all(value[:, 0] == 100)
    path = [1.0] * 10 + [4**-0.25, 0.5, 4**-0.75] + [0.25] * 7 + [0.5] + [1.0] * (STEPS - 20)
    assert value[:, 1] / 100 == pytest.approx(path, rel=1e-14)
    stays = world(contracts, [Depeg(10, "peg", 0.25)]).value
    assert np.all(stays[:10, 1] == 100) and stays[10:, 1] == pytest.approx(np.full(STEPS - 9, 25.0))


@pytest.mark.parametrize(
    ("event", "key"),
    [
        (Depeg(5, "moon", 0.5), "events.depeg.contract"),
        (Depeg(5, "peg", 0.0), "events.depeg.level"),
        (Depeg(5, "peg", 0.5, over=0), "events.depeg.over_steps"),
        (Depeg(5, "peg", 0.5, duration=0), "events.depeg.duration_steps"),
        (Depeg(0, "peg", 0.5), "events.depeg.at_step"),
    ],
)
def test_bad_depegs_are_refused(event: Depeg, key: str) -> None:
    from sim.errors import ConfigError

    with pytest.raises(ConfigError) as caught:
        world([DOLLAR, PEG], [event])
    assert [problem.key for problem in caught.value.problems] == [key]
