"""The compiled book against the reference book on random streams."""

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sim.kernels.state import (
    BUY,
    FOK,
    GTC,
    IOC,
    MARKET,
    POST_ONLY,
    REDUCE_ONLY,
    SELL,
    STP_CANCEL_BOTH,
    STP_CANCEL_INCOMING,
    STP_CANCEL_RESTING,
    STP_OFF,
)
from tests.sim.paired_book import PairedBook

MODES = (STP_CANCEL_RESTING, STP_CANCEL_INCOMING, STP_CANCEL_BOTH, STP_OFF)
SIDES = st.sampled_from((BUY, SELL))
# few prices, so that orders meet; one far off, so that the ladder grows
PRICES = st.one_of(st.integers(5000, 5008), st.sampled_from((1, 4096, 5004 + 4096, 20_000)))
LOTS = st.integers(1, 12)


class BookMachine(RuleBasedStateMachine):
    @initialize(mode=st.sampled_from(MODES), ledger=st.booleans(), contracts=st.integers(1, 2))
    def start(self, mode, ledger, contracts):
        self.contracts = contracts
        self.pair = PairedBook(contracts=contracts, accounts=4, self_trade=mode, ledger=ledger)

    @rule(
        contract=st.integers(0, 1),
        side=SIDES,
        price=PRICES,
        lots=LOTS,
        account=st.integers(0, 3),
        tif=st.sampled_from((GTC, GTC, GTC, IOC, FOK, POST_ONLY)),
        flags=st.sampled_from((0, 0, 0, MARKET, REDUCE_ONLY)),
        ahead=st.sampled_from((0, 0, 1, 3, 40)),
    )
    def submit(self, contract, side, price, lots, account, tif, flags, ahead):
        expiry = self.pair.reference.step + ahead if ahead else 0
        self.pair.submit(contract % self.contracts, side, price, lots, account, tif, flags, expiry)

    @rule(data=st.data())
    def cancel(self, data):
        if self.pair.ids:
            self.pair.cancel(data.draw(st.sampled_from(sorted(self.pair.ids))))

    @rule(account=st.integers(0, 3), contract=st.integers(-1, 0))
    def cancel_all(self, account, contract):
        self.pair.cancel_all(account, contract)

    @rule(data=st.data(), price=PRICES, lots=LOTS)
    def replace(self, data, price, lots):
        if self.pair.ids:
            self.pair.replace(data.draw(st.sampled_from(sorted(self.pair.ids))), price, lots)

    @rule(steps=st.integers(1, 4))
    def expire(self, steps):
        for _ in range(steps):
            self.pair.expire()

    @invariant()
    def agrees(self):
        self.pair.check()


TestBookMachine = BookMachine.TestCase
TestBookMachine.settings = settings(stateful_step_count=40)


def replay(pair, operations, seed, *, spread, check_every):
    """Send random operations, near a price that wanders, to both books."""
    draw = np.random.default_rng(seed)
    contracts = len(pair.state.quotes)
    traders = len(pair.state.accounts) - 4
    centre, live = 50_000, []
    for k in range(operations):
        kind = draw.random()
        if kind < 0.55 or not live:
            side = BUY if draw.random() < 0.5 else SELL
            centre += int(draw.integers(-2, 3))
            price = max(1, centre - side * int(draw.exponential(spread)) + int(draw.integers(0, 3)) * side)
            expiry = pair.reference.step + int(draw.integers(1, 60)) if draw.random() < 0.2 else 0
            tif = (GTC, GTC, GTC, GTC, GTC, IOC, POST_ONLY, FOK)[draw.integers(8)]
            flags = REDUCE_ONLY if draw.random() < 0.1 else 0
            name = pair.submit(
                int(draw.integers(contracts)), side, price, int(draw.integers(1, 20)), int(draw.integers(traders)),
                tif, flags, expiry,
            )  # fmt: skip
            if name is not None:
                live.append(name)
        elif kind < 0.72:
            # some of these are gone already: an old id must not hit a new order in its slot
            place = int(draw.integers(len(live)))
            pair.cancel(live[place])
            live[place] = live[-1]
            live.pop()
        elif kind < 0.80:
            side = BUY if draw.random() < 0.5 else SELL
            pair.submit(
                int(draw.integers(contracts)), side, 10_000_000 if side == BUY else 1, int(draw.integers(1, 40)),
                int(draw.integers(traders)), IOC, MARKET,
            )  # fmt: skip
        elif kind < 0.975:
            price = max(1, centre + int(draw.normal(0, spread)))
            pair.replace(live[draw.integers(len(live))], price, int(draw.integers(1, 20)))
        elif kind < 0.998:
            pair.expire()
        else:
            pair.cancel_all(int(draw.integers(traders)), int(draw.integers(-1, contracts)))
        if k % check_every == 0:
            pair.check()
    pair.check()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("ledger", [False, True])
def test_replay_agrees(mode, ledger):
    pair = PairedBook(contracts=2, accounts=6, self_trade=mode, ledger=ledger)
    replay(pair, 2500, seed=mode, spread=4.0, check_every=100)
    assert len(pair.reference.fills) > 150


def test_long_replay_agrees():
    pair = PairedBook(contracts=1, accounts=40)
    replay(pair, 100_000, seed=11, spread=3.0, check_every=5000)
    assert len(pair.reference.fills) > 20_000


def test_wide_replay_grows_the_ladder():
    pair = PairedBook(contracts=2, accounts=10, ledger=True)
    replay(pair, 3000, seed=5, spread=4000.0, check_every=100)
    assert pair.state.levels.shape[1] > 4096
    assert len(pair.state.orders) > 4
    assert len(pair.state.fills) > 4
