"""Generated defaults through every waterfall: nothing is lost or made, whoever fails.

Accounts far below zero, a fund that runs dry in the middle of a round, counterparties that are bankrupt themselves, a
vault that fails: in every order of layers, by every ranking, with cross and isolated pockets, linear and inverse.
"""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sim import invariants
from sim.kernels import index, step
from sim.kernels import state as s
from sim.waterfall import RANKINGS, Waterfall
from tests.sim.exchange import FUND, SCRIPT, STREAMS, Exchange, contract

TRADERS = 8
VAULT = 7
ORDERS = sorted(
    (*before, last)
    for last in ("adl", "socialise")
    for n in range(4)
    for before in permutations([layer for layer in ("fund", "vault", "adl") if layer != last], n)
)
MARKETS: dict[str, list[dict[str, Any]]] = {
    "linear": [{"tick_value": 10, "fee_liquidation": 0.01}, {"tick_value": 7, "fee_taker": 0.001}],
    "inverse": [{"kind": "inverse_perpetual", "tick_value": 10**6, "max_lots": 100_000, "fee_liquidation": 0.01}] * 2,
    "mixed": [
        {"tick_value": 10},
        {"kind": "inverse_perpetual", "tick_value": 10**6, "currency": "BTC", "max_lots": 100_000},
    ],
}
DESIGNS = st.fixed_dictionaries(
    {
        "layers": st.sampled_from(ORDERS),
        "ranking": st.sampled_from(sorted(RANKINGS)),
        "price": st.sampled_from([s.ADL_AT_BANKRUPTCY, s.ADL_AT_BANKRUPTCY, s.ADL_AT_PREVIOUS_MARK]),
        "trigger": st.sampled_from([s.TRIGGER_EXHAUSTED, s.TRIGGER_EXHAUSTED, s.TRIGGER_NEGATIVE_EQUITY,
                                    s.TRIGGER_FUND_DRAWDOWN]),
        "limit": st.sampled_from([s.LIMIT_NONE, s.LIMIT_BANKRUPTCY, s.LIMIT_BANKRUPTCY, s.LIMIT_BAND]),
        "rounds": st.sampled_from([1, 3]),
        "fund": st.sampled_from([0, 400, 3_000, 100_000]),
        "vault_cash": st.sampled_from([0, 500, 4_000, 100_000]),
        "surplus": st.booleans(),
    }
)  # fmt: skip


def market(kind: str, regime: str, count: int, design: dict[str, Any], rng: np.random.Generator) -> Exchange:
    """A bare exchange under a design, its accounts funded, the last of them the vault."""
    terms = [contract("ab"[c], **MARKETS[kind][c]) for c in range(count)]
    exchange = Exchange(
        TRADERS, regime=regime, contracts=terms, vault=VAULT, limit=design["limit"], rounds=design["rounds"],
        fund=design["fund"], surplus=design["surplus"], waterfall=Waterfall(ranking=design["ranking"]),
    )  # fmt: skip
    cells = exchange.state.waterfall
    cells[s.W_LAYER : s.W_LAYER_4 + 1] = 0
    for i, layer in enumerate(design["layers"]):
        cells[s.W_LAYER + i] = s.LAYER_NAMES.index(layer)
    cells[s.W_ADL_PRICE], cells[s.W_TRIGGER] = design["price"], design["trigger"]
    cells[s.W_DRAWDOWN], cells[s.W_DRAWDOWN_STEPS] = s.RATE_ONE // 2, 3
    for account in range(TRADERS - 1):
        exchange.deposit(account, int(rng.integers(500, 30_000)))
        if kind == "mixed":
            exchange.deposit(account, int(rng.integers(0, 200_000)), 1)
    exchange.deposit(VAULT, design["vault_cash"])
    for cell in (s.M_RECORD_EVERY, s.M_DEPTH_EVERY, s.M_TOTALS_EVERY):
        exchange.state.meta[cell] = 1
    return exchange


def default(exchange: Exchange, rng: np.random.Generator) -> None:
    """Trades far from the mark, some orders, a jump of the marks, then clearing."""
    state = exchange.state
    contracts = len(state.quotes)
    alive = [a for a in range(TRADERS) if exchange.status(a) in (s.OPEN, s.CALLED)]
    parties = [*alive, exchange.special(SCRIPT)]
    for _ in range(8):
        if alive:
            c = int(rng.integers(contracts))
            buyer, seller = int(rng.choice(alive)), int(rng.choice(parties))
            buyer, seller = (buyer, seller) if rng.random() < 0.5 else (seller, buyer)
            if buyer != seller:
                exchange.trade(buyer, seller, int(rng.integers(1, 60)), int(rng.integers(60, 160)), c)
            if rng.random() < 0.5:
                side = int(rng.choice([s.BUY, s.SELL]))
                exchange.rest(int(rng.choice(alive)), side, int(rng.integers(1, 15)), int(rng.integers(40, 180)), c)
    for c in range(contracts):
        state.mark_before[c] = state.quotes["mark"][c]
        jump = 20 if rng.random() < 0.2 else 60  # now and then far below zero
        state.quotes["mark"][c] = int(rng.integers(jump * s.SUBTICKS, 160 * s.SUBTICKS))
        state.quotes["index"][c] = state.quotes["mark"][c]
    step.clear_and_record(state, exchange.evaluate, STREAMS)


def check(exchange: Exchange) -> None:
    """Every invariant, and the account of who bore what."""
    state, meta = exchange.state, exchange.meta
    invariants.check(state)
    cells = state.waterfall
    borne = meta(s.M_FUND_PAID) + meta(s.M_SOCIALISED) + meta(s.M_UNCOVERED)
    assert meta(s.M_BAD_DEBT) == borne + int(cells[s.W_VAULT_PAID]) + int(cells[s.W_ADL_PAID])
    assert int(cells[s.W_FUND_DEBT]) == 0 or exchange.equity(exchange.special(FUND)) <= 0
    events = state.events[: exchange.meta(s.M_EVENTS)]
    assert np.abs(events["a"][events["kind"] == s.EV_ADL]).sum() == meta(s.M_ADL_LOTS)
    assert np.abs(events["a"][events["kind"] == s.EV_BACKSTOP]).sum() == meta(s.M_BACKSTOP_LOTS)
    for account in range(TRADERS):
        assert not index.owes(state, account)
        if exchange.status(account) == s.CLOSED:
            assert exchange.equity(account) == 0
            assert state.accounts["orders"][account] == state.accounts["positions"][account] == 0


CASES = [("linear", "static", 1), ("linear", "isolated", 2), ("linear", "portfolio", 2), ("inverse", "static", 2),
         ("inverse", "isolated", 1), ("mixed", "static", 2)]  # fmt: skip

# A fund in debt fails again, and counterparties close its positions at a better price than the mark: the debt is paid.
PAID_BACK = {"layers": ("vault", "fund", "adl"), "ranking": "binance", "price": s.ADL_AT_PREVIOUS_MARK,
             "trigger": s.TRIGGER_EXHAUSTED, "limit": s.LIMIT_BANKRUPTCY, "rounds": 1, "fund": 0, "vault_cash": 0,
             "surplus": False}  # fmt: skip


# The failed fund's positions are closed against the vault's, which owes by then: it is settled in the same step.
VAULT_AFTER_FUND = PAID_BACK | {"layers": ("fund", "adl", "socialise"), "price": s.ADL_AT_BANKRUPTCY,
                                "trigger": s.TRIGGER_EXHAUSTED, "limit": s.LIMIT_BANKRUPTCY}  # fmt: skip


@pytest.mark.parametrize(("kind", "regime", "count"), CASES)
@settings(max_examples=15)
@given(design=DESIGNS, seed=st.integers(0, 10**6))
@example(design=PAID_BACK, seed=702926)
@example(design=VAULT_AFTER_FUND, seed=44247)
def test_every_waterfall_conserves_everything(
    kind: str, regime: str, count: int, design: dict[str, Any], seed: int
) -> None:
    rng = np.random.Generator(np.random.Philox(seed))
    exchange = market(kind, regime, count, design, rng)
    for _ in range(3):
        default(exchange, rng)
        check(exchange)
        exchange.next_step()
    # with a fund and a vault of nothing and counterparties of nothing, losses are stated, not hidden
    total = sum(exchange.equity(account) for account in range(len(exchange.state.accounts)))
    if kind != "mixed":
        assert abs(total - int(exchange.state.net_deposits[0])) <= len(exchange.state.accounts) * count


def test_the_generated_defaults_reach_every_layer() -> None:
    """The random markets above are not tame: every kind of event, failed vaults, funds and debts occur among them."""
    rng = np.random.Generator(np.random.Philox(5))
    seen: set[str] = set()
    failed_vaults = debts = fund_fails = bankrupt_givers = 0
    for i in range(120):
        design = {
            "layers": ORDERS[i % len(ORDERS)], "ranking": sorted(RANKINGS)[i % 6], "price": i % 2,
            "trigger": i % 3, "limit": s.LIMIT_BANKRUPTCY, "rounds": 1, "fund": (0, 400, 3000)[i % 3],
            "vault_cash": (500, 4000)[i % 2], "surplus": bool(i % 2),
        }  # fmt: skip
        exchange = market("linear", "static", 2, design, rng)
        for _ in range(2):
            default(exchange, rng)
            exchange.next_step()
        state = exchange.state
        events = state.events[: exchange.meta(s.M_EVENTS)]
        seen |= {s.EVENT_NAMES[k] for k in set(events["kind"].tolist())}
        failed_vaults += exchange.status(VAULT) == s.CLOSED
        debts += exchange.meta(s.M_UNCOVERED) > 0
        fund_fails += ((events["kind"] == s.EV_BANKRUPT) & (events["account"] == exchange.special(FUND))).any()
        givers = set(events["reason"][events["kind"] == s.EV_ADL].tolist())
        bankrupt_givers += any(exchange.status(a) == s.CLOSED for a in givers)
    needed = {"takeover", "backstop", "auto_deleveraging", "bankrupt", "fund_paid", "socialised_loss", "account_closed"}
    assert needed <= seen
    assert min(failed_vaults, debts, fund_fails, bankrupt_givers) > 0
