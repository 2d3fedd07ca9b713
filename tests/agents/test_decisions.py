"""Each compiled decision says the same as its readable definition: message by message, column by column."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from agents import arbitrageurs, fundamentalists, hedgers, leveraged, liquidators, liquidity, market_makers, noise
from agents import news_traders as news
from agents import reference_makers as reference
from agents import spread_traders as spreads
from agents import vault as backstop
from agents.desk import Bid, Desk
from sim.kernels.state import BUY, M_BIDS, M_MESSAGES, SELL, copy_of
from tests.agents import rig

CASES = {
    "latent": ("latent", {"count": 7}, liquidity.decide, 1),
    "latent-prefilled": ("latent", {"count": 7, "prefill": True, "lifetime": 9.0}, liquidity.decide, 1),
    "latent-value-centred": ("latent", {"count": 7, "value_centred": True, "concentration": 2}, liquidity.decide, 1),
    "noise": ("noise", {"count": 9}, noise.decide, 1),
    "noise-market-orders": ("noise", {"count": 9, "walk_ticks": -1}, noise.decide, 1),
    "noise-feedback": ("noise", {"count": 9, "feedback": 0.6, "feedback_most": 3}, noise.decide, 1),
    "noise-limits": ("noise", {"count": 9, "walk_ticks": 2, "arrivals": 12}, noise.decide, 1),
    "fundamentalists": ("fundamentalists", {"count": 60, "period": 3}, fundamentalists.decide, 1),
    "hedgers": ("hedgers", {"count": 60, "period": 3, "child_lots": 9, "mean_lots": 4}, hedgers.decide, 1),
    "market_makers": ("market_makers", {"count": 8, "period": 2}, market_makers.decide, 1),
    "reference_makers": (
        "reference_makers",
        {"count": 8, "period": 2, "follow": 0.3, "lean": 0.01},
        reference.decide,
        1,
    ),
    "reference_makers-index": (
        "reference_makers",
        {"reference": "index", "levels": 5, "more_lots": 0.7, "spread_per_sigma": 0.5},
        reference.decide,
        1,
    ),
    "trend_followers": ("trend_followers", {"count": 300, "period": 4, "attention": 0.4}, leveraged.follow, 1),
    "leverage_targeters": ("leverage_targeters", {"count": 100, "period": 4}, leveraged.rebalance, 1),
    "spread_traders": ("spread_traders", {"count": 60, "period": 3, "other": "C1"}, spreads.decide, 2),
    "spread_traders-reversed": ("spread_traders", {"contract": "C1", "other": "C0", "period": 1}, spreads.decide, 2),
    "value_arbitrageurs": ("value_arbitrageurs", {"count": 20, "period": 2}, arbitrageurs.decide, 1),
    "news_traders": ("news_traders", {"count": 20, "period": 2, "horizon": 3}, news.decide, 1),
    "liquidators": ("liquidators", {"count": 20, "period": 2}, liquidators.decide, 1),
    "liquidators-costs": (
        "liquidators",
        {
            "count": 20,
            "period": 2,
            "latency_steps": 1,
            "latency_most": 5,
            "gas_lots": 0.01,
            "fee_share": 0.3,
            "fee_most_lots": 0.2,
            "least_profit_lots": 0.001,
            "stop_loss": 0.5,
            "unwind": "patient",
        },
        liquidators.decide,
        1,
    ),
    "vault": ("vault", {"inventory_lots": 30, "take_above": 20}, backstop.decide, 2),
    "vault-that-only-reduces": ("vault", {"period": 2, "make_lots": 0, "take_lots": 0}, backstop.decide, 1),
}


@pytest.mark.parametrize("case", CASES)
def test_compiled_decision_equals_the_readable_one(case: str) -> None:
    kind, params, readable, contracts = CASES[case]
    rng = np.random.default_rng(20)
    seen: Counter[tuple[int, ...]] = Counter()
    bids = 0
    for seed in range(60):
        compiled, (population,) = rig.market([(kind, params)], contracts=contracts, seed=seed)
        rig.randomise(compiled, rng)
        plain = copy_of(compiled)
        population.decide(compiled, 0)
        desk = Desk(plain, 0, population)
        readable(desk)
        assert rig.sent(compiled) == [tuple(message) for message in desk.messages]
        offers = np.asarray(compiled.bids)[: int(compiled.meta[M_BIDS])]
        names = Bid._fields
        assert [tuple(int(row[name]) for name in names) for row in offers] == [tuple(bid) for bid in desk.bids]
        np.testing.assert_array_equal(compiled.trader_ints, plain.trader_ints)
        np.testing.assert_array_equal(compiled.trader_floats, plain.trader_floats)
        for message in desk.messages:
            seen[message.kind, message.side, message.flags] += 1
        bids += len(desk.bids)
        assert plain.meta[M_MESSAGES] == 0
    sides = {side for _, side, _ in seen}
    assert {BUY, SELL} <= sides, f"the random states never exercised both sides: {seen}"
    assert (bids > 0) == (kind == "liquidators")


@pytest.mark.parametrize("kind", ["trend_followers", "leverage_targeters"])
def test_leveraged_decisions_open_and_reduce(kind: str) -> None:
    """The states of the comparison above reach both branches."""
    rng = np.random.default_rng(3)
    flags: Counter[int] = Counter()
    extra = {"attention": 0.5} if kind == "trend_followers" else {}
    for seed in range(20):
        state, (population,) = rig.market([(kind, {"count": 600, "period": 2} | extra)], seed=seed)
        rig.randomise(state, rng)
        population.decide(state, 0)
        flags.update(message[5] for message in rig.sent(state))
    assert flags[0] > 20 and flags[1] > 20
