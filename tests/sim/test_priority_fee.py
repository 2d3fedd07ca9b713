"""Arrival by priority fee: higher fees first, an account's own messages in their order, and everybody pays."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sim import invariants
from sim.kernels import admission
from sim.kernels import state as s
from tests.sim.exchange import FEES, STREAMS, Exchange

TRADERS = 6
SENT = st.lists(st.tuples(st.integers(0, TRADERS - 1), st.integers(0, 5)), max_size=60)


def ordered(sent: list[tuple[int, int]], ordering: int, seed: int = 7) -> list[tuple[int, int, int]]:
    """Messages (account, own number, fee) as they arrive."""
    exchange = Exchange(TRADERS, cash=10**6)
    exchange.state.meta[s.M_ORDERING] = ordering
    exchange.state.meta[s.M_SEED] = seed
    for account, fee in sent:
        exchange.state.accounts["priority_fee"][account] = fee
        exchange.send(account, lots=1, price=90)
    admission.arrival_order(exchange.state, STREAMS[0])
    order = exchange.state.arrival[: len(sent)]
    messages = exchange.state.messages
    assert sorted(int(i) for i in order) == list(range(len(sent)))
    paid = sum(fee for _, fee in sent) if ordering == s.ORDER_PRIORITY_FEE else 0
    assert exchange.wallet(exchange.special(FEES)) == paid
    invariants.check(exchange.state)
    return [(int(messages["account"][i]), int(messages["seq"][i]), int(messages["fee"][i])) for i in order]


@given(sent=SENT, seed=st.integers(0, 50))
def test_the_order_is_that_of_running_minima_then_of_the_keys(sent: list[tuple[int, int]], seed: int) -> None:
    """Against plain Python: slots by (running minimum, key), each account's messages fill its own in turn."""
    least: dict[int, list[int]] = {}
    for account, fee in sent:
        mine = least.setdefault(account, [])
        mine.append(min([fee, *mine[-1:]]))
    # a slot's key is drawn for (account, number): read it from the order without fees of one message each
    exchange = Exchange(TRADERS)
    exchange.state.meta[s.M_SEED] = seed
    for account, _ in sent:
        exchange.send(account, lots=1, price=90)
    admission.arrival_order(exchange.state, STREAMS[0])
    slots = []
    for i in range(len(sent)):
        message = exchange.state.messages[i]
        account, number = int(message["account"]), int(message["seq"])
        slots.append((-least[account][number], int(message["key"]), account))
    turns = dict.fromkeys(range(TRADERS), 0)
    expected = []
    for _, _, account in sorted(slots):
        expected.append((account, turns[account]))
        turns[account] += 1
    got = ordered(sent, s.ORDER_PRIORITY_FEE, seed)
    assert [(account, number) for account, number, _ in got] == expected


@given(sent=SENT)
def test_own_messages_keep_their_order(sent: list[tuple[int, int]]) -> None:
    for ordering in (s.ORDER_RANDOM, s.ORDER_PRIORITY_FEE):
        seen = dict.fromkeys(range(TRADERS), 0)
        for account, number, _ in ordered(sent, ordering):
            assert number == seen[account]
            seen[account] += 1


@given(fees=st.permutations(range(TRADERS)))
def test_single_messages_arrive_by_their_fees(fees: list[int]) -> None:
    got = ordered(list(enumerate(fees)), s.ORDER_PRIORITY_FEE)
    assert [fee for _, _, fee in got] == sorted(fees, reverse=True)


def test_a_low_fee_holds_back_what_follows_it() -> None:
    """Account 0 sends with fees 5, 1, 9: its third message counts with 1, so account 1's fee of 3 comes before it."""
    got = ordered([(0, 5), (0, 1), (0, 9), (1, 3)], s.ORDER_PRIORITY_FEE)
    assert [(account, number) for account, number, _ in got] == [(0, 0), (1, 0), (0, 1), (0, 2)]


def test_without_the_option_fees_change_nothing() -> None:
    sent = [(a % TRADERS, 0) for a in range(40)]
    costly = [(account, 7 * i % 5) for i, (account, _) in enumerate(sent)]
    order = [message[:2] for message in ordered(sent, s.ORDER_RANDOM)]
    assert order == [message[:2] for message in ordered(costly, s.ORDER_RANDOM)]
    assert order == [message[:2] for message in ordered(sent, s.ORDER_PRIORITY_FEE)]  # all equal: the keys decide


def test_a_fee_that_cannot_be_paid_buys_no_place() -> None:
    exchange = Exchange(2)
    exchange.deposit(0, 3)
    exchange.deposit(1, 10)
    exchange.state.meta[s.M_ORDERING] = s.ORDER_PRIORITY_FEE
    for account, fee in ((0, 9), (1, 5)):
        exchange.state.accounts["priority_fee"][account] = fee
        exchange.send(account, lots=1, price=90)
    admission.arrival_order(exchange.state, STREAMS[0])
    assert [int(i) for i in exchange.state.arrival[:2]] == [1, 0]
    assert (exchange.wallet(0), exchange.wallet(1)) == (0, 5)
    invariants.check(exchange.state)
