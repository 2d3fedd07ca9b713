"""Scripted events that happen between two steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.contracts import currencies_of
from sim.errors import ConfigError
from sim.kernels import ledger, setup
from sim.kernels import state as s
from sim.kernels.events import record_event
from sim.kernels.record import depth_near
from sim.keyed import stream

if TYPE_CHECKING:
    from sim.config import ScriptedEvent
    from sim.market import Market


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
