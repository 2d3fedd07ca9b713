"""A slow, obvious order book: per side a list of orders at each price. The compiled book must agree with it.

Orders are named by the number of the operation that brought them in. Positions are counted only for reduce-only orders.
"""

import copy
from collections import defaultdict
from dataclasses import dataclass, field

from sim.kernels.state import (
    FOK,
    IOC,
    MARKET,
    POST_ONLY,
    REDUCE_ONLY,
    STP_CANCEL_BOTH,
    STP_CANCEL_INCOMING,
    STP_CANCEL_RESTING,
    STP_OFF,
)

RESTS, NOTHING, CROSSES, KILLED, UNKNOWN = "rests", "nothing rests", "would cross", "not fillable", "unknown order"


@dataclass
class Order:
    name: int
    contract: int
    side: int
    price: int
    quantity: int
    account: int
    flags: int = 0
    expiry: int = 0


@dataclass
class ReferenceBook:
    self_trade: int = STP_CANCEL_RESTING
    positions_count: bool = False  # whether reduce-only orders are held to positions
    step: int = 0
    resting: dict[int, Order] = field(default_factory=dict)  # by name
    # (contract, side): {price: orders, first in time first}
    queues: defaultdict[tuple[int, int], dict[int, list[Order]]] = field(default_factory=lambda: defaultdict(dict))
    fills: list[tuple[int, ...]] = field(default_factory=list)  # contract, price, lots, maker, taker, their accounts
    positions: defaultdict[tuple[int, int], int] = field(default_factory=lambda: defaultdict(int))

    def rest(self, order):
        """Put an order at the back of the queue of its price."""
        self.resting[order.name] = order
        self.queues[order.contract, order.side].setdefault(order.price, []).append(order)

    def remove(self, order):
        """Take an order out of its queue."""
        del self.resting[order.name]
        queues = self.queues[order.contract, order.side]
        queues[order.price].remove(order)
        if not queues[order.price]:
            del queues[order.price]

    def best(self, contract, side):
        """Best price of a side, -1 if it is empty."""
        return max(self.queues[contract, side], key=lambda price: side * price, default=-1)

    def l2(self, contract, side):
        """Price and lots of every level, best first."""
        queues = self.queues[contract, side]
        return [(p, sum(o.quantity for o in queues[p])) for p in sorted(queues, key=lambda price: -side * price)]

    def l3(self, contract, side):
        """Every order of a side in the order in which they trade."""
        queues = self.queues[contract, side]
        in_turn = [order for price, _ in self.l2(contract, side) for order in queues[price]]
        return [(o.name, o.price, o.quantity, o.account, o.expiry) for o in in_turn]

    def find(self, name):
        return self.resting.get(name)

    def reducible(self, account, contract, side):
        return max(-side * self.positions[account, contract], 0)

    def match(self, order):
        """Trade an incoming order; what is left of it stays in ``order.quantity`` (0 if it was cancelled)."""
        while order.quantity > 0:
            best = self.best(order.contract, -order.side)
            if best == -1 or order.side * (order.price - best) < 0:
                return
            maker = self.queues[order.contract, -order.side][best][0]
            if maker.account == order.account and self.self_trade != STP_OFF:
                if self.self_trade in (STP_CANCEL_RESTING, STP_CANCEL_BOTH):
                    self.remove(maker)
                if self.self_trade in (STP_CANCEL_INCOMING, STP_CANCEL_BOTH):
                    order.quantity = 0
                continue
            if maker.flags & REDUCE_ONLY and self.positions_count:
                maker.quantity = min(maker.quantity, self.reducible(maker.account, maker.contract, maker.side))
                if maker.quantity == 0:
                    self.remove(maker)
                    continue
            lots = min(order.quantity, maker.quantity)
            self.fills.append(
                (order.contract, maker.price, lots, maker.name, order.name, maker.account, order.account, order.side)
            )
            self.positions[order.account, order.contract] += order.side * lots
            self.positions[maker.account, order.contract] -= order.side * lots
            order.quantity -= lots
            maker.quantity -= lots
            if maker.quantity == 0:
                self.remove(maker)

    def is_fillable(self, order):
        """Whether all of it would trade at once: try it on a copy."""
        trial = ReferenceBook(self.self_trade, self.positions_count)
        trial.positions = self.positions.copy()
        for queue in self.queues[order.contract, -order.side].values():
            for other in queue:
                trial.rest(copy.copy(other))
        trial.match(copy.copy(order))
        return sum(fill[2] for fill in trial.fills) == order.quantity

    def submit(self, name, contract, side, price, quantity, account, tif, flags, expiry):
        order = Order(name, contract, side, price, quantity, account, flags, expiry)
        if flags & REDUCE_ONLY and self.positions_count:
            order.quantity = min(quantity, self.reducible(account, contract, side))
            if order.quantity == 0:
                return NOTHING
        best = self.best(contract, -side)
        if tif == POST_ONLY and best != -1 and side * (price - best) >= 0:
            return CROSSES
        if tif == FOK and not self.is_fillable(order):
            return KILLED
        self.match(order)
        gone_already = 0 < expiry <= self.step
        if order.quantity == 0 or tif == IOC or flags & MARKET or gone_already:
            return NOTHING
        self.rest(order)
        return RESTS

    def cancel(self, name):
        order = self.find(name)
        if order is None:
            return -1
        self.remove(order)
        return order.quantity

    def cancel_all(self, account, contract):
        mine = [o for o in self.resting.values() if o.account == account and contract in (-1, o.contract)]
        for order in mine:
            self.remove(order)
        return sum(order.quantity for order in mine)

    def replace(self, name, price, quantity):
        order = self.find(name)
        if order is None:
            return UNKNOWN
        if order.flags & REDUCE_ONLY and self.positions_count:
            quantity = min(quantity, self.reducible(order.account, order.contract, order.side))
        if price == order.price and 0 < quantity <= order.quantity:
            order.quantity = quantity
            return RESTS
        self.remove(order)
        order.price, order.quantity = price, quantity
        self.match(order)
        if order.quantity == 0:
            return NOTHING
        self.rest(order)
        return RESTS

    def expire(self, step):
        self.step = step
        gone = [order for order in self.resting.values() if 0 < order.expiry <= step]
        for order in gone:
            self.remove(order)
        return len(gone)
