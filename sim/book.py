"""A single order book as an object, for notebooks, tests and tools.

The compiled book in :mod:`sim.kernels.book` does the work. An :class:`OrderBook` either stands alone (prices and lots
only, no cash, no margin) or shows one contract of a running market, which it then only reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from sim.errors import MarginLabError
from sim.kernels import book
from sim.kernels.state import (
    BUY,
    FOK,
    GTC,
    IOC,
    M_FILLS,
    M_LEDGER,
    M_STATUS,
    M_STEP,
    M_STP,
    MARKET,
    NO_PRICE,
    POST_ONLY,
    SELL,
    STP_CANCEL_BOTH,
    STP_CANCEL_INCOMING,
    STP_CANCEL_RESTING,
    STP_OFF,
    State,
    allocate,
)

if TYPE_CHECKING:
    import pandas as pd

Side = Literal["buy", "sell"]

SELF_TRADE_PREVENTION = {
    "cancel_resting": STP_CANCEL_RESTING,
    "cancel_incoming": STP_CANCEL_INCOMING,
    "cancel_both": STP_CANCEL_BOTH,
    "off": STP_OFF,
}
_SIDES = {"buy": BUY, "sell": SELL}
_MAX_PRICE = 2**31 - 2  # prices are stored in 32 bits
L2 = np.dtype([("price", "i8"), ("lots", "i8")])
L3 = np.dtype([("order", "i8"), ("side", "i1"), ("price", "i8"), ("lots", "i8"), ("account", "i4"), ("expiry", "i4")])


class OrderRefusedError(MarginLabError):
    """The book did not take an order; the message says why."""


class OrderBook:
    """A limit order book with price-time priority.

    Args:
        max_price: largest price, ticks.
        accounts: number of accounts that may send orders (numbered from 0).
        self_trade_prevention: what happens when an order meets one of its own account: ``"cancel_resting"``,
            ``"cancel_incoming"``, ``"cancel_both"`` or ``"off"``.

    Prices are whole ticks, quantities whole lots, orders are known by integer ids that are never used again.

    Examples:
        >>> book = OrderBook()
        >>> first = book.limit("sell", 101, 5, account=1)
        >>> second = book.limit("sell", 101, 5, account=2)
        >>> book.market("buy", 7, account=3)
        7
        >>> [(int(f["maker"]), int(f["price"]), int(f["quantity"])) for f in book.trades()]
        [(1, 101, 5), (2, 101, 2)]
        >>> book.best_ask, book.best_bid, book.lots(second)
        (101, None, 3)
    """

    def __init__(
        self, *, max_price: int = 1_000_000, accounts: int = 1024, self_trade_prevention: str = "cancel_resting"
    ) -> None:
        if not 1 <= max_price <= _MAX_PRICE:
            raise ValueError(f"max_price = {max_price}; allowed: 1 .. {_MAX_PRICE}")
        if accounts < 1:
            raise ValueError(f"accounts = {accounts}; allowed: 1 or more")
        if self_trade_prevention not in SELF_TRADE_PREVENTION:
            allowed = ", ".join(SELF_TRADE_PREVENTION)
            raise ValueError(f"self_trade_prevention = {self_trade_prevention!r}; allowed: {allowed}")
        self._state = allocate(traders=accounts, contracts=1, steps=1)
        self._contract = 0
        self._accounts = accounts
        self._owned = True
        self._state.meta[M_LEDGER] = 0
        self._state.meta[M_STP] = SELF_TRADE_PREVENTION[self_trade_prevention]
        self._state.contracts["max_price"] = max_price

    @classmethod
    def of(cls, state: State, contract: int) -> OrderBook:
        """The book of one contract of a market, to read from (orders reach it only through admission)."""
        self = cls.__new__(cls)
        self._state = state
        self._contract = contract
        self._accounts = len(state.accounts)
        self._owned = False
        return self

    # -- orders --------------------------------------------------------------------------------------------------------

    def limit(self, side: Side, price: int, quantity: int, *, account: int = 0, expiry: int = 0) -> int | None:
        """Send a limit order: trade what crosses, let the rest stand.

        Args:
            side: ``"buy"`` or ``"sell"``.
            price: worst price, ticks.
            quantity: lots.
            account: sender.
            expiry: first step at which the order is gone (see :meth:`advance_to`), 0 for never.

        Returns:
            The id of the resting order, or None if nothing rests.
        """
        return self._rest(self._send(side, price, quantity, account, GTC, 0, expiry))

    def post_only(self, side: Side, price: int, quantity: int, *, account: int = 0, expiry: int = 0) -> int | None:
        """Send a limit order that must not trade at once.

        Raises:
            OrderRefusedError: it would cross.
        """
        return self._rest(self._send(side, price, quantity, account, POST_ONLY, 0, expiry))

    def ioc(self, side: Side, price: int, quantity: int, *, account: int = 0) -> int:
        """Trade what crosses now (immediate or cancel). Returns the lots traded."""
        return self._traded(side, price, quantity, account, IOC, 0)

    def fok(self, side: Side, price: int, quantity: int, *, account: int = 0) -> int:
        """Trade all of it now or nothing (fill or kill). Returns the lots traded: ``quantity`` or 0."""
        return self._traded(side, price, quantity, account, FOK, 0)

    def market(self, side: Side, quantity: int, *, account: int = 0) -> int:
        """Trade now at any price. Returns the lots traded, fewer than asked if the book runs out."""
        worst = int(self._state.contracts["max_price"][0]) if side == "buy" else 1
        return self._traded(side, worst, quantity, account, IOC, MARKET)

    def cancel(self, order: int) -> int | None:
        """Cancel a resting order. Returns the lots that rested, or None if there is no such order now."""
        self._writable()
        lots = int(book.cancel(self._state, order))
        return None if lots < 0 else lots

    def cancel_all(self, account: int) -> int:
        """Cancel every order of an account. Returns the lots that rested."""
        self._writable()
        self._check_account(account)
        return int(book.cancel_all(self._state, account, self._contract))

    def replace(self, order: int, price: int, quantity: int) -> int | None:
        """Change price and open size of a resting order; it keeps its id, and its place iff only the size falls.

        Returns:
            The id, or None if nothing rests any more.

        Raises:
            OrderRefusedError: there is no such order now, or price or size are out of range.
        """
        self._writable()
        return self._rest(self._checked(int(book.replace(self._state, order, price, quantity, 0)), price, quantity))

    def advance_to(self, step: int) -> int:
        """Move the clock of a book on its own to a step; orders that expire on the way go. Returns how many went."""
        self._writable()
        gone = 0
        meta = self._state.meta
        while meta[M_STEP] < step:
            meta[M_STEP] += 1
            gone += int(book.expire(self._state, int(meta[M_STEP])))
        return gone

    # -- views ---------------------------------------------------------------------------------------------------------

    @property
    def best_bid(self) -> int | None:
        """Highest price bid, ticks; None if nobody bids."""
        return self._price("bid")

    @property
    def best_ask(self) -> int | None:
        """Lowest price asked, ticks; None if nobody offers."""
        return self._price("ask")

    @property
    def last(self) -> int | None:
        """Price of the last trade, ticks; None before the first."""
        return int(self._state.quotes["last"][self._contract]) if self.volume else None

    @property
    def volume(self) -> int:
        """Lots traded since the start."""
        return int(self._state.quotes["volume"][self._contract])

    def __len__(self) -> int:
        """Number of resting orders."""
        quote = self._state.quotes[self._contract]
        return int(quote["bid_orders"] + quote["ask_orders"])

    def lots(self, order: int) -> int:
        """Lots of an order that rest now; 0 if it is gone."""
        slot = int(book.find(self._state, order))
        if slot < 0 or self._state.orders["contract"][slot] != self._contract:
            return 0
        return int(self._state.orders["quantity"][slot])

    def depth(self, low: int, high: int) -> int:
        """Lots resting between two prices (ticks, both included)."""
        return int(book.depth_within(self._state, self._contract, low, high))

    def cost_to_fill(self, side: Side, quantity: int) -> float | None:
        """Average price (ticks) at which a market order of this size would trade; None if the book is too thin."""
        total = int(book.cost_to_fill(self._state, self._contract, _SIDES[side], quantity))
        return None if total == NO_PRICE else total / quantity

    def l2(self, n: int = 10) -> dict[str, np.ndarray]:
        """The best ``n`` levels of each side, best first: ``{"bids": ..., "asks": ...}`` with fields price and lots."""
        sides = {}
        for name, side in (("bids", BUY), ("asks", SELL)):
            prices, lots = np.zeros(n, np.int64), np.zeros(n, np.int64)
            count = book.levels_of(self._state, self._contract, side, prices, lots, n)
            sides[name] = np.zeros(count, L2)
            sides[name]["price"], sides[name]["lots"] = prices[:count], lots[:count]
        return sides

    def l3(self) -> np.ndarray:
        """Every resting order: bids then asks, best price first, first in time first."""
        count = len(self)
        prices, lots = np.zeros(count, np.int64), np.zeros(count, np.int64)
        slots = np.zeros(count, np.int64)
        filled = 0
        for side in (BUY, SELL):
            levels = book.levels_of(self._state, self._contract, side, prices, lots, count)
            for price in prices[:levels]:
                filled += book.orders_at(self._state, self._contract, int(price), slots[filled:])
        rows = np.array(self._state.orders[slots])
        table = np.zeros(count, L3)
        table["order"] = (rows["generation"].astype(np.int64) << 32) | slots
        table["lots"] = rows["quantity"]
        for name in ("side", "price", "account", "expiry"):
            table[name] = rows[name]
        return table

    def trades(self) -> np.ndarray:
        """Fills on the tape (all since the start for a book on its own): see ``sim.kernels.state.FILL``."""
        fills = np.array(self._state.fills[: self._state.meta[M_FILLS]])
        return fills[fills["contract"] == self._contract]

    def trades_frame(self) -> pd.DataFrame:
        """The fills as a table."""
        import pandas as pd

        return pd.DataFrame.from_records(self.trades())

    # -- inside --------------------------------------------------------------------------------------------------------

    def _writable(self) -> None:
        if not self._owned:
            raise OrderRefusedError("this is a view of a market's book: send orders through the market")

    def _check_account(self, account: int) -> None:
        if not 0 <= account < self._accounts:
            raise OrderRefusedError(f"account = {account}; allowed: 0 .. {self._accounts - 1}")

    def _price(self, name: str) -> int | None:
        price = int(self._state.quotes[name][self._contract])
        return None if price == NO_PRICE else price

    def _send(self, side: Side, price: int, quantity: int, account: int, tif: int, flags: int, expiry: int) -> int:
        self._writable()
        self._check_account(account)
        if side not in _SIDES:
            raise OrderRefusedError(f"side = {side!r}; allowed: 'buy', 'sell'")
        if not 0 <= expiry <= _MAX_PRICE:
            raise OrderRefusedError(f"expiry = {expiry}; allowed: 0 .. {_MAX_PRICE}")
        result = book.submit(
            self._state, self._contract, _SIDES[side], price, quantity, account, tif, flags, expiry, 0, 0, 0
        )
        return self._checked(int(result), price, quantity)

    def _checked(self, result: int, price: int, quantity: int) -> int:
        """Turn the refusals of the kernel into errors (a killed fill-or-kill order is not one)."""
        if result == book.WOULD_CROSS:
            raise OrderRefusedError(f"post-only order at {price} would cross")
        if result == book.UNKNOWN_ORDER:
            raise OrderRefusedError("no live order has this id")
        if result == book.INVALID:
            self._state.meta[M_STATUS] = 0
            largest = int(self._state.contracts["max_price"][0])
            raise OrderRefusedError(
                f"price = {price}, quantity = {quantity}; allowed: price 1 .. {largest} within reach of the other "
                "orders, quantity 1 or more"
            )
        return result

    @staticmethod
    def _rest(result: int) -> int | None:
        return result if result >= 0 else None

    def _traded(self, side: Side, price: int, quantity: int, account: int, tif: int, flags: int) -> int:
        before = self.volume
        self._send(side, price, quantity, account, tif, flags, 0)
        return self.volume - before
