"""The compiled book and the reference book side by side: one operation goes to both, and every answer must agree."""

from collections import Counter

import numpy as np

from sim.kernels import book
from sim.kernels.ledger import release, reserve
from sim.kernels.state import (
    BUY,
    M_ACCOUNTS,
    M_FILLS,
    M_FLOW,
    M_FREE,
    M_LEDGER,
    M_LEDGER_FLOW,
    M_LIVE,
    M_STATUS,
    M_STEP,
    M_STP,
    SELL,
    STP_CANCEL_RESTING,
    State,
    allocate,
)
from tests.sim.reference_book import CROSSES, KILLED, NOTHING, RESTS, UNKNOWN, ReferenceBook

ANSWERS = {
    book.NOTHING_RESTS: NOTHING,
    book.WOULD_CROSS: CROSSES,
    book.NOT_FILLABLE: KILLED,
    book.UNKNOWN_ORDER: UNKNOWN,
}
LOSS = 3  # reserved per lot: any number will do


def chain(table: np.ndarray, head: int, link: str) -> list[int]:
    """Slots of a linked list."""
    slots = []
    while head >= 0:
        slots.append(int(head))
        assert len(slots) <= len(table), f"a ring in {link}"
        head = table[link][head]
    return slots


def check_structure(state: State) -> None:
    """Everything that must hold between pool, queues, bitmaps, chains, calendar and quotes."""
    orders, levels, meta = state.orders, state.levels, state.meta
    live = np.flatnonzero(orders["side"])
    assert meta[M_LIVE] == len(live)
    free = chain(orders, int(meta[M_FREE]), "next")
    assert len(set(free) | set(live.tolist())) == len(free) + len(live) == len(orders)
    window = levels.shape[1]
    queued = []
    for c, quote in enumerate(state.quotes):
        mine = live[orders["contract"][live] == c]
        for side, name in ((BUY, "bid"), (SELL, "ask")):
            prices = orders["price"][mine[orders["side"][mine] == side]]
            assert quote[f"{name}_orders"] == len(prices)
            assert quote[name] == (side * max(side * prices) if len(prices) else -1)
        if quote["bid"] >= 0 and quote["ask"] >= 0:
            assert quote["bid"] < quote["ask"], "a crossed book"
        if len(mine):
            assert quote["low"] <= min(orders["price"][mine])
            assert quote["high"] >= max(orders["price"][mine])
            assert quote["high"] - quote["low"] < window
        places = {int(price) & (window - 1) for price in orders["price"][mine]}
        assert set(np.flatnonzero(levels["head"][c] >= 0).tolist()) == places
        bits0 = np.unpackbits(state.bits0[c].view(np.uint8), bitorder="little")
        assert set(np.flatnonzero(bits0).tolist()) == places
        bits1 = np.unpackbits(state.bits1[c].view(np.uint8), bitorder="little")
        assert set(np.flatnonzero(bits1).tolist()) == {place >> 6 for place in places}
        for place in places:
            queue = chain(orders, int(levels["head"][c, place]), "next")
            assert levels["tail"][c, place] == queue[-1]
            assert [int(orders["prev"][slot]) for slot in queue] == [-1, *queue[:-1]]
            assert len(set(orders["price"][queue].tolist())) == len(set(orders["side"][queue].tolist())) == 1
            assert levels["depth"][c, place] == orders["quantity"][queue].sum()
            queued += queue
        assert (orders["quantity"][mine] > 0).all()
    assert sorted(queued) == live.tolist()
    for account in range(meta[M_ACCOUNTS]):
        own = chain(orders, int(state.accounts["order_head"][account]), "own_next")
        assert state.accounts["orders"][account] == len(own)
        assert [int(orders["own_prev"][slot]) for slot in own] == [-1, *own[:-1]][: len(own)]
        assert set(own) == set(live[orders["account"][live] == account].tolist())
    expiring = live[orders["expiry"][live] > 0]
    scheduled = []
    for place, head in enumerate(state.expiry_heads):
        due = chain(orders, int(head), "exp_next")
        assert all(orders["expiry"][slot] & (len(state.expiry_heads) - 1) == place for slot in due)
        scheduled += due
    assert sorted(scheduled) == expiring.tolist()


class PairedBook:
    """Runs each operation on both books. Small arrays on purpose, so that all of them grow.

    Args:
        contracts: number of contracts.
        accounts: number of traders.
        self_trade: mode of self-trade prevention.
        ledger: run with the ledger, reserves and reduce-only.
        window: ticks of the ladder at the start.
        calendar: length of the expiry ring.
    """

    def __init__(
        self, *, contracts=1, accounts=8, self_trade=STP_CANCEL_RESTING, ledger=False, window=4096, calendar=16
    ):
        self.state = allocate(
            traders=accounts, contracts=contracts, steps=1, window=window, pool=4, tape=4, calendar=calendar
        )
        self.state.meta[M_STP] = self_trade
        self.state.meta[M_LEDGER] = int(ledger)
        self.state.contracts["max_price"] = 10_000_000
        self.state.contracts["tick_value"] = 1
        self.reference = ReferenceBook(self_trade, ledger)
        self.ledger = ledger
        self.names = {}  # id -> name
        self.ids = {}  # name -> id, for every order that ever rested
        self.used = set()  # every id ever seen
        self.count = 0

    def submit(self, contract, side, price, quantity, account, tif=0, flags=0, expiry=0):
        name, self.count = self.count, self.count + 1
        if self.ledger:
            reserve(self.state, account, contract, side, quantity, LOSS)
        seen = int(self.state.meta[M_FILLS])
        answer = int(
            book.submit(self.state, contract, side, price, quantity, account, tif, flags, expiry, LOSS, 0, name)
        )
        if answer >= 0:
            assert answer not in self.used, "an id was given twice"
            self.names[answer], self.ids[name] = name, answer
        takers = {int(fill["taker_order"]) for fill in self.state.fills[seen : self.state.meta[M_FILLS]]}
        assert len(takers) <= 1
        assert not takers & self.used, "a taker was given an id that was used before"
        assert answer < 0 or takers <= {answer}
        self.used |= takers | ({answer} if answer >= 0 else set())
        self.names.update(dict.fromkeys(takers, name))
        if self.ledger:
            rests = self.state.orders["quantity"][book.find(self.state, answer)] if answer >= 0 else 0
            release(self.state, account, contract, side, quantity - int(rests), LOSS)
        expected = self.reference.submit(name, contract, side, price, quantity, account, tif, flags, expiry)
        assert ANSWERS.get(answer, RESTS) == expected
        self.check_fills(seen)
        return name if answer >= 0 else None

    def cancel(self, name):
        assert book.cancel(self.state, self.ids[name]) == self.reference.cancel(name)

    def cancel_all(self, account, contract=-1):
        assert book.cancel_all(self.state, account, contract) == self.reference.cancel_all(account, contract)

    def replace(self, name, price, quantity):
        order_id, before = self.ids[name], self.reference.find(name)
        if self.ledger and before is not None:
            # as the matching kernel does: the reserve of the order itself is the caller's affair
            release(self.state, before.account, before.contract, before.side, before.quantity, LOSS)
        seen = int(self.state.meta[M_FILLS])
        answer = int(book.replace(self.state, order_id, price, quantity, LOSS))
        if self.ledger and answer >= 0:
            rests = int(self.state.orders["quantity"][book.find(self.state, order_id)])
            reserve(self.state, before.account, before.contract, before.side, rests, LOSS)
        assert answer < 0 or answer == order_id
        assert ANSWERS.get(answer, RESTS) == self.reference.replace(name, price, quantity)
        self.check_fills(seen)

    def expire(self):
        self.state.meta[M_STEP] += 1
        step = int(self.state.meta[M_STEP])
        assert book.expire(self.state, step) == self.reference.expire(step)

    def check_fills(self, seen):
        """The fills since row ``seen`` agree in order, price, size, maker and taker."""
        fast = [
            (
                int(fill["contract"]),
                int(fill["price"]),
                int(fill["quantity"]),
                self.names[int(fill["maker_order"])],
                self.names[int(fill["taker_order"])],
                int(fill["maker"]),
                int(fill["taker"]),
                int(fill["side"]),
            )
            for fill in self.state.fills[seen : self.state.meta[M_FILLS]]
        ]
        assert fast == self.reference.fills[seen:]
        assert self.state.meta[M_STATUS] == 0

    def check(self):
        """Views, structure and totals agree."""
        check_structure(self.state)
        state, reference = self.state, self.reference
        volume = Counter()
        for fill in reference.fills:
            volume[fill[0]] += fill[2]
        for c in range(len(state.quotes)):
            for side in (BUY, SELL):
                prices, lots = np.zeros(10_000, np.int64), np.zeros(10_000, np.int64)
                count = book.levels_of(state, c, side, prices, lots, 10_000)
                l2 = list(zip(prices[:count].tolist(), lots[:count].tolist(), strict=True))
                assert l2 == reference.l2(c, side)
                l3, slots = [], np.zeros(len(state.orders), np.int64)
                for price, _ in l2:
                    found = book.orders_at(state, c, price, slots)
                    for slot in slots[:found]:
                        row = state.orders[slot]
                        name = self.names[int(book.order_id(state, slot))]
                        l3.append((name, price, int(row["quantity"]), int(row["account"]), int(row["expiry"])))
                assert l3 == reference.l3(c, side)
            assert state.quotes["volume"][c] == volume[c]
        assert state.meta[M_FLOW] == volume.total()
        for name, order_id in self.ids.items():
            assert (book.find(state, order_id) >= 0) == (reference.find(name) is not None)
        if self.ledger:
            self.check_ledger()

    def check_ledger(self):
        """Positions and reserves are those of the reference book's fills and resting orders."""
        state, reference = self.state, self.reference
        assert state.meta[M_LEDGER_FLOW] == state.meta[M_FLOW]
        open_by = Counter()
        for order in reference.resting.values():
            open_by[order.account, order.contract, order.side] += order.quantity
        for account in range(state.meta[M_ACCOUNTS]):
            for c in range(len(state.quotes)):
                row = state.positions[account, c]
                assert row["lots"] == reference.positions[account, c]
                for side, name in ((BUY, "buy"), (SELL, "sell")):
                    open_lots = open_by[account, c, side]
                    assert (row[f"open_{name}"], row[f"loss_{name}"]) == (open_lots, open_lots * LOSS)
