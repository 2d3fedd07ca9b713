"""Scripted events that happen between two steps."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from sim.contracts import currencies_of
from sim.deltas import hedge_lots, live_options
from sim.errors import ConfigError
from sim.kernels import ledger, setup, values
from sim.kernels import state as s
from sim.kernels.events import record_event
from sim.kernels.index import touch
from sim.kernels.record import depth_near
from sim.keyed import stream

if TYPE_CHECKING:
    import numpy as np

    from sim.config import ScriptedEvent
    from sim.kernels.state import State
    from sim.market import Market

FALL = 0.05  # of the underlying, over which the change of a hedge is counted


def apply(market: Market, number: int, event: ScriptedEvent) -> None:
    """Carry out an event; its first effects are in the next step.

    Args:
        market: the market, between two steps.
        number: the event's place in the list, the cause reference of its orders.
        event: the event.
    """
    state = market.state
    record_event(state, s.EV_SCRIPT, event.contract, -1, number, event.lots, event.steps, 0)
    if event.kind == "metaorder":
        row = state.flows[number]
        row[s.SF_CONTRACT], row[s.SF_SIDE], row[s.SF_LOTS] = event.contract, event.side, event.lots
        row[s.SF_START], row[s.SF_STEPS], row[s.SF_NUMBER] = event.step + 1, event.steps, number
    elif event.kind == "withdraw_makers":
        state.meta[s.M_MAKERS_WITHDRAWN_UNTIL] = event.step + event.steps + 1
    elif event.kind == "seed_open_interest":
        _seed(market, event)
    elif event.kind == "seed_options":
        _seed_options(market, event)
    elif event.kind == "swap_collateral":
        _swap(market, event)


def _seed(market: Market, event: ScriptedEvent) -> None:
    state = market.state
    population = market.population_number(event.population)
    first = int(state.pop_ints[population, s.PI_FIRST])
    count = int(state.pop_ints[population, s.PI_COUNT])
    lots = event.lots
    if event.per_bid_depth > 0:
        lots = round(event.per_bid_depth * int(depth_near(state, event.contract, 1)))
    # open interest counts each matched pair once; the script account takes the other side of every seeded position
    long = round(lots * event.long_share)
    setup.seed_positions(
        state, first, count, event.contract, long, lots - long, float(event.leverage_low), float(event.leverage_high),
        float(event.entry_spread), stream(f"event.{event.name}"),
    )  # fmt: skip


def _options_to_seed(market: Market, event: ScriptedEvent) -> tuple[list[int], list[int], np.ndarray]:
    """The options of an event, how many lots of each are given out, and the hedge of a lot of each at this price."""
    state = market.state
    low, high = event.strikes
    held = set(live_options(market, event.contract))
    chosen = []
    for k in event.options:
        if k in held:
            price = int(values.underlying_price(state, k))
            if low * price <= int(state.contracts["strike"][k]) <= high * price:
                chosen.append(k)
    if not chosen:
        allowed = f"a range that holds a strike which is traded at step {market.tick}"
        raise ConfigError.of(f"events.{event.name}.strikes", [low, high], allowed)
    hedges = hedge_lots(market, event.contract, chosen, [1.0, 1.0 - FALL])
    if event.lots:
        return chosen, [abs(event.lots)] * len(chosen), hedges[:, 0]
    changed = float(abs(hedges[:, 0] - hedges[:, 1]).sum())  # with one lot of each
    wanted = abs(event.gamma_per_depth) * int(depth_near(state, event.contract, s.BUY))
    if wanted > 0 and not changed * int(state.contracts["max_lots"][chosen].min()) > wanted:
        allowed = "options whose delta changes within 5 % of the price; these would need more lots than a position has"
        raise ConfigError.of(f"events.{event.name}.strikes", [low, high], allowed)
    total = len(chosen) * wanted / changed if wanted > 0 else 0.0
    edges = [round(total * j / len(chosen)) for j in range(len(chosen) + 1)]
    return chosen, [after - before for before, after in pairwise(edges)], hedges[:, 0]


def _seed_options(market: Market, event: ScriptedEvent) -> None:
    """Give options, and the position that hedges them, to every account of a population against the script account."""
    state = market.state
    chosen, lots, hedges = _options_to_seed(market, event)
    population = market.population_number(event.population)
    first = int(state.pop_ints[population, s.PI_FIRST])
    count = int(state.pop_ints[population, s.PI_COUNT])
    side = s.BUY if event.gamma_per_depth > 0 or event.lots > 0 else s.SELL
    mark = int(state.quotes["mark"][event.contract])
    for row in range(count):
        account = first + row
        own = [n * (row + 1) // count - n * row // count for n in lots]
        trades = [(k, side, n, _value(state, k, n)) for k, n in zip(chosen, own, strict=True) if n > 0]
        if not trades:
            continue
        delta = side * sum(n * float(hedge) for n, hedge in zip(own, hedges, strict=True))
        hedge = -round(delta) if event.hedged else 0
        if hedge:
            value = int(values.value_at(state, event.contract, abs(hedge), mark))
            trades.append((event.contract, s.BUY if hedge > 0 else s.SELL, abs(hedge), value))
        _give_cash(state, account, event, trades)
        for k, way, n, value in trades:
            _trade(state, account, k, way, n, value)
        touch(state, account)
    touch(state, int(state.meta[s.M_TRADERS]) + ledger.OFFSET_SCRIPT)


def _value(state: State, contract: int, lots: int) -> int:
    return int(values.value_at(state, contract, lots, int(state.quotes["mark"][contract])))


def _give_cash(state: State, account: int, event: ScriptedEvent, trades: list[tuple[int, int, int, int]]) -> None:
    """Bring in the cash that an account trades options with: the premiums it pays, or what ``leverage`` says."""
    currency = int(state.contracts["currency"][trades[0][0]])
    premium = max(sum(way * value for k, way, _, value in trades if values.is_option(state, k)), 0)
    wanted = int(state.wallets[account, currency]) + premium
    if event.leverage > 0:
        gross = 0
        for k, _, n, _ in trades:
            if values.is_option(state, k):
                terms = state.contracts[k]
                paid = n * int(terms["payoff"])
                if int(terms["kind"]) != s.INVERSE_OPTION:
                    paid *= int(values.underlying_price(state, k))
                gross += paid // int(terms["divisor"])
        wanted = int(gross / event.leverage) + premium
    ledger.deposit_in(state, account, currency, wanted - int(state.wallets[account, currency]))


def _trade(state: State, account: int, contract: int, side: int, lots: int, value: int) -> None:
    """Book a trade with the script account outside the book."""
    script = int(state.meta[s.M_TRADERS]) + ledger.OFFSET_SCRIPT
    ledger.book_trade(state, account, contract, side, lots, value)
    ledger.book_trade(state, script, contract, -side, lots, value)
    state.meta[s.M_FLOW] += lots
    state.meta[s.M_LEDGER_FLOW] += lots


def _swap(market: Market, event: ScriptedEvent) -> None:
    """Exchange part of the cash of a population for another currency at its present rate, outside the market."""
    state, names = market.state, currencies_of(market.contracts)
    if event.currency not in names[1:]:
        allowed = "one of " + (", ".join(names[1:]) or "no currency")
        raise ConfigError.of(f"events.{event.name}.currency", event.currency, allowed)
    number = names.index(event.currency)
    rate = int(state.conversion[number])
    population = market.population_number(event.population)
    first = int(state.pop_ints[population, s.PI_FIRST])
    for account in range(first, first + int(state.pop_ints[population, s.PI_COUNT])):
        cash = round(int(state.wallets[account, 0]) * event.share)
        if cash > 0:
            coins = (cash << 32) // rate
            ledger.deposit_in(state, account, 0, -cash)
            ledger.deposit_in(state, account, number, coins)
