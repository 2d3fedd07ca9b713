"""Arrival order and admission, against plain Python; a NumPy rule asked in waves gives the same answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import invariants, numpy_rules
from sim.interfaces import RiskParameters
from sim.kernels import admission, keyed
from sim.kernels import state as s
from sim.views import portfolio_view
from tests.sim.exchange import SCRIPT, STREAMS, Exchange, contract
from tests.sim.slow_admission import Desk

TRADERS = 5
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {
            "account": st.integers(0, TRADERS),
            "kind": st.sampled_from([s.NEW] * 5 + [s.REPLACE, s.REPLACE, s.CANCEL, s.CANCEL_ALL]),
            "side": st.sampled_from([s.BUY, s.SELL]),
            "contract": st.integers(0, 1),
            "price": st.integers(40, 160),
            "quantity": st.integers(0, 60),
            "tif": st.sampled_from([s.GTC, s.GTC, s.IOC, s.FOK, s.POST_ONLY]),
            "flags": st.sampled_from([0, 0, 0, s.REDUCE_ONLY, s.MARKET, s.MARKET | s.REDUCE_ONLY]),
            "which": st.integers(0, 5),
        }
    ),
    max_size=20,
)


def busy(regime: str, seed: int) -> Exchange:
    """Five traders with positions and resting orders, some of them short of margin, one closed."""
    rng = np.random.Generator(np.random.Philox(seed))
    terms = [contract("a", max_lots=80), contract("b", tick_value=3, max_lots=200)]
    exchange = Exchange(TRADERS, regime=regime, contracts=terms)
    exchange.state.meta[s.M_SEED] = seed
    for account in range(TRADERS):
        exchange.deposit(account, int(rng.integers(0, 20_000)))
    for _ in range(6):
        buyer, seller = rng.choice(TRADERS - 1, 2, replace=False)
        lots, price, c = (int(rng.integers(*ends)) for ends in ((1, 20), (80, 120), (0, 2)))
        exchange.trade(int(buyer), int(seller), lots, price, c)
    for account in range(TRADERS - 1):
        for side, low in ((s.BUY, 60), (s.SELL, 105)):
            for c in range(2):
                price = int(rng.integers(low, low + 35))
                exchange.rest(account, side, int(rng.integers(1, 8)), price, c, loss=int(rng.integers(0, 30)))
    exchange.state.quotes["mark"] = rng.integers(1500, 1700, 2)
    exchange.state.accounts["status"][TRADERS - 1] = s.CLOSED
    return exchange


def post(exchange: Exchange, sent: list[dict[str, int]]) -> list[dict[str, int]]:
    """Leave messages; REPLACE and CANCEL name a resting order, now and then another's or one that never was."""
    live = [int(i) for i in np.nonzero(exchange.state.orders["side"])[0]]
    done = []
    for message in sent:
        account = message["account"] if message["account"] < TRADERS else exchange.special(SCRIPT)
        mine = [slot for slot in live if exchange.state.orders["account"][slot] == account] or live
        slot = mine[message["which"] % len(mine)]
        ref = (int(exchange.state.orders["generation"][slot]) << 32) | slot
        if message["which"] == 5:
            ref = 12345 << 32
        fields = message | {"account": account, "ref": ref if message["kind"] in (s.CANCEL, s.REPLACE) else 0}
        exchange.send(
            account, message["kind"], message["side"], message["quantity"], message["price"], c=message["contract"],
            tif=message["tif"], flags=message["flags"], ref=fields["ref"],
        )  # fmt: skip
        done.append(fields)
    return done


def numpy_market(exchange: Exchange) -> Any:
    """As much of a market as asking a NumPy rule takes."""
    state = exchange.state

    def risk_parameters(*, initial: bool) -> RiskParameters:
        row = int(state.meta[s.M_STEP]) % int(state.meta[s.M_RISK_SLOTS])
        return RiskParameters(state.rate_initial.copy(), state.rate_maintenance[row].copy())

    return SimpleNamespace(
        state=state, margin=exchange.model, streams=STREAMS, contract_table=exchange.table,
        risk_parameters=risk_parameters,
    )  # fmt: skip


@given(messages=MESSAGES, seed=st.integers(0, 1000))
def test_arrival_order_is_the_order_of_keys_with_each_account_in_its_own(messages: list[Any], seed: int) -> None:
    exchange = busy("static", seed)
    sent = post(exchange, messages)
    admission.arrival_order(exchange.state, STREAMS[0])
    keys, count = [], dict.fromkeys(range(TRADERS + 4), 0)
    for message in sent:
        account, k = message["account"], count[message["account"]]
        count[account] += 1
        keys.append((int(keyed.philox(seed, STREAMS[0], 1, account, k // 4)[k % 4]), account))
    waiting = {a: [i for i, m in enumerate(sent) if m["account"] == a] for a in count}
    expected = [waiting[account].pop(0) for _, account in sorted(keys)]
    assert [int(i) for i in exchange.state.arrival[: len(sent)]] == expected


@pytest.mark.parametrize("regime", ["static", "isolated"])
@given(messages=MESSAGES, seed=st.integers(0, 1000))
def test_agrees_with_plain_python(regime: str, messages: list[Any], seed: int) -> None:
    exchange = busy(regime, seed)
    desks = {a: Desk(exchange, a) for a in [*range(TRADERS), exchange.special(SCRIPT)]}
    sent = post(exchange, messages)
    expected = [desks[m["account"]].admit(m) for m in sent]
    admission.arrival_order(exchange.state, STREAMS[0])
    admission.admit(exchange.state, exchange.evaluate)
    assert [int(x) for x in exchange.state.messages["accepted"][: len(sent)]] == [int(r == s.OK) for r in expected]
    reasons = sorted(int(e["reason"]) for e in exchange.events(s.EV_REFUSED))
    assert reasons == sorted(r for r in expected if r != s.OK)
    for account, desk in desks.items():
        for c, row in enumerate(desk.rows):
            held = exchange.state.positions[account, c]
            for name in ("open_buy", "open_sell", "loss_buy", "loss_sell"):
                assert held[name] == getattr(row, name), (account, c, name)


@pytest.mark.parametrize("regime", ["static", "isolated"])
@given(messages=MESSAGES, seed=st.integers(0, 1000))
def test_an_order_that_does_not_enlarge_a_shortfall_is_never_refused_for_margin(
    regime: str, messages: list[Any], seed: int
) -> None:
    exchange = busy(regime, seed)
    sent = post(exchange, messages)
    for i, message in enumerate(sent):
        state = s.copy_of(exchange.state)
        if admission.prepare(state, i) != s.OK or message["kind"] not in (s.NEW, s.REPLACE):
            continue
        before = admission.excess(state, message["account"], exchange.evaluate)
        admission.reserve_message(state, i, 1)
        after = admission.excess(state, message["account"], exchange.evaluate)
        alone = busy(regime, seed)
        post(alone, [message])
        admission.arrival_order(alone.state, STREAMS[0])
        admission.admit(alone.state, alone.evaluate)
        refused = any(e["reason"] == s.R_MARGIN for e in alone.events(s.EV_REFUSED))
        if after >= 0 or after >= before:
            assert not refused


@pytest.mark.parametrize("regime", ["static", "isolated"])
@given(messages=MESSAGES, seed=st.integers(0, 1000))
def test_waves_give_the_same_answer_as_message_by_message(regime: str, messages: list[Any], seed: int) -> None:
    one, other = busy(regime, seed), busy(regime, seed)
    post(one, messages)
    post(other, messages)
    one.batch()
    numpy_rules.admit_and_match(numpy_market(other))
    for name, array in s.arrays_of(one.state).items():
        if name == "messages":
            assert (array["accepted"] == other.state.messages["accepted"]).all()
        elif name != "py_requirement":
            assert array.tobytes() == getattr(other.state, name).tobytes(), name


@pytest.mark.parametrize("regime", ["static", "isolated"])
@given(messages=MESSAGES, seed=st.integers(0, 1000))
def test_after_matching_reserves_equal_what_rests(regime: str, messages: list[Any], seed: int) -> None:
    exchange = busy(regime, seed)
    exchange.state.accounts["status"][TRADERS - 1] = s.OPEN
    post(exchange, messages)
    exchange.batch()
    invariants.check(exchange.state)


def test_the_rule_sees_the_same_portfolio_as_the_kernel() -> None:
    exchange = busy("static", 3)
    market = numpy_market(exchange)
    asked = exchange.model.requirement(portfolio_view(market), market.risk_parameters(initial=True))
    for account in range(TRADERS):
        assert asked.initial[account] == exchange.evaluate(exchange.state, account, -1, s.INITIAL)
        assert asked.maintenance[account] == exchange.evaluate(exchange.state, account, -1, s.MAINTENANCE)


def test_initial_margin_worked_by_hand() -> None:
    """With 1250 in cash, ten lots at the mark ask for exactly 1250; an eleventh is refused."""
    exchange = Exchange(2, cash=1250)
    exchange.send(0, side=s.BUY, lots=10, price=100)
    exchange.send(0, side=s.BUY, lots=1, price=100)
    exchange.send(0, side=s.SELL, lots=10, price=100)
    assert exchange.batch() == [1, 0, 1]
    assert exchange.events(s.EV_REFUSED)[0]["reason"] == s.R_MARGIN


def test_the_loss_at_the_limit_is_reserved() -> None:
    """Nine lots ask for 1125; at 101 they lose 90 against the mark, which is there; at 102 180, which is not."""
    exchange = Exchange(2, cash=1125 + 90)
    exchange.send(0, side=s.BUY, lots=9, price=102)
    exchange.send(1, side=s.BUY, lots=9, price=101)
    assert exchange.batch() == [0, 1]
    assert exchange.state.positions["loss_buy"][1, 0] == 90


def test_a_position_above_its_limit_may_be_reduced() -> None:
    exchange = Exchange(3, cash=10**6, contracts=[contract("a", max_lots=50)])
    exchange.trade(0, 1, 70)
    exchange.send(0, side=s.SELL, lots=10, price=100)
    exchange.send(0, side=s.BUY, lots=1, price=100)
    assert exchange.batch() == [1, 0]
    assert exchange.events(s.EV_REFUSED)[0]["reason"] == s.R_POSITION_LIMIT
