"""Admission in plain Python, one account at a time: what a message reserves, and whether the account may send it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sim.kernels import state as s

RATE_ONE = 1 << 32


def up(value: int, rate: int) -> int:
    return -(-value * rate // RATE_ONE)


@dataclass
class Row:
    """One contract of an account, with its open orders."""

    lots: int
    cost: int
    open_buy: int
    open_sell: int
    loss_buy: int
    loss_sell: int


class Desk:
    """What admission knows of one account at the start of the step, and what its messages add."""

    def __init__(self, exchange: Any, account: int) -> None:
        state = exchange.state
        self.state, self.account = state, account
        self.isolated = state.meta[s.M_LAYOUT] == s.ISOLATED
        self.trader = account < exchange.traders
        names = ("lots", "cost", "open_buy", "open_sell", "loss_buy", "loss_sell")
        self.rows = [Row(*(int(state.positions[n][account, c]) for n in names)) for c in range(len(state.quotes))]
        self.cash = exchange.wallet(account)

    def value(self, c: int, lots: int) -> int:
        return lots * int(self.state.quotes["mark"][c]) * int(self.state.contracts["tick_value"][c]) // 16

    def initial(self) -> int:
        total = 0
        for c, row in enumerate(self.rows):
            rate = int(self.state.rate_initial[c])
            if self.isolated:
                sides = []
                for closes, ordered, loss in (
                    (max(-row.lots, 0), row.open_buy, row.loss_buy), (max(row.lots, 0), row.open_sell, row.loss_sell),
                ):  # fmt: skip
                    opens = max(ordered - closes, 0)
                    sides.append(up(self.value(c, opens), rate) - (-loss * opens // ordered) if opens else 0)
                total += max(sides)
            else:
                bought = up(self.value(c, abs(row.lots + row.open_buy)), rate) + row.loss_buy
                sold = up(self.value(c, abs(row.lots - row.open_sell)), rate) + row.loss_sell
                total += max(bought, sold)
        return total

    def excess(self) -> int:
        own = self.cash
        if not self.isolated:
            own += sum(self.value(c, row.lots) - row.cost for c, row in enumerate(self.rows) if row.lots)
        return own - self.initial()

    def band(self, c: int, side: int) -> int:
        mark, band = int(self.state.quotes["mark"][c]), int(self.state.contracts["band"][c])
        step = mark * band // RATE_ONE
        if side == s.BUY:
            return min((mark + step) // 16, int(self.state.contracts["max_price"][c]))
        return max(-(-(mark - step) // 16), 1)

    def loss(self, c: int, side: int, price: int) -> int:
        gap = side * (price * 16 - int(self.state.quotes["mark"][c]))
        return -(-max(gap, 0) * int(self.state.contracts["tick_value"][c]) // 16)

    def form(self, c: int, side: int, price: int, lots: int) -> int:
        if not 1 <= lots <= int(self.state.contracts["max_lots"][c]):
            return s.R_LOT
        if not 1 <= price <= int(self.state.contracts["max_price"][c]):
            return s.R_BAND
        return s.OK if side * (self.band(c, side) - price) >= 0 else s.R_BAND

    def admit(self, message: dict[str, int]) -> int:
        """Reason of refusal, or OK, in which case the reserve is taken."""
        kind = message["kind"]
        orders = self.state.orders
        old: dict[str, int] | None = None
        closed = self.state.accounts["status"][self.account] == s.CLOSED
        if closed and kind in (s.NEW, s.REPLACE):
            return s.R_CLOSED
        if kind in (s.CANCEL, s.REPLACE):
            slot = message["ref"] & 0xFFFFFFFF
            mine = slot < len(orders) and orders["side"][slot] != 0 and orders["account"][slot] == self.account
            if not mine or orders["generation"][slot] != message["ref"] >> 32:
                return s.R_UNKNOWN_ORDER
            old = {name: int(orders[name][slot]) for name in ("contract", "side", "quantity", "loss", "flags")}
        if kind in (s.CANCEL, s.CANCEL_ALL):
            return s.OK
        c, side, lots, price = (message[k] for k in ("contract", "side", "quantity", "price"))
        reduces = message["flags"] & s.REDUCE_ONLY
        if old:
            c, side, reduces = old["contract"], old["side"], old["flags"] & s.REDUCE_ONLY
        if message["flags"] & s.MARKET and kind == s.NEW:
            price = self.band(c, side)
        reason = self.form(c, side, price, lots)
        if reason:
            return reason
        row = self.rows[c]
        if reduces and kind == s.NEW:
            lots = min(lots, -side * row.lots)
            if lots <= 0:
                return s.R_REDUCE_ONLY
        more, loss = lots, lots * self.loss(c, side, price)
        if old:
            more, loss = max(lots - old["quantity"], 0), max(loss - old["quantity"] * old["loss"], 0)
        before = self.excess()
        self._reserve(row, side, more, loss)
        reach = row.lots + row.open_buy if side == s.BUY else row.open_sell - row.lots
        after = self.excess()
        reason = s.OK
        if reach > int(self.state.contracts["max_lots"][c]):
            reason = s.R_POSITION_LIMIT
        elif self.trader and not reduces and after < 0 and after < before:
            reason = s.R_MARGIN
        if reason:
            self._reserve(row, side, -more, -loss)
        return reason

    def _reserve(self, row: Row, side: int, lots: int, loss: int) -> None:
        if side == s.BUY:
            row.open_buy += lots
            row.loss_buy += loss
        else:
            row.open_sell += lots
            row.loss_sell += loss
